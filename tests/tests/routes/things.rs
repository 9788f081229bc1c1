//! A cluster in which there is one of everything: people of every kind with their cookies, and what is alice's, so that each
//! request asks for something that is there.

use house::asker::{Answered, Asker};
use house::person::Person;
use house::sharing::Owner;
use house::{CLUSTER, Cluster, NODE, PASSWORD, assert_success, wait_for};
use link::http::Dialer;
use link::tls::{Badge, KeyRequest, TlsIdentity, Trust, client_tls};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use wire::arrival::Arrive;
use wire::name::{ALPN_AUTH, AUTH_SERVER};
use wire::web::COOKIE;

/// Shown in alice's session, and on no other screen.
pub const SHOWN: &str = "alices-own-words";

/// What there is. Of what a request takes away there are two: each is asked for as it stands, and with a `?` behind.
pub struct Things<'a> {
    /// In alice's session, which ends with this.
    owner: Owner<'a>,
    /// Where her shell writes how large its terminal is.
    sized: String,
    pub address: String,
    /// Where a file of alice's comes to lie; it goes with the cluster.
    pub upload: String,
    pub authority: String,
    /// Alice has every right, and everything here is hers.
    pub alice: String,
    /// What alice's terminals log in as.
    pub login: String,
    pub cookies: Cookies,
    /// The code of a terminal that waits to be let in by alice.
    pub arrival: String,
    pub live: String,
    pub stored: Vec<String>,
    pub ticket: String,
    pub guests_code: String,
    pub erins_code: String,
    pub links: Vec<u64>,
    pub locks: Vec<u64>,
    pub comments: Vec<u64>,
    pub web_sessions: Vec<u64>,
    pub badges: Badges,
}

/// The secrets of web sessions.
pub struct Cookies {
    pub alice: String,
    pub bob: String,
    /// Alice's, who has signed out.
    pub ended: String,
    /// Of an admin who was locked.
    pub locked: String,
    /// Of an admin whose account was removed.
    pub removed: String,
}

/// Certificates, as machines and `scry` show them.
pub struct Badges {
    pub alice: Badge,
    pub bob: Badge,
    pub node: Badge,
}

impl<'a> Things<'a> {
    pub async fn make(cluster: &'a Cluster) -> Self {
        let alice = cluster.login.clone();
        cluster.set_role(
            "name = 'host'\nallow = { share = ['observer', 'peer'], guests = ['observer'] }\n",
        );
        assert_success(
            &cluster.scry(&["users", "add", &alice, "--role", "admin", "--role", "host"]),
        );
        cluster.set_role("name = 'plain'\nallow.recordings = { list = 'own', play = 'own' }\n");
        Person::invited(cluster, "bob", &["plain"]);
        for word in ["one", "two", "three"] {
            assert_success(&cluster.ssh(&format!("echo {SHOWN} {word}")));
        }
        let stored = cluster.stored_recordings();
        let stored: Vec<_> = stored.iter().filter(|row| row["kind"] == "exec").map(id).collect();
        let owner = Owner::start(cluster, (80, 24));
        owner.line(&format!("echo {SHOWN}"));
        let live = owner.id.clone();

        let status = cluster.scry_json(&["status", "--json"]);
        let authority = status["cluster"]["tls_authority"].as_str().unwrap().to_owned();
        let mut desk = Desk::at(&cluster.address, &authority);
        let cookie = desk.sign_in(&alice).await;
        let (ended, spare) = (desk.sign_in(&alice).await, desk.sign_in(&alice).await);
        desk.sign_in(&alice).await;
        desk.call(&ended, "web/sign-out", &json!({})).await;
        let bob = desk.sign_in("bob").await;
        let (locked, removed) =
            (desk.person(&cookie, "dave").await, desk.person(&cookie, "zoe").await);
        desk.person(&cookie, "erin").await;
        desk.call(&cookie, "locks/add", &json!({ "target": { "user": "dave" } })).await;
        desk.call(&cookie, "users/remove", &json!({ "user": "zoe" })).await;

        let web = desk.call(&cookie, "web/sessions/list", &json!({})).await;
        let others = web.as_array().unwrap().iter().filter(|row| row["here"] == false);
        let web_sessions: Vec<_> = others.map(|row| row["id"].as_u64().unwrap()).collect();
        assert_eq!((web_sessions.len(), spare.is_empty()), (2, false), "{web}");
        let (mut links, mut codes) = (Vec::new(), Vec::new());
        let link = json!({ "node": NODE, "session": live, "seat": "observer" });
        for more in [json!({ "guests": true }), json!({ "to": "erin" }), json!({}), json!({})] {
            let mut link = link.clone();
            link.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let made = desk.call(&cookie, "share/create", &link).await;
            codes.push(made["code"].as_str().unwrap().to_owned());
            links.push(made["id"].as_u64().unwrap());
        }
        let (mut locks, mut comments) = (Vec::new(), Vec::new());
        for name in ["spare-a", "spare-b"] {
            let role = json!({ "role": { "name": name } });
            desk.call(&cookie, "roles/set", &role).await;
            desk.call(&cookie, "users/add", &json!({ "user": name, "roles": [] })).await;
            let lock = json!({ "target": { "role": name } });
            locks.push(desk.call(&cookie, "locks/add", &lock).await["id"].as_u64().unwrap());
            let comment = json!({ "id": stored[0], "at": 0, "text": SHOWN });
            let made = desk.call(&cookie, "recordings/comments/add", &comment).await;
            comments.push(made["number"].as_u64().unwrap());
        }
        let view = json!({ "id": stored[0], "how": "play" });
        let view = desk.call(&cookie, "recordings/view", &view).await;
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let badge = |chain: String, key: String| Badge::new(&TlsIdentity::new(chain, key)).unwrap();
        let client = |name: &str| {
            let folder = cluster.path(name).join("clusters").join(CLUSTER);
            badge(read(&folder.join("tls.crt")), read(&folder.join("tls.key")))
        };
        let keys = cluster.path("data/node/keys");
        let node: Value = serde_json::from_str(&read(&keys.join("credentials.json"))).unwrap();
        let node = node["tls_certificate"].as_str().unwrap().to_owned();
        let node = badge(node, read(&keys.join("tls.key")));
        let badges = Badges { alice: client("client"), bob: client("bob"), node };
        let arrival = arrives(&cluster.address, &authority, &alice).await;
        Self {
            owner,
            sized: cluster.path("sized").display().to_string(),
            address: cluster.address.clone(),
            upload: cluster.path("uploaded").display().to_string(),
            authority,
            login: cluster.login.clone(),
            alice,
            cookies: Cookies { alice: cookie, bob, ended, locked, removed },
            arrival,
            live,
            stored,
            ticket: view["ticket"].as_str().unwrap().to_owned(),
            guests_code: codes[0].clone(),
            erins_code: codes[1].clone(),
            links: links[2..].to_vec(),
            locks,
            comments,
            web_sessions,
            badges,
        }
    }

    /// A client that calls the proxy as browsers do.
    pub fn browser(&self, badge: Option<&Badge>) -> Asker {
        Asker::new(&self.address, "localhost", b"http/1.1", &self.authority, badge)
    }

    /// What of this only alice may read, by what it is.
    pub fn secrets(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("the cookie", &self.cookies.alice),
            ("a ticket", &self.ticket),
            ("a screen", SHOWN),
            ("a recording", &self.stored[0]),
            ("a code for erin", &self.erins_code),
        ]
    }

    /// What a call asks for, the first or second time. For those that need no identity, and those that would end what the
    /// other requests are made with, it is what is let in and means nothing.
    pub fn body(&self, path: &str, time: usize) -> Value {
        let spare = ["spare-a", "spare-b"][time];
        match path {
            "invitation" | "sign-up" | "web/sign-in" | "web/second" | "web/passkey/finish"
            | "arrival/passkey" | "arrival/let-in" | "arrival/turn-away" => json!({}),
            "arrival/read" => json!({ "code": self.arrival }),
            "web/sign-out" => json!({ "everywhere": "no such thing" }),
            "cluster"
            | "web/door"
            | "web/passkey/begin"
            | "web/me"
            | "web/sessions/list"
            | "factors/list"
            | "factors/totp/begin"
            | "factors/passkey/begin"
            | "factors/recovery"
            | "users/list"
            | "roles/list"
            | "locks/list"
            | "nodes/list"
            | "sessions/list"
            | "share/list"
            | "recordings/list"
            | "recordings/standing"
            | "audit/list"
            | "audit/head" => json!({}),
            "web/sessions/end" => json!({ "which": { "one": self.web_sessions[time] } }),
            "factors/totp/finish" => json!({ "ticket": "none", "code": "000000" }),
            "factors/passkey/finish" => json!({ "ticket": "none", "passkey": {} }),
            "factors/remove" => json!({ "id": 1 }),
            "factors/reset" => json!({ "user": "erin" }),
            "users/add" => json!({ "user": format!("new-{time}"), "roles": ["admin"] }),
            "users/remove" => json!({ "user": spare }),
            "roles/set" => json!({ "role": { "name": format!("new-{time}") } }),
            "roles/remove" => json!({ "role": spare }),
            "locks/add" => json!({ "target": { "user": "erin" } }),
            "locks/remove" => json!({ "lock": self.locks[time] }),
            "nodes/invite" => json!({ "part": "node", "name": "elsewhere" }),
            "nodes/remove" => json!({ "node": "elsewhere" }),
            "access/explain" => json!({ "user": self.alice, "login": self.login, "node": NODE }),
            "share/create" => json!({ "node": NODE, "session": self.live, "seat": "observer" }),
            "share/revoke" => json!({ "link": { "number": self.links[time] } }),
            "share/read" => json!({ "code": self.erins_code }),
            "share/look" => json!({ "code": self.guests_code }),
            "recordings/view" => json!({ "id": self.stored[0], "how": "export" }),
            "recordings/previews" => json!({ "ids": [self.stored[0]] }),
            "recordings/comments/add" => json!({ "id": self.stored[0], "at": 1, "text": "new" }),
            "recordings/comments/list" => json!({ "id": self.stored[0] }),
            "recordings/comments/remove" => {
                json!({ "id": self.stored[0], "number": self.comments[time] })
            }
            "recordings/remove" => json!({ "id": self.stored[1 + time] }),
            new => panic!("say here how {new} is asked for something of alice's"),
        }
    }

    /// What stands behind the `?` of a route that is no call.
    pub fn query(&self, path: &str) -> String {
        match path {
            path if path.starts_with("/v1/recordings/{id}/") => {
                format!("ticket={}&at=0&for=a&from=0&to=0&last=1", self.ticket)
            }
            "/v1/web/folder" => format!("node={NODE}&login={}&path=/", self.login),
            "/v1/web/files" => format!("node={NODE}&login={}&path={}", self.login, self.upload),
            "/v1/search" => format!("for={SHOWN}"),
            "/v1/ping" | "/v1/openapi.json" | "/v1/audit/follow" | "/v1/web/terminal" => {
                String::new()
            }
            new => panic!("say here how {new} is asked for something of alice's"),
        }
    }

    /// How large alice's terminal is, as her shell says it: her session runs, and what she types there reaches it.
    pub fn size(&self) -> String {
        let file = Path::new(&self.sized);
        let _ = fs::remove_file(file);
        self.owner.line(&format!("stty size > {0}.new; mv {0}.new {0}", self.sized));
        wait_for("alice's shell", || file.exists());
        fs::read_to_string(file).unwrap()
    }

    /// Everything that could have been changed, as alice sees it.
    pub async fn state(&self) -> Value {
        let mut desk = Desk::at(&self.address, &self.authority);
        let mut state = json!({});
        for path in [
            "users/list",
            "roles/list",
            "locks/list",
            "share/list",
            "recordings/list",
            "web/sessions/list",
        ] {
            state[path] = desk.call(&self.cookies.alice, path, &json!({})).await;
        }
        let nodes = desk.call(&self.cookies.alice, "nodes/list", &json!({})).await;
        state["nodes"] =
            nodes.as_array().unwrap().iter().map(|node| node["name"].clone()).collect();
        let comments = json!({ "id": self.stored[0] });
        state["comments"] =
            desk.call(&self.cookies.alice, "recordings/comments/list", &comments).await;
        // One goes on all the time, and files that alice's own browser reads have recordings of their own.
        let recordings = state["recordings/list"].as_array_mut().unwrap();
        recordings.retain(|row| row["kind"] == "exec");
        for row in recordings {
            for grows in ["length_ms", "bytes", "tally"] {
                row[grows] = Value::Null;
            }
        }
        // Whoever has the code comes in.
        for row in state["share/list"].as_array_mut().unwrap() {
            row["used"] = Value::Null;
        }
        // The last used is the first.
        let sessions = state["web/sessions/list"].as_array_mut().unwrap();
        sessions.sort_by_key(|row| row["id"].as_i64());
        for row in sessions {
            row["last_seen"] = Value::Null;
        }
        state
    }
}

/// Makes calls as the pages do.
pub struct Desk {
    asker: Asker,
}

impl Desk {
    fn at(address: &str, authority: &str) -> Self {
        Self { asker: Asker::new(address, "localhost", b"http/1.1", authority, None) }
    }

    async fn ask(&mut self, cookie: &str, path: &str, call: &Value) -> Answered {
        let headers = [
            format!("Origin: https://{}", self.asker.host),
            "Content-Type: application/json".to_owned(),
            format!("Cookie: {COOKIE}={cookie}"),
        ];
        self.asker.ask("POST", &format!("/v1/{path}"), &headers, &call.to_string()).await
    }

    async fn call(&mut self, cookie: &str, path: &str, call: &Value) -> Value {
        let answered = self.ask(cookie, path, call).await;
        assert_eq!(answered.status, 200, "{path}: {}", answered.body);
        serde_json::from_str(&answered.body).unwrap()
    }

    /// Signs in; gives the cookie's secret.
    async fn sign_in(&mut self, user: &str) -> String {
        let call = json!({ "user": user, "password": PASSWORD });
        let answered = self.ask("", "web/sign-in", &call).await;
        assert_eq!(answered.status, 200, "{user}: {}", answered.body);
        let set = answered.header("set-cookie");
        let (_, secret) = set.split(';').next().unwrap().split_once('=').unwrap();
        secret.to_owned()
    }

    /// Signs up and in somebody with every right.
    async fn person(&mut self, by: &str, name: &str) -> String {
        let added = self.call(by, "users/add", &json!({ "user": name, "roles": ["admin"] })).await;
        let call = json!({ "code": added["code"], "password": PASSWORD });
        self.call("", "sign-up", &call).await;
        self.sign_in(name).await
    }
}

/// A terminal asks to be signed in by alice's browser, and waits; answers its code.
async fn arrives(address: &str, authority: &str, alice: &str) -> String {
    let tls = client_tls(&Trust::Authority(authority.to_owned()), None, &[ALPN_AUTH]).unwrap();
    let client = Dialer::new(address, AUTH_SERVER, tls).dial().await.unwrap();
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
    let key = ssh_key::PrivateKey::from(pair).public_key().to_openssh().unwrap();
    let arrive = Arrive {
        user: alice.parse().unwrap(),
        ssh_key: key,
        tls_request: KeyRequest::make().unwrap().request,
        wanted_ms: None,
        machine: "laptop".to_owned(),
    };
    client.call(&arrive).await.unwrap().code
}

fn id(row: &Value) -> String {
    row["id"].as_str().unwrap().to_owned()
}

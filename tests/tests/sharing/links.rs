//! Links: people with an account and guests without one come by them, with scry and with plain ssh; and what does not count.

use house::company::Line;
use house::person::{Person, words};
use house::sharing::{Owner, SIZE, Viewer, told};
use house::terminal::Terminal;
use house::{Cluster, NODE, assert_success, free_port, output_with, text, wait_for};
use model::limit::GUEST_SESSIONS;
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

/// What a guest with plain ssh is asked.
const NAME: &str = "Your name, for the others to see:";

/// A cluster whose admin may have guests in every seat.
pub(crate) fn hospitable() -> Cluster {
    hospitable_with(&[])
}

fn hospitable_with(flags: &[&str]) -> Cluster {
    let cluster = Cluster::start_with(flags);
    cluster.set_role(
        "name = 'host'\nallow = { share = ['observer', 'peer', 'moderator'], \
         guests = ['observer', 'peer', 'moderator'] }\n",
    );
    let admin = cluster.login.clone();
    assert_success(&cluster.scry(&["users", "add", &admin, "--role", "admin", "--role", "host"]));
    cluster
}

/// What `scry share` prints for scripts.
#[track_caller]
pub(crate) fn share(cluster: &Cluster, further: &[&str]) -> Value {
    let args: Vec<_> = ["share", "--json"].iter().chain(further).copied().collect();
    cluster.scry_json(&args)
}

pub(crate) fn field(made: &Value, name: &str) -> String {
    made[name].as_str().unwrap_or_else(|| panic!("no {name} in {made}")).to_owned()
}

/// `scry join` on a machine that knows no cluster.
pub(crate) fn stranger(cluster: &Cluster, args: &[&str]) -> Command {
    let mut command = cluster.scry_command();
    command.env("SCRY_HOME", cluster.path("nothing-here")).env("TERM", "xterm-256color");
    command.arg("join").args(args);
    command
}

/// What `scry share` says to a guest with plain ssh, typed into a shell.
pub(crate) fn by_ssh(
    cluster: &Cluster,
    made: &Value,
    change: impl Fn(String) -> String,
) -> Command {
    let folder = cluster.path("guest");
    std::fs::create_dir_all(&folder).unwrap();
    let (hosts, ssh) = (field(made, "guest_known_hosts"), field(made, "guest_ssh"));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("cd {}; {hosts}; {}", folder.display(), change(ssh)));
    shell.env("TERM", "xterm-256color").env_remove("SSH_AUTH_SOCK");
    shell
}

/// A guest's ssh with another end, to be run without a terminal: `change` makes of the command what is tried.
fn tries(cluster: &Cluster, made: &Value, change: impl Fn(String) -> String) -> Output {
    let folder = cluster.path("guest");
    std::fs::create_dir_all(&folder).unwrap();
    let (hosts, ssh) = (field(made, "guest_known_hosts"), field(made, "guest_ssh"));
    // Who answers questions without a terminal.
    let answer = folder.join("answer");
    std::fs::write(&answer, "#!/bin/sh\necho zoe\n").unwrap();
    assert_success(&Command::new("chmod").arg("+x").arg(&answer).output().unwrap());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("cd {}; {hosts}; {}", folder.display(), change(ssh)));
    shell
        .env("SSH_ASKPASS", &answer)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env_remove("SSH_AUTH_SOCK");
    shell.stdin(Stdio::null()).output().unwrap()
}

fn names(owner: &Owner<'_>) -> Vec<String> {
    owner.people().iter().filter_map(|one| one["user"].as_str().map(str::to_owned)).collect()
}

#[test]
fn guests_come_with_scry_and_with_plain_ssh_and_are_recorded_by_the_name_they_give() {
    let cluster = hospitable();
    let owner = Owner::start(&cluster, SIZE);
    let made = share(&cluster, &["--to", "guests", "--as", "peer"]);
    let web = field(&made, "web");
    assert!(web.starts_with(&format!("https://{}/join#share-", cluster.address)), "{web}");

    let zoe = owner.come(&stranger(&cluster, &[&web, "--name", "Zoe O'Neil"]), "peer", SIZE);
    let ssh = Terminal::run(cluster.folder.path(), SIZE, &by_ssh(&cluster, &made, |ssh| ssh));
    ssh.wait_for(NAME);
    ssh.type_text("yan\r");
    let yan = Viewer { terminal: ssh, types: true };
    wait_for("both guests", || {
        let names = names(&owner);
        ["guest:Zoe-O-Neil", "guest:yan"].iter().all(|name| names.iter().any(|it| it == name))
    });
    owner.line("clear; seq 1 12; printf '\\e[1;31mred\\e[m\\n'");
    owner.terminal.wait_for("red");
    let viewers = [zoe, yan];
    owner.all_see_the_same(&viewers);
    // A peer types.
    viewers[0].terminal.type_text("echo by-$((40+1))\r");
    owner.terminal.wait_for("by-41");
    viewers[1].terminal.type_text("echo by-$((40+2))\r");
    owner.terminal.wait_for("by-42");
    owner.all_see_the_same(&viewers);

    told(&cluster, "share.use", |event| event["user"] == "guest:Zoe-O-Neil");
    told(&cluster, "seat.taken", |event| event["user"] == "guest:yan" && event["seat"] == "peer");
    told(&cluster, "share.create", |event| event["guests"] == true);
    // Taking the link back ends what came by it.
    let number = made["id"].as_u64().unwrap().to_string();
    assert_success(&cluster.scry(&["share", "--revoke", &number]));
    for viewer in &viewers {
        assert!(viewer.last_words().contains("link that you came by was revoked"));
    }
    let row = owner.finish();
    let id = row["id"].as_str().unwrap();
    assert_success(&cluster.verify(id));
    let entries = cluster.scry(&["recordings", "export", id, "--format", "jsonl", "-o", "-"]);
    let all = text(&entries);
    assert!(all.contains("guest:Zoe-O-Neil") && all.contains("guest:yan"), "{}", words(&entries));
}

#[test]
fn a_guest_speaks_from_their_own_seat_whatever_others_call_themselves() {
    let cluster = hospitable();
    let owner = Owner::start(&cluster, SIZE);
    let made = share(&cluster, &["--to", "guests"]);
    // One connection, for the seat and for the line.
    let control = format!("ControlPath={}", cluster.path("control").display());
    let shared = format!("ssh -t -o ControlMaster=yes -o {control}");
    let shell = by_ssh(&cluster, &made, |ssh| ssh.replacen("ssh -t", &shared, 1));
    let observer = Terminal::run(cluster.folder.path(), SIZE, &shell);
    observer.wait_for(NAME);
    observer.type_text("yan\r");
    wait_for("the guest", || names(&owner).iter().any(|name| name == "guest:yan"));
    let made = share(&cluster, &["--to", "guests", "--as", "moderator"]);
    let web = field(&made, "web");
    let _moderator = owner.come(&stranger(&cluster, &[&web, "--name", "yan"]), "moderator", SIZE);
    let line = |ask: &str| {
        let mut ssh = Command::new("ssh");
        ssh.args(["-o", &control, "-s", "the-same-connection", "scry-company"]);
        let out = output_with(&mut ssh, &format!("{{\"ask\":\"{ask}\"}}\n"));
        assert_success(&out);
        text(&out).to_owned()
    };
    assert!(line("who").contains("guest:yan"));
    for ask in ["freeze", "end"] {
        let said = line(ask);
        assert!(said.contains("refused") && !said.contains("done"), "{ask}: {said}");
    }
    assert_eq!(names(&owner).len(), 3, "nobody has gone");
    owner.finish();
}

#[test]
fn a_guest_who_opens_a_session_too_many_is_refused_that_one_and_keeps_the_others() {
    let cluster = hospitable();
    let owner = Owner::start(&cluster, SIZE);
    let made = share(&cluster, &["--to", "guests"]);
    let control = format!("ControlPath={}", cluster.path("control").display());
    // What ssh says is not to stand in the picture.
    let log = cluster.path("guest.log");
    let first = format!("ssh -t -E {} -o ControlMaster=yes -o {control}", log.display());
    let shell = by_ssh(&cluster, &made, |ssh| ssh.replacen("ssh -t", &first, 1));
    let terminal = Terminal::run(cluster.folder.path(), SIZE, &shell);
    terminal.wait_for(NAME);
    terminal.type_text("yan\r");
    wait_for("the guest", || names(&owner).iter().any(|name| name == "guest:yan"));
    let place = "the-same-connection";
    let ssh = |further: &[&str]| {
        let mut ssh = Command::new("ssh");
        // Whom the connection refuses makes no other.
        ssh.args(["-o", &control, "-o", "ProxyCommand=false"]).args(further);
        ssh.env("TERM", "xterm-256color");
        ssh
    };
    let again = owner.come(&ssh(&["-tt", "-e", "none", place]), "observer", SIZE);
    let viewers = [Viewer { terminal, types: false }, again];
    let mut lines: Vec<_> =
        (viewers.len()..GUEST_SESSIONS).map(|_| Line::open(ssh(&[]), place)).collect();
    for line in &mut lines {
        line.wait_for_people("the owner and both seats", |people| people.len() == 3);
    }

    let out = ssh(&[place]).stdin(Stdio::null()).output().unwrap();
    assert!(!out.status.success(), "{}", words(&out));
    assert!(words(&out).contains("Session open refused by peer"), "{}", words(&out));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("open failed: resource shortage"), "{said}");
    told(&cluster, "connection.request_refused", |event| {
        event["user"] == "guest:yan"
            && event["request"] == "a session channel"
            && event["why"] == "too many channels on one connection"
    });

    for line in &mut lines {
        line.must(json!({"ask": "say", "text": "still here"}));
    }
    owner.line("clear; echo seen-by-$((40+2))");
    owner.terminal.wait_for("seen-by-42");
    owner.all_see_the_same(&viewers);
    assert_eq!(owner.people().len(), 3);
    owner.finish();
}

#[test]
fn guests_come_over_the_node_s_own_port_too_and_get_no_further() {
    let port = free_port();
    let cluster = hospitable_with(&["--ssh-listen", &format!("127.0.0.1:{port}")]);
    let owner = Owner::start(&cluster, SIZE);
    let made = share(&cluster, &["--to", "guests", "--as", "peer"]);
    let host = cluster.host();
    let direct = format!(
        "ssh -tt -o ProxyCommand=none -o HostName=127.0.0.1 -o HostKeyAlias={host} -p {port}"
    );
    let past_the_proxy = |ssh: String| ssh.replacen("ssh -t", &direct, 1);
    let shell = by_ssh(&cluster, &made, past_the_proxy);
    let terminal = Terminal::run(cluster.folder.path(), SIZE, &shell);
    terminal.wait_for(NAME);
    terminal.type_text("yan\r");
    wait_for("the guest", || names(&owner).iter().any(|name| name == "guest:yan"));
    let viewers = [Viewer { terminal, types: true }];
    owner.all_see_the_same(&viewers);
    viewers[0].terminal.type_text("echo by-$((40+2))\r");
    owner.terminal.wait_for("by-42");
    told(&cluster, "seat.taken", |event| {
        event["user"] == "guest:yan" && event["seat"] == "peer" && event["address"] == "127.0.0.1"
    });
    // Nothing else is to be had there: no command, no forward, and no code that does not count.
    let beyond = tries(&cluster, &made, |ssh| past_the_proxy(ssh) + " id");
    assert!(!beyond.status.success() && !words(&beyond).contains("uid="), "{}", words(&beyond));
    let forward = tries(&cluster, &made, |ssh| {
        ssh.replacen("ssh -t", &direct.replace("-tt", "-T -W 127.0.0.1:22"), 1)
    });
    assert!(!words(&forward).contains("SSH-2.0"), "{}", words(&forward));
    let number = made["id"].as_u64().unwrap().to_string();
    assert_success(&cluster.scry(&["share", "--revoke", &number]));
    assert!(viewers[0].last_words().contains("link that you came by was revoked"));
    let late = tries(&cluster, &made, past_the_proxy);
    assert!(words(&late).contains("revoked"), "{}", words(&late));
    owner.finish();
}

#[test]
fn whoever_fetches_the_address_of_a_link_uses_nothing_up() {
    let cluster = hospitable();
    let owner = Owner::start(&cluster, SIZE);
    let made = share(&cluster, &["--to", "guests", "--once"]);
    let web = field(&made, "web");
    // A chat program's robot, of which one sends what is behind the # as well.
    let robot = "import ssl,sys,urllib.request as u
c=ssl._create_unverified_context()
for url in sys.argv[1:]:
    a=u.urlopen(url,context=c); h=a.headers
    print(a.status, h['content-security-policy'], h['referrer-policy'], h['cache-control'], a.read().decode())";
    let plain = web.replace("/join#", "/join/plain#");
    for url in [&web, &web.replace('#', "?"), &plain] {
        let out = Command::new("python3").args(["-c", robot, url]).output().unwrap();
        assert_success(&out);
        let page = text(&out);
        assert!(page.starts_with("200 default-src ") && page.contains("frame-ancestors 'none'"));
        assert!(page.contains("no-referrer no-store") && page.contains("scry join"), "{page}");
        assert!(!page.contains(&field(&made, "code")), "{page}");
    }
    // One that only asks what there is, and one that says what it is; both look whose certificate that is.
    let authority = cluster.path("authority.pem");
    let status = cluster.scry_json(&["status", "--json"]);
    std::fs::write(&authority, status["cluster"]["tls_authority"].as_str().unwrap()).unwrap();
    let robot = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)";
    for flags in [&["--head"][..], &["--user-agent", robot], &["--head", "--user-agent", robot]] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--location", "--include", "--cacert"]);
        let out = curl.arg(&authority).args(flags).arg(&web).output().unwrap();
        assert_success(&out);
        let said = text(&out);
        assert!(said.lines().next().unwrap_or_default().contains(" 200"), "{flags:?}: {said}");
    }
    assert!(cluster.audit("share.use").is_empty(), "nobody has come");
    let zoe = owner.come(&stranger(&cluster, &[&web]), "observer", SIZE);
    owner.all_see_the_same(&[zoe]);
    // It counted once.
    let again = Terminal::run(cluster.folder.path(), SIZE, &stranger(&cluster, &[&web]));
    assert!(again.wait_for_end().contains("counted once, and was used"));
    owner.finish();
}

#[test]
fn a_link_that_does_not_count_lets_no_guest_in_and_says_why() {
    let cluster = hospitable();
    let owner = Owner::start(&cluster, SIZE);
    let revoked = share(&cluster, &["--to", "guests"]);
    let number = revoked["id"].as_u64().unwrap().to_string();
    assert_success(&cluster.scry(&["share", "--revoke", &number]));
    let expired = share(&cluster, &["--to", "guests", "--for", "1s"]);
    let members = share(&cluster, &[]);
    let mut unknown = share(&cluster, &["--to", "guests"]);
    let code = format!("share-{}", "7".repeat(26));
    unknown["web"] = field(&unknown, "web").replace(&field(&unknown, "code"), &code).into();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    for (made, why) in [
        (&revoked, "was revoked"),
        (&expired, "has expired"),
        (&members, "for people who have an account"),
        (&unknown, "is it whole"),
    ] {
        let web = field(made, "web");
        let said = Terminal::run(cluster.folder.path(), SIZE, &stranger(&cluster, &[&web]));
        let said = said.wait_for_end();
        assert!(said.replace(['\n', ' '], "").contains(&why.replace(' ', "")), "{why}: {said}");
        told(&cluster, "share.refuse", |event| {
            event["why"].as_str().is_some_and(|it| it.contains(why))
                && event["address"] == "127.0.0.1"
        });
    }
    // As another thing than it says.
    let made = share(&cluster, &["--to", "guests"]);
    let web = field(&made, "web");
    let other =
        Terminal::run(cluster.folder.path(), SIZE, &stranger(&cluster, &[&web, "--as", "peer"]));
    assert!(other.wait_for_end().contains("lets you in as observer"));
    // A code alone leads a stranger nowhere.
    let code = field(&made, "code");
    let out = stranger(&cluster, &[&code]).stdin(Stdio::null()).output().unwrap();
    assert!(words(&out).contains("give the whole address"), "{}", words(&out));
    assert_eq!(owner.people().len(), 1);
    owner.finish();
}

#[test]
fn a_role_that_allows_no_guests_makes_no_link_for_them() {
    let cluster = Cluster::start();
    let owner = Owner::start(&cluster, SIZE);
    let out = cluster.scry(&["share", "--to", "guests"]);
    assert!(!out.status.success(), "{}", words(&out));
    told(&cluster, "access.denied", |event| {
        event["why"].as_str().is_some_and(|why| why.contains("allow.guests with `observer`"))
    });
    owner.finish();
}

#[test]
fn a_guest_gets_a_seat_and_nothing_else() {
    let cluster = hospitable();
    let owner = Owner::start(&cluster, SIZE);
    let made = share(&cluster, &["--to", "guests"]);
    let code = field(&made, "code");
    let end = format!("{code}@{NODE}.");
    let to = |what: &str| {
        let what = what.to_owned();
        move |ssh: String| format!("{ssh} {what}")
    };
    // A command, as another thing, a file transfer, a way elsewhere.
    let out = tries(&cluster, &made, to("id"));
    assert!(!text(&out).contains("uid=") && !out.status.success(), "{}", words(&out));
    let out = tries(&cluster, &made, to("moderator"));
    assert!(!out.status.success(), "{}", words(&out));
    let out = tries(&cluster, &made, |ssh| ssh.replace("ssh -t ", "ssh -s ") + " sftp");
    assert!(!out.status.success(), "{}", words(&out));
    let out = tries(&cluster, &made, |ssh| ssh.replace("ssh -t ", "ssh -W 127.0.0.1:22 "));
    assert!(!out.status.success(), "{}", words(&out));
    let out = tries(&cluster, &made, |ssh| {
        ssh.replace("ssh -t ", "ssh -N -o ExitOnForwardFailure=yes -R 0:127.0.0.1:22 ")
    });
    assert!(!out.status.success(), "{}", words(&out));
    told(&cluster, "connection.request_refused", |event| event["user"] == "guest:zoe");
    // Whose link was not taken has not come: anybody could fill the ledger so.
    let came = cluster.audit("connection.open");
    assert!(!came.iter().any(|event| event["user"] == "guest:zoe"), "{came:#?}");
    // As an account of the machine, or as a member, without a certificate.
    for login in ["root", &format!("+{code}"), &format!("+{}", owner.id)] {
        let out = tries(&cluster, &made, |ssh| ssh.replace(&end, &format!("{login}@{NODE}.")));
        assert!(words(&out).contains("Permission denied"), "{login}: {}", words(&out));
    }
    // Another node, and another machine, through the proxy.
    for place in ["other", "127.0.0.1", "localhost"] {
        let out = tries(&cluster, &made, |ssh| ssh.replace("%h:%p", &format!("{place}:22")));
        assert!(words(&out).contains("prohibited"), "{place}: {}", words(&out));
    }
    // A code that nobody made opens nothing at the proxy.
    let none = format!("share-{}", "7".repeat(26));
    let out = tries(&cluster, &made, |ssh| ssh.replace(&code, &none));
    assert!(words(&out).contains("prohibited"), "{}", words(&out));
    assert_eq!(owner.people().len(), 1);
    owner.finish();
}

#[test]
fn who_has_an_account_comes_by_the_address_as_who_they_are() {
    let cluster = hospitable();
    cluster.set_role("name = 'nothing'\n");
    let bob = Person::invited(&cluster, "bob", &["nothing"]);
    let owner = Owner::start(&cluster, SIZE);
    for guests in ["guests", "anyone"] {
        let web = field(&share(&cluster, &["--to", guests]), "web");
        let mut join = bob.command();
        join.args(["join", &web]).env("TERM", "xterm-256color");
        let viewers = [owner.come(&join, "observer", SIZE)];
        owner.all_see_the_same(&viewers);
        assert_eq!(names(&owner), [cluster.login.as_str(), "bob"], "{guests}");
        drop(viewers);
        wait_for("only the owner to be there", || owner.people().len() == 1);
    }
    owner.finish();
}

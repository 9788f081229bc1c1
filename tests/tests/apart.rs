//! A node in a process of its own: invitations, names, restarts, removal, how sessions are recorded there, and what is said
//! when something is wrong.

use house::account::Account;
use house::apart::Apart;
use house::person::{Person, words};
use house::process::{Server, send};
use house::{CLUSTER, Cluster, NODE, assert_success, text, wait_for};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Starts a node that must fail, and answers what it says.
fn fails(apart: &Apart, folder: &str, args: &[&str]) -> String {
    let log = apart.cluster.path(&format!("{folder}.log"));
    let mut command = apart.command("node", folder);
    command.args(args);
    let mut server = Server::start(command, &log);
    let status = server.wait(Duration::from_secs(20));
    let said = server.log();
    assert!(status.is_some_and(|status| !status.success()), "{args:?} does not fail: {said}");
    said
}

#[test]
fn a_node_elsewhere_joins_once_serves_and_needs_no_token_again() {
    let mut apart = Apart::start();
    let out = apart.cluster.ssh("echo far away");
    assert_eq!(text(&out), "far away", "{}", String::from_utf8_lossy(&out.stderr));
    let row = apart.cluster.recording_of("echo far away");
    assert_eq!(row["node"], NODE);
    assert_eq!(apart.cluster.audit("node.invite").len(), 1);

    assert!(apart.node().stop().success());
    apart.start_node(&[]);
    assert_eq!(text(&apart.cluster.ssh("echo again")), "again");
    assert_eq!(apart.cluster.audit("node.join").iter().filter(|e| e["node"] == NODE).count(), 1);
}

#[test]
fn labels_of_an_invitation_decide_who_may_reach_the_node() {
    let mut apart = Apart::start();
    let invited = apart.cluster.scry(&["nodes", "invite", "--label", "env=prod", "--for", "5m"]);
    assert_success(&invited);
    let line = text(&invited);
    assert!(line.starts_with("scry start --roles node --join scry://"), "{line}");
    apart.forget_node();
    apart.remove_node();
    let invitation = apart.invite(&["--name", NODE, "--label", "env=prod"]);
    apart.start_node(&["--join", &invitation, "--label", "env=test,disk=ssd"]);
    wait_for("the labels", || {
        let nodes = apart.cluster.scry_json(&["nodes", "ls", "--json"]);
        nodes[0]["labels"] == serde_json::json!({ "env": "prod", "disk": "ssd" })
    });
    for env in ["prod", "test"] {
        let role = format!(
            "name = \"{env}-only\"\n[allow]\nlogins = [\"{{user}}\"]\nnodes = {{ env = [\"{env}\"] }}\n"
        );
        apart.cluster.set_role(&role);
        let role = format!("{env}-only");
        apart.cluster.add_user("bob", &[&role]);
        let asked = ["access", "explain", "bob", &format!("bob@{NODE}"), "--json"];
        let allowed = &apart.cluster.scry_json(&asked)["allowed"];
        assert_eq!(allowed, env == "prod", "the node called itself env=test");
    }
}

#[test]
fn a_removed_node_is_cut_off_and_its_name_is_free_for_another_machine() {
    let mut apart = Apart::start();
    let mut ssh = apart.cluster.ssh_command();
    ssh.args([&apart.cluster.host(), "echo begun; sleep 60"]).stdout(Stdio::piped());
    let mut child = ssh.spawn().unwrap();
    wait_for("the session", || !apart.cluster.live_recordings().is_empty());
    apart.remove_node();
    wait_for("the session's end", || child.try_wait().unwrap().is_some());
    let out = apart.cluster.ssh("true");
    assert!(!out.status.success());
    wait_for("the node's word on it", || {
        std::fs::read_to_string(apart.cluster.path("node.log"))
            .unwrap()
            .contains("no part of the cluster any more")
    });
    // Started again, it is still out.
    apart.kill_node();
    let removed = apart.cluster.audit("node.remove");
    assert_eq!(removed[0]["removed"], NODE);

    std::fs::rename(apart.node_folder(), apart.cluster.path("old machine")).unwrap();
    apart.join_node();
    assert_eq!(text(&apart.cluster.ssh("echo new machine")), "new machine");
    // The old machine comes back with its certificates, which have not expired.
    let old = apart.command("node", "old machine");
    let old = Server::start(old, &apart.cluster.path("old.log"));
    wait_for("the denial", || {
        let denied = apart.cluster.audit("access.denied");
        denied.iter().any(|event| event.to_string().contains("open a node's tunnel"))
    });
    assert!(old.log().contains("no part of the cluster any more"), "{}", old.log());
    assert_eq!(text(&apart.cluster.ssh("echo new machine")), "new machine");
}

#[test]
fn each_mistake_is_answered_with_what_to_do() {
    let apart = Apart::start();
    let good = apart.invite(&[]);
    let said = fails(&apart, "nothing", &[]);
    assert!(said.contains("scry nodes invite"), "{said}");

    let (head, code) = good.rsplit_once('/').unwrap();
    let (head, _) = head.rsplit_once('/').unwrap();
    let other_pin = format!("{head}/{}/{code}", "0".repeat(64));
    let said = fails(&apart, "pin", &["--join", &other_pin]);
    assert!(said.contains("its pin differs"), "{said}");

    let last = if good.ends_with('x') { 'y' } else { 'x' };
    let wrong = format!("{}{last}", good.strip_suffix(|_: char| true).unwrap());
    let said = fails(&apart, "token", &["--join", &wrong]);
    assert!(said.contains("make a new one with `scry nodes invite`"), "{said}");

    let brief = apart.invite(&["--for", "1s"]);
    std::thread::sleep(Duration::from_millis(1100));
    let said = fails(&apart, "late", &["--join", &brief, "--node-name", "late"]);
    assert!(said.contains("expired"), "{said}");

    let said = fails(&apart, "taken", &["--join", &good, "--node-name", NODE]);
    assert!(said.contains("another --node-name"), "{said}");

    let named = apart.invite(&["--name", "web-01"]);
    let said = fails(&apart, "named", &["--join", &named, "--node-name", "web-02"]);
    assert!(said.contains("--node-name web-01"), "{said}");

    let other = Cluster::start();
    let out = other.scry(&["nodes", "invite", "--json", "--name", NODE]);
    let out: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    assert!(out["invitation"].is_null(), "the node of one process has the name: {out}");
    let elsewhere = other.scry_json(&["nodes", "invite", "--json"]);
    let elsewhere = elsewhere["invitation"].as_str().unwrap().to_owned();
    let mut apart = apart;
    apart.kill_node();
    let said = fails(&apart, "machine", &["--join", &elsewhere]);
    assert!(said.contains(&format!("has joined the cluster {CLUSTER}")), "{said}");
    let said = fails(&apart, "machine", &["--node-name", "web-09"]);
    assert!(said.contains("cannot become web-09"), "{said}");

    let out = apart.cluster.scry(&["signup", &good]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("invites a machine"));
    let said = fails(&apart, "roles", &["--roles", "proxy,node"]);
    assert!(said.contains("what goes together"), "{said}");
}

#[test]
fn a_node_that_does_not_reach_its_cluster_waits_for_it() {
    let mut apart = Apart::start();
    assert!(apart.node().stop().success());
    apart.kill_cluster();
    let command = apart.node_command(&[]);
    apart.start_node_by(command);
    assert!(apart.node().wait(Duration::from_secs(2)).is_none(), "it waits");
    apart.restart_cluster();
    apart.node().until_ready();
    assert_eq!(text(&apart.cluster.ssh("echo back")), "back");
}

#[test]
fn auth_proxy_and_node_run_in_three_processes_and_each_can_be_restarted_alone() {
    let mut apart = Apart::in_three(str::to_owned);
    assert_eq!(text(&apart.cluster.ssh("echo three")), "three");
    apart.kill_proxy();
    apart.start_proxy(&[]);
    wait_for("the tunnel", || text(&apart.cluster.ssh("echo proxy again")) == "proxy again");
    assert!(apart.cluster.stop().success());
    apart.restart_cluster();
    wait_for("auth", || apart.cluster.scry(&["nodes", "--json"]).status.success());
    assert_eq!(text(&apart.cluster.ssh("echo auth again")), "auth again");
    assert!(apart.node().stop().success());
    apart.start_node(&[]);
    assert_eq!(text(&apart.cluster.ssh("echo node again")), "node again");
    let rows = apart.cluster.stored_recordings();
    assert!(rows.len() >= 4 && rows.iter().all(|row| row["gaps"] == 0), "{rows:#?}");
}

#[test]
fn systemd_hears_when_it_is_ready_and_when_it_stops() {
    let mut apart = Apart::start();
    apart.kill_cluster();
    let path = apart.cluster.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let said = || {
        let mut room = [0; 4096];
        let n = socket.recv(&mut room).expect("systemd is told");
        String::from_utf8_lossy(&room[..n]).into_owned()
    };
    let mut command = apart.cluster_command();
    command.env("NOTIFY_SOCKET", &path);
    apart.cluster.serve_by(command);
    assert!(said().contains("READY=1"));
    assert!(apart.cluster.scry(&["status"]).status.success(), "what says ready can be used");
    assert!(apart.cluster.stop().success());
    assert!(said().contains("STOPPING=1"));
}

#[test]
fn the_units_for_systemd_in_the_handbook_are_understood_by_it() {
    let handbook = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operate.md");
    let text = std::fs::read_to_string(handbook).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for block in text.split("```ini\n").skip(1) {
        let unit = block.split("```").next().unwrap();
        let name = unit.lines().next().unwrap().trim_start_matches("# /etc/systemd/system/");
        let unit = unit.replace("/usr/local/bin/scry", house::scry_path().to_str().unwrap());
        let path = folder.path().join(name);
        std::fs::write(&path, unit).unwrap();
        units.push(path);
    }
    assert_eq!(units.len(), 2, "one for everything or a node, one for the cluster");
    let verified = Command::new("systemd-analyze").arg("verify").args(&units).output();
    let Ok(out) = verified else {
        eprintln!("skipped: systemd-analyze is not there to read the units");
        return;
    };
    // It warns of keys that it does not know, and succeeds.
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && !said.contains("scry"), "{said}");
}

/// Sessions of one kind, and how they must be recorded.
struct Recorded<'a> {
    tag: &'static str,
    ssh: &'a dyn Fn() -> Command,
    node: &'static str,
    policy: &'static str,
}

impl Recorded<'_> {
    fn run(&self, round: &str) -> std::process::Output {
        let mut ssh = (self.ssh)();
        ssh.args([&format!("{}.{CLUSTER}", self.node), &self.command(round)]);
        ssh.output().unwrap()
    }

    fn command(&self, round: &str) -> String {
        format!("echo {round}-{}", self.tag)
    }

    /// Whether ledger and list say of the session what they must.
    #[track_caller]
    fn check(&self, cluster: &Cluster, round: &str) {
        let (command, policy) = (self.command(round), self.policy);
        let of = |event: &str, fits: &dyn Fn(&Value) -> bool| {
            let mut found = None;
            wait_for(&format!("{event} of {command}"), || {
                found = cluster.audit(event).into_iter().find(fits);
                found.is_some()
            });
            found.unwrap()
        };
        let exec = of("session.exec", &|row| row["command"] == command.as_str());
        let id = &exec["session"];
        let started = of("session.start", &|row| row["session"] == *id);
        assert_eq!(started["recording"], policy, "{}: {started}", self.tag);
        let ended = of("session.end", &|row| row["session"] == *id);
        let bytes = command.len() - "echo ".len() + 1;
        assert_eq!((&ended["status"], &ended["output"]), (&0.into(), &bytes.into()), "{ended}");
        if policy == "off" {
            let rows = cluster.stored_recordings();
            let row =
                rows.iter().find(|row| row["id"] == *id || row["command"] == command.as_str());
            assert!(row.is_none(), "{}: {row:?}", self.tag);
            for args in [&["play", "--print"][..], &["recordings", "info"]] {
                let out = cluster.scry(&[args, &[id.as_str().unwrap()]].concat());
                assert!(!out.status.success(), "{args:?}: {}", words(&out));
            }
        } else {
            let row = cluster.recording_of(&command);
            assert_eq!((&row["id"], &row["gaps"]), (id, &0.into()), "{row:#}");
            assert!(text(&cluster.verify(id.as_str().unwrap())).contains("complete"));
        }
    }
}

#[test]
fn how_a_session_is_recorded_goes_by_role_label_and_login_and_only_the_ledger_knows_of_what_is_not()
{
    if !house::is_root() {
        println!("skipped: how_a_session_is_recorded: needs root, to log in as two accounts");
        return;
    }
    let mut apart = Apart::in_three(str::to_owned);
    apart.kill_node();
    apart.start_node(&["--label", "env=prod"]);
    apart.start_other();
    let cluster = &apart.cluster;
    let (own, account) = (cluster.login.clone(), Account::new(cluster, "rec"));
    let anywhere = format!("logins = ['{own}']\nnodes = {{ '*' = ['*'] }}");
    for (name, options) in [
        (
            "unrecorded",
            "record = 'off'\nrecord_where = [{ nodes = { env = ['prod'] }, record = 'spool' }]",
        ),
        ("strictly", "record = 'strict'"),
    ] {
        cluster.set_role(&format!("name = '{name}'\n[allow]\n{anywhere}\n[options]\n{options}\n"));
    }
    let bob = Person::invited(cluster, "bob", &["unrecorded"]);
    let carol = Person::invited(cluster, "carol", &["unrecorded", "strictly"]);
    cluster.set_options(&format!(
        "record_where = [{{ nodes = {{ env = ['prod'] }}, logins = ['{own}'], record = 'strict' }}, \
         {{ logins = ['{}'], record = 'off' }}]",
        account.name
    ));
    let admin = || cluster.ssh_command();
    let (by_login, of_bob, of_carol) =
        (|| account.ssh(&[]), || bob.ssh_command(), || carol.ssh_command());
    let cases = [
        ("label-and-login", &admin as &dyn Fn() -> Command, NODE, "strict"),
        ("without-the-label", &admin, "other", "spool"),
        ("login", &by_login, NODE, "off"),
        ("login-elsewhere", &by_login, "other", "off"),
        ("role", &of_bob, "other", "off"),
        ("label-of-a-role", &of_bob, NODE, "spool"),
        ("two-roles", &of_carol, "other", "strict"),
    ];
    let cases = cases.map(|(tag, ssh, node, policy)| Recorded { tag, ssh, node, policy });
    for case in &cases {
        let out = case.run("there");
        assert_eq!(text(&out), format!("there-{}", case.tag), "{}", words(&out));
        case.check(cluster, "there");
    }
    if !house::long() {
        println!("skipped: sessions without auth: a node misses it after half a minute (--long)");
        return;
    }
    // What they are for: without auth nothing is begun that must be recorded there at once.
    send("-STOP", cluster.server_pid());
    std::thread::sleep(Duration::from_secs(31));
    let said: Vec<_> = cases.iter().map(|case| (case, case.run("alone"))).collect();
    send("-CONT", cluster.server_pid());
    for (case, out) in said {
        if case.policy == "strict" {
            let why = "auth does not answer, and your role records strictly";
            assert!(!out.status.success() && words(&out).contains(why), "{}: {out:?}", case.tag);
            continue;
        }
        assert_eq!(text(&out), format!("alone-{}", case.tag), "{}", words(&out));
        case.check(cluster, "alone");
    }
    wait_for("the refusals in the ledger", || {
        let failed = cluster.audit("session.recording_failed");
        let strict = |row: &&Value| row["why"].as_str().is_some_and(|it| it.contains("strictly"));
        ["box", "other"]
            .iter()
            .all(|node| failed.iter().filter(strict).any(|row| row["node"] == **node))
    });
}

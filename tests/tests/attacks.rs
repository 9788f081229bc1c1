//! What others got wrong, tried against the whole house: each attack is refused or recorded as ruled, and in the ledger.
//!
//! `docs/security.md` lists all of them, with those that are tested closer to the code.

use house::account::Account;
use house::keys::new_key;
use house::person::{Person, words};
use house::{Cluster, NODE, assert_success, free_port, is_root, long, output_with, text, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// A cluster whose node has a port of its own, where an attacker needs nothing to begin.
struct Target {
    cluster: Cluster,
    port: u16,
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    Target { cluster: Cluster::start_shared_with(&["--ssh-listen", &listen]), port }
});

impl Target {
    /// A good certificate of the cluster's own, to be made bad.
    fn certificate(&self) -> Value {
        let login = self.cluster.login.as_str();
        json!({
            "authority": self.cluster.path("data/auth/keys/user_ca"),
            "key_id": login,
            "principals": [login],
            "extensions": [["roles@scry", "admin"], ["permit-pty", ""]],
        })
    }

    /// Number of the ledger's last event.
    fn last(&self) -> u64 {
        let rows = self.cluster.scry_json(&["audit", "ls", "--json", "--limit", "1"]);
        rows[0]["number"].as_u64().unwrap()
    }

    /// Waits for an event behind `after` that has all of these words in it.
    #[track_caller]
    fn audited(&self, after: u64, event: &str, words: &[&str]) -> Value {
        let mut found = None;
        wait_for(&format!("{event} with {words:?}"), || {
            let rows = self.cluster.audit(event);
            let fits = |row: &&Value| {
                let text = row.to_string();
                row["event"] == event
                    && row["number"].as_u64() > Some(after)
                    && words.iter().all(|word| text.contains(word))
            };
            found = rows.iter().find(fits).cloned();
            found.is_some()
        });
        found.unwrap()
    }

    /// The event of the connection that the certificate with this serial number opened; each test has its own number.
    #[track_caller]
    fn opened(&self, after: u64, serial: u32) -> Value {
        self.audited(after, "connection.open", &[&format!("\"serial\":{serial},")])
    }

    /// Runs one attack of `attacker.py`; `more` is laid over the task.
    fn attack(&self, attack: &str, certificate: &Value, more: &Value) -> Value {
        let mut task = json!({
            "attack": attack,
            "port": self.port,
            "login": self.cluster.login,
            "key": key(&self.cluster.path("attacker")),
            "certificate": certificate,
        });
        for (name, value) in more.as_object().unwrap() {
            task[name] = value.clone();
        }
        let mut python = Command::new("/usr/bin/python3");
        python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/attacker.py"));
        let out = output_with(&mut python, &task.to_string());
        assert_success(&out);
        serde_json::from_str(text(&out).lines().last().unwrap()).unwrap()
    }
}

/// A private key at this path, made once.
fn key(path: &Path) -> PathBuf {
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = MAKING.lock().unwrap();
    if !path.exists() {
        new_key(path);
    }
    path.to_owned()
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|found| found.status.success())
}

fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}

#[test]
fn the_certificate_that_the_attacks_are_made_from_lets_one_in() {
    let got = TARGET.attack("sign-in", &TARGET.certificate(), &json!({ "command": "echo good" }));
    assert_eq!(got, json!({ "answer": "in", "ran": "good" }));
}

#[test]
fn certificates_that_do_not_count_let_nobody_in_and_stand_in_the_ledger() {
    let good = || TARGET.certificate();
    let stranger = key(&TARGET.cluster.path("another-authority"));
    let host = TARGET.cluster.path("data/auth/keys/host_ca");
    let login = TARGET.cluster.login.as_str();
    let unknown = ", which is no authority of this cluster";
    let no_role = format!(
        "missing is allow.logins with `{login}` in a role whose allow.nodes matches {NODE}"
    );
    let not_named = format!("{login:?} is not among its principals [\"somebody-else\"]");
    let cases = [
        ("another authority", with(good(), "authority", json!(stranger)), unknown),
        ("the host authority", with(good(), "authority", json!(host)), unknown),
        (
            "of type host",
            with(good(), "kind", json!(2)),
            "it is of the wrong type: a user certificate is needed",
        ),
        ("no principals", with(good(), "principals", json!([])), "it names no principals"),
        (
            "a comma",
            with(good(), "principals", json!([login, "root,alice"])),
            r#"its principal "root,alice" is no login"#,
        ),
        (
            "a control character",
            with(good(), "principals", json!([login, "ro\u{7}ot"])),
            r#"its principal "ro\u{7}ot" is no login"#,
        ),
        (
            "an unknown option",
            with(good(), "options", json!([["force-command", "true"]])),
            r#"its critical option "force-command" is not supported"#,
        ),
        (
            "another address",
            with(good(), "options", json!([["source-address", "192.0.2.0/24"]])),
            r#"its critical option source-address ("192.0.2.0/24") does not hold 127.0.0.1"#,
        ),
        ("no role", with(good(), "extensions", json!([])), no_role.as_str()),
        ("another login", with(good(), "principals", json!(["somebody-else"])), not_named.as_str()),
        (
            "no user's name",
            with(good(), "key_id", json!("alice,root")),
            r#"its key id "alice,root" is no user name"#,
        ),
    ];
    for (name, certificate, why) in cases {
        let before = TARGET.last();
        let got = TARGET.attack("sign-in", &certificate, &json!({}));
        assert_eq!(got, json!({ "answer": "refused" }), "{name}");
        let refused =
            TARGET.audited(before, "connection.refused", &["no certificate that was shown counts"]);
        assert_eq!(refused["asked_for"], login, "{name}: {refused}");
        // Other tests are denied things on the same node at the same time.
        let connection = refused["connection"].as_str().unwrap();
        let denied = TARGET.audited(before, "access.denied", &[connection]);
        assert_eq!(denied["connection"], connection, "{name}: {denied}");
        assert!(denied["why"].as_str().unwrap().contains(why), "{name}: {denied}");
        assert_eq!(denied["address"], "127.0.0.1", "{name}: {denied}");
    }
}

#[test]
fn certificates_out_of_their_time_or_badly_signed_let_nobody_in_and_stand_in_the_ledger() {
    let good = || TARGET.certificate();
    let expired = with(with(good(), "from", json!(-7200)), "until", json!(-3600));
    // The inner certificate is good, its key is the attacker's own.
    let inner = good_certificate(&TARGET.cluster.path("attacker"));
    let early = with(good(), "from", json!(3600));
    for (name, certificate) in [
        ("expired", expired),
        ("not yet valid", early),
        ("badly signed", with(good(), "broken", json!(true))),
        ("signed by a certificate", with(good(), "signer_certificate", json!(inner))),
    ] {
        let before = TARGET.last();
        let got = TARGET.attack("sign-in", &certificate, &json!({}));
        assert_eq!(got, json!({ "answer": "refused" }), "{name}");
        TARGET.audited(
            before,
            "connection.refused",
            &["127.0.0.1", "out of its time or badly signed"],
        );
    }
}

#[test]
fn a_key_that_is_offered_and_not_signed_for_lets_nobody_in() {
    let (before, mark) = (TARGET.last(), TARGET.cluster.path("unsigned-mark"));
    let got = TARGET.attack("unsigned", &TARGET.certificate(), &json!({ "mark": mark }));
    assert_eq!(got, json!({ "answer": "go on", "signed_by_another": "refused" }));
    let event = TARGET.audited(
        before,
        "connection.refused",
        &["whose key signed for it", "the key SHA256:"],
    );
    assert_eq!(event["asked_for"], TARGET.cluster.login.as_str());
    assert!(!mark.exists());
}

#[test]
fn who_offers_anothers_certificate_and_signs_for_their_own_has_their_own_rights_only() {
    let (before, login) = (TARGET.last(), TARGET.cluster.login.as_str());
    // The certificate itself gives a terminal, and its role a display; one's own gives neither.
    let admins = with(
        TARGET.certificate(),
        "extensions",
        json!([["roles@scry", "admin"], ["permit-pty", ""], ["permit-X11-forwarding", ""]]),
    );
    let own = json!({
        "authority": TARGET.cluster.path("data/auth/keys/user_ca"),
        "serial": 1101,
        "key_id": "mallory",
        "principals": [login],
        "extensions": [
            ["roles@scry", "access"],
            ["logins@scry", login],
            ["permit-X11-forwarding", ""],
        ],
    });
    let more = json!({ "own": { "key": key(&TARGET.cluster.path("mine")), "certificate": own } });
    let got = TARGET.attack("anothers-offer", &admins, &more);
    let expected = json!({
        "own offered": "go on",
        "another's offered": "go on",
        "own signed for": "in",
        "display": "[]",
        "terminal": "",
    });
    assert_eq!(got, expected);
    let opened = TARGET.opened(before, 1101);
    assert_eq!(opened["user"], "mallory", "{opened}");
    assert_eq!(opened["login"], login, "{opened}");
    let connection = opened["connection"].as_str().unwrap();
    for (event, words) in [
        ("session.exec", "echo [$DISPLAY]"),
        ("access.denied", "missing is allow.forward with `x11`"),
        ("access.denied", "the certificate has no permit-pty"),
        ("connection.close", ""),
    ] {
        let told = TARGET.audited(before, event, &[connection, words]);
        assert_eq!(told["user"], "mallory", "{told}");
    }
}

#[test]
fn nothing_but_a_certificate_lets_one_in() {
    let before = TARGET.last();
    let got = TARGET.attack("other-methods", &TARGET.certificate(), &json!({}));
    assert_eq!(got["answers"], json!(vec!["refused"; 5]));
    TARGET.audited(
        before,
        "connection.refused",
        &["a password for", "answers at a keyboard for", "the key SHA256:"],
    );
}

#[test]
fn nothing_happens_before_the_sign_in() {
    let (before, mark) = (TARGET.last(), TARGET.cluster.path("early-mark"));
    let got = TARGET.attack("before-sign-in", &TARGET.certificate(), &json!({ "mark": mark }));
    assert_eq!(got, json!({ "answer": "refused" }));
    TARGET.audited(before, "connection.refused", &["nothing for"]);
    assert!(!mark.exists());
    let mark = mark.to_str().unwrap();
    assert!(TARGET.cluster.audit("session.").iter().all(|row| !row.to_string().contains(mark)));
}

#[test]
fn nothing_happens_on_channels_that_were_never_opened() {
    let (before, mark) = (TARGET.last(), TARGET.cluster.path("unopened-mark"));
    let certificate = with(TARGET.certificate(), "serial", json!(1102));
    let got = TARGET.attack("unopened", &certificate, &json!({ "mark": mark }));
    assert_eq!(got, json!({ "then": "alive", "at last": "still alive" }));
    let opened = TARGET.opened(before, 1102);
    let connection = opened["connection"].as_str().unwrap();
    // Its sessions have ended by then, and with them whatever they ran.
    TARGET.audited(before, "connection.close", &[connection]);
    assert!(!mark.exists());
    // The library drops such packets before anybody here sees them, so the ledger has what was refused before, the
    // connection, and the two sessions that there were and no other.
    for request in ["an x11 channel", "a forwarded-tcpip channel"] {
        TARGET.audited(before, "connection.request_refused", &[connection, request]);
    }
    for (event, expected) in [("session.start", 2), ("session.exec", 2)] {
        let rows = TARGET.cluster.audit(event);
        let of_it = rows.iter().filter(|row| row["connection"] == connection);
        assert_eq!(of_it.count(), expected, "{event}");
    }
}

#[test]
fn a_user_who_changes_during_the_sign_in_is_judged_anew() {
    let before = TARGET.last();
    let more = json!({ "other": "nobody" });
    let got = TARGET.attack("change-user", &TARGET.certificate(), &more);
    let expected = json!({
        "offered": "go on",
        "signed as another": "refused",
        "offered again": "go on",
        "signature for another": "refused",
        "refused, then as oneself": "in",
        "who": TARGET.cluster.login,
        "answered": [],
    });
    assert_eq!(got, expected);
    let denied = TARGET.audited(before, "access.denied", &["principal"]);
    assert_eq!(denied["login"], "nobody");
}

#[test]
fn requests_that_are_never_granted_are_refused_and_stand_in_the_ledger() {
    let (before, mark) = (TARGET.last(), TARGET.cluster.path("second-mark"));
    let certificate = with(TARGET.certificate(), "serial", json!(1103));
    let got = TARGET.attack("refused-requests", &certificate, &json!({ "mark": mark }));
    for (name, answer) in got.as_object().unwrap() {
        let expected = if name == "then" { "alive" } else { "refused" };
        // paramiko does not wait for the answer to a variable.
        assert!(answer == expected || name == "env", "{name}: {answer}");
    }
    assert!(!mark.exists());
    let opened = TARGET.opened(before, 1103);
    let connection = opened["connection"].as_str().unwrap();
    for request in [
        mark.to_str().unwrap(),
        "pty-req",
        "env LD_PRELOAD",
        "subsystem netconf",
        "an x11 channel",
        "a forwarded-tcpip channel",
        "a session channel",
    ] {
        TARGET.audited(before, "connection.request_refused", &[connection, request]);
    }
}

#[test]
fn a_packet_that_is_longer_than_was_agreed_ends_its_connection() {
    // What was announced (RFC 4254 §5.1), for data and for extended data.
    for (kind, bytes, then) in [
        (94, 32_768, "alive"),
        (94, 32_769, "closed"),
        (95, 32_768, "alive"),
        (95, 32_769, "closed"),
    ] {
        let task = json!({ "kind": kind, "bytes": bytes });
        let got = TARGET.attack("packet", &TARGET.certificate(), &task);
        assert_eq!(got["then"], then, "{kind}: {bytes}");
    }
}

#[test]
fn names_longer_than_there_can_be_lead_nowhere() {
    let before = TARGET.last();
    let got = TARGET.attack("long-names", &TARGET.certificate(), &json!({}));
    assert_eq!(got, json!({ "host": "refused", "origin": "refused", "terminal": "refused" }));
    let told = TARGET.audited(before, "connection.request_refused", &["longer than any"]);
    assert!(told.to_string().len() < 8 * 1024, "{told}");
}

#[test]
fn forwards_that_no_role_allows_are_refused_and_stand_in_the_ledger() {
    let (before, mark) = (TARGET.last(), TARGET.cluster.path("forward-mark"));
    // The certificate has neither permit-port-forwarding nor permit-agent-forwarding.
    let got = TARGET.attack("forwards", &TARGET.certificate(), &json!({ "mark": mark }));
    let expected = json!({
        "direct-tcpip": "refused",
        "tcpip-forward": "refused",
        "streamlocal-forward@openssh.com": "refused",
        "agent": "[]",
    });
    assert_eq!(got, expected);
    assert!(!mark.exists());
    TARGET.audited(before, "access.denied", &["permit-agent-forwarding"]);
    wait_for("four denials of forwards", || {
        let denied = TARGET.cluster.audit("access.denied");
        let fits = |row: &&Value| {
            row["number"].as_u64() > Some(before)
                && row["why"].as_str().is_some_and(|why| why.contains("permit-port-forwarding"))
        };
        denied.iter().filter(fits).count() == 4
    });
}

#[test]
fn variables_that_run_code_do_not_reach_the_program_and_stand_in_the_ledger() {
    let evil = [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "BASH_ENV",
        "ENV",
        "SHELLOPTS",
        "PS4",
        "PROMPT_COMMAND",
    ];
    let more = [
        "PATH",
        "IFS",
        "PYTHONPATH",
        "PERL5OPT",
        "GIT_SSH_COMMAND",
        "HOME",
        "SSH_AUTH_SOCK",
        "GLIBC_TUNABLES",
    ];
    let beyond = ["LD_DEBUG", "MALLOC_CHECK_", "LOCPATH", "HOSTALIASES"];
    let all: Vec<_> = evil.into_iter().chain(more).chain(beyond).collect();
    let before = TARGET.last();
    let asked = json!({ "variables": all.iter().chain(&["LC_GOOD"]).collect::<Vec<_>>() });
    let got = TARGET.attack("variables", &TARGET.certificate(), &asked);
    assert_eq!(got, json!({ "set": ["LC_GOOD"] }));
    for name in all {
        let named = format!("\"{name}\"");
        wait_for(name, || {
            let told = TARGET.cluster.audit("session.variable_refused");
            let late = TARGET.cluster.audit("connection.request_refused");
            told.iter().chain(&late).any(|row| {
                row["number"].as_u64() > Some(before)
                    && (row.to_string().contains(&named) || row["request"] == format!("env {name}"))
            })
        });
    }
}

/// The base64 of a certificate that counts, for the key at `path`.
fn good_certificate(path: &Path) -> String {
    let (key, cluster) = (key(path), &TARGET.cluster);
    cluster.certify(&key, &cluster.login, &["-O", "extension:roles@scry=admin"]);
    let line = fs::read_to_string(format!("{}-cert.pub", key.display())).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn recordings_of_others_are_closed_and_each_try_stands_in_the_ledger() {
    let cluster = &TARGET.cluster;
    assert_success(&cluster.ssh("echo for-my-eyes-only"));
    let id = cluster.recording_of("echo for-my-eyes-only")["id"].as_str().unwrap().to_owned();
    let bob = Person::invited(cluster, "bob", &["access"]);
    let login = cluster.login.as_str();
    for args in [
        &["recordings", "ls", "--user", login][..],
        &["play", &id, "--print"],
        &["recordings", "export", &id, "--output", "-"],
        &["recordings", "rm", "--yes", &id],
    ] {
        let before = TARGET.last();
        let out = bob.run(args);
        assert!(!words(&out).contains("for-my-eyes-only"), "{args:?}: {}", words(&out));
        // Who lists is shown what they may see, which is nothing; who names one fails.
        let lists = args[1] == "ls";
        assert_eq!(out.status.code(), Some(i32::from(!lists)), "{args:?}: {}", words(&out));
        let denied = TARGET.audited(before, "access.denied", &["\"user\":\"bob\""]);
        assert!(denied["why"].as_str().unwrap().contains("allow.recordings"), "{denied}");
        let named = lists || denied["session"] == id.as_str();
        assert!(named, "{args:?}: {denied}");
    }
    assert_success(&cluster.verify(&id));
    assert_eq!(cluster.recording_of("echo for-my-eyes-only")["id"], id.as_str());
    // Who may see them leaves a trace, too.
    let before = TARGET.last();
    assert_success(&cluster.scry(&["recordings", "ls"]));
    let out = cluster.scry(&["play", &id, "--print"]);
    assert_success(&out);
    assert!(text(&out).contains("for-my-eyes-only"), "{}", text(&out));
    TARGET.audited(before, "recording.view", &[&id, "play"]);
    let bobs = bob.run(&["ssh", &format!("bob@{NODE}"), "true"]);
    assert!(!bobs.status.success(), "there is no such account");
}

#[test]
fn a_code_that_is_no_invitation_stands_in_the_ledger() {
    let cluster = &TARGET.cluster;
    let pin = cluster.scry_json(&["nodes", "invite", "--json"])["invitation"]
        .as_str()
        .unwrap()
        .to_owned();
    let (place, _) = pin.rsplit_once('/').unwrap();
    let before = TARGET.last();
    let eve = Person::named(cluster, "eve");
    let out = eve.run(&["signup", &format!("{place}/guess")]);
    assert!(!out.status.success(), "{}", words(&out));
    TARGET.audited(before, "user.invitation_refused", &["127.0.0.1"]);
}

/// A client's agent that holds no key, and where it waits.
fn agent(name: &str) -> (Child, PathBuf) {
    let socket = TARGET.cluster.path(name);
    let mut agent = Command::new("ssh-agent");
    let agent = agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the agent", || socket.exists());
    (agent, socket)
}

/// Prints which process made the agent's socket, as the kernel says: the connection's helper, which removes it at its end.
const HELPER: &str = r#"/usr/bin/python3 -c 'import os, socket as s, struct
agent = s.socket(s.AF_UNIX)
agent.connect(os.environ["SSH_AUTH_SOCK"])
print(struct.unpack("3i", agent.getsockopt(s.SOL_SOCKET, s.SO_PEERCRED, 12))[0])'"#;

#[test]
fn an_agent_socket_that_was_swapped_for_a_link_takes_nothing_with_it() {
    let cluster = &TARGET.cluster;
    let (mut agent, socket) = agent("swap-agent.sock");
    let precious = cluster.path("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("agent"), "precious").unwrap();
    fs::write(cluster.path("file"), "precious").unwrap();
    // The socket becomes a link to a file, then its folder a link to a folder with a file of the socket's name.
    let swap_socket =
        format!("s=$SSH_AUTH_SOCK; rm $s; ln -s {} $s; dirname $s", cluster.path("file").display());
    let swap_folder =
        format!("d=$(dirname $SSH_AUTH_SOCK); rm -r $d; ln -s {} $d; echo $d", precious.display());
    for swap in [swap_socket, swap_folder] {
        let mut ssh = cluster.ssh_command();
        ssh.env("SSH_AUTH_SOCK", &socket);
        ssh.args(["-A", &cluster.host(), &format!("{HELPER}; {swap}")]);
        let out = ssh.output().unwrap();
        assert_success(&out);
        let shown = text(&out);
        let (helper, folder) = shown.split_once('\n').unwrap();
        let (helper, folder) = (helper.parse::<u32>().unwrap(), PathBuf::from(folder));
        assert!(helper > 0 && folder.is_absolute(), "{}", words(&out));
        // One that has ended and that nobody has collected yet has no words left.
        wait_for("the helper's end", || {
            fs::read(format!("/proc/{helper}/cmdline")).unwrap_or_default().is_empty()
        });
        let kept = fs::read_to_string(precious.join("agent"));
        assert_eq!(kept.ok().as_deref(), Some("precious"), "{swap}");
        let _ = fs::remove_file(&folder).or_else(|_| fs::remove_dir_all(&folder));
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(fs::read_to_string(cluster.path("file")).unwrap(), "precious");
}

/// Exchanges with links into a folder, in one step (RENAME_EXCHANGE) and over and over, what is made for the connections of
/// whoever runs it: folders of agents' sockets, the sockets in them, the X11 authority. Says how often it did.
const EXCHANGE: &str = r#"
import ctypes, os, sys, time
vault, until = sys.argv[1], time.time() + float(sys.argv[2])
libc, began, times = ctypes.CDLL(None), {}, [0, 0, 0]
bases = [base for base in ("/tmp", f"/run/user/{os.getuid()}") if os.path.isdir(base)]

def is_own_folder(entry):
    return entry.name.startswith("scry-agent-") and entry.stat(follow_symlinks=False).st_uid == os.getuid()

def exchange(path, leads_to):
    other = os.path.join(os.path.dirname(path), "other-" + os.path.basename(path))
    try:
        if not os.path.islink(path) and not os.path.islink(other):
            if os.path.lexists(other):
                os.unlink(other)
            os.symlink(leads_to, other)
    except OSError:
        pass
    return libc.renameat2(-100, path.encode(), -100, other.encode(), 2) == 0

while time.time() < until:
    try:
        folders = [entry.path for base in bases for entry in os.scandir(base) if is_own_folder(entry)]
    except OSError:
        continue
    for folder in folders:
        # One whose connection is over is left alone.
        if time.time() < began.setdefault(folder, time.time()) + 2:
            times[0] += exchange(folder, vault)
            times[1] += exchange(folder + "/agent", vault + "/agent")
    times[2] += exchange(os.path.expanduser("~/.Xauthority"), vault + "/file")
print(*times)
"#;

/// What becomes another when anything is done to a file or a folder but to look at it.
fn standing(path: &Path) -> (u64, u32, u32, u32, i64, i64) {
    let it = fs::symlink_metadata(path).unwrap();
    (it.ino(), it.mode(), it.uid(), it.gid(), it.ctime(), it.ctime_nsec())
}

#[test]
fn who_exchanges_sockets_and_authority_for_links_without_end_changes_nothing_of_anothers() {
    if !is_root() {
        eprintln!("skipped: who_exchanges_sockets_and_authority_for_links: needs root");
        return;
    }
    let cluster = &TARGET.cluster;
    let (mut agent, socket) = agent("race-agent.sock");
    let (other, thief) = (Account::new(cluster, "hold"), Account::new(cluster, "race"));
    // A folder of another account's that everybody may look into, with a socket and a file.
    let vault = tempfile::tempdir().unwrap();
    let vault = vault.path();
    let canary = UnixListener::bind(vault.join("agent")).unwrap();
    canary.set_nonblocking(true).unwrap();
    fs::write(vault.join("file"), "precious").unwrap();
    let all = [vault.to_owned(), vault.join("agent"), vault.join("file")];
    let theirs = fs::metadata(&other.home).unwrap();
    for (path, mode) in all.iter().zip([0o755, 0o600, 0o644]) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, Some(theirs.uid()), Some(theirs.gid())).unwrap();
    }
    let before: Vec<_> = all.iter().map(|path| standing(path)).collect();
    assert_success(&thief.run("true"));
    let seconds = if long() { 30 } else { 5 };
    let exchange = format!("/usr/bin/python3 - {} {seconds}", vault.display());
    let connect = |flag: &str| {
        let mut ssh = thief.ssh(&[]);
        ssh.env("SSH_AUTH_SOCK", &socket).env("DISPLAY", ":7");
        ssh.env("XAUTHORITY", cluster.path("no-authority"));
        ssh.args([flag, &cluster.host(), "ssh-add -l; true"]);
        ssh.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let (rounds, out) = std::thread::scope(|scope| {
        let mut ssh = thief.ssh(&[]);
        ssh.arg(cluster.host()).arg(&exchange);
        let exchanging = scope.spawn(move || output_with(&mut ssh, EXCHANGE));
        let mut rounds = 0;
        while !exchanging.is_finished() {
            for mut one in ["-A", "-Y"].map(connect) {
                assert!(one.wait().unwrap().success(), "round {rounds}");
            }
            rounds += 1;
        }
        (rounds, exchanging.join().unwrap())
    });
    assert_success(&out);
    let times: Vec<u64> = text(&out).split(' ').map(|times| times.parse().unwrap()).collect();
    println!("{rounds} rounds, {times:?} exchanges of folders, sockets and authorities");
    assert!(times[0] > 0 && times[1] > 0, "nothing was exchanged while it was in use");
    if has("xauth") {
        assert!(times[2] > 0, "no authority was exchanged: there was none");
    } else {
        eprintln!("skipped: who_exchanges_sockets_and_authority_for_links: X11 needs xauth");
    }
    // What was made for the connections is removed a moment behind their end; what the thief has left there, by them.
    std::thread::sleep(std::time::Duration::from_millis(500));
    thief.run("rm -rf /tmp/*scry-agent-* /run/user/$(id -u)/*scry-agent-*");
    agent.kill().unwrap();
    agent.wait().unwrap();
    let after: Vec<_> = all.iter().map(|path| standing(path)).collect();
    assert_eq!(after, before, "somebody else's was changed");
    let reached = canary.accept().map_err(|none| none.kind());
    assert!(matches!(reached, Err(std::io::ErrorKind::WouldBlock)), "reached: {reached:?}");
    assert_eq!(fs::read_to_string(vault.join("file")).unwrap(), "precious");
    // Each was lent or not lent, and the ledger says which.
    for direction in ["agent", "x11"] {
        wait_for(&format!("{rounds} times {direction} in the ledger"), || {
            let told = ["forward.listen", "forward.failed"].map(|event| cluster.audit(event));
            let of_it = told
                .iter()
                .flatten()
                .filter(|row| row["login"] == thief.name.as_str() && row["direction"] == direction);
            of_it.count() >= rounds
        });
    }
}

#[test]
fn what_the_ledger_prints_is_as_published() {
    let cluster = &TARGET.cluster;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/audit.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(page).unwrap()).unwrap();
    let invited = ["nodes", "invite", "--name", "other", "--label", "env=prod"];
    assert_success(&cluster.scry(&invited));
    assert_success(&cluster.ssh("echo published"));
    cluster.recording_of("echo published");
    TARGET.attack("other-methods", &TARGET.certificate(), &json!({}));
    TARGET.audited(0, "connection.refused", &["a password for"]);
    let rows = cluster.scry_json(&["audit", "ls", "--json", "--limit", "1000"]);
    let rows = rows.as_array().unwrap();
    for row in rows {
        house::schema::check(&schema, row).unwrap();
    }
    let words: std::collections::BTreeSet<_> =
        rows.iter().map(|row| row["event"].as_str().unwrap()).collect();
    for word in ["auth.start", "node.start", "node.invite", "session.exec", "connection.refused"] {
        assert!(words.contains(word), "{word} is not among {words:?}");
    }
    // The check itself finds what is wrong.
    let good = rows.iter().find(|row| row["event"] == "session.exec").unwrap();
    for (what, bad) in [
        ("a field that is not published", with(good.clone(), "secret", json!("x"))),
        ("a field of another kind", with(good.clone(), "command", json!(7))),
        ("another event's code", with(good.clone(), "code", json!("S0001I"))),
        ("no such event", with(good.clone(), "event", json!("session.nothing"))),
    ] {
        assert!(house::schema::check(&schema, &bad).is_err(), "{what}");
    }
}

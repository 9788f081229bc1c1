//! Before anybody has come: what waits, what is refused, and how the wait ends.

use crate::{A_WHILE, bob_and_carol, ended_because, join, nothing_runs, time_line};
use house::apart::Apart;
use house::eyes::{
    Client, Counter, DEMAND, listed, processes, set_roles, stands_as, told, with_eyes,
};
use house::person::words;
use house::terminal::Terminal;
use house::{free_port, output_with, text, wait_for};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn without_a_second_person_nothing_begins_whatever_was_asked_for() {
    let cluster = with_eyes("");
    let (bob, _carol) = bob_and_carol(&cluster);
    let (host, config) = (cluster.host(), cluster.path("bob.ssh_config"));
    drop(bob.ssh_command());
    let local = cluster.path("local");
    fs::write(&local, "something").unwrap();
    let mark = |name: &str| cluster.path(&format!("mark-{name}"));
    let there = |name: &str| format!("{host}:{}", mark(name).display());
    let touch = |name: &str| format!("touch {}", mark(name).display());
    let batch = cluster.path("batch");
    fs::write(&batch, format!("put {} {}\n", local.display(), mark("sftp").display())).unwrap();
    let with = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.arg("-F").arg(&config).args(args).env_remove("SSH_AUTH_SOCK");
        Client::start(command)
    };
    let local = local.to_str().unwrap();
    let clients = [
        ("shell", Client::open(&cluster, &bob, &["-tt"], "")),
        ("piped", Client::open(&cluster, &bob, &[], "")),
        ("exec", Client::open(&cluster, &bob, &[], &touch("exec"))),
        ("terminal", Client::open(&cluster, &bob, &["-tt"], &touch("terminal"))),
        ("sftp", with("sftp", &["-b", batch.to_str().unwrap(), &host])),
        ("scp", with("scp", &[local, &there("scp")])),
        ("old-scp", with("scp", &["-O", local, &there("old-scp")])),
    ];
    let mut waiting: Vec<_> =
        clients.into_iter().map(|(name, client)| (name, client.waits(), client)).collect();
    for (name, session, client) in &mut waiting {
        let said = client.said();
        assert!(said.contains("this session waits") && said.contains(DEMAND), "{name}: {said}");
        if ["shell", "piped"].contains(name) {
            client.types(&format!("{}\n", touch(name)));
        }
        stands_as(&cluster, session, "waiting");
    }
    std::thread::sleep(A_WHILE);
    for (name, session, client) in &mut waiting {
        nothing_runs(&cluster, session, name);
        assert!(!client.has_ended() && !mark(name).exists(), "{name}");
        told(&cluster, "session.waits", |event| {
            event["session"] == session.as_str() && event["why"].to_string().contains(DEMAND)
        });
        client.signal("TERM");
    }
    for (name, session, mut client) in waiting {
        client.ended();
        ended_because(&cluster, &session, "");
        assert!(!mark(name).exists() && processes(&session).is_empty(), "{name}");
    }
}

#[test]
fn a_second_session_of_a_connection_waits_though_the_first_is_looked_at() {
    let cluster = with_eyes("");
    let (bob, carol) = bob_and_carol(&cluster);
    let control = cluster.path("control");
    let control = format!("ControlPath={}", control.display());
    let open = |master: &str, counter: &Counter| {
        let flags = ["-o", &control, "-o", master];
        Client::open(&cluster, &bob, &flags, &counter.command())
    };
    let (first, second) = (Counter::new(&cluster, "first"), Counter::new(&cluster, "second"));
    let one = open("ControlMaster=auto", &first);
    let _carol = Client::come(&cluster, &carol, &one.waits(), "moderator");
    first.runs();
    let two = open("ControlMaster=no", &second);
    let session = two.waits();
    assert_ne!(session, one.waits());
    std::thread::sleep(A_WHILE);
    assert!(second.is_unborn());
    nothing_runs(&cluster, &session, "the second");
    first.runs();
}

#[test]
fn nothing_is_forwarded_beside_a_session_that_somebody_must_look_at() {
    let cluster = with_eyes("");
    let (bob, carol) = bob_and_carol(&cluster);
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let to = format!("127.0.0.1:{}", target.local_addr().unwrap().port());
    let port = free_port();
    let connect = || {
        let mut stream = None;
        wait_for("the client's port", || {
            stream = TcpStream::connect(("127.0.0.1", port)).ok();
            stream.is_some()
        });
        stream.unwrap()
    };
    let prohibited = "administratively prohibited";
    let socket = format!("127.0.0.1:{port}:{}", cluster.path("nowhere").display());
    let local = format!("127.0.0.1:{port}:{to}");
    for (flag, what) in [("-L", &local), ("-L", &socket), ("-D", &format!("127.0.0.1:{port}"))] {
        let mut client = Client::open(&cluster, &bob, &["-N", flag, what], "");
        let mut stream = connect();
        if flag == "-D" {
            let port = target.local_addr().unwrap().port().to_be_bytes();
            stream.write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port[0], port[1]]).unwrap();
        }
        client.wait_said(prohibited);
        assert!(!client.has_ended());
    }
    let mut netcat = Client::open(&cluster, &bob, &["-W", &to], "");
    assert!(!netcat.ended().success());
    let back = format!("127.0.0.1:0:{to}");
    let flags = ["-N", "-o", "ExitOnForwardFailure=yes", "-R", &back];
    let mut remote = Client::open(&cluster, &bob, &flags, "");
    assert!(!remote.ended().success());

    // Nor beside one that somebody looks at.
    let agent = cluster.path("agent.sock");
    let mut server = Command::new("ssh-agent");
    let mut server = server.args(["-D", "-a"]).arg(&agent).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the agent", || agent.exists());
    let mut ssh = bob.ssh_command();
    ssh.env("SSH_AUTH_SOCK", &agent).env("DISPLAY", ":77").args(["-A", "-Y", "-L", &local]);
    ssh.args([&cluster.host(), "echo agent=[$SSH_AUTH_SOCK] display=[$DISPLAY]; cat"]);
    let mut open = Client::start(ssh);
    let _carol = Client::come(&cluster, &carol, &open.waits(), "moderator");
    open.wait_printed("agent=[] display=[]");
    let mut nothing = Vec::new();
    let _ = connect().read_to_end(&mut nothing);
    assert!(nothing.is_empty() && target.accept().is_err(), "nobody came through");
    open.ends_input();
    assert!(open.ended().success());
    server.kill().unwrap();
    server.wait().unwrap();
    let denied =
        ["connections from the client", "ports of box", "forward the agent", "show windows"];
    wait_for("all denials", || {
        let rows = cluster.audit("access.denied");
        let has = |what: &str| {
            rows.iter().any(|row| {
                row["user"] == "bob"
                    && row["action"].to_string().contains(what)
                    && row["why"].to_string().contains("a second person must be there")
            })
        };
        denied.iter().all(|what| has(what))
    });
}

#[test]
fn whoever_does_not_want_to_wait_gives_up_or_hangs_up_and_nothing_was_begun() {
    let cluster = with_eyes("");
    let (bob, _carol) = bob_and_carol(&cluster);
    let counter = Counter::new(&cluster, "counter");
    let why = ["given up before anybody came", "given up before anybody came", "disconnected"];
    for (key, why) in ["\u{3}", "\u{4}", ""].into_iter().zip(why) {
        let mut owner = Client::open(&cluster, &bob, &["-tt"], &counter.command());
        let session = owner.waits();
        stands_as(&cluster, &session, "waiting");
        match key {
            "" => owner.signal("KILL"),
            key => owner.types(&format!("ls{key}")),
        }
        assert!(!owner.ended().success());
        ended_because(&cluster, &session, why);
        wait_for("the list", || listed(&cluster, &session).is_null());
        assert!(counter.is_unborn() && processes(&session).is_empty());
        let lines = time_line(&cluster, &session);
        assert!(lines.contains("waits"), "{lines}");
    }
}

#[test]
fn a_terminal_whose_input_has_ended_waits_as_long_as_any_other() {
    let cluster = with_eyes("");
    let (bob, carol) = bob_and_carol(&cluster);
    let mut owner = Client::open(&cluster, &bob, &["-tt"], "echo it began");
    owner.ends_input();
    let session = owner.waits();
    std::thread::sleep(Duration::from_secs(1));
    nothing_runs(&cluster, &session, "a terminal whose input has ended");
    let _carol = Client::come(&cluster, &carol, &session, "moderator");
    owner.wait_printed("it began");
}

#[test]
fn when_somebody_comes_it_begins_and_what_was_sent_meanwhile_arrives_whole() {
    let cluster = with_eyes("");
    let (bob, carol) = bob_and_carol(&cluster);
    let mut owner = Client::open(&cluster, &bob, &[], "sha256sum");
    let session = owner.waits();
    let line = blake3::hash(b"something").to_hex();
    let input = format!("{line}\n").repeat(100_000);
    owner.types(&input);
    owner.ends_input();
    nothing_runs(&cluster, &session, "the hash");
    // As the line says that they come.
    let line = join(&cluster, "carol", &session);
    let moderator = Terminal::start(cluster.folder.path(), 80, 24, &line);
    assert!(owner.ended().success());
    let own = output_with(&mut Command::new("sha256sum"), &input);
    assert_eq!(owner.printed(), format!("{}\n", text(&own)));
    assert!(owner.said().contains("the session begins"), "{}", owner.said());
    moderator.wait_for("the session is over");

    let (file, config) = (cluster.path("file"), cluster.path("bob.ssh_config"));
    fs::write(&file, &input).unwrap();
    for flags in [&["-s"][..], &["-O"][..]] {
        let there = cluster.path("there");
        let mut scp = Command::new("scp");
        scp.arg("-F").arg(&config).args(flags).arg(&file);
        scp.arg(format!("{}:{}", cluster.host(), there.display())).env_remove("SSH_AUTH_SOCK");
        let mut scp = Client::start(scp);
        let _carol = Client::come(&cluster, &carol, &scp.waits(), "moderator");
        assert!(scp.ended().success(), "{}", scp.said());
        assert_eq!(fs::read_to_string(&there).unwrap(), input);
        fs::remove_file(&there).unwrap();
    }

    // A terminal's typing is not kept for a program that is not there yet; only what comes afterwards is for it.
    let mut owner = Client::open(&cluster, &bob, &["-tt"], "cat");
    let session = owner.waits();
    owner.types("too early\n");
    std::thread::sleep(Duration::from_millis(500));
    let mut moderator = Client::come(&cluster, &carol, &session, "moderator");
    owner.wait_said("the session begins");
    owner.types("just right\n");
    owner.wait_printed("just right\r\njust right");
    assert!(!owner.printed().contains("early"), "{}", owner.printed());
    moderator.wait_printed("just right");
    moderator.types("q");
    assert!(moderator.ended().success());
}

#[test]
fn what_is_not_recorded_can_be_looked_at_by_nobody_and_is_not_begun() {
    let cluster = with_eyes("[options]\nrecord = 'off'");
    let (bob, _carol) = bob_and_carol(&cluster);
    let out = bob.ssh(&format!("touch {}", cluster.path("mark").display()));
    assert!(!out.status.success() && words(&out).contains("must be recorded"), "{}", words(&out));
    assert!(!cluster.path("mark").exists());
}

#[test]
fn a_node_that_does_not_hear_auth_begins_no_session_that_needs_a_second_person() {
    let mut apart = Apart::in_three(str::to_owned);
    set_roles(&apart.cluster, "");
    let (bob, carol) = bob_and_carol(&apart.cluster);
    let counter = Counter::new(&apart.cluster, "counter");
    let mut ssh = bob.ssh_command();
    ssh.args([&apart.cluster.host(), &counter.command()]);
    let owner = Client::open(&apart.cluster, &bob, &[], "cat");
    let _carol = Client::seated(&apart.cluster, &carol, &owner.waits(), "moderator");
    apart.kill_cluster();
    // A node takes notice after two beats that did not come.
    std::thread::sleep(Duration::from_secs(32));
    let out = ssh.output().unwrap();
    let said = words(&out);
    assert!(!out.status.success());
    assert!(
        said.contains("auth does not answer, and your role asks for a second person"),
        "{said}"
    );
    assert!(counter.is_unborn());
}

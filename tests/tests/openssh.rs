//! Unmodified OpenSSH and what is built on it, through `scry config`. One cluster serves all of them, as it would a person.

use house::eyes::Client;
use house::keys::new_key;
use house::{
    Cluster, NODE, assert_success, free_port, is_root, output_with, serve_each, text, wait_for,
};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start_shared);

#[test]
fn exec_gives_output_and_exit_code_as_ssh_does() {
    for (command, code, out, err) in [
        ("true", 0, "", ""),
        ("exit 42", 42, "", ""),
        ("exit 255", 255, "", ""),
        ("printf out; printf err >&2", 0, "out", "err"),
        ("cat /dev/null; false", 1, "", ""),
        ("no-such-program-here 2>/dev/null", 127, "", ""),
    ] {
        let got = CLUSTER.ssh(command);
        assert_eq!(got.status.code(), Some(code), "{command}");
        assert_eq!(String::from_utf8_lossy(&got.stdout), out, "{command}");
        assert_eq!(String::from_utf8_lossy(&got.stderr), err, "{command}");
    }
}

#[test]
fn a_program_killed_by_a_signal_is_reported_and_recorded_as_such() {
    let got = CLUSTER.ssh("kill -TERM $$");
    // OpenSSH's client answers an exit-signal with 255.
    assert_eq!(got.status.code(), Some(255));
    let row = CLUSTER.recording_of("kill -TERM $$");
    assert_eq!(row["ending"], "signal TERM");
}

#[test]
fn a_recording_has_the_right_facts_and_verifies_offline() {
    assert_eq!(CLUSTER.ssh("printf facts; exit 3").status.code(), Some(3));
    let row = CLUSTER.recording_of("printf facts; exit 3");
    assert_eq!(row["user"], CLUSTER.login.as_str());
    assert_eq!(row["login"], CLUSTER.login.as_str());
    assert_eq!(row["node"], NODE);
    assert_eq!(row["kind"], "exec");
    assert_eq!(row["ending"], "exit 3");
    assert_eq!(row["gaps"], 0);
    let id = row["id"].as_str().unwrap();
    let out = CLUSTER.verify(id);
    assert_success(&out);
    assert!(text(&out).contains("complete"), "{}", text(&out));
    let transcript = CLUSTER.export(id, "text");
    assert!(fs::read_to_string(transcript).unwrap().contains("facts"));
}

#[test]
fn a_shell_reads_commands_from_standard_input() {
    let mut ssh = CLUSTER.ssh_command();
    let out = output_with(ssh.arg(CLUSTER.host()), "echo from-$((40+2))\nexit 5\n");
    assert!(text(&out).contains("from-42"), "{out:?}");
    assert_eq!(out.status.code(), Some(5));
}

#[test]
fn a_terminal_is_a_terminal() {
    let mut ssh = CLUSTER.ssh_command();
    let out =
        ssh.args(["-tt", &CLUSTER.host(), "tty; stty size; echo $TERM; test -t 0 && echo yes"]);
    let out = out.output().unwrap();
    let shown = text(&out);
    assert!(shown.contains("/dev/pts/"), "{shown}");
    assert!(shown.contains("xterm-256color") && shown.contains("yes"), "{shown}");
}

#[test]
fn a_program_that_lets_go_of_its_terminal_before_it_ends_keeps_its_status() {
    let mark = CLUSTER.path("mark-of-touch");
    // `touch` puts the file in the place of its standard input and closes the rest before it ends.
    for (command, status) in
        [("exec 0<&- 1>&- 2>&-; sleep 0.3; exit 7", 7), (&*format!("touch {}", mark.display()), 0)]
    {
        let mut ssh = CLUSTER.ssh_command();
        let out = ssh.args(["-tt", &CLUSTER.host(), command]).output().unwrap();
        assert_eq!(out.status.code(), Some(status), "{command}: {out:?}");
    }
}

#[test]
fn only_harmless_environment_variables_pass() {
    let mut ssh = CLUSTER.ssh_command();
    ssh.args(["-o", "SendEnv=LC_SCRY LD_PRELOAD BASH_ENV"]);
    ssh.env("LC_SCRY", "passed").env("LD_PRELOAD", "").env("BASH_ENV", "/tmp/evil");
    let out = ssh.args([&CLUSTER.host(), "env"]).output().unwrap();
    let shown = text(&out);
    assert!(shown.contains("LC_SCRY=passed"), "{shown}");
    assert!(!shown.contains("LD_PRELOAD") && !shown.contains("BASH_ENV"), "{shown}");
}

fn random_file(name: &str, size: usize) -> std::path::PathBuf {
    let path = CLUSTER.path(name);
    let mut bytes = vec![0; size];
    let mut seed = [7; 32];
    seed[0] = u8::try_from(name.len()).unwrap();
    blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut bytes);
    fs::write(&path, bytes).unwrap();
    path
}

fn transfer(program: &str, flags: &[&str]) {
    let path = random_file(&format!("{program}{}", flags.concat()), 3_000_000);
    let there = format!("{}.there", path.display());
    let back = format!("{}.back", path.display());
    let config = CLUSTER.config();
    let run = |from: &str, to: &str| {
        let mut command = Command::new(program);
        command.arg("-F").arg(&config).args(flags).args(["-q", from, to]);
        assert_success(&command.env_remove("SSH_AUTH_SOCK").output().unwrap());
    };
    run(path.to_str().unwrap(), &format!("{}:{there}", CLUSTER.host()));
    run(&format!("{}:{there}", CLUSTER.host()), &back);
    assert_eq!(fs::read(&path).unwrap(), fs::read(back).unwrap());
}

#[test]
fn scp_works_over_sftp() {
    transfer("scp", &[]);
}

#[test]
fn scp_works_in_its_old_mode() {
    transfer("scp", &["-O"]);
}

#[test]
fn sftp_lists_makes_renames_and_removes() {
    let folder = CLUSTER.path("sftp-there");
    fs::create_dir(&folder).unwrap();
    let file = random_file("sftp-file", 100_000);
    let batch = CLUSTER.path("batch");
    let text_ = format!(
        "put {} {}/a\nrename {1}/a {1}/b\nmkdir {1}/d\nls -l {1}\nget {1}/b {1}/c\nrm {1}/b\nrmdir {1}/d\n",
        file.display(),
        folder.display()
    );
    fs::write(&batch, text_).unwrap();
    let mut sftp = Command::new("sftp");
    sftp.arg("-F").arg(CLUSTER.config()).arg("-b").arg(&batch).arg(CLUSTER.host());
    assert_success(&sftp.env_remove("SSH_AUTH_SOCK").output().unwrap());
    assert_eq!(fs::read(folder.join("c")).unwrap(), fs::read(file).unwrap());
    assert!(!folder.join("b").exists() && !folder.join("d").exists());
    let rows = CLUSTER.stored_recordings();
    assert!(
        rows.iter().any(|row| row["kind"] == "subsystem" && row["name"] == "sftp"),
        "{rows:#?}"
    );
}

#[test]
fn rsync_copies_a_tree_of_5000_files() {
    let from = CLUSTER.path("tree");
    for i in 0..5000 {
        let folder = from.join(format!("d{}", i % 50));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{i}")), format!("file {i}\n").repeat(i % 20)).unwrap();
    }
    let to = CLUSTER.path("tree-copy");
    let mut rsync = Command::new("rsync");
    rsync.arg("-a").arg("-e").arg(format!("ssh -F {}", CLUSTER.config().display()));
    rsync.arg(format!("{}/", from.display()));
    rsync.arg(format!("{}:{}/", CLUSTER.host(), to.display()));
    assert_success(&rsync.env_remove("SSH_AUTH_SOCK").output().unwrap());
    let differ = Command::new("diff").arg("-r").arg(&from).arg(&to).output().unwrap();
    assert_success(&differ);
    let rows = CLUSTER.stored_recordings();
    let server = rows.iter().find(|row| {
        row["command"].as_str().is_some_and(|command| command.starts_with("rsync --server"))
    });
    assert_eq!(server.expect("rsync was recorded")["ending"], "exit 0");
}

#[test]
fn git_clones_over_ssh() {
    let repo = CLUSTER.path("repo");
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=T", "-c", "user.email=t@example.org"]).args(args);
        git.env("GIT_SSH_COMMAND", format!("ssh -F {}", CLUSTER.config().display()));
        assert_success(&git.env_remove("SSH_AUTH_SOCK").output().unwrap());
    };
    let path = repo.to_str().unwrap();
    git(&["init", "-q", path]);
    fs::write(repo.join("file"), "hello\n").unwrap();
    git(&["-C", path, "add", "."]);
    git(&["-C", path, "commit", "-qm", "one"]);
    let clone = CLUSTER.path("clone");
    git(&["clone", "-q", &format!("{}:{path}", CLUSTER.host()), clone.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(clone.join("file")).unwrap(), "hello\n");
}

/// Answers with what it got, in capitals.
fn answer(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let _ = stream.write_all(&bytes.to_ascii_uppercase());
}

fn shout(mut stream: TcpStream) -> String {
    stream.write_all(b"hello").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn with_forward(flag: &str, spec: &str, use_it: impl FnOnce()) {
    let mut ssh = CLUSTER.ssh_command();
    ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", flag, spec]).arg(CLUSTER.host());
    let mut child = ssh.spawn().unwrap();
    use_it();
    child.kill().unwrap();
    child.wait().unwrap();
}

fn connect(port: u16) -> TcpStream {
    let mut stream = None;
    wait_for(&format!("port {port}"), || {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    stream.unwrap()
}

#[test]
fn ports_are_forwarded_from_here_and_from_there_and_the_ledger_says_so() {
    let target = serve_each(answer);
    let port = free_port();
    with_forward("-L", &format!("127.0.0.1:{port}:127.0.0.1:{target}"), || {
        assert_eq!(shout(connect(port)), "HELLO");
    });
    let back = free_port();
    with_forward("-R", &format!("127.0.0.1:{back}:127.0.0.1:{target}"), || {
        assert_eq!(shout(connect(back)), "HELLO");
    });
    wait_for("both forwards in the ledger", || {
        let closed = CLUSTER.audit("forward.close");
        let has = |direction: &str| {
            closed.iter().any(|event| {
                event["direction"] == direction && event["sent"] == 5 && event["received"] == 5
            })
        };
        has("local") && has("remote")
    });
}

#[test]
fn a_socks_proxy_reaches_what_the_node_reaches() {
    let target = serve_each(answer);
    let port = free_port();
    with_forward("-D", &format!("127.0.0.1:{port}"), || {
        let mut stream = connect(port);
        stream.write_all(&[5, 1, 0]).unwrap();
        let mut two = [0; 2];
        stream.read_exact(&mut two).unwrap();
        assert_eq!(two, [5, 0]);
        let mut request = vec![5, 1, 0, 1, 127, 0, 0, 1];
        request.extend(target.to_be_bytes());
        stream.write_all(&request).unwrap();
        let mut ten = [0; 10];
        stream.read_exact(&mut ten).unwrap();
        assert_eq!(ten[1], 0);
        assert_eq!(shout(stream), "HELLO");
    });
}

#[test]
fn the_agent_is_reached_from_the_node() {
    let socket = CLUSTER.path("agent.sock");
    let mut agent = Command::new("ssh-agent");
    let mut agent = agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the agent", || socket.exists());
    let key = CLUSTER.path("agent-key");
    new_key(&key);
    let add = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).output();
    assert_success(&add.unwrap());
    let mut ssh = CLUSTER.ssh_command();
    ssh.env("SSH_AUTH_SOCK", &socket).args([
        "-A",
        &CLUSTER.host(),
        "ssh-add -l; ls -ld $(dirname $SSH_AUTH_SOCK)",
    ]);
    let out = ssh.output().unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    let shown = text(&out);
    assert!(shown.contains("ED25519"), "{shown} {}", String::from_utf8_lossy(&out.stderr));
    assert!(shown.contains("drwx------"), "the socket's folder is private: {shown}");
}

#[test]
fn thirty_sessions_share_one_connection_and_are_thirty_recordings() {
    let control = CLUSTER.path("control");
    let ssh = || {
        let mut ssh = CLUSTER.ssh_command();
        ssh.arg("-o").arg(format!("ControlPath={}", control.display()));
        ssh
    };
    let mut master = ssh();
    master.args(["-M", "-N"]).arg(CLUSTER.host());
    // Ends with the test, whatever comes of it: who holds the tests' output open holds up the run.
    let master = Client::start(master);
    wait_for("the master", || control.exists());
    let children: Vec<_> = (0..30)
        .map(|i| {
            let mut one = ssh();
            one.args([&CLUSTER.host(), &format!("echo mux-{i}; sleep 0.5")]);
            one.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (i, child) in children.into_iter().enumerate() {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "session {i}: {out:?}\n{}", CLUSTER.log());
        assert_eq!(text(&out), format!("mux-{i}"));
    }
    drop(master);
    let rows = CLUSTER.stored_recordings();
    let count = rows.iter().filter(|row| {
        row["command"].as_str().is_some_and(|command| command.starts_with("echo mux-"))
    });
    assert_eq!(count.count(), 30);
}

#[test]
fn the_jump_host_carries_plain_ssh() {
    let mut ssh = CLUSTER.ssh_command();
    ssh.args(["-J", &format!("proxy.{}", house::CLUSTER), &CLUSTER.host(), "echo jumped"]);
    let out = ssh.output().unwrap();
    assert_success(&out);
    assert_eq!(text(&out), "jumped");
}

#[test]
fn nobody_is_asked_to_trust_a_key_at_first_sight() {
    let mut ssh = CLUSTER.ssh_command();
    ssh.args([
        "-v",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "LogLevel=DEBUG1",
        &CLUSTER.host(),
        "true",
    ]);
    let out = ssh.output().unwrap();
    assert_success(&out);
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(log.contains("Server host certificate: ssh-ed25519-cert-v01@openssh.com"), "{log}");
}

#[test]
fn compression_and_rekeying_do_no_harm() {
    let run = |command: &str| {
        let mut ssh = CLUSTER.ssh_command();
        ssh.args(["-C", "-o", "RekeyLimit=1M", &CLUSTER.host(), command]);
        let out = ssh.output().unwrap();
        assert_success(&out);
        out
    };
    run("head -c 20000000 /dev/zero | sha256sum");
    let out = run("head -c 20000000 /dev/urandom | tee /dev/stderr | sha256sum");
    assert_eq!(out.stderr.len(), 20_000_000);
}

#[test]
fn a_certificate_without_permit_pty_opens_no_terminal() {
    let key = CLUSTER.path("no-pty");
    new_key(&key);
    CLUSTER.certify(&key, &CLUSTER.login, &["-O", "clear", "-O", "extension:roles@scry=admin"]);
    let with = |flag: &str| {
        let mut ssh = CLUSTER.ssh_command();
        ssh.arg("-o").arg(format!("CertificateFile={}-cert.pub", key.display()));
        ssh.arg("-i").arg(&key).args([flag, &CLUSTER.host(), "echo in"]).output().unwrap()
    };
    assert_eq!(text(&with("-T")), "in");
    let out = with("-tt");
    let words = String::from_utf8_lossy(&out.stderr).into_owned() + &text(&out);
    assert!(!out.status.success() && words.contains("does not allow a terminal"), "{words}");
    wait_for("the refusal in the ledger", || {
        CLUSTER.audit("access.denied").iter().any(|event| {
            event["action"] == "open a terminal"
                && event["why"] == "the certificate has no permit-pty"
                && event["login"] == CLUSTER.login.as_str()
        })
    });
}

#[test]
fn an_openssh_server_does_not_take_a_certificate_for_one_terminal() {
    let sshd = std::path::Path::new("/usr/sbin/sshd");
    if !is_root() || !sshd.exists() {
        eprintln!("skipped: a server of OpenSSH is not there, or needs root");
        return;
    }
    let (key, host, port) = (CLUSTER.path("for-sshd"), CLUSTER.path("sshd-host"), free_port());
    new_key(&key);
    new_key(&host);
    let authority = CLUSTER.path("sshd-authority.pub");
    let mut read = Command::new("ssh-keygen");
    let public = read.arg("-yf").arg(CLUSTER.path("data/auth/keys/user_ca")).output().unwrap();
    fs::write(&authority, &public.stdout).unwrap();
    let settings = CLUSTER.path("sshd.conf");
    let lines = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nTrustedUserCAKeys {}\n\
         AuthorizedKeysFile none\nPidFile none\nUsePAM no\nPermitRootLogin yes\nStrictModes no\n",
        host.display(),
        authority.display()
    );
    fs::write(&settings, lines).unwrap();
    fs::create_dir_all("/run/sshd").unwrap();
    let mut server = Command::new(sshd).args(["-D", "-f"]).arg(&settings).spawn().unwrap();
    wait_for("the server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let enter = |flags: &[&str]| {
        CLUSTER.certify(&key, "root", flags);
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]);
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        ssh.args(["-p", &port.to_string(), "-i"]).arg(&key);
        ssh.args(["root@127.0.0.1", "echo in"]).output().unwrap()
    };
    assert_eq!(text(&enter(&[])), "in", "another certificate of the authority counts there");
    let only = "critical:only@scry=node=web-01,login=root,proxy=front,before=9999999999999";
    let out = enter(&["-O", only]);
    assert!(!out.status.success() && out.stdout.is_empty(), "{out:?}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn what_a_client_sets_and_a_command_of_any_bytes_stand_in_the_recording() {
    let mut ssh = CLUSTER.ssh_command();
    ssh.args(["-o", "SetEnv=LC_SCRY=a-program", &CLUSTER.host()]);
    ssh.arg(std::ffi::OsStr::from_bytes(b"printf \"$LC_SCRY\" # \xff\xfe"));
    assert_eq!(text(&ssh.output().unwrap()), "a-program");
    let row = CLUSTER.recording_of("printf \"$LC_SCRY\" # \\xff\\xfe");
    let id = row["id"].as_str().unwrap();
    let out = CLUSTER.scry(&["recordings", "export", id, "--format", "jsonl", "-o", "-"]);
    assert!(text(&out).contains("env LC_SCRY=a-program"), "{}", text(&out));
}

//! Sessions with real processes, as the account that runs the tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a failure is the result"
)]

mod common;
use common::*;

use host::{Addresses, Child, Ended, Exit, Io, Plan, SignalError, SpawnError, What};
use model::Size;
use std::time::Duration;

const SIZE: (u32, u32) = (101, 33);

fn size() -> Size {
    Size::clamped(SIZE.0, SIZE.1)
}

async fn check_exit(command: &str, wanted: Exit) {
    for plan in [plan(command), plan_on_terminal(command, size())] {
        assert_eq!(run_plan(&own(), plan, b"").await.exit, wanted, "{command}");
    }
}

#[tokio::test]
async fn a_program_ends_with_its_status_or_its_signal_on_pipes_and_on_a_terminal() {
    let signal = |name: &str| Exit::Signal { name: name.into(), core: false };
    check_exit("exit 0", Exit::Status(0)).await;
    check_exit("exit 7", Exit::Status(7)).await;
    check_exit("exit 255", Exit::Status(255)).await;
    check_exit("/no/such/program", Exit::Status(127)).await;
    check_exit("kill -TERM $$", signal("TERM")).await;
    check_exit("kill -KILL $$", signal("KILL")).await;
    check_exit("ulimit -c 0; kill -SEGV $$", signal("SEGV")).await;
}

#[tokio::test]
async fn output_and_errors_come_apart_without_a_terminal_and_together_on_one() {
    let command = "echo out; echo err >&2";
    let piped = run_plan(&own(), plan(command), b"").await;
    assert_eq!((piped.out.as_str(), piped.err.as_str()), ("out\n", "err\n"));
    let shown = run_plan(&own(), plan_on_terminal(command, size()), b"").await;
    assert_eq!((shown.out.as_str(), shown.err.as_str()), ("out\r\nerr\r\n", ""));
}

#[tokio::test]
async fn a_terminal_has_the_size_asked_for_and_follows_a_resize() {
    let command = "stty size; read x; stty size; read x";
    let child = start(&own(), plan_on_terminal(command, size())).await.unwrap();
    let Io::Pty(pty) = &child.io else { panic!("no terminal") };
    until(pty, "33 101").await;
    pty.resize(Size::clamped(40, 12)).unwrap();
    pty.write_all(b"\n").await.unwrap();
    until(pty, "12 40").await;
}

#[tokio::test]
async fn the_terminal_is_the_controlling_one_and_control_c_kills_what_sleeps() {
    let mut child =
        start(&own(), plan_on_terminal("tty </dev/tty; ps -o tty= $$; sleep 100", size()))
            .await
            .unwrap();
    let Io::Pty(pty) = &child.io else { panic!("no terminal") };
    until(pty, "pts/").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    pty.write_all(b"\x03").await.unwrap();
    let exit = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(exit, Exit::Signal { name: "INT".into(), core: false });
}

#[tokio::test]
async fn a_login_shell_runs_interactively_and_ends_with_its_last_status() {
    let shell = Plan { what: What::Shell, ..plan_on_terminal("", size()) };
    let outcome = run_plan(&own(), shell, b"echo \"name=$0\"; exit 5\n").await;
    assert_eq!(outcome.exit, Exit::Status(5), "{outcome:?}");
    assert!(outcome.out.contains("name=-"), "{outcome:?}");
}

#[tokio::test]
async fn a_clients_signal_reaches_the_program_and_only_rfc_names_do() {
    for terminal in [false, true] {
        let command = "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.05; done";
        let plan = if terminal { plan_on_terminal(command, size()) } else { plan(command) };
        let mut child = start(&own(), plan).await.unwrap();
        let first = match &child.io {
            Io::Pty(pty) => pty.output().read().await.unwrap(),
            Io::Pipes { stdout, .. } => stdout.read().await.unwrap(),
        };
        assert!(first.starts_with(b"ready"));
        assert!(matches!(child.signal("STOP"), Err(SignalError::Unknown(_))));
        child.signal("USR1").unwrap();
        let exit = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(exit, Exit::Status(3), "terminal: {terminal}");
        assert!(matches!(child.signal("TERM"), Err(SignalError::Ended)));
    }
}

#[tokio::test]
async fn nothing_of_the_daemons_environment_and_no_dangerous_variable_reaches_the_program() {
    let pairs = [
        ("LANG", "C.UTF-8"),
        ("LC_TIME", "C"),
        ("LD_PRELOAD", "/tmp/evil.so"),
        ("BASH_ENV", "/tmp/evil.sh"),
        ("PATH", "/tmp"),
        ("PS4", "$(touch /tmp/evil)"),
    ];
    let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let addresses = Some(Addresses {
        client: "192.0.2.7:5000".parse().unwrap(),
        server: "[::1]:22".parse().unwrap(),
    });
    let plan = Plan { environment, addresses, ..plan("env") };
    let session = format!("SCRY_SESSION={}", plan.id);
    let out = run_plan(&own(), plan, b"").await.out;
    let has = |line: &str| out.lines().any(|is| is == line);
    assert!(has("LANG=C.UTF-8") && has("LC_TIME=C"), "{out}");
    assert!(has("SSH_CLIENT=192.0.2.7 5000 22"), "{out}");
    assert!(has("SSH_CONNECTION=192.0.2.7 5000 ::1 22"), "{out}");
    assert!(has(&format!("USER={}", own())) && has(&format!("LOGNAME={}", own())), "{out}");
    assert!(has(&session), "{out}");
    for name in
        ["LD_PRELOAD", "BASH_ENV", "PS4", "CARGO", "CARGO_PKG_NAME", "RUST_BACKTRACE", "TERM"]
    {
        assert!(!out.lines().any(|line| line.starts_with(&format!("{name}="))), "{name}: {out}");
    }
    assert!(!has("PATH=/tmp"), "{out}");
}

#[tokio::test]
async fn a_program_gets_three_descriptors_and_no_other() {
    // One that a library forgot to mark: it must not travel either.
    let leak = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    // The fourth is the directory that ls is reading.
    for plan in [plan("exec ls /proc/self/fd"), plan_on_terminal("exec ls /proc/self/fd", size())] {
        let out = run_plan(&own(), plan, b"").await.out;
        assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    }
    drop(leak);
}

#[tokio::test]
async fn every_signal_is_as_a_fresh_process_expects_it() {
    let out = output("umask; ulimit -n; exec cat /proc/self/status").await;
    for mask in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(out.contains(&format!("{mask}:\t0000000000000000\n")), "{out}");
    }
    let first: Vec<&str> = out.lines().take(2).collect();
    assert_eq!(first[0], "0022");
    assert!(first[1].parse::<u64>().unwrap() <= 1024, "{out}");
}

#[tokio::test]
async fn signals_that_the_daemon_ignores_are_not_ignored_by_the_program() {
    let program = std::env::current_exe().unwrap();
    let output = tokio::process::Command::new("sh")
        .args(["-c", "trap '' INT HUP TERM PIPE QUIT USR1; exec \"$0\" --exact \"$1\""])
        .arg(program)
        .arg("every_signal_is_as_a_fresh_process_expects_it")
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn what_is_typed_ahead_waits_in_the_terminal_until_it_is_read() {
    const TYPED: usize = 1_000_000;
    let command = format!("stty raw -echo; echo go; sleep 0.5; head -c {TYPED} | wc -c");
    let child = start(&own(), plan_on_terminal(&command, size())).await.unwrap();
    let Io::Pty(pty) = &child.io else { panic!("no terminal") };
    until(pty, "go").await;
    let typed = vec![b'x'; TYPED];
    let typing = tokio::time::timeout(PATIENCE, pty.write_all(&typed));
    let wanted = TYPED.to_string();
    let (typed, _) = tokio::join!(typing, until(pty, &wanted));
    typed.expect("in time").unwrap();
}

/// fork(2) copies the page tables of the daemon; posix_spawn does not.
#[tokio::test]
async fn starting_a_session_costs_the_same_in_a_large_daemon() {
    async fn median() -> Duration {
        let mut times = Vec::new();
        for _ in 0..15 {
            let began = std::time::Instant::now();
            let child = start(&own(), plan("exit 0")).await.unwrap();
            times.push(began.elapsed());
            finish(child, b"").await;
        }
        times.sort_unstable();
        times[times.len() / 2]
    }
    let small = median().await;
    let large_memory = vec![1_u8; 400 * 1024 * 1024];
    let large = median().await;
    assert!(large_memory.iter().step_by(4096).all(|byte| *byte == 1));
    println!("until the program runs: {small:?}, with 400 MiB more {large:?}");
    assert!(large < small * 3 + Duration::from_millis(15), "{small:?} {large:?}");
}

#[tokio::test]
async fn a_lot_of_data_goes_through_pipes_both_ways_unharmed() {
    let data: Vec<u8> =
        (0..8_000_000_u32).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let outcome = run_plan(&own(), plan("cat"), &data).await;
    assert_eq!(outcome.out.len(), data.len());
    assert!(outcome.out.as_bytes() == data);
}

#[tokio::test]
async fn writing_to_a_program_that_closed_its_input_is_an_error_and_not_the_end_of_us() {
    let child = start(&own(), plan("exec <&-; sleep 0.5")).await.unwrap();
    let Io::Pipes { stdin, .. } = &child.io else { panic!("no pipes") };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = stdin.write_all(&[0; 100_000]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_password_prompt_is_seen_and_an_editor_is_none() {
    let command =
        "stty -echo; echo A; read x; stty -icanon; echo B; read -n1 x; stty sane; echo C; read x";
    let child = start(&own(), plan_on_terminal(command, size())).await.unwrap();
    let Io::Pty(pty) = &child.io else { panic!("no terminal") };
    for (mark, hidden) in [("A", true), ("B", false), ("C", false)] {
        until(pty, mark).await;
        assert_eq!(pty.echo_off(), hidden, "at {mark}");
        pty.write_all(b"\n").await.unwrap();
    }
}

#[tokio::test]
async fn modes_of_the_client_are_on_the_terminal_before_the_program_runs() {
    let mut plan = plan_on_terminal("stty -a", size());
    if let Some(pty) = &mut plan.pty {
        pty.modes = vec![(1, 7), (53, 0), (42, 1), (129, 9600), (128, 9600)];
    }
    let out = run_plan(&own(), plan, b"").await.out;
    for wanted in ["intr = ^G", "-echo ", "iutf8", "speed 9600 baud"] {
        assert!(out.contains(wanted), "{wanted:?} in {out}");
    }
}

#[tokio::test]
async fn a_terminal_hangs_up_when_it_is_dropped_and_the_shell_ends() {
    let child = start(&own(), plan_on_terminal("sleep 1000", size())).await.unwrap();
    let host::Child { io, mut process, signals: _kept, .. } = child;
    drop(io);
    let exit = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert_eq!(exit, Exit::Signal { name: "HUP".into(), core: false });
}

#[tokio::test]
async fn ending_a_session_reaches_every_job_even_one_that_ignores_hang_ups() {
    let command =
        "set -m; (trap '' HUP; sleep 1000) & nohup sleep 1001 >/dev/null 2>&1 & echo ready; wait";
    let mut child = start(&own(), plan(command)).await.unwrap();
    let Io::Pipes { stdout, .. } = &child.io else { panic!("no pipes") };
    assert_eq!(&stdout.read().await.unwrap()[..], b"ready\n");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (killed, exit) =
        tokio::join!(child.signals.end(Duration::from_millis(300)), child.process.wait());
    assert!(killed.processes >= 3 && killed.left == 0, "{killed:?}");
    assert_eq!(exit.unwrap(), Exit::Signal { name: "HUP".into(), core: false });
    assert_eq!(child.signals.end(Duration::ZERO).await, Ended::default());
}

/// Three that have left the session in three ways: their process id, their session id and their parent say nothing.
const LEAVERS: &str = "setsid sleep 1000NR1 & (trap '' HUP TERM; setsid sh -c 'setsid sleep 1000NR2 & exit') & \
                       setsid -f sh -c 'while :; do setsid -f sleep 1000NR3; sleep 0.05; done'; echo ready; cat";

#[tokio::test]
async fn ending_a_session_reaches_daemons_and_what_forks_on_and_closing_it_leaves_them() {
    for terminal in [true, false] {
        let number = if terminal { "77" } else { "78" };
        let command = LEAVERS.replace("NR", number);
        let plan = if terminal { plan_on_terminal(&command, size()) } else { plan(&command) };
        let mut child = start(&own(), plan).await.unwrap();
        let sleepers = [1, 2, 3].map(|nr| format!("sleep\x001000{number}{nr}"));
        for sleeper in &sleepers {
            wait_for(sleeper, || runs(sleeper)).await;
        }
        let (closed, _) = tokio::join!(child.signals.close(Duration::ZERO), child.process.wait());
        assert!(closed.processes >= 1, "{closed:?}");
        assert!(
            sleepers.iter().all(|sleeper| runs(sleeper)),
            "a logout leaves what was left running"
        );
        let ended = child.signals.end(Duration::from_millis(100)).await;
        assert!(ended.processes >= 4 && ended.left == 0, "{ended:?}");
        assert!(!sleepers.iter().any(|sleeper| runs(sleeper)), "terminal: {terminal}");
    }
}

#[tokio::test]
async fn a_session_has_a_control_group_of_its_own_which_goes_with_its_last_process() {
    let Some(point) = control_groups().filter(|_| is_root()) else {
        return skip("a_session_has_a_control_group", "needs root and control groups, version 2");
    };
    let plan = plan("cat /proc/self/cgroup; setsid sleep 1000796 >/dev/null 2>&1 &");
    let name = format!("scry-{}", plan.id);
    let out = run_plan(&own(), plan, b"").await.out;
    let own_line = out.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    assert!(own_line.ends_with(&name), "{out}");
    let group = point.join(own_line);
    let procs = std::fs::read_to_string(group.join("cgroup.procs")).unwrap();
    let left: Vec<_> = procs.lines().collect();
    assert_eq!(left.len(), 1, "who was left running keeps it: {procs}");
    let killed = std::process::Command::new("kill").arg("-9").args(left).status().unwrap();
    assert!(killed.success());
    wait_for("empty group", || {
        // Another session may have swept it by now.
        std::fs::read_to_string(group.join("cgroup.procs")).map_or(true, |procs| procs.is_empty())
    })
    .await;
    // The end of any other session sweeps it.
    output("true").await;
    assert!(!group.exists());
}

#[tokio::test]
async fn who_has_left_the_control_group_is_known_by_the_audit_session() {
    if !is_root() {
        return skip("who_has_left_the_control_group", "needs root");
    }
    let command = "setsid sh -c 'for f in /sys/fs/cgroup/unified /sys/fs/cgroup; do \
                   [ -e $f/cgroup.procs ] && echo $$ > $f/cgroup.procs && break; done; \
                   unset SCRY_SESSION; exec sleep 1000791' & echo ready; cat /proc/self/sessionid; cat";
    let mut child = start(&own(), plan(command)).await.unwrap();
    let Io::Pipes { stdout, .. } = &child.io else { panic!("no pipes") };
    let mut told: Vec<u8> = Vec::new();
    while told.iter().filter(|byte| byte.is_ascii_digit()).count() == 0 {
        told.extend_from_slice(&stdout.read().await.unwrap());
    }
    if String::from_utf8_lossy(&told).contains("4294967295") {
        return skip("who_has_left_the_control_group", "this kernel has no audit sessions");
    }
    wait_for("sleeper", || runs("sleep\x001000791")).await;
    let (ended, _) = tokio::join!(child.signals.end(Duration::ZERO), child.process.wait());
    assert!(ended.processes >= 2, "{ended:?}");
    assert!(!runs("sleep\x001000791"));
}

#[tokio::test]
async fn a_command_that_is_too_long_or_holds_a_zero_is_refused_in_words() {
    for (command, word) in [(vec![b'x'; 4_000_000], "too long"), (b"a\0b".to_vec(), "nul")] {
        let plan = Plan { what: What::Exec(command), ..plan("") };
        match start(&own(), plan).await {
            Err(SpawnError::NotStarted { why }) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_reach_the_shell_as_they_are() {
    let plan = Plan { what: What::Exec(b"printf '\xff\xfe' | od -An -tx1".to_vec()), ..plan("") };
    assert_eq!(run_plan(&own(), plan, b"").await.out.trim(), "ff fe");
}

#[tokio::test]
async fn an_account_that_is_not_there_is_refused_in_words() {
    let error = start("no-such-account-x", plan("true")).await.unwrap_err();
    assert!(matches!(error, SpawnError::Account(_)));
    assert!(error.to_string().contains("no account no-such-account-x"), "{error}");
}

#[tokio::test]
async fn sftp_speaks_and_where_it_is_missing_the_refusal_says_what_to_install() {
    let sftp = |settings: host::Settings| async move {
        host::spawn(&settings, &permit(&own()), Plan { what: What::Sftp, ..plan("") }).await
    };
    match sftp(host::Settings { sftp_servers: vec!["/none".into()], ..settings() }).await {
        Err(SpawnError::NotStarted { why }) => {
            assert!(why.contains("openssh-sftp-server"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    if !settings().sftp_servers.iter().any(|path| path.is_file()) {
        return skip("sftp_speaks", "this machine has no sftp-server");
    }
    let child = sftp(settings()).await.unwrap();
    let Io::Pipes { stdin, stdout, .. } = &child.io else { panic!("no pipes") };
    stdin.write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await.unwrap();
    let answer = stdout.read().await.unwrap();
    assert_eq!(answer.get(4..9), Some(&[2, 0, 0, 0, 3][..]), "SSH_FXP_VERSION 3");
}

#[tokio::test]
async fn a_helper_program_that_is_not_there_is_an_error_and_not_a_hang() {
    for (exe, wanted) in [("/none", "cannot start a process"), ("/bin/true", "before it was ready")]
    {
        let settings = host::Settings { exe: exe.into(), ..settings() };
        let permit = permit(&own());
        let started = host::spawn(&settings, &permit, plan("true"));
        let result = tokio::time::timeout(PATIENCE, started).await.expect("in time");
        let text = result.unwrap_err().to_string();
        assert!(text.contains(wanted), "{exe}: {text}");
    }
}

#[tokio::test]
async fn a_process_that_is_started_by_hand_says_so_and_ends() {
    for task in [host::SESSION, host::NET] {
        let output = tokio::process::Command::new(settings().exe).arg(task).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains("not by hand"), "{task}: {text}");
    }
}

#[tokio::test]
async fn a_process_that_is_told_nonsense_or_nothing_ends() {
    for task in [host::SESSION, host::NET] {
        for told in [None, Some(&b"nonsense"[..])] {
            let (here, there) = rustix::net::socketpair(
                rustix::net::AddressFamily::UNIX,
                rustix::net::SocketType::SEQPACKET,
                rustix::net::SocketFlags::CLOEXEC,
                None,
            )
            .unwrap();
            if let Some(bytes) = told {
                rustix::io::write(&here, bytes).unwrap();
            } else {
                rustix::net::shutdown(&here, rustix::net::Shutdown::Write).unwrap();
            }
            let mut process = tokio::process::Command::new(settings().exe)
                .arg(task)
                .stdin(std::process::Stdio::from(there))
                .spawn()
                .unwrap();
            let status = tokio::time::timeout(PATIENCE, process.wait()).await.expect("in time");
            assert!(!status.unwrap().success(), "{task}, {told:?}");
            let mut answer = [0; 200];
            let length = rustix::io::read(&here, &mut answer[..]).unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            assert!(answer.contains("cannot take the task"), "{task}, {told:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn sixty_sessions_at_once_keep_to_themselves() {
    let mut all = tokio::task::JoinSet::new();
    for number in 0..60 {
        all.spawn(async move {
            let out = output(&format!("echo {number}; exec ls /proc/self/fd")).await;
            let wanted = [&number.to_string(), "0", "1", "2", "3"];
            assert_eq!(out.split_whitespace().collect::<Vec<_>>(), wanted);
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn what_a_terminal_shows_is_whole_thick_or_thin_and_whoever_reads_it_may_be_slow_or_break_off()
 {
    // Much, then little after a pause, then much again.
    let command =
        "stty -opost; seq 100000; sleep 0.2; echo middle; sleep 0.2; seq 100000; echo end";
    let numbers: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    let wanted = format!("{numbers}middle\n{numbers}end\n");
    for slow in [false, true] {
        let Child { io, mut process, .. } =
            start(&own(), plan_on_terminal(command, size())).await.unwrap();
        let Io::Pty(pty) = io else { panic!("a terminal") };
        let (mut output, mut all, mut largest) = (pty.output(), Vec::new(), 0);
        let reading = async {
            loop {
                if slow {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                // Broken off while it waits: nothing may be lost.
                let read = tokio::time::timeout(Duration::from_micros(300), output.read()).await;
                match read {
                    Err(_) => {}
                    Ok(bytes) => {
                        let bytes = bytes.unwrap();
                        if bytes.is_empty() {
                            break;
                        }
                        largest = largest.max(bytes.len());
                        all.extend_from_slice(&bytes);
                    }
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reading).await.expect("in time");
        assert!(all == wanted.as_bytes(), "{} bytes of {}", all.len(), wanted.len());
        assert!(largest <= model::limit::READ_BYTES, "{largest}");
        assert_eq!(process.wait().await.unwrap(), Exit::Status(0));
    }
}

#[tokio::test]
async fn an_xauth_that_does_not_read_what_it_is_told_costs_no_session() {
    let mut all = tokio::task::JoinSet::new();
    // Which of the two is first is chance.
    for _ in 0..60 {
        all.spawn(async {
            let deaf = host::Settings { xauths: vec!["/bin/true".into()], ..settings() };
            let x11 = host::X11Plan::new(10, 0, "MIT-MAGIC-COOKIE-1", "5a5a");
            let plan = Plan { x11, ..plan("echo $DISPLAY") };
            let child = host::spawn(&deaf, &permit(&own()), plan).await.unwrap();
            assert_eq!(finish(child, b"").await.out, "localhost:10.0\n");
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

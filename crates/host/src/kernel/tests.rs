//! The kernel program on the kernel that is here; skipped by name where that takes none.

use super::*;
use model::Tick;
use model::kernel::{Action, Class, End, KernelEvent, TcpStep};
use std::io::Write;
use std::process::{Command, Stdio};
use trace::{Trace, Traced};

const ALL: Classes = Classes { commands: true, files: true, network: true };

/// The kernel program, or why there can be none here.
fn kernel(test: &str) -> Option<Kernel> {
    let loaded = Kernel::load();
    let why = loaded.as_ref().err().map(ToString::to_string);
    if let Some(why) = why.and_then(|why| skipped(why, probe())) {
        println!("skipped: {test}: {why}");
    }
    loaded.ok()
}

/// Why something is skipped for which the recorder was not taken: only because this kernel takes no such program at all.
#[track_caller]
fn skipped(why: String, probed: Result<(), Refused>) -> Option<String> {
    match probed {
        Ok(()) => panic!("this kernel takes programs of this kind, and not the recorder: {why}"),
        Err(reason) => Some(reason.to_string()),
    }
}

#[test]
fn a_recorder_that_is_not_taken_where_others_are_is_no_reason_to_skip_anything() {
    let why = || "the kernel refuses the recorder (invalid argument)".to_owned();
    let none = Refused("no CAP_BPF".to_owned());
    assert_eq!(skipped(why(), Err(none)), Some("no CAP_BPF".to_owned()));
    assert!(std::panic::catch_unwind(|| skipped(why(), Ok(()))).is_err());
}

/// What came of a shell that ran this script: every record that was handed over, and the end.
fn run(kernel: &Kernel, wants: Classes, script: &str) -> Last {
    let (place, records, given, lacks) = kernel.open(wants, false).expect("a place");
    assert_eq!((given, lacks.as_str()), (wants, ""));
    let mut shell = Command::new("/bin/bash")
        // An audit session of its own, where the machine lets it.
        .args(["-c", &format!("echo 4242 2>/dev/null >/proc/self/loginuid; read _; {script}")])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bash");
    let number = |file: &str| {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", shell.id()));
        text.ok().and_then(|text| text.trim().parse::<u32>().ok())
    };
    let mut tries = 0..200;
    while number("loginuid") != Some(4242) && tries.next().is_some() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let audit = number("sessionid").filter(|_| number("loginuid") == Some(4242));
    place.enter(shell.id(), audit).expect("the table takes it");
    shell.stdin.take().expect("a pipe").write_all(b"\n").expect("it reads");
    shell.wait().expect("it ends");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let last = runtime.block_on(records.finish());
    if let Ok(file) = std::env::var("SCRY_KERNEL_BYTES") {
        std::fs::write(file, last.records.concat()).expect("it is kept");
    }
    last
}

/// What that reads as, how many records it was, and how many are missing.
fn read(last: &Last) -> (Vec<KernelEvent>, u64, u64) {
    let mut trace = Trace::new(Arch::OWN.expect("a processor"), 0);
    let mut count = 0;
    for batch in &last.records {
        let mut rest = &batch[..];
        while let Some(length) = trace::length(rest) {
            trace.handle(&rest[..length], Tick(0));
            rest = &rest[length..];
            count += 1;
        }
        assert!(rest.is_empty(), "whole records only");
    }
    trace.lost(last.lost);
    trace.thrown_away(last.thrown_away);
    trace.finish(Tick(0));
    let (mut events, mut missing) = (Vec::new(), 0);
    while let Some(traced) = trace.poll() {
        match traced {
            Traced::Did(event) => events.push(*event),
            Traced::Lost(more) => missing += more,
            Traced::Unbound(why) => panic!("{why:?}"),
        }
    }
    (events, count, missing)
}

/// What the kernel saw of a shell that ran this script, all of it.
fn watched(kernel: &Kernel, wants: Classes, script: &str) -> (Vec<KernelEvent>, Last) {
    let last = run(kernel, wants, script);
    let (events, _, missing) = read(&last);
    assert_eq!(missing, 0);
    (events, last)
}

/// The programs among them, as their lines; without the shell itself, which may become one only when it is watched.
fn ran(events: &[KernelEvent]) -> Vec<String> {
    let lines = events.iter().filter_map(|event| match &event.action {
        Action::Ran(program) => Some(program.line()).filter(|line| !line.contains("read _")),
        _ => None,
    });
    lines.collect()
}

#[test]
fn what_ran_is_seen_with_its_arguments_and_who_began_it_and_nothing_of_others_is() {
    let Some(kernel) = kernel("what_ran_is_seen") else { return };
    assert!(kernel.parts().iter().all(|part| part.refused.is_none()), "{:?}", kernel.parts());
    let mut beside = Command::new("/bin/bash")
        .args(["-c", "while :; do /bin/true beside; done"])
        .spawn()
        .expect("bash");
    let script = "echo 'aWQgLXU7IHVuYW1lIC1y' | base64 -d | sh; (exit 7); kill -9 $$";
    let (events, last) = watched(&kernel, Classes { commands: true, ..Classes::NONE }, script);
    beside.kill().expect("it runs");
    beside.wait().expect("it ends");
    let mut lines = ran(&events);
    lines.sort();
    assert_eq!(lines, ["base64 -d", "id -u", "sh", "uname -r"]);
    let sh = events.iter().find(|it| matches!(&it.action, Action::Ran(it) if it.line() == "sh"));
    let id = events.iter().find(|it| matches!(&it.action, Action::Ran(it) if it.line() == "id -u"));
    assert_eq!(sh.map(|it| it.by.process), id.map(|it| it.by.parent));
    assert!(events.iter().all(|it| it.action.class() == Class::Commands));
    let ends: Vec<_> = events
        .iter()
        .filter_map(|it| match it.action {
            Action::Ended { end, .. } => Some(end),
            _ => None,
        })
        .collect();
    assert!(ends.contains(&End::Status(7)) && ends.contains(&End::Signal(9)), "{ends:?}");
    assert_eq!((last.totals.lost, last.totals.left, last.totals.beyond), (0, 0, 0));
    assert!(last.totals.sent > 10, "{:?}", last.totals);
}

#[test]
fn two_hundred_thousand_bytes_of_arguments_are_there_whole() {
    let Some(kernel) = kernel("two_hundred_thousand_bytes") else { return };
    let script = "/bin/true $(seq 1 37000)";
    let (events, _) = watched(&kernel, Classes { commands: true, ..Classes::NONE }, script);
    let mut all: Vec<String> = Vec::new();
    for event in &events {
        match &event.action {
            Action::Ran(program) if program.line().starts_with("/bin/true") => {
                assert_eq!(program.kept, program.bytes);
                assert!(program.bytes > 200_000);
                all.clone_from(&program.arguments);
            }
            Action::Arguments { arguments, goes_on } => {
                let mut more = arguments.iter();
                if let (true, Some(last), Some(rest)) =
                    (*goes_on, all.last_mut(), more.clone().next())
                {
                    last.push_str(rest);
                    more.next();
                }
                all.extend(more.cloned());
            }
            _ => {}
        }
    }
    let wanted: Vec<String> = (1..=37_000).map(|number: u32| number.to_string()).collect();
    assert_eq!(all[1..], wanted);
}

#[test]
fn files_and_connections_are_seen_where_they_are_wanted() {
    let Some(kernel) = kernel("files_and_connections") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().display();
    let script = format!(
        "cd {at}; echo x > made; mv made moved; chmod 600 moved; rm moved; cat not-there 2>/dev/null; \
         exec 3<>/dev/tcp/127.0.0.1/1; exec 4<>/dev/udp/127.0.0.1/9; echo x >&4; ./no-such-program; true"
    );
    let (events, _) = watched(&kernel, ALL, &script);
    let words: Vec<String> = events.iter().map(ToString::to_string).collect();
    let has = |text: &str| words.iter().any(|words| words.contains(text));
    for text in [
        &format!("made or opened to write {at}/made"),
        &format!("renameat2 made in {at} (as passed) → moved in {at}") as &str,
        &format!("fchmodat moved in {at}"),
        &format!("unlinkat moved in {at}"),
        &format!("opened not-there in {at} (as passed): not there"),
        "could not connect to 127.0.0.1:1",
        "connect 127.0.0.1:9 (udp)",
    ] {
        assert!(has(text), "{text}\n{}", words.join("\n"));
    }
    assert!(
        events
            .iter()
            .any(|it| matches!(it.action, Action::Tcp { step: TcpStep::NotConnected, .. }))
    );
}

#[test]
fn a_line_through_a_watch_gives_each_side_its_own_and_loses_nothing() {
    let Some(kernel) = kernel("a_line_through_a_watch") else { return };
    let commands = Classes { commands: true, ..Classes::NONE };
    let (place, mut records, ..) = kernel.open(commands, false).expect("a place");
    let mut shell = Command::new("/bin/bash")
        .args(["-c", "read _; for n in {1..50}; do /bin/true $n; done; echo half; read _; exec /bin/true last"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash");
    place.enter(shell.id(), None).expect("the table takes it");
    let (mut input, output) = (shell.stdin.take().expect("a pipe"), shell.stdout.take());
    let mut said = std::io::BufReader::new(output.expect("a pipe"));
    input.write_all(b"\n").expect("it reads");
    std::io::BufRead::read_line(&mut said, &mut String::new())
        .expect("it says that it is half way");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let first = runtime.block_on(records.cut());
    assert_eq!((first.totals.left, place.held()), (1, 1), "{:?}", first.totals);
    input.write_all(b"\n").expect("it reads");
    shell.wait().expect("it ends");
    let second = runtime.block_on(records.finish());
    let ((before, read_before, _), (after, read_after, _)) = (read(&first), read(&second));
    let wanted: Vec<_> = (1..=50).map(|n| format!("/bin/true {n}")).collect();
    assert_eq!((ran(&before), ran(&after)), (wanted, vec!["/bin/true last".to_owned()]));
    assert_eq!((read_before, read_after), (first.totals.sent, second.totals.sent));
    assert_eq!((second.totals.left, second.totals.lost), (0, 0));
}

#[test]
fn a_number_that_is_given_again_inherits_no_session() {
    let Some(kernel) = kernel("a_number_that_is_given_again") else { return };
    let commands = Classes { commands: true, ..Classes::NONE };
    let (place, records, ..) = kernel.open(commands, false).expect("a place");
    // As if the end of somebody with this number had been missed.
    let mut given = 0;
    for number in (20_000..32_000).rev().filter(|n: &u32| !proc_of(*n).exists()).take(50) {
        place.enter(number, None).expect("the table takes it");
        if std::fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).is_err() {
            return println!("skipped: a_number_that_is_given_again: nobody can choose one here");
        }
        let mut stranger = Command::new("/bin/true").arg("stranger").spawn().expect("true");
        let same = stranger.id() == number;
        stranger.wait().expect("it ends");
        if same {
            given = number;
            break;
        }
        place.leave(&[number]);
    }
    assert_eq!(place.held(), 0, "nobody is left, and that is known");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let last = runtime.block_on(records.finish());
    if given == 0 {
        return println!("skipped: a_number_that_is_given_again: others were quicker, each time");
    }
    assert_eq!(ran(&read(&last).0), Vec::<String>::new());
}

fn proc_of(number: u32) -> std::path::PathBuf {
    format!("/proc/{number}").into()
}

#[test]
fn what_no_session_wants_is_attached_no_more() {
    let Some(kernel) = kernel("what_no_session_wants") else { return };
    let attached = || format!("{:?}", kernel.shared.programs());
    assert!(!attached().contains("on_sys_exit"), "{}", attached());
    let (_, one, ..) = kernel.open(ALL, false).expect("a place");
    let (_, other, ..) = kernel.open(ALL, false).expect("a place");
    assert!(attached().contains("on_sys_exit"), "{}", attached());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(one.finish());
    assert!(attached().contains("on_sys_exit"), "{}", attached());
    runtime.block_on(other.finish());
    assert!(!attached().contains("on_sys_exit"), "{}", attached());
    assert!(attached().contains("on_exec"), "{}", attached());
}

#[test]
fn what_finds_no_room_is_counted_to_the_last_record() {
    let Some(kernel) = kernel("what_finds_no_room") else { return };
    let files = Classes { files: true, ..Classes::NONE };
    // Nobody takes anything before the end, so most of it finds no room.
    let produced = |opens: u64| {
        let script = format!("for ((i = 0; i < {opens}; i++)); do : < /etc/hostname; done");
        let last = run(&kernel, files, &script);
        let (events, read, missing) = read(&last);
        let opened: u64 = events
            .iter()
            .filter(|it| it.to_string().starts_with("opened /etc/hostname"))
            .map(|it| u64::from(it.times))
            .sum();
        assert_eq!(missing, last.totals.lost);
        assert_eq!(read, last.totals.sent);
        (last.totals.sent + last.totals.lost, opened, last)
    };
    let (without, none, _) = produced(0);
    let (with, opened, last) = produced(60_000);
    assert_eq!((with - without, none), (60_000, 0));
    assert!(last.thrown_away > 10_000, "{:?}", last.totals);
    assert!(opened + last.totals.lost >= 60_000);
    println!(
        "60,000 opens: {} records told, {} thrown away, {} lost in the kernel",
        last.totals.sent, last.thrown_away, last.lost
    );
}

#[test]
fn a_session_with_too_many_processes_takes_nothing_from_another() {
    let Some(kernel) = kernel("a_session_with_too_many_processes") else { return };
    let commands = Classes { commands: true, ..Classes::NONE };
    kernel.shared.tables().most = 8;
    let (bomb, other) = std::thread::scope(|scope| {
        let script = "for n in {1..40}; do { sleep 1; /bin/true late-$n; } & done; wait";
        let bomb = scope.spawn(|| run(&kernel, commands, script));
        std::thread::sleep(std::time::Duration::from_millis(300));
        kernel.shared.tables().most = 100;
        let other = run(&kernel, commands, "for n in {1..40}; do /bin/true other-$n; done");
        (bomb.join().expect("it ends"), other)
    });
    let lines = |last: &Last, word: &str| {
        let events = read(last).0;
        let mut all: Vec<_> = ran(&events).into_iter().filter(|it| it.contains(word)).collect();
        all.sort_by_key(|line| line.rsplit('-').next().and_then(|it| it.parse::<u32>().ok()));
        all
    };
    let named = |word: &str| (1..=40).map(|n| format!("/bin/true {word}-{n}")).collect::<Vec<_>>();
    assert_eq!(lines(&other, "other"), named("other"));
    assert_eq!((other.totals.beyond, other.totals.lost), (0, 0));
    assert!(bomb.totals.beyond >= 32, "{:?}", bomb.totals);
    let events = read(&bomb).0;
    if events.iter().any(|it| it.by.audit.is_some()) {
        assert_eq!(lines(&bomb, "late"), named("late"), "the audit session finds them");
        assert!(events.iter().any(|it| it.by.stray));
    } else {
        println!("skipped: whether the audit session finds them: this machine begins none");
    }
    assert_eq!(kernel.shared.tables().overgrown(), 0, "nobody is looked at any more");
}

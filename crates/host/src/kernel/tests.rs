//! The kernel program on the kernel that is here; skipped by name where that takes none.

use super::*;
use model::Tick;
use model::kernel::{Action, Class, End, KernelEvent, TcpStep};
use std::io::Write;
use std::process::{Command, Stdio};
use trace::{Trace, Traced};

const ALL: Classes = Classes { commands: true, files: true, network: true };

/// The kernel program, or why there is none here.
fn kernel(test: &str) -> Option<Kernel> {
    match Kernel::load() {
        Ok(kernel) => Some(kernel),
        Err(why) => {
            println!("skipped: {test}: {why}");
            None
        }
    }
}

/// What the kernel saw of a shell that ran this script.
fn watched(kernel: &Kernel, wants: Classes, script: &str) -> (Vec<KernelEvent>, Last) {
    let began = clock();
    let (place, records, given, lacks) = kernel.open(wants).expect("a place");
    assert_eq!((given, lacks.as_str()), (wants, ""));
    let mut shell = Command::new("/bin/bash")
        .args(["-c", &format!("read _; {script}")])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("bash");
    place.enter(shell.id(), None).expect("the table takes it");
    shell.stdin.take().expect("a pipe").write_all(b"\n").expect("it reads");
    shell.wait().expect("it ends");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let last = runtime.block_on(records.finish());
    if let Ok(file) = std::env::var("SCRY_KERNEL_BYTES") {
        std::fs::write(file, last.records.concat()).expect("it is kept");
    }
    let mut trace = Trace::new(Arch::OWN.expect("a processor"), began);
    for batch in &last.records {
        let mut rest = &batch[..];
        while let Some(length) = trace::length(rest) {
            trace.handle(&rest[..length], Tick(0));
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "whole records only");
    }
    trace.lost(last.lost);
    trace.finish(Tick(0));
    let events = std::iter::from_fn(|| trace.poll()).map(|traced| match traced {
        Traced::Did(event) => *event,
        Traced::Lost(count) => panic!("{count} records were lost"),
    });
    (events.collect(), last)
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
fn what_no_session_wants_is_attached_no_more() {
    let Some(kernel) = kernel("what_no_session_wants") else { return };
    let attached = || format!("{:?}", kernel.shared.programs());
    assert!(!attached().contains("on_sys_exit"), "{}", attached());
    let (_, one, ..) = kernel.open(ALL).expect("a place");
    let (_, other, ..) = kernel.open(ALL).expect("a place");
    assert!(attached().contains("on_sys_exit"), "{}", attached());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(one.finish());
    assert!(attached().contains("on_sys_exit"), "{}", attached());
    runtime.block_on(other.finish());
    assert!(!attached().contains("on_sys_exit"), "{}", attached());
    assert!(attached().contains("on_exec"), "{}", attached());
}

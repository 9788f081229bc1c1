//! What the kernel saw, in OCSF's words.
#![allow(clippy::unwrap_used, reason = "tests fail loudly")]

mod kit;

use model::Seq;
use model::entry::{Entry, Gap, GapCause, Stamped, Stream};
use model::kernel::{
    Action, Classes, Doer, End, Kernel, KernelEvent, Named, Place, Program, TcpStep, Watch,
};
use record::export::{Export as _, Ocsf};
use serde_json::{Value, json};

fn heading() -> model::Heading {
    kit::heading(1)
}

fn said(entry: Entry) -> Value {
    let mut ocsf = Ocsf::new(&heading(), "1.0.0");
    let line = ocsf.push(&Stamped { seq: Seq(7), at: 1_500, entry });
    assert_eq!(line.matches('\n').count(), 1);
    serde_json::from_str(&line).unwrap()
}

fn done(action: Action) -> Value {
    let by = Doer {
        process: 11,
        parent: 10,
        uid: 7,
        euid: 0,
        audit: Some(3),
        name: "sh".to_owned(),
        stray: false,
    };
    let event = KernelEvent { at: 1_250, by, action, times: 2 };
    said(Entry::Kernel(Kernel::Did(Box::new(event))))
}

fn named(path: &str, folder: &str, as_passed: bool) -> Named {
    Named { path: path.to_owned(), folder: folder.to_owned(), as_passed }
}

#[test]
fn what_all_events_have_says_who_where_and_when() {
    let event = done(Action::Ended { end: End::Signal(9), ms: 40 });
    let started = heading().started.0;
    for (path, wanted) in [
        ("/class_uid", json!(1007)),
        ("/category_uid", json!(1)),
        ("/activity_id", json!(2)),
        ("/type_uid", json!(100_702)),
        ("/time", json!(started + 1_250)),
        ("/count", json!(2)),
        ("/metadata/version", json!("1.3.0")),
        ("/metadata/product/version", json!("1.0.0")),
        ("/metadata/sequence", json!(7)),
        ("/metadata/correlation_uid", json!(heading().id)),
        ("/device/hostname", json!(heading().node)),
        ("/actor/user/name", json!(heading().user)),
        ("/actor/user/account/name", json!(heading().login)),
        ("/actor/process/pid", json!(11)),
        ("/process/user/uid", json!("7")),
        ("/unmapped/euid", json!(0)),
        ("/unmapped/audit_session", json!(3)),
        ("/unmapped/signal", json!(9)),
    ] {
        assert_eq!(event.pointer(path), Some(&wanted), "{path} of {event:#}");
    }
}

#[test]
fn each_thing_has_its_class_and_what_it_was() {
    let program = Program {
        file: "id".to_owned(),
        program: "/usr/bin/id".to_owned(),
        place: Place { device: 5, inode: 9 },
        folder: "/root".to_owned(),
        arguments: vec!["id".to_owned(), "a b".to_owned()],
        bytes: 7,
        kept: 7,
        capabilities: 0xff,
        ..Program::default()
    };
    let call = |call: &str, error| Action::Changed {
        call: call.to_owned(),
        file: named("x", "/tmp", true),
        other: Some(named("/y", "", false)),
        numbers: vec![1],
        error,
    };
    let socket = |call: &str, protocol, local: &str, remote: &str, error| Action::Socket {
        call: call.to_owned(),
        protocol,
        local: local.to_owned(),
        remote: remote.to_owned(),
        error,
    };
    let here = "[::1]:80".to_owned();
    let there = "192.0.2.1:443".to_owned();
    for (action, type_uid, path, wanted) in [
        (Action::Ran(Box::new(program.clone())), 100_701, "/process/cmd_line", json!("id 'a b'")),
        (Action::Ran(Box::new(program.clone())), 100_701, "/process/file/uid", json!("5:9")),
        (Action::Ran(Box::new(program)), 100_701, "/actor/process/pid", json!(10)),
        (
            Action::NotRan { file: named("no", "/bin", true), arguments: vec![], error: 2 },
            100_701,
            "/status_code",
            json!("2"),
        ),
        (Action::Ended { end: End::Status(3), ms: 1 }, 100_702, "/exit_code", json!(3)),
        (
            Action::Opened { file: named("/a/b", "", false), flags: 1, place: None, error: 0 },
            100_114,
            "/file/name",
            json!("b"),
        ),
        (call("unlinkat", 0), 100_104, "/file/path", json!("/tmp/x")),
        (call("unlinkat", 0), 100_104, "/file/desc", json!("as passed by the process")),
        (call("renameat2", 0), 100_105, "/file_result/path", json!("/y")),
        (call("chown32", 1), 100_107, "/status_id", json!(2)),
        (call("chroot", 0), 100_199, "/activity_name", json!("chroot")),
        (
            Action::Tcp { step: TcpStep::Connected, local: here.clone(), remote: there.clone() },
            400_101,
            "/dst_endpoint/port",
            json!(443),
        ),
        (
            Action::Tcp { step: TcpStep::Listens, local: here.clone(), remote: String::new() },
            400_107,
            "/dst_endpoint/ip",
            json!("::1"),
        ),
        (socket("accept4", 6, &here, &there, 0), 400_101, "/src_endpoint/port", json!(443)),
        (
            socket("connect", 0, "", "/run/x.sock", 111),
            400_104,
            "/dst_endpoint/name",
            json!("/run/x.sock"),
        ),
        (socket("sendto", 17, "", &there, 0), 400_106, "/connection_info/protocol_num", json!(17)),
        (socket("bind", 17, &here, "", 0), 400_199, "/dst_endpoint/port", json!(80)),
        (
            Action::Identity { call: "setuid".to_owned(), numbers: vec![0], error: 0 },
            100_705,
            "/unmapped/call",
            json!("setuid"),
        ),
        (
            Action::Special {
                call: "ptrace".to_owned(),
                text: String::new(),
                numbers: vec![16],
                error: 0,
            },
            100_304,
            "/kernel/name",
            json!("ptrace"),
        ),
        (
            Action::Uring {
                operation: "UNLINKAT".to_owned(),
                file: Some(named("f", "", true)),
                other: None,
            },
            100_304,
            "/unmapped/file",
            json!("f (as passed)"),
        ),
    ] {
        let event = done(action);
        assert_eq!(event["type_uid"], json!(type_uid), "{event:#}");
        assert_eq!(event.pointer(path), Some(&wanted), "{path} of {event:#}");
    }
}

#[test]
fn what_is_missing_is_said_and_what_the_kernel_did_not_see_is_not_there() {
    let gap = Gap { cause: GapCause::Kernel, bytes: None, entries: Some(12), ms: 3 };
    let event = said(Entry::Gap(gap));
    assert_eq!((&event["class_uid"], &event["severity_id"]), (&json!(0), &json!(3)));
    assert_eq!(event.pointer("/unmapped/gap/entries"), Some(&json!(12)));
    let blind = Watch { classes: Classes::NONE, lacks: "no BTF".to_owned() };
    assert_eq!(said(Entry::Kernel(Kernel::Watch(blind)))["severity_id"], json!(2));
    let output = Entry::Output { stream: Stream::Pty, bytes: (&b"x"[..]).into() };
    let mut ocsf = Ocsf::new(&heading(), "1.0.0");
    assert_eq!(ocsf.push(&Stamped { seq: Seq(1), at: 0, entry: output }), "");
}

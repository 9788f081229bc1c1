//! What a node reads of its own machine, and what it hands to programs there: the kernel's words on processes, the lists of who
//! is here, the answers of a helper that has a user's rights, and the display that a client wants to be lent.

use crate::feed::Feed;
use host::{Stat, X11Plan, rehearse_answer, rehearse_lists};
use std::fs;

/// Bytes of a record of utmp and wtmp, and of lastlog.
const RECORD: u64 =
    if cfg!(any(target_arch = "aarch64", target_arch = "s390x", target_arch = "loongarch64")) {
        400
    } else {
        384
    };
const LASTLOG: u64 = 292;

/// What the first byte says: how a process calls itself (`0`), the lists as they stand (`1`), an answer of the helper (`2`), or
/// a number, then the protocol and the cookie of a display, each with its length in front (`3`).
///
/// No name makes a process another one. Lists grow by whole records and no more of them than people come and go, and what is
/// told of them moves no cursor. An answer is read as it was written, and half of one is none. A cookie is one word of one
/// command.
pub fn local(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    match feed.u8() % 4 {
        0 => process(&String::from_utf8_lossy(feed.0)),
        1 => lists(feed.0),
        2 => answer(feed.0),
        _ => display(&mut feed),
    }
}

/// A name, and a whole line of which it is the beginning.
fn process(name: &str) {
    let read = |name: &str| {
        Stat::read(&format!("7 ({name}) S 1 7 9 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 3 0 4711 0 0"))
    };
    assert!(read("sh").is_some(), "the kernel is not understood");
    assert_eq!(read(name), read("sh"), "{name:?}");
    let plain = name.rsplit_once(')').and_then(|(_, rest)| Stat::read(&format!("7 (sh){rest}")));
    assert_eq!(Stat::read(name), plain, "{name:?}");
}

fn lists(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    for name in ["utmp", "wtmp", "lastlog"] {
        fs::write(place(name), bytes).expect("a list");
    }
    if let Some((_, host)) = rehearse_lists(folder.path()) {
        assert!(!host.contains(char::is_control) && host.chars().count() <= 256, "{host:?}");
    }
    let before = bytes.len() as u64;
    // Everybody who stands there can be gone; and one comes and goes.
    let most = before + (before / RECORD + 2) * RECORD;
    let length = |name: &str| fs::metadata(place(name)).expect("a list").len();
    assert!((before..=most).contains(&length("utmp")), "{} bytes", length("utmp"));
    assert!((before + RECORD..=most).contains(&length("wtmp")), "{} bytes", length("wtmp"));
    assert!((length("wtmp") - before).is_multiple_of(RECORD), "{} bytes", length("wtmp"));
    assert_eq!(length("lastlog"), before.max(LASTLOG));
    let last = rehearse_lists(folder.path()).expect("somebody was here a moment ago");
    assert!(last.0 > 1_600_000_000 && last.1.is_empty(), "{last:?}");
}

fn answer(bytes: &[u8]) {
    let Some(written) = rehearse_answer(bytes) else { return };
    let half = &written[..written.len() - 1];
    assert_eq!(rehearse_answer(half), None, "half an answer is taken for one");
    assert_eq!(rehearse_answer(&written), Some(written), "another answer came back");
}

fn display(feed: &mut Feed<'_>) {
    let (number, protocol, cookie) = (feed.u16(), feed.text(), feed.text());
    let Some(plan) = X11Plan::new(number, 0, &protocol, &cookie) else { return };
    let plan = serde_json::to_value(&plan).expect("a plan is JSON");
    let word = |name: &str| plan[name].as_str().expect("a plan is words").to_owned();
    assert_eq!((word("protocol"), word("cookie")), (protocol, cookie));
    let told = ["authority", "protocol", "cookie"].map(word).join(" ");
    assert_eq!(told.split_whitespace().count(), 3, "{told:?}");
    assert!(told.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .:/-_".contains(&byte)));
    assert!(!word("protocol").starts_with('-'), "{told:?}");
}

//! Unix sockets: which one it was, and who is at its other end.

use crate::layout::{Owner, Whole};
use crate::text::string;
use model::SessionId;
use model::kernel::{Action, Named, Neighbour};
use std::collections::BTreeMap;

/// AF_UNIX (`include/linux/socket.h`).
pub(crate) const UNIX: u32 = 1;
/// Where `struct neighbour` lies in a record of a call.
const NEIGHBOUR: usize = 152;

/// Whose places in the kernel's table are whose.
pub type Sessions = BTreeMap<Owner, SessionId>;

/// What a call on a unix socket was to. `resolved` is the path of the very socket, `passed` the address, as `unix:…`.
pub(crate) fn names(call: &str, resolved: &str, passed: String) -> (String, String) {
    let very = || format!("unix:{resolved}");
    match (resolved.is_empty(), call.starts_with("accept")) {
        (true, _) => (String::new(), passed),
        (false, true) => (very(), String::new()),
        (false, false) => (String::new(), very()),
    }
}

/// The two that came together, if the other is not of the session that `own` is the place of.
pub(crate) fn met(
    (call, error): (&str, i32),
    (resolved, passed): (&str, &str),
    whole: Whole<'_>,
    own: Owner,
    sessions: &Sessions,
) -> Option<Action> {
    if error != 0 || !["connect", "accept", "accept4"].contains(&call) {
        return None;
    }
    let process = whole.u32(NEIGHBOUR).filter(|process| *process != 0)?;
    let theirs = Owner { slot: whole.u32(NEIGHBOUR + 8)?, turn: whole.u32(NEIGHBOUR + 12)? };
    if theirs == own {
        return None;
    }
    let socket = match resolved {
        "" => {
            let path = passed.strip_prefix("unix:").unwrap_or(passed).to_owned();
            Named { path, as_passed: true, ..Named::default() }
        }
        resolved => Named { path: resolved.to_owned(), ..Named::default() },
    };
    let other = Neighbour {
        process,
        name: string(whole.bytes(NEIGHBOUR + 16, 16)?),
        euid: whole.u32(NEIGHBOUR + 4)?,
        session: sessions.get(&theirs).copied(),
    };
    Some(Action::Met { call: call.to_owned(), socket, other })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Owner = Owner { slot: 3, turn: 9 };

    fn record(process: u32, theirs: Owner) -> Vec<u8> {
        let mut record = vec![0; NEIGHBOUR];
        for number in [process, 33, theirs.slot, theirs.turn] {
            record.extend_from_slice(&number.to_le_bytes());
        }
        record.extend_from_slice(b"dockerd\0junk\0\0\0\0");
        record
    }

    #[test]
    fn whoever_is_met_outside_of_the_session_is_told_with_theirs() {
        let (a, b) = (Owner { slot: 4, turn: 10 }, SessionId::from_random([7; 16]));
        let sessions = Sessions::from([(a, b)]);
        let check = |call: (&str, i32), at: (&str, &str), record: &[u8]| {
            met(call, at, Whole(record), OWN, &sessions).map(|action| action.to_string())
        };
        let unix = ("/run/x", "unix:/link");
        let none = Owner { slot: 0, turn: 0 };
        assert_eq!(
            check(("connect", 0), unix, &record(812, none)).as_deref(),
            Some("connect unix:/run/x, to process 812 (dockerd, uid 33) of no recorded session")
        );
        assert_eq!(
            check(("accept4", 0), ("/run/x", ""), &record(812, a)),
            Some(format!("accept4 unix:/run/x, from process 812 (dockerd, uid 33) of session {b}"))
        );
        assert_eq!(
            check(("connect", 0), ("", "unix:@name"), &record(812, none)).as_deref(),
            Some(
                "connect unix:@name (as passed), to process 812 (dockerd, uid 33) of no recorded session"
            )
        );
        for (call, record) in [
            (("connect", 0), record(812, OWN)),
            (("connect", 0), record(0, none)),
            (("connect", 111), record(812, none)),
            (("bind", 0), record(812, none)),
            (("connect", 0), record(812, none)[..170].to_vec()),
        ] {
            assert_eq!(check(call, unix, &record), None, "{call:?}");
        }
    }

    #[test]
    fn a_socket_has_the_path_that_it_was_bound_to_and_not_the_one_that_led_there() {
        let passed = || "unix:x.sock".to_owned();
        let check = |call: &str, resolved: &str, wanted: (&str, &str)| {
            let (local, remote) = names(call, resolved, passed());
            assert_eq!((local.as_str(), remote.as_str()), wanted);
        };
        check("connect", "", ("", "unix:x.sock"));
        check("connect", "/run/x.sock", ("", "unix:/run/x.sock"));
        check("bind", "/run/x.sock", ("", "unix:/run/x.sock"));
        check("accept4", "/run/x.sock", ("unix:/run/x.sock", ""));
    }
}

//! Signals by the names that SSH gives them (RFC 4254 §6.9 and §6.10), without `SIG`.

use rustix::process::Signal;

/// The names that a client may send and that OpenSSH accepts.
const NAMES: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// Names beside the RFC's, by number on Linux; a process may die by them too.
const OTHERS: [(&str, Signal); 14] = [
    ("TRAP", Signal::TRAP),
    ("BUS", Signal::BUS),
    ("STKFLT", Signal::STKFLT),
    ("XCPU", Signal::XCPU),
    ("XFSZ", Signal::XFSZ),
    ("VTALRM", Signal::VTALARM),
    ("PROF", Signal::PROF),
    ("IO", Signal::IO),
    ("PWR", Signal::POWER),
    ("SYS", Signal::SYS),
    ("STOP", Signal::STOP),
    ("TSTP", Signal::TSTP),
    ("TTIN", Signal::TTIN),
    ("TTOU", Signal::TTOU),
];

/// The signal of that name, if it is one of RFC 4254's thirteen.
pub(crate) fn by_name(name: &str) -> Option<Signal> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal)
}

/// The name of a signal by its number on this machine. Beyond [`is_standard`] ones, RFC 4254 §6.10 wants
/// `@` and a domain behind it on the wire.
#[must_use]
pub fn name(number: i32) -> String {
    NAMES
        .iter()
        .chain(&OTHERS)
        .find(|(_, signal)| signal.as_raw() == number)
        .map_or_else(|| format!("{number}"), |(name, _)| (*name).to_owned())
}

/// Whether RFC 4254 §6.10 lists the name, so that it may stand on the wire without a domain.
#[must_use]
pub fn is_standard(name: &str) -> bool {
    by_name(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_its_number_and_back() {
        for (text, signal) in NAMES {
            assert_eq!(name(signal.as_raw()), text);
            assert_eq!(by_name(text), Some(signal));
        }
        assert_eq!((name(7), is_standard("BUS")), ("BUS".to_owned(), false));
    }

    #[test]
    fn what_is_no_signal_of_the_rfc_is_not_one() {
        for name in ["", "SIGTERM", "term", "STOP", "9", "TERM\0"] {
            assert_eq!(by_name(name), None, "{name:?}");
        }
    }
}

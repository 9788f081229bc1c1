//! `scry share`, as data.

use super::{Show, span};
use clap::Args;
use model::{NameError, SeatRole, UserName};
use std::str::FromStr;
use wire::share::Which;

/// `scry share`.
#[derive(Debug, Args)]
pub struct Share {
    /// Session of yours: its id or the beginning of it; if not given the one that this terminal is in, or the only one
    pub session: Option<String>,
    /// As what others come: an observer looks, a peer types too, a moderator can freeze and end it
    #[arg(long = "as", value_name = "observer|peer|moderator", default_value_t = SeatRole::Observer)]
    pub seat: SeatRole,
    /// How long the link counts, such as 30m or 8h, a day at most; who came by it must leave then
    #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "1h")]
    pub life_ms: u64,
    /// Let it count once only
    #[arg(long)]
    pub once: bool,
    /// Who may use it: one user, or anyone who is signed in to the cluster; people without an account cannot come
    #[arg(long, value_name = "USER|anyone", default_value = "anyone")]
    pub to: Recipient,
    /// List the links into your sessions
    #[arg(long, conflicts_with_all = ["session", "seat", "life_ms", "once", "to", "revoke"])]
    pub list: bool,
    /// Revoke a link; who came by it must leave at once
    #[arg(
        long,
        value_name = "CODE|NUMBER",
        value_parser = which,
        conflicts_with_all = ["session", "seat", "life_ms", "once", "to"]
    )]
    pub revoke: Option<Which>,
    #[command(flatten)]
    pub show: Show,
}

/// Who may use a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// Whoever has an account and the code.
    Anyone,
    /// This one.
    User(UserName),
}

impl FromStr for Recipient {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "anyone" { Ok(Self::Anyone) } else { text.parse().map(Self::User) }
    }
}

/// A link by its code or its number.
fn which(text: &str) -> Result<Which, String> {
    if let Some(code) = wire::share::code(text) {
        return Ok(Which::Code(code));
    }
    text.parse().map(Which::Number).map_err(|_| {
        format!(
            "{text:?} is neither a whole code nor the number of a link; `scry share --list` shows numbers"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser as _;
    use model::LinkId;

    const CODE: &str = "share-0123456789abcdefghjkmnpqrs";

    fn parsed(words: &str) -> Option<Share> {
        let words = ["scry", "share"].into_iter().chain(words.split_whitespace());
        match Cli::try_parse_from(words).ok()?.command {
            Command::Share(share) => Some(share),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_said_is_an_observer_for_an_hour_and_anyone() {
        let check = |words: &str, session: Option<&str>, seat, life_ms, once, to: &str| {
            let share = parsed(words).unwrap_or_else(|| panic!("{words} is not understood"));
            assert_eq!(share.session.as_deref(), session, "{words}");
            assert_eq!((share.seat, share.life_ms, share.once), (seat, life_ms, once), "{words}");
            assert_eq!(share.to, to.parse().unwrap(), "{words}");
            assert!(!share.list && share.revoke.is_none(), "{words}");
        };
        use SeatRole::{Observer, Peer};
        check("", None, Observer, 3_600_000, false, "anyone");
        check("abab", Some("abab"), Observer, 3_600_000, false, "anyone");
        check("--as peer --to bob", None, Peer, 3_600_000, false, "bob");
        check("--for 30m --once abab", Some("abab"), Observer, 1_800_000, true, "anyone");
    }

    #[test]
    fn a_link_is_revoked_by_its_number_or_its_code_and_nothing_else_is_said_beside_it() {
        for (words, which) in [
            ("--revoke 7", Some(Which::Number(LinkId(7)))),
            (&format!("--revoke {CODE}"), Some(Which::Code(CODE.to_owned()))),
            (&format!("--revoke {}", CODE.to_uppercase()), Some(Which::Code(CODE.to_owned()))),
            ("--list", None),
        ] {
            let share = parsed(words).unwrap();
            assert_eq!((share.list, share.revoke), (which.is_none(), which), "{words}");
        }
        for words in [
            "--revoke",
            "--revoke share-0123",
            "--revoke -1",
            "--revoke abab",
            "--revoke 7 abab",
            "--revoke 7 --list",
            "--list abab",
            "--list --once",
            "--as owner",
            "--for 1",
            "--to a,b",
        ] {
            assert!(parsed(words).is_none(), "{words}");
        }
    }
}

//! `scry share`, as data.

use super::{Show, span};
use clap::Args;
use model::{NameError, SeatRole, UserName};
use std::str::FromStr;
use wire::share::{JOIN_PATH, Which};

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
    /// Who may use it: one user, anyone who is signed in to the cluster, or guests: people without an account, too, if a role
    /// of yours allows it
    #[arg(long, value_name = "USER|anyone|guests", default_value = "anyone")]
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
    /// Whoever has the code.
    Guests,
    /// This one.
    User(UserName),
}

impl FromStr for Recipient {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "anyone" => Ok(Self::Anyone),
            "guests" => Ok(Self::Guests),
            user => user.parse().map(Self::User),
        }
    }
}

/// A link as an address: where the cluster is, the secret code, the pin of the cluster's authority. Both secrets stand
/// behind the `#`, which no browser sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebLink {
    /// Where the cluster is, `host:port`.
    pub address: String,
    /// The code of the link.
    pub code: String,
    /// Pin of its TLS authority.
    pub pin: String,
}

impl std::fmt::Display for WebLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}{JOIN_PATH}#{}.{}", self.address, self.code, self.pin)
    }
}

impl FromStr for WebLink {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "the address of a link looks like https://HOST:PORT/join#CODE.PIN; copy all of it";
        let rest = text.trim().strip_prefix("https://").ok_or(wrong)?;
        let (address, secrets) = rest
            .split_once('#')
            .and_then(|(at, secrets)| Some((at.strip_suffix(JOIN_PATH)?, secrets)))
            .ok_or(wrong)?;
        let (code, pin) = secrets.split_once('.').ok_or(wrong)?;
        let code = wire::share::code(code).ok_or(wrong)?;
        let pinned = pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit());
        if address.is_empty() || address.contains('/') || !pinned {
            return Err(wrong);
        }
        Ok(Self { address: with_port(address), code, pin: pin.to_ascii_lowercase() })
    }
}

/// An address with a port: a browser leaves out its usual one.
fn with_port(address: &str) -> String {
    let behind = address.rsplit_once(']').map_or(address, |(_, behind)| behind);
    if behind.contains(':') { address.to_owned() } else { format!("{address}:443") }
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
        check("--to guests", None, Observer, 3_600_000, false, "guests");
        check("--for 30m --once abab", Some("abab"), Observer, 1_800_000, true, "anyone");
    }

    #[test]
    fn the_address_of_a_link_is_read_back() {
        let pin = "0f".repeat(32);
        let check = |text: &str, address: Option<&str>| {
            let read = text.parse::<WebLink>().ok();
            assert_eq!(read.as_ref().map(|link| link.address.as_str()), address, "{text}");
            if let Some(link) = read {
                assert_eq!((link.code.as_str(), &link.pin), (CODE, &pin));
                assert_eq!(link.to_string().parse(), Ok(link));
            }
        };
        check(
            &format!("https://scry.example.com:4422/join#{CODE}.{pin}"),
            Some("scry.example.com:4422"),
        );
        check(
            &format!(" https://scry.example.com/join#{CODE}.{pin}\n"),
            Some("scry.example.com:443"),
        );
        check(&format!("https://[::1]:4422/join#{CODE}.{pin}"), Some("[::1]:4422"));
        check(&format!("https://[::1]/join#{CODE}.{pin}"), Some("[::1]:443"));
        check(
            &format!("https://a:1/join#{}.{}", CODE.to_uppercase(), pin.to_uppercase()),
            Some("a:1"),
        );
        for text in [
            format!("http://a:1/join#{CODE}.{pin}"),
            format!("https://a:1/join#{CODE}"),
            format!("https://a:1/join#{CODE}.{}", pin.split_at(63).0),
            format!("https://a:1/other#{CODE}.{pin}"),
            format!("https://a:1/x/join#{CODE}.{pin}"),
            format!("https:///join#{CODE}.{pin}"),
            format!("https://a:1/join#share-0123.{pin}"),
            CODE.to_owned(),
        ] {
            check(&text, None);
        }
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

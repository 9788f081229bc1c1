//! Links into running sessions: making, listing, revoking, reading and taking one.

use crate::{Done, call};
use core::net::IpAddr;
use model::{LinkId, NodeName, SeatRole, SessionId, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Before the secret in a code.
pub const CODE_PREFIX: &str = "share-";
/// Path at the proxy that stands before a code in the address of a link. The code is behind a `#`, which no browser sends, so
/// whoever fetches it uses nothing up.
pub const JOIN_PATH: &str = "/join";
/// Path of the page that says how to come by a link without a browser.
pub const JOIN_PLAIN_PATH: &str = "/join/plain";
/// Letters and digits of the secret: 16 random bytes in Crockford's alphabet.
const CODE_DIGITS: usize = 26;
/// That alphabet in small letters.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The code that a text is, in small letters; `None` if it is none.
#[must_use]
pub fn code(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_lowercase();
    let digits = code.strip_prefix(CODE_PREFIX)?.as_bytes();
    let whole = digits.len() == CODE_DIGITS && digits.iter().all(|digit| ALPHABET.contains(digit));
    whole.then_some(code)
}

/// A text for ledgers and logs in which no secret of a link stands any more.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let prefix = CODE_PREFIX.as_bytes();
    let begins = |text: &str| {
        let mut places = text.as_bytes().windows(prefix.len());
        places.position(|place| place.eq_ignore_ascii_case(prefix))
    };
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = begins(rest) {
        let (before, behind) = rest.split_at(at.saturating_add(prefix.len()));
        shown.push_str(before);
        shown.push('…');
        rest = behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    }
    shown + rest
}

/// Makes a link into a session of the caller's own. Its roles must allow it for this seat. Nobody is asked again: who has the
/// code and may use it comes in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MakeLink {
    /// Where the session runs.
    pub node: NodeName,
    /// Which.
    pub session: SessionId,
    /// As what it lets in.
    pub seat: SeatRole,
    /// How long it counts, in milliseconds; [`model::limit::LINK_MS`] if not said.
    #[serde(default)]
    pub life_ms: Option<u64>,
    /// Whether it counts once only.
    #[serde(default)]
    pub once: bool,
    /// The only one who may use it; whoever has an account if none.
    #[serde(default)]
    pub to: Option<UserName>,
    /// Whether people who have no account may use it, too. Not beside `to`.
    #[serde(default)]
    pub guests: bool,
}

/// The link that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeLink {
    /// The secret; shown once, never stored in clear. Begins with [`CODE_PREFIX`].
    pub code: String,
    /// What it lets in to.
    #[serde(flatten)]
    pub link: Link,
}

/// Lists the links into the caller's own sessions that have not expired, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListLinks {}

/// A link, without its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    /// Where the session runs.
    pub node: NodeName,
    /// Which.
    pub session: SessionId,
    /// Whose it is.
    pub owner: UserName,
    /// As what it lets in.
    pub seat: SeatRole,
    /// Who made it.
    pub by: UserName,
    /// The only one who may use it; whoever has an account if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<UserName>,
    /// Whether people who have no account may use it, too.
    #[serde(default)]
    pub guests: bool,
    /// Whether it counts once only.
    pub once: bool,
    /// When it was made.
    pub created: Time,
    /// First moment at which it no longer counts.
    pub expires: Time,
    /// How often it was used.
    pub used: u64,
    /// Whether it still counts.
    pub state: LinkState,
}

/// Whether a link counts that has not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// It lets in.
    Open,
    /// It counted once, and was used.
    Used,
    /// It was revoked.
    Revoked,
    /// The session is over.
    Over,
}

impl LinkState {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Revoked => "revoked",
            Self::Over => "over",
        }
    }
}

/// Revokes a link; whoever came by it must leave. For its owner, and for who has the right over locks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RevokeLink {
    /// Which.
    pub link: Which,
}

/// A link by its number or by its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Its number.
    Number(LinkId),
    /// Its code.
    Code(String),
}

/// Reads a link: what it lets the caller in to. Uses nothing up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadLink {
    /// Its code.
    pub code: String,
    /// As what the caller means to come, if they say so; a link of another seat is refused.
    #[serde(default)]
    pub seat: Option<SeatRole>,
}

/// What a link lets in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shared {
    /// Number of the link.
    pub link: LinkId,
    /// Where the session runs.
    pub node: NodeName,
    /// Which.
    pub session: SessionId,
    /// Whose it is.
    pub owner: UserName,
    /// As what one may come.
    pub seat: SeatRole,
    /// First moment at which the link no longer counts.
    pub expires: Time,
}

/// Reads a link as somebody who may have no account: as [`ReadLink`], if it is for guests. Needs no identity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LookAtLink {
    /// Its code.
    pub code: String,
    /// As what they mean to come, if they say so; a link of another seat is refused.
    #[serde(default)]
    pub seat: Option<SeatRole>,
}

/// What a guest needs to know in order to come.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// Where it leads.
    pub shared: Shared,
    /// Name of the cluster.
    pub cluster: String,
    /// Host authority keys, OpenSSH format: the node shows a certificate that one of them signed.
    pub host_authority: Vec<String>,
}

/// Asks to which node a link for guests leads, for somebody who wants to be carried there. Needs the identity of a proxy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindLink {
    /// Its code, as the person showed it.
    pub code: String,
    /// Where they are.
    pub address: IpAddr,
}

/// Where a link leads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkPlace {
    /// To which node.
    pub node: NodeName,
}

/// Takes a link for somebody who has come to the node that it leads to. This is its use, and the only one. Needs the
/// identity of that node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeLink {
    /// Its code, as the person showed it.
    pub code: String,
    /// Who has come, by their certificate; or what a guest calls themselves.
    pub user: UserName,
    /// From which address, if that is known.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// As what they want to come; as the link says if they said nothing.
    #[serde(default)]
    pub seat: Option<SeatRole>,
}

/// What a link gives to whoever came by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Number of the link.
    pub link: LinkId,
    /// Into which session.
    pub session: SessionId,
    /// As what.
    pub seat: SeatRole,
    /// To whom.
    pub user: UserName,
    /// Whether it is for people who have no account, too.
    #[serde(default)]
    pub guests: bool,
    /// First moment at which it no longer counts.
    pub expires: Time,
}

call! {
    MakeLink, "share/create", MadeLink;
    ListLinks, "share/list", Vec<Link>;
    RevokeLink, "share/revoke", Done;
    ReadLink, "share/read", Shared;
    LookAtLink, "share/look", Welcome;
    FindLink, "share/find", LinkPlace;
    TakeLink, "share/take", Grant;
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "share-0123456789abcdefghjkmnpqrs";

    #[test]
    fn a_code_is_whole_or_none() {
        let loud = CODE.to_ascii_uppercase();
        for (text, is_code) in [
            (CODE, true),
            (&format!(" {CODE}\n"), true),
            (&loud, true),
            ("", false),
            ("share-", false),
            (CODE.trim_start_matches("share-"), false),
            (&CODE.replace('7', "l"), false),
            (&CODE.replace('7', "-"), false),
            (&format!("{CODE}0"), false),
            ("share-house", false),
            ("abababab-abab-4bab-abab-abababababab", false),
        ] {
            assert_eq!(code(text), is_code.then(|| CODE.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn no_text_for_the_ledger_holds_a_secret_of_a_link() {
        let check = |text: &str, shown: &str| assert_eq!(without_secrets(text), shown);
        check("alice", "alice");
        check("", "");
        check(CODE, "share-…");
        check(&format!("+{CODE}"), "+share-…");
        check(&format!("a certificate for \"+{CODE}\""), "a certificate for \"+share-…\"");
        check(&format!("{}, {CODE}!", CODE.to_ascii_uppercase()), "SHARE-…, share-…!");
        check("share-é", "share-…é");
    }

    #[test]
    fn which_link_is_said_by_its_number_or_by_its_code() {
        for (which, text) in [
            (Which::Number(LinkId(7)), r#"{"number":7}"#),
            (Which::Code("share-x".into()), r#"{"code":"share-x"}"#),
        ] {
            assert_eq!(serde_json::to_string(&which).unwrap(), text);
            assert_eq!(serde_json::from_str::<Which>(text).unwrap(), which);
        }
    }
}

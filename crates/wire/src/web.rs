//! What a browser asks, and the names that proxy and auth agree on for it ([0003](../../../docs/design/0003-web.md)).
//!
//! A browser's `POST /v1/PATH` is the same call that `scry` makes. The proxy passes on what stands in [`crate::route::OPEN`] and nothing
//! else, with the headers below, which auth takes from proxies alone: with [`crate::name::CLIENT_ADDRESS_HEADER`] a proxy's
//! request is that browser's, and without it the proxy's own.

use crate::company::{Ask, Told};
use crate::{Done, call};
use core::fmt;
use core::str::FromStr;
pub use model::FactorKind;
use model::role::AdminRight;
use model::{Login, NodeName, RoleName, SeatRole, SessionId, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Cookie with the secret of a web session: `Secure`, `HttpOnly`, `SameSite=Strict`, path `/`, no domain.
pub const COOKIE: &str = "__Host-scry";
/// Header from a proxy to auth: the secret that stood in the cookie.
pub const SESSION_HEADER: &str = "scry-web-session";
/// Header from auth to a proxy: a [`SetSession`], which becomes the cookie.
pub const SET_SESSION_HEADER: &str = "scry-set-session";
/// Header from a proxy to auth: the origin that the browser sees, `https://HOST` or `https://HOST:PORT`. Passkeys are bound
/// to its host. What the browser calls itself comes in the usual `user-agent`.
pub const ORIGIN_HEADER: &str = "scry-web-origin";
/// WebSocket subprotocol of a terminal.
pub const TERMINAL_PROTOCOL: &str = "scry.terminal.1";

/// A secret for the cookie, or that there shall be none. As a header: the secret, a space, and for how many seconds it counts;
/// or nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum SetSession {
    /// A new secret, which counts for so many seconds.
    New {
        /// Hexadecimal digits.
        secret: String,
        /// `Max-Age`.
        seconds: u64,
    },
    /// Away with the cookie.
    Clear,
}

/// A header that says nothing of a web session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSetSession;

impl fmt::Display for SetSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New { secret, seconds } => write!(f, "{secret} {seconds}"),
            Self::Clear => Ok(()),
        }
    }
}

impl fmt::Debug for SetSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New { .. } => "New(…)",
            Self::Clear => "Clear",
        })
    }
}

impl FromStr for SetSession {
    type Err = NoSetSession;

    fn from_str(text: &str) -> Result<Self, NoSetSession> {
        if text.is_empty() {
            return Ok(Self::Clear);
        }
        let (secret, seconds) = text.split_once(' ').ok_or(NoSetSession)?;
        let plain = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let seconds = seconds.parse().ok().filter(|_| plain).ok_or(NoSetSession)?;
        Ok(Self::New { secret: secret.to_owned(), seconds })
    }
}

// Signing in and out

/// What whoever opens the page may know before they sign in. Needs no identity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadDoor {}

/// The door, from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Door {
    /// Name of the cluster.
    pub cluster: String,
    /// Why passkeys do not work at this address; they do if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_passkeys: Option<String>,
}

/// Signs in with a password. Needs no identity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WebSignIn {
    /// Who.
    pub user: UserName,
    /// The password.
    pub password: String,
}

/// What became of a sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entered {
    /// It is done; the secret is in the header.
    SignedIn(Me),
    /// A second factor is wanted: [`ShowSecond`].
    Wants(Wants),
}

/// The password was right, and something else is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wants {
    /// For [`ShowSecond`]; counts for [`model::limit::SECOND_FACTOR_MS`].
    pub ticket: String,
    /// What may be shown, one of them; a recovery code may be shown in place of any.
    pub factors: Vec<FactorKind>,
    /// Where a passkey may be: `PublicKeyCredentialRequestOptionsJSON`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<Value>,
}

/// A second factor, shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// Six digits.
    Totp(String),
    /// `AuthenticationResponseJSON`, as `PublicKeyCredential.toJSON()` writes it.
    Passkey(Value),
    /// A recovery code.
    Recovery(String),
}

impl Shown {
    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> FactorKind {
        match self {
            Self::Totp(_) => FactorKind::Totp,
            Self::Passkey(_) => FactorKind::Passkey,
            Self::Recovery(_) => FactorKind::Recovery,
        }
    }
}

/// Shows a second factor after [`WebSignIn`]. Needs no identity; the ticket is the proof of the password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ShowSecond {
    /// From [`Wants`].
    pub ticket: String,
    /// What is shown.
    pub shown: Shown,
}

/// Begins a sign-in with a passkey alone. Needs no identity; a passkey knows whose it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BeginPasskey {}

/// What the browser is to be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasskeyAsked {
    /// For the call that ends it; counts for [`model::limit::SECOND_FACTOR_MS`].
    pub ticket: String,
    /// `PublicKeyCredentialRequestOptionsJSON`; for a new one `PublicKeyCredentialCreationOptionsJSON`.
    pub passkey: Value,
}

/// Ends a sign-in with a passkey alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FinishPasskey {
    /// From [`PasskeyAsked`].
    pub ticket: String,
    /// `AuthenticationResponseJSON`.
    pub passkey: Value,
}

/// Who one is. Needs a web session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadMe {}

/// Somebody who is signed in, to themselves. What a page shows goes by it; what may be done is decided where it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// Who.
    pub user: UserName,
    /// Name of the cluster.
    pub cluster: String,
    /// Pin of its TLS authority: SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub pin: String,
    /// With which roles.
    pub roles: Vec<RoleName>,
    /// Number of this web session.
    pub session: u64,
    /// First moment at which it no longer counts.
    pub expires: Time,
    /// Parts of the cluster that they may administer.
    pub admin: Vec<AdminRight>,
    /// As what they may let others into their sessions by a link; somewhere.
    pub share: Vec<SeatRole>,
    /// As which of them people without an account, too.
    pub guests: Vec<SeatRole>,
    /// Whether they may look at recordings; somebody's.
    pub may_play: bool,
    /// Whether they may take recordings away; somebody's.
    pub may_export: bool,
    /// Second factors that they have.
    pub factors: Vec<FactorKind>,
    /// Whether their roles demand a second factor and none was shown: nothing else works until one was added, or, where there
    /// is one, until they sign in with it.
    pub must_enrol: bool,
}

/// Ends the caller's web session, or all of theirs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WebSignOut {
    /// All.
    #[serde(default)]
    pub everywhere: bool,
}

/// Lists the caller's web sessions, the one that was used last first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListWebSessions {}

/// A web session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebSession {
    /// Its number.
    pub id: u64,
    /// When it began.
    pub created: Time,
    /// When it was used last, to the minute.
    pub last_seen: Time,
    /// First moment at which it no longer counts.
    pub expires: Time,
    /// From which address it was begun.
    pub address: String,
    /// What the browser called itself.
    pub browser: String,
    /// Which second factors were shown.
    pub factors: Vec<FactorKind>,
    /// Whether it is the one that asks.
    pub here: bool,
}

/// Ends another of the caller's web sessions, or all others.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EndWebSession {
    /// Which.
    pub which: WhichSession,
}

/// Which web sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhichSession {
    /// The one with this number.
    One(u64),
    /// All but the one that asks.
    Others,
}

// Second factors of one's own. They are changed in a browser only.

/// Lists the caller's second factors.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListFactors {}

/// What somebody has besides a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Factors {
    /// Each.
    pub factors: Vec<Factor>,
    /// Recovery codes that were not used yet.
    pub recovery_left: u32,
    /// Whether their roles demand one.
    pub demanded: bool,
    /// Why passkeys do not work at this address; they do if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_passkeys: Option<String>,
}

/// A second factor in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Factor {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: String,
    /// When it was added.
    pub created: Time,
    /// When it was shown last.
    pub last_used: Option<Time>,
}

/// Begins to add an app that shows six digits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BeginTotp {}

/// What the app must know. Shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TotpAsked {
    /// For [`FinishTotp`]; counts for [`model::limit::ENROL_MS`].
    pub ticket: String,
    /// Base32, for people who type it.
    pub secret: String,
    /// `otpauth://…`, for a QR code.
    pub uri: String,
}

/// Adds the app, which now shows the right digits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FinishTotp {
    /// From [`TotpAsked`].
    pub ticket: String,
    /// Six digits.
    pub code: String,
    /// What to call it.
    #[serde(default)]
    pub name: String,
}

/// A factor was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolled {
    /// Which.
    pub factor: Factor,
    /// With the first one: recovery codes, shown once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<String>,
}

/// Begins to add a passkey.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BeginNewPasskey {}

/// Adds a passkey.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FinishNewPasskey {
    /// From [`PasskeyAsked`].
    pub ticket: String,
    /// `RegistrationResponseJSON`, as `PublicKeyCredential.toJSON()` writes it.
    pub passkey: Value,
    /// What to call it.
    #[serde(default)]
    pub name: String,
}

/// Makes new recovery codes; the ones before do not count any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RenewRecovery {}

/// Recovery codes, shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryCodes {
    /// Each counts once.
    pub recovery: Vec<String>,
}

/// Removes one of the caller's factors. The last one stays where roles demand one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveFactor {
    /// Its number.
    pub id: u64,
}

/// Takes all second factors from somebody who has lost them, and ends their web sessions. Needs the right over users.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ResetFactors {
    /// Who.
    pub user: UserName,
}

// A terminal

/// Asks for a terminal for whoever is signed in in a browser. Needs the identity of a proxy, on that browser's behalf.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantTerminal {
    /// The proxy's SSH public key for this one terminal, OpenSSH format, ed25519.
    pub ssh_key: String,
    /// What for.
    pub to: TerminalTo,
}

/// What a terminal is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TerminalTo {
    /// To log in: new sessions, and files.
    Login {
        /// Where.
        node: NodeName,
        /// As whom.
        login: Login,
    },
    /// To come back to a session of one's own.
    Attach {
        /// Where it runs.
        node: NodeName,
        /// Which.
        session: SessionId,
    },
    /// To join a session.
    Join {
        /// Where it runs.
        node: NodeName,
        /// Which.
        session: SessionId,
        /// As what; to look if nothing is said.
        #[serde(default)]
        seat: Option<SeatRole>,
    },
    /// To come by a link.
    Link {
        /// Its code.
        code: String,
    },
}

/// A certificate for one terminal, with what the proxy must know to open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalGrant {
    /// SSH user certificate with the critical option [`crate::name::ONLY_OPTION`], OpenSSH format, one line.
    pub ssh_certificate: String,
    /// Host authority keys, OpenSSH format: the node shows a certificate that one of them signed.
    pub host_authority: Vec<String>,
    /// Whose it is.
    pub user: UserName,
    /// By which web session of theirs; when that ends, so does what was opened with this.
    pub web_session: u64,
    /// To which node.
    pub node: NodeName,
    /// As whom; in a session that was joined, as whom its owner logged in.
    pub login: Login,
    /// The one session that it is for; none to log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// As what it is joined; none in one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<SeatRole>,
    /// First moment at which no node takes it any more.
    pub before: Time,
    /// First moment at which what was opened with it ends; that of the web session at most.
    pub expires: Time,
}

/// A text message from a page that shows a terminal. What is typed comes as binary messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromPage {
    /// The first message: a new session.
    Open {
        /// Where.
        node: NodeName,
        /// As whom.
        login: Login,
        /// Columns of the page's terminal.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
    /// The first message: one's own session again, after the connection was lost.
    Attach {
        /// Where it runs.
        node: NodeName,
        /// Which.
        session: SessionId,
        /// Columns of the page's terminal.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
    /// The first message: a seat in somebody's session.
    Join {
        /// Where it runs.
        node: NodeName,
        /// Which.
        session: SessionId,
        /// As what; to look if nothing is said.
        #[serde(default)]
        seat: Option<SeatRole>,
        /// Columns of the page's terminal.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
    /// The first message: by a link.
    Link {
        /// Its code.
        code: String,
        /// What a guest calls themselves.
        #[serde(default)]
        name: Option<String>,
        /// Columns of the page's terminal.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
    /// The page's terminal has another size.
    Resize {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// How much of the output it has taken in.
    Read {
        /// Bytes, in all.
        bytes: u64,
    },
    /// Something for the session's company.
    Ask(Ask),
    /// Hangs up for good: one's own session ends, a seat is left. A WebSocket that merely closes is a connection that was lost.
    Leave {},
}

/// A text message to a page that shows a terminal. What the program writes comes as binary messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToPage {
    /// The terminal is there.
    Opened {
        /// On which node.
        node: NodeName,
        /// Which session.
        session: SessionId,
        /// As whom it runs, if that is known; a guest does not learn it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        login: Option<Login>,
        /// Who looks at it.
        user: UserName,
        /// As what; the owner has no seat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seat: Option<SeatRole>,
        /// Columns of the picture.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
    /// Something from the session's company.
    Told(Told),
    /// One sentence, beside the terminal.
    Notice(String),
    /// The last message.
    Closed {
        /// Why, for a person.
        why: String,
        /// Whether it is worth asking again: the session still runs, or what is in the way may pass.
        again: bool,
    },
}

// What is no call

/// That there is a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ping {
    /// `proxy`.
    pub part: String,
    /// Its version.
    pub version: String,
}

/// A folder of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Folder {
    /// Its whole path, as the node names it.
    pub path: String,
    /// What is in it: folders first, by their names.
    pub entries: Vec<FolderEntry>,
    /// Whether it holds more than these, which are the first that the node told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// What stands in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FolderEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size.
    pub bytes: u64,
    /// When it was changed, if the node says so.
    pub changed: Option<Time>,
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Something else.
    Other,
}

/// A file that was taken to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Uploaded {
    /// Its whole path, as the node names it.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

call! {
    ReadDoor, "web/door", Door;
    WebSignIn, "web/sign-in", Entered;
    ShowSecond, "web/second", Me;
    BeginPasskey, "web/passkey/begin", PasskeyAsked;
    FinishPasskey, "web/passkey/finish", Me;
    ReadMe, "web/me", Me;
    WebSignOut, "web/sign-out", Done;
    ListWebSessions, "web/sessions/list", Vec<WebSession>;
    EndWebSession, "web/sessions/end", Done;
    ListFactors, "factors/list", Factors;
    BeginTotp, "factors/totp/begin", TotpAsked;
    FinishTotp, "factors/totp/finish", Enrolled;
    BeginNewPasskey, "factors/passkey/begin", PasskeyAsked;
    FinishNewPasskey, "factors/passkey/finish", Enrolled;
    RenewRecovery, "factors/recovery", RecoveryCodes;
    RemoveFactor, "factors/remove", Done;
    ResetFactors, "factors/reset", Done;
    GrantTerminal, "web/terminal", TerminalGrant;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_look_as_the_page_about_them_says() {
        let id = SessionId::from_random([7; 16]);
        let node: NodeName = "web-01".parse().unwrap();
        let (cols, rows) = (80, 24);
        let open =
            FromPage::Open { node: node.clone(), login: "root".parse().unwrap(), cols, rows };
        for (message, text) in [
            (open, r#"{"open":{"node":"web-01","login":"root","cols":80,"rows":24}}"#.to_owned()),
            (
                FromPage::Attach { node: node.clone(), session: id, cols, rows },
                format!(r#"{{"attach":{{"node":"web-01","session":"{id}","cols":80,"rows":24}}}}"#),
            ),
            (FromPage::Resize { cols, rows }, r#"{"resize":{"cols":80,"rows":24}}"#.to_owned()),
            (FromPage::Read { bytes: 9 }, r#"{"read":{"bytes":9}}"#.to_owned()),
            (FromPage::Ask(Ask::Who {}), r#"{"ask":{"ask":"who"}}"#.to_owned()),
            (FromPage::Leave {}, r#"{"leave":{}}"#.to_owned()),
        ] {
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
            assert_eq!(serde_json::from_str::<FromPage>(&text).unwrap(), message);
        }
        let link = r#"{"link":{"code":"share-x","cols":80,"rows":24}}"#;
        let link: FromPage = serde_json::from_str(link).unwrap();
        assert_eq!(link, FromPage::Link { code: "share-x".into(), name: None, cols, rows });
        for (message, text) in [
            (ToPage::Notice("soon".into()), r#"{"notice":"soon"}"#),
            (
                ToPage::Closed { why: "it is over".into(), again: false },
                r#"{"closed":{"why":"it is over","again":false}}"#,
            ),
            (ToPage::Told(Told::Done {}), r#"{"told":{"told":"done"}}"#),
        ] {
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
            assert_eq!(serde_json::from_str::<ToPage>(text).unwrap(), message);
        }
    }

    #[test]
    fn a_secret_for_the_cookie_is_read_back_and_is_never_shown_in_a_log() {
        let new = SetSession::New { secret: "ab12".into(), seconds: 600 };
        assert_eq!(new.to_string(), "ab12 600");
        assert!(!format!("{new:?}").contains("ab12"));
        for set in [new, SetSession::Clear] {
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        for odd in ["ab12", "ab12 ", "ab12 x", " 5", "a;b 5", "a b 5"] {
            assert_eq!(odd.parse::<SetSession>(), Err(NoSetSession), "{odd:?}");
        }
    }

    #[test]
    fn a_second_factor_that_is_shown_says_which_it_is() {
        let shown = Shown::Totp("123456".into());
        assert_eq!(serde_json::to_string(&shown).unwrap(), r#"{"totp":"123456"}"#);
        assert_eq!(shown.kind(), FactorKind::Totp);
    }
}

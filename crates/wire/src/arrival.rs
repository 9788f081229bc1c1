//! A terminal that is signed in by a browser (`scry login --browser`): it waits at auth, its person opens a page and shows there
//! who they are, and the page is given an answer that only this terminal can use.
//!
//! Who has a terminal's code alone, or an answer alone, has nothing: certificates are for who shows the ticket, which never
//! leaves the terminal, with the answer, which never comes to anybody but who was let in by the page.

use crate::people::Credentials;
use crate::web::{PasskeyAsked, Shown, Wants};
use crate::{Done, call};
use model::{Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Path of the page at the proxy; behind the `#` stands the code. Where the terminal opens the browser itself, a dot follows, the
/// port at which it listens on 127.0.0.1, a dot, and a secret by which it knows the page again: the page then goes to
/// `http://127.0.0.1:PORT/?state=SECRET&answer=ANSWER`, with an empty answer if the terminal was turned away.
pub const PAGE_PATH: &str = "/login";

/// Asks to be signed in by a browser. Needs no identity. A terminal waits for at most [`model::limit::ARRIVAL_MS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrive {
    /// Who wants to be signed in; nobody else can let this terminal in.
    pub user: UserName,
    /// The client's SSH public key, OpenSSH format (`ssh-ed25519 AAAA…`).
    pub ssh_key: String,
    /// PKCS#10 request for the TLS certificate, PEM; its subject is ignored.
    pub tls_request: String,
    /// Wished life of the certificates in milliseconds; roles may give less.
    #[serde(default)]
    pub wanted_ms: Option<i64>,
    /// What the client calls its machine. Shown as its own word.
    #[serde(default)]
    pub machine: String,
}

/// The terminal waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrived {
    /// For [`ComeIn`] and [`Leave`]. Never shown to anybody.
    pub ticket: String,
    /// Names the terminal to its person, `abcd-efgh`; shown by terminal and page.
    pub code: String,
    /// First moment at which it waits no more.
    pub expires: Time,
    /// Fingerprint of the SSH key, as `ssh-add -l` prints it; the page shows the same.
    pub key: String,
}

/// Shows the answer that the page was given. Needs no identity; the ticket and the answer are the proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComeIn {
    /// From [`Arrived`].
    pub ticket: String,
    /// From [`LetInAnswer`], however it is typed.
    pub answer: String,
}

/// The terminal waits no more. Needs no identity; the ticket is the proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leave {
    /// From [`Arrived`].
    pub ticket: String,
}

/// Asks who waits there. For anybody with a browser who was shown the code.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadArrival {
    /// From the terminal, however it is typed.
    pub code: String,
}

/// A terminal that waits, to the person who is asked to let it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arrival {
    /// Its code, as the terminal shows it.
    pub code: String,
    /// Who wants to be signed in there.
    pub user: UserName,
    /// Name of the cluster.
    pub cluster: String,
    /// What the terminal calls its machine: its own word, and whoever began it may have chosen it.
    pub machine: String,
    /// Address of the terminal, as auth sees it.
    pub address: String,
    /// Whether the browser that asks has the same address.
    pub near: bool,
    /// Fingerprint of the SSH key that will be certified.
    pub key: String,
    /// When it began to wait.
    pub since: Time,
    /// First moment at which it waits no more.
    pub expires: Time,
    /// Why passkeys do not work at this address; they do if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_passkeys: Option<String>,
}

/// Begins to show a passkey for a terminal that waits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BeginArrivalPasskey {
    /// Of the terminal.
    pub code: String,
}

/// Lets a terminal in. Nothing that was shown before counts: no cookie, and no sign-in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LetIn {
    /// Of the terminal.
    pub code: String,
    /// Who lets it in shows who they are.
    pub by: Proof,
}

/// By what somebody shows who they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The password; where the person has a second factor, it is asked for.
    Password(String),
    /// The second factor, behind the password.
    Second {
        /// From [`Wants`].
        ticket: String,
        /// What is shown.
        shown: Shown,
    },
    /// A passkey alone.
    Passkey {
        /// From [`PasskeyAsked`].
        ticket: String,
        /// `AuthenticationResponseJSON`.
        passkey: Value,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LetInAnswer {
    /// The terminal is signed in when it shows this, `abcd-efgh`.
    Answer(String),
    /// A second factor is wanted: [`Proof::Second`].
    Wants(Wants),
}

/// Turns a terminal away: it is not one's own. For anybody with a browser who was shown the code.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TurnAway {
    /// Of the terminal.
    pub code: String,
}

call! {
    Arrive, "arrival/begin", Arrived;
    ComeIn, "arrival/come-in", Credentials;
    Leave, "arrival/leave", Done;
    ReadArrival, "arrival/read", Arrival;
    BeginArrivalPasskey, "arrival/passkey", PasskeyAsked;
    LetIn, "arrival/let-in", LetInAnswer;
    TurnAway, "arrival/turn-away", Done;
}

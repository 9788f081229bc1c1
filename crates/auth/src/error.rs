//! Why auth cannot start or go on, and why it refuses a request.

use crate::keys::KeysError;
use crate::password::HashError;
use axum::response::{IntoResponse, Response};
use model::SessionId;
pub use model::words as chain;
use policy::{Denial, PlanFault};
use std::net::SocketAddr;
use store::intake::IntakeError;
use store::tables::TableError;
use thiserror::Error;
use wire::{Failure, Fault};

/// Why auth cannot start or go on. Each text says what to do, or its source does.
#[derive(Debug, Error)]
pub enum Error {
    /// A key cannot be used.
    #[error("auth has no usable keys")]
    Keys(#[from] KeysError),
    /// A directory cannot be used.
    #[error("auth's directory cannot be used")]
    Directory(#[source] store::keys::KeyError),
    /// Its disk cannot be looked at.
    #[error("auth's disk cannot be looked at")]
    Disk(#[source] std::io::Error),
    /// The database does not work.
    #[error("auth's database does not work")]
    Tables(#[from] TableError),
    /// Recordings cannot be read or written.
    #[error("auth's recordings cannot be read or written")]
    Intake(#[from] IntakeError),
    /// The data directory is that of another cluster.
    #[error(
        "this data directory is that of the cluster {found:?}, not {wanted:?}: name it so, or take another directory"
    )]
    OtherCluster {
        /// Whose it is.
        found: String,
        /// What was wanted.
        wanted: String,
    },
    /// What stands on the disk is not what was written.
    #[error("recording {id} was damaged on auth's disk: {what}")]
    Damaged {
        /// Which.
        id: SessionId,
        /// What is wrong with it.
        what: String,
    },
    /// Where a recording belongs lies another one.
    #[error(
        "recording {id}'s file holds another recording: somebody has put it there, and the ledger says which (recording.tampering)"
    )]
    Another {
        /// Which was asked for.
        id: SessionId,
    },
    /// A test stops the work here.
    #[cfg(test)]
    #[error("stopped behind {behind:?}")]
    Stopped {
        /// The last step that was done.
        behind: &'static str,
    },
    /// The address cannot be listened on.
    #[error("auth cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A TLS key or certificate cannot be made.
    #[error("auth's TLS certificate cannot be made")]
    Tls(#[from] link::tls::TlsError),
    /// An SSH certificate cannot be signed.
    #[error("an SSH certificate cannot be signed")]
    Certificate(#[source] ssh_key::Error),
    /// What an app is told cannot be put together.
    #[error("an app for six digits cannot be set up")]
    Totp(#[source] totp_rs::TotpError),
    /// The secret of an app cannot be opened: the seal key is another than the one with which it was sealed.
    #[error(
        "the secret of a second factor does not fit auth's keys: were they put back from an older backup than the database?"
    )]
    Sealed,
    /// A passkey cannot be asked for.
    #[error("a passkey cannot be asked for")]
    Passkey(#[source] webauthn_rs::prelude::WebauthnError),
    /// Something cannot be written as JSON.
    #[error("something cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// Passwords cannot be hashed.
    #[error("passwords cannot be hashed")]
    Password(#[from] HashError),
}

/// Why a request is refused: what the caller hears, and what only the ledger does.
#[derive(Debug)]
pub struct Refusal {
    fault: Fault,
    message: String,
    /// Stands in the ledger: what was asked for, and which rule is missing, in full.
    denied: Option<(String, String)>,
    /// The disk is full.
    full: bool,
    /// Which recording it is about.
    about: Option<SessionId>,
}

impl Refusal {
    /// With words for the caller.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), denied: None, full: false, about: None }
    }

    /// The request makes no sense.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Fault::Malformed, message)
    }

    /// There is no such thing, or the caller may not know that there is.
    pub fn not_found(what: &str) -> Self {
        Self::new(Fault::NotFound, format!("there is no such {what}"))
    }

    /// Forbidden, with the full reason for the ledger.
    pub fn denied(action: &str, why: &str, message: &str) -> Self {
        let denied = Some((action.to_owned(), why.to_owned()));
        Self { denied, ..Self::new(Fault::Denied, message) }
    }

    /// The same refusal, which the ledger hears of, too.
    pub fn with_audit(self, action: &str, why: String) -> Self {
        Self { denied: Some((action.to_owned(), why)), ..self }
    }

    /// Says to the caller that there is no such thing, and to the ledger why it was denied.
    pub fn hidden(self, what: &str) -> Self {
        Self { denied: self.denied, about: self.about, ..Self::not_found(what) }
    }

    /// The same refusal, which is about this recording.
    pub fn about(self, id: SessionId) -> Self {
        Self { about: Some(id), ..self }
    }

    /// The recording it is about, if it is about one.
    pub fn recording(&self) -> Option<SessionId> {
        self.about
    }

    /// Stands in the ledger already.
    pub fn audited(self) -> Self {
        Self { denied: None, ..self }
    }

    /// What stands in the ledger: action and reason.
    pub fn to_audit(&self) -> Option<(&str, &str)> {
        self.denied.as_ref().map(|(action, why)| (action.as_str(), why.as_str()))
    }

    /// Whether it was refused because the disk is full.
    pub fn met_full_disk(&self) -> bool {
        self.full
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// What the caller hears.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::denied(&denial.action(), &denial.to_string(), &denial.public())
    }
}

impl From<PlanFault> for Refusal {
    fn from(fault: PlanFault) -> Self {
        match fault {
            PlanFault::Denied(denial) => denial.into(),
            fault => Self::malformed(fault.to_string()),
        }
    }
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        tracing::error!(error = chain(&error), "a request failed");
        if store::disk::is_full(&error) {
            metrics::counter!("scry_auth_disk_full_total").increment(1);
            let words = "auth's disk is full: free some space there, and try again";
            return Self { full: true, ..Self::new(Fault::Unavailable, words) };
        }
        if let Error::Another { .. } = error {
            return Self::new(Fault::Unavailable, error.to_string());
        }
        Self::new(Fault::Internal, "auth could not do this; its log says why")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        link::http::refusal(&Failure { fault: self.fault, message: self.message })
    }
}

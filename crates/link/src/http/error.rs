//! Why a call had no answer, in words for the person who waits for it.

use rustls::CertificateError;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use thiserror::Error;
use wire::Failure;

pub use model::words;

/// A call that had no answer, or one that says no.
#[derive(Debug, Clone, Error)]
pub enum CallError {
    /// It was answered: no.
    #[error("{}", sentence(.0))]
    Refused(Failure),
    /// It did not get there, or no answer came back.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Where it should have gone.
        address: String,
        /// Why it did not.
        #[source]
        source: Arc<Trouble>,
    },
    /// Something answered, but not in the words that were expected.
    #[error("{address} gave an answer that cannot be understood: {why}")]
    Garbled {
        /// What answered.
        address: String,
        /// What is odd about it.
        why: String,
    },
}

impl CallError {
    pub(crate) fn unreachable(address: &str, source: Trouble) -> Self {
        Self::Unreachable { address: address.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn garbled(address: &str, why: impl Into<String>) -> Self {
        Self::Garbled { address: address.to_owned(), why: why.into() }
    }

    /// Whether the connection was gone before the request was sent, so that it may be sent again.
    #[must_use]
    pub fn unsent(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if matches!(**source, Trouble::Gone))
    }
}

/// What a failure says, in one line: whoever answers may be somebody else's, and ends up in terminals and logs.
fn sentence(failure: &Failure) -> String {
    failure.message.chars().map(|c| if words::is_odd(c) { '·' } else { c }).collect()
}

/// What keeps two parts from talking.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Name or TCP.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// Nothing came in time.
    #[error("no answer within {seconds} s")]
    Slow {
        /// How long was waited.
        seconds: u64,
    },
    /// The server is not of the cluster that is trusted here.
    #[error(
        "the server is not of the cluster this machine trusts: {0}. \
         Check the address; if the cluster was set up anew, sign in again with a new invitation or pin"
    )]
    Stranger(CertificateError),
    /// The server's certificate is good, but not at this machine's time.
    #[error(
        "{0}, by this machine's clock: set the clock here (`date -u` shows it), or that of the server, and try again"
    )]
    Clock(&'static str),
    /// The server does not take the certificate that was shown.
    #[error("the server does not accept the certificate shown to it ({0}): sign in again")]
    Turned(String),
    /// Something answers there that does not speak scry's protocols.
    #[error("something answers there that is not scry: {0}")]
    NotScry(String),
    /// The connection was closed before the request was sent.
    #[error("the connection was closed")]
    Gone,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl Trouble {
    /// From an error of TLS or of what lies above it: finds TLS's own words in the chain of sources.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut cause = Some(error);
        let mut last = error.to_string();
        while let Some(one) = cause {
            if let Some(tls) = tls_error(one) {
                return Self::of_tls(tls);
            }
            last = one.to_string();
            cause = one.source();
        }
        // HTTP/2 shares an error among its streams by copying its words, so that its type is lost.
        match last.rsplit_once("received fatal alert: ") {
            Some((_, alert)) => Self::of_alert(alert),
            None => Self::Broken(last),
        }
    }

    fn of_alert(alert: &str) -> Self {
        match alert {
            "NoApplicationProtocol" => {
                Self::NotScry("it offers none of scry's protocols".to_owned())
            }
            // RFC 8446 §6.2: what a server says to a certificate it does not take. One whose authority has the
            // same name as the right one and another key is met with DecryptError.
            "BadCertificate"
            | "UnsupportedCertificate"
            | "CertificateRevoked"
            | "CertificateExpired"
            | "CertificateUnknown"
            | "UnknownCA"
            | "AccessDenied"
            | "DecryptError"
            | "CertificateRequired" => Self::Turned(alert.to_owned()),
            other => Self::Broken(format!("TLS alert {other}")),
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => Self::Clock("the server's certificate is not valid yet"),
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Self::Clock("the server's certificate is not valid any more"),
            rustls::Error::InvalidCertificate(why) => Self::Stranger(why.clone()),
            rustls::Error::AlertReceived(alert) => Self::of_alert(&format!("{alert:?}")),
            rustls::Error::InvalidMessage(_) => {
                Self::NotScry("it does not speak TLS 1.3".to_owned())
            }
            other => Self::Broken(other.to_string()),
        }
    }
}

/// An `io::Error` hides what it wraps from `source()`, so it is opened here.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    tls_error(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: CertificateError, expected: &str) {
        let words = Trouble::of(&rustls::Error::InvalidCertificate(error)).to_string();
        assert!(words.contains(expected), "{words}");
    }

    #[test]
    fn a_refusal_is_one_line_that_controls_no_terminal() {
        let message = "no\u{1b}[2J\u{9b}1m\nscry: signed in\u{202e}".to_owned();
        let refused = CallError::Refused(Failure { fault: wire::Fault::Denied, message });
        assert_eq!(refused.to_string(), "no·[2J·1m·scry: signed in·");
    }

    #[test]
    fn a_wrong_clock_is_not_taken_for_a_wrong_server() {
        use rustls::pki_types::UnixTime;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1));
        check(
            CertificateError::NotValidYetContext { time, not_before: time },
            "not valid yet, by this machine's clock: set the clock",
        );
        check(CertificateError::ExpiredContext { time, not_after: time }, "not valid any more");
        check(CertificateError::UnknownIssuer, "not of the cluster this machine trusts");
    }
}

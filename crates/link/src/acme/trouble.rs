//! Why there is no certificate, in words for whoever runs the proxy.

use super::https::Https;
use http::Uri;
use instant_acme::{Error, Problem};
use model::limit::ACME_TOLD_CHARS;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// What keeps an ACME server from giving a certificate. Each text says what to do.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Nothing to know it by.
    #[error("an ACME server cannot be trusted: {0}")]
    Authorities(String),
    /// Name, TCP, TLS or HTTP.
    #[error("the ACME server at {host} is not reached: {why}")]
    Unreachable {
        /// Which.
        host: String,
        /// Why.
        why: String,
    },
    /// Somebody else is there.
    #[error(
        "the ACME server at {host} shows a certificate that is not trusted here ({why}): if it is your own, name the authority \
         that signed it (--web-acme-ca)"
    )]
    Stranger {
        /// Which.
        host: String,
        /// What TLS says.
        why: String,
    },
    /// Nothing came in time.
    #[error("the ACME server has not answered within {seconds} s at {url}")]
    Slow {
        /// What was asked.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// It took its time.
    #[error("the ACME server has not made up its mind yet")]
    Undecided,
    /// Something else answers.
    #[error("what answers at {url} is no ACME server: {why}; look at --web-acme-directory")]
    NotAcme {
        /// What was asked.
        url: String,
        /// What is odd about the answer.
        why: String,
    },
    /// Asked too often.
    #[error("the ACME server takes no more requests for now (rate limit){}", told(.detail))]
    Limited {
        /// Its words.
        detail: String,
        /// How long it wants to be left alone, if it said so.
        wait: Option<Duration>,
    },
    /// It looked, and did not see what it should.
    #[error("{unmet}{}", told(.detail))]
    Unmet {
        /// What it saw in place of it.
        unmet: Unmet,
        /// Its words.
        detail: String,
    },
    /// It has no way of looking that a proxy can answer.
    #[error(
        "the ACME server does not look for {name} by TLS-ALPN-01, and a proxy can answer nothing else"
    )]
    NoWay {
        /// For which.
        name: String,
    },
    /// It does not know the account any more.
    #[error("the ACME server does not know the account of this proxy")]
    Forgotten,
    /// It says no.
    #[error("the ACME server refuses ({code}){}{}", told(.detail), advice(.code))]
    Refused {
        /// The kind of its refusal (RFC 8555 §6.7).
        code: String,
        /// Its words.
        detail: String,
    },
    /// What ought not to be.
    #[error("the ACME server cannot be understood: {0}")]
    Odd(String),
}

/// What an ACME server has seen where a name leads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unmet {
    /// It leads nowhere.
    #[error(
        "the name has no address that the ACME server finds in the DNS: does it exist, and is it public?"
    )]
    Nowhere,
    /// Nobody answers.
    #[error(
        "the ACME server reaches nobody at port 443 of the name: does it lead to this proxy, and does a firewall let port 443 \
         through to where the proxy listens?"
    )]
    Nobody,
    /// Somebody else answers.
    #[error(
        "the ACME server has not seen this proxy's answer at port 443 of the name: does it lead here, does a firewall let it \
         through, and does nothing before the proxy end TLS?"
    )]
    Another,
    /// The name's owner forbids it.
    #[error("the CAA records of the name do not let this ACME server sign for it")]
    Forbidden,
}

impl Unmet {
    /// If this is what the problem is about.
    pub(super) fn of(problem: &Problem) -> Option<Self> {
        Some(match code(problem) {
            "dns" => Self::Nowhere,
            "connection" => Self::Nobody,
            "tls" | "unauthorized" | "incorrectResponse" => Self::Another,
            "caa" => Self::Forbidden,
            _ => return None,
        })
    }
}

impl Trouble {
    /// Whether the server had no part in it, or asks to try again, so that it does not count it.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } => true,
            Self::Refused { code, .. } => matches!(code.as_str(), "badNonce" | "serverInternal"),
            _ => false,
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limited { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Of a look at a name.
    pub(super) fn unmet(name: &str, problem: &Problem) -> Self {
        let detail = plain(problem.detail.as_deref().unwrap_or_default());
        match Unmet::of(problem) {
            Some(unmet) => Self::Unmet { unmet, detail },
            None => {
                Self::Refused { code: plain(code(problem)), detail: format!("{name}: {detail}") }
            }
        }
    }

    pub(super) fn unreachable(url: &Uri, error: io::Error) -> Self {
        let host = url.authority().map_or_else(|| url.to_string(), ToString::to_string);
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(why)) => {
                Self::Stranger { host, why: why.to_string() }
            }
            _ => Self::Unreachable { host, why: model::words(&error) },
        }
    }

    pub(super) fn of(error: Error, https: &Https) -> Self {
        let problem = match error {
            Error::Api(problem) => problem,
            Error::Timeout(_) => return Self::Undecided,
            Error::Other(error) => {
                return match error.downcast::<Self>() {
                    Ok(own) => *own,
                    Err(other) => Self::Odd(plain(&model::words(other.as_ref()))),
                };
            }
            Error::Json(error) => {
                let url = https.directory().to_owned();
                return Self::NotAcme { url, why: plain(&error.to_string()) };
            }
            other => return Self::Odd(plain(&model::words(&other))),
        };
        // Problems of single names stand below the one of the whole.
        let below: Vec<_> = problem.subproblems.iter().filter_map(|p| p.detail.clone()).collect();
        let detail = problem.detail.clone().unwrap_or_default();
        let detail = plain(&[vec![detail], below].concat().join("; "));
        match code(&problem) {
            "rateLimited" => Self::Limited { detail, wait: https.wait() },
            "accountDoesNotExist" => Self::Forgotten,
            code => Self::Refused { code: plain(code), detail },
        }
    }
}

/// The kind of a problem, without what all have before it.
fn code(problem: &Problem) -> &str {
    let kind = problem.r#type.as_deref().unwrap_or("no reason");
    kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind)
}

/// A stranger's words, fit for a log.
pub(super) fn plain(text: &str) -> String {
    let all = text.trim().chars().take(ACME_TOLD_CHARS);
    all.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn told(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!("; it says: {detail}") }
}

fn advice(code: &str) -> &'static str {
    match code {
        "rejectedIdentifier" => {
            "; it does not sign for this name at all: take it out of --web-acme"
        }
        "externalAccountRequired" => {
            "; it wants an account that was made elsewhere (external account binding), which scry does not speak: take \
             another server, or another program and --web-cert"
        }
        "userActionRequired" => "; somebody has to do what it says, such as agreeing to new terms",
        "invalidContact" | "unsupportedContact" => "; look at --web-acme-contact",
        "unauthorized" => {
            "; if it has closed the account, move account.json in the proxy's folder away, and another is made"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Authority;
    use model::Time;

    fn problem(kind: &str, detail: &str) -> Problem {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let json = serde_json::json!({ "type": kind, "detail": detail });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_a_server_says_is_told_in_words_that_say_what_to_do() {
        let authority = Authority::create("anybody's", Time(0), Time(1000)).unwrap();
        let https = Https::new("https://acme.example/dir", Some(authority.certificate())).unwrap();
        let check = |trouble: Trouble, passing: bool, expected: &[&str]| {
            let words = trouble.to_string();
            assert_eq!(trouble.is_passing(), passing, "{words}");
            for part in expected {
                assert!(words.contains(part), "{words:?} should say {part:?}");
            }
            assert!(!words.contains(['\n', '\x1b']), "{words:?}");
        };
        for (kind, expected) in [
            ("dns", "has no address"),
            ("connection", "reaches nobody at port 443"),
            ("tls", "has not seen this proxy's answer at port 443"),
            ("unauthorized", "has not seen this proxy's answer at port 443"),
            ("caa", "CAA records"),
            ("malformed", "refuses (malformed)"),
        ] {
            let unmet = Trouble::unmet("scry.example", &problem(kind, "line\n\x1b[2Jtwo"));
            check(unmet, false, &[expected, "line", "two"]);
        }
        for (kind, passing, expected) in [
            ("rateLimited", false, "rate limit"),
            ("accountDoesNotExist", false, "does not know the account"),
            ("badNonce", true, "refuses (badNonce)"),
            ("serverInternal", true, "refuses (serverInternal)"),
            ("rejectedIdentifier", false, "take it out of --web-acme"),
            ("externalAccountRequired", false, "external account binding"),
            ("userActionRequired", false, "agreeing to new terms"),
            ("invalidContact", false, "--web-acme-contact"),
        ] {
            check(Trouble::of(Error::Api(problem(kind, "why")), &https), passing, &[expected]);
        }
        let long = problem("malformed", &"x".repeat(10_000));
        let words = Trouble::of(Error::Api(long), &https).to_string();
        assert!(words.len() < 2 * ACME_TOLD_CHARS, "{}", words.len());
    }
}

//! A browser for which a proxy asks: where it is, who is signed in there, and what its cookie becomes.

use crate::auth::Auth;
use crate::error::{Refusal, chain};
use crate::{clock, secret};
use http::{HeaderMap, HeaderName, header};
use link::{Peer, PeerIdentity};
use model::limit::{BROWSER_BYTES, WEB_SEEN_MS, WEB_SESSIONS};
use model::{FactorKind, NodeName, Time};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use store::tables::{NewWebSession, TableError, User, WebSession};
use wire::name::CLIENT_ADDRESS_HEADER;
use wire::web::{ORIGIN_HEADER, SESSION_HEADER, SetSession};

/// Bytes of an origin: `https://`, a host name (RFC 1035 §2.3.4), a port.
const ORIGIN_BYTES: usize = 8 + 255 + 6;

/// A browser, as a proxy tells of it.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Through which proxy.
    pub proxy: NodeName,
    /// The web session whose secret it showed, if that counts.
    pub session: Option<WebSession>,
    /// The origin that it sees, if the proxy says so.
    pub origin: Option<String>,
    /// Where it is.
    address: IpAddr,
    /// What it calls itself.
    called: String,
    /// What its cookie becomes. Shared with the answer, which is written when the handler is done.
    given: Arc<OnceLock<SetSession>>,
}

impl Browser {
    /// Whether a proxy's request is a browser's.
    pub fn is_meant(headers: &HeaderMap) -> bool {
        headers.contains_key(CLIENT_ADDRESS_HEADER)
    }

    /// Reads what the proxy says; answers also as whom the browser asks.
    pub async fn read(
        auth: &Auth,
        proxy: NodeName,
        headers: &HeaderMap,
    ) -> Result<(Self, Peer), Refusal> {
        let address = one(headers, CLIENT_ADDRESS_HEADER)?.and_then(address).ok_or_else(|| {
            Refusal::malformed(format!("the header {CLIENT_ADDRESS_HEADER} holds no address"))
        })?;
        let now = clock::now();
        let session = match one(headers, SESSION_HEADER)? {
            Some(secret) => auth.tables.web_session(secret, now).await?,
            None => None,
        };
        if let Some(session) = &session {
            note_seen(auth, session, now).await;
        }
        let origin = one(headers, ORIGIN_HEADER)?.filter(|origin| origin.len() <= ORIGIN_BYTES);
        let called = headers.get(header::USER_AGENT).map(|name| plain(name.as_bytes()));
        let begun = session.as_ref().map(|session| &session.begun);
        let peer = Peer {
            identity: begun.map_or(PeerIdentity::Nobody, |it| PeerIdentity::User(it.user.clone())),
            address: SocketAddr::new(address, 0),
            since: begun.map(|begun| begun.created),
            expires: begun.map(|begun| begun.expires),
            key: None,
        };
        let browser = Self {
            proxy,
            session,
            origin: origin.map(str::to_owned),
            address,
            called: called.unwrap_or_default(),
            given: Arc::default(),
        };
        Ok((browser, peer))
    }

    /// What its cookie becomes.
    pub fn given(&self) -> Option<&SetSession> {
        self.given.get()
    }

    /// Begins a web session of a person who has shown these factors. Its secret goes into the cookie and nowhere else. One that
    /// the browser had before ends.
    pub async fn sign_in(
        &self,
        auth: &Auth,
        user: &User,
        factors: Vec<FactorKind>,
        (now, expires): (Time, Time),
    ) -> Result<WebSession, TableError> {
        let secret = secret::long();
        let new = NewWebSession {
            user: user.name.clone(),
            created: now,
            expires,
            address: self.address.to_string(),
            browser: self.called.clone(),
            factors,
        };
        if let Some(before) = &self.session {
            auth.tables.end_web_session(&before.begun.user, before.number).await?;
        }
        let session = auth.tables.put_web_session(&secret, new, WEB_SESSIONS).await?;
        let seconds = u64::try_from(expires.0.saturating_sub(now.0) / 1000).unwrap_or(0);
        let _ = self.given.set(SetSession::New { secret, seconds });
        Ok(session)
    }

    /// Takes the cookie away.
    pub fn forget(&self) {
        let _ = self.given.set(SetSession::Clear);
    }
}

/// To the minute, so that not every request writes. A full disk keeps nobody out.
async fn note_seen(auth: &Auth, session: &WebSession, now: Time) {
    if now < session.seen.plus_ms(WEB_SEEN_MS) {
        return;
    }
    if let Err(error) = auth.tables.web_session_seen(session.number, now).await {
        tracing::warn!(error = chain(&error), "it cannot be noted that a web session is used");
    }
}

/// A header that is there at most once: of two, a proxy that is not careful may have been given one by the browser.
fn one<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, Refusal> {
    let mut all = headers.get_all(HeaderName::from_static(name)).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => only.to_str().map(Some).map_err(|_| odd(name)),
        (Some(_), Some(_)) => Err(odd(name)),
    }
}

fn odd(name: &str) -> Refusal {
    Refusal::malformed(format!("the header {name} must be there once, as plain text"))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let whole = text.parse::<SocketAddr>().map(|address| address.ip());
    whole.or_else(|_| text.parse()).ok().map(|address: IpAddr| address.to_canonical())
}

/// Printable ASCII of what a browser calls itself.
fn plain(name: &[u8]) -> String {
    let printed = name.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
    printed.take(BROWSER_BYTES).map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn where_a_browser_is_stands_there_with_or_without_a_port() {
        for (text, expected) in [
            ("192.0.2.9", Some("192.0.2.9")),
            ("192.0.2.9:4711", Some("192.0.2.9")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("::ffff:192.0.2.9", Some("192.0.2.9")),
            ("", None),
            ("example.org", None),
            ("192.0.2.9, 192.0.2.10", None),
        ] {
            assert_eq!(address(text), expected.map(|text| text.parse().unwrap()), "{text:?}");
        }
    }

    #[test]
    fn a_header_that_is_there_twice_or_is_no_text_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(one(&headers, SESSION_HEADER).unwrap(), None);
        headers.append(SESSION_HEADER, HeaderValue::from_static("a"));
        assert_eq!(one(&headers, SESSION_HEADER).unwrap(), Some("a"));
        headers.append(SESSION_HEADER, HeaderValue::from_static("b"));
        assert!(one(&headers, SESSION_HEADER).is_err());
        headers.insert(SESSION_HEADER, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(one(&headers, SESSION_HEADER).is_err());
        assert_eq!(plain("Mozilla/5.0 \x1b[2J<b>é".as_bytes()), "Mozilla/5.0 [2J<b>");
        assert_eq!(plain(&[b'x'; 1000]).len(), BROWSER_BYTES);
    }
}

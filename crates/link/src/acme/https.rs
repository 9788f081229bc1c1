//! One request at a time to a server that nobody here wrote: HTTPS only, no redirects, every answer bounded in time and size.

use super::Trouble;
use super::trouble::plain;
use crate::tls::{certificates, provider};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use model::limit::{ACME_ANSWER_BYTES, ACME_ASKED_MOST_MS, ACME_CALL_MS};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// How the server is reached, and what it has said beside its answers.
#[derive(Debug, Clone)]
pub(super) struct Https {
    tls: Arc<ClientConfig>,
    directory: String,
    // Locked because the library that asks shares it among its requests; held for a copy.
    said: Arc<Mutex<Said>>,
}

#[derive(Debug, Default)]
struct Said {
    terms: Option<String>,
    wait: Option<Duration>,
}

/// What must stand in a directory (RFC 8555 §7.1.1), as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
    new_account: String,
    new_order: String,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
}

impl Https {
    pub(super) fn new(directory: &str, authorities: Option<&str>) -> Result<Self, Trouble> {
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::Authorities(error.to_string()))?
            .with_root_certificates(roots(authorities)?)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), directory: directory.to_owned(), said: Arc::default() })
    }

    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// Where its terms are to be read.
    pub(super) fn terms(&self) -> Option<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).terms.clone()
    }

    /// How long it last asked to be left alone, once.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).wait.take()
    }

    async fn ask(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Answer, Trouble> {
        let (url, first) = (request.uri().clone(), request.method() == Method::GET);
        let bound = Duration::from_millis(ACME_CALL_MS);
        let answer = match tokio::time::timeout(bound, self.exchange(request)).await {
            Ok(answer) => answer?,
            Err(_) => {
                let seconds = ACME_CALL_MS / 1000;
                return Err(Trouble::Slow { url: url.to_string(), seconds });
            }
        };
        let (mut head, body) = answer.into_parts();
        let garbled = |why: String| Trouble::NotAcme { url: url.to_string(), why: plain(&why) };
        let wait = asked(&head.headers);
        match wait.map(|wait| HeaderValue::from(wait.as_secs())) {
            Some(seconds) => head.headers.insert(header::RETRY_AFTER, seconds),
            None => head.headers.remove(header::RETRY_AFTER),
        };
        if head.status.is_client_error() || head.status.is_server_error() {
            self.said.lock().unwrap_or_else(PoisonError::into_inner).wait = wait;
            // Balancers before a server, and servers of another kind, answer in pages.
            if serde_json::from_slice::<instant_acme::Problem>(&body).is_err() {
                return Err(match head.status {
                    StatusCode::TOO_MANY_REQUESTS => {
                        Trouble::Limited { detail: String::new(), wait: self.wait() }
                    }
                    status => garbled(format!("HTTP status {status}")),
                });
            }
        } else if first {
            let directory = serde_json::from_slice::<Directory>(&body);
            let directory = directory.map_err(|error| garbled(error.to_string()))?;
            for url in [&directory.new_nonce, &directory.new_account, &directory.new_order] {
                let parsed = url.parse::<Uri>().ok();
                if parsed.and_then(|url| place(&url).map(drop)).is_none() {
                    return Err(garbled(format!("{url:?} is no address to ask at")));
                }
            }
            self.said.lock().unwrap_or_else(PoisonError::into_inner).terms =
                directory.meta.terms_of_service.as_deref().map(plain);
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }

    async fn exchange(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Bytes>, Trouble> {
        let url = request.uri().clone();
        let no = |error: io::Error| Trouble::unreachable(&url, error);
        let odd = |error: hyper::Error| no(io::Error::other(error));
        let (host, port) = place(&url).ok_or_else(|| Trouble::NotAcme {
            url: url.to_string(),
            why: "it is no https:// address".to_owned(),
        })?;
        let name = ServerName::try_from(host.to_owned()).map_err(|e| no(io::Error::other(e)))?;
        let tcp = crate::tcp::dial((host, port)).await.map_err(no)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, tcp).await.map_err(no)?;
        if let Some(authority) = url.authority() {
            let value = HeaderValue::from_str(authority.as_str());
            let value = value.map_err(|error| no(io::Error::other(error)))?;
            request.headers_mut().insert(header::HOST, value);
        }
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|e| no(io::Error::other(e)))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(odd)?;
        let asking = async {
            let (head, body) = sender.send_request(request).await.map_err(odd)?.into_parts();
            let whole = Limited::new(body, ACME_ANSWER_BYTES).collect().await;
            let whole = whole.map_err(|error| match error.is::<LengthLimitError>() {
                true => Trouble::NotAcme {
                    url: url.to_string(),
                    why: format!("its answer is longer than {ACME_ANSWER_BYTES} bytes"),
                },
                false => no(io::Error::other(error)),
            })?;
            Ok(Response::from_parts(head, whole.to_bytes()))
        };
        tokio::pin!(asking, connection);
        tokio::select! {
            answer = &mut asking => answer,
            // What came before the end of the connection is still to be read.
            _ = &mut connection => asking.await,
        }
    }
}

type Answer = Response<Full<Bytes>>;

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let https = self.clone();
        Box::pin(async move {
            let answer = https.ask(request).await;
            answer.map(BytesResponse::from).map_err(|trouble| Error::Other(Box::new(trouble)))
        })
    }
}

/// Host and port of an address that may be asked.
fn place(url: &Uri) -> Option<(&str, u16)> {
    if url.scheme_str() != Some("https") {
        return None;
    }
    let host = url.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host, url.port_u16().unwrap_or(443)))
}

/// The pause that is asked for, as far as it is believed. (The other form, a date, is passed over.)
fn asked(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse::<u64>().ok()?;
    let most = Duration::from_millis(u64::try_from(ACME_ASKED_MOST_MS).unwrap_or(0));
    Some(Duration::from_secs(seconds).min(most))
}

fn roots(authorities: Option<&str>) -> Result<RootCertStore, Trouble> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = authorities else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(Trouble::Authorities(
                "this machine has no list of authorities: install the package ca-certificates, \
                 or name the server's own (--web-acme-ca)"
                    .to_owned(),
            ));
        }
        return Ok(roots);
    };
    let odd = |why: String| Trouble::Authorities(why);
    for certificate in certificates(pem).map_err(|error| odd(error.to_string()))? {
        roots.add(certificate).map_err(|error| odd(error.to_string()))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_asked() {
        for (url, expected) in [
            ("https://acme.example/dir", Some(("acme.example", 443))),
            ("https://acme.example:14000/dir?x", Some(("acme.example", 14000))),
            ("https://[2001:db8::1]:1/", Some(("2001:db8::1", 1))),
            ("http://acme.example/dir", None),
            ("acme.example", None),
            ("/dir", None),
        ] {
            assert_eq!(place(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_server_is_believed_that_it_wants_to_be_left_alone_for_a_day_at_most() {
        for (value, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999", Some(24 * 3600)),
            ("18446744073709551615", Some(24 * 3600)),
            ("-1", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ] {
            let mut headers = http::HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            assert_eq!(asked(&headers).map(|wait| wait.as_secs()), expected, "{value}");
        }
    }

    #[test]
    fn authorities_that_cannot_be_read_are_an_error() {
        for pem in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(matches!(roots(Some(pem)), Err(Trouble::Authorities(_))), "{pem:?}");
        }
    }
}

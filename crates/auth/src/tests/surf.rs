//! A browser behind a proxy, as auth sees it; and whoever else sends what only a proxy may say.

use super::house::{House, PASSWORD, user};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use link::tls::Badge;
use tokio::task::JoinSet;
use wire::name::CLIENT_ADDRESS_HEADER;
use wire::web::{
    Entered, Me, ORIGIN_HEADER, SESSION_HEADER, SET_SESSION_HEADER, SetSession, WebSignIn,
};
use wire::{Call, Failure, Fault};

/// Where the browsers of the tests are.
pub const HERE: &str = "192.0.2.77";
/// What they see in their address line.
pub const ORIGIN: &str = "https://scry.example.org:7000";

/// A browser.
pub struct Surf {
    sender: SendRequest<Full<Bytes>>,
    pub cookie: Option<String>,
    pub address: Option<String>,
    pub origin: Option<String>,
    /// What the last answer set.
    pub set: Option<SetSession>,
    _connection: JoinSet<()>,
}

impl Surf {
    /// A browser whose requests come over the connection of whoever has this badge.
    pub async fn behind(house: &House, badge: Option<&Badge>) -> Self {
        let stream = house.dialer(badge).dial_tls().await.unwrap();
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(connection.await) });
        Self {
            sender,
            cookie: None,
            address: Some(HERE.into()),
            origin: Some(ORIGIN.into()),
            set: None,
            _connection: tasks,
        }
    }

    /// Sends it, keeps the cookie, and answers status and body.
    pub async fn ask(&mut self, method: &Method, path: &str, body: Bytes) -> (StatusCode, Bytes) {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (CLIENT_ADDRESS_HEADER, &self.address),
            (SESSION_HEADER, &self.cookie),
            (ORIGIN_HEADER, &self.origin),
        ] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        headers.insert("user-agent", HeaderValue::from_static("Netscape/4.0"));
        self.send(method, path, body, headers).await
    }

    /// Opens an answer that takes long.
    pub async fn open(&mut self, path: &str) -> http::Response<Incoming> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = format!("https://scry.internal{path}").parse().unwrap();
        for (name, value) in
            [(CLIENT_ADDRESS_HEADER, &self.address), (SESSION_HEADER, &self.cookie)]
        {
            let value = HeaderValue::from_str(value.as_ref().unwrap()).unwrap();
            request.headers_mut().insert(name, value);
        }
        self.sender.clone().send_request(request).await.unwrap()
    }

    pub async fn send(
        &mut self,
        method: &Method,
        path: &str,
        body: Bytes,
        headers: HeaderMap,
    ) -> (StatusCode, Bytes) {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("https://scry.internal{path}").parse().unwrap();
        request.headers_mut().extend(headers);
        let mut sender = self.sender.clone();
        let response = sender.send_request(request).await.unwrap();
        let set = response.headers().get(SET_SESSION_HEADER);
        self.set = set.map(|set| set.to_str().unwrap().parse().unwrap());
        match &self.set {
            Some(SetSession::New { secret, .. }) => self.cookie = Some(secret.clone()),
            Some(SetSession::Clear) => self.cookie = None,
            None => {}
        }
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    pub async fn call<C: Call>(&mut self, call: &C) -> Result<C::Answer, Failure> {
        let body = serde_json::to_vec(call).unwrap();
        let (status, body) =
            self.ask(&Method::POST, &format!("/v1/{}", C::PATH), body.into()).await;
        match status.is_success() {
            true => Ok(serde_json::from_slice(&body).unwrap()),
            false => Err(serde_json::from_slice(&body).unwrap()),
        }
    }

    /// The fault of a call that must be refused.
    pub async fn refused<C: Call>(&mut self, call: &C) -> (Fault, String)
    where
        C::Answer: std::fmt::Debug,
    {
        let failure = self.call(call).await.unwrap_err();
        (failure.fault, failure.message)
    }

    /// Signs in with the password that everybody has here, and no second factor.
    pub async fn sign_in(&mut self, name: &str) -> Me {
        let call = WebSignIn { user: user(name), password: PASSWORD.into() };
        match self.call(&call).await.unwrap() {
            Entered::SignedIn(me) => me,
            Entered::Wants(wants) => panic!("{wants:?}"),
        }
    }
}

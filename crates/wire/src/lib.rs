//! Every message that crosses a connection of scry. Floor 1: plain data; `link` carries it, services answer it.
//!
//! A call is one `POST /v1/<path>` with a JSON body over HTTP/2, typed at both ends by [`Call`].
//! Byte streams are bodies: see [`stream`].

pub mod access;
pub mod arrival;
pub mod asciinema;
pub mod audit;
pub mod company;
pub mod film;
pub mod live;
pub mod lock;
pub mod name;
pub mod node;
pub mod people;
pub mod recording;
pub mod route;
pub mod search;
pub mod share;
pub mod stream;
pub mod web;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the messages. Both ends say theirs in the header `scry-version`; another major version is refused.
pub const VERSION: &str = "1";

/// A typed request and its answer.
pub trait Call: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Last part of the path, after `/v1/`.
    const PATH: &'static str;
    /// What a success answers.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
}

/// Body of every answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Whose fault it is.
    pub fault: Fault,
    /// One sentence for the person who asked; holds no secrets and no rule texts.
    pub message: String,
}

/// Whose fault a failure is; each has its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 400: the request makes no sense.
    Malformed,
    /// 401: sign in first, or the password is wrong.
    Unauthenticated,
    /// 401: the password is right, and a second factor is wanted.
    SecondFactor,
    /// 403: no rule allows it.
    Denied,
    /// 404: there is no such thing, or nobody may say that there is.
    NotFound,
    /// 409: it is there already, or was changed meanwhile.
    Conflict,
    /// 429: too many tries.
    TooMany,
    /// 500: ours.
    Internal,
    /// 503: not now.
    Unavailable,
}

impl Fault {
    /// The HTTP status that carries it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated | Self::SecondFactor => 401,
            Self::Denied => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// Whether the same request may be taken later: what is wrong is not in it.
    #[must_use]
    pub fn may_pass(self) -> bool {
        !matches!(self, Self::Malformed | Self::NotFound | Self::Conflict)
    }
}

/// An answer with nothing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// A call as data, for what must treat all of them alike.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Last part of its path.
    pub path: &'static str,
    /// Reads a request from JSON and writes it again; `None` if it is none.
    pub request: fn(&[u8]) -> Option<Vec<u8>>,
    /// As `request`, for the answer.
    pub answer: fn(&[u8]) -> Option<Vec<u8>>,
}

impl Shape {
    const fn of<C: Call>() -> Self {
        Self { path: C::PATH, request: reread::<C>, answer: reread::<C::Answer> }
    }
}

fn reread<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    serde_json::to_vec(&serde_json::from_slice::<T>(bytes).ok()?).ok()
}

/// Every call there is.
#[must_use]
pub fn calls() -> Vec<Shape> {
    [
        access::CALLS,
        arrival::CALLS,
        audit::CALLS,
        film::CALLS,
        live::CALLS,
        lock::CALLS,
        node::CALLS,
        people::CALLS,
        recording::CALLS,
        share::CALLS,
        web::CALLS,
    ]
    .concat()
}

/// The paths of all calls, for the test that wants to know who may ask each of them.
#[must_use]
pub fn paths() -> Vec<&'static str> {
    calls().into_iter().map(|shape| shape.path).collect()
}

/// Declares the requests of a module: `call!(Struct, "path", Answer;)`, and lists them in its `CALLS`.
macro_rules! call {
    ($($request:ty, $path:literal, $answer:ty;)*) => {
        $(impl $crate::Call for $request {
            const PATH: &'static str = $path;
            type Answer = $answer;
        })*
        pub(crate) const CALLS: &[$crate::Shape] = &[$($crate::Shape::of::<$request>()),*];
    };
}
pub(crate) use call;

#[cfg(test)]
mod tests {
    #[test]
    fn no_path_means_two_things_and_every_module_with_calls_is_counted() {
        let mut paths = super::paths();
        paths.sort_unstable();
        let all = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), all);
        let sources = [
            include_str!("access.rs"),
            include_str!("arrival.rs"),
            include_str!("asciinema.rs"),
            include_str!("audit.rs"),
            include_str!("company.rs"),
            include_str!("film.rs"),
            include_str!("live.rs"),
            include_str!("lock.rs"),
            include_str!("node.rs"),
            include_str!("people.rs"),
            include_str!("recording.rs"),
            include_str!("route.rs"),
            include_str!("search.rs"),
            include_str!("share.rs"),
            include_str!("stream.rs"),
            include_str!("name.rs"),
            include_str!("web.rs"),
        ];
        let modules = include_str!("lib.rs").matches("\npub mod ").count();
        assert_eq!(modules, sources.len(), "a new module is listed here, and in `calls`");
        let calling = sources.iter().filter(|source| source.contains("\ncall! {")).count();
        assert_eq!(calling, 11, "a module with calls stands in `calls`");
    }
}

//! Parameters of streams, from the path and behind the question mark.

use crate::error::Refusal;
use axum::extract::Request;
use model::SessionId;

/// Parameters of a request. All of scry's are plain numbers and codes, so nothing is percent-decoded.
pub struct Query<'r> {
    path: &'r str,
    text: &'r str,
}

impl<'r> Query<'r> {
    /// Those of a request.
    pub fn of(request: &'r Request) -> Self {
        let uri = request.uri();
        Self { path: uri.path(), text: uri.query().unwrap_or_default() }
    }

    /// The first value of a name.
    pub fn text(&self, name: &str) -> Option<&'r str> {
        let pairs = self.text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A number, if it is there.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Refusal::malformed(format!("{name} must be a number")))
        };
        self.text(name).map(parse).transpose()
    }

    /// The id in the path: the first part that is one.
    pub fn id(&self) -> Result<SessionId, Refusal> {
        let mut parts = self.path.split('/').filter_map(|part| part.parse().ok());
        parts.next().ok_or_else(|| Refusal::malformed("the path holds no recording's id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn check(uri: &str, see: impl FnOnce(Query<'_>)) {
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        see(Query::of(&request));
    }

    #[test]
    fn parameters_are_found_and_nonsense_is_refused() {
        check("/v1/audit/follow?after=7&after=8", |q| {
            assert_eq!(q.number("after").unwrap(), Some(7));
            assert_eq!(q.number("from").unwrap(), None);
            assert!(q.id().is_err());
        });
        check("/v1/audit/follow?after=-1", |q| assert!(q.number("after").is_err()));
        check("/v1/audit/follow?after=99999999999999999999", |q| {
            assert!(q.number("after").is_err())
        });
        check("/v1/node/ship/07070707-0707-4707-8707-070707070707", |q| assert!(q.id().is_ok()));
    }
}

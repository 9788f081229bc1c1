//! Parameters of streams, from the path and behind the question mark.

use crate::error::Refusal;
use axum::extract::Request;
use model::SessionId;

/// Parameters of a request. Most are plain numbers and codes, so that nothing is percent-decoded but where it is said.
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

    /// A text that was percent-encoded (RFC 3986 §2.1); `+` stands for itself.
    pub fn decoded(&self, name: &str) -> Result<Option<String>, Refusal> {
        let wrong = || Refusal::malformed(format!("{name} must be percent-encoded UTF-8"));
        let Some(text) = self.text(name) else { return Ok(None) };
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, behind @ ..] = rest {
            let (byte, behind) = match (first, behind) {
                (b'%', [high, low, behind @ ..]) => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    let value = digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low);
                    (value.and_then(|value| u8::try_from(value).ok()).ok_or_else(wrong)?, behind)
                }
                (b'%', _) => return Err(wrong()),
                (byte, behind) => (*byte, behind),
            };
            bytes.push(byte);
            rest = behind;
        }
        String::from_utf8(bytes).map(Some).map_err(|_| wrong())
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
        let decoded = |q: Query<'_>| q.decoded("for").map_err(|_| ());
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("a%20b+c%26d", Ok("a b+c&d")),
            ("na%C3%afve", Ok("na\u{ef}ve")),
            ("", Ok("")),
            ("%", Err(())),
            ("a%2", Err(())),
            ("%zz", Err(())),
            ("%ff", Err(())),
            ("%+1", Err(())),
        ] {
            check(&format!("/v1/x?for={text}&after=1"), |q| {
                assert_eq!(
                    decoded(q).map(Option::unwrap).as_deref(),
                    expected.as_deref(),
                    "{text}"
                );
            });
        }
        check("/v1/x", |q| assert_eq!(decoded(q), Ok(None)));
        check("/v1/node/ship/07070707-0707-4707-8707-070707070707", |q| assert!(q.id().is_ok()));
    }
}

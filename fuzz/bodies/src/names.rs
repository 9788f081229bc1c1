//! Names, ids and sizes, as they come from people, certificates and files.

use model::{ConnectionId, Login, NodeName, RoleName, SessionId, Size, UserName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// A text as each kind of name; the first byte is no part of it.
///
/// What is a name is written as it was read, from text and from JSON alike, and holds nothing that splits a list,
/// names a path, or moves a cursor. A size is always one that can be drawn.
pub fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    check::<UserName>(&text, 64, &['/', '\\']);
    check::<Login>(&text, 32, &['/', '\\', '@']);
    check::<NodeName>(&text, 128, &['/', '\\', '@', '_', '$']);
    check::<RoleName>(&text, 64, &['/', '\\', '@', '.', '_']);
    id::<SessionId>(&text);
    id::<ConnectionId>(&text);
    if let Ok(size) = serde_json::from_str::<Size>(&text) {
        assert!((2..=1024).contains(&size.cols()) && (1..=512).contains(&size.rows()), "{size}");
    }
}

fn check<N>(text: &str, longest: usize, never: &[char])
where
    N: FromStr<Err = model::NameError> + Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_string(text).expect("a text is JSON");
    let read: Result<N, _> = serde_json::from_str(&json);
    let Ok(name) = text.parse::<N>() else {
        return assert!(read.is_err(), "{text:?} comes in through JSON alone");
    };
    assert_eq!(name.to_string(), text);
    assert!(!text.is_empty() && text.len() <= longest, "{} bytes", text.len());
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    assert!(
        !text.starts_with('-') && !text.contains([',', '*', '?', '"', '\'', ':', ';']),
        "{text:?}"
    );
    assert!(!text.contains(never), "{text:?}");
    assert_eq!(read.expect("what is a name is one in JSON"), name);
    assert_eq!(serde_json::to_string(&name).expect("a name is JSON"), json);
}

fn id<I: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(id) = text.parse::<I>() {
        let written = id.to_string();
        assert_eq!(written.len(), 36);
        assert!(written.parse::<I>().is_ok_and(|again| again == id), "{written}");
    }
}

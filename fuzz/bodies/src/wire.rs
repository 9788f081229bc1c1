//! Messages of every call, its answer, the lines of streams, and what a page and a proxy say to each other.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A message, read as every one there is.
///
/// What is understood is written and understood again as the same.
pub fn wire(bytes: &[u8]) {
    for shape in wire::calls() {
        for reread in [shape.request, shape.answer] {
            let Some(once) = reread(bytes) else { continue };
            let again = reread(&once).expect("what was written is understood");
            assert!(once == again, "{}: {}", shape.path, String::from_utf8_lossy(&once));
        }
    }
    same::<wire::node::News>(bytes);
    same::<wire::node::ProxyNews>(bytes);
    same::<wire::company::Ask>(bytes);
    same::<wire::company::Told>(bytes);
    same::<wire::web::FromPage>(bytes);
    same::<wire::web::ToPage>(bytes);
    same::<wire::Failure>(bytes);
    same::<wire::audit::LedgerRow>(bytes);
    same::<model::AuditEvent>(bytes);
    same::<model::Heading>(bytes);
    receipt(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(part) = wire::node::Part::of_token(text)
    {
        assert!(text.starts_with(part.word()));
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(set) = text.parse::<wire::web::SetSession>()
    {
        // It becomes a header of an answer to a browser: nothing may end that.
        let written = set.to_string();
        assert!(written.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{text:?}");
        assert_eq!(written.parse(), Ok(set));
    }
}

fn same<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return };
    let written: Value = serde_json::to_value(&read).expect("what was read can be written");
    let again: T = serde_json::from_value(written.clone()).expect("what was written is understood");
    assert_eq!(serde_json::to_value(&again).expect("as before"), written);
}

/// A receipt as it stands in a recording.
fn receipt(bytes: &[u8]) {
    let Ok((read, _)) = postcard::take_from_bytes::<model::seal::Receipt>(bytes) else { return };
    let written = postcard::to_allocvec(&read).expect("a receipt can be written");
    assert_eq!(postcard::from_bytes(&written), Ok(read));
}

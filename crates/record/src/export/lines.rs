//! JSON lines: every entry, nothing lost.

use super::Export;
use crate::Corrupt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Heading;
use model::entry::{Entry, Stamped};
use serde_json::{Map, Value, json};

/// Makes JSON lines: `{"heading": …}`, then `{"seq":1,"at":0,"entry":{…}}` for each entry; `{"damaged":"why"}` where no more
/// can be read.
///
/// Bytes stand as `text` where they are UTF-8, else as `base64`; hashes in hexadecimal.
#[derive(Debug)]
pub struct JsonLines {
    heading: Value,
}

impl JsonLines {
    /// For the recording with this heading.
    #[must_use]
    pub fn new(heading: &Heading) -> Self {
        Self { heading: serde_json::to_value(heading).unwrap_or_default() }
    }
}

impl Export for JsonLines {
    fn begin(&mut self) -> String {
        format!("{}\n", json!({ "heading": self.heading }))
    }

    fn push(&mut self, stamped: &Stamped) -> String {
        let Stamped { seq, at, entry } = stamped;
        let entry = entry_value(entry);
        format!("{{\"seq\":{seq},\"at\":{at},\"entry\":{entry}}}\n")
    }

    fn damaged(&mut self, why: &Corrupt) -> String {
        format!("{}\n", json!({ "damaged": why.to_string() }))
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}

fn entry_value(entry: &Entry) -> Value {
    match entry {
        Entry::Output { stream, bytes } => {
            let mut fields = Map::new();
            fields.insert("stream".into(), json!(stream));
            put_bytes(&mut fields, bytes);
            json!({ "output": fields })
        }
        Entry::Typed { party, count, bytes } => {
            let mut fields = Map::new();
            fields.insert("party".into(), json!(party));
            fields.insert("count".into(), json!(count));
            if let Some(bytes) = bytes {
                put_bytes(&mut fields, bytes);
            }
            json!({ "typed": fields })
        }
        Entry::Elided { stream, bytes, hash } => {
            let hash = blake3::Hash::from(*hash).to_hex();
            json!({ "elided": { "stream": stream, "bytes": bytes, "hash": hash.as_str() } })
        }
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

fn put_bytes(fields: &mut Map<String, Value>, bytes: &[u8]) {
    match core::str::from_utf8(bytes) {
        Ok(text) => fields.insert("text".into(), text.into()),
        Err(_) => fields.insert("base64".into(), STANDARD.encode(bytes).into()),
    };
}

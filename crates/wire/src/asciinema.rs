//! What the stock asciinema-player is told, so that a page that somebody else made shows a recording or a session that goes on:
//! the one place in which our pictures and cues take its two forms. What comes in was told by auth to who may play it.

pub mod alis;
pub mod segments;

use crate::film::{Code, CueData};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Size;

/// What a cue does, for a player that knows text and sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Does {
    Write(String),
    Resize(Size),
    Mark(String),
}

/// As exports have it: what is no UTF-8 becomes U+FFFD. No cue cuts a character, so each is decoded by itself.
fn does(code: Code, data: CueData) -> Option<Does> {
    Some(match (code, data) {
        (Code::Output, CueData::Text(text)) => Does::Write(text),
        (Code::Bytes, CueData::Text(text)) => {
            let bytes = STANDARD.decode(text).ok()?;
            Does::Write(String::from_utf8_lossy(&bytes).into_owned())
        }
        (Code::Size, CueData::Size(size)) => Does::Resize(size),
        (Code::Mark, CueData::Mark { text, .. }) => Does::Mark(text),
        _ => return None,
    })
}

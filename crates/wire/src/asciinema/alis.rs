//! A session that goes on, as an asciinema live stream (ALiS v1): what asciinema-player reads from a WebSocket of the subprotocol
//! `v1.alis`. Each message is one frame; numbers are LEB128, times microseconds. The stream starts with a picture, and may do so
//! again at any time.
//!
//! It is made of answers of a reel, each asked for when the one before was sent: whoever reads slowly makes nothing wait, and is
//! shown the picture of now when they are too far behind.

use super::{Does, does};
use crate::film::{Cue, End, Picture, ReelLine};
use model::limit::{ALIS_BEHIND_MS, ALIS_BYTES};

/// The subprotocol.
pub const PROTOCOL: &str = "v1.alis";

/// First message of every stream.
const MAGIC: &[u8] = b"ALiS\x01";
const INIT: u8 = 1;
const OUTPUT: u8 = b'o';
const RESIZE: u8 = b'r';
const MARKER: u8 = b'm';
const END_OF_STREAM: u8 = 4;
/// No colours of our own.
const NO_THEME: u8 = 0;

/// A stream under way.
#[derive(Debug, Default)]
pub struct Alis {
    /// Number of the last frame.
    number: u64,
    /// Time of the last frame, in milliseconds since the recording began.
    at: u64,
    begun: bool,
    /// Milliseconds that are passed over by the next picture.
    passed: Option<u64>,
}

/// What comes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// To send, in order.
    pub frames: Vec<Vec<u8>>,
    /// What then.
    pub next: Next,
}

/// What comes when the frames are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The next answer of the reel, by these parameters.
    Ask(String),
    /// Nothing; why, in words.
    Over(String),
}

/// An answer is none of a reel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoReel;

impl Alis {
    /// The parameters of the first answer to ask for: the picture of now.
    #[must_use]
    pub fn now() -> String {
        format!("at={}&most={ALIS_BYTES}", u64::MAX)
    }

    /// Takes an answer, line by line as it came.
    ///
    /// # Errors
    /// It is none of a reel.
    pub fn take(&mut self, answer: &[u8]) -> Result<Told, NoReel> {
        let mut frames = Vec::new();
        if !core::mem::replace(&mut self.begun, true) {
            frames.push(MAGIC.to_vec());
        }
        for line in answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line).map_err(|_| NoReel)? {
                ReelLine::Picture { picture } => self.init(picture, &mut frames),
                ReelLine::Cue(cue) => frames.extend(self.cue(cue)),
                ReelLine::End { end } => {
                    let next = self.end(end, &mut frames);
                    return Ok(Told { frames, next });
                }
            }
        }
        Err(NoReel)
    }

    fn init(&mut self, picture: Picture, frames: &mut Vec<Vec<u8>>) {
        let Picture { at, cols, rows, dump, .. } = picture;
        self.at = at;
        let mut frame = vec![INIT];
        put(&mut frame, self.number);
        put(&mut frame, at.saturating_mul(1000));
        put(&mut frame, cols.into());
        put(&mut frame, rows.into());
        frame.push(NO_THEME);
        put_text(&mut frame, &dump);
        frames.push(frame);
        if let Some(ms) = self.passed.take() {
            let words = format!("{} s were passed over: this player reads too slowly", ms / 1000);
            frames.push(self.marker(at, &words));
        }
    }

    fn cue(&mut self, cue: Cue) -> Option<Vec<u8>> {
        let Cue(at, _, code, data) = cue;
        Some(match does(code, data)? {
            Does::Write(text) => {
                let mut frame = self.event(OUTPUT, at);
                put_text(&mut frame, &text);
                frame
            }
            Does::Resize(size) => {
                let mut frame = self.event(RESIZE, at);
                put(&mut frame, size.cols().into());
                put(&mut frame, size.rows().into());
                frame
            }
            Does::Mark(text) => self.marker(at, &text),
        })
    }

    fn marker(&mut self, at: u64, text: &str) -> Vec<u8> {
        let mut frame = self.event(MARKER, at);
        put_text(&mut frame, text);
        frame
    }

    /// The beginning of a frame: its kind, its number, and the time since the one before.
    fn event(&mut self, kind: u8, at: u64) -> Vec<u8> {
        self.number = self.number.saturating_add(1);
        let mut frame = vec![kind];
        put(&mut frame, self.number);
        // A command's moment may be before that of the output that was told already.
        put(&mut frame, at.saturating_sub(self.at).saturating_mul(1000));
        self.at = self.at.max(at);
        frame
    }

    fn end(&mut self, end: End, frames: &mut Vec<Vec<u8>>) -> Next {
        let End { after, at, more, live, length_ms, damage, .. } = end;
        if let Some(damage) = damage {
            let words = format!("the recording cannot be read further: {damage}");
            frames.push(self.marker(at, &words));
            frames.push(vec![END_OF_STREAM]);
            return Next::Over(words);
        }
        let behind = length_ms.saturating_sub(at);
        if more && live && behind > ALIS_BEHIND_MS {
            self.passed = Some(behind);
            return Next::Ask(Self::now());
        }
        if more || live {
            return Next::Ask(format!("after={after}&most={ALIS_BYTES}"));
        }
        frames.push(vec![END_OF_STREAM]);
        Next::Over("the session is over".to_owned())
    }
}

/// An unsigned number, LEB128.
fn put(frame: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            frame.push(low);
            return;
        }
        frame.push(low | 0x80);
    }
}

fn put_text(frame: &mut Vec<u8>, text: &str) {
    put(frame, text.len() as u64);
    frame.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn end(further: Value) -> Value {
        let mut end = json!({
            "after": "7", "at": 9000, "seq": 7, "more": false, "live": true, "length_ms": 9000,
        });
        end.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        json!({ "end": end })
    }

    fn picture(at: u64, dump: &str) -> Value {
        json!({ "picture": { "seq": 3, "at": at, "cols": 300, "rows": 24, "dump": dump } })
    }

    fn take(alis: &mut Alis, lines: &[Value]) -> Result<Told, NoReel> {
        let answer: String = lines.iter().map(|line| format!("{line}\n")).collect();
        alis.take(answer.as_bytes())
    }

    fn after() -> Next {
        Next::Ask(format!("after=7&most={ALIS_BYTES}"))
    }

    #[test]
    fn a_stream_begins_with_its_name_and_the_picture_and_goes_on_with_what_follows() {
        let mut alis = Alis::default();
        let told = take(&mut alis, &[picture(9000, "\u{1b}[1mé"), end(json!({}))]).unwrap();
        // 9,000,000 µs; 300 columns.
        let init = [&[1, 0, 0xc0, 0xa8, 0xa5, 4, 0xac, 2, 24, 0, 6][..], "\u{1b}[1mé".as_bytes()];
        assert_eq!(told.frames, [b"ALiS\x01".to_vec(), init.concat()]);
        assert_eq!(told.next, after());
        let told = take(
            &mut alis,
            &[
                json!([9001, 4, "o", "hi"]),
                json!([9001, 5, "b", "Yf8="]),
                json!([9003, 6, "r", [100, 30]]),
                json!([8000, 7, "m", { "kind": "command", "text": "ran" }]),
                json!([9004, 8, "o", ""]),
                end(json!({})),
            ],
        );
        let frames = [
            b"o\x01\xe8\x07\x02hi".to_vec(),
            "o\u{2}\0\u{4}a\u{fffd}".into(),
            b"r\x03\xd0\x0f\x64\x1e".to_vec(),
            b"m\x04\0\x03ran".to_vec(),
            b"o\x05\xe8\x07\0".to_vec(),
        ];
        assert_eq!(told, Ok(Told { frames: frames.into(), next: after() }));
        // Nothing new: it is asked again.
        assert_eq!(take(&mut alis, &[end(json!({}))]), Ok(Told { frames: vec![], next: after() }));
    }

    #[track_caller]
    fn check(last: Value, frames: &[&[u8]], next: Next) {
        let mut alis = Alis::default();
        take(&mut alis, &[picture(9000, ""), end(json!({}))]).unwrap();
        let told = take(&mut alis, &[end(last)]).unwrap();
        assert_eq!(
            (told.frames, told.next),
            (frames.iter().map(|one| one.to_vec()).collect(), next)
        );
    }

    #[test]
    fn it_ends_with_the_session_or_where_it_cannot_be_read_and_not_before_all_is_told() {
        check(json!({ "live": false }), &[&[4]], Next::Over("the session is over".into()));
        check(json!({ "live": false, "more": true, "length_ms": 99_000 }), &[], after());
        check(json!({ "more": true }), &[], after());
        let words = "the recording cannot be read further: torn";
        let marker = [b"m\x01\0\x2a", words.as_bytes()].concat();
        check(json!({ "damage": "torn" }), &[&marker, &[4]], Next::Over(words.into()));
    }

    #[test]
    fn whoever_is_too_far_behind_is_shown_the_picture_of_now_and_told_so() {
        let most = 9000 + ALIS_BEHIND_MS;
        check(json!({ "more": true, "length_ms": most }), &[], after());
        check(json!({ "length_ms": most + 1 }), &[], after());
        let mut alis = Alis::default();
        take(&mut alis, &[picture(9000, "then"), end(json!({}))]).unwrap();
        let late = end(json!({ "more": true, "length_ms": most + 1 }));
        let told = take(&mut alis, &[json!([9000, 4, "o", "old"]), late]).unwrap();
        assert_eq!(told.next, Next::Ask(Alis::now()));
        let told = take(&mut alis, &[picture(most + 1, "now"), end(json!({}))]).unwrap();
        assert_eq!(told.frames.len(), 2, "the picture, and that something was passed over");
        assert!(told.frames[0].starts_with(&[1, 1]) && told.frames[0].ends_with(b"\x03now"));
        let words = "2 s were passed over: this player reads too slowly";
        assert!(
            told.frames[1].starts_with(b"m\x02\0") && told.frames[1].ends_with(words.as_bytes())
        );
        assert_eq!(
            take(&mut alis, &[end(json!({}))]).unwrap().frames,
            Vec::<Vec<u8>>::new(),
            "once"
        );
    }

    #[test]
    fn what_is_no_answer_of_a_reel_is_refused() {
        for odd in ["", "\n", "{}", "nonsense", "[1,2,\"o\",\"x\"]", "{\"end\":{}}"] {
            assert_eq!(Alis::default().take(odd.as_bytes()), Err(NoReel), "{odd:?}");
        }
    }
}

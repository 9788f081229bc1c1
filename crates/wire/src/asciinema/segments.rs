//! A recording in segments, as asciinema-player 3.18 reads it with `{ driver: 'recording', format: 'segmented' }`: an index, and
//! for each segment a picture and what follows it. The rules are the player's: the first segment starts at 0, starts strictly
//! increase and are before the end, the first event of a segment is at its start and its last before the next one's, the last of
//! all is at the end.

use super::{Does, does};
use crate::film::{Cue, Mark, MarkKind, Picture};
use model::Size;
use model::limit::{SEGMENT_SHOWN_BYTES, SEGMENT_SHOWN_EVENTS};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Milliseconds, told as seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

/// What the player must know before it asks for a segment. Answer of `segments`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Index {
    /// Of the format: 1.
    version: u8,
    /// How far it reaches. One that goes on is told up to here; who asks again is told more.
    duration: Seconds,
    /// The first size.
    term: Term,
    /// Moments worth going to, by time.
    markers: Vec<(Seconds, String)>,
    /// What there is to ask for.
    segments: Vec<At>,
    /// Whether it goes on; the player does not look at it.
    live: bool,
    /// How many markers of a kind were left out because there are too many, likewise.
    folded: BTreeMap<MarkKind, u64>,
    /// Why nothing behind its end can be read, if it is damaged, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

/// A size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Term {
    /// Columns.
    cols: u16,
    /// Rows.
    rows: u16,
}

/// Where a segment begins, and where it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct At {
    /// When.
    start: Seconds,
    /// Beside the index.
    url: String,
}

/// What an index is made of.
#[derive(Debug, Clone)]
pub struct Outline {
    /// The first size.
    pub size: Size,
    /// Time of the last entry.
    pub length_ms: u64,
    /// Where it is cut, in milliseconds; whatever does not fit the rules is left out.
    pub cuts: Vec<u64>,
    /// Moments worth going to, by time.
    pub marks: Vec<Mark>,
    /// How many of a kind were left out.
    pub folded: BTreeMap<MarkKind, u64>,
    /// Whether it goes on.
    pub live: bool,
    /// Why nothing further can be read.
    pub damage: Option<String>,
}

impl Index {
    /// The index of a recording whose segments are asked for with this ticket.
    #[must_use]
    pub fn of(outline: Outline, ticket: &str) -> Self {
        let Outline { size, length_ms, cuts, marks, folded, live, damage } = outline;
        let mut starts = vec![0];
        for cut in cuts {
            if starts.last().is_some_and(|last| *last < cut) && cut < length_ms {
                starts.push(cut);
            }
        }
        let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
        let segments = starts.iter().zip(ends).map(|(from, end)| At {
            start: Seconds(*from),
            url: match end {
                Some(to) => format!("segment?ticket={ticket}&from={from}&to={to}"),
                None => format!("segment?ticket={ticket}&from={from}&to={length_ms}&last=1"),
            },
        });
        let markers = marks.into_iter().filter(|mark| mark.at <= length_ms && is_marker(mark));
        Self {
            version: 1,
            duration: Seconds(length_ms),
            term: Term { cols: size.cols(), rows: size.rows() },
            markers: markers.map(|mark| (Seconds(mark.at), mark.text)).collect(),
            segments: segments.collect(),
            live,
            folded,
            damage,
        }
    }
}

/// The player draws each marker on its time line; of sizes it is told beside the output.
fn is_marker(mark: &Mark) -> bool {
    mark.kind != MarkKind::Size
}

/// A part of a recording: from a moment on, up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    from: u64,
    to: u64,
    last: bool,
}

impl Span {
    /// Milliseconds from the first up to and without the second, or with it, if the segment is the last. `None` if there are
    /// none.
    #[must_use]
    pub fn new(from: u64, to: u64, last: bool) -> Option<Self> {
        (from < to || (last && from == to)).then_some(Self { from, to, last })
    }

    /// The moment whose picture the segment begins with; `None` where nothing is before it.
    #[must_use]
    pub fn before(self) -> Option<u64> {
        self.from.checked_sub(1)
    }

    /// Its last moment.
    #[must_use]
    pub fn end(self) -> u64 {
        if self.last { self.to } else { self.to.saturating_sub(1) }
    }

    /// Whether it is the last.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.last
    }
}

/// A segment. Answer of `segment`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Segment {
    /// The picture before its first event.
    snapshot: Snapshot,
    /// What follows, by time.
    events: Vec<Event>,
    #[serde(skip)]
    room: Room,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Snapshot {
    /// Columns.
    cols: u16,
    /// Rows.
    rows: u16,
    /// What makes an empty terminal of that size show it.
    init: String,
}

/// `[seconds, code, data]`; codes are those of asciicast: `o` for output, `r` for a size, `m` for a marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Event(Seconds, char, String);

/// What a segment may still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    bytes: usize,
    events: usize,
}

impl Segment {
    /// One that begins with this picture.
    #[must_use]
    pub fn begin(picture: Picture) -> Self {
        let Picture { cols, rows, dump, .. } = picture;
        Self {
            snapshot: Snapshot { cols, rows, init: dump },
            events: Vec::new(),
            room: Room { bytes: SEGMENT_SHOWN_BYTES, events: SEGMENT_SHOWN_EVENTS },
        }
    }

    /// Takes what follows. `false` if it holds no more: then it is finished with the picture at its end.
    #[must_use]
    pub fn take(&mut self, cue: Cue) -> bool {
        let Cue(at, _, code, data) = cue;
        let event = match does(code, data) {
            Some(Does::Write(text)) => ('o', text),
            Some(Does::Resize(size)) => ('r', format!("{}x{}", size.cols(), size.rows())),
            Some(Does::Mark(_)) | None => return true,
        };
        let left = (self.room.bytes.checked_sub(event.1.len()), self.room.events.checked_sub(1));
        let (Some(bytes), Some(events)) = left else { return false };
        self.room = Room { bytes, events };
        self.events.push(Event(Seconds(at), event.0, event.1));
        true
    }

    /// Closes it: with the picture at its end, if something was not taken, and with the marks within it.
    #[must_use]
    pub fn finish(mut self, span: Span, picture: Option<Picture>, marks: Vec<Mark>) -> Self {
        let Span { from, to, last } = span;
        if let Some(Picture { cols, rows, dump, .. }) = picture {
            let at = Seconds(span.end());
            self.events.push(Event(at, 'r', format!("{cols}x{rows}")));
            self.events.push(Event(at, 'o', format!("\u{1b}c{dump}")));
        }
        let mut latest = from;
        for Event(at, ..) in &mut self.events {
            latest = at.0.clamp(latest, span.end());
            *at = Seconds(latest);
        }
        let within = |mark: &Mark| (from..=span.end()).contains(&mark.at) && is_marker(mark);
        let marks = marks.into_iter().filter(within);
        self.events.extend(marks.map(|mark| Event(Seconds(mark.at), 'm', mark.text)));
        self.events.sort_by_key(|event| event.0);
        // Nothing is written, at the moments at which the player wants something to be.
        let nothing = |at| Event(Seconds(at), 'o', String::new());
        if self.events.first().is_none_or(|first| first.0 != Seconds(from)) {
            self.events.insert(0, nothing(from));
        }
        if last && self.events.last().is_none_or(|event| event.0 != Seconds(to)) {
            self.events.push(nothing(to));
        }
        self
    }
}

impl Serialize for Seconds {
    // Of 285,000 years each millisecond is another number.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "description": "Since the recording began, in seconds." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::film::{Code, CueData};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use model::Seq;
    use serde_json::{Value, json};

    fn mark(at: u64, kind: MarkKind, text: &str) -> Mark {
        Mark { at, seq: Seq(at), kind, text: text.to_owned() }
    }

    fn outline(length_ms: u64, cuts: &[u64]) -> Outline {
        Outline {
            size: Size::clamped(80, 24),
            length_ms,
            cuts: cuts.to_vec(),
            marks: vec![],
            folded: BTreeMap::new(),
            live: false,
            damage: None,
        }
    }

    fn written<T: Serialize>(value: &T) -> Value {
        serde_json::to_value(value).unwrap()
    }

    /// The starts of the segments of a recording of so many milliseconds that is cut there.
    #[track_caller]
    fn check_index(length_ms: u64, cuts: &[u64], starts: &[f64]) {
        let index = written(&Index::of(outline(length_ms, cuts), "T"));
        let got: Vec<_> = index["segments"].as_array().unwrap().iter().collect();
        assert_eq!(
            got.iter().map(|one| one["start"].as_f64().unwrap()).collect::<Vec<_>>(),
            starts
        );
        assert_eq!(index["duration"].as_f64().unwrap(), length_ms as f64 / 1000.0);
        // Each ends where the next begins, and the last with the recording.
        let ms: Vec<_> = starts.iter().map(|start| (start * 1000.0) as u64).collect();
        for (number, one) in got.iter().enumerate() {
            let rest = match ms.get(number + 1) {
                Some(next) => format!("to={next}"),
                None => format!("to={length_ms}&last=1"),
            };
            let expected = format!("segment?ticket=T&from={}&{rest}", ms[number]);
            assert_eq!(one["url"], expected.as_str());
        }
    }

    #[test]
    fn the_first_segment_starts_at_0_and_starts_increase_and_are_before_the_end() {
        check_index(0, &[], &[0.0]);
        check_index(0, &[0, 1], &[0.0]);
        check_index(9000, &[], &[0.0]);
        check_index(9000, &[0, 1500, 3007, 8999, 9000, 9001], &[0.0, 1.5, 3.007, 8.999]);
        check_index(9000, &[1500, 1500, 1400, 1600], &[0.0, 1.5, 1.6]);
    }

    #[test]
    fn markers_are_in_order_within_the_recording_and_what_was_left_out_is_told() {
        let marks = vec![
            mark(0, MarkKind::Mark, "begins"),
            mark(10, MarkKind::Size, "100 × 30"),
            mark(1001, MarkKind::Gap, "GAP"),
            mark(2000, MarkKind::End, "ended"),
            mark(2001, MarkKind::Mark, "behind it"),
        ];
        let folded = BTreeMap::from([(MarkKind::Command, 12)]);
        let outline = Outline { marks, folded, live: true, ..outline(2000, &[]) };
        let index = written(&Index::of(outline, "T"));
        assert_eq!(index["markers"], json!([[0.0, "begins"], [1.001, "GAP"], [2.0, "ended"]]));
        assert_eq!((&index["folded"], &index["live"]), (&json!({ "command": 12 }), &json!(true)));
        assert_eq!(
            (&index["version"], &index["term"]),
            (&json!(1), &json!({ "cols": 80, "rows": 24 }))
        );
    }

    fn picture(dump: &str) -> Picture {
        Picture { seq: Seq(1), at: 0, cols: 80, rows: 24, dump: dump.to_owned() }
    }

    fn text(at: u64, text: &str) -> Cue {
        Cue(at, Seq(0), Code::Output, CueData::Text(text.to_owned()))
    }

    #[track_caller]
    fn check(span: (u64, u64, bool), cues: Vec<Cue>, marks: &[(u64, &str)], expected: Value) {
        let span = Span::new(span.0, span.1, span.2).unwrap();
        let mut segment = Segment::begin(picture("before"));
        for cue in cues {
            assert!(segment.take(cue), "there is room");
        }
        let marks = marks.iter().map(|(at, text)| mark(*at, MarkKind::Mark, text)).collect();
        let segment = written(&segment.finish(span, None, marks));
        assert_eq!(segment["snapshot"], json!({ "cols": 80, "rows": 24, "init": "before" }));
        assert_eq!(segment["events"], expected);
        assert_eq!(segment.as_object().unwrap().len(), 2);
    }

    #[test]
    fn the_first_event_is_at_the_start_and_the_last_of_all_at_the_end() {
        check((0, 1, false), vec![], &[], json!([[0.0, "o", ""]]));
        check((0, 0, true), vec![], &[], json!([[0.0, "o", ""]]));
        let [first, second] = [text(2000, "a"), text(2999, "b")];
        let told = json!([[2.0, "o", "a"], [2.999, "o", "b"]]);
        check((2000, 3000, false), vec![first, second.clone()], &[], told);
        let told = json!([[2.0, "o", ""], [2.999, "o", "b"], [3.0, "o", ""]]);
        check((2000, 3000, true), vec![second], &[], told);
        check(
            (2000, 3000, true),
            vec![text(3000, "z")],
            &[],
            json!([[2.0, "o", ""], [3.0, "o", "z"]]),
        );
    }

    #[test]
    fn marks_stand_at_their_moment_and_only_those_within_it() {
        let cues = vec![
            text(1000, "a"),
            Cue(
                1400,
                Seq(0),
                Code::Mark,
                CueData::Mark { kind: MarkKind::Gap, text: "late".into() },
            ),
            Cue(1500, Seq(0), Code::Size, CueData::Size(Size::clamped(100, 30))),
        ];
        let marks = [(999, "no"), (1000, "yes"), (1300, "early"), (2000, "no")];
        let told =
            json!([[1.0, "o", "a"], [1.0, "m", "yes"], [1.3, "m", "early"], [1.5, "r", "100x30"],]);
        check((1000, 2000, false), cues, &marks, told);
    }

    #[test]
    fn what_is_no_text_is_replaced_and_times_never_go_back_nor_leave_the_segment() {
        let bytes = Cue(5, Seq(0), Code::Bytes, CueData::Text(STANDARD.encode(b"a\xffb\xe2\x82")));
        check(
            (0, 9, false),
            vec![bytes],
            &[],
            json!([[0.0, "o", ""], [0.005, "o", "a\u{fffd}b\u{fffd}"]]),
        );
        let cues = vec![text(3, "a"), text(1, "b"), text(99, "c")];
        let told = json!([[0.0, "o", ""], [0.003, "o", "a"], [0.003, "o", "b"], [0.008, "o", "c"]]);
        check((0, 9, false), cues, &[], told);
    }

    #[test]
    fn a_segment_that_is_full_ends_with_the_picture_instead_of_more() {
        let full = |piece: &str, most: usize| {
            let mut segment = Segment::begin(picture(""));
            let taken = (0..).take_while(|at| segment.take(text(*at, piece))).count();
            assert_eq!(taken, most, "{} bytes each", piece.len());
            assert!(!segment.take(text(1, piece)), "it stays full");
            let at_end = Picture { cols: 100, ..picture("the end") };
            let span = Span::new(0, 1_000_000, false).unwrap();
            let told = written(&segment.finish(span, Some(at_end), vec![]));
            let events = told["events"].as_array().unwrap();
            let last = json!([[999.999, "r", "100x24"], [999.999, "o", "\u{1b}cthe end"]]);
            assert_eq!(events[events.len() - 2..], *last.as_array().unwrap());
        };
        full(&"x".repeat(SEGMENT_SHOWN_BYTES / 8), 8);
        full("x", SEGMENT_SHOWN_EVENTS);
    }

    #[test]
    fn a_span_has_a_moment() {
        assert_eq!(Span::new(5, 5, false), None);
        assert_eq!(Span::new(6, 5, true), None);
        assert_eq!(
            Span::new(5, 5, true).map(|span| (span.before(), span.end())),
            Some((Some(4), 5))
        );
        assert_eq!(Span::new(0, 7, false).map(|span| (span.before(), span.end())), Some((None, 6)));
    }
}

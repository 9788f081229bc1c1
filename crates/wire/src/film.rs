//! A recording as a film: what auth makes of it for a player that never gets the file.
//!
//! All requests but the calls at the end are `GET`s below `/v1/recordings/{id}/` with the ticket of [`crate::recording::ViewRecording`]; their
//! paths and parameters stand in [`crate::stream`]. Answers of several lines are lines of JSON; the last is `end`.
//! Times are milliseconds since the recording began. Texts of foreign origin hold no control characters, but for those
//! that are bytes of the terminal: [`Picture::dump`] and the data of a [`Cue`].

use crate::recording::RecordingFacts;
use crate::{Done, call};
use model::{Seq, SessionId, Size, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a player must know before it shows anything. Answer of `film`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Film {
    /// The recording, as in lists.
    pub facts: RecordingFacts,
    /// Size at the beginning, as `[columns, rows]`; none without a terminal.
    pub size: Option<Size>,
    /// The largest number of columns, and the largest of rows, that its screen ever had.
    pub largest: Option<Size>,
    /// Time of the last entry that can be read.
    pub length_ms: u64,
    /// That entry; 0 when there is none.
    pub seq: Seq,
    /// Whether it goes on.
    pub live: bool,
    /// How much happened when.
    pub activity: Activity,
    /// Where nothing happened.
    pub idle: Idle,
    /// Moments to go to, by time.
    pub marks: Vec<Mark>,
    /// How many marks of a kind were left out because there are too many; those that are there are spread evenly.
    pub folded: BTreeMap<MarkKind, u64>,
    /// Programs that ran for a while, by their beginning; the longest ones if there are many.
    pub chapters: Vec<Chapter>,
    /// Who typed when, if several did; none where finding that out would take too long.
    pub typing: Option<Typing>,
    /// Why nothing behind `seq` can be read, if the file is damaged.
    pub damage: Option<String>,
}

/// Who typed when. Nothing where one person typed alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Typing {
    /// Who typed, by the first key of each.
    pub people: Vec<UserName>,
    /// Times of the first and of the last key, and who of `people`, from 0; at most [`model::limit::FILM_BURSTS`], by their
    /// beginnings. Those of different people may overlap.
    pub bursts: Vec<(u64, u64, u16)>,
}

/// How much happened when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// Length of a bucket; the first begins with the recording.
    pub bucket_ms: u64,
    /// Bytes of output in each, at most [`model::limit::FILM_BUCKETS`]. Where `keys` is none they are packed bytes: good for
    /// a drawing, and for nothing else.
    pub bytes: Vec<u64>,
    /// Bytes that were typed in each; none where counting them would take too long.
    pub keys: Option<Vec<u64>>,
}

/// Where nothing was put out and nothing typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {
    /// Shorter stretches are not listed.
    pub at_least_ms: u64,
    /// From, to.
    pub stretches: Vec<(u64, u64)>,
}

/// A moment worth going to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// When.
    pub at: u64,
    /// Its entry.
    pub seq: Seq,
    /// Of which kind.
    pub kind: MarkKind,
    /// In a few words.
    pub text: String,
}

/// Of which kind a mark is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    /// Somebody came, left or was shown out; a file waited for a word.
    People,
    /// Somebody said something, beside the terminal.
    Said,
    /// The keyboard changed hands.
    Typing,
    /// The session waited, stood still, or went on.
    Frozen,
    /// The screen got another size.
    Size,
    /// A program ran.
    Command,
    /// A file was moved, or something was done to one.
    File,
    /// A service of the connection.
    Forward,
    /// A labelled moment.
    Mark,
    /// Something is missing.
    Gap,
    /// The end.
    End,
}

/// A program that ran for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chapter {
    /// When it began.
    pub at: u64,
    /// When it ended.
    pub until: u64,
    /// The entry of its beginning.
    pub seq: Seq,
    /// Its command line, cut.
    pub text: String,
}

/// A line of `reel`: first the picture, if a moment was asked for; cues; the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReelLine {
    /// `{"picture": …}`
    Picture {
        /// It.
        picture: Picture,
    },
    /// `[at, seq, code, data]`
    Cue(Cue),
    /// `{"end": …}`
    End {
        /// It.
        end: End,
    },
}

/// The whole screen as it stood at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// The last entry on it; 0 before the first.
    pub seq: Seq,
    /// The moment: that which was asked for, or the end of the recording if that is earlier.
    pub at: u64,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// What makes an empty terminal of that size show it.
    pub dump: String,
}

/// Something for the player to do: `[at, seq, code, data]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cue(pub u64, pub Seq, pub Code, pub CueData);

/// What a cue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Code {
    /// Output; data is text.
    #[serde(rename = "o")]
    Output,
    /// Output that is no UTF-8; data is base64 of the bytes.
    #[serde(rename = "b")]
    Bytes,
    /// Another size; data is `[columns, rows]`.
    #[serde(rename = "r")]
    Size,
    /// A mark; data is `{"kind": …, "text": …}`.
    #[serde(rename = "m")]
    Mark,
}

/// What belongs to a cue's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CueData {
    /// Of output. No character is ever cut between two cues, whatever their codes.
    Text(String),
    /// Of a size.
    Size(Size),
    /// Of a mark.
    Mark {
        /// Its kind.
        kind: MarkKind,
        /// Its words.
        text: String,
    },
}

/// The last line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// Goes on behind this answer, as the parameter `after` of the next request. A number (the last entry), and what must
    /// be remembered beside it; whoever asks does not look into it.
    pub after: String,
    /// The time up to which everything was told.
    pub at: u64,
    /// The last entry that was told, or passed over.
    pub seq: Seq,
    /// Whether there is more already.
    pub more: bool,
    /// Whether the recording goes on.
    pub live: bool,
    /// Its length at this moment.
    pub length_ms: u64,
    /// Why there is nothing more, if the file is damaged behind `seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// A line of `transcript`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TranscriptLine {
    /// A line of text.
    Line {
        /// When something was last written into it.
        at: u64,
        /// By which entry.
        seq: Seq,
        /// It. Lines that were wrapped are one.
        text: String,
    },
    /// A program had the whole screen; what it showed is no line.
    FullScreen {
        /// From.
        at: u64,
        /// To.
        until: u64,
    },
    /// The end.
    End(End),
}

/// A line of `events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventLine {
    /// Something that happened.
    Event(Box<Event>),
    /// The end.
    End(End),
}

/// Something that happened beside the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When; of what the kernel saw, its own time.
    pub at: u64,
    /// Its entry.
    pub seq: Seq,
    /// Of which class.
    pub class: EventClass,
    /// What it is, in one word, such as `ran`, `ended`, `opened`, `changed`, `tcp`, `closed`, `joined`.
    pub kind: String,
    /// In words.
    pub text: String,
    /// The process that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// Of the process that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// With whose rights it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Name of the process, 15 bytes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How often, if more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How long what ended here was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// Whether it did not go well, or was refused.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub failed: bool,
}

/// Of which class an event is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EventClass {
    /// Programs, and what processes do to each other.
    Commands,
    /// Files of programs.
    Files,
    /// Connections of programs.
    Network,
    /// Files moved by sftp and scp.
    Transfers,
    /// Services of the connection.
    Forwards,
    /// Who came, left and spoke.
    People,
    /// All else: marks, gaps, what the kernel watches, the end.
    Marks,
}

/// A line of `search`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchLine {
    /// A text that came onto the screen and fits.
    Hit(Hit),
    /// How far the search has come; told now and then.
    Reached {
        /// Up to here.
        at: u64,
    },
    /// The end; `more` if the search was cut.
    End(End),
}

/// Where a text came onto the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// When.
    pub at: u64,
    /// By which entry.
    pub seq: Seq,
    /// In which row of the screen, from 0.
    pub row: u16,
    /// The line; lines that were wrapped are one.
    pub text: String,
    /// The first character in `text` that fits, from 0.
    pub from: u32,
    /// The one behind the last.
    pub to: u32,
}

/// Asks for a small picture of each of some recordings. That is reading: it needs the right to play, and stands in the
/// ledger, for the same person and recording once in ten minutes. Recordings that the caller may not play are left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadPreviews {
    /// Which, at most [`model::limit::PREVIEWS`].
    pub ids: Vec<SessionId>,
}

/// A small picture of a recording: of the middle of what happened in it, or of now while it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The recording.
    pub id: SessionId,
    /// The moment that is shown.
    pub at: u64,
    /// Whether it goes on, and this is its end.
    pub live: bool,
    /// Columns of the screen.
    pub cols: u16,
    /// Rows of the screen.
    pub rows: u16,
    /// Its rows, without what is blank at their ends; at most [`model::limit::PREVIEW_SIZE`] of it.
    pub lines: Vec<Vec<Run>>,
}

/// Characters that look alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The characters; a wide one takes two columns.
    pub text: String,
    /// Colour of the characters, unless it is the terminal's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fg: Option<Paint>,
    /// Colour behind them, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bg: Option<Paint>,
    /// SGR 1.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub bold: bool,
    /// SGR 2.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub faint: bool,
    /// SGR 3.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub italic: bool,
    /// SGR 4.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub underline: bool,
    /// SGR 7: colours change places.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub inverse: bool,
}

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Paint {
    /// Of the 256 colours of xterm; the first 16 are the palette's.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// Remarks something on a moment of a recording. Needs the right to play it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddComment {
    /// Which recording.
    pub id: SessionId,
    /// Which moment.
    pub at: u64,
    /// What; at most [`model::limit::COMMENT_CHARS`], lines end with LF.
    pub text: String,
}

/// Lists what was remarked on a recording, by the moments. Needs the right to play it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListComments {
    /// Which recording.
    pub id: SessionId,
}

/// Removes a remark: one's own, or any with the right to remove the recording.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveComment {
    /// Which recording.
    pub id: SessionId,
    /// Which remark.
    pub number: u64,
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Comment {
    /// Its number, which no other ever has.
    pub number: u64,
    /// The moment.
    pub at: u64,
    /// Whose.
    pub author: UserName,
    /// Whether that is who asks.
    pub mine: bool,
    /// When it was made.
    pub made: Time,
    /// It.
    pub text: String,
}

call! {
    ReadPreviews, "recordings/previews", Vec<Preview>;
    AddComment, "recordings/comments/add", Comment;
    ListComments, "recordings/comments/list", Vec<Comment>;
    RemoveComment, "recordings/comments/remove", Done;
}

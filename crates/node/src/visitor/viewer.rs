//! One viewer: their terminal is painted from the stage, their keys go to the program or to scry.

#[cfg(test)]
mod together;

use super::keys::{Keys, Piece};
use crate::alarm::Alarm;
use crate::clock;
use crate::company::{Doors, Seated, Speaker, Vain};
use crate::lives::Running;
use crate::session::plain;
use crate::stage::Stage;
use crate::view::{self, View, Window};
use bytes::Bytes;
use link::ssh::Output;
use link::ssh::server::Session;
use model::entry::Party;
use model::limit::{PICTURE_MS, SAID_BYTES};
use model::role::SeatRole;
use model::{Size, Tick, Wanted};
use screen::{Canvas, Painter};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;
use wire::company::{Ask, Company, State, Told};

/// Between two signs of life of somebody who counts.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// How long a note stands on the last row, in milliseconds.
const NOTE_MS: u64 = 4_000;
/// How long a viewer's client may take for the last picture.
const PATIENCE: Duration = Duration::from_secs(2);
/// Told to who would approve what they cannot read.
const TOO_SMALL: &str =
    "your terminal is too small to show the file that waits; `scry company` does";

/// What stands before the picture.
enum Over {
    /// The list of keys.
    Help,
    /// Who is here.
    Who,
    /// Something that is being written, to be said.
    Says(String),
    /// Whether the session is really to be ended.
    End,
    /// Whether this file may be moved.
    File(Box<Wanted>),
}

/// One viewer.
pub(super) struct Viewer {
    seat: SeatRole,
    party: Party,
    doors: Doors,
    title: String,
    company: watch::Receiver<Arc<Company>>,
    stage: Arc<Stage>,
    told: broadcast::Receiver<Told>,
    painter: Painter,
    window: Window,
    /// What their terminal was made, and the session has not heard yet.
    resized: Option<Size>,
    keys: Keys,
    over: Option<Over>,
    /// What stands on the last row, until when.
    note: Option<(String, Tick)>,
    /// Asked whether they are there.
    asked: bool,
    /// That they pressed keys which mean nothing was passed on.
    vain: bool,
}

/// Why a viewer's view is over.
enum Left {
    /// They wanted to go.
    Went,
    /// They are gone, and have not said so.
    Gone,
    /// They had to, or the session is over.
    Told(String),
}

/// How a viewer's view ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// They left, had to, or the session is over.
    Said,
    /// Their channel is gone.
    Gone,
}

impl Viewer {
    pub fn new(running: &Running, seat: SeatRole, seated: Seated, window: Window) -> Self {
        let title = format!("{} as {}", running.owner, running.login);
        let Seated { party, stage, told } = seated;
        let mut viewer = Self {
            seat,
            party,
            doors: running.doors.clone(),
            title,
            company: running.company.clone(),
            stage,
            told,
            painter: Painter::new(window.size.cols(), window.size.rows()),
            window,
            resized: None,
            keys: Keys::new(seat == SeatRole::Peer),
            over: None,
            note: None,
            asked: false,
            vain: false,
        };
        let help = viewer.key("?");
        viewer.say(format!("{}, {}; {help} shows the keys", viewer.title, seat.word()));
        viewer
    }

    /// Shows the session until it is over or they go.
    pub async fn run(
        mut self,
        mut session: Session,
        stop: &CancellationToken,
        end: oneshot::Receiver<String>,
    ) -> Parting {
        let output = session.output.clone();
        let enter = Bytes::from(self.painter.enter());
        if output.write(enter).await.is_err() {
            return Parting::Gone;
        }
        let left = tokio::select! {
            biased;
            // Why they must go, before what they see of it.
            Ok(why) = end => Left::Told(why),
            left = self.show(&mut session, &output) => left,
            () = output.gone() => Left::Gone,
            () = stop.cancelled() => Left::Gone,
        };
        let farewell = async {
            if let Left::Told(_) = left {
                // What was on the screen at the end is seen once more, in full.
                let bytes = loop {
                    let settled = self.stage.is_settled();
                    match settled.then(|| self.picture()).flatten() {
                        Some(bytes) => break bytes,
                        None => tokio::time::sleep(Duration::from_millis(PICTURE_MS)).await,
                    }
                };
                let _ = output.write(Bytes::from(bytes)).await;
            }
            let _ = output.write(Bytes::from(self.painter.leave())).await;
            let why = match &left {
                Left::Told(why) => why.as_str(),
                Left::Went | Left::Gone => "you have left the session",
            };
            let _ = output.write(Bytes::from(format!("scry: {why}\r\n"))).await;
            let _ = output.exit_status(0).await;
        };
        let _ = tokio::time::timeout(PATIENCE, farewell).await;
        output.close().await;
        if matches!(left, Left::Gone) { Parting::Gone } else { Parting::Said }
    }

    async fn show(&mut self, session: &mut Session, output: &Output) -> Left {
        let mut drawn = self.stage.drawn();
        let mut stale = true;
        let mut alarm = Alarm::new();
        let mut painted = tokio::time::Instant::now() - Duration::from_millis(PICTURE_MS);
        loop {
            let next = painted + Duration::from_millis(PICTURE_MS);
            alarm.set(self.note.as_ref().map(|(_, until)| *until));
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(next), if stale => {
                    stale = false;
                    if let Some(size) = self.resized.take() {
                        self.doors.resized(self.party, size).await;
                    }
                    painted = tokio::time::Instant::now();
                    let Some(bytes) = self.picture() else {
                        stale = true;
                        continue;
                    };
                    if !bytes.is_empty() && output.write(Bytes::from(bytes)).await.is_err() {
                        return Left::Gone;
                    }
                }
                told = self.told.recv() => {
                    if let Some(left) = self.hear(told) {
                        return left;
                    }
                    stale = true;
                }
                pulled = session.input.pull() => {
                    let bytes = match pulled {
                        Ok(Some(bytes)) => bytes,
                        Ok(None) => return Left::Went,
                        Err(_) => return Left::Gone,
                    };
                    if let Some(left) = self.typed(&bytes).await {
                        return left;
                    }
                    stale = true;
                }
                Ok(()) = session.sizes.changed() => {
                    let size = *session.sizes.borrow_and_update();
                    if !self.window.fits {
                        self.resize(size);
                    }
                    self.resized = Some(size);
                    stale = true;
                }
                Ok(()) = drawn.changed() => stale = true,
                Ok(()) = self.company.changed() => stale = true,
                () = alarm.rings() => {
                    let now = clock::tick();
                    stale |= self.note.take_if(|(_, until)| *until <= now).is_some();
                }
            }
        }
    }

    fn resize(&mut self, size: Size) {
        self.window.size = size;
        self.painter.resize(size.cols(), size.rows());
    }

    /// What the terminal must get to show how things are now; nothing while the stage draws, which may take long, or
    /// another looks at it.
    fn picture(&mut self) -> Option<Vec<u8>> {
        let types = self.types();
        let window = &mut self.window;
        let View { mut canvas, keys, told } =
            self.stage.glance(|screen| view::look(screen, window, types))?;
        let mut bytes = told.unwrap_or_default();
        if !bytes.is_empty() {
            self.resize(self.window.size);
        }
        self.lay_over(&mut canvas);
        bytes.extend(self.painter.paint(canvas, Some(keys)));
        Some(bytes)
    }

    fn lay_over(&self, canvas: &mut Canvas) {
        match &self.over {
            Some(Over::Help) => canvas.boxed("keys", &self.help()),
            Some(Over::Who) => canvas.boxed("who is here", &self.who()),
            Some(Over::Says(text)) => canvas.bar(&format!("say: {text}\u{2581}")),
            Some(Over::End) => {
                canvas.bar("end this session and everything in it? y, or any other key")
            }
            Some(Over::File(wanted)) => {
                canvas.boxed("may this file be moved?", &self.file(wanted));
            }
            None => {
                let company = self.company.borrow();
                let stands = company.why.clone();
                let asked = self.asked.then(|| format!("are you there? {}", self.key("y")));
                let note = self.note.as_ref().map(|(text, _)| text.clone());
                // What waits for a word is not hidden by what was said last.
                let file = company.file.as_ref().map(|wanted| {
                    let (way, path) = (wanted.direction.word(), plain(&wanted.path));
                    format!("{} to look at: {way} of {path}", self.key("a"))
                });
                if let Some(text) = asked.or(file).or(note).or(stands) {
                    canvas.bar(&text);
                }
            }
        }
    }

    /// How a key of scry's is pressed in this seat.
    fn key(&self, key: &str) -> String {
        if self.seat == SeatRole::Peer { format!("ctrl-] {key}") } else { key.to_owned() }
    }

    fn help(&self) -> Vec<String> {
        let mut keys = vec![
            ("q", "leave"),
            ("w", "who is here"),
            ("c", "say something to all"),
            ("y", "say that you are there, when asked"),
            ("a", "look at the file that waits, to approve or refuse it"),
        ];
        match self.seat {
            SeatRole::Moderator => keys.extend([
                ("f", "freeze the session"),
                ("t", "thaw it"),
                ("x", "end it, and everything in it"),
            ]),
            SeatRole::Peer => keys.push(("o", "give the keyboard back to the owner")),
            SeatRole::Observer => {}
        }
        let mut lines: Vec<String> =
            keys.into_iter().map(|(key, does)| format!("{:<9} {does}", self.key(key))).collect();
        // Their own client reads it, if it is scry's.
        lines.push("ctrl-] r  look at earlier moments, in `scry join`".to_owned());
        lines
    }

    fn who(&self) -> Vec<String> {
        let company = self.company.borrow();
        let line = |one: &wire::company::Present| {
            let seat = one.seat.map_or("owner", SeatRole::word);
            let mark = if one.types { "types" } else { "" };
            format!("{:>3} {:<20} {seat:<10} {mark}", one.party.0, one.user)
        };
        company.people.iter().map(line).collect()
    }

    /// Whether what they type reaches the program at this moment.
    fn types(&self) -> bool {
        self.company.borrow().people.iter().any(|one| one.party == self.party && one.types)
    }

    fn say(&mut self, text: String) {
        self.note = Some((text, clock::tick().plus_ms(NOTE_MS)));
    }

    /// Takes note of what is told; answers when they must go.
    fn hear(&mut self, told: Result<Told, RecvError>) -> Option<Left> {
        match told {
            Ok(Told::Over { why }) => {
                return Some(Left::Told(format!("the session is over: {why}")));
            }
            Ok(Told::Said { user, text, .. }) => self.say(format!("{user}: {text}")),
            Ok(Told::Happened { what }) => self.say(what),
            Ok(Told::Confirm { party, .. }) => self.asked |= party == self.party,
            Ok(Told::Company(company)) => {
                if !company.people.iter().any(|one| one.party == self.party) {
                    return Some(Left::Told("you were shown out".to_owned()));
                }
            }
            Ok(Told::Done {} | Told::Refused { .. }) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Some(Left::Told("the session is over".to_owned())),
        }
        None
    }

    async fn typed(&mut self, bytes: &[u8]) -> Option<Left> {
        if let Some(Over::Says(_)) = self.over {
            self.write(bytes).await;
            return None;
        }
        for piece in self.keys.take(bytes) {
            match piece {
                Piece::Input(bytes) => {
                    if self.over.take().is_some() {
                        continue;
                    }
                    if self.doors.types(self.party, Bytes::from(bytes)).await.is_err() {
                        return Some(Left::Told("the session is over".to_owned()));
                    }
                    self.explain_silence();
                }
                Piece::Word(word) => {
                    if let Some(left) = self.word(word).await {
                        return Some(left);
                    }
                }
            }
        }
        if self.keys.is_escaped() {
            self.say(format!("{}: ? shows the keys", self.title));
        }
        None
    }

    /// Says why what was typed does not reach the program, if it does not.
    fn explain_silence(&mut self) {
        let company = Arc::clone(&self.company.borrow());
        if !self.types() && company.state == State::Running {
            let holder = company.people.iter().find(|one| Some(one.party) == company.keyboard);
            if let Some(holder) = holder {
                self.say(format!("{} has the keyboard", holder.user));
            }
        }
    }

    /// Writes at what is to be said.
    async fn write(&mut self, bytes: &[u8]) {
        let Some(Over::Says(mut text)) = self.over.take() else { return };
        for ch in String::from_utf8_lossy(bytes).chars() {
            match ch {
                '\r' | '\n' => {
                    if !text.is_empty() {
                        self.ask(Ask::Say { text }).await;
                    }
                    return;
                }
                '\u{1b}' | '\u{3}' => return,
                '\u{7f}' | '\u{8}' => drop(text.pop()),
                ch if !ch.is_control() && text.len() < SAID_BYTES - 4 => text.push(ch),
                _ => {}
            }
        }
        self.over = Some(Over::Says(text));
    }

    async fn word(&mut self, word: u8) -> Option<Left> {
        match self.over.take() {
            Some(Over::End) if word == b'y' => {
                self.ask(Ask::End {}).await;
                return None;
            }
            Some(Over::File(wanted)) => {
                let number = wanted.number;
                match word {
                    b'y' if !self.shows_whole(&wanted) => self.say(TOO_SMALL.to_owned()),
                    b'y' => self.ask(Ask::Approve { number }).await,
                    b'n' => self.ask(Ask::Refuse { number }).await,
                    _ => {}
                }
                return None;
            }
            Some(_) => return None,
            None => {}
        }
        match word {
            b'a' => self.look_at_file(),
            b'q' => return Some(Left::Went),
            b'?' | b'h' => self.over = Some(Over::Help),
            b'w' => self.over = Some(Over::Who),
            b'c' => self.over = Some(Over::Says(String::new())),
            b'y' => {
                self.asked = false;
                self.ask(Ask::Confirm {}).await;
            }
            b'o' if self.seat == SeatRole::Peer => self.ask(Ask::TakeBack {}).await,
            b'f' if self.seat == SeatRole::Moderator => self.ask(Ask::Freeze {}).await,
            b't' if self.seat == SeatRole::Moderator => self.ask(Ask::Thaw {}).await,
            b'x' if self.seat == SeatRole::Moderator => self.over = Some(Over::End),
            _ => {
                self.say(format!("{}: {} shows the keys", self.title, self.key("?")));
                if !std::mem::replace(&mut self.vain, true) {
                    self.doors.vain(Speaker::Seat(self.party), Vain::Keys).await;
                }
            }
        }
        None
    }

    /// Shows the file that waits. Which one it is is kept: a key is about what was shown.
    fn look_at_file(&mut self) {
        let file = self.company.borrow().file.clone();
        match file {
            Some(wanted) if !self.shows_whole(&wanted) => self.say(TOO_SMALL.to_owned()),
            Some(wanted) => self.over = Some(Over::File(Box::new(wanted))),
            None => self.say("no file waits for a word".to_owned()),
        }
    }

    /// Whether nothing that is known of a file is hidden behind an edge of this terminal.
    fn shows_whole(&self, wanted: &Wanted) -> bool {
        self.file(wanted).len() + 2 <= usize::from(self.window.size.rows())
    }

    /// Everything that is known of a file, in lines that fit.
    fn file(&self, wanted: &Wanted) -> Vec<String> {
        let Wanted { number, direction, asked, path, target } = wanted;
        let width = usize::from(self.window.size.cols().saturating_sub(6)).max(2);
        let title = format!("file {number} of {}: {}", self.title, direction.word());
        let texts =
            [title, plain(path), format!("asked for as {}", plain(asked)), target.to_string()];
        let mut lines = Vec::new();
        for text in texts {
            lines.extend(wrapped(&text, width));
        }
        lines.push(String::new());
        lines.push("y  approve this one file, once".to_owned());
        lines.push("n  refuse it; any other key decides nothing".to_owned());
        lines
    }

    async fn ask(&mut self, ask: Ask) {
        if let Ok(Told::Refused { why }) = self.doors.ask(Speaker::Seat(self.party), ask).await {
            self.say(why);
        }
    }
}

/// A text in lines of at most so many columns; whatever is not ASCII may take two.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut used) = (vec![String::new()], 0);
    for c in text.chars() {
        let wide = if c.is_ascii() { 1 } else { 2 };
        if used + wide > columns {
            lines.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn a_long_text_is_shown_in_whole_in_lines_that_fit() {
        for (text, columns, lines) in [
            ("", 4, &[""][..]),
            ("abcd", 4, &["abcd"]),
            ("abcde", 4, &["abcd", "e"]),
            ("\u{6f22}\u{6f22}a", 4, &["\u{6f22}\u{6f22}", "a"]),
            ("ab\u{6f22}c", 3, &["ab", "\u{6f22}c"]),
        ] {
            assert_eq!(wrapped(text, columns), lines, "{text:?} in {columns}");
        }
    }
}

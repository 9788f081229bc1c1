//! Decides what somebody sees of a session and where goes what they type. Pure: time comes in as an argument.

use super::curtain::{Curtain, Look};
use super::film::{Film, Press};
use super::menu::{Deed, Menu, Name};
use super::question::asks;
use super::typed::{ESCAPE, Piece, Typed};
use crate::play::Key;
use bytes::Bytes;
use model::entry::Party;
use model::limit::PICTURE_MS;
use model::{Size, Tick};
use screen::Canvas;
use std::collections::VecDeque;
use wire::company::{Ask, Company, Present, State, Told};

/// How long a note stands on the last row, in milliseconds, and how long if others wait.
const NOTE_MS: (u64, u64) = (4_000, 1_500);
/// Notes that wait. Beyond: the oldest is dropped.
const NOTES: usize = 8;
/// How long what stands on the last row makes room for a program that asks the terminal something or writes very much, in
/// milliseconds.
const ASIDE_MS: u64 = 500;
/// How long a note that made room may be put off at most, in milliseconds.
const PUT_OFF_MS: u64 = 4_000;
/// How long the program's next sequence may take to become whole before the terminal is taken nevertheless, in
/// milliseconds.
const WHOLE_MS: u64 = 100;
/// What stands on the last row while the connection is lost.
const LOST: &str =
    "the connection is lost; coming back\u{2026} what is typed now is lost, too. ctrl-] . gives up";
/// What stands there until the player shows something.
const OPENING: &str = "looking for the recording\u{2026} q: back to now";

/// The front of a session: what its owner, or whoever has joined it, sees of it beside the program.
pub struct Front {
    curtain: Curtain,
    /// Whose it is. What a viewer has joined is painted by the node, and the program is the node to them.
    seat: Seat,
    typed: Typed,
    begins: Line,
    /// Who is here; `None` without a line to them, and then nothing is shown and no key is scry's but `~.`.
    company: Option<Company>,
    name: Name,
    menu: Option<Menu>,
    film: Option<Film>,
    /// The escape key as it came.
    escape: Bytes,
    note: Option<Note>,
    notes: VecDeque<String>,
    /// The connection is lost, and a way back is looked for.
    is_lost: bool,
    /// Until when the last row is the program's own, whatever there is to say.
    aside: Option<Tick>,
    /// Until when the terminal is not taken in the middle of a sequence.
    whole: Option<Tick>,
    /// Until when the terminal is not given back, though nothing is shown.
    returns: Option<Tick>,
    /// The picture is not what it should be.
    is_stale: bool,
    painted: Tick,
    is_over: bool,
    to_terminal: VecDeque<Bytes>,
    to_program: VecDeque<Bytes>,
    wishes: VecDeque<Wish>,
}

/// What is wished beside bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// To ask the node something.
    Ask(Ask),
    /// To learn which session this is.
    Name,
    /// To open the player at this moment.
    Rewind,
    /// To press a key of the player's.
    Press(Key),
    /// To end the player.
    Live,
    /// To leave.
    Leave,
}

/// Who sits before a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// Whose session it is.
    Owner,
    /// Who has joined it.
    Viewer,
}

/// Where in a line the next key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Begins,
    /// Behind a `~` at its beginning, which the program has not got yet.
    Tilde,
    Inside,
}

struct Note {
    text: String,
    since: Tick,
    until: Tick,
}

impl Front {
    /// Of a session that begins, or is joined.
    pub fn new(seat: Seat, size: Size, now: Tick) -> Self {
        let (curtain, asks) = Curtain::new(size, now);
        Self {
            curtain,
            seat,
            typed: Typed::default(),
            begins: Line::Begins,
            company: None,
            name: Name::default(),
            menu: None,
            film: None,
            escape: Bytes::new(),
            note: None,
            notes: VecDeque::new(),
            is_lost: false,
            aside: None,
            whole: None,
            returns: None,
            is_stale: false,
            painted: now,
            is_over: false,
            to_terminal: VecDeque::from([asks]),
            to_program: VecDeque::new(),
            wishes: VecDeque::new(),
        }
    }

    /// The program writes.
    pub fn output(&mut self, bytes: Bytes, now: Tick) {
        let is_note = self.curtain.is_lent() && self.menu.is_none() && self.film.is_none();
        if is_note && (asks(&bytes) || self.curtain.would_spare(&bytes)) {
            self.step_aside(now);
        }
        match self.curtain.output(bytes) {
            Some(bytes) => self.to_terminal.push_back(bytes),
            None => self.is_stale = true,
        }
        self.settle(now);
    }

    /// Somebody types.
    pub fn typed(&mut self, bytes: &[u8], now: Tick) {
        for piece in self.typed.take(bytes, now) {
            self.piece(piece, now);
        }
        self.settle(now);
    }

    /// The node tells something.
    pub fn heard(&mut self, told: Told, now: Tick) {
        match told {
            Told::Company(company) => {
                self.company = Some(company);
                self.is_stale = true;
            }
            // The node has it in its picture.
            _ if self.seat == Seat::Viewer && self.film.is_none() => {}
            Told::Said { user, text, .. } => self.say(format!("{user}: {text}")),
            Told::Happened { what } => self.say(what),
            Told::Refused { why } => self.say(why),
            Told::Confirm { party, ms } => {
                let who = self.user(party);
                self.say(format!("{who} must say within {} s that they are there", ms / 1000));
            }
            Told::Done {} | Told::Over { .. } => {}
        }
        self.settle(now);
    }

    /// There is no line to the node any more.
    pub fn alone(&mut self, now: Tick) {
        self.company = None;
        self.menu.take_if(|_| self.seat == Seat::Owner);
        self.settle(now);
    }

    /// The connection is lost, and a way back is looked for. Nothing that is typed goes anywhere.
    pub fn lost(&mut self, now: Tick) {
        (self.is_lost, self.is_stale, self.begins) = (true, true, Line::Begins);
        (self.company, self.menu) = (None, None);
        self.to_program.clear();
        self.settle(now);
    }

    /// It was found. The program writes the screen as it is next.
    pub fn back(&mut self, now: Tick) {
        (self.is_lost, self.is_stale, self.begins) = (false, true, Line::Inside);
        self.say("the connection is back".to_owned());
        self.settle(now);
    }

    /// The player shows something.
    pub fn filmed(&mut self, picture: Canvas, now: Tick) {
        if let Some(film) = &mut self.film {
            (film.picture, self.is_stale) = (Some(picture), true);
        }
        self.settle(now);
    }

    /// The player is over; and why, if nobody asked for that.
    pub fn live(&mut self, why: Option<String>, now: Tick) {
        (self.film, self.is_stale) = (None, true);
        why.into_iter().for_each(|why| self.say(why));
        self.settle(now);
    }

    /// Which session it is, as was wished.
    pub fn named(&mut self, name: Name, now: Tick) {
        (self.name, self.is_stale) = (name, true);
        self.settle(now);
    }

    /// The terminal has another size.
    pub fn resized(&mut self, size: Size, now: Tick) {
        self.curtain.resize(size);
        self.is_stale = true;
        self.settle(now);
    }

    /// The program has ended: the terminal gets the rest, and nothing is shown any more.
    pub fn finish(&mut self, now: Tick) {
        (self.is_over, self.menu, self.film, self.note) = (true, None, None, None);
        self.is_lost = false;
        self.settle(now);
    }

    /// Whether the terminal has an answer to give that nobody but this front waits for.
    pub fn awaits(&mut self, now: Tick) -> bool {
        self.curtain.awaits(now)
    }

    /// Whether the terminal is painted.
    pub fn is_painted(&self) -> bool {
        self.curtain.is_lent()
    }

    /// Whether there is something for the terminal; the program's next bytes wait for that.
    pub fn has_shown(&self) -> bool {
        !self.to_terminal.is_empty()
    }

    /// The next bytes for the terminal.
    pub fn poll_terminal(&mut self) -> Option<Bytes> {
        self.to_terminal.pop_front()
    }

    /// Whether there is something for the program; what is typed next waits for that.
    pub fn has_typed(&self) -> bool {
        !self.to_program.is_empty()
    }

    /// The next bytes for the program.
    pub fn poll_program(&mut self) -> Option<Bytes> {
        self.to_program.pop_front()
    }

    /// The next wish.
    pub fn poll(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Tick> {
        let picture = (self.curtain.is_lent() && self.is_stale && !self.has_shown())
            .then(|| self.painted.plus_ms(PICTURE_MS));
        let note = self.note.as_ref().map(|note| self.ends(note));
        [picture, note, self.aside, self.whole, self.returns, self.typed.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Tick) {
        if let Some(piece) = self.typed.handle_timeout(now) {
            self.piece(piece, now);
        }
        self.aside.take_if(|until| *until <= now);
        self.settle(now);
        if self.has_shown() {
            return;
        }
        self.curtain.catch_up();
        if self.is_stale && now.since(self.painted) >= PICTURE_MS {
            self.paint(now);
        }
    }

    /// Takes the terminal when there is something to show, and gives it back when there is nothing.
    fn settle(&mut self, now: Tick) {
        self.turn_notes(now);
        self.returns = None;
        let wanted = !self.is_over
            && (self.menu.is_some()
                || self.film.is_some()
                || (self.aside.is_none() && self.stands().is_some()));
        if !wanted {
            self.whole = None;
            self.returns =
                self.curtain.better_after().filter(|until| *until > now && !self.is_over);
            if self.returns.is_none() {
                self.to_terminal.extend(self.curtain.take_back());
            }
        } else if !self.curtain.is_lent() {
            let until = *self.whole.get_or_insert(now.plus_ms(WHOLE_MS));
            if self.curtain.is_whole() || until <= now {
                self.whole = None;
                self.to_terminal.push_back(self.curtain.lend(now));
                self.paint(now);
            }
        }
    }

    fn paint(&mut self, now: Tick) {
        let (menu, people, name) = (self.menu.as_ref(), people(self.company.as_ref()), &self.name);
        let stands = self.stands().filter(|_| !menu.is_some_and(Menu::is_bar));
        let painted = if let Some(Film { picture: Some(picture), .. }) = &self.film {
            let mut picture = picture.clone();
            stands.iter().for_each(|text| picture.bar(text));
            self.curtain.paint_over(picture)
        } else {
            let has_bar = menu.map_or(stands.is_some(), Menu::is_bar);
            let passes = menu.is_none() && self.film.is_none() && !self.is_lost;
            let look = Look { passes, has_bar, is_faint: self.is_lost };
            self.curtain.paint(look, |canvas| {
                stands.iter().for_each(|text| canvas.bar(text));
                if let Some(menu) = menu {
                    menu.lay(canvas, people, name);
                }
            })
        };
        self.to_terminal.extend(painted);
        (self.is_stale, self.painted) = (false, now);
    }

    /// What stands on the last row. The player has something of its own there, which notes alone cover, for a while.
    fn stands(&self) -> Option<String> {
        if self.is_lost {
            return Some(LOST.to_owned());
        }
        let lasting = || match &self.film {
            Some(Film { picture: None, .. }) => Some(OPENING.to_owned()),
            Some(_) => None,
            None => self.frozen(),
        };
        self.note.as_ref().map(|note| note.text.clone()).or_else(lasting)
    }

    fn frozen(&self) -> Option<String> {
        let company = self.company.as_ref().filter(|_| self.seat == Seat::Owner)?;
        let why = company.why.as_deref().unwrap_or_default();
        (company.state == State::Frozen).then(|| format!("the session stands still: {why}"))
    }

    fn say(&mut self, text: String) {
        self.notes.push_back(text);
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
    }

    /// When a note makes room for the next, or goes.
    fn ends(&self, note: &Note) -> Tick {
        if self.notes.is_empty() {
            note.until
        } else {
            note.until.min(note.since.plus_ms(NOTE_MS.1))
        }
    }

    fn turn_notes(&mut self, now: Tick) {
        if self.menu.as_ref().is_some_and(Menu::is_bar) {
            // What cannot be seen is shown afterwards.
            self.note.take().into_iter().for_each(|note| self.notes.push_front(note.text));
            return;
        }
        let over = self.note.as_ref().is_none_or(|note| self.ends(note) <= now);
        if over && (self.note.is_some() || !self.notes.is_empty()) {
            let next = self.notes.pop_front();
            self.note = next.map(|text| Note { text, since: now, until: now.plus_ms(NOTE_MS.0) });
            self.is_stale = true;
        }
    }

    /// Gives the terminal back for a moment; what stood on the last row is put off.
    fn step_aside(&mut self, now: Tick) {
        self.aside = Some(now.plus_ms(ASIDE_MS));
        if let Some(note) = &mut self.note {
            let latest = note.since.plus_ms(NOTE_MS.0 + PUT_OFF_MS);
            note.until = note.until.plus_ms(ASIDE_MS).min(latest);
        }
        self.to_terminal.extend(self.curtain.take_back());
    }

    fn piece(&mut self, piece: Piece, now: Tick) {
        let piece = match piece {
            Piece::Place(place, _) if self.curtain.awaits(now) => {
                return self.curtain.placed(place);
            }
            // Who asked is not there to hear it.
            Piece::Place(..) | Piece::Answer(_) if self.is_lost => return,
            // Nobody has asked a viewer's terminal for it: it is a key that looks like an answer.
            Piece::Place(..) | Piece::Answer(_)
                if self.seat == Seat::Viewer && self.film.is_some() =>
            {
                return;
            }
            // Also what the program asked for before it was covered: nobody can type that.
            Piece::Place(_, bytes) | Piece::Answer(bytes) => {
                return self.to_program.push_back(bytes);
            }
            other => other,
        };
        if self.is_lost && self.film.is_none() {
            return self.wait_on(&piece);
        }
        match (self.menu.take(), &mut self.film) {
            (Some(menu), _) => self.turn_to_scry(menu, piece),
            (None, Some(film)) => match film.press(&piece) {
                Some(Press::Key(key)) => self.wishes.push_back(Wish::Press(key)),
                Some(Press::Close) => {
                    (self.film, self.is_stale) = (None, true);
                    self.wishes.push_back(Wish::Live);
                }
                None => {}
            },
            (None, None) => self.pass(piece),
        }
    }

    /// What is typed while the connection is lost. `~.` counts anywhere: no line is written.
    fn wait_on(&mut self, piece: &Piece) {
        self.begins = match piece {
            Piece::Key(b'.', _) if self.begins == Line::Tilde => {
                self.wishes.push_back(Wish::Leave);
                Line::Begins
            }
            Piece::Escape(_) | Piece::Key(b'~', _) => Line::Tilde,
            _ => Line::Begins,
        };
    }

    /// What is typed for scry.
    fn turn_to_scry(&mut self, menu: Menu, piece: Piece) {
        self.is_stale = true;
        let deed = match (menu, piece) {
            (Menu::Escaped, Piece::Escape(_)) => {
                // Twice is once for the program.
                self.begins = Line::Inside;
                return self.to_program.push_back(self.escape.clone());
            }
            (Menu::Says(text), Piece::Pasted(bytes)) => {
                let text = [text.as_slice(), &bytes].concat();
                Deed::Show(Menu::Says(text.into_iter().filter(|byte| *byte >= b' ').collect()))
            }
            (menu, Piece::Key(key, _)) => menu.key(key, people(self.company.as_ref())),
            (Menu::Word, Piece::Escape(_)) => Deed::Word(ESCAPE),
            (_, Piece::Escape(_)) => Deed::Close,
            // The mouse may still move, and keys be let go.
            (menu, _) => Deed::Show(menu),
        };
        match deed {
            Deed::Show(menu) => {
                if matches!(menu, Menu::Share)
                    && !matches!(self.name, Name::Known(..) | Name::Sought)
                {
                    self.name = Name::Sought;
                    self.wishes.push_back(Wish::Name);
                }
                self.menu = Some(menu);
            }
            Deed::Close => {}
            Deed::Word(key) => {
                self.begins = Line::Inside;
                // As the node reads it, whatever the terminal makes of these keys.
                self.to_program.push_back(Bytes::copy_from_slice(&[ESCAPE, key]));
            }
            Deed::Rewind => {
                self.film = Some(Film::default());
                self.wishes.push_back(Wish::Rewind);
            }
            Deed::Ask(ask) => self.wishes.push_back(Wish::Ask(ask)),
            Deed::Leave => self.wishes.push_back(Wish::Leave),
        }
    }

    /// What is typed for the program, but for the escape keys.
    fn pass(&mut self, piece: Piece) {
        let tilde = std::mem::replace(&mut self.begins, Line::Inside);
        let (key, bytes) = match piece {
            Piece::Escape(bytes) if self.seat == Seat::Viewer || self.company.is_some() => {
                self.flush(tilde);
                let menu = if self.seat == Seat::Viewer { Menu::Word } else { Menu::Escaped };
                (self.menu, self.escape) = (Some(menu), bytes);
                return;
            }
            Piece::Key(key, bytes) => (Some(key), bytes),
            Piece::Escape(bytes) | Piece::Sequence(bytes) | Piece::Pasted(bytes) => (None, bytes),
            // These were seen to.
            Piece::Place(..) | Piece::Answer(_) => return,
        };
        match (tilde, key) {
            (Line::Tilde, Some(b'.')) => return self.wishes.push_back(Wish::Leave),
            (Line::Tilde, Some(b'?')) if self.seat == Seat::Owner && self.company.is_some() => {
                self.begins = Line::Begins;
                self.menu = Some(Menu::Keys);
                return;
            }
            // Twice is once for the program.
            (Line::Tilde, Some(b'~')) => {}
            (Line::Begins, Some(b'~')) => {
                self.begins = Line::Tilde;
                return;
            }
            _ => self.flush(tilde),
        }
        if matches!(key, Some(b'\r' | b'\n')) {
            self.begins = Line::Begins;
        }
        self.to_program.push_back(bytes);
    }

    /// The program gets the `~` that was kept back.
    fn flush(&mut self, line: Line) {
        if line == Line::Tilde {
            self.to_program.push_back(Bytes::from_static(b"~"));
        }
    }

    fn user(&self, party: Party) -> String {
        let named = people(self.company.as_ref()).iter().find(|one| one.party == party);
        named.map_or_else(|| format!("person {}", party.0), |one| one.user.to_string())
    }
}

/// Who is here, as far as that is known.
fn people(company: Option<&Company>) -> &[Present] {
    company.map_or(&[], |company| &company.people)
}

//! The player itself: what was wished is done, time passes, pictures go to a desk and keys come from there.

use super::Options;
use super::desk::{Desk, Turn};
use super::mind::Mind;
use super::outline::Outline;
use super::paint::{Scene, paint};
use super::reel::Reel;
use super::wish::{Film, Stop, Wish};
use model::{Seq, Tick};
use record::find::{Hunt, Outcome, Pattern};
use record::note::{Note, NoteKind};
use record::{Recording, Source};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds between two pictures, at least.
const FRAME_MS: u64 = 16;
/// Milliseconds that a search or the list may work before keys are looked at again.
const SLICE_MS: u64 = 40;
/// Milliseconds between two looks at what a running session has written since.
const REFRESH_MS: u64 = 500;
/// Milliseconds to wait for a key when nothing else is due; a signal is noticed then.
const WAIT_MS: u64 = 250;

/// A recording before a desk.
pub struct Player<S: Source, D: Desk> {
    began: Instant,
    reel: Reel<S>,
    mind: Mind,
    title: String,
    outline: Outline,
    /// What waits for the outline to be complete.
    waiting: Option<Wish>,
    /// The note that a jump led to last: time and entry.
    stands: Option<(u64, Seq)>,
    hunt: Option<Hunt>,
    searched: Option<u64>,
    gaps: Vec<(u64, u64)>,
    damage_told: bool,
    desk: D,
    /// Whether colours are wanted (`NO_COLOR`).
    colours: bool,
    refreshed: Tick,
    drawn: Tick,
    quit: bool,
}

impl<S: Source, D: Desk> Player<S, D> {
    /// Where the options say, before its first picture.
    pub fn new(recording: Recording<S>, options: Options, title: String, desk: D) -> Self {
        let now = Tick(0);
        let mut mind = Mind::new(options.speed, options.skip_idle_ms, options.paused, now);
        mind.set_search(options.highlight);
        mind.set_before_live(options.before_live);
        let mut player = Self {
            began: Instant::now(),
            reel: Reel::new(recording),
            mind,
            title,
            outline: Outline::default(),
            waiting: None,
            stands: None,
            hunt: None,
            searched: None,
            gaps: Vec::new(),
            damage_told: false,
            desk,
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            refreshed: now,
            drawn: now,
            quit: false,
        };
        player.take_stock();
        player.tell_film();
        if options.follow {
            player.mind.follow(now);
        } else {
            let at = options.at_ms.unwrap_or(0).min(player.mind.length());
            player.reel.seek(at);
            player.mind.arrived(at, now);
        }
        player.tell_film();
        player
    }

    /// Plays until the viewer leaves, the desk fails or `stop` says so.
    pub fn play(&mut self, stop: &AtomicBool) -> io::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            self.move_on();
            if self.quit {
                break;
            }
            self.draw()?;
            self.listen()?;
        }
        Ok(())
    }

    fn now(&self) -> Tick {
        Tick(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Does what was wished, lets time pass, and shows what is due.
    fn move_on(&mut self) {
        let now = self.now();
        while let Some(wish) = self.mind.poll() {
            self.grant(wish, now);
            self.tell_film();
        }
        self.work(now);
        if !self.mind.has_ended() && now.since(self.refreshed) >= REFRESH_MS {
            self.refresh(now);
        }
        // Each turn may reveal the next entry, which a cut pause may lead to at once.
        for _ in 0..2 {
            self.mind.handle_timeout(now);
            let mut notes = Vec::new();
            if self.mind.is_playing() {
                self.reel.advance(self.mind.position(now), &mut notes);
            }
            self.tell(&notes, now);
            self.tell_film();
        }
    }

    fn grant(&mut self, wish: Wish, now: Tick) {
        let mut notes = Vec::new();
        match wish {
            Wish::Goto(ms) => self.reel.seek(ms),
            Wish::Forward => {
                if self.reel.step_forward(&mut notes) {
                    self.mind.arrived(self.reel.at(), now);
                }
            }
            Wish::Back => {
                if self.reel.step_back() {
                    self.mind.arrived(self.reel.at(), now);
                }
            }
            Wish::Search { text, forward } => self.search(&text, forward, now),
            Wish::StopSearch => self.hunt = None,
            Wish::Beside { .. } | Wish::List(_) => {
                if let Wish::List(of) = wish {
                    self.mind.show_list(of, 0);
                }
                self.waiting = Some(wish);
            }
            Wish::Choose(of, number) => {
                if let Some(note) = self.outline.notes(of).get(number) {
                    let at = note.at;
                    self.stands = Some((at, note.seq));
                    self.reel.seek(at);
                    self.mind.arrived(at, now);
                }
            }
            Wish::Refresh => self.refresh(now),
            Wish::Quit => self.quit = true,
        }
        self.tell(&notes, now);
    }

    fn search(&mut self, text: &str, forward: bool, now: Tick) {
        let Some(pattern) = Pattern::new(text) else { return };
        // A pause in the middle of an idle stretch searches from there all the same.
        self.searched = Some(self.mind.position(now));
        self.hunt = Some(if forward {
            Hunt::on(pattern, self.reel.shown())
        } else {
            Hunt::back(pattern, self.reel.seq().next())
        });
    }

    /// A slice of what takes longer.
    fn work(&mut self, now: Tick) {
        let began = Instant::now();
        let more = || began.elapsed() < Duration::from_millis(SLICE_MS);
        if let Some(mut hunt) = self.hunt.take() {
            match hunt.run(self.reel.recording(), more) {
                Ok(Outcome::Working(at)) => {
                    self.searched = Some(at);
                    self.hunt = Some(hunt);
                }
                Ok(Outcome::Found(hit)) => {
                    self.reel.show_hit(hit);
                    self.mind.found(Some(hit.at), now);
                    self.tell_film();
                }
                Ok(Outcome::Nothing) => {
                    self.mind.found(None, now);
                    if hunt.pattern().is_on(self.reel.screen()) {
                        self.mind.say("on the screen, and nowhere further that way".into(), now);
                    }
                }
                Err(damage) => {
                    self.mind.found(None, now);
                    self.mind.say(format!("damaged here: {}", damage.what), now);
                }
            }
        } else if let Some(wish) = self.waiting.clone() {
            let complete = self.outline.run(self.reel.recording(), more);
            if let Wish::List(of) = wish {
                self.mind.listed(self.outline.notes(of).len());
            }
            if complete {
                self.waiting = None;
                self.answer(&wish, now);
            }
        }
    }

    /// What waited for the outline.
    fn answer(&mut self, wish: &Wish, now: Tick) {
        match wish {
            Wish::Beside { stop, from, forward } => {
                let at = self.stands.filter(|(at, _)| at == from).map(|(_, seq)| seq);
                let note = self.outline.beside(*stop, *from, at, *forward).cloned();
                self.jump(note, none(*stop), now);
            }
            Wish::List(of) => {
                let position = self.mind.position(now);
                let behind = self.outline.notes(*of).partition_point(|note| note.at <= position);
                if self.mind.overlay().is_some() {
                    self.mind.show_list(*of, behind.saturating_sub(1));
                }
            }
            _ => {}
        }
    }

    fn jump(&mut self, note: Option<Note>, none: &str, now: Tick) {
        match note {
            Some(Note { at, text, seq, .. }) => {
                self.stands = Some((at, seq));
                self.reel.seek(at);
                self.mind.arrived(at, now);
                self.mind.say(text, now);
                self.tell_film();
            }
            None => self.mind.say(none.to_owned(), now),
        }
    }

    fn refresh(&mut self, now: Tick) {
        self.refreshed = now;
        if self.reel.refresh() {
            self.take_stock();
        }
        self.tell_film();
    }

    fn take_stock(&mut self) {
        let gaps = &self.reel.recording().index().gaps;
        self.gaps = gaps.iter().map(|gap| (gap.at.saturating_sub(gap.gap.ms), gap.at)).collect();
    }

    fn tell_film(&mut self) {
        let film = Film {
            at: self.reel.at(),
            next: self.reel.next_at(),
            length: self.reel.recording().length_ms(),
            ended: self.reel.recording().ending().is_some() || self.reel.damage().is_some(),
        };
        self.mind.film(film);
        let Some(damage) = self.reel.damage().filter(|_| !self.damage_told) else { return };
        if film.next.is_none() {
            self.damage_told = true;
            let text = format!("damaged here: {}", damage.what);
            let now = self.now();
            self.mind.say(text, now);
        }
    }

    fn tell(&mut self, notes: &[Note], now: Tick) {
        let gap = notes.iter().rev().find(|note| note.kind == NoteKind::Gap);
        if let Some(note) = gap.or(notes.last()) {
            self.mind.say(note.text.clone(), now);
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let now = self.now();
        let scene = Scene {
            screen: self.reel.screen(),
            mind: &self.mind,
            now,
            title: &self.title,
            started: self.reel.recording().heading().started,
            gaps: &self.gaps,
            outline: &self.outline,
            types: self.reel.typist(),
            reading: self.waiting.as_ref().map(|_| self.outline.at()),
            searched: self.searched,
        };
        let mut canvas = paint(&scene, self.desk.size());
        if !self.colours {
            canvas.drop_colours();
        }
        self.drawn = now;
        self.desk.show(canvas)
    }

    /// Waits for keys until something is due.
    fn listen(&mut self) -> io::Result<()> {
        let busy = self.hunt.is_some() || self.waiting.is_some();
        let now = self.now();
        let due = self.mind.poll_timeout().map_or(WAIT_MS, |due| due.since(now));
        let beat = if self.mind.is_playing() { self.mind.beat_ms() } else { WAIT_MS };
        let frame = FRAME_MS.saturating_sub(now.since(self.drawn));
        let mut wait = if busy { 0 } else { due.min(beat).min(WAIT_MS).max(frame) };
        while let Some(turn) = self.desk.turn(Duration::from_millis(wait))? {
            wait = 0;
            if let Turn::Key(key) = turn {
                let now = self.now();
                self.mind.handle(key, now);
            }
        }
        Ok(())
    }
}

/// Said where a jump leads nowhere.
fn none(stop: Stop) -> &'static str {
    match stop {
        Stop::Marker => "no marker in this direction",
        Stop::Program => "no program ran in this direction, as far as the kernel was asked to see",
        Stop::Seen => {
            "no file or connection in this direction, as far as the kernel was asked to see"
        }
    }
}

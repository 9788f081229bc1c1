//! The player's mind: keys and time in, wishes and a position out. Pure.

use super::wish::{Clock, Film, Key, Listed, Overlay, Stop, Wish};
use model::Tick;
use record::note::time;
use std::collections::VecDeque;

/// Speeds, slowest first.
const SPEEDS: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// Milliseconds of `skip idle` when it is switched on inside.
const SKIP_IDLE_MS: u64 = 2_000;
/// Milliseconds that a message stays.
const MESSAGE_MS: u64 = 4_000;
/// Milliseconds in which digits belong together.
const DIGITS_MS: u64 = 2_500;
/// Milliseconds between two looks at the clock while playing.
const BEAT_MS: u64 = 200;
/// A step and a leap, in milliseconds.
const STEP_MS: u64 = 5_000;
const LEAP_MS: u64 = 60_000;
/// Milliseconds before the present moment within which "back to the marker" goes to the one before.
const MERCY_MS: u64 = 1_000;
/// Characters of a search.
const SEARCH_CHARS: usize = 200;

/// The mind.
#[derive(Debug)]
pub struct Mind {
    film: Film,
    playing: bool,
    following: bool,
    before_live: bool,
    speed: f64,
    skip_idle_ms: Option<u64>,
    /// The position at a moment.
    from: u64,
    since: Tick,
    clock: Clock,
    prompt: Option<String>,
    digits: Option<(String, Tick)>,
    search: Option<String>,
    searching: bool,
    overlay: Option<Overlay>,
    listed: usize,
    message: Option<(String, Tick)>,
    wishes: VecDeque<Wish>,
}

impl Mind {
    /// A player that has not begun. `speed` is brought within 0.25 to 16.
    pub fn new(speed: f64, skip_idle_ms: Option<u64>, paused: bool, now: Tick) -> Self {
        let speed = if speed.is_finite() { speed.clamp(0.25, 16.0) } else { 1.0 };
        Self {
            film: Film::default(),
            playing: !paused,
            following: false,
            before_live: false,
            speed,
            skip_idle_ms,
            from: 0,
            since: now,
            clock: Clock::Elapsed,
            prompt: None,
            digits: None,
            search: None,
            searching: false,
            overlay: None,
            listed: 0,
            message: None,
            wishes: VecDeque::new(),
        }
    }

    /// Takes a key.
    pub fn handle(&mut self, key: Key, now: Tick) {
        if key == Key::Interrupt {
            return self.wish(Wish::Quit);
        }
        if self.prompt.is_some() {
            return self.type_search(key, now);
        }
        match self.overlay {
            Some(Overlay::Help) => self.overlay = None,
            Some(Overlay::List(of, chosen)) => self.choose(key, (of, chosen), now),
            None => self.press(key, now),
        }
    }

    /// What should be done, in order.
    pub fn poll(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// When [`Mind::handle_timeout`] should be called.
    pub fn poll_timeout(&self) -> Option<Tick> {
        let message = self.message.as_ref().map(|(_, until)| *until);
        let digits = self.digits.as_ref().map(|(_, until)| *until);
        let due = |ms: u64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rounded up"
            )]
            let wait = (ms.saturating_sub(self.from) as f64 / self.speed).ceil() as u64;
            self.since.plus_ms(wait)
        };
        let walking = self.playing && !self.following;
        let next = self.film.next.filter(|_| walking).map(due);
        let idle = self.idle_from().filter(|_| walking).map(due);
        [message, digits, next, idle].into_iter().flatten().min()
    }

    /// How long a status line stays true, in milliseconds.
    pub fn beat_ms(&self) -> u64 {
        BEAT_MS
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Tick) {
        if self.message.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.message = None;
        }
        if self.digits.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.digits = None;
        }
        if !self.playing || self.following {
            return;
        }
        let position = self.position(now);
        if let (Some(idle), Some(next)) = (self.idle_from(), self.film.next)
            && position >= idle
            && position < next
        {
            let skipped = next - position;
            self.place(next, now);
            if skipped >= 1000 {
                self.say(format!("idle, skipped {}", time(skipped)), now);
            }
        } else if position >= self.film.length && self.film.next.is_none() {
            self.place(self.film.length, now);
            self.playing = !self.film.ended;
            self.following = !self.film.ended;
        }
    }

    /// Where playing has come to, in milliseconds of the recording.
    pub fn position(&self, now: Tick) -> u64 {
        if self.following {
            return self.film.length;
        }
        if !self.playing {
            return self.from;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
        let passed = (now.since(self.since) as f64 * self.speed) as u64;
        self.from.saturating_add(passed).min(self.film.length.max(self.from))
    }

    /// Tells what is on the screen and what there is.
    pub fn film(&mut self, film: Film) {
        self.film = film;
        if film.ended && self.following {
            self.following = false;
            self.playing = false;
            self.from = film.length;
        }
    }

    /// Tells that a step, a marker or a hit led to this moment.
    pub fn arrived(&mut self, at: u64, now: Tick) {
        self.following = false;
        self.place(at, now);
    }

    /// Tells how a search ended. At a hit the player pauses.
    pub fn found(&mut self, at: Option<u64>, now: Tick) {
        self.searching = false;
        if let Some(at) = at {
            self.playing = false;
            self.arrived(at, now);
            self.say(format!("found at {} · n next, N previous", time(at)), now);
        } else {
            self.say("not found in this direction".to_owned(), now);
        }
    }

    /// Tells how long the list is.
    pub fn listed(&mut self, count: usize) {
        self.listed = count;
    }

    /// Shows a list, with the place nearest to now chosen.
    pub fn show_list(&mut self, of: Listed, chosen: usize) {
        self.overlay = Some(Overlay::List(of, chosen));
    }

    /// Says something for some seconds.
    pub fn say(&mut self, text: String, now: Tick) {
        self.message = Some((text, now.plus_ms(MESSAGE_MS)));
    }

    /// Goes to the end and follows the session.
    pub fn follow(&mut self, now: Tick) {
        self.wish(Wish::Refresh);
        if self.film.ended {
            self.seek(self.film.length, now);
            return self.say("this session has ended".to_owned(), now);
        }
        self.seek(self.film.length, now);
        self.following = true;
        self.playing = true;
    }

    /// Whether it plays.
    pub fn is_playing(&self) -> bool {
        self.playing
    }

    /// Whether it stays at the end of a session that goes on.
    pub fn is_following(&self) -> bool {
        self.following
    }

    /// Whether the end is reached.
    pub fn is_at_end(&self) -> bool {
        !self.playing && self.film.ended && self.from >= self.film.length
    }

    /// How many times faster than it happened.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// After how long a pause is cut, in milliseconds.
    pub fn skip_idle_ms(&self) -> Option<u64> {
        self.skip_idle_ms
    }

    /// How the time is shown.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Length, in milliseconds.
    pub fn length(&self) -> u64 {
        self.film.length
    }

    /// Whether there will be no more.
    pub fn has_ended(&self) -> bool {
        self.film.ended
    }

    /// What is being typed as a search.
    pub fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref()
    }

    /// Digits that wait for a G.
    pub fn digits(&self) -> Option<&str> {
        self.digits.as_ref().map(|(digits, _)| digits.as_str()).filter(|digits| digits.len() > 1)
    }

    /// What was searched for last.
    pub fn search(&self) -> Option<&str> {
        self.search.as_deref()
    }

    /// Highlights this, as if it had been searched for.
    pub fn set_search(&mut self, text: Option<String>) {
        self.search = text;
    }

    /// What goes on is behind the player, and followed by leaving it.
    pub fn set_before_live(&mut self, is: bool) {
        self.before_live = is;
    }

    /// Whether a search goes on.
    pub fn is_searching(&self) -> bool {
        self.searching
    }

    /// What covers the picture.
    pub fn overlay(&self) -> Option<Overlay> {
        self.overlay
    }

    /// What there is to say.
    pub fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|(text, _)| text.as_str())
    }

    fn press(&mut self, key: Key, now: Tick) {
        if let Key::Char(ch) = key
            && (ch.is_ascii_digit() || (ch == ':' && self.digits.is_some()))
        {
            return self.digit(ch, now);
        }
        let digits = self.digits.take().map(|(digits, _)| digits);
        match key {
            Key::Char(' ' | 'p') => self.toggle(now),
            Key::Left | Key::Char('h') => self.by(STEP_MS, false, now),
            Key::Right | Key::Char('l') => self.by(STEP_MS, true, now),
            Key::ShiftLeft | Key::PageUp | Key::Char('H') => self.by(LEAP_MS, false, now),
            Key::ShiftRight | Key::PageDown | Key::Char('L') => self.by(LEAP_MS, true, now),
            Key::Home | Key::Char('g') => self.seek(0, now),
            Key::End | Key::Char('G') | Key::Enter => self.go(key, digits, now),
            Key::Char('.') => self.step(Wish::Forward, now),
            Key::Char(',') => self.step(Wish::Back, now),
            Key::Char('[') => self.jump(Stop::Marker, false, now),
            Key::Char(']') => self.jump(Stop::Marker, true, now),
            Key::Char('C') => self.jump(Stop::Program, false, now),
            Key::Char('c') => self.jump(Stop::Program, true, now),
            Key::Char('E') => self.jump(Stop::Seen, false, now),
            Key::Char('e') => self.jump(Stop::Seen, true, now),
            Key::Char('<' | '{') => self.faster(false, now),
            Key::Char('>' | '}') => self.faster(true, now),
            Key::Backspace => self.set_speed(1.0, now),
            Key::Char('i') => self.toggle_idle(now),
            Key::Char('/') => self.prompt = Some(String::new()),
            Key::Char('n') => self.search_on(true, now),
            Key::Char('N') => self.search_on(false, now),
            Key::Char('m') => self.wish(Wish::List(Listed::Notes)),
            Key::Char('M') => self.wish(Wish::List(Listed::Seen)),
            Key::Char('f') if self.before_live => self.wish(Wish::Quit),
            Key::Char('f') => self.follow(now),
            Key::Char('t') => {
                self.clock = match self.clock {
                    Clock::Elapsed => Clock::Remaining,
                    Clock::Remaining => Clock::Wall,
                    Clock::Wall => Clock::Elapsed,
                };
            }
            Key::Char('?') => self.overlay = Some(Overlay::Help),
            Key::Char('q') => self.wish(Wish::Quit),
            Key::Escape if self.searching => {
                self.searching = false;
                self.wish(Wish::StopSearch);
            }
            Key::Escape => {
                self.search = None;
                self.message = None;
            }
            _ => {}
        }
    }

    fn wish(&mut self, wish: Wish) {
        self.wishes.push_back(wish);
    }

    fn place(&mut self, at: u64, now: Tick) {
        self.from = at;
        self.since = now;
    }

    fn seek(&mut self, to: u64, now: Tick) {
        let to = to.min(self.film.length);
        self.following = false;
        self.place(to, now);
        // Nothing is known of the new place until the driver has been there.
        self.film.next = None;
        self.film.at = to;
        self.wish(Wish::Goto(to));
    }

    fn by(&mut self, ms: u64, forward: bool, now: Tick) {
        let position = self.position(now);
        let to = if forward { position.saturating_add(ms) } else { position.saturating_sub(ms) };
        self.seek(to, now);
    }

    fn toggle(&mut self, now: Tick) {
        if self.is_at_end() {
            self.seek(0, now);
            self.playing = true;
            return;
        }
        let position = self.position(now);
        self.place(position, now);
        self.following = false;
        self.playing = !self.playing;
    }

    fn digit(&mut self, ch: char, now: Tick) {
        let mut digits = self.digits.take().map(|(digits, _)| digits).unwrap_or_default();
        digits.push(ch);
        // The first one acts at once; more make it a time that waits for its G.
        if let (1, Some(tenths)) = (digits.len(), ch.to_digit(10)) {
            self.seek(self.film.length / 10 * u64::from(tenths), now);
        }
        digits.truncate(9);
        self.digits = Some((digits, now.plus_ms(DIGITS_MS)));
    }

    fn go(&mut self, key: Key, digits: Option<String>, now: Tick) {
        match (digits.as_deref().map(parse_time), key) {
            (Some(Some(ms)), _) => self.seek(ms, now),
            (Some(None), _) => self.say("a time is 90, 1:30 or 1:02:03".to_owned(), now),
            (None, Key::Enter) => {}
            (None, _) => self.seek(self.film.length, now),
        }
    }

    fn step(&mut self, wish: Wish, now: Tick) {
        let position = self.position(now);
        self.place(position, now);
        self.playing = false;
        self.following = false;
        self.wish(wish);
    }

    fn jump(&mut self, stop: Stop, forward: bool, now: Tick) {
        let from = self.from(forward, now);
        self.wish(Wish::Beside { stop, from, forward });
    }

    /// Where a jump begins: while it plays, a jump back does not land where it just was.
    fn from(&self, forward: bool, now: Tick) -> u64 {
        let mercy = if self.playing && !forward { MERCY_MS } else { 0 };
        self.position(now).saturating_sub(mercy)
    }

    fn faster(&mut self, faster: bool, now: Tick) {
        let speed = if faster {
            SPEEDS.iter().find(|speed| **speed > self.speed)
        } else {
            SPEEDS.iter().rfind(|speed| **speed < self.speed)
        };
        self.set_speed(speed.copied().unwrap_or(self.speed), now);
    }

    fn set_speed(&mut self, speed: f64, now: Tick) {
        let position = self.position(now);
        self.place(position, now);
        self.speed = speed;
    }

    fn toggle_idle(&mut self, now: Tick) {
        let position = self.position(now);
        self.place(position, now);
        self.skip_idle_ms = match self.skip_idle_ms {
            Some(_) => None,
            None => Some(SKIP_IDLE_MS),
        };
        let text =
            if self.skip_idle_ms.is_some() { "idle time is cut" } else { "idle time is played" };
        self.say(text.to_owned(), now);
    }

    /// The moment from which a pause that is too long is skipped.
    fn idle_from(&self) -> Option<u64> {
        let (limit, next) = (self.skip_idle_ms?, self.film.next?);
        let idle = self.film.at.saturating_add(limit);
        (next > idle).then_some(idle)
    }

    fn search_on(&mut self, forward: bool, now: Tick) {
        let Some(text) = self.search.clone() else {
            return self.say("type / and what to search for".to_owned(), now);
        };
        let position = self.position(now);
        self.place(position, now);
        self.playing = false;
        self.following = false;
        self.searching = true;
        self.wish(Wish::Search { text, forward });
    }

    fn type_search(&mut self, key: Key, now: Tick) {
        let Some(mut text) = self.prompt.take() else { return };
        match key {
            Key::Escape => return,
            Key::Enter => {
                if !text.is_empty() {
                    self.search = Some(text);
                }
                return self.search_on(true, now);
            }
            Key::Backspace if text.is_empty() => return,
            Key::Backspace => drop(text.pop()),
            Key::Char(ch) if !ch.is_control() && text.chars().count() < SEARCH_CHARS => {
                text.push(ch)
            }
            _ => {}
        }
        self.prompt = Some(text);
    }

    fn choose(&mut self, key: Key, (of, chosen): (Listed, usize), now: Tick) {
        let last = self.listed.saturating_sub(1);
        let chosen = match key {
            Key::Up | Key::Char('k') => chosen.saturating_sub(1),
            Key::Down | Key::Char('j') => (chosen + 1).min(last),
            Key::PageUp => chosen.saturating_sub(10),
            Key::PageDown => (chosen + 10).min(last),
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => last,
            Key::Enter => {
                self.overlay = None;
                let position = self.position(now);
                self.place(position, now);
                self.following = false;
                return self.wish(Wish::Choose(of, chosen));
            }
            Key::Escape | Key::Char('m' | 'M' | 'q') => {
                self.overlay = None;
                return;
            }
            _ => chosen,
        };
        self.overlay = Some(Overlay::List(of, chosen));
    }
}

/// Reads `90`, `1:30` or `1:02:03` as milliseconds.
fn parse_time(text: &str) -> Option<u64> {
    let mut seconds: u64 = 0;
    for part in text.split(':') {
        let number: u64 = part.parse().ok().filter(|_| part.len() <= 6)?;
        seconds = seconds.checked_mul(60)?.checked_add(number)?;
    }
    seconds.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_shown() {
        for (text, ms) in [
            ("90", Some(90_000)),
            ("1:30", Some(90_000)),
            ("1:02:03", Some(3_723_000)),
            ("0", Some(0)),
            ("", None),
            ("1:", None),
            ("x", None),
            ("99999999", None),
        ] {
            assert_eq!(parse_time(text), ms, "{text:?}");
        }
        assert_eq!(
            (time(0), time(65_999), time(3_723_000)),
            ("0:00".into(), "1:05".into(), "1:02:03".into())
        );
    }
}

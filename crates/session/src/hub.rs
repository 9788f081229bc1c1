//! The hub: what the owner has not read yet, when they make the program wait, and when the session must end.
//!
//! While their connection is lost, or they are shown pictures as others are, nothing is kept for them and nothing waits for
//! them: it stands in the recording. Whoever comes back gets the screen as it was behind some entry, and from there on what
//! follows.

use bytes::Bytes;
use model::limit::{OWNER_LAG_BYTES, RETURN_MS};
use model::{Seq, Stream, Tick};
use std::collections::VecDeque;

/// When a session must end, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Longest time from its beginning.
    pub session_ms: Option<u64>,
    /// Longest time without input.
    pub idle_ms: Option<u64>,
    /// First moment after the certificate it was opened with.
    pub expires: Option<Tick>,
}

/// Why a session must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It lasted as long as the role allows.
    TooLong,
    /// Nothing was typed for as long as the role allows.
    Idle,
    /// The certificate's life is over.
    Expired,
    /// The owner's connection was lost, and they did not come back.
    Lost,
}

impl End {
    /// For the person whose session it is.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::TooLong => "the session has reached the length that your role allows",
            Self::Idle => "nothing was typed for as long as your role allows",
            Self::Expired => "your certificate has expired; use `scry login`",
            Self::Lost => "the owner's connection was lost, and they did not come back within 60 s",
        }
    }
}

/// Where the owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// There, and reads.
    Reads,
    /// Their connection is lost; until when they may come back.
    Lost { until: Tick },
    /// Back, and waits for the screen.
    Waits,
    /// There, and shown something else.
    Aside,
}

/// One live session.
#[derive(Debug)]
pub struct Hub {
    owner: Owner,
    /// Output that the owner has not read, the oldest first, each with its place in the recording; none is empty.
    unread: VecDeque<(Seq, Stream, Bytes)>,
    /// Bytes of it.
    lag: u64,
    /// Bytes of output and of input so far.
    output: u64,
    input: u64,
    terms: Terms,
    began: Tick,
    last_input: Tick,
    end: Option<End>,
    end_told: bool,
}

impl Hub {
    /// A session that begins at `now`.
    #[must_use]
    pub fn new(terms: Terms, now: Tick) -> Self {
        Self {
            owner: Owner::Reads,
            unread: VecDeque::new(),
            lag: 0,
            output: 0,
            input: 0,
            terms,
            began: now,
            last_input: now,
            end: None,
            end_told: false,
        }
    }

    /// Shows output to the owner. The recorder must have taken it, as `seq`; where nobody can come back any number will do.
    pub fn offer(&mut self, seq: Seq, stream: Stream, bytes: Bytes) {
        self.output += bytes.len() as u64;
        if !bytes.is_empty() && matches!(self.owner, Owner::Reads | Owner::Waits) {
            self.lag += bytes.len() as u64;
            self.unread.push_back((seq, stream, bytes));
        }
    }

    /// The owner's connection is lost, and they may come back until [`RETURN_MS`] from now.
    pub fn lost(&mut self, now: Tick) {
        self.handle_timeout(now);
        self.forget();
        self.owner = Owner::Lost { until: now.plus_ms(RETURN_MS) };
    }

    /// The owner reads nothing of this until [`Hub::back`], for they are shown something else: nothing is kept for them, and
    /// nothing waits for them. Of whoever is lost it says nothing.
    pub fn aside(&mut self, now: Tick) {
        self.handle_timeout(now);
        if !self.is_lost() {
            self.forget();
            self.owner = Owner::Aside;
        }
    }

    /// The owner is back, or elsewhere: they read nothing until [`Hub::show`]. What is offered from here on is kept for then.
    pub fn back(&mut self, now: Tick) {
        // Whoever comes too late does not undo the end.
        self.handle_timeout(now);
        self.forget();
        self.owner = Owner::Waits;
    }

    /// The owner gets this first, which shows everything up to `seq`, and then what follows. If they do not wait for it,
    /// nothing happens.
    pub fn show(&mut self, seq: Seq, screen: Bytes) {
        if self.owner != Owner::Waits {
            return;
        }
        self.owner = Owner::Reads;
        let shown = self.unread.partition_point(|(at, ..)| *at <= seq);
        self.unread.drain(..shown);
        self.unread.push_front((seq, Stream::Pty, screen));
        self.unread.retain(|(.., bytes)| !bytes.is_empty());
        self.lag = self.unread.iter().map(|(.., bytes)| bytes.len() as u64).sum();
    }

    /// Whether the owner's connection is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.owner, Owner::Lost { .. })
    }

    fn forget(&mut self) {
        self.unread.clear();
        self.lag = 0;
    }

    /// Notes that `count` bytes were typed. Input that comes after the session's end was due does not revive it.
    pub fn typed(&mut self, count: usize, now: Tick) {
        self.handle_timeout(now);
        self.input = self.input.saturating_add(count as u64);
        self.last_input = self.last_input.max(now);
    }

    /// What the owner reads next: at most `most` bytes (but at least one) of one stream. `None` once everything was read.
    pub fn read(&mut self, most: usize) -> Option<(Stream, Bytes)> {
        if self.owner != Owner::Reads {
            return None;
        }
        let (_, stream, bytes) = self.unread.front_mut()?;
        let (stream, piece) = (*stream, bytes.split_to(most.max(1).min(bytes.len())));
        if bytes.is_empty() {
            self.unread.pop_front();
        }
        self.lag -= piece.len() as u64;
        Some((stream, piece))
    }

    /// Whether the program's output may be read on, or must wait for its owner.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.lag < OWNER_LAG_BYTES as u64
    }

    /// Bytes of output and of input so far.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.output, self.input)
    }

    /// Why the session must end: told once.
    pub fn poll(&mut self) -> Option<End> {
        let end = self.end.filter(|_| !self.end_told)?;
        self.end_told = true;
        Some(end)
    }

    /// Whether it has to end; also before [`Hub::poll`] has said why.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// When [`Hub::handle_timeout`] has something to decide.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        if self.end.is_some() {
            return None;
        }
        self.deadlines().into_iter().flatten().map(|(at, _)| at).min()
    }

    /// Decides what `now` brings: the rule whose moment came first ends the session.
    pub fn handle_timeout(&mut self, now: Tick) {
        if self.end.is_none() {
            let due = self.deadlines().into_iter().flatten().filter(|(at, _)| *at <= now);
            self.end = due.min_by_key(|(at, _)| *at).map(|(_, end)| end);
        }
    }

    fn deadlines(&self) -> [Option<(Tick, End)>; 4] {
        let lost = match self.owner {
            Owner::Lost { until } => Some((until, End::Lost)),
            Owner::Reads | Owner::Waits | Owner::Aside => None,
        };
        [
            lost,
            self.terms.expires.map(|at| (at, End::Expired)),
            self.terms.session_ms.map(|ms| (self.began.plus_ms(ms), End::TooLong)),
            self.terms.idle_ms.map(|ms| (self.last_input.plus_ms(ms), End::Idle)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        Hub::new(Terms::default(), Tick(0))
    }

    fn offer(hub: &mut Hub, size: usize) {
        hub.offer(Seq(0), Stream::Pty, Bytes::from(vec![b'x'; size]));
    }

    #[test]
    fn the_owner_makes_the_program_wait() {
        let mut hub = hub();
        offer(&mut hub, OWNER_LAG_BYTES - 1);
        assert!(hub.may_read());
        offer(&mut hub, 1);
        assert!(!hub.may_read());
        hub.read(1);
        assert!(hub.may_read());
        while hub.read(4096).is_some() {}
        assert_eq!((hub.lag, hub.unread.len()), (0, 0));
    }

    #[test]
    fn a_read_of_nothing_gets_one_byte_and_never_spins() {
        let mut hub = hub();
        offer(&mut hub, 2);
        offer(&mut hub, 0);
        let mut lengths = std::iter::from_fn(|| hub.read(0)).map(|(_, bytes)| bytes.len());
        assert_eq!((lengths.next(), lengths.next(), lengths.next()), (Some(1), Some(1), None));
    }

    #[test]
    fn who_was_lost_gets_the_screen_and_what_follows_it_and_nothing_waits_meanwhile() {
        let mut hub = hub();
        let say = |hub: &mut Hub, seq, text: &'static str| {
            hub.offer(Seq(seq), Stream::Pty, Bytes::from_static(text.as_bytes()));
        };
        let read = |hub: &mut Hub| {
            let pieces = std::iter::from_fn(|| hub.read(100));
            pieces.map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap()).collect::<String>()
        };
        say(&mut hub, 1, "on its way, ");
        hub.lost(Tick(10));
        offer(&mut hub, 2 * OWNER_LAG_BYTES);
        assert!(hub.may_read() && hub.is_lost() && hub.read(100).is_none());
        hub.show(Seq(9), Bytes::from_static(b"nobody waits for it"));
        hub.back(Tick(20));
        say(&mut hub, 3, "in the picture, ");
        say(&mut hub, 4, "behind it, ");
        assert!(hub.may_read() && hub.read(100).is_none());
        hub.show(Seq(3), Bytes::from_static(b"the picture, "));
        say(&mut hub, 5, "and so on");
        assert_eq!(read(&mut hub), "the picture, behind it, and so on");
        assert_eq!(hub.poll_timeout(), None);
        // From another place, without having been lost.
        say(&mut hub, 6, "for the old place");
        hub.back(Tick(30));
        offer(&mut hub, OWNER_LAG_BYTES);
        assert!(!hub.may_read(), "who is back makes the program wait");
        hub.show(Seq(6), Bytes::new());
        while hub.read(4096).is_some() {}
        assert_eq!((hub.lag, hub.unread.len()), (0, 0));
    }

    #[test]
    fn who_is_shown_something_else_reads_on_from_the_screen_and_whoever_is_lost_stays_so() {
        let mut hub = hub();
        hub.offer(Seq(1), Stream::Pty, Bytes::from_static(b"never read"));
        hub.aside(Tick(10));
        offer(&mut hub, 2 * OWNER_LAG_BYTES);
        assert!(hub.may_read() && !hub.is_lost() && hub.read(100).is_none());
        hub.show(Seq(9), Bytes::from_static(b"nobody waits for it"));
        assert!(hub.read(100).is_none() && hub.poll_timeout().is_none());
        hub.back(Tick(20));
        hub.show(Seq(3), Bytes::from_static(b"the screen"));
        assert_eq!(hub.read(100), Some((Stream::Pty, Bytes::from_static(b"the screen"))));
        hub.lost(Tick(30));
        hub.aside(Tick(40));
        assert!(hub.is_lost() && hub.poll_timeout() == Some(Tick(30 + RETURN_MS)));
    }

    #[test]
    fn who_is_lost_for_too_long_finds_the_end() {
        for (back, now, end) in [
            (None, RETURN_MS - 1, None),
            (None, RETURN_MS, Some(End::Lost)),
            (Some(RETURN_MS - 1), 2 * RETURN_MS, None),
            (Some(RETURN_MS), RETURN_MS, Some(End::Lost)),
        ] {
            let mut hub = hub();
            hub.lost(Tick(100));
            if let Some(back) = back {
                hub.back(Tick(100 + back));
            }
            hub.handle_timeout(Tick(100 + now));
            assert_eq!(hub.poll(), end, "back after {back:?}, now {now}");
        }
        let mut hub = Hub::new(Terms { idle_ms: Some(300), ..Terms::default() }, Tick(0));
        hub.lost(Tick(100));
        assert_eq!(hub.poll_timeout(), Some(Tick(300)), "other rules apply on");
    }

    #[test]
    fn a_session_ends_once_for_the_rule_that_comes_first() {
        let all = Terms { session_ms: Some(1000), idle_ms: Some(300), expires: Some(Tick(700)) };
        for (terms, typed_at, now, end) in [
            (all, None, 299, None),
            (all, None, 300, Some(End::Idle)),
            (all, Some(250), 549, None),
            (all, Some(299), 700, Some(End::Idle)),
            (all, Some(300), 301, Some(End::Idle)),
            (Terms { idle_ms: Some(500), ..all }, Some(450), 700, Some(End::Expired)),
            (Terms { idle_ms: None, ..all }, Some(650), 700, Some(End::Expired)),
            (Terms { session_ms: Some(700), ..all }, Some(450), 5000, Some(End::Idle)),
            (Terms { expires: None, idle_ms: None, ..all }, None, 1000, Some(End::TooLong)),
            (Terms::default(), None, u64::MAX, None),
        ] {
            let mut hub = Hub::new(terms, Tick(0));
            if let Some(at) = typed_at {
                hub.typed(1, Tick(at));
            }
            assert_eq!(
                hub.poll_timeout().is_some(),
                terms != Terms::default() && hub.end.is_none()
            );
            hub.handle_timeout(Tick(now));
            assert_eq!(hub.poll(), end, "{terms:?} typed at {typed_at:?}, now {now}");
            assert_eq!(hub.poll(), None);
        }
    }
}

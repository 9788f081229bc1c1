//! The hub: who reads what, who may make the program wait, and when the session must end.

use crate::ring::Ring;
use bytes::Bytes;
use model::limit::{OWNER_LAG_BYTES, RING_BYTES};
use model::{Seq, Stream, Tick};
use std::collections::BTreeMap;

/// Number of a seat within its session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeatId(u32);

/// What a seat may do to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatKind {
    /// Whose session it is: gets every byte from the first on, and makes the program wait when it is slow.
    Owner,
    /// Looks on from now; never makes anybody wait.
    Watcher,
}

/// When a session must end, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Longest time from its beginning.
    pub session_ms: Option<u64>,
    /// Longest time without input.
    pub idle_ms: Option<u64>,
    /// Last moment of the certificate it was opened with.
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
}

impl End {
    /// For the person whose session it is.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::TooLong => "the session has reached the length that your role allows",
            Self::Idle => "nothing was typed for as long as your role allows",
            Self::Expired => "your certificate has expired; use `scry login`",
        }
    }
}

/// What a seat finds at its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Output; the cursor stands behind it now.
    Chunk {
        /// The entry it belongs to.
        seq: Seq,
        /// Which stream.
        stream: Stream,
        /// The bytes.
        bytes: Bytes,
    },
    /// Everything was read.
    UpToDate,
    /// What came next is no longer held. The seat needs a snapshot of the screen at this Seq; the cursor stands behind it now.
    Behind(Seq),
}

#[derive(Debug)]
struct Seat {
    kind: SeatKind,
    cursor: u64,
}

/// One live session.
#[derive(Debug)]
pub struct Hub {
    ring: Ring,
    seats: BTreeMap<SeatId, Seat>,
    next_seat: u32,
    terms: Terms,
    began: Tick,
    last_input: Tick,
    end: Option<End>,
    end_told: bool,
    input_bytes: u64,
}

impl Hub {
    /// A session that begins at `now`.
    #[must_use]
    pub fn new(terms: Terms, now: Tick) -> Self {
        Self {
            ring: Ring::default(),
            seats: BTreeMap::new(),
            next_seat: 0,
            terms,
            began: now,
            last_input: now,
            end: None,
            end_told: false,
            input_bytes: 0,
        }
    }

    /// Takes a seat. An owner reads from the oldest byte held, which is the first if they sit before any output.
    pub fn sit(&mut self, kind: SeatKind) -> SeatId {
        let id = SeatId(self.next_seat);
        self.next_seat += 1;
        let cursor = match kind {
            SeatKind::Owner => self.ring.start(),
            SeatKind::Watcher => self.ring.end(),
        };
        self.seats.insert(id, Seat { kind, cursor });
        id
    }

    /// Leaves a seat. Without an owner nobody makes the program wait.
    pub fn leave(&mut self, id: SeatId) {
        self.seats.remove(&id);
        self.trim();
    }

    /// Shows output to the seats. It must have been taken by the recorder, which gave it `seq`.
    pub fn offer(&mut self, seq: Seq, stream: Stream, bytes: Bytes) {
        if !bytes.is_empty() {
            self.ring.push(seq, stream, bytes);
            self.trim();
        }
    }

    /// Notes that `count` bytes were typed.
    pub fn typed(&mut self, count: usize, now: Tick) {
        self.input_bytes += count as u64;
        self.last_input = now;
    }

    /// What is at a seat's cursor: at most `most` bytes of one stream. A seat that has left is up to date for ever.
    pub fn read(&mut self, id: SeatId, most: usize) -> Read {
        let Some(seat) = self.seats.get_mut(&id) else { return Read::UpToDate };
        if seat.cursor < self.ring.start() {
            seat.cursor = self.ring.end();
            return Read::Behind(self.ring.last_seq());
        }
        match self.ring.read(seat.cursor, most) {
            None => Read::UpToDate,
            Some((seq, stream, bytes)) => {
                seat.cursor += bytes.len() as u64;
                self.trim();
                Read::Chunk { seq, stream, bytes }
            }
        }
    }

    /// Whether the program's output may be read on, or must wait for its owner.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.owner_lag() < OWNER_LAG_BYTES as u64
    }

    /// Bytes that the slowest owner has not read.
    #[must_use]
    pub fn owner_lag(&self) -> u64 {
        self.ring.end() - self.needed()
    }

    /// Bytes of output and of input so far.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.ring.end(), self.input_bytes)
    }

    /// Why the session must end: told once.
    pub fn poll(&mut self) -> Option<End> {
        let end = self.end.filter(|_| !self.end_told)?;
        self.end_told = true;
        Some(end)
    }

    /// When [`Hub::handle_timeout`] has something to decide.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        if self.end.is_some() {
            return None;
        }
        self.deadlines().into_iter().flatten().map(|(at, _)| at).min()
    }

    /// Decides what `now` brings.
    pub fn handle_timeout(&mut self, now: Tick) {
        if self.end.is_none() {
            let due = self.deadlines().into_iter().flatten().filter(|(at, _)| *at <= now);
            self.end = due.min_by_key(|(at, _)| *at).map(|(_, end)| end);
        }
    }

    fn deadlines(&self) -> [Option<(Tick, End)>; 3] {
        [
            self.terms.expires.map(|at| (at, End::Expired)),
            self.terms.session_ms.map(|ms| (self.began.plus_ms(ms), End::TooLong)),
            self.terms.idle_ms.map(|ms| (self.last_input.plus_ms(ms), End::Idle)),
        ]
    }

    /// Position of the first byte that an owner has not read.
    fn needed(&self) -> u64 {
        let owners = self.seats.values().filter(|seat| seat.kind == SeatKind::Owner);
        owners.map(|seat| seat.cursor).min().unwrap_or(self.ring.end())
    }

    fn trim(&mut self) {
        let needed = self.needed();
        self.ring.trim(RING_BYTES as u64, needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hub() -> Hub {
        Hub::new(Terms::default(), Tick(0))
    }

    fn chunk(seq: u64, size: usize) -> (Seq, Stream, Bytes) {
        let byte = u8::try_from(seq % 251).unwrap();
        (Seq(seq), Stream::Pty, Bytes::from(vec![byte; size]))
    }

    fn offer(hub: &mut Hub, seq: u64, size: usize) {
        let (seq, stream, bytes) = chunk(seq, size);
        hub.offer(seq, stream, bytes);
    }

    #[test]
    fn the_owner_makes_the_program_wait_and_a_watcher_does_not() {
        let mut hub = hub();
        let owner = hub.sit(SeatKind::Owner);
        let watcher = hub.sit(SeatKind::Watcher);
        offer(&mut hub, 1, OWNER_LAG_BYTES);
        assert!(!hub.may_read());
        while hub.read(owner, 4096) != Read::UpToDate {}
        assert!(hub.may_read());
        assert!(matches!(hub.read(watcher, 1), Read::Chunk { .. }));
    }

    #[test]
    fn a_watcher_who_falls_behind_gets_the_screen_not_the_history() {
        let mut hub = hub();
        let owner = hub.sit(SeatKind::Owner);
        let watcher = hub.sit(SeatKind::Watcher);
        for seq in 1..=40 {
            offer(&mut hub, seq, 16 * 1024);
            while hub.read(owner, usize::MAX) != Read::UpToDate {}
        }
        assert_eq!(hub.read(watcher, 10), Read::Behind(Seq(40)));
        assert_eq!(hub.read(watcher, 10), Read::UpToDate);
    }

    #[test]
    fn nobody_waits_for_an_owner_who_has_left() {
        let mut hub = hub();
        let owner = hub.sit(SeatKind::Owner);
        offer(&mut hub, 1, OWNER_LAG_BYTES * 4);
        assert!(!hub.may_read());
        hub.leave(owner);
        assert!(hub.may_read());
        assert_eq!(hub.read(owner, 10), Read::UpToDate);
    }

    #[test]
    fn a_session_ends_once_for_the_rule_that_comes_first() {
        let all = Terms { session_ms: Some(1000), idle_ms: Some(300), expires: Some(Tick(700)) };
        for (terms, typed_at, now, end) in [
            (all, None, 299, None),
            (all, None, 300, Some(End::Idle)),
            (all, Some(250), 549, None),
            (all, Some(650), 700, Some(End::Expired)),
            (Terms { expires: None, ..all }, Some(900), 1000, Some(End::TooLong)),
            (Terms::default(), None, u64::MAX, None),
        ] {
            let mut hub = Hub::new(terms, Tick(0));
            if let Some(at) = typed_at {
                hub.typed(1, Tick(at));
            }
            hub.handle_timeout(Tick(now));
            assert_eq!(hub.poll(), end, "{terms:?} typed at {typed_at:?}, now {now}");
            assert_eq!(hub.poll(), None);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Offer(usize),
        Owner(usize),
        Watcher(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1usize..40_000).prop_map(Step::Offer),
            (1usize..60_000).prop_map(Step::Owner),
            (1usize..60_000).prop_map(Step::Watcher),
        ]
    }

    proptest! {
        /// Beside a model that keeps everything: the owner gets every byte once and in order,
        /// a watcher gets runs of the same bytes with told jumps, and memory stays bounded.
        #[test]
        fn seats_read_what_was_offered(steps in proptest::collection::vec(step(), 1..200)) {
            let mut hub = hub();
            let (owner, watcher) = (hub.sit(SeatKind::Owner), hub.sit(SeatKind::Watcher));
            let (mut all, mut owned): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
            let (mut seq, mut watched_to) = (0, 0);
            for step in steps {
                match step {
                    Step::Offer(size) => {
                        // As the node does: the pty is read only while the hub says so.
                        if hub.may_read() {
                            seq += 1;
                            let (number, stream, bytes) = chunk(seq, size);
                            all.extend_from_slice(&bytes);
                            hub.offer(number, stream, bytes);
                        }
                    }
                    Step::Owner(most) => match hub.read(owner, most) {
                        Read::Chunk { bytes, .. } => owned.extend_from_slice(&bytes),
                        Read::UpToDate => prop_assert_eq!(owned.len(), all.len()),
                        Read::Behind(_) => prop_assert!(false, "an owner is never behind"),
                    },
                    Step::Watcher(most) => match hub.read(watcher, most) {
                        Read::Chunk { bytes, .. } => {
                            prop_assert_eq!(&all[watched_to..watched_to + bytes.len()], &bytes[..]);
                            watched_to += bytes.len();
                        }
                        Read::UpToDate => prop_assert_eq!(watched_to, all.len()),
                        Read::Behind(at) => {
                            prop_assert_eq!(at, Seq(seq));
                            watched_to = all.len();
                        }
                    },
                }
                prop_assert_eq!(&all[..owned.len()], &owned[..]);
                prop_assert!(hub.ring.held() <= (RING_BYTES + OWNER_LAG_BYTES + 80_000) as u64);
            }
        }
    }
}

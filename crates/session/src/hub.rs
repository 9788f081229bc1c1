//! The hub: who reads what, who may make the program wait, and when the session must end.

use crate::ring::Ring;
use bytes::Bytes;
use model::entry::Party;
use model::limit::{OWNER_LAG_BYTES, RING_BYTES};
use model::{Seq, Stream, Tick};
use std::collections::BTreeMap;

/// Number of a seat within its session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeatId(u64);

/// What a seat may do to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatKind {
    /// Whose session it is: gets every byte from where they sat down, and makes the program wait when they are slow.
    Owner,
    /// Looks on; never makes anybody wait.
    Watcher,
}

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
        /// The bytes, at least one.
        bytes: Bytes,
    },
    /// Everything was read.
    UpToDate,
    /// What came before this cursor is no longer held, or the seat was taken when the session already ran.
    /// The seat needs a snapshot of the screen at this Seq; the cursor stands behind it now.
    Behind(Seq),
}

/// What one person typed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Typing {
    /// Bytes.
    pub bytes: u64,
    /// Runs of typing: a run ends when somebody else types, or after [`BURST_MS`] without a byte.
    pub bursts: u64,
}

/// Pause in milliseconds after which the same person's typing counts as another burst.
pub const BURST_MS: u64 = 1_000;

#[derive(Debug)]
struct Seat {
    kind: SeatKind,
    /// Position in the output; none until the seat was told from which snapshot it begins.
    cursor: Option<u64>,
}

/// One live session.
#[derive(Debug)]
pub struct Hub {
    ring: Ring,
    seats: BTreeMap<SeatId, Seat>,
    next_seat: u64,
    terms: Terms,
    began: Tick,
    last_input: Tick,
    last_typist: Option<Party>,
    typing: BTreeMap<Party, Typing>,
    end: Option<End>,
    end_told: bool,
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
            last_typist: None,
            typing: BTreeMap::new(),
            end: None,
            end_told: false,
        }
    }

    /// Takes a seat. Before any output it reads from the first byte on; later its first read is [`Read::Behind`],
    /// because what it must see first is the screen, not the last bytes.
    pub fn sit(&mut self, kind: SeatKind) -> SeatId {
        let id = SeatId(self.next_seat);
        self.next_seat = self.next_seat.saturating_add(1);
        let cursor = (self.ring.end() == 0).then_some(0);
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

    /// Notes that `party` typed `count` bytes. Input that comes after the session's end was due does not revive it.
    pub fn typed(&mut self, party: Party, count: usize, now: Tick) {
        self.handle_timeout(now);
        let goes_on = self.last_typist == Some(party) && now.since(self.last_input) < BURST_MS;
        let typing = self.typing.entry(party).or_default();
        typing.bytes = typing.bytes.saturating_add(count as u64);
        typing.bursts = typing.bursts.saturating_add(u64::from(!goes_on));
        self.last_typist = Some(party);
        self.last_input = self.last_input.max(now);
    }

    /// What is at a seat's cursor: at most `most` bytes (but at least one) of one entry.
    /// A seat that has left is up to date for ever.
    pub fn read(&mut self, id: SeatId, most: usize) -> Read {
        let Some(seat) = self.seats.get_mut(&id) else { return Read::UpToDate };
        let Some(cursor) = seat.cursor.filter(|cursor| *cursor >= self.ring.start()) else {
            seat.cursor = Some(self.ring.end());
            return Read::Behind(self.ring.last_seq());
        };
        match self.ring.read(cursor, most.max(1)) {
            None => Read::UpToDate,
            Some((seq, stream, bytes)) => {
                seat.cursor = Some(cursor + bytes.len() as u64);
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
        let input = self.typing.values().map(|typing| typing.bytes);
        (self.ring.end(), input.fold(0, u64::saturating_add))
    }

    /// Who typed how much.
    #[must_use]
    pub fn typing(&self) -> &BTreeMap<Party, Typing> {
        &self.typing
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

    /// Decides what `now` brings: the rule whose moment came first ends the session.
    pub fn handle_timeout(&mut self, now: Tick) {
        if self.end.is_none() {
            let due = self.deadlines().into_iter().flatten().filter(|(at, _)| *at <= now);
            self.end = due.min_by_key(|(at, _)| *at).map(|(_, end)| end);
        }
    }

    /// Bytes of output held for the seats.
    #[cfg(test)]
    pub(crate) fn held(&self) -> u64 {
        self.ring.held()
    }

    fn deadlines(&self) -> [Option<(Tick, End)>; 3] {
        [
            self.terms.expires.map(|at| (at, End::Expired)),
            self.terms.session_ms.map(|ms| (self.began.plus_ms(ms), End::TooLong)),
            self.terms.idle_ms.map(|ms| (self.last_input.plus_ms(ms), End::Idle)),
        ]
    }

    /// Position of the first byte that an owner has not read. An owner who still waits for a snapshot needs none.
    fn needed(&self) -> u64 {
        let owners = self.seats.values().filter(|seat| seat.kind == SeatKind::Owner);
        owners.filter_map(|seat| seat.cursor).min().unwrap_or(self.ring.end())
    }

    fn trim(&mut self) {
        let needed = self.needed();
        self.ring.trim(RING_BYTES as u64, needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        Hub::new(Terms::default(), Tick(0))
    }

    fn offer(hub: &mut Hub, seq: u64, size: usize) {
        hub.offer(Seq(seq), Stream::Pty, Bytes::from(vec![b'x'; size]));
    }

    #[test]
    fn the_owner_makes_the_program_wait_and_a_watcher_does_not() {
        let mut hub = hub();
        let owner = hub.sit(SeatKind::Owner);
        let watcher = hub.sit(SeatKind::Watcher);
        offer(&mut hub, 1, OWNER_LAG_BYTES - 1);
        assert!(hub.may_read());
        offer(&mut hub, 2, 1);
        assert!(!hub.may_read());
        hub.read(owner, 1);
        assert!(hub.may_read());
        while hub.read(owner, 4096) != Read::UpToDate {}
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
    fn whoever_comes_late_begins_with_the_screen_as_it_is_then() {
        for kind in [SeatKind::Owner, SeatKind::Watcher] {
            let mut hub = hub();
            let first = hub.sit(SeatKind::Owner);
            offer(&mut hub, 1, 10);
            let late = hub.sit(kind);
            offer(&mut hub, 2, 10);
            assert_eq!(hub.read(late, 10), Read::Behind(Seq(2)), "{kind:?}");
            offer(&mut hub, 3, 10);
            let third =
                Read::Chunk { seq: Seq(3), stream: Stream::Pty, bytes: "xxxxxxxxxx".into() };
            assert_eq!(hub.read(late, 10), third);
            assert!(matches!(hub.read(first, 10), Read::Chunk { seq: Seq(1), .. }));
        }
    }

    #[test]
    fn nobody_waits_for_an_owner_who_has_left_or_has_not_begun() {
        let mut hub = hub();
        let owner = hub.sit(SeatKind::Owner);
        offer(&mut hub, 1, OWNER_LAG_BYTES * 4);
        assert!(!hub.may_read());
        hub.leave(owner);
        assert!(hub.may_read());
        assert_eq!(hub.read(owner, 10), Read::UpToDate);
        hub.sit(SeatKind::Owner);
        offer(&mut hub, 2, OWNER_LAG_BYTES * 4);
        assert!(hub.may_read());
    }

    #[test]
    fn a_chunk_larger_than_the_ring_leaves_its_number_behind() {
        let mut hub = hub();
        let owner = hub.sit(SeatKind::Owner);
        let watcher = hub.sit(SeatKind::Watcher);
        offer(&mut hub, 7, RING_BYTES + 1);
        while hub.read(owner, usize::MAX) != Read::UpToDate {}
        assert_eq!(hub.held(), 0);
        assert_eq!(hub.read(watcher, 1), Read::Behind(Seq(7)));
    }

    #[test]
    fn a_read_of_nothing_gets_one_byte_and_never_spins() {
        let mut hub = hub();
        let owner = hub.sit(SeatKind::Owner);
        offer(&mut hub, 1, 2);
        offer(&mut hub, 2, 0);
        let bytes = |read| matches!(read, Read::Chunk { bytes, .. } if bytes.len() == 1);
        assert!(bytes(hub.read(owner, 0)) && bytes(hub.read(owner, 0)));
        assert_eq!(hub.read(owner, 0), Read::UpToDate);
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
                hub.typed(Party::OWNER, 1, Tick(at));
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

    #[test]
    fn typing_is_counted_by_person_and_by_burst() {
        let (owner, peer) = (Party::OWNER, Party(1));
        let mut hub = hub();
        for (party, count, at) in
            [(owner, 1, 0), (owner, 2, 999), (owner, 3, 1999), (peer, 4, 2000), (owner, 5, 2001)]
        {
            hub.typed(party, count, Tick(at));
        }
        assert_eq!(hub.typing().get(&owner), Some(&Typing { bytes: 11, bursts: 3 }));
        assert_eq!(hub.typing().get(&peer), Some(&Typing { bytes: 4, bursts: 1 }));
        assert_eq!(hub.traffic(), (0, 15));
    }
}

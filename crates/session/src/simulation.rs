//! The hub under random use beside a model that keeps everything: the same seed gives the same run.

use crate::{End, Hub, Read, SeatId, SeatKind, Terms};
use bytes::Bytes;
use model::entry::Party;
use model::limit::{ENTRY_BYTES, OWNER_LAG_BYTES, RING_BYTES};
use model::{Seq, Stream, Tick};

const SEEDS: u64 = 2_000;
const STEPS: usize = 300;

/// Output is a piece of one endless pattern, so that a byte's value says where it belongs.
const PERIOD: usize = 251;

/// A source of chance that only its seed decides.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A seat as the model sees it.
struct Seated {
    id: SeatId,
    kind: SeatKind,
    /// Bytes of the output before what it reads next; none while it waits for its first snapshot.
    at: Option<usize>,
    /// Whether it sat down before any output.
    early: bool,
}

struct World {
    seed: u64,
    random: Random,
    hub: Hub,
    pattern: Bytes,
    /// Where each offered chunk ends; chunk n has Seq n + 1.
    ends: Vec<usize>,
    seats: Vec<Seated>,
    now: u64,
    last_input: u64,
    typed: u64,
    over: Option<End>,
    behind: u64,
}

impl World {
    fn new(seed: u64, pattern: Bytes) -> Self {
        let mut random = Random(seed);
        let mut limit = |bound: u64| random.next().is_multiple_of(4).then(|| random.next() % bound);
        let (session_ms, idle_ms) = (limit(200_000), limit(40_000));
        let terms = Terms { session_ms, idle_ms, expires: limit(200_000).map(Tick) };
        let hub = Hub::new(terms, Tick(0));
        let (ends, seats) = (Vec::new(), Vec::new());
        Self {
            seed,
            random,
            hub,
            pattern,
            ends,
            seats,
            now: 0,
            last_input: 0,
            typed: 0,
            over: None,
            behind: 0,
        }
    }

    fn total(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..35 => self.offer(),
            35..85 => self.read(),
            85..88 => self.sit(),
            88..90 => self.leave(),
            90..95 => self.type_something(),
            _ => self.wait(),
        }
        let chunk = ENTRY_BYTES as u64;
        assert!(self.hub.held() <= RING_BYTES as u64 + chunk, "seed {}: memory", self.seed);
        assert_eq!(self.hub.may_read(), self.lag() < OWNER_LAG_BYTES, "seed {}: lag", self.seed);
        assert_eq!(self.hub.traffic(), (self.total() as u64, self.typed), "seed {}", self.seed);
    }

    /// As the node does: the pty is read only while the hub says so.
    fn offer(&mut self) {
        if !self.hub.may_read() {
            return;
        }
        let (start, size) = (self.total(), 1 + self.random.below(ENTRY_BYTES));
        let bytes = self.pattern.slice(start % PERIOD..start % PERIOD + size);
        self.ends.push(start + size);
        self.hub.offer(Seq(self.ends.len() as u64), Stream::Pty, bytes);
    }

    fn read(&mut self) {
        if self.seats.is_empty() {
            return;
        }
        let index = self.random.below(self.seats.len());
        let most = self.random.below(2 * ENTRY_BYTES);
        let (seed, total, last) = (self.seed, self.total(), Seq(self.ends.len() as u64));
        let seat = &mut self.seats[index];
        match (self.hub.read(seat.id, most), seat.at) {
            (Read::Chunk { seq, bytes, .. }, Some(at)) => {
                assert!(!bytes.is_empty() && bytes.len() <= most.max(1), "seed {seed}: size");
                let want = &self.pattern[at % PERIOD..at % PERIOD + bytes.len()];
                assert_eq!(bytes, want, "seed {seed}: bytes at {at}");
                let number = self.ends.partition_point(|end| *end <= at) as u64 + 1;
                assert_eq!(seq, Seq(number), "seed {seed}: number at {at}");
                seat.at = Some(at + bytes.len());
            }
            (Read::UpToDate, Some(at)) => assert_eq!(at, total, "seed {seed}: bytes are missing"),
            (Read::Behind(seq), at) => {
                assert_eq!(seq, last, "seed {seed}: the snapshot is the newest");
                let owner = seat.kind == SeatKind::Owner;
                assert!(!(owner && at.is_some()), "seed {seed}: an owner fell behind");
                assert!(!(seat.early && at.is_none()), "seed {seed}: early seats read bytes");
                let lag = at.map_or(RING_BYTES, |at| total - at);
                assert!(lag + 2 * ENTRY_BYTES > RING_BYTES, "seed {seed}: given up too early");
                seat.at = Some(total);
                self.behind += 1;
            }
            (read, None) => panic!("seed {seed}: {read:?} before the first snapshot"),
        }
    }

    fn sit(&mut self) {
        let kind = if self.random.below(5) == 0 { SeatKind::Owner } else { SeatKind::Watcher };
        self.seat(kind);
    }

    fn seat(&mut self, kind: SeatKind) {
        let (id, early) = (self.hub.sit(kind), self.total() == 0);
        self.seats.push(Seated { id, kind, at: early.then_some(0), early });
    }

    fn leave(&mut self) {
        if self.seats.len() > 1 {
            let index = self.random.below(self.seats.len());
            let seat = self.seats.swap_remove(index);
            self.hub.leave(seat.id);
            assert_eq!(self.hub.read(seat.id, 1), Read::UpToDate);
        }
    }

    fn type_something(&mut self) {
        let count = self.random.below(10);
        self.hub.typed(Party(self.random.below(3) as u16), count, Tick(self.now));
        self.typed += count as u64;
        self.last_input = self.now;
    }

    fn wait(&mut self) {
        self.now += self.random.next() % 10_000;
        if let Some(at) = self.hub.poll_timeout() {
            assert!(self.over.is_none(), "seed {}: a deadline after the end", self.seed);
            self.hub.handle_timeout(Tick(self.now));
            let end = self.hub.poll();
            assert_eq!(end.is_some(), at <= Tick(self.now), "seed {}: its time", self.seed);
            self.over = end;
        }
        assert_eq!(self.hub.poll(), None, "seed {}: the end is told once", self.seed);
    }

    fn lag(&self) -> usize {
        let owners = self.seats.iter().filter(|seat| seat.kind == SeatKind::Owner);
        owners.filter_map(|seat| seat.at).map(|at| self.total() - at).max().unwrap_or(0)
    }
}

#[test]
fn owners_get_every_byte_in_order_and_watchers_a_suffix_or_a_snapshot() {
    let pattern: Vec<u8> = (0..3 * ENTRY_BYTES).map(|at| (at % PERIOD) as u8).collect();
    let pattern = Bytes::from(pattern);
    let (mut behind, mut over) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed, pattern.clone());
        world.seat(SeatKind::Owner);
        world.seat(SeatKind::Watcher);
        for _ in 0..STEPS {
            world.step();
        }
        behind += world.behind;
        over += u64::from(world.over.is_some());
    }
    assert!(behind > SEEDS && over > SEEDS / 10, "the runs are lively: {behind}, {over}");
}

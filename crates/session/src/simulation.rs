//! The hub under random use beside a model that keeps everything: the same seed gives the same run (see `chance`).

use crate::{End, Hub, Terms};
use bytes::Bytes;
use chance::Random;
use model::limit::{ENTRY_BYTES, OWNER_LAG_BYTES};
use model::{Seq, Stream, Tick};

const SEEDS: u64 = 2_000;
const STEPS: usize = 300;

/// Output is a piece of one endless pattern, so that a byte's value says where it belongs.
const PERIOD: usize = 251;
/// No byte of that pattern.
const PICTURE: u8 = 255;

struct World {
    seed: u64,
    random: Random,
    hub: Hub,
    pattern: Bytes,
    /// Bytes that were offered, and that the owner has read.
    offered: usize,
    read: usize,
    /// Where streams change, and which comes then.
    streams: Vec<(usize, Stream)>,
    now: u64,
    typed: u64,
    over: Option<End>,
    held_up: u64,
    /// Where each entry ends, from the one of number 1 on.
    ends: Vec<usize>,
    place: Place,
    /// Bytes of a picture that the owner has not read.
    picture: usize,
    /// How often they came back to one.
    back: u64,
}

/// Where the owner is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Reads,
    Lost,
    /// Shown something else.
    Aside,
    /// Since so many entries.
    Waits(usize),
}

impl World {
    fn new(seed: u64, pattern: Bytes) -> Self {
        let mut random = Random(seed);
        let mut limit = |bound: u64| random.next().is_multiple_of(4).then(|| random.next() % bound);
        let (session_ms, idle_ms) = (limit(200_000), limit(40_000));
        let terms = Terms { session_ms, idle_ms, expires: limit(200_000).map(Tick) };
        let hub = Hub::new(terms, Tick(0));
        let (offered, read, streams, over) = (0, 0, Vec::new(), None);
        let (now, typed, held_up, back) = (0, 0, 0, 0);
        let (ends, place, picture) = (Vec::new(), Place::Reads, 0);
        Self {
            seed,
            random,
            hub,
            pattern,
            offered,
            read,
            streams,
            now,
            typed,
            over,
            held_up,
            ends,
            place,
            picture,
            back,
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..35 => self.offer(),
            35..85 => self.read(),
            85..91 => self.type_something(),
            91..94 => self.come_and_go(),
            _ => self.wait(),
        }
        let lag = self.offered - self.read + self.picture;
        assert!(lag <= OWNER_LAG_BYTES + 2 * ENTRY_BYTES, "seed {}: memory", self.seed);
        assert_eq!(self.hub.may_read(), lag < OWNER_LAG_BYTES, "seed {}: lag", self.seed);
        assert_eq!(self.hub.traffic(), (self.offered as u64, self.typed), "seed {}", self.seed);
    }

    /// As the node does: the pty is read only while the hub says so.
    fn offer(&mut self) {
        if !self.hub.may_read() {
            self.held_up += 1;
            return;
        }
        let (start, size) = (self.offered, 1 + self.random.below(ENTRY_BYTES));
        let bytes = self.pattern.slice(start % PERIOD..start % PERIOD + size);
        let stream = [Stream::Stdout, Stream::Stderr][self.random.below(2)];
        self.streams.push((start, stream));
        self.offered += size;
        self.ends.push(self.offered);
        self.hub.offer(Seq(self.ends.len() as u64), stream, bytes);
        if matches!(self.place, Place::Lost | Place::Aside) {
            self.read = self.offered;
        }
    }

    /// The owner's connection is lost, or they are back, or their picture is there.
    fn come_and_go(&mut self) {
        match self.place {
            // Of whoever is lost it says nothing.
            Place::Lost if self.random.below(4) == 0 => self.hub.aside(Tick(self.now)),
            Place::Reads | Place::Aside | Place::Waits(_) if self.random.below(3) == 0 => {
                self.hub.lost(Tick(self.now));
                (self.place, self.read, self.picture) = (Place::Lost, self.offered, 0);
            }
            Place::Reads | Place::Waits(_) if self.random.below(3) == 0 => {
                self.hub.aside(Tick(self.now));
                (self.place, self.read, self.picture) = (Place::Aside, self.offered, 0);
            }
            Place::Reads | Place::Lost | Place::Aside => {
                self.hub.back(Tick(self.now));
                (self.read, self.picture) = (self.offered, 0);
                self.place = Place::Waits(self.ends.len());
            }
            Place::Waits(since) => {
                // It is made behind what they came back to, and may show some of what followed.
                let shown = since + self.random.below(self.ends.len() - since + 1);
                self.picture = self.random.below(ENTRY_BYTES);
                let picture = Bytes::from(vec![PICTURE; self.picture]);
                self.hub.show(Seq(shown as u64), picture);
                self.read = shown.checked_sub(1).map_or(0, |last| self.ends[last]);
                self.back += 1;
                self.place = Place::Reads;
            }
        }
    }

    fn read(&mut self) {
        let most = self.random.below(2 * ENTRY_BYTES);
        let (seed, at) = (self.seed, self.read);
        if self.place != Place::Reads {
            return assert_eq!(self.hub.read(most), None, "seed {seed}: nobody is there");
        }
        let Some((stream, bytes)) = self.hub.read(most) else {
            return assert_eq!(at, self.offered, "seed {seed}: bytes are missing");
        };
        assert!(!bytes.is_empty() && bytes.len() <= most.max(1), "seed {seed}: size");
        if self.picture > 0 {
            assert!(bytes.iter().all(|byte| *byte == PICTURE), "seed {seed}: the picture first");
            self.picture -= bytes.len();
            return assert_eq!(stream, Stream::Pty, "seed {seed}: a picture is of a terminal");
        }
        let want = &self.pattern[at % PERIOD..at % PERIOD + bytes.len()];
        assert_eq!(bytes, want, "seed {seed}: bytes at {at}");
        let index = self.streams.partition_point(|(start, _)| *start <= at) - 1;
        let ends = self.streams.get(index + 1).map_or(self.offered, |(start, _)| *start);
        let one = stream == self.streams[index].1 && at + bytes.len() <= ends;
        assert!(one, "seed {seed}: stream at {at}");
        self.read += bytes.len();
    }

    fn type_something(&mut self) {
        let count = self.random.below(10);
        self.hub.typed(count, Tick(self.now));
        self.typed += count as u64;
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
}

#[test]
fn the_owner_gets_every_byte_in_order_and_the_program_waits_for_them() {
    let pattern: Vec<u8> = (0..3 * ENTRY_BYTES).map(|at| (at % PERIOD) as u8).collect();
    let pattern = Bytes::from(pattern);
    let (mut held_up, mut over, mut back) = (0, 0, 0);
    let seeds = chance::seeds(SEEDS, 1);
    let count = seeds.end - seeds.start;
    chance::each(seeds, |seed| {
        let mut world = World::new(seed, pattern.clone());
        for _ in 0..STEPS {
            world.step();
        }
        held_up += world.held_up;
        over += u64::from(world.over.is_some());
        back += world.back;
    });
    let lively = count < SEEDS || (held_up > count && over > count / 10 && back > count);
    assert!(lively, "the runs are lively: {held_up}, {over}, {back}");
}

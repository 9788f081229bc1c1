//! A node with one recording, its disk, auth, and what lies between them; and a model that remembers everything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test, that may fail loudly"
)]

mod auth;
mod disk;

use crate::kit::{Dice, heading_by, node_key, seal_key};
use auth::Auth;
use bytes::Bytes;
use disk::{Disk, State, Wrote};
use model::entry::{Ending, Entry, Gap, GapCause, Party, Stream};
use model::{Heading, Kind, Seq, Tick};
use record::{
    Act, Bounds, Cause, Custody, From, Holdings, Left, Next, Notice, Recording, Stance, Tail,
    Verdict, Why, scan_spool, split, verify,
};

/// Bounds so small that a short run reaches all of them.
const BOUNDS: Bounds = Bounds {
    lag_bytes: 6_000,
    lag_ms: 5_000,
    end_ms: 30_000,
    held_bytes: 1_500,
    stall_ms: 5_000,
    retry_ms: 1_000,
};

/// Bytes of the longest entry.
const ENTRY: usize = 700;
const STEPS: usize = 120;

/// What happened in a run, to see that runs are lively.
#[derive(Debug, Default)]
pub struct Counts {
    pub gaps: u64,
    pub crashes: u64,
    pub crashes_in_recovery: u64,
    pub holes: u64,
    pub held: u64,
    pub refused: u64,
    pub strict_ends: u64,
    /// Recoveries that found more at auth than in the spool.
    pub ahead: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.gaps += other.gaps;
        self.crashes += other.crashes;
        self.crashes_in_recovery += other.crashes_in_recovery;
        self.holes += other.holes;
        self.held += other.held;
        self.refused += other.refused;
        self.strict_ends += other.strict_ends;
        self.ahead += other.ahead;
    }
}

/// An entry that got its number.
struct Given {
    entry: Entry,
    bytes: u64,
    since: u64,
}

/// What was counted while a gap was open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lost {
    entries: u64,
    bytes: u64,
}

/// The process was killed.
struct Killed;

pub struct World {
    dice: Dice,
    heading: Heading,
    strict: bool,
    custody: Option<Custody>,
    /// What the shipper knows; it outlives the recorder.
    holdings: Holdings,
    disk: Disk,
    auth: Auth,
    /// Records that the node was told auth has, and the Seq of the last.
    told: (u64, Seq),
    /// Requests on their way, and answers.
    requests: Vec<(u64, Bytes)>,
    answers: Vec<(u64, Seq)>,
    /// The latest that the clock has shown.
    now: u64,
    /// What it shows.
    clock: u64,
    /// When the node was told of something new last.
    progress: u64,
    /// Entry n has Seq `offset + n + 1`, gaps included.
    given: Vec<Option<Given>>,
    lost: Vec<Lost>,
    in_gap: Option<Lost>,
    /// First Seq that a crash may have lost.
    may_miss_from: Option<u64>,
    counts: Counts,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let heading = heading_by(7, Kind::Exec { command: "x".into() }, &node_key(), &seal_key());
        let strict = dice.below(3) == 0;
        let full_at_first = !strict && dice.below(6) == 0;
        let mut disk = Disk::default();
        if full_at_first {
            disk.state = State::Full;
            disk.reserve = 0;
            disk.was_bad = true;
        }
        let begun = if full_at_first { Err(Cause::Full) } else { Ok(()) };
        let custody = Custody::begin(&heading, node_key(), strict, begun, BOUNDS, Tick(0));
        Self {
            dice,
            strict,
            custody: Some(custody),
            holdings: Holdings::default(),
            disk,
            auth: Auth::new(seal_key().verifying_key().to_bytes(), heading.id),
            heading,
            told: (0, Seq(0)),
            requests: Vec::new(),
            answers: Vec::new(),
            now: 0,
            clock: 0,
            progress: 0,
            given: Vec::new(),
            lost: Vec::new(),
            in_gap: None,
            may_miss_from: None,
            counts: Counts::default(),
        }
    }

    /// Runs to the end, heals everything, and checks what auth has then.
    pub fn run(mut self) -> Counts {
        let alive = self.live();
        if alive.is_err() {
            self.crash();
        }
        self.heal();
        self.check_whole();
        self.counts
    }

    fn live(&mut self) -> Result<(), Killed> {
        self.pump()?;
        for _ in 0..STEPS {
            self.step()?;
            self.check_bounds();
            if matches!(self.stance(), Stance::End(_)) {
                break;
            }
        }
        let ending = match self.stance() {
            Stance::End(why) => {
                assert!(self.strict, "only strict ends a session");
                self.counts.strict_ends += 1;
                Ending::Stopped { why: format!("{why:?}") }
            }
            _ => Ending::Exit { status: 0 },
        };
        let tick = Tick(self.clock);
        self.custody.as_mut().unwrap().end(ending, tick);
        self.pump()?;
        self.custody = None;
        Ok(())
    }

    fn step(&mut self) -> Result<(), Killed> {
        match self.dice.below(100) {
            0..45 => self.happen(),
            45..60 => self.wait(),
            60..72 => self.ship(),
            72..80 => self.carry(),
            80..88 => self.answer(),
            88..92 => {
                let states = [State::Good, State::Good, State::Full, State::Failing];
                self.disk.state = states[self.dice.below(4)];
            }
            92..96 => self.auth.alive = self.dice.below(2) == 0,
            96..98 => {
                // The connection breaks; what was on its way is lost, and the node asks anew.
                self.requests.clear();
                self.answers.clear();
            }
            _ => self.disk.crash_in = Some(self.dice.below(6)),
        }
        self.pump()
    }

    /// Something happens in the session, if it may.
    fn happen(&mut self) {
        if self.stance() != Stance::GoOn {
            self.counts.held += 1;
            return;
        }
        let size = 1 + self.dice.below(ENTRY);
        let bytes: Vec<u8> = (0..size).map(|_| self.dice.below(256) as u8).collect();
        let bytes = Bytes::from(bytes);
        let (entry, weight) = match self.dice.below(10) {
            0 => (Entry::Mark { label: format!("at {}", self.now) }, 0),
            1 => (Entry::Typed { party: Party::OWNER, count: size as u32, bytes: None }, size),
            _ => (Entry::Output { stream: Stream::Stdout, bytes }, size),
        };
        let custody = self.custody.as_mut().unwrap();
        let before = custody.in_gap();
        let seq = custody.take(entry.clone(), Tick(self.clock));
        if before.is_some() {
            let lost = self.in_gap.as_mut().expect("the model knows of the gap");
            lost.entries += 1;
            lost.bytes += weight as u64;
            assert_eq!(custody.in_gap(), Some((lost.entries, lost.bytes)));
            return;
        }
        let given = Given { entry, bytes: weight as u64, since: self.now };
        self.given.push(Some(given));
        assert_eq!(seq, Seq(self.given.len() as u64), "numbers have no holes");
    }

    fn wait(&mut self) {
        match self.dice.below(20) {
            0 => self.clock += 60_000,
            // The clock goes back: nothing becomes younger by it.
            1 => self.clock = self.clock.saturating_sub(10_000),
            _ => self.clock += 1 + self.dice.below(2_500) as u64,
        }
        self.now = self.now.max(self.clock);
        if let Some(custody) = &mut self.custody {
            custody.handle_timeout(Tick(self.clock));
        }
    }

    /// The shipper sends what is next.
    fn ship(&mut self) {
        if self.requests.len() >= 4 {
            return;
        }
        let body = match self.holdings.next(self.told.0) {
            Next::UpToDate => return,
            Next::Missing => panic!("record {} is nowhere: {:?}", self.told.0 + 1, self.holdings),
            Next::Memory(bytes) => bytes,
            Next::File(run) => {
                let from = run.offset as usize;
                let mut rest = &self.disk.file[from..from + run.bytes as usize];
                for _ in run.first..=self.told.0 {
                    rest = split(rest).unwrap().expect("the run reaches this record").1;
                }
                let mut sent = Vec::new();
                for _ in 0..=self.dice.below(8) {
                    let Some((record, behind)) = split(rest).unwrap() else { break };
                    sent.extend_from_slice(record);
                    rest = behind;
                }
                sent.into()
            }
        };
        self.requests.push((self.told.0, body));
    }

    /// A request reaches auth, perhaps a second time, and is answered, perhaps in vain.
    fn carry(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let at = self.dice.below(self.requests.len());
        let again = self.dice.below(8) == 0;
        let (after, body) =
            if again { self.requests[at].clone() } else { self.requests.swap_remove(at) };
        if let Some(answer) = self.auth.take(after, &body)
            && self.dice.below(6) > 0
        {
            self.answers.push(answer);
        }
    }

    /// An answer reaches the node, perhaps after later ones, perhaps twice.
    fn answer(&mut self) {
        if self.answers.is_empty() {
            if let Some(answer) = self.auth.progress().filter(|_| self.dice.below(4) == 0) {
                self.answers.push(answer);
            }
            return;
        }
        let at = self.dice.below(self.answers.len());
        let again = self.dice.below(8) == 0;
        let answer = if again { self.answers[at] } else { self.answers.swap_remove(at) };
        self.hear(answer);
    }

    fn hear(&mut self, answer: (u64, Seq)) {
        if answer.0 > self.told.0 {
            self.told = answer;
            self.progress = self.now;
        }
        if let Some(custody) = &mut self.custody {
            custody.received(answer.0, Tick(self.clock));
        }
    }

    /// Does what custody asks for.
    fn pump(&mut self) -> Result<(), Killed> {
        let Some(mut custody) = self.custody.take() else { return Ok(()) };
        let result = self.pump_one(&mut custody);
        self.custody = Some(custody);
        result
    }

    fn pump_one(&mut self, custody: &mut Custody) -> Result<(), Killed> {
        while let Some(act) = custody.poll() {
            match act {
                Act::Append { bytes, room } => {
                    let result = match self.disk.append(&bytes, room, &mut self.dice) {
                        Wrote::Killed => return Err(Killed),
                        Wrote::All => Ok(()),
                        Wrote::Nothing(cause) => Err(cause),
                    };
                    custody.appended(result, Tick(self.clock));
                }
                Act::Probe => custody.probed(self.disk.probe(), Tick(self.clock)),
                Act::Tell(notice) => self.notice(notice),
            }
        }
        self.holdings = custody.holdings();
        Ok(())
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Refused(_) => self.counts.refused += 1,
            Notice::Back => {}
            Notice::GapOpened(_) => {
                assert!(!self.strict && self.disk.was_bad, "a gap needs a bad disk and a role");
                let silent = self.now - self.progress;
                assert!(silent >= BOUNDS.stall_ms, "auth took something {silent} ms ago");
                self.in_gap = Some(Lost::default());
            }
            Notice::GapClosed(gap) => {
                let lost = self.in_gap.take().expect("it was opened");
                let counted = (gap.entries.unwrap(), gap.bytes.unwrap());
                assert_eq!(counted, (lost.entries, lost.bytes), "a gap counts exactly");
                // The entry of the gap itself has a number.
                self.given.push(None);
                self.lost.push(lost);
                self.counts.gaps += 1;
            }
        }
    }

    fn stance(&self) -> Stance {
        self.custody.as_ref().unwrap().stance(Tick(self.clock))
    }

    /// What the session may do at this time, and how much is kept in memory, by the model.
    fn check_bounds(&mut self) {
        let custody = self.custody.as_ref().unwrap();
        self.counts.holes += u64::from(self.holdings.runs.len() > 1);
        let most = BOUNDS.held_bytes + 3 * ENTRY as u64 + 64 * 1024;
        assert!(custody.held_bytes() <= most, "{} bytes in memory", custody.held_bytes());
        if !self.strict {
            return;
        }
        // What auth has not received as far as the node knows, from what was given alone.
        let missing = self.given.iter().skip(self.told.1.0 as usize).flatten();
        let (mut bytes, mut oldest) = (0, self.now);
        for given in missing {
            bytes += given.bytes;
            oldest = oldest.min(given.since);
        }
        assert!(custody.lag_bytes() >= bytes, "lag is counted");
        assert!(bytes <= BOUNDS.lag_bytes + ENTRY as u64, "{bytes} bytes were shown unreceived");
        let age = self.now - oldest;
        let stance = self.stance();
        if age > BOUNDS.end_ms {
            assert!(matches!(stance, Stance::End(Why::NotReceived | Why::Disk(_))), "{stance:?}");
        } else if age > BOUNDS.lag_ms || bytes > BOUNDS.lag_bytes {
            assert_ne!(stance, Stance::GoOn, "{age} ms, {bytes} bytes");
        }
    }

    /// The process dies. What auth and the file have must be there for ever; the rest may be lost.
    fn crash(&mut self) {
        self.custody = None;
        self.counts.crashes += 1;
        self.requests.clear();
        self.answers.clear();
        let file = scan_spool(&self.disk.file).map_or(0, |(found, _)| found.head.seq.0);
        let auth = self.auth.seq().0;
        self.may_miss_from = Some(file.max(auth) + 1);
        self.counts.ahead += u64::from(auth > file);
        self.in_gap = None;
        self.holdings = Holdings::default();
        self.told = (0, Seq(0));
    }

    /// Everything works again: what is left is recovered, though the process may die in that too, and shipped.
    fn heal(&mut self) {
        self.auth.alive = true;
        let mut recovered = self.may_miss_from.is_none();
        for _ in 0..10_000 {
            if !recovered {
                recovered = self.recover().is_ok();
                self.counts.crashes_in_recovery += u64::from(!recovered);
                continue;
            }
            if let Some(answer) = self.auth.progress() {
                self.hear(answer);
            }
            if self.auth.finished() || self.holdings.records == 0 {
                return;
            }
            self.ship();
            self.carry();
            if self.may_miss_from.is_some() && self.dice.below(10) == 0 {
                // Dies again while it ships.
                self.crash_again();
                recovered = false;
            }
        }
        panic!("it never came to an end: {:?}", self.holdings);
    }

    fn crash_again(&mut self) {
        self.requests.clear();
        self.answers.clear();
        self.holdings = Holdings::default();
        self.told = (0, Seq(0));
    }

    /// As a node does at its start.
    fn recover(&mut self) -> Result<(), Killed> {
        self.disk.restart();
        if self.dice.below(3) == 0 {
            self.disk.crash_in = Some(self.dice.below(3));
        }
        self.disk.state = if self.dice.below(4) == 0 { State::Full } else { State::Good };
        let scanned = scan_spool(&self.disk.file).ok();
        let file = scanned.map(|(found, runs)| {
            assert_eq!(found.stopped, None, "the spool's file is whole up to a torn end");
            let len = found.valid_len as usize;
            self.disk.file.truncate(len);
            (found, runs)
        });
        if file.is_none() {
            self.disk.file.clear();
        }
        let auth = self.auth.tail();
        let file = file.as_ref().map(|(found, runs)| (found, runs.clone()));
        let Some(left) = Left::of(file, auth) else {
            // Not even a heading anywhere: nothing was ever certain.
            assert_eq!(self.may_miss_from, Some(1));
            self.holdings = Holdings::default();
            return Ok(());
        };
        let Tail { last_at, ended, finished, .. } = left.tail;
        let now = Tick(0);
        let resume_at = last_at + self.dice.below(5_000) as u64;
        let mut custody = Custody::resume(self.heading.id, left, resume_at, node_key(), now);
        if !finished {
            if !ended {
                let gap = Gap { cause: GapCause::Crash, bytes: None, entries: None, ms: 1 };
                custody.take(Entry::Gap(gap), now);
            }
            custody.end(Ending::Crashed, now);
        }
        self.pump_one(&mut custody)
    }

    /// Auth has the whole recording; it verifies, and holds everything that it must.
    fn check_whole(&self) {
        if self.auth.file.is_empty() {
            assert_eq!(self.may_miss_from, Some(1), "nothing at all is there");
            return;
        }
        let keys = [seal_key().verifying_key().to_bytes()];
        let report = verify(&self.auth.file, &keys, &mut |_| {});
        assert_eq!(report.verdict, Verdict::Unsealed, "{report:#?}");
        assert!(report.faults.is_empty(), "{report:#?}");
        let recording = Recording::open(self.auth.file.as_slice()).unwrap();
        let entries: Vec<_> =
            recording.entries(From::Seq(Seq(1))).map(|entry| entry.unwrap()).collect();
        let mut lost = self.lost.iter();
        let mut crashed = None;
        for (place, stamped) in entries.iter().enumerate() {
            assert_eq!(stamped.seq, Seq(place as u64 + 1));
            match &stamped.entry {
                Entry::Gap(gap) if gap.cause == GapCause::Crash => {
                    assert_eq!(crashed.replace(place as u64 + 1), None, "one crash, one gap");
                }
                Entry::Ended(_) => assert_eq!(place + 1, entries.len()),
                Entry::Gap(gap) => {
                    let lost = lost.next().expect("only what was lost is a gap");
                    let counted = (gap.entries, gap.bytes);
                    assert_eq!(counted, (Some(lost.entries), Some(lost.bytes)));
                    assert!(self.given[place].is_none());
                }
                entry => {
                    let given = self.given.get(place).and_then(Option::as_ref);
                    assert_eq!(given.map(|given| &given.entry), Some(entry), "entry {}", place + 1);
                }
            }
        }
        let there = entries.len() as u64 - 1 - u64::from(crashed.is_some());
        match self.may_miss_from {
            // What was written or received before the crash is there, and what is lost stands as a gap.
            Some(from) => {
                let certain = there + u64::from(crashed.is_none());
                assert!(certain + 1 >= from, "{certain} are there, {from} is the first to miss");
                let missing = (there as usize) < self.given.len();
                let ended_before = crashed.is_none();
                assert!(!missing || !ended_before, "lost without a gap");
            }
            None => assert_eq!(there, self.given.len() as u64, "nothing is missing"),
        }
    }
}

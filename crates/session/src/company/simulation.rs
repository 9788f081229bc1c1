//! A company under random use beside a plain model, in virtual time: the same seed gives the same run.
//!
//! Two companies get the same acts. One is told of the time at every quantum, the other only with the acts: they must
//! tell the same, and the same as the model. `SCRY_TEST_LONG=1` runs twenty times as many seeds (see `chance`).

use super::kit::{self, Act, Answer, Replay};
use super::reference::{QUANTUM_MS, Reference};
use super::{Alternative, Change, Company, Demand, EndCause, Standing};
use chance::Random;
use model::Tick;
use model::entry::Party;
use model::limit::{CONFIRM_GRACE_MS, SEATS, SEATS_KEPT};
use model::role::{OnLeave, SeatRole};
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 2_000;
const STEPS: usize = 300;

/// How often something happened.
type Tally = BTreeMap<&'static str, u64>;

struct World {
    seed: u64,
    random: Random,
    company: Company,
    late: Company,
    reference: Reference,
    replay: Replay,
    demands: Vec<Demand>,
    now: u64,
    /// Those whose connection gives no sign of life just now.
    mute: BTreeSet<Party>,
    /// When who confirms.
    confirms: BTreeSet<(u64, Party)>,
    told: Vec<Change>,
    /// How much of it all three have told.
    compared: usize,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let demands: Vec<_> = (0..random.below(3)).map(|_| demand(&mut random)).collect();
        let has_terminal = random.below(10) > 0;
        let company = || match Company::new(demands.clone(), Tick(0)) {
            company if has_terminal => company,
            company => company.without_terminal(),
        };
        let mut world = Self {
            seed,
            random,
            company: company(),
            late: company(),
            reference: Reference::new(demands.clone(), has_terminal),
            replay: Replay::new(),
            demands,
            now: 0,
            mute: BTreeSet::new(),
            confirms: BTreeSet::new(),
            told: Vec::new(),
            compared: 0,
            tally: Tally::new(),
        };
        world.listen();
        world.compare();
        world
    }

    fn step(&mut self) {
        let (by, whom) = (self.anybody(), self.anybody());
        let act = match self.random.below(1_000) {
            0..370 => return self.wait(),
            370..400 => {
                let theirs = [Party::OWNER, whom][self.random.below(2)];
                Act::Adopt([Party::OWNER, by][self.random.below(2)], theirs)
            }
            400..580 => self.somebody_new(),
            580..650 => Act::Leave(self.guest()),
            650..680 => Act::ShowOut(by, whom),
            680..760 => Act::HandOver(by, whom),
            760..780 => Act::TakeBack(by),
            780..810 => Act::Together(by),
            810..860 => Act::Freeze(by),
            860..930 => Act::Thaw(by),
            930..950 => Act::Confirm(whom),
            950..960 => Act::Heard(whom),
            960..962 => Act::End(by),
            962 => Act::OwnerLeft,
            963..968 => Act::OwnerLost,
            968..975 => Act::OwnerBack,
            975..985 => {
                self.mute.insert(whom);
                return;
            }
            _ => return self.mute.clear(),
        };
        self.act(&act);
    }

    /// Time goes on, quantum by quantum; whoever is not mute gives a sign of life every second.
    fn wait(&mut self) {
        let quanta = match self.random.below(20) {
            0 => 40 + self.random.below(100),
            1..6 => 4 + self.random.below(20),
            _ => 1 + self.random.below(4),
        };
        let dead_line = self.random.below(12) == 0;
        for _ in 0..quanta {
            self.now += QUANTUM_MS;
            self.pass_time();
            let beats = self.now.is_multiple_of(1_000) && !dead_line;
            for party in self.replay.here.clone() {
                if beats && party != Party::OWNER && !self.mute.contains(&party) {
                    self.act(&Act::Heard(party));
                }
            }
            while let Some((at, party)) = self.confirms.first().copied() {
                if at > self.now {
                    break;
                }
                self.confirms.pop_first();
                self.act(&Act::Confirm(party));
            }
        }
    }

    /// Only the one company hears of it.
    fn pass_time(&mut self) {
        let due = self.company.poll_timeout().is_some_and(|at| at <= Tick(self.now));
        let overdue = self.company.poll_timeout().is_some_and(|at| at.0 + QUANTUM_MS <= self.now);
        assert!(!overdue, "seed {}: something was overdue", self.seed);
        self.company.handle_timeout(Tick(self.now));
        let before = self.told.len();
        self.listen();
        assert_eq!(self.told.len() > before, due, "seed {}: what is due is told", self.seed);
        if due {
            // The model lives as long.
            self.reference.act(&Act::Wait, self.now);
            self.agree();
        }
    }

    fn act(&mut self, act: &Act) {
        let (seed, now) = (self.seed, self.now);
        let answer = kit::act(&mut self.company, act, Tick(now));
        assert_eq!(answer, kit::act(&mut self.late, act, Tick(now)), "seed {seed}: {act:?}");
        assert_eq!(answer, self.reference.act(act, now), "seed {seed} at {now}: {act:?}");
        match answer {
            Answer::Refused(_) => self.count("refused"),
            Answer::Full(_) => self.count("full"),
            Answer::Done | Answer::Came(_) => {}
        }
        let length = self.told.len();
        self.listen();
        self.compare();
        if self.told.len() > length || !matches!(act, Act::Heard(_)) {
            self.agree();
        }
    }

    fn listen(&mut self) {
        for change in kit::drain(&mut self.company) {
            self.replay.take(change);
            self.told.push(change);
            self.count(word(change));
            if let Change::Ask { party, by } = change {
                let asked = by.0 - CONFIRM_GRACE_MS;
                let delay = [0, 5_000, 10_000, 14_500, 15_000, 20_000][self.random.below(6)];
                if self.random.below(8) > 0 {
                    self.confirms.insert((asked + delay, party));
                }
            }
        }
    }

    /// All three told the same since they were last compared.
    fn compare(&mut self) {
        let (seed, told) = (self.seed, &self.told[self.compared..]);
        assert_eq!(told, kit::drain(&mut self.late), "seed {seed}: told late");
        assert_eq!(told, std::mem::take(&mut self.reference.told), "seed {seed}: the model");
        self.compared = self.told.len();
    }

    fn agree(&mut self) {
        self.replay.agree(&self.company);
        let passes = self.company.passes();
        assert!(!passes || self.reference.quorum(), "seed {}: without a quorum", self.seed);
        self.count(if passes { "passed" } else { "held back" });
        let strangers = [Party(self.random.below(100) as u16), Party(u16::MAX)];
        for party in self.replay.here.iter().copied().chain(strangers) {
            let (may, model) = (self.company.may_type(party), self.reference.may_type(party));
            assert_eq!(may, model, "seed {}: {party:?} types", self.seed);
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    fn somebody_new(&mut self) -> Act {
        if self.replay.here.len() > 8 {
            return Act::Leave(self.guest());
        }
        let seat = SeatRole::ALL[self.random.below(3)];
        let often = if seat == SeatRole::Moderator { 2 } else { 5 };
        let mut counts = Vec::new();
        for (at, demand) in self.demands.iter().enumerate() {
            for place in 0..demand.any_of.len() {
                if self.random.below(often) == 0 {
                    counts.extend(vec![(at, place); 1 + self.random.below(2)]);
                }
            }
        }
        if self.random.below(8) == 0 {
            counts.push((self.random.below(4), 7));
        }
        match self.random.below(6) {
            0 => Act::Again(self.guest(), seat, counts),
            1 => Act::Recount(self.guest(), counts),
            _ => Act::Enter(seat, counts),
        }
    }

    /// The owner often, seldom a stranger.
    fn anybody(&mut self) -> Party {
        match self.random.below(16) {
            0..5 => Party::OWNER,
            5 => Party(self.random.below(40) as u16),
            _ => self.guest(),
        }
    }

    /// Somebody who is there, or a number that nobody has.
    fn guest(&mut self) -> Party {
        let guests = self.replay.here.iter().filter(|party| **party != Party::OWNER);
        let guests: Vec<_> = guests.copied().collect();
        if guests.is_empty() { Party(999) } else { guests[self.random.below(guests.len())] }
    }
}

fn demand(random: &mut Random) -> Demand {
    let any_of = (0..1 + random.below(3)).map(|place| Alternative {
        name: format!("way {place}"),
        count: 1 + random.below(4) as u8 / 3,
        on_leave: if random.below(6) == 0 { OnLeave::End } else { OnLeave::Freeze },
        confirm_ms: [None, None, Some(5_000), Some(20_000)][random.below(4)],
        beat: random.below(2) == 0,
    });
    Demand { any_of: any_of.collect() }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Came(_) => "came",
        Change::Went { shown_out_by: None, .. } => "left",
        Change::Went { shown_out_by: Some(_), .. } => "shown out",
        Change::Begin => "begin",
        Change::Freeze { by: None } => "freeze",
        Change::Freeze { by: Some(_) } => "freeze by hand",
        Change::Thaw { by: None } => "thaw",
        Change::Thaw { by: Some(_) } => "thaw by hand",
        Change::End { why: EndCause::OwnerLeft } => "owner left",
        Change::End { why: EndCause::Ended { .. } } => "end by hand",
        Change::End { why: EndCause::EyesLeft { .. } } => "eyes left",
        Change::Ask { .. } => "ask",
        Change::OwnerLost => "owner lost",
        Change::OwnerBack => "owner back",
        Change::Absent(_) => "absent",
        Change::Back(_) => "back",
        Change::Keyboard { held: None } => "together",
        Change::Keyboard { held: Some(Party::OWNER) } => "taken back",
        Change::Keyboard { held: Some(_) } => "handed over",
        Change::Size { of: Some(_) } => "adopted",
        Change::Size { of: None } => "own size",
    }
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    if seed.is_multiple_of(100) {
        for _ in 0..SEATS + 3 {
            world.act(&Act::Enter(SeatRole::Observer, Vec::new()));
        }
        for _ in 0..SEATS_KEPT + 3 {
            world.act(&Act::Enter(SeatRole::Moderator, Vec::new()));
        }
    }
    let mut after = 0;
    for _ in 0..STEPS {
        world.step();
        after += usize::from(world.company.standing() == Standing::Over);
        if after > 20 {
            break;
        }
    }
    world
}

#[test]
fn nothing_passes_without_right_and_quorum_and_every_change_is_told_once() {
    let seeds = chance::seeds(SEEDS, 20);
    let runs = seeds.end - seeds.start;
    let mut tally = Tally::new();
    chance::each(seeds, |seed| {
        for (what, count) in run(seed).tally {
            *tally.entry(what).or_default() += count;
        }
    });
    // Times in a hundred runs, at least.
    for (what, least) in [
        ("came", 1000),
        ("left", 800),
        ("shown out", 60),
        ("begin", 70),
        ("freeze", 80),
        ("freeze by hand", 60),
        ("thaw", 80),
        ("thaw by hand", 40),
        ("owner left", 8),
        ("owner lost", 50),
        ("owner back", 25),
        ("end by hand", 8),
        ("eyes left", 10),
        ("ask", 500),
        ("absent", 400),
        ("back", 300),
        ("together", 60),
        ("taken back", 80),
        ("handed over", 60),
        ("adopted", 25),
        ("own size", 20),
        ("refused", 2000),
        ("full", 20),
        ("passed", 4000),
        ("held back", 3000),
    ] {
        let count = tally.get(what).copied().unwrap_or(0);
        assert!(runs < SEEDS || 100 * count > runs * least, "the runs are lively: {tally:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..200 {
        let (one, other) = (run(seed), run(seed));
        assert_eq!((one.told, one.tally), (other.told, other.tally), "seed {seed}");
    }
}

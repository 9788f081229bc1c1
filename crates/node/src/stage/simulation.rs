//! The stage and all who look on under random use, beside a screen that gets every entry: the same seed gives the same run.
//!
//! Entries come faster than they are drawn, pictures come late or not at all, viewers of any size come, look at any moment
//! or hardly ever, change their size and go. Whatever a viewer's terminal shows is at each look what the recording shows
//! at one moment, and no look goes back behind another; when all is drawn it is the last one.
//!
//! The owner's terminal gets the entries themselves, in pieces of any size; at any moment, also within a sequence, it is shown
//! pictures instead, and given back. Then it is as if it had got every byte.
//! `SCRY_TEST_LONG=1` runs twenty times as many seeds (see `chance`).

use super::{Batch, Next, Waiting};
use crate::view::{Face, Window};
use bytes::Bytes;
use chance::Random;
use model::entry::{Entry, Party};
use model::{Seq, Size, Stream, Tick};
use record::Keyframe;
use record::picture::{Brush, picture_of};
use screen::{Canvas, Painter, Screen};
use session::{Hub, Terms};
use std::collections::VecDeque;
use tokio::sync::oneshot::{self, error::TryRecvError};

const SEEDS: u64 = 2_000;
const STEPS: usize = 120;
/// Bytes that may wait here: little, so that it is often too much.
const MOST: usize = 600;
const VIEWERS: usize = 4;

/// What programs send, and parts of it.
const WORDS: [&str; 30] = [
    "a",
    "scry",
    "wide \u{6f22}\u{5b57}",
    "\u{1f467}\u{1f3fd}",
    "e\u{301}",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\x08",
    "\x1b[H",
    "\x1b[3;5H",
    "\x1b[99;99H",
    "\x1b[A",
    "\x1b[2J",
    "\x1b[K",
    "\x1b[1;31m",
    "\x1b[38;2;9;200;30;4m",
    "\x1b[m",
    "\x1b[2;4r",
    "\x1b[r",
    "\x1b[L",
    "\x1b[2M",
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?25l",
    "\x1b[?7l\x1b[?7h",
    "\x1b]0;title\x07",
    "\x1b7\x1b[5;1Hx\x1b8",
    "\x1b(0lqk\x1b(B",
];

fn size(random: &mut Random) -> Size {
    Size::clamped(2 + random.below(38) as u32, 1 + random.below(11) as u32)
}

/// A screen that has got so many entries of the log, each once and in order.
struct Follower {
    screen: Screen,
    drawn: usize,
}

impl Follower {
    fn new(size: Size) -> Self {
        Self { screen: Screen::new(size.cols(), size.rows()), drawn: 0 }
    }

    fn go(&mut self, log: &[Entry], to: usize) {
        for entry in log.get(self.drawn..to).unwrap_or_default() {
            match entry {
                Entry::Output { bytes, .. } => self.screen.feed(bytes),
                Entry::Resize(size) => self.screen.resize(size.cols(), size.rows()),
                _ => {}
            }
        }
        self.drawn = self.drawn.max(to);
    }
}

/// Somebody who looks on, and their terminal.
struct Viewer {
    painter: Painter,
    terminal: Screen,
}

impl Viewer {
    fn new(size: Size) -> Self {
        let mut painter = Painter::new(size.cols(), size.rows());
        let mut terminal = Screen::new(size.cols(), size.rows());
        terminal.feed(&painter.enter());
        Self { painter, terminal }
    }

    fn resize(&mut self, size: Size) {
        self.painter.resize(size.cols(), size.rows());
        self.terminal.resize(size.cols(), size.rows());
    }

    /// What a terminal of this size has to show of a screen.
    fn part(&self, screen: &Screen) -> Canvas {
        part(screen, self.painter.size())
    }
}

/// What a terminal of so many columns and rows has to show of a screen.
fn part(screen: &Screen, (cols, rows): (u16, u16)) -> Canvas {
    let mut canvas = Canvas::new(cols, rows);
    canvas.show(screen, (cols, rows), |_, _, _| {});
    canvas
}

/// Whose session it is, and their terminal.
struct Owner {
    hub: Hub,
    terminal: Screen,
    own: Size,
    /// While it is painted; it is over when they wait for the picture.
    face: Option<Face>,
    picture: Option<oneshot::Receiver<Keyframe>>,
    /// What it must show once everything was read.
    reference: Follower,
}

impl Owner {
    fn new(size: Size) -> Self {
        let (hub, reference) = (Hub::new(Terms::default(), Tick(0)), Follower::new(size));
        let terminal = Screen::new(size.cols(), size.rows());
        Self { hub, terminal, own: size, face: None, picture: None, reference }
    }

    fn is_painted(&self) -> bool {
        self.face.is_some() && self.picture.is_none()
    }

    fn read(&mut self, most: usize) -> bool {
        let piece = self.hub.read(most);
        piece.iter().for_each(|(_, bytes)| self.terminal.feed(bytes));
        piece.is_some()
    }

    fn read_all(&mut self) {
        while self.read(1_000) {}
    }

    /// Their terminal is made another size, by whoever sits there.
    fn resize(&mut self, size: Size) {
        self.own = size;
        self.terminal.resize(size.cols(), size.rows());
        if let Some(face) = &mut self.face {
            face.resize(size);
        }
    }

    /// They have read everything of this log.
    fn agrees(&mut self, log: &[Entry], what: &str) {
        self.reference.go(log, log.len());
        // Where nothing is known of a terminal its title stays: also one that was taken away while it was painted.
        let untitled = |screen: &Screen| {
            let (mut out, all) = (String::new(), text(screen));
            for (at, part) in all.split("\x1b]").enumerate() {
                let titled = at > 0 && part.starts_with(['1', '2']);
                out.push_str(part.split_once('\x07').filter(|_| titled).map_or(part, |it| it.1));
            }
            out
        };
        let shown = untitled(&self.terminal);
        assert_eq!(shown, untitled(&self.reference.screen), "{what}: the owner");
    }
}

#[derive(Debug, Default)]
struct Counts {
    painted: u64,
    given_back: u64,
    looks: u64,
    lost: u64,
    late: u64,
    failed: u64,
}

struct World {
    seed: u64,
    random: Random,
    log: Vec<Entry>,
    waiting: Waiting,
    screen: Screen,
    /// The picture that the stage waits for.
    base: Option<oneshot::Receiver<Keyframe>>,
    /// The recorder's model, and who asked it for a picture, behind which entry.
    model: Follower,
    asked: VecDeque<(oneshot::Sender<Keyframe>, usize)>,
    reference: Follower,
    viewers: Vec<Viewer>,
    owner: Owner,
    counts: Counts,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let size = size(&mut random);
        let mut world = Self {
            seed,
            random,
            log: vec![Entry::Resize(size)],
            waiting: Waiting::new(None, MOST),
            screen: Screen::new(size.cols(), size.rows()),
            base: None,
            model: Follower::new(size),
            asked: VecDeque::new(),
            reference: Follower::new(size),
            viewers: Vec::new(),
            owner: Owner::new(size),
            counts: Counts::default(),
        };
        // Nobody looked on so long.
        for _ in 0..world.random.below(40) {
            world.log();
        }
        world.waiting = Waiting::new(Some(world.ask()), MOST);
        world
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..35 => self.record(),
            35..65 => self.draw(),
            65..75 => self.answer(),
            75..80 => self.come_or_go(),
            80..90 => self.own(),
            _ => self.look(),
        }
    }

    fn entry(&mut self) -> Entry {
        match self.random.below(12) {
            0 => Entry::Resize(size(&mut self.random)),
            1 => Entry::Typed { party: Party::OWNER, count: 1, bytes: None },
            _ => {
                let mut bytes = Vec::new();
                for _ in 0..=self.random.below(12) {
                    let word = WORDS[self.random.below(WORDS.len())].as_bytes();
                    // Entries end anywhere, also within a sequence or a character.
                    let length = match self.random.one_in(6) {
                        true => self.random.below(word.len() + 1),
                        false => word.len(),
                    };
                    bytes.extend_from_slice(&word[..length]);
                }
                if self.random.one_in(10) {
                    bytes.push(self.random.below(256) as u8);
                }
                Entry::Output { stream: Stream::Pty, bytes: Bytes::from(bytes) }
            }
        }
    }

    /// The next entry, which the owner gets first.
    fn log(&mut self) -> Entry {
        let mut entry = self.entry();
        if let Entry::Resize(size) = entry {
            if self.owner.face.is_none() {
                // Theirs: they have read what was written for the size before.
                self.owner.read_all();
                self.owner.resize(size);
            } else if !self.owner.is_painted() {
                entry = Entry::Typed { party: Party::OWNER, count: 1, bytes: None };
            }
        }
        self.take(entry.clone());
        entry
    }

    fn take(&mut self, entry: Entry) {
        self.log.push(entry.clone());
        if let Entry::Output { stream, bytes } = entry {
            self.owner.hub.offer(Seq(self.log.len() as u64), stream, bytes);
        }
    }

    /// As the session's loop does.
    fn record(&mut self) {
        for _ in 0..if self.random.one_in(8) { 30 } else { 1 } {
            let entry = self.log();
            self.perform(entry);
        }
    }

    fn perform(&mut self, entry: Entry) {
        if self.waiting.lost {
            self.counts.lost += 1;
            let base = self.ask();
            self.waiting.begin_anew(Some(base));
        } else {
            self.waiting.offer(Seq(self.log.len() as u64), entry);
        }
        assert!(self.waiting.bytes <= MOST, "seed {}: memory", self.seed);
    }

    /// The owner reads, has somebody else's size count, or their own again.
    fn own(&mut self) {
        let most = 1 + self.random.below(40);
        match (self.random.below(4), self.owner.face.is_some()) {
            (0, false) => {
                // What they have not read is dropped, wherever they stand.
                self.owner.hub.aside(Tick(0));
                let window = Window { size: self.owner.own, fits: false };
                self.owner.face = Some(Face::new(window));
            }
            (0, true) if self.owner.is_painted() => self.give_up(),
            // Once more, before the picture was there.
            (0, true) => {
                self.owner.picture = None;
                self.owner.hub.aside(Tick(0));
            }
            (1, true) if self.owner.is_painted() => {
                let size = size(&mut self.random);
                self.owner.resize(size);
            }
            (_, true) if self.owner.is_painted() => self.paints(),
            (_, true) => self.shows_again(),
            (_, false) if self.random.one_in(3) => {
                self.owner.read_all();
                self.owner.agrees(&self.log, &format!("seed {}", self.seed));
            }
            (_, false) => drop(self.owner.read(most)),
        }
    }

    fn give_up(&mut self) {
        let own = Entry::Resize(self.owner.own);
        self.take(own.clone());
        self.perform(own);
        self.owner.hub.back(Tick(0));
        self.owner.picture = Some(self.ask());
    }

    /// The owner's terminal shows what a viewer's of its size does.
    fn paints(&mut self) {
        let (seed, shown) = (self.seed, self.waiting.shown.0 as usize);
        let Owner { face: Some(face), terminal, own, .. } = &mut self.owner else { return };
        let bar = self.random.one_in(5).then_some("a line of scry's");
        terminal.feed(&face.picture(&self.screen, true, bar));
        if shown > 0 {
            self.counts.painted += 1;
            self.reference.go(&self.log, shown);
            let mut canvas = part(&self.reference.screen, (own.cols(), own.rows()));
            bar.iter().for_each(|bar| canvas.bar(bar));
            shows(terminal, &canvas, &format!("seed {seed}, entry {shown}: the owner"));
        }
    }

    /// It is theirs again if the picture is there.
    fn shows_again(&mut self) {
        let Some(picture) = &mut self.owner.picture else { return };
        let joins = |dump: &[u8]| dump.windows(9).any(|part| part == b"scry:join");
        match picture.try_recv() {
            Err(TryRecvError::Empty) => {}
            // No terminal can be told that a mark which comes next joins the last character.
            Ok(keyframe) if !joins(&keyframe.dump) => {
                let (now, seq) = (picture_of(&keyframe), keyframe.seq);
                let given = self.owner.face.take().map(|mut face| face.give_back(&now));
                self.owner.hub.show(seq, given.unwrap_or_default().into());
                self.owner.picture = None;
                self.counts.given_back += 1;
            }
            _ => self.owner.picture = Some(self.ask()),
        }
    }

    fn ask(&mut self) -> oneshot::Receiver<Keyframe> {
        let (sender, receiver) = oneshot::channel();
        self.asked.push_back((sender, self.log.len()));
        receiver
    }

    /// The model makes a picture behind what was recorded when it was asked, or fails.
    fn answer(&mut self) {
        let Some((sender, behind)) = self.asked.pop_front() else { return };
        if self.random.one_in(12) {
            self.counts.failed += 1;
            return;
        }
        let shows = behind + self.random.below(self.log.len() - behind + 1);
        self.model.go(&self.log, shows);
        let (cols, rows) = self.model.screen.size();
        let (size, dump) = (Size::clamped(cols.into(), rows.into()), self.model.screen.dump());
        let seq = Seq(self.model.drawn as u64);
        // Whoever asked may have asked again since.
        let _ = sender.send(Keyframe { seq, at: 0, size, dump: dump.into() });
    }

    /// As the stage's task does.
    fn draw(&mut self) {
        let before = self.waiting.shown;
        if let Some(base) = &mut self.base {
            match base.try_recv() {
                Ok(keyframe) => {
                    self.screen = picture_of(&keyframe);
                    self.waiting.based(Some(keyframe.seq));
                }
                Err(TryRecvError::Closed) => self.waiting.based(None),
                Err(TryRecvError::Empty) => return,
            }
            self.base = None;
        } else {
            match self.waiting.next() {
                Next::Base(base) => self.base = Some(base),
                Next::Draw(entries) => {
                    let mut batch = Batch { entries, brush: Brush::default() };
                    // Nobody looks in between here: what they would see is no end of an entry.
                    while !batch.go_on(&mut self.screen, self.random.below(2000) as u64 + 1) {}
                }
                Next::Wait | Next::Over => {}
            }
        }
        assert!(self.waiting.shown >= before, "seed {}: it goes back", self.seed);
    }

    fn come_or_go(&mut self) {
        let size = size(&mut self.random);
        match self.random.below(3) {
            0 if !self.viewers.is_empty() => {
                let who = self.random.below(self.viewers.len());
                self.viewers.swap_remove(who);
            }
            1 if !self.viewers.is_empty() => {
                let who = self.random.below(self.viewers.len());
                self.viewers[who].resize(size);
            }
            _ if self.viewers.len() < VIEWERS => {
                self.counts.late += 1;
                self.viewers.push(Viewer::new(size));
                self.looks(self.viewers.len() - 1);
            }
            _ => {}
        }
    }

    fn look(&mut self) {
        if !self.viewers.is_empty() {
            let who = self.random.below(self.viewers.len());
            self.looks(who);
        }
    }

    /// A viewer's terminal gets what it lacks, and shows the recording's screen as it was when the stage drew last.
    fn looks(&mut self, who: usize) {
        let (seed, shown) = (self.seed, self.waiting.shown.0 as usize);
        let Some(viewer) = self.viewers.get_mut(who) else { return };
        let canvas = viewer.part(&self.screen);
        viewer.terminal.feed(&viewer.painter.paint(canvas, None));
        // Before its first picture a stage is empty.
        if shown > 0 {
            self.counts.looks += 1;
            self.reference.go(&self.log, shown);
            assert_eq!(self.reference.drawn, shown, "seed {seed}: it goes back");
            let wanted = viewer.part(&self.reference.screen);
            shows(&viewer.terminal, &wanted, &format!("seed {seed}, entry {shown}"));
        }
    }

    /// Everything is drawn in the end, and is what was recorded; the owner has read it.
    fn settle(&mut self) {
        if self.owner.is_painted() {
            self.give_up();
        }
        while self.owner.face.is_some() {
            while !self.asked.is_empty() {
                self.answer();
            }
            self.shows_again();
            if self.asked.len() == 1 {
                // Whatever is unfinished ends, and no mark that comes next joins anything.
                let bytes = Bytes::from_static(b"\x18\r");
                let entry = Entry::Output { stream: Stream::Pty, bytes };
                self.take(entry.clone());
                self.perform(entry);
            }
        }
        let busy = |world: &Self| {
            let Waiting { entries, base, lost, shown, .. } = &world.waiting;
            let waits = !entries.is_empty() || base.is_some() || world.base.is_some();
            (waits, *lost || shown.0 == 0)
        };
        loop {
            match busy(self) {
                (false, false) => break,
                // The next entry has it begin anew.
                (false, true) => self.record(),
                (true, _) => {}
            }
            while !self.asked.is_empty() {
                self.answer();
            }
            self.draw();
        }
        let seed = self.seed;
        self.owner.read_all();
        self.owner.agrees(&self.log, &format!("seed {seed}: the end"));
        self.reference.go(&self.log, self.log.len());
        assert_eq!(text(&self.screen), text(&self.reference.screen), "seed {seed}: the end");
        assert_eq!(self.screen.keys(), self.reference.screen.keys(), "seed {seed}: the end");
        let later = self.log.get(self.waiting.shown.0 as usize..).unwrap_or_default();
        let all = later.iter().all(|entry| matches!(entry, Entry::Typed { .. }));
        assert!(all, "seed {seed}: something was not drawn");
    }
}

fn text(screen: &Screen) -> String {
    String::from_utf8_lossy(&screen.dump()).into_owned()
}

/// Panics unless a terminal shows this picture.
fn shows(terminal: &Screen, canvas: &Canvas, what: &str) {
    let (cols, rows) = canvas.size();
    for row in 0..rows {
        for col in 0..cols {
            assert_eq!(terminal.cell(col, row), canvas.cell(col, row), "{what}: {col},{row}");
        }
    }
    assert_eq!(terminal.cursor(), canvas.cursor, "{what}: cursor");
}

fn run(seed: u64) -> Counts {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.settle();
    world.counts
}

#[test]
fn whatever_a_viewer_sees_is_the_recording_at_one_moment_and_in_the_end_at_the_last() {
    let mut all = Counts::default();
    let seeds = chance::seeds(SEEDS, 20);
    let count = seeds.end - seeds.start;
    chance::each(seeds, |seed| {
        let Counts { painted, given_back, looks, lost, late, failed } = run(seed);
        all.painted += painted;
        all.given_back += given_back;
        all.looks += looks;
        all.lost += lost;
        all.late += late;
        all.failed += failed;
    });
    println!("{count} seeds: {all:?}");
    let lively =
        all.looks > count && all.lost > count && all.late > count && all.failed > count / 4;
    let lively = lively && all.painted > count && all.given_back > count;
    assert!(lively || count < SEEDS, "the runs are lively: {all:?}");
}

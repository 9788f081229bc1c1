//! A recording as a film: the screen at any moment, forwards, backwards, entry by entry.

use model::entry::{Entry, Party, People, Stamped, Stream};
use model::kernel::{Action, Kernel};
use model::{Seq, UserName};
use record::find::{Hit, Shown};
use record::note::Note;
use record::picture::{blank, draw, picture_of};
use record::{Corrupt, From as Place, Glance, Keyframe, Recording, Source};
use screen::Screen;
use std::collections::{BTreeMap, VecDeque};

/// Entries read ahead at once, at most; and their bytes.
const AHEAD: usize = 4096;
const AHEAD_BYTES: usize = 512 * 1024;
/// Entries that may lie before a keyframe so that walking is still better than jumping to it.
const WALK: u64 = 4096;
/// Milliseconds for which somebody is said to type who typed.
const TYPES_MS: u64 = 1_000;

/// The screen at a moment of a recording, and the way to any other.
pub struct Reel<S: Source> {
    recording: Recording<S>,
    screen: Screen,
    place: Spot,
    ahead: VecDeque<Stamped>,
    /// Bytes of the next entry that are drawn already.
    drawn: usize,
    damage: Option<Corrupt>,
    /// Who typed last, and when.
    typed: Option<(Party, u64)>,
    /// Who came besides the owner, as far as it is known.
    others: BTreeMap<Party, UserName>,
    /// Whether all are known who came before the latest entry: what a picture passes over is not read.
    met: bool,
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Spot {
    /// The last entry that was drawn; 0 before the first.
    seq: Seq,
    /// The last entry among them that can be seen.
    shown: Seq,
    /// Time of the latest entry.
    at: u64,
}

impl<S: Source> Reel<S> {
    /// At the beginning.
    pub fn new(recording: Recording<S>) -> Self {
        let screen = blank(&recording);
        let (place, ahead) = (Spot::default(), VecDeque::new());
        let (typed, others) = (None, BTreeMap::new());
        Self { recording, screen, place, ahead, drawn: 0, damage: None, typed, others, met: true }
    }

    /// What it shows.
    pub fn recording(&self) -> &Recording<S> {
        &self.recording
    }

    /// What is on the screen.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// The last entry that was drawn.
    pub fn seq(&self) -> Seq {
        self.place.seq
    }

    /// Time of the latest entry that was drawn.
    pub fn at(&self) -> u64 {
        self.place.at
    }

    /// Who typed just before the latest entry, in a session of more than one.
    pub fn typist(&self) -> Option<&str> {
        let (party, at) = self.typed?;
        let recent = self.place.at.saturating_sub(at) < TYPES_MS;
        if !recent || self.others.is_empty() {
            return None;
        }
        let owner = (party == Party::OWNER).then_some(&self.recording.heading().user);
        self.others.get(&party).or(owner).map(UserName::as_str)
    }

    /// What a search that begins here must know.
    pub fn shown(&self) -> Shown<'_> {
        let Self { screen, place, drawn, .. } = self;
        Shown { screen, seq: place.seq, at: place.at, drawn: *drawn }
    }

    /// Where and why the recording cannot be read further.
    pub fn damage(&self) -> Option<&Corrupt> {
        self.damage.as_ref().or_else(|| self.recording.damage())
    }

    /// Picks up what a running session has written since. `true` if there is more.
    pub fn refresh(&mut self) -> bool {
        let more = self.recording.refresh();
        if more {
            self.damage = None;
        }
        more
    }

    /// Time of the entry that comes next.
    pub fn next_at(&mut self) -> Option<u64> {
        self.fill();
        self.ahead.front().map(|next| next.at.max(self.place.at))
    }

    /// Draws everything up to a time; what is worth saying of it goes to `notes`.
    pub fn advance(&mut self, ms: u64, notes: &mut Vec<Note>) {
        if self.keyframe_ahead(ms) {
            return self.rebuild(|recording| recording.keyframe_at(ms), |next| next.at <= ms);
        }
        while let Some(next) = self.next_at()
            && next <= ms
        {
            self.draw_next(notes);
        }
    }

    /// Shows the moment `ms`, wherever it lies.
    pub fn seek(&mut self, ms: u64) {
        if ms >= self.place.at {
            return self.advance(ms, &mut Vec::new());
        }
        self.rebuild(|recording| recording.keyframe_at(ms), |next| next.at <= ms);
    }

    /// Shows the next entry that can be seen. `false` at the end.
    pub fn step_forward(&mut self, notes: &mut Vec<Note>) -> bool {
        let shown = self.place.shown;
        while self.place.shown == shown {
            if self.next_at().is_none() {
                return false;
            }
            self.draw_next(notes);
        }
        true
    }

    /// Takes back the last entry that can be seen. `false` at the beginning.
    pub fn step_back(&mut self) -> bool {
        let Some(before) = self.place.shown.0.checked_sub(1) else { return false };
        self.show_seq(Seq(before));
        true
    }

    /// Shows the text of a hit, in the middle of an entry if need be.
    pub fn show_hit(&mut self, hit: Hit) {
        self.show_seq(Seq(hit.seq.0.saturating_sub(1)));
        self.fill();
        let Some(Stamped { seq, at, entry: Entry::Output { stream, bytes } }) =
            self.ahead.pop_front()
        else {
            return;
        };
        let mut rest = bytes;
        self.drawn = hit.within.min(rest.len());
        let first = rest.split_to(self.drawn);
        draw(&mut self.screen, &Entry::Output { stream, bytes: first });
        self.place.at = self.place.at.max(at);
        self.place.shown = seq;
        // The rest is drawn when its turn comes.
        self.ahead.push_front(Stamped { seq, at, entry: Entry::Output { stream, bytes: rest } });
    }

    fn show_seq(&mut self, seq: Seq) {
        self.rebuild(|recording| recording.keyframe_before(seq), |next| next.seq <= seq);
    }

    /// Whether a keyframe lies so far ahead, at or before `ms`, that jumping to it is quicker than walking.
    fn keyframe_ahead(&self, ms: u64) -> bool {
        let far = Seq(self.place.seq.0.saturating_add(WALK));
        let frames = &self.recording.index().keyframes;
        frames.iter().rev().any(|frame| frame.at <= ms && frame.seq > far)
    }

    /// Starts from a keyframe and draws while entries belong to what is wanted.
    fn rebuild(
        &mut self,
        keyframe: impl FnOnce(&Recording<S>) -> Result<Option<Keyframe>, Corrupt>,
        wanted: impl Fn(&Stamped) -> bool,
    ) {
        self.damage = None;
        self.ahead.clear();
        self.drawn = 0;
        self.typed = None;
        self.met = false;
        match keyframe(&self.recording) {
            Ok(Some(frame)) => {
                self.screen = picture_of(&frame);
                self.place = Spot { seq: frame.seq, shown: frame.seq, at: frame.at };
            }
            Ok(None) => self.rewind(),
            Err(damage) => {
                self.rewind();
                self.damage = Some(damage);
            }
        }
        loop {
            self.fill();
            match self.ahead.front() {
                Some(next) if wanted(next) => self.draw_next(&mut Vec::new()),
                _ => return,
            }
        }
    }

    fn rewind(&mut self) {
        self.screen = blank(&self.recording);
        self.place = Spot::default();
    }

    fn draw_next(&mut self, notes: &mut Vec<Note>) {
        let Some(next) = self.ahead.pop_front() else { return };
        draw(&mut self.screen, &next.entry);
        self.drawn = 0;
        self.place.seq = next.seq;
        self.place.at = self.place.at.max(next.at);
        if can_be_seen(&next.entry) {
            self.place.shown = next.seq;
        }
        match &next.entry {
            Entry::Typed { party, .. } => {
                if *party != Party::OWNER && !self.met && !self.others.contains_key(party) {
                    self.meet(next.seq);
                }
                self.typed = Some((*party, next.at));
            }
            Entry::People(people) => meet(&mut self.others, people),
            _ => {}
        }
        notes.extend(Note::of(&next));
    }

    /// Learns who came before an entry; once, for who comes later is drawn.
    fn meet(&mut self, before: Seq) {
        self.met = true;
        for glance in self.recording.glances(Seq(1)).map_while(Result::ok) {
            let Glance::Meta(entries) = glance else { continue };
            for entry in entries {
                if entry.seq >= before {
                    return;
                }
                if let Entry::People(people) = &entry.entry {
                    meet(&mut self.others, people);
                }
            }
        }
    }

    fn fill(&mut self) {
        if !self.ahead.is_empty() || self.damage.is_some() {
            return;
        }
        let mut bytes = 0;
        for next in self.recording.entries(Place::Seq(self.place.seq.next())) {
            match next {
                Ok(next) => {
                    if let Entry::Output { bytes: output, .. } = &next.entry {
                        bytes += output.len();
                    }
                    self.ahead.push_back(next);
                }
                Err(damage) => {
                    self.damage = Some(damage);
                    break;
                }
            }
            if self.ahead.len() >= AHEAD || bytes >= AHEAD_BYTES {
                break;
            }
        }
    }
}

fn meet(others: &mut BTreeMap<Party, UserName>, people: &People) {
    if let People::Seated { party, user, .. } = people {
        others.insert(*party, user.clone());
    }
}

/// Whether a step by one entry should stop here.
fn can_be_seen(entry: &Entry) -> bool {
    match entry {
        Entry::Output { stream, bytes } => *stream != Stream::Stdin && !bytes.is_empty(),
        Entry::Typed { .. } | Entry::Signal { .. } | Entry::Service { .. } => false,
        Entry::Transfer(transfer) => transfer.is_essential(),
        Entry::Kernel(kernel) => {
            matches!(kernel, Kernel::Did(event) if matches!(event.action, Action::Ran(_)))
        }
        _ => true,
    }
}

//! What a player must know of a recording before it shows anything: how much happened when, where nothing did, and the
//! moments worth going to. Built on as the recording grows, bounded however long it is.

use crate::note::{Note, NoteKind, clean};
use crate::{Corrupt, From, Glance, Recording, Source};
use model::entry::{Entry, Party, People, Stamped, Stream};
use model::kernel::{Action, Kernel, KernelEvent, Program};
use model::limit::{
    FILM_BUCKETS, FILM_BURST_MS, FILM_BURSTS, FILM_CHAPTER_MS, FILM_CHAPTERS, FILM_EXACT_BYTES,
    FILM_EXACT_OUTPUT, FILM_IDLE, FILM_IDLE_MS, FILM_MARKS, FILM_RUNNING,
};
use model::{Seq, Size, UserName};
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds of a bucket of a recording that is short.
const BUCKET_MS: u64 = 250;
/// Characters of a chapter's command line.
const CHAPTER_CHARS: usize = 160;
/// Programs that only stand around others: what runs in them is a chapter, they are none.
const AROUND: &[&str] = &[
    "sh", "bash", "zsh", "fish", "dash", "ksh", "ash", "csh", "tcsh", "sudo", "su", "doas",
    "login", "tmux", "screen", "env", "nohup", "script", "ssh",
];

/// A recording from far away.
#[derive(Debug, Clone)]
pub struct Film {
    /// Where reading goes on, in bytes; by glances only.
    offset: u64,
    /// The last entry that was counted.
    seq: Seq,
    exact: bool,
    /// Bytes of output that were counted.
    counted: u64,
    size: Option<Size>,
    largest: Option<Size>,
    activity: Activity,
    idle: Stretches,
    active: Option<u64>,
    notes: BTreeMap<NoteKind, Spread>,
    chapters: Chapters,
    typing: Typing,
    damage: Option<Corrupt>,
}

/// How much happened when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Milliseconds of a bucket.
    pub bucket_ms: u64,
    /// Bytes of output in each.
    pub bytes: Vec<u64>,
    /// Bytes that were typed in each.
    pub keys: Vec<u64>,
}

/// Somebody typed, from the first key to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// Time of the first.
    pub at: u64,
    /// Time of the last.
    pub until: u64,
    /// Who.
    pub user: UserName,
}

/// A program that ran for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// When it began.
    pub at: u64,
    /// When it ended.
    pub until: u64,
    /// The entry of its beginning.
    pub seq: Seq,
    /// Its command line, cut.
    pub text: String,
}

impl Film {
    /// Of a recording, as it stands.
    #[must_use]
    pub fn of<S: Source>(recording: &Recording<S>) -> Self {
        let mut film = Self::begin(recording);
        film.go_on(recording);
        film
    }

    /// Takes in what was recorded since.
    pub fn advance<S: Source>(&mut self, recording: &Recording<S>) {
        if self.exact && recording.end() > FILM_EXACT_BYTES {
            *self = Self { exact: false, ..Self::begin(recording) };
        }
        self.go_on(recording);
    }

    /// How much happened when. Bytes are packed ones unless it is [`Film::is_exact`], and nothing is known of keys then.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Whether every entry was counted, not only every record.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Stretches in which nothing was put out and nothing typed, and the milliseconds of the shortest that is told.
    #[must_use]
    pub fn idle(&self) -> (&[(u64, u64)], u64) {
        (&self.idle.all, self.idle.least_ms)
    }

    /// The largest number of columns, and the largest of rows, so far.
    #[must_use]
    pub fn largest(&self) -> Option<Size> {
        self.largest
    }

    /// Moments to go to, by time.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let mut notes: Vec<Note> =
            self.notes.values().flat_map(|spread| spread.kept.iter().cloned()).collect();
        notes.sort_by_key(|note| (note.at, note.seq));
        notes
    }

    /// How many notes of each kind were left out.
    #[must_use]
    pub fn folded(&self) -> BTreeMap<NoteKind, u64> {
        let left_out = |spread: &Spread| spread.seen - spread.kept.len() as u64;
        let all = self.notes.iter().map(|(kind, spread)| (*kind, left_out(spread)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Programs that ran for a while, by their beginning; those that still run end where the recording does.
    #[must_use]
    pub fn chapters(&self, length_ms: u64) -> Vec<Chapter> {
        self.chapters.all(length_ms)
    }

    /// Who typed when, by the beginnings, if that were several; none where not every entry was counted.
    #[must_use]
    pub fn typing(&self) -> Option<Vec<Burst>> {
        self.exact.then(|| self.typing.all())
    }

    /// Why not everything was counted.
    #[must_use]
    pub fn damage(&self) -> Option<&Corrupt> {
        self.damage.as_ref()
    }

    fn begin<S: Source>(recording: &Recording<S>) -> Self {
        let size = recording.heading().size;
        Self {
            offset: 0,
            seq: Seq(0),
            exact: recording.end() <= FILM_EXACT_BYTES,
            counted: 0,
            size,
            largest: size,
            activity: Activity { bucket_ms: BUCKET_MS, bytes: Vec::new(), keys: Vec::new() },
            idle: Stretches { least_ms: FILM_IDLE_MS, all: Vec::new() },
            active: None,
            notes: BTreeMap::new(),
            chapters: Chapters::new(),
            typing: Typing::of(recording.heading().user.clone()),
            damage: None,
        }
    }

    fn go_on<S: Source>(&mut self, recording: &Recording<S>) {
        self.damage = None;
        if self.exact {
            for next in recording.entries(From::Seq(self.seq.next())) {
                match next {
                    Ok(next) => self.entry(&next),
                    Err(damage) => self.damage = Some(damage),
                }
                if self.counted > FILM_EXACT_OUTPUT {
                    *self = Self { exact: false, ..Self::begin(recording) };
                    return self.go_on(recording);
                }
            }
            return;
        }
        let mut glances = recording.glances_at(self.offset);
        for next in glances.by_ref() {
            match next {
                Ok(seen) => self.glance(seen),
                Err(damage) => self.damage = Some(damage),
            }
        }
        self.offset = glances.offset();
    }

    fn entry(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        self.seq = stamped.seq;
        match &stamped.entry {
            Entry::Output { stream, bytes } if *stream != Stream::Stdin => {
                self.busy(at, at);
                self.activity.add(at, bytes.len() as u64, 0);
                self.counted = self.counted.saturating_add(bytes.len() as u64);
            }
            Entry::Typed { count, party, .. } => {
                self.busy(at, at);
                self.typing.typed(*party, at);
                self.activity.add(at, 0, (*count).into());
            }
            Entry::Output { bytes, .. } => {
                self.busy(at, at);
                self.activity.add(at, 0, bytes.len() as u64);
            }
            Entry::Resize(size) => self.resized(at, stamped.seq, *size),
            _ => self.meta(stamped),
        }
    }

    fn glance(&mut self, seen: Glance) {
        match seen {
            Glance::Data { at, last, seq, packed } => {
                self.busy(at, last);
                self.activity.add(at.midpoint(last), packed, 0);
                self.seq = seq;
            }
            Glance::Meta(entries) => entries.iter().for_each(|stamped| self.meta(stamped)),
            Glance::Screen { seq, at, size } => self.resized(at, seq, size),
        }
    }

    fn busy(&mut self, from: u64, to: u64) {
        let before = self.active.unwrap_or(0);
        self.idle.add(before, from);
        self.active = Some(before.max(to));
    }

    fn resized(&mut self, at: u64, seq: Seq, size: Size) {
        if self.size == Some(size) || (self.size.is_none() && !self.exact) {
            return;
        }
        let (cols, rows) = self.largest.map_or((0, 0), |most| (most.cols(), most.rows()));
        let (cols, rows) = (cols.max(size.cols()), rows.max(size.rows()));
        self.largest = Some(Size::clamped(cols.into(), rows.into()));
        self.size = Some(size);
        let text = format!("{} × {}", size.cols(), size.rows());
        self.note(Note { at, seq, kind: NoteKind::Size, text });
    }

    fn meta(&mut self, stamped: &Stamped) {
        self.seq = self.seq.max(stamped.seq);
        if let Entry::Kernel(Kernel::Did(event)) = &stamped.entry {
            self.chapters.take(event, stamped.seq);
        }
        if let Entry::People(People::Seated { party, user, .. }) = &stamped.entry {
            self.typing.names.insert(*party, user.clone());
        }
        if let Some(note) = Note::of(stamped) {
            self.note(note);
        }
    }

    fn note(&mut self, note: Note) {
        self.notes.entry(note.kind).or_default().add(note);
    }
}

impl Activity {
    fn add(&mut self, at: u64, bytes: u64, keys: u64) {
        while at / self.bucket_ms >= FILM_BUCKETS as u64 {
            self.bucket_ms = self.bucket_ms.saturating_mul(2);
            fold(&mut self.bytes);
            fold(&mut self.keys);
        }
        let place = usize::try_from(at / self.bucket_ms).unwrap_or(FILM_BUCKETS);
        for (buckets, more) in [(&mut self.bytes, bytes), (&mut self.keys, keys)] {
            if buckets.len() <= place {
                buckets.resize(place.saturating_add(1), 0);
            }
            if let Some(bucket) = buckets.get_mut(place) {
                *bucket = bucket.saturating_add(more);
            }
        }
    }
}

/// Two buckets become one.
fn fold(buckets: &mut Vec<u64>) {
    let sum = |two: &[u64]| two.iter().fold(0_u64, |sum, one| sum.saturating_add(*one));
    *buckets = buckets.chunks(2).map(sum).collect();
}

/// Stretches of time, the short ones left out.
#[derive(Debug, Clone)]
struct Stretches {
    least_ms: u64,
    all: Vec<(u64, u64)>,
}

impl Stretches {
    fn add(&mut self, from: u64, to: u64) {
        if to.saturating_sub(from) < self.least_ms {
            return;
        }
        self.all.push((from, to));
        thin(&mut self.all, FILM_IDLE, &mut self.least_ms, |(from, to)| to - from);
    }
}

/// Leaves the short ones out until there are no more than `most`.
fn thin<T>(all: &mut Vec<T>, most: usize, least_ms: &mut u64, length: impl Fn(&T) -> u64) {
    while all.len() > most {
        *least_ms = least_ms.saturating_mul(2);
        all.retain(|one| length(one) >= *least_ms);
        // A node may say of all that they lasted for ever.
        if *least_ms == u64::MAX {
            all.truncate(most);
        }
    }
}

/// Notes of one kind, spread evenly over those that there were.
#[derive(Debug, Clone)]
struct Spread {
    kept: Vec<Note>,
    seen: u64,
    /// Of so many one is kept.
    of: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { kept: Vec::new(), seen: 0, of: 1 }
    }
}

impl Spread {
    fn add(&mut self, note: Note) {
        let wanted = self.seen.is_multiple_of(self.of);
        self.seen = self.seen.saturating_add(1);
        if !wanted {
            return;
        }
        self.kept.push(note);
        if self.kept.len() > FILM_MARKS {
            let mut keep = false;
            self.kept.retain(|_| {
                keep = !keep;
                keep
            });
            self.of = self.of.saturating_mul(2);
        }
    }
}

/// Programs that ran for a while, each begun by a shell.
#[derive(Debug, Clone)]
struct Chapters {
    /// Processes in which others run.
    around: BTreeSet<u32>,
    running: BTreeMap<u32, Chapter>,
    ended: Vec<Chapter>,
    least_ms: u64,
}

impl Chapters {
    fn new() -> Self {
        Self {
            around: BTreeSet::new(),
            running: BTreeMap::new(),
            ended: Vec::new(),
            least_ms: FILM_CHAPTER_MS,
        }
    }

    fn take(&mut self, event: &KernelEvent, seq: Seq) {
        let process = event.by.process;
        match &event.action {
            Action::Ran(program) => self.ran(process, event, program, seq),
            Action::Ended { .. } => {
                self.around.remove(&process);
                if let Some(chapter) = self.running.remove(&process) {
                    self.end(Chapter { until: event.at.max(chapter.at), ..chapter });
                }
            }
            _ => {}
        }
    }

    fn ran(&mut self, process: u32, event: &KernelEvent, program: &Program, seq: Seq) {
        let first = self.around.is_empty() && self.running.is_empty() && self.ended.is_empty();
        let begun_by_shell = first || self.around.contains(&event.by.parent);
        if self.around.len().saturating_add(self.running.len()) >= FILM_RUNNING {
            return;
        }
        if AROUND.contains(&program.name()) && (begun_by_shell || self.around.contains(&process)) {
            self.around.insert(process);
        } else if let Some(chapter) = self.running.get_mut(&process) {
            chapter.text = clean(&program.line(), CHAPTER_CHARS);
        } else if begun_by_shell || self.around.remove(&process) {
            let text = clean(&program.line(), CHAPTER_CHARS);
            self.running.insert(process, Chapter { at: event.at, until: event.at, seq, text });
        }
    }

    fn end(&mut self, chapter: Chapter) {
        if chapter.until.saturating_sub(chapter.at) < self.least_ms {
            return;
        }
        self.ended.push(chapter);
        thin(&mut self.ended, FILM_CHAPTERS, &mut self.least_ms, |one| one.until - one.at);
    }

    fn all(&self, length_ms: u64) -> Vec<Chapter> {
        let mut with = Self { running: BTreeMap::new(), ..self.clone() };
        for chapter in self.running.values() {
            with.end(Chapter { until: length_ms.max(chapter.at), ..chapter.clone() });
        }
        with.ended.sort_by_key(|chapter| (chapter.at, chapter.seq));
        with.ended
    }
}

/// Who typed when.
#[derive(Debug, Clone)]
struct Typing {
    names: BTreeMap<Party, UserName>,
    /// Of each the first and the last key of each burst.
    bursts: BTreeMap<Party, Vec<(u64, u64)>>,
    count: usize,
    apart_ms: u64,
}

impl Typing {
    fn of(owner: UserName) -> Self {
        let names = [(Party::OWNER, owner)].into();
        Self { names, bursts: BTreeMap::new(), count: 0, apart_ms: FILM_BURST_MS }
    }

    fn typed(&mut self, party: Party, at: u64) {
        // Of each one burst is left, and there are as many of them as may be.
        if self.bursts.len() >= FILM_BURSTS && !self.bursts.contains_key(&party) {
            return;
        }
        let bursts = self.bursts.entry(party).or_default();
        match bursts.last_mut() {
            Some((_, until)) if at.saturating_sub(*until) < self.apart_ms => *until = at,
            _ => {
                bursts.push((at, at));
                self.count = self.count.saturating_add(1);
            }
        }
        while self.count > FILM_BURSTS {
            self.apart_ms = self.apart_ms.saturating_mul(2);
            let apart = self.apart_ms;
            for bursts in self.bursts.values_mut() {
                // The one before takes in the one behind it.
                bursts.dedup_by(|next, before| {
                    let one = apart == u64::MAX || next.0.saturating_sub(before.1) < apart;
                    before.1 = if one { next.1 } else { before.1 };
                    one
                });
            }
            self.count = self.bursts.values().map(Vec::len).sum();
        }
    }

    /// By the beginnings. Whoever typed alone needs not be told apart from anybody.
    fn all(&self) -> Vec<Burst> {
        let named = |(party, bursts)| self.names.get(party).map(|user| (user, bursts));
        let of = |(user, bursts): (&UserName, &Vec<(u64, u64)>)| -> Vec<Burst> {
            let burst = |&(at, until)| Burst { at, until, user: user.clone() };
            bursts.iter().map(burst).collect()
        };
        let mut all: Vec<_> = self.bursts.iter().filter_map(named).flat_map(of).collect();
        let first = all.first().map(|burst| burst.user.clone());
        if all.iter().all(|burst| Some(&burst.user) == first.as_ref()) {
            return Vec::new();
        }
        all.sort_by_key(|burst| burst.at);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typing(keys: &[(u16, u64)]) -> Typing {
        let mut typing = Typing::of("alice".parse().unwrap());
        typing.names.insert(Party(1), "bob".parse().unwrap());
        typing.names.insert(Party(2), "alice".parse().unwrap());
        keys.iter().for_each(|(party, at)| typing.typed(Party(*party), *at));
        typing
    }

    #[test]
    fn who_of_several_typed_is_told_by_bursts() {
        let check = |keys: &[(u16, u64)], expected: &[(&str, u64, u64)]| {
            let all = typing(keys).all();
            let all: Vec<_> =
                all.iter().map(|one| (one.user.as_str(), one.at, one.until)).collect();
            assert_eq!(all, expected);
        };
        check(&[], &[]);
        check(&[(0, 10), (0, 9_000)], &[]);
        // The owner came back by a link of their own.
        check(&[(0, 10), (2, 9_000)], &[]);
        let keys = [(0, 10), (1, 20), (0, 1_009), (0, 2_009), (1, 5_000), (1, 5_999), (0, 6_000)];
        let expected = [
            ("alice", 10, 1_009),
            ("bob", 20, 20),
            ("alice", 2_009, 2_009),
            ("bob", 5_000, 5_999),
            ("alice", 6_000, 6_000),
        ];
        check(&keys, &expected);
    }

    #[test]
    fn too_many_bursts_become_longer_ones_and_no_key_lies_outside() {
        let keys: Vec<_> =
            (0..10 * FILM_BURSTS as u64).map(|n| ((n % 2) as u16, n * 700)).collect();
        let typing = typing(&keys);
        let all = typing.all();
        assert!(all.len() <= FILM_BURSTS && typing.count == all.len(), "{}", all.len());
        let (alice, bob): (Vec<_>, Vec<_>) =
            all.iter().partition(|burst| burst.user.as_str() == "alice");
        for (party, at) in keys {
            let whose = if party == 0 { &alice } else { &bob };
            assert!(whose.iter().any(|burst| burst.at <= at && at <= burst.until), "{party} {at}");
        }
    }

    #[test]
    fn more_people_than_bursts_and_programs_that_last_for_ever_end_in_a_film() {
        let many = FILM_BURSTS as u16 + 1_000;
        let keys: Vec<_> = (0..2 * many).map(|n| (n % many, u64::from(n))).collect();
        let mut typing = typing(&keys);
        assert_eq!((typing.count, typing.bursts.len()), (FILM_BURSTS, FILM_BURSTS));
        assert_eq!(typing.bursts[&Party(7)], [(7, u64::from(many) + 7)]);
        for at in [0, u64::MAX] {
            typing.typed(Party(FILM_BURSTS as u16 - 1), at);
        }
        assert_eq!(typing.count, FILM_BURSTS);

        let (mut ended, mut least_ms) = (Vec::new(), FILM_CHAPTER_MS);
        for _ in 0..3 * FILM_CHAPTERS {
            ended.push((0, u64::MAX));
            thin(&mut ended, FILM_CHAPTERS, &mut least_ms, |(from, to)| to - from);
        }
        assert_eq!(ended.len(), FILM_CHAPTERS);
    }

    #[test]
    fn a_long_recording_has_no_more_buckets_than_a_short_one_and_no_byte_is_lost() {
        let check = |moments: &[u64]| {
            let mut activity = Activity { bucket_ms: BUCKET_MS, bytes: vec![], keys: vec![] };
            for at in moments {
                activity.add(*at, 3, 1);
            }
            assert!(activity.bytes.len() <= FILM_BUCKETS, "{}", activity.bytes.len());
            assert_eq!(activity.bytes.iter().sum::<u64>(), 3 * moments.len() as u64);
            assert_eq!(activity.keys.iter().sum::<u64>(), moments.len() as u64);
            for at in moments {
                assert!(activity.bytes[(at / activity.bucket_ms) as usize] > 0, "{at}");
            }
        };
        check(&[]);
        check(&[0, 249, 250, 149_999]);
        check(&[0, 149_999, 150_000, 36_000_000, 7]);
        check(&[u64::MAX, 0, u64::MAX / 2]);
    }

    #[test]
    fn what_is_left_out_is_counted_and_the_rest_is_spread_over_the_whole() {
        let mut spread = Spread::default();
        let many = 10 * FILM_MARKS as u64;
        for at in 0..many {
            spread.add(Note { at, seq: Seq(at), kind: NoteKind::Mark, text: String::new() });
        }
        assert!(spread.kept.len() <= FILM_MARKS && spread.kept.len() > FILM_MARKS / 3);
        assert_eq!(spread.seen, many);
        let gaps = spread.kept.windows(2).map(|two| two[1].at - two[0].at);
        assert!(gaps.clone().max() == gaps.min(), "evenly");
    }

    #[test]
    fn of_too_many_idle_stretches_the_long_ones_stay() {
        let mut idle = Stretches { least_ms: FILM_IDLE_MS, all: Vec::new() };
        let mut at = 0;
        for n in 0..4 * FILM_IDLE as u64 {
            let length = if n % 8 == 0 { 900_000 } else { FILM_IDLE_MS };
            idle.add(at, at + length);
            at += length + 1;
        }
        idle.add(at, at + FILM_IDLE_MS - 1);
        assert_eq!(idle.all.len(), FILM_IDLE / 2, "{} ms", idle.least_ms);
    }
}

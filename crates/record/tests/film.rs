//! What a player far away gets: a picture and pieces behind it draw what the recording shows, wherever they are cut, and
//! a glance at a recording says of it what reading it says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use bytes::Bytes;
use kit::streams::{Day, STREAMS, TEN_HOURS, Timed, make, stream};
use kit::{Dice, output};
use model::entry::{Entry, Stamped, Stream};
use model::limit::{FILM_EXACT_BYTES, FILM_EXACT_OUTPUT};
use model::{Seq, Size};
use record::cue::{Cue, Piece, Place, picture, piece};
use record::film::Film;
use record::note::NoteKind;
use record::{From, Glance, Recording, picture_at};
use screen::Screen;

fn recorded(session: impl IntoIterator<Item = Timed>) -> Recording<Vec<u8>> {
    Recording::open(make(1, session).file).unwrap()
}

/// A screen that is told of a recording as a browser's is: each text by itself.
struct Far {
    screen: Screen,
    place: Place,
}

impl Far {
    fn at(recording: &Recording<Vec<u8>>, ms: u64) -> Self {
        let picture = picture(recording, ms).unwrap();
        let mut screen = Screen::new(picture.size.cols(), picture.size.rows());
        screen.feed(picture.dump.as_bytes());
        Self { screen, place: picture.place }
    }

    /// Takes a piece; answers whether there is more.
    fn take(&mut self, recording: &Recording<Vec<u8>>, most: usize) -> bool {
        // What a request carries is all that is remembered.
        let asked = self.place.to_string().parse().unwrap();
        let Piece { cues, place, at, more, damage } = piece(recording, asked, most);
        assert_eq!(damage, None);
        assert!(cues.is_sorted_by_key(|cue| (cue.0, cue.1)), "in order");
        assert!(cues.last().is_none_or(|cue| cue.0 <= at), "told up to {at}");
        for (_, _, cue) in cues {
            match cue {
                Cue::Text(text) => self.screen.feed(text.as_bytes()),
                Cue::Bytes(bytes) => {
                    assert!(std::str::from_utf8(&bytes).is_err(), "text stands as text");
                    self.screen.feed(&bytes);
                }
                Cue::Size(size) => self.screen.resize(size.cols(), size.rows()),
                Cue::Note(..) => {}
            }
        }
        self.place = place;
        more
    }
}

#[test]
fn a_picture_and_what_follows_draw_the_same_screen_wherever_they_are_cut() {
    let mut dice = Dice(7);
    let latin =
        Entry::Output { stream: Stream::Pty, bytes: Bytes::from_static(b"caf\xe9 \xe2\x82") };
    let odd: Vec<Timed> = vec![
        (5, output("na")),
        (6, Entry::Output { stream: Stream::Pty, bytes: Bytes::from_static(b"\xc3") }),
        (7, Entry::Output { stream: Stream::Pty, bytes: Bytes::from_static(b"\xafve \xf0\x9f") }),
        (8, Entry::Resize(Size::clamped(40, 10))),
        (9, Entry::Output { stream: Stream::Pty, bytes: Bytes::from_static(b"\xa6\x80\r\n") }),
        (10, latin),
        (11, Entry::Output { stream: Stream::Pty, bytes: Bytes::from_static(b"\xac!\x1b]0;ti") }),
        (12, output("tle\x07\x1b[31")),
        (13, output("mred")),
    ];
    let streams = STREAMS.iter().map(|(name, packed)| (*name, stream(packed)));
    for (name, session) in streams.chain([("odd", odd)]) {
        let recording = recorded(session);
        let last = recording.length_ms();
        let end = picture_at(&recording, last).unwrap();
        let moments = (0..6).map(|_| dice.below(last as usize + 1) as u64);
        let moments: Vec<u64> = moments.chain(if last < 100 { 0..=last } else { 0..=0 }).collect();
        for ms in moments {
            let most = [1, 100, 4096, usize::MAX][dice.below(4)];
            let mut far = Far::at(&recording, ms);
            assert_eq!(
                far.screen.text(),
                picture_at(&recording, ms).unwrap().text(),
                "{name} at {ms}"
            );
            while far.take(&recording, most) {}
            assert_eq!(far.place.seq, recording.last_seq());
            assert!(far.screen == end, "{name} from {ms} by {most}:\n{:?}\n{end:?}", far.screen);
        }
    }
}

#[test]
fn a_piece_says_how_far_it_goes_when_nothing_happens() {
    let recording = recorded([(10, output("a")), (9_000, output("b")), (90_000, output("c"))]);
    let first = piece(&recording, Place::behind(Seq(0)), 1);
    assert_eq!((first.place.seq, first.at, first.more), (Seq(1), 8_999, true));
    let rest = piece(&recording, first.place, 1000);
    assert_eq!((rest.at, rest.more), (recording.length_ms(), false));
    let none = piece(&recording, rest.place, 1000);
    assert!(none.cues.is_empty() && !none.more && none.place == rest.place);
}

#[test]
fn a_glance_says_what_reading_says() {
    for file in [make(1, Day::new((TEN_HOURS.0 / 100, TEN_HOURS.1 / 100), 7)).file, story()] {
        let recording = Recording::open(file).unwrap();
        let read: Vec<Stamped> = recording.entries(From::Ms(0)).map(Result::unwrap).collect();
        let mut meta = Vec::new();
        for seen in recording.glances_at(0) {
            match seen.unwrap() {
                Glance::Data { at, last, seq, packed } => {
                    let entry = &read[seq.0 as usize - 1];
                    assert!(entry.at == last && at <= last && packed > 0);
                }
                Glance::Meta(entries) => meta.extend(entries),
                Glance::Screen { seq, at, .. } => {
                    assert_eq!(read[seq.0 as usize - 1].at, at);
                }
            }
        }
        let data = |stamped: &&Stamped| {
            !matches!(stamped.entry, Entry::Output { .. } | Entry::Typed { .. } | Entry::Resize(_))
        };
        let wanted: Vec<Stamped> = read.iter().filter(data).cloned().collect();
        assert_eq!(meta, wanted);
        let half = Seq(recording.last_seq().0 / 2);
        let from = recording.glances(half).map(Result::unwrap).next();
        assert!(from.is_some(), "it begins at a group before an entry");
    }
}

#[test]
fn of_much_output_only_the_records_are_counted() {
    let many = 1000 * FILM_EXACT_OUTPUT / 30_000_000;
    let line = "the same line again and again, as a program writes it that was forgotten\r\n";
    let text = line.repeat(30_000 / line.len() + 1);
    let recording = recorded((0..many).map(|n| (n * 100, output(&text))));
    assert!((recording.source().len() as u64) < FILM_EXACT_BYTES);
    let film = Film::of(&recording);
    assert!(!film.is_exact());
    assert!(film.activity().keys.iter().all(|keys| *keys == 0));
    assert_eq!(film.notes().last().map(|note| note.kind), Some(NoteKind::End));
}

fn story() -> Vec<u8> {
    let mut at = 0;
    let story = kit::story().into_iter().map(|(ms, entry)| {
        at += ms;
        (at, entry)
    });
    make(1, story).file
}

#[test]
fn a_film_counts_marks_and_finds_what_is_idle() {
    let recording = Recording::open(story()).unwrap();
    let film = Film::of(&recording);
    assert!(film.is_exact());
    let shown = recording.entries(From::Ms(0)).map(|entry| match entry.unwrap().entry {
        Entry::Output { bytes, .. } => bytes.len() as u64,
        _ => 0,
    });
    assert_eq!(film.activity().bytes.iter().sum::<u64>(), shown.sum::<u64>());
    assert_eq!(film.activity().keys.iter().sum::<u64>(), 5);
    let kinds: Vec<NoteKind> = film.notes().iter().map(|note| note.kind).collect();
    use NoteKind::{End, Gap, Mark, People, Size};
    assert_eq!(kinds, [People, Size, Mark, Gap, End]);
    assert!(film.folded().is_empty());
    let (idle, least) = film.idle();
    let long: Vec<u64> = idle.iter().map(|(from, to)| to - from).collect();
    assert_eq!((long, least), (vec![12_015, 31_005], 5_000), "{idle:?}");
    assert_eq!(film.largest(), Some(model::Size::clamped(100, 30)));
}

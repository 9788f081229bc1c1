//! The front before a terminal that is a screen model: whatever happens, the program's screen is what the terminal shows
//! in the end, and the program gets what was typed for it.

use super::front::{Front, Seat, Wish};
use super::menu::tests::company;
use crate::play::Key;
use bytes::Bytes;
use model::entry::Party;
use model::{SeatRole, Size, Tick};
use screen::{BAR, Canvas, Screen};
use wire::company::{Ask, Company, State, Told};

/// Random sessions of each kind.
const SEEDS: u64 = 300;
/// Things that happen in each.
const STEPS: usize = 40;
const WHERE: &[u8] = b"\x1b[6n";
/// What a program writes.
const OUTPUT: [&str; 44] = [
    "text\r\n",
    "$ ",
    "a line that is longer than any terminal here is wide, so that it wraps",
    "漢字 ünï",
    "\r\n\r\n\r\n",
    "\x1b[3;3H",
    "\x1b[H\x1b[2J",
    "\x1b[K",
    "\x1b[31;1m",
    "\x1b[48;2;1;2;3m",
    "\x1b[m",
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?1047h",
    "\x1b[?1047l",
    "\x1b7",
    "\x1b8",
    "\x1b[2;4r",
    "\x1b[r",
    "\x1b[?6l",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[?7l",
    "\x1b[?7h",
    "\x1b(0",
    "\x1b(B",
    "\x1b[?1;25l",
    "\x1b[?1;25h",
    "\x1b=",
    "\x1b[?1002;1006;2004h",
    "\x1b[?1002;1006;2004l",
    "\x1b[?5h",
    "\x1b[>4;2m",
    "\x1b[>5u",
    "\x1b[<u",
    "\x1b[4 q",
    "\x1b]2;title\x07",
    "\x1b[22;0t",
    "\x1b[23;0t",
    "\x1b[!p",
    "\x1b[6n",
    "\x1b[c",
    "\x1b[?6h",
    "\x1b[1;3",
];
/// Those of them after which it is not sure where the terminal's cursor is: it counts places from elsewhere, or is in the
/// middle of a sequence.
const UNSURE: usize = 2;

/// Marsaglia's xorshift: the same seed gives the same run.
struct Random(u64);

impl Random {
    fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn size(&mut self) -> Size {
        Size::clamped(2 + self.below(40) as u32, 1 + self.below(12) as u32)
    }
}

/// A front, the terminal behind it, and one that only the program writes to.
struct Desk {
    front: Front,
    terminal: Screen,
    alone: Screen,
    /// Whether the terminal says where its cursor is.
    answers: bool,
    /// Everything that the terminal got.
    seen: Vec<u8>,
    typed: Vec<u8>,
    wishes: Vec<Wish>,
    now: Tick,
}

impl Desk {
    /// `before` is what the terminal showed before the session.
    fn new(size: Size, before: &str, answers: bool) -> Self {
        Self::of(Seat::Owner, size, before, answers)
    }

    /// Of a session that somebody has joined, at the usual place.
    fn joined() -> Self {
        let mut desk = Self::of(Seat::Viewer, Size::clamped(60, 20), "", true);
        desk.output("\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[?2004h\x1b[3;5Hnow");
        desk
    }

    fn of(seat: Seat, size: Size, before: &str, answers: bool) -> Self {
        let (mut terminal, mut alone) =
            (Screen::new(size.cols(), size.rows()), Screen::new(size.cols(), size.rows()));
        terminal.feed(before.as_bytes());
        alone.feed(before.as_bytes());
        let (front, now) = (Front::new(seat, size, Tick(0)), Tick(0));
        let (seen, typed, wishes) = (Vec::new(), Vec::new(), Vec::new());
        let mut desk = Self { front, terminal, alone, answers, seen, typed, wishes, now };
        desk.turn();
        desk
    }

    /// Of a session with two people in it, at the usual place.
    fn usual() -> Self {
        let mut desk = Self::new(Size::clamped(60, 20), "$ scry ssh\r\n", true);
        desk.hear(Told::Company(two(State::Running)));
        desk.output("remote $ ");
        desk
    }

    /// Passes on what is to be passed on.
    fn turn(&mut self) {
        self.front.handle_timeout(self.now);
        while let Some(bytes) = self.front.poll_terminal() {
            self.seen.extend_from_slice(&bytes);
            let mut rest = bytes.as_ref();
            while let Some(at) = rest.windows(WHERE.len()).position(|window| window == WHERE) {
                // The question, too: it ends what is unfinished before it.
                let (asked, after) = rest.split_at(at + WHERE.len());
                self.terminal.feed(asked);
                rest = after;
                if self.answers {
                    let (col, row) = self.terminal.caret();
                    let answer = format!("\x1b[{};{}R", row + 1, col + 1);
                    self.front.typed(answer.as_bytes(), self.now);
                }
            }
            self.terminal.feed(rest);
        }
        while let Some(bytes) = self.front.poll_program() {
            self.typed.extend_from_slice(&bytes);
        }
        self.wishes.extend(std::iter::from_fn(|| self.front.poll()));
    }

    fn output(&mut self, text: &str) {
        self.alone.feed(text.as_bytes());
        self.front.output(Bytes::copy_from_slice(text.as_bytes()), self.now);
        self.turn();
    }

    fn type_in(&mut self, text: &str) {
        self.front.typed(text.as_bytes(), self.now);
        self.turn();
    }

    fn hear(&mut self, told: Told) {
        self.front.heard(told, self.now);
        self.turn();
    }

    /// The player shows this.
    fn film(&mut self, text: &str) {
        let (cols, rows) = self.terminal.size();
        let mut picture = Canvas::new(cols, rows);
        picture.text(0, 0, cols, text, BAR);
        self.front.filmed(picture, self.now);
        self.turn();
    }

    /// The player is over.
    fn live(&mut self, why: Option<&str>) {
        self.front.live(why.map(str::to_owned), self.now);
        self.turn();
    }

    fn resize(&mut self, size: Size) {
        self.terminal.resize(size.cols(), size.rows());
        self.alone.resize(size.cols(), size.rows());
        self.front.resized(size, self.now);
        self.turn();
    }

    /// Lets time pass, with everything done when it is due.
    fn wait(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while let Some(due) = self.front.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.turn();
        }
        self.now = until;
        self.turn();
    }

    fn end(&mut self) {
        self.front.finish(self.now);
        self.turn();
    }

    fn last_row(&self) -> String {
        self.terminal.row_text(self.terminal.size().1 - 1)
    }

    fn shows(&self, text: &str) -> bool {
        self.terminal.text().iter().any(|row| row.contains(text))
    }

    /// Panics unless the terminal is where the program alone would have brought it.
    #[track_caller]
    fn assert_alike(&mut self, what: &str) {
        for screen in [&mut self.terminal, &mut self.alone] {
            // Ends what is unfinished, and lets no mark join a character, which no terminal can be told.
            screen.feed(if screen.is_whole() { b"\x1b[?2026l" } else { b"m\x1b[?2026l" });
        }
        let dumps = [&self.terminal, &self.alone].map(Screen::dump);
        let [terminal, alone] = dumps.each_ref().map(|dump| String::from_utf8_lossy(dump));
        assert_eq!(terminal, alone, "{what}");
        assert_eq!(self.terminal.size(), self.alone.size(), "{what}");
    }
}

fn two(state: State) -> Company {
    let why = (state == State::Frozen).then(|| "carol left".to_owned());
    Company { state, why, ..company(&[(0, "alice", None), (1, "bob", Some(SeatRole::Peer))]) }
}

/// Something happens.
fn step(desk: &mut Desk, random: &mut Random, output: &[&str], resizes: bool) {
    match random.below(if resizes { 12 } else { 11 }) {
        0..=3 => {
            let count = random.below(6);
            let text: String = (0..count).map(|_| output[random.below(output.len())]).collect();
            desk.output(&text);
        }
        4 => desk.hear(Told::Happened { what: "bob joined as peer".to_owned() }),
        5 => desk.hear(Told::Company(two(if random.below(3) == 0 {
            State::Frozen
        } else {
            State::Running
        }))),
        6 | 7 => {
            let keys = [
                "\x1d", "?", "~?", "w", "cab\r", "q", "\x1b", "h1", "o", "x", "s", "p", "\r",
                "\x1b[A",
            ];
            desk.type_in(keys[random.below(keys.len())]);
        }
        8 => desk.type_in("\x1d?"),
        9 | 10 => desk.wait([1, 20, 200, 1000, 5000][random.below(5)]),
        _ => desk.resize(random.size()),
    }
}

/// Sessions of every kind, at times with more output than is kept.
fn check(answers: bool, resizes: bool) {
    for seed in 1..=SEEDS {
        let mut random = Random::of(seed);
        let mut desk = Desk::new(random.size(), "", answers);
        for n in 0..STEPS {
            step(&mut desk, &mut random, &OUTPUT, resizes);
            if n == STEPS / 2 {
                desk.output(&"flood of lines\r\n".repeat(if seed % 16 == 0 { 100_000 } else { 1 }));
            }
        }
        desk.end();
        desk.assert_alike(&format!("seed {seed}"));
    }
}

#[test]
fn whatever_was_shown_the_terminal_is_in_the_end_what_the_program_made_of_it() {
    check(true, false);
    check(true, true);
    check(false, true);
}

#[test]
fn the_same_is_so_when_the_player_comes_and_goes_in_one_s_own_session_and_in_another_s() {
    for (seat, answers) in [(Seat::Owner, true), (Seat::Viewer, true), (Seat::Viewer, false)] {
        for seed in 1..=SEEDS {
            let mut random = Random::of(seed);
            let mut desk = Desk::of(seat, random.size(), "", answers);
            for _ in 0..STEPS {
                match random.below(12) {
                    0 => desk.type_in("\x1dr"),
                    1 => desk.film("earlier"),
                    2 => desk.live((random.below(2) == 0).then_some("there is no recording")),
                    _ => step(&mut desk, &mut random, &OUTPUT, false),
                }
            }
            desk.end();
            desk.assert_alike(&format!("{seat:?}, seed {seed}"));
        }
    }
}

#[test]
fn what_the_terminal_showed_before_the_session_stays() {
    for seed in 1..=SEEDS {
        let mut random = Random::of(seed);
        let mut desk = Desk::new(random.size(), "\x1b[7mbefore\x1b[m\r\n$ 漢\r\n$ ssh\r\n", true);
        for _ in 0..STEPS {
            step(&mut desk, &mut random, &OUTPUT[..OUTPUT.len() - UNSURE], false);
        }
        desk.end();
        desk.assert_alike(&format!("seed {seed}"));
    }
}

#[test]
fn as_long_as_nothing_is_shown_the_program_s_bytes_pass_as_they_are() {
    let mut front = Front::new(Seat::Owner, Size::default(), Tick(0));
    front.heard(Told::Company(two(State::Running)), Tick(0));
    assert_eq!(front.poll_terminal().as_deref(), Some(WHERE));
    for bytes in ["\x1b[6n\x1b]52;c;aGk=\x07", "\x1b[", "2J\x05\u{e9}"] {
        front.output(Bytes::from(bytes), Tick(1));
        assert_eq!(front.poll_terminal().as_deref(), Some(bytes.as_bytes()));
        front.handle_timeout(Tick(1));
        assert_eq!((front.poll_terminal(), front.poll_timeout()), (None, None));
    }
}

#[test]
fn a_note_stands_on_the_last_row_for_a_while_and_keys_go_to_the_program_meanwhile() {
    let mut desk = Desk::usual();
    desk.hear(Told::Happened { what: "bob joined as peer".to_owned() });
    assert_eq!(desk.last_row(), " bob joined as peer");
    assert!(desk.shows("remote $"));
    desk.type_in("ls\r");
    assert_eq!(desk.typed, b"ls\r");
    desk.output("ls\r\nfile\r\n");
    desk.wait(100);
    assert!(desk.shows("file"));
    desk.wait(3_800);
    assert_eq!(desk.last_row(), " bob joined as peer");
    desk.wait(200);
    assert_eq!(desk.last_row(), "");
    assert!(desk.shows("$ scry ssh"), "what was there before: {:?}", desk.terminal.text());
    desk.assert_alike("after the note");
}

#[test]
fn a_note_covers_neither_the_cursor_nor_the_line_that_is_written() {
    let mut desk = Desk::usual();
    desk.output("\x1b[?1000h\x1b[20;1Hlast $ ");
    desk.hear(Told::Happened { what: "bob joined".to_owned() });
    assert_eq!(
        (desk.last_row().as_str(), desk.terminal.row_text(18)),
        (" bob joined", "last $".to_owned())
    );
    assert_eq!(desk.terminal.cursor(), Some((7, 18)));
    assert_eq!(desk.terminal.keys().mouse, None);
    desk.output("\x1b[H");
    desk.wait(20);
    assert_eq!(desk.terminal.cursor(), Some((0, 0)));
    assert_eq!(desk.terminal.row_text(1), "remote $");
    assert_eq!(desk.terminal.keys(), desk.alone.keys());
}

#[test]
fn several_notes_are_all_seen() {
    let mut desk = Desk::usual();
    for who in ["bob", "carol", "dave"] {
        desk.hear(Told::Happened { what: format!("{who} joined") });
    }
    let (party, user) = (Party(1), "bob".parse().unwrap());
    desk.hear(Told::Said { party, user, text: "\x1b]0;hi".to_owned() });
    for shown in [" bob joined", " carol joined", " dave joined", " bob: ·]0;hi"] {
        assert_eq!(desk.last_row(), shown);
        desk.wait(1_500);
    }
    desk.wait(2_500);
    desk.assert_alike("after them");
    // A note that comes while something is written waits for its end.
    desk.type_in("\x1dc");
    desk.hear(Told::Happened { what: "erin joined".to_owned() });
    desk.wait(20_000);
    assert_eq!(desk.last_row(), " say: ▁");
    desk.type_in("\x1b");
    assert_eq!(desk.last_row(), " erin joined");
}

#[test]
fn a_session_that_stands_still_says_so_until_it_goes_on() {
    let mut desk = Desk::usual();
    desk.hear(Told::Company(two(State::Frozen)));
    desk.wait(60_000);
    assert_eq!(desk.last_row(), " the session stands still: carol left");
    desk.hear(Told::Company(two(State::Running)));
    assert_eq!(desk.last_row(), "");
    desk.assert_alike("it goes on");
}

#[test]
fn a_note_makes_room_for_a_flood_and_comes_back() {
    let mut desk = Desk::usual();
    desk.hear(Told::Happened { what: "bob joined".to_owned() });
    for n in 0..60_000 {
        desk.output(&format!("{n} is a line that nobody must miss\r\n"));
    }
    let seen = String::from_utf8_lossy(&desk.seen);
    assert_eq!(seen.matches("nobody must miss\r\n").count(), 60_000);
    desk.wait(500);
    assert_eq!(desk.last_row(), " bob joined");
    desk.wait(5_000);
    desk.assert_alike("after the flood");
}

#[test]
fn a_note_makes_room_for_a_question_to_the_terminal_and_comes_back() {
    let mut desk = Desk::usual();
    desk.hear(Told::Happened { what: "bob joined".to_owned() });
    desk.output("x\x1b[6n");
    assert_eq!(desk.typed, b"\x1b[2;11R", "the program has its answer");
    assert_eq!(desk.last_row(), "");
    desk.wait(500);
    assert_eq!(desk.last_row(), " bob joined");
    // What asks for ever does not keep it for ever.
    for _ in 0..20 {
        desk.wait(600);
        desk.output("\x1b[c");
    }
    desk.wait(500);
    desk.assert_alike("at last");
    // Before a box it waits.
    desk.typed.clear();
    desk.type_in("\x1d?");
    desk.output("\x1b[6n");
    assert_eq!(desk.typed, b"");
    desk.type_in("q");
    assert_eq!(desk.typed, b"\x1b[2;11R");
}

/// What the program gets of what is typed, and what is wished.
fn keys(has_line: bool, typed: &str, program: &str, wishes: &[Wish]) {
    let mut desk = Desk::new(Size::default(), "", true);
    if has_line {
        desk.hear(Told::Company(two(State::Running)));
    }
    keys_at(desk, typed, program, wishes);
}

fn keys_at(mut desk: Desk, typed: &str, program: &str, wishes: &[Wish]) {
    desk.type_in(typed);
    desk.wait(100);
    assert_eq!(String::from_utf8_lossy(&desk.typed), program, "{typed:?}");
    assert_eq!(desk.wishes, wishes, "{typed:?}");
}

#[test]
fn the_escape_keys_are_for_scry_and_twice_they_are_typed() {
    keys(true, "ls ~?\r", "ls ~?\r", &[]);
    keys(true, "ls\r~?w", "ls\r", &[]);
    keys(true, "~?qls", "ls", &[]);
    keys(true, "~~", "~", &[]);
    keys(true, "~~?", "~?", &[]);
    keys(true, "~x", "~x", &[]);
    keys(true, "~", "", &[]);
    keys(true, "a\x1d\x1d?", "a\x1d?", &[]);
    keys(true, "~\x1d\x1d", "~\x1d", &[]);
    keys(true, "vi\x1b[27;5;93~\x1b[27;5;93~x", "vi\x1b[27;5;93~x", &[]);
    keys(true, "a\x1d?kb", "ab", &[]);
    keys(true, "a\x1d?\x1b[Akb", "ab", &[]);
    keys(true, "a\x1dz1b", "ab", &[Wish::Ask(Ask::OwnSize {})]);
    keys(true, "a\x1d?\x1b[?62cqb", "a\x1b[?62cb", &[]);
    keys(true, "a\x1dtb", "ab", &[Wish::Ask(Ask::TakeBack {})]);
    keys(true, "\x1d?ab", "b", &[Wish::Ask(Ask::Together {})]);
    keys(true, "\x1dh1b", "b", &[Wish::Ask(Ask::HandOver { to: Party(1) })]);
    keys(true, "\x1dchi\rb", "b", &[Wish::Ask(Ask::Say { text: "hi".to_owned() })]);
    keys(true, "\x1dxb", "", &[]);
    keys(true, "\x1dxyb", "b", &[Wish::Ask(Ask::End {})]);
    keys(true, "\x1dspqx", "x", &[Wish::Name]);
    keys(true, "~?rhqls", "ls", &[Wish::Rewind, Wish::Press(Key::Char('h')), Wish::Live]);
}

#[test]
fn who_has_joined_has_one_key_of_scry_s_and_the_node_reads_the_others() {
    let press = |ch| Wish::Press(Key::Char(ch));
    for (typed, node, wishes) in [
        ("abc\r~?\x1b[A", "abc\r~?\x1b[A", vec![]),
        ("\x1dq", "\x1dq", vec![]),
        ("a\x1d\x1db", "a\x1d\x1db", vec![]),
        ("\x1b[93;5u?", "\x1d?", vec![]),
        ("\x1d\x1b[A?", "\x1d?", vec![]),
        ("\x1b[200~\x1dr\x1b[201~", "\x1b[200~\x1dr\x1b[201~", vec![]),
        ("\r~.", "\r", vec![Wish::Leave]),
        ("r", "r", vec![]),
        (
            "\x1drx\x1b[1;2R\x1b[6;6R\x1b[?62c\x03ls",
            "ls",
            vec![Wish::Rewind, press('x'), Wish::Live],
        ),
        (
            "\x1dr\r~.\x1dls",
            "ls",
            vec![Wish::Rewind, Wish::Press(Key::Enter), press('~'), press('.'), Wish::Live],
        ),
    ] {
        keys_at(Desk::joined(), typed, node, &wishes);
    }
}

#[test]
fn the_player_stands_before_the_session_until_it_is_over_and_the_session_goes_on_behind_it() {
    let mut own = Desk::new(Size::clamped(60, 20), "", true);
    own.hear(Told::Company(two(State::Running)));
    own.output("remote $ \x1b[?1000h");
    for mut desk in [own, Desk::joined()] {
        desk.type_in("\x1dr");
        assert_eq!(desk.wishes, [Wish::Rewind]);
        assert!(desk.last_row().contains("looking for the recording"), "{}", desk.last_row());
        desk.film("earlier");
        desk.wait(20);
        assert_eq!(desk.terminal.text()[0], "earlier");
        assert_eq!((desk.last_row().as_str(), desk.terminal.keys()), ("", screen::Keys::default()));
        desk.output("\x1b[2;1Hmore\x1b[4h\x1b[6n");
        desk.type_in("q\x1b[D~.");
        desk.wait(100);
        assert!(!desk.shows("more"), "{:?}", desk.terminal.text());
        // What people say is seen here, too, for a while.
        desk.hear(Told::Company(two(State::Frozen)));
        desk.hear(Told::Happened { what: "bob left".to_owned() });
        desk.wait(20);
        assert_eq!(desk.last_row(), " bob left");
        desk.wait(5_000);
        assert_eq!(desk.last_row(), "");
        desk.hear(Told::Company(two(State::Running)));
        desk.resize(Size::clamped(70, 30));
        desk.film("earlier still");
        desk.wait(20);
        assert_eq!(desk.terminal.text()[0], "earlier still");
        assert_eq!(desk.typed, b"");
        desk.live(None);
        desk.wait(1_000);
        desk.assert_alike("back");
        // What comes late is not shown.
        desk.film("too late");
        desk.wait(1_000);
        desk.assert_alike("late");
    }
}

#[test]
fn where_there_is_nothing_to_go_back_to_a_note_says_so_and_the_session_is_there() {
    for mut desk in [Desk::usual(), Desk::joined()] {
        desk.type_in("\x1dr");
        desk.live(Some("cannot rewind: there is no recording"));
        desk.wait(20);
        assert_eq!(desk.last_row(), " cannot rewind: there is no recording");
        desk.type_in("ls");
        assert_eq!(desk.typed, b"ls");
        desk.wait(5_000);
        desk.assert_alike("afterwards");
    }
}

#[test]
fn within_a_paste_no_key_is_an_escape_key() {
    for paste in ["\x1b[200~\x1d?x\x1b[201~", "\x1b[200~a\r~.\r~?\x1b[201~"] {
        keys(true, paste, paste, &[]);
    }
}

#[test]
fn a_tilde_and_a_dot_leave_only_at_the_beginning_of_a_line() {
    for (typed, program, leaves) in [
        ("~.", "", true),
        ("ls\r~.", "ls\r", true),
        ("ls ~.", "ls ~.", false),
        ("~~.", "~.", false),
        ("~a.", "~a.", false),
        ("a~.", "a~.", false),
        ("\x1b[A~.", "\x1b[A~.", false),
    ] {
        let wishes = if leaves { vec![Wish::Leave] } else { Vec::new() };
        keys(true, typed, program, &wishes);
        keys(false, typed, program, &wishes);
    }
}

#[test]
fn without_a_line_to_the_node_every_other_key_is_the_program_s() {
    keys(false, "a\x1d?~?\r~?", "a\x1d?~?\r~?", &[]);
    let mut desk = Desk::usual();
    desk.type_in("\x1d?");
    assert!(desk.shows("who is here"));
    desk.front.alone(desk.now);
    desk.turn();
    desk.assert_alike("the line is gone");
    desk.type_in("\x1dx");
    assert_eq!(desk.typed, b"\x1dx");
}

#[test]
fn a_slow_terminal_that_is_taken_but_for_a_moment_keeps_what_it_showed() {
    let mut desk = Desk::usual();
    let before = desk.terminal.text();
    desk.answers = false;
    desk.type_in("\x1d");
    desk.wait(100);
    desk.type_in("\x1d");
    desk.output("x");
    desk.wait(100);
    assert!(!desk.shows("$ scry ssh"), "not yet: {:?}", desk.terminal.text());
    // Its answer, late.
    desk.type_in("\x1b[2;10R");
    assert_eq!(desk.terminal.text()[0], before[0]);
    assert_eq!(desk.typed, b"\x1d");
    desk.assert_alike("it was not in vain");
    // One that says nothing is waited for but once.
    desk.type_in("\x1d");
    desk.type_in("q");
    desk.wait(299);
    assert!(desk.terminal.is_alternate());
    desk.wait(1);
    assert!(!desk.terminal.is_alternate());
    desk.wait(6_000);
    desk.type_in("\x1d");
    desk.type_in("q");
    assert!(!desk.terminal.is_alternate());
}

#[test]
fn a_box_follows_the_program_and_the_size_and_hides_the_keyboard_settings() {
    let mut desk = Desk::new(Size::clamped(60, 20), "", true);
    desk.hear(Told::Company(two(State::Running)));
    desk.output("\x1b[?1049h\x1b[?1003;1006;2004h\x1b[>5uvim");
    desk.type_in("\x1d?");
    assert_eq!(desk.terminal.keys(), screen::Keys::default());
    desk.output("\x1b[Hlater");
    desk.resize(Size::clamped(70, 30));
    desk.wait(20);
    assert!(desk.shows("later") && desk.shows("h  hand the keyboard over"));
    assert_eq!(desk.terminal.size(), (70, 30));
    desk.type_in("q");
    desk.assert_alike("closed");
    // While a note is shown they are the program's.
    desk.hear(Told::Happened { what: "bob left".to_owned() });
    assert_eq!(desk.terminal.keys(), desk.alone.keys());
}

#[test]
fn while_the_connection_is_lost_the_screen_is_faint_and_nothing_is_typed_but_the_key_that_gives_up()
{
    let mut desk = Desk::usual();
    desk.type_in("\x1dc");
    desk.front.lost(desk.now);
    desk.turn();
    desk.wait(200);
    assert!(desk.last_row().contains("the connection is lost"), "{}", desk.last_row());
    let faint = |desk: &Desk| desk.terminal.row(1).next().unwrap().style.faint;
    assert!(faint(&desk) && desk.shows("remote $"));
    desk.typed.clear();
    desk.type_in("ls\r.\x1dx~\x1b[1;2R");
    desk.wait(200);
    assert!(desk.typed.is_empty() && desk.wishes.is_empty(), "{:?}", desk.wishes);
    for gives_up in ["\x1d.", "abc~."] {
        desk.type_in(gives_up);
        assert_eq!(std::mem::take(&mut desk.wishes), [Wish::Leave], "{gives_up:?}");
    }
    desk.resize(Size::clamped(70, 18));
    // Back, with a screen that the terminal knows nothing of.
    let mut now = Screen::new(70, 18);
    now.feed(b"\x1b[?1049h\x1b[?1003;1006hlater\x1b[3;3H");
    desk.front.back(desk.now);
    desk.alone = Screen::new(70, 18);
    desk.output(&String::from_utf8(screen::anew(&now)).unwrap());
    desk.wait(6_000);
    assert!(!desk.last_row().contains("lost") && desk.shows("later"));
    desk.type_in("x");
    assert_eq!(desk.typed, b"x");
    desk.alone = now;
    desk.assert_alike("back");
}

#[test]
fn who_is_lost_in_the_player_goes_on_with_it() {
    let mut desk = Desk::usual();
    desk.type_in("\x1dr");
    desk.film("earlier");
    desk.front.lost(desk.now);
    desk.turn();
    desk.wait(200);
    desk.wishes.clear();
    desk.type_in("\x1b[D");
    assert_eq!(desk.wishes, [Wish::Press(Key::Left)]);
    assert!(desk.last_row().contains("the connection is lost"), "{}", desk.last_row());
}

//! What stands before the program's picture while the owner turns to scry, and what the keys mean then.

use super::super::sessions;
use model::SeatRole;
use model::entry::Party;
use model::limit::SAID_BYTES;
use screen::Canvas;
use wire::company::{Ask, Present};
use wire::live::ListedSession;

/// People that the list of keys shows; all of them are behind `w`.
const PEOPLE: usize = 5;
/// Ctrl-C, as it is typed.
const INTERRUPT: u8 = 3;
/// What asks for help of whoever pressed the escape key.
const ESCAPED: &str = "scry: ? shows the keys, ctrl-] once more types it";
/// The same for whoever has joined: all but one of their keys are the node's to read.
const WORD: &str = "scry: r looks at earlier moments, ? shows the other keys";
/// The keys and what they do.
const KEYS: [(char, &str); 12] = [
    ('s', "share: show how others come in"),
    ('w', "who is here"),
    ('c', "say something to all"),
    ('h', "hand the keyboard over to somebody"),
    ('t', "take the keyboard back"),
    ('a', "all type together"),
    ('z', "size: have somebody's count, or yours again"),
    ('o', "show somebody out"),
    ('r', "rewind: look at earlier moments"),
    ('x', "end the session, and everything in it"),
    ('.', "leave, as ~. does"),
    ('q', "back to the program"),
];

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Menu {
    /// The escape key was pressed: the next key is for scry.
    Escaped,
    /// The same in somebody else's session: the next key is for the node, or for scry here.
    Word,
    /// The list of keys.
    Keys,
    /// Who is here.
    Who,
    /// Something that is being written, to be said.
    Says(Vec<u8>),
    /// As what others should come in.
    Share,
    /// How they come in.
    Shared(SeatRole),
    /// Somebody is chosen of these, by their place in the list, from 1.
    Choose(Choice, Vec<(Party, String)>),
    /// Whether the session is really to be ended.
    End,
}

/// What somebody is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// To type from now on.
    HandOver,
    /// To go.
    ShowOut,
    /// To have the terminal as large as theirs.
    Adopt,
}

/// What comes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Something else is shown.
    Show(Menu),
    /// Back to the program.
    Close,
    /// Back to the program, and this is asked of the node.
    Ask(Ask),
    /// Back to the program, and the node gets the escape key and this one.
    Word(u8),
    /// The player is opened at this moment.
    Rewind,
    /// The session is left.
    Leave,
}

/// What is known of the session itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Name {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// Somebody looks.
    Sought,
    /// It is this one, of a cluster.
    Known(Box<ListedSession>, String),
    /// Why it cannot be said.
    Lost(String),
}

impl Menu {
    /// What a key does.
    pub fn key(self, key: u8, people: &[Present]) -> Deed {
        match self {
            Self::Escaped | Self::Keys => begin(key, people),
            Self::Word if key == b'r' => Deed::Rewind,
            Self::Word => Deed::Word(key),
            Self::Says(text) => write(text, key),
            Self::Share => match key {
                b'o' => Deed::Show(Self::Shared(SeatRole::Observer)),
                b'p' => Deed::Show(Self::Shared(SeatRole::Peer)),
                b'm' => Deed::Show(Self::Shared(SeatRole::Moderator)),
                _ => Deed::Close,
            },
            Self::Choose(choice, people) => {
                let place = matches!(key, b'1'..=b'9').then(|| usize::from(key - b'1'));
                match (place.and_then(|place| people.get(place)), choice) {
                    (Some((to, _)), Choice::HandOver) => Deed::Ask(Ask::HandOver { to: *to }),
                    (Some((party, _)), Choice::ShowOut) => {
                        Deed::Ask(Ask::ShowOut { party: *party })
                    }
                    (Some((Party::OWNER, _)), Choice::Adopt) => Deed::Ask(Ask::OwnSize {}),
                    (Some((party, _)), Choice::Adopt) => Deed::Ask(Ask::Adopt { party: *party }),
                    (None, _) => Deed::Close,
                }
            }
            Self::End if key == b'y' => Deed::Ask(Ask::End {}),
            Self::Who | Self::Shared(_) | Self::End => Deed::Close,
        }
    }

    /// Whether it takes the last row, where notes stand else.
    pub fn is_bar(&self) -> bool {
        matches!(self, Self::Escaped | Self::Word | Self::Says(_) | Self::End)
    }

    /// Draws it over a picture.
    pub fn lay(&self, canvas: &mut Canvas, people: &[Present], name: &Name) {
        match self {
            Self::Escaped => canvas.bar(ESCAPED),
            Self::Word => canvas.bar(WORD),
            Self::Keys => canvas.boxed("scry", &keys(people)),
            Self::Who => canvas.boxed("who is here", &who(people)),
            Self::Says(text) => {
                canvas.bar(&format!("say: {}\u{2581}", String::from_utf8_lossy(text)));
            }
            Self::Share => canvas.boxed(
                "share: as what?",
                &[
                    "o  observer, to look",
                    "p  peer, to type too",
                    "m  moderator, to keep an eye on it",
                ]
                .map(str::to_owned),
            ),
            Self::Shared(seat) => canvas.boxed("how they come in", &shared(*seat, name)),
            Self::Choose(choice, people) => {
                let title = match choice {
                    Choice::HandOver => "who types from now on?",
                    Choice::ShowOut => "who has to go?",
                    Choice::Adopt => "whose size counts from now on?",
                };
                canvas.boxed(title, &choices(*choice, people));
            }
            Self::End => canvas.bar("end this session and everything in it? y, or any other key"),
        }
    }
}

fn begin(key: u8, people: &[Present]) -> Deed {
    Deed::Show(match key {
        b'?' => Menu::Keys,
        b's' => Menu::Share,
        b'w' => Menu::Who,
        b'c' => Menu::Says(Vec::new()),
        b'h' => choose(Choice::HandOver, people),
        b'o' => choose(Choice::ShowOut, people),
        b'z' => choose(Choice::Adopt, people),
        b't' => return Deed::Ask(Ask::TakeBack {}),
        b'a' => return Deed::Ask(Ask::Together {}),
        b'x' => Menu::End,
        b'r' => return Deed::Rewind,
        b'.' => return Deed::Leave,
        _ => return Deed::Close,
    })
}

/// Those who can be chosen. Who they are is kept: a number must not come to mean another before it is pressed.
fn choose(choice: Choice, people: &[Present]) -> Menu {
    let fits = |one: &&Present| match choice {
        Choice::HandOver => one.seat == Some(SeatRole::Peer),
        Choice::ShowOut => one.seat.is_some(),
        Choice::Adopt => true,
    };
    let chosen = people.iter().filter(fits);
    Menu::Choose(choice, chosen.map(|one| (one.party, person(one))).collect())
}

/// Writes at what is to be said.
fn write(mut text: Vec<u8>, key: u8) -> Deed {
    match key {
        b'\r' | b'\n' => {
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            return if text.is_empty() { Deed::Close } else { Deed::Ask(Ask::Say { text }) };
        }
        0x1b | INTERRUPT => return Deed::Close,
        0x7f | 0x08 => while text.pop().is_some_and(|byte| (0x80..0xc0).contains(&byte)) {},
        0..0x20 => {}
        key if text.len() < SAID_BYTES => text.push(key),
        _ => {}
    }
    Deed::Show(Menu::Says(text))
}

fn keys(people: &[Present]) -> Vec<String> {
    let mut lines: Vec<String> = people.iter().take(PEOPLE).map(person).collect();
    match people.len().saturating_sub(PEOPLE) {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    lines.push(String::new());
    lines.extend(KEYS.map(|(key, does)| format!("{key}  {does}")));
    lines
}

fn who(people: &[Present]) -> Vec<String> {
    people.iter().map(person).collect()
}

fn person(one: &Present) -> String {
    let seat = one.seat.map_or("owner", SeatRole::word);
    let types = if one.types { "types" } else { "looks" };
    format!("{:<20} {seat:<10} {types}", one.user)
}

fn choices(choice: Choice, people: &[(Party, String)]) -> Vec<String> {
    let none = match choice {
        Choice::HandOver => "nobody is here who could type: a peer could",
        Choice::ShowOut | Choice::Adopt => "nobody else is here",
    };
    if people.is_empty() {
        return vec![none.to_owned()];
    }
    let numbered = people.iter().zip(1..=9).map(|((_, person), at)| format!("{at}  {person}"));
    let more = people.len().saturating_sub(9);
    let more = (more > 0).then(|| format!("and {more} more: `scry company` has them all"));
    numbered.chain(more).collect()
}

fn shared(seat: SeatRole, name: &Name) -> Vec<String> {
    let (one, cluster) = match name {
        Name::Unknown | Name::Sought => return vec!["looking for this session\u{2026}".to_owned()],
        Name::Lost(why) => return vec![format!("it cannot be said at the moment: {why}")],
        Name::Known(one, cluster) => (one, cluster),
    };
    let (id, seat) = (one.session.id, seat.word());
    vec![
        format!("into {}, those whose roles let them:", sessions::place(one)),
        format!("  scry join {} --as {seat}", id.short()),
        format!("  ssh -t +{id}@{}.{cluster} {seat}", one.node),
        "others by a link, which is made with".to_owned(),
        format!("  scry share {} --as {seat} --once", id.short()),
    ]
}

#[cfg(test)]
pub mod tests {
    use super::super::super::sessions::tests::session;
    use super::*;
    use model::Time;
    use wire::company::{Company, State};

    pub fn company(people: &[(u16, &str, Option<SeatRole>)]) -> Company {
        let present = |(party, user, seat): &(u16, &str, Option<SeatRole>)| Present {
            party: Party(*party),
            user: user.parse().unwrap(),
            seat: *seat,
            since: Time(0),
            types: seat.is_none(),
        };
        let people = people.iter().map(present).collect();
        Company {
            session: None,
            state: State::Running,
            why: None,
            keyboard: None,
            size_of: None,
            people,
            file: None,
        }
    }

    fn three() -> Vec<Present> {
        let (peer, observer) = (Some(SeatRole::Peer), Some(SeatRole::Observer));
        company(&[(0, "alice", None), (3, "bob", observer), (5, "carol", peer)]).people
    }

    /// What comes of these keys, the last of which says something.
    fn check(keys: &str, expected: Deed) {
        let people = three();
        let mut menu = Menu::Escaped;
        let mut deed = Deed::Close;
        for (at, key) in keys.bytes().enumerate() {
            deed = menu.key(key, &people);
            menu = match &deed {
                Deed::Show(menu) => menu.clone(),
                _ if at + 1 == keys.len() => break,
                other => panic!("{keys:?}: {other:?} at {at}"),
            };
        }
        assert_eq!(deed, expected, "{keys:?}");
    }

    #[test]
    fn keys_do_what_the_list_says() {
        check("?", Deed::Show(Menu::Keys));
        check("?q", Deed::Close);
        check("k", Deed::Close);
        check("?\x1b", Deed::Close);
        check("w", Deed::Show(Menu::Who));
        check("wx", Deed::Close);
        check("t", Deed::Ask(Ask::TakeBack {}));
        check("?a", Deed::Ask(Ask::Together {}));
        check("?.", Deed::Leave);
        check("r", Deed::Rewind);
        check("?r", Deed::Rewind);
        check("sp", Deed::Show(Menu::Shared(SeatRole::Peer)));
        check("ss", Deed::Close);
    }

    #[test]
    fn in_another_s_session_all_keys_but_one_are_the_node_s() {
        for (key, deed) in
            [(b'r', Deed::Rewind), (b'q', Deed::Word(b'q')), (b'x', Deed::Word(b'x'))]
        {
            assert_eq!(Menu::Word.key(key, &three()), deed);
        }
    }

    #[test]
    fn what_others_must_bear_needs_a_second_key() {
        check("x", Deed::Show(Menu::End));
        check("xx", Deed::Close);
        check("?xy", Deed::Ask(Ask::End {}));
        check("h1", Deed::Ask(Ask::HandOver { to: Party(5) }));
        check("h2", Deed::Close);
        check("ho", Deed::Close);
        check("z1", Deed::Ask(Ask::OwnSize {}));
        check("z3", Deed::Ask(Ask::Adopt { party: Party(5) }));
        check("?z2", Deed::Ask(Ask::Adopt { party: Party(3) }));
        check("z4", Deed::Close);
        check("o1", Deed::Ask(Ask::ShowOut { party: Party(3) }));
        check("o2", Deed::Ask(Ask::ShowOut { party: Party(5) }));
        check("o3", Deed::Close);
        check("o0", Deed::Close);
    }

    #[test]
    fn what_is_written_is_said_at_the_end_of_the_line_and_not_otherwise() {
        let say = |text: &str| Deed::Ask(Ask::Say { text: text.to_owned() });
        check("chi\r", say("hi"));
        check("cgrüß\x7f\x7füße\t!\r", say("grüße!"));
        check("c漢\x08 \r", Deed::Close);
        check("c?q\x1b", Deed::Close);
        check("chi\x03", Deed::Close);
        check(&format!("c{}\r", "x".repeat(3 * SAID_BYTES)), say(&"x".repeat(SAID_BYTES)));
    }

    #[test]
    fn a_number_stays_with_whoever_it_was_shown_for() {
        let Deed::Show(menu) = Menu::Keys.key(b'o', &three()) else { panic!() };
        let later = company(&[(0, "alice", None), (5, "carol", Some(SeatRole::Peer))]);
        assert_eq!(menu.key(b'1', &later.people), Deed::Ask(Ask::ShowOut { party: Party(3) }));
    }

    #[test]
    fn the_box_says_who_is_here_and_how_to_come_in() {
        let one = session(0xab, "alice", "web-01", &[]);
        let id = one.session.id;
        let known = Name::Known(Box::new(one), "example.org".to_owned());
        let check = |menu: Menu, name: &Name, expected: &[&str]| {
            let mut canvas = Canvas::new(80, 24);
            menu.lay(&mut canvas, &three(), name);
            let rows: Vec<String> = (0..24).map(|row| canvas.row_text(row)).collect();
            for text in expected {
                assert!(rows.iter().any(|row| row.contains(text)), "{text:?} in {rows:#?}");
            }
        };
        check(
            Menu::Keys,
            &known,
            &["alice                owner      types", "h  hand the keyboard"],
        );
        check(Menu::Who, &known, &["bob                  observer   looks"]);
        let join = "scry join abababab --as peer".to_owned();
        let ssh = format!("ssh -t +{id}@web-01.example.org peer");
        check(Menu::Shared(SeatRole::Peer), &known, &[&join, &ssh]);
        check(
            Menu::Shared(SeatRole::Observer),
            &known,
            &["scry share abababab --as observer --once"],
        );
        check(Menu::Shared(SeatRole::Peer), &Name::Sought, &["looking for"]);
        check(Menu::Shared(SeatRole::Peer), &Name::Lost("why".into()), &["why"]);
        check(Menu::Choose(Choice::HandOver, Vec::new()), &known, &["nobody is here who"]);
        let crowd = |count: u16| (1..=count).map(|at| (Party(at), format!("user-{at}"))).collect();
        let shown = &["9  user-9", "and 3 more: `scry company`"];
        check(Menu::Choose(Choice::ShowOut, crowd(12)), &known, shown);
        let key = |key| Menu::Choose(Choice::ShowOut, crowd(12)).key(key, &[]);
        assert!(matches!(key(b'9'), Deed::Ask(Ask::ShowOut { party: Party(9) })));
        assert!(matches!(key(b':'), Deed::Close));
        check(Menu::Says(b"gr\xc3\xbc\xc3".to_vec()), &known, &["say: grü"]);
    }
}

//! `scry sessions`, and finding the one session that somebody means.

use super::profile::Profile;
use super::{nodes, reach, recordings};
use crate::cli::Show;
use crate::show;
use anyhow::{Result, bail};
use comfy_table::Color;
use wire::live::{ListLive, ListedSession, LiveState, Present};
use wire::node::{ListNodes, Node};

/// Columns of a program or command in the table.
const RUNS_COLUMNS: usize = 40;
/// Columns of the others in a session.
const WITH_COLUMNS: usize = 60;
/// Columns of how a session stands.
const WHY_COLUMNS: usize = 60;
/// Columns of the names of nodes that are away.
const AWAY_COLUMNS: usize = 200;
/// Sessions that an error lists.
const CANDIDATES: usize = 10;

/// `scry sessions`.
pub async fn ls(show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let sessions = client.call(&ListLive {}).await?;
    if show_.json {
        show::json(&sessions)?;
    } else if sessions.is_empty() {
        show::remark(
            "No session goes on that is yours or that you may join. `scry ssh NODE` opens one, \
             `scry recordings ls` lists those that have ended.",
        );
    } else {
        show::styled(table(&sessions));
    }
    // Of the sessions all is said; this is beside them.
    let known = client.call(&ListNodes {}).await.unwrap_or_default();
    let away = |node: &&Node| nodes::is_away(node, show::now());
    let away: Vec<_> = known.iter().filter(away).map(|node| node.name.as_str()).collect();
    if !away.is_empty() {
        let names = show::clean(&away.join(", "), AWAY_COLUMNS);
        show::remark(format!("What goes on at nodes that are away is not listed: {names}."));
    }
    Ok(())
}

fn table(sessions: &[ListedSession]) -> comfy_table::Table {
    let mut table = show::table(&[
        "SESSION",
        "USER",
        "LOGIN@NODE",
        "SINCE",
        "RUNS",
        "WITH",
        "STATE",
        "JOIN AS",
    ]);
    for one in sessions {
        let colours = [Some(Color::Cyan), None, None, None, None, None, state_colour(one), None];
        let cells = cells(one).into_iter().zip(colours);
        table.add_row(cells.map(|(text, colour)| show::cell(text, colour)));
    }
    table
}

/// The one session that is meant by its id, the beginning of it, `USER` or `USER@NODE`.
pub async fn find(client: &reach::Auth, text: &str) -> Result<ListedSession> {
    pick(client.call(&ListLive {}).await?, text.trim())
}

/// Whose it is, and where.
pub fn place(one: &ListedSession) -> String {
    format!("{}@{}", one.session.login, one.node)
}

fn pick(sessions: Vec<ListedSession>, text: &str) -> Result<ListedSession> {
    let (mut found, rest): (Vec<_>, Vec<_>) =
        sessions.into_iter().partition(|one| begins_so(one, text));
    let of_them = rest.into_iter().filter(|one| is_of(one, text));
    // Of what somebody has running, what can be joined is meant.
    let (joinable, others): (Vec<_>, Vec<_>) = of_them.partition(|one| !one.may_join.is_empty());
    found.extend(if joinable.is_empty() { others } else { joinable });
    match found.pop() {
        None => bail!(
            "no session that you may see is {text:?}: say its id, the beginning of it, USER or \
             USER@NODE, as `scry sessions` lists them"
        ),
        Some(one) if found.is_empty() => Ok(one),
        Some(one) => {
            found.push(one);
            bail!("several sessions are {text:?}; say which, by its id:\n{}", candidates(&found))
        }
    }
}

fn begins_so(one: &ListedSession, text: &str) -> bool {
    let digits = |text: &str| text.replace('-', "").to_ascii_lowercase();
    let wanted = digits(text);
    !wanted.is_empty() && digits(&one.session.id.to_string()).starts_with(&wanted)
}

/// Both forms as texts: a user's name may hold an `@` of its own.
fn is_of(one: &ListedSession, text: &str) -> bool {
    let user = one.session.user.as_str();
    user == text
        || text.strip_prefix(user).and_then(|rest| rest.strip_prefix('@'))
            == Some(one.node.as_str())
}

/// Those it could be, one a line, by ids that tell them apart.
pub fn candidates(found: &[ListedSession]) -> String {
    let alike = |one: &ListedSession| {
        found.iter().filter(|other| other.session.id.short() == one.session.id.short()).count() > 1
    };
    let mut lines: Vec<_> = found
        .iter()
        .take(CANDIDATES)
        .map(|one| {
            let [short, user, place, since, runs, ..] = cells(one);
            let id = if alike(one) { one.session.id.to_string() } else { short };
            format!("  {id}  {user}  {place}  since {since}  {runs}")
        })
        .collect();
    let more = found.len().saturating_sub(CANDIDATES);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines.join("\n")
}

/// A row of the table.
fn cells(one: &ListedSession) -> [String; 8] {
    let session = &one.session;
    let runs = match &session.runs {
        Some(program) => show::clean(program, RUNS_COLUMNS),
        None => recordings::what(&session.kind),
    };
    let seats: Vec<_> = one.may_join.iter().map(|seat| seat.word()).collect();
    [
        session.id.short(),
        session.user.to_string(),
        place(one),
        show::moment(session.since),
        runs,
        show::clean(&with(&session.people), WITH_COLUMNS),
        match &session.why {
            Some(why) => show::clean(&format!("{}: {why}", session.state.word()), WHY_COLUMNS),
            None => session.state.word().to_owned(),
        },
        or_dash(seats.join(", ")),
    ]
}

/// The others in a session, each with their seat.
fn with(people: &[Present]) -> String {
    let others =
        people.iter().filter_map(|present| Some(format!("{} ({})", present.user, present.seat?)));
    or_dash(others.collect::<Vec<_>>().join(", "))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "–".to_owned() } else { text }
}

fn state_colour(one: &ListedSession) -> Option<Color> {
    Some(match one.session.state {
        LiveState::Waiting => Color::Yellow,
        LiveState::Running => Color::Green,
        LiveState::Frozen => Color::Blue,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use model::entry::Party;
    use model::{Kind, SeatRole, SessionId, Time};
    use wire::live::LiveSession;

    /// A session whose id begins with `id` twice in hexadecimal.
    pub fn session(id: u8, user: &str, node: &str, may_join: &[SeatRole]) -> ListedSession {
        let session = LiveSession {
            id: SessionId::from_random([id; 16]),
            user: user.parse().unwrap(),
            roles: Vec::new(),
            login: "root".parse().unwrap(),
            kind: Kind::Shell,
            since: Time(1_790_000_000_000),
            client: "192.0.2.1".to_owned(),
            runs: None,
            state: LiveState::Running,
            why: None,
            joinable: true,
            people: Vec::new(),
        };
        ListedSession { node: node.parse().unwrap(), session, may_join: may_join.to_vec() }
    }

    fn some() -> Vec<ListedSession> {
        let look = &[SeatRole::Observer];
        vec![
            session(0xab, "alice", "web-01", look),
            session(0xac, "alice", "db-01", look),
            session(0x12, "bob", "web-01", look),
            session(0x13, "bob", "web-01", &[]),
            session(0xfa, "carol@lab", "web-01", look),
            session(0xfb, "dave", "web-01", &[]),
            session(0xfc, "ab", "mail-01", look),
            session(0xfd, "fade", "mail-01", look),
        ]
    }

    #[test]
    fn a_session_is_meant_by_its_id_a_beginning_of_it_or_whose_it_is() {
        let whole = session(0xab, "alice", "web-01", &[]).session.id.to_string();
        let plain = whole.replace('-', "").to_ascii_uppercase();
        for (text, expected) in [
            (whole.as_str(), 0xab),
            (plain.as_str(), 0xab),
            ("ac", 0xac),
            ("acacacac-ac", 0xac),
            ("alice@db-01", 0xac),
            ("bob", 0x12),
            ("bob@web-01", 0x12),
            ("13", 0x13),
            ("carol@lab", 0xfa),
            ("carol@lab@web-01", 0xfa),
            ("dave", 0xfb),
            ("fade", 0xfd),
            ("ab@mail-01", 0xfc),
        ] {
            let found = pick(some(), text).unwrap();
            assert_eq!(found.session.id, session(expected, "x", "x", &[]).session.id, "{text}");
        }
    }

    #[test]
    fn what_is_none_or_several_is_told_with_what_it_could_be() {
        for text in
            ["", "-", "nobody", "alice@", "alice@web", "@web-01", "carol", "abz", "\u{1b}[2J"]
        {
            let words = pick(some(), text).unwrap_err().to_string();
            assert!(
                words.contains("scry sessions") && !words.contains('\u{1b}'),
                "{text}: {words}"
            );
        }
        // An id that begins like the name of somebody: nobody is taken for the other.
        for (text, ids) in [("alice", ["abababab", "acacacac"]), ("ab", ["abababab", "fcfcfcfc"])] {
            let words = pick(some(), text).unwrap_err().to_string();
            assert!(ids.iter().all(|id| words.contains(id)), "{words}");
            assert_eq!(words.lines().count(), 3, "{words}");
            assert!(!words.contains("bob"), "{words}");
        }
        let mut twins = vec![session(0xab, "alice", "web-01", &[]); CANDIDATES + 2];
        twins[0].session.user = "bob".parse().unwrap();
        let words = pick(twins, "ab").unwrap_err().to_string();
        assert!(words.contains("abababab-abab-") && words.ends_with("and 2 more"), "{words}");
    }

    #[test]
    fn a_row_says_what_runs_with_whom_and_how_one_may_join() {
        let check = |change: &dyn Fn(&mut ListedSession), column: usize, shown: &str| {
            let mut one = session(0xab, "alice", "web-01", &[]);
            change(&mut one);
            assert_eq!(cells(&one)[column], shown);
        };
        let present = |party, user: &str, seat| {
            let (user, since) = (user.parse().unwrap(), Time(0));
            Present { party, user, seat, since, types: false }
        };
        check(&|_| (), 0, "abababab");
        check(&|_| (), 2, "root@web-01");
        check(&|_| (), 4, "shell");
        check(
            &|one| one.session.kind = Kind::Exec { command: "make\u{1b}[2J".into() },
            4,
            "make·[2J",
        );
        check(&|one| one.session.runs = Some("vim".into()), 4, "vim");
        check(&|one| one.session.runs = Some("\u{1b}[2J".into()), 4, "·[2J");
        check(&|_| (), 5, "–");
        check(&|one| one.session.people = vec![present(Party::OWNER, "alice", None)], 5, "–");
        let full = |one: &mut ListedSession| {
            one.session.people = vec![
                present(Party::OWNER, "alice", None),
                present(Party(1), "bob", Some(SeatRole::Peer)),
                present(Party(2), "carol", Some(SeatRole::Moderator)),
            ];
        };
        check(&full, 5, "bob (peer), carol (moderator)");
        check(&|one| one.session.state = LiveState::Frozen, 6, "frozen");
        let file = |one: &mut ListedSession| one.session.why = Some("a file\u{1b}[2J waits".into());
        check(&file, 6, "running: a file·[2J waits");
        check(&|_| (), 7, "–");
        check(&|one| one.may_join = SeatRole::ALL.to_vec(), 7, "observer, peer, moderator");
    }
}

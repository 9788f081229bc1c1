//! What comes of each message that a page can send about a terminal: of the first, and of those from a seat; and of the
//! WebSocket of a live stream.

use super::Caller;
use super::asks::{Whose, every_ask};
use super::things::Things;
use house::asker::{Asker, upgrade};
use model::entry::Party;
use model::{NodeName, SeatRole, SessionId};
use std::time::Duration;
use tokio::time::timeout;
use wire::asciinema::alis::PROTOCOL;
use wire::company::Ask;
use wire::web::{FromPage, TERMINAL_PROTOCOL};

/// How long an answer is waited for where none may come.
const A_MOMENT: Duration = Duration::from_millis(50);
/// How answers begin that say what became of something, in a word.
const WORDS: &[(&str, &str)] = &[
    ("told", "{\"told\":{\"told\":\"company\""),
    ("done", "{\"told\":{\"told\":\"done\""),
    ("refused", "{\"told\":{\"told\":\"refused\""),
    ("closed", "{\"closed\""),
];

/// A row a message, with a cell for each of them.
type Row = (String, Vec<String>);

/// All rows. The last message ends alice's session, if it is hers.
pub(super) async fn rows(things: &Things<'_>, callers: &[Caller]) -> Vec<Row> {
    let (firsts, attach, later) = messages(things);
    let mut rows = Vec::new();
    for (name, message) in firsts {
        rows.push((name.to_owned(), of_first(things, callers, &message).await));
    }
    rows.extend(of_later(things, callers, &later).await);
    rows.push(("alice's as her own".to_owned(), of_first(things, callers, &attach).await));
    rows.push(("alice's recording as a live stream".to_owned(), streams(things, callers).await));
    rows
}

/// What pages ask for at first; for alice's session as one's own, too; and what they ask for who have come by a link for
/// guests, with whose it is.
type Messages = (Vec<(&'static str, FromPage)>, FromPage, Vec<(FromPage, Whose)>);

fn messages(things: &Things<'_>) -> Messages {
    let (cols, rows) = (80, 24);
    let node: NodeName = house::NODE.parse().unwrap();
    let session: SessionId = things.live.parse().unwrap();
    let (login, seat) = (things.login.parse().unwrap(), Some(SeatRole::Observer));
    let link = |code: &str| {
        let (code, name) = (code.to_owned(), Some("x".to_owned()));
        FromPage::Link { code, name, cols, rows }
    };
    let firsts = vec![
        ("a new session", FromPage::Open { node: node.clone(), login, cols, rows }),
        ("alice's by a seat", FromPage::Join { node: node.clone(), session, seat, cols, rows }),
        ("another size, before anything", FromPage::Resize { cols, rows }),
        ("how much was read, before anything", FromPage::Read { bytes: 1 }),
        ("who is there, before anything", FromPage::Ask(Ask::Who {})),
        ("to leave, before anything", FromPage::Leave {}),
        ("by a link for erin", link(&things.erins_code)),
        ("by a link for guests", link(&things.guests_code)),
    ];
    let attach = FromPage::Attach { node, session, cols, rows };
    let asks = every_ask(Party::OWNER).into_iter();
    let mut later: Vec<_> = asks.map(|(ask, whose)| (FromPage::Ask(ask), whose)).collect();
    later.extend([
        (FromPage::Resize { cols: 33, rows: 7 }, Whose::All),
        (FromPage::Read { bytes: u64::MAX }, Whose::All),
        (FromPage::Leave {}, Whose::All),
    ]);
    let all = firsts.iter().map(|(_, first)| first).chain([&attach]);
    has_each!(all, FromPage: Open, Attach, Join, Link, Resize, Read, Ask, Leave);
    (firsts, attach, later)
}

/// Opens the WebSocket; answers the status where there is none.
async fn opened(things: &Things<'_>, caller: &Caller) -> Result<Asker, String> {
    let mut asker = things.browser(caller.badge.as_ref());
    let headers = [&caller.headers[..], &upgrade(TERMINAL_PROTOCOL)].concat();
    let answered = asker.ask("GET", "/v1/web/terminal", &headers, "").await;
    if answered.status == 101 { Ok(asker) } else { Err(answered.status.to_string()) }
}

/// Sends a first message; answers whether it opened a terminal.
async fn begins(asker: &mut Asker, message: &FromPage, by: &Caller) -> bool {
    let text = serde_json::to_string(message).unwrap();
    let first = asker.converse(&text, &["{\"opened\"", "{\"closed\""]).await;
    first.unwrap_or_else(|| panic!("{} gets no word: {text}", by.name)).starts_with("{\"opened\"")
}

async fn of_first(things: &Things<'_>, callers: &[Caller], message: &FromPage) -> Vec<String> {
    let mut row = Vec::new();
    for caller in callers {
        let mut asker = match opened(things, caller).await {
            Ok(asker) => asker,
            Err(status) => {
                row.push(status);
                continue;
            }
        };
        let is_open = begins(&mut asker, message, caller).await;
        row.push(if is_open { "opened" } else { "closed" }.to_owned());
        if is_open && !matches!(message, FromPage::Link { .. }) {
            told(&mut asker, &FromPage::Leave {}).await;
        }
    }
    row
}

/// What they are told who have come by a link for guests, to look on, and then ask for this, one after the other.
async fn of_later(
    things: &Things<'_>,
    callers: &[Caller],
    messages: &[(FromPage, Whose)],
) -> Vec<Row> {
    let name = |it: &FromPage| format!("  then {}", serde_json::to_string(it).unwrap());
    let mut rows: Vec<Row> = messages.iter().map(|(it, _)| (name(it), Vec::new())).collect();
    let (code, called) = (things.guests_code.clone(), Some("x".to_owned()));
    let link = FromPage::Link { code, name: called, cols: 80, rows: 24 };
    for caller in callers {
        let mut seat = opened(things, caller).await;
        if let Ok(asker) = &mut seat
            && !begins(asker, &link, caller).await
        {
            seat = Err("closed".to_owned());
        }
        for ((_, row), (message, whose)) in rows.iter_mut().zip(messages) {
            row.push(match &mut seat {
                Err(word) => word.clone(),
                Ok(asker) => {
                    let said = told(asker, message).await;
                    let denied = whose.denies(Some(SeatRole::Observer));
                    assert_eq!(said == "refused", denied, "{} by {message:?}: {said}", caller.name);
                    said.to_owned()
                }
            });
        }
    }
    rows
}

/// Sends something in a seat; answers in a word what they are told. What is never answered is followed by the question who is
/// there, which is.
async fn told(asker: &mut Asker, message: &FromPage) -> &'static str {
    let text = |it: &FromPage| serde_json::to_string(it).unwrap();
    let mut sent = text(message);
    if matches!(message, FromPage::Resize { .. } | FromPage::Read { .. }) {
        let _ = timeout(A_MOMENT, asker.converse(&sent, &[])).await;
        sent = text(&FromPage::Ask(Ask::Who {}));
    }
    // Who is there is told at each change, too.
    let asks_who = sent == text(&FromPage::Ask(Ask::Who {}));
    let words = || WORDS.iter().filter(move |(word, _)| *word != "told" || asks_who);
    let until: Vec<&str> = words().map(|(_, begins)| *begins).collect();
    let said = asker.converse(&sent, &until).await.unwrap_or_default();
    let word = words().find(|(_, begins)| said.starts_with(*begins));
    word.map_or("nothing", |(word, _)| *word)
}

/// What each of them is told on the WebSocket of a live stream, with alice's own ticket.
async fn streams(things: &Things<'_>, callers: &[Caller]) -> Vec<String> {
    let path = format!("/v1/recordings/{}/alis?ticket={}", things.stored[0], things.ticket);
    let mut row = Vec::new();
    for caller in callers {
        let mut asker = things.browser(caller.badge.as_ref());
        let headers = [&caller.headers[..], &upgrade(PROTOCOL)].concat();
        let answered = asker.ask("GET", &path, &headers, "").await;
        row.push(match answered.status {
            101 => match asker.converse("", &["ALiS"]).await {
                Some(_) => "opened".to_owned(),
                None => "closed".to_owned(),
            },
            status => status.to_string(),
        });
    }
    row
}

//! Search through all recordings: whose, what of them, in which order, how much at once, and what the ledger hears.

use super::film::{get, ship};
use super::house::{House, Node, Person, Tape, fault, heading, user};
use super::surf::Surf;
use http_body_util::BodyExt;
use link::http::Client;
use model::entry::{Ending, Entry, Forward, Stream};
use model::kernel::{Action, Doer, Kernel, KernelEvent, Named};
use model::limit::{HITS_OF_ALL, HITS_OF_ONE};
use model::role::Forwarding;
use model::{Heading, Kind, LockTarget, SessionId, Size, Tick};
use record::Writer;
use std::time::{Duration, Instant};
use wire::Fault;
use wire::audit::ListAudit;
use wire::lock::AddLock;
use wire::node::{Looked, LookedAt, News, Part};
use wire::people::SetRole;
use wire::recording::{RecordingFacts, RemoveRecording};
use wire::search::{Moment, SearchedEnd, SearchedLine, Unread, What};

/// What was told.
#[derive(Debug, Default)]
struct Told {
    recordings: Vec<RecordingFacts>,
    hits: Vec<Moment>,
    more: Vec<SessionId>,
    unread: Vec<Unread>,
    end: Option<SearchedEnd>,
}

impl Told {
    fn of(text: &str) -> Self {
        let mut told = Self::default();
        for line in text.lines() {
            assert!(told.end.is_none(), "the end is the last line");
            match serde_json::from_str(line).unwrap() {
                SearchedLine::Recording(facts) => told.recordings.push(*facts),
                SearchedLine::Hit(hit) => {
                    let current = told.recordings.last().map(|facts| facts.id);
                    assert_eq!(current, Some(hit.id), "its recording was told before");
                    told.hits.push(hit);
                }
                SearchedLine::More(more) => told.more.push(more.id),
                SearchedLine::Unread(unread) => told.unread.push(unread),
                SearchedLine::Reached(reached) => assert!(reached.looked <= reached.of),
                SearchedLine::End(end) => told.end = Some(end),
            }
        }
        told
    }

    fn ids(&self) -> Vec<SessionId> {
        self.recordings.iter().map(|facts| facts.id).collect()
    }

    fn texts(&self) -> Vec<&str> {
        self.hits.iter().map(|hit| hit.text.as_str()).collect()
    }
}

async fn search(client: &Client, how: &str) -> Told {
    let told = Told::of(&get(client, &format!("/v1/search?{how}")).await.unwrap());
    assert!(told.end.is_some(), "it is not cut off");
    told
}

/// A recording of these entries, begun so many hundredths of a second ago.
fn tape(
    node: &Node,
    id: u8,
    owner: &str,
    ago: i64,
    change: fn(&mut Heading),
    entries: &[Entry],
) -> Tape {
    let mut heading = heading(id, owner, &node.name, "lab", node.signer.clone());
    heading.started = heading.started.plus_ms(-ago * 10);
    change(&mut heading);
    let mut writer = Writer::begin(&heading, node.key.clone(), Tick(0));
    for (entry, second) in entries.iter().zip(0..) {
        writer.handle(entry.clone(), Tick(second * 1000));
    }
    writer.end(Ending::Exit { status: 0 }, Tick(entries.len() as u64 * 1000));
    let mut records = Vec::new();
    while let Some(sealed) = writer.poll() {
        records.push((sealed.bytes.to_vec(), sealed.head.records));
    }
    Tape { id: heading.id, records }
}

fn output(text: &str) -> Entry {
    Entry::Output { stream: Stream::Pty, bytes: text.to_owned().into() }
}

async fn keep(node: &Node, tape: &Tape) {
    ship(node, tape, 0, tape.records.len()).await;
}

/// Recordings of `alice` and `bob`, the newest last: each shows `needle` and a word of its own.
async fn two(web: &Node) -> (Tape, Tape) {
    let alice = tape(web, 1, "alice", 200, |_| (), &[output("alice needle\r\n")]);
    let bob = tape(web, 2, "bob", 100, |_| (), &[output("bob needle\r\n")]);
    for tape in [&alice, &bob] {
        keep(web, tape).await;
    }
    (alice, bob)
}

async fn ledger(admin: &Person, word: &str) -> Vec<serde_json::Value> {
    let call = ListAudit { word: Some(word.into()), ..ListAudit::default() };
    let rows = admin.client.call(&call).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.event).unwrap()).collect()
}

fn role(name: &str, recordings: &str) -> SetRole {
    let role = format!(r#"{{"name":"{name}","allow":{{"recordings":{{{recordings}}}}}}}"#);
    SetRole { role: serde_json::from_str(&role).unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_finds_only_what_one_may_play_and_learns_nothing_of_the_rest() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let (alices, bobs) = two(&web).await;
    for (name, recordings) in [
        ("own", r#""list":"own","play":"own""#),
        // Whoever may list all, and play only their own, is told of no other's content.
        ("lists", r#""list":"all","play":"own""#),
        ("plays", r#""list":"all","play":"all""#),
        ("none", r#""list":"all""#),
        ("elsewhere", r#""list":"all","play":{"nodes":{"env":["test"]}}"#),
        ("here", r#""list":"all","play":{"nodes":{"env":["prod"]}}"#),
    ] {
        admin.client.call(&role(name, recordings)).await.unwrap();
    }
    let all = vec![bobs.id, alices.id];
    for (name, role, expected) in [
        ("alice", "own", vec![alices.id]),
        ("bob", "lists", vec![bobs.id]),
        ("carol", "plays", all.clone()),
        ("dave", "none", vec![]),
        ("erin", "elsewhere", vec![]),
        ("frank", "here", all.clone()),
    ] {
        let person = house.person(&admin, name, &[role]).await;
        let told = search(&person.client, "for=needle").await;
        assert_eq!(told.ids(), expected, "{name}");
        let end = told.end.unwrap();
        assert_eq!((end.more, end.unread), (false, 0));
        // Nor is it said how many there are that one may not play.
        assert_eq!(end.reached.of, expected.len() as u64, "{name}");
        // Not by name either, nor by a place in the list.
        if !expected.contains(&bobs.id) {
            for how in
                ["for=needle&user=bob", &format!("for=needle&after=9999999999999.{}.0", bobs.id)]
            {
                let text = get(&person.client, &format!("/v1/search?{how}")).await.unwrap();
                assert!(!text.contains("bob"), "{name}, {how}: {text}");
            }
        }
    }
    let nobody = house.client(None).await;
    assert_eq!(fault(get(&nobody, "/v1/search?for=needle").await), Fault::Unauthenticated);
    assert_eq!(fault(get(&web.client, "/v1/search?for=needle").await), Fault::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_connections_and_what_was_left_running_are_searched_newest_first_by_conditions() {
    let house = House::start().await;
    let admin = house.admin().await;
    let (web, db) = (house.node("web-01").await, house.node("db-01").await);
    let by = Doer {
        process: 7,
        parent: 1,
        uid: 0,
        euid: 0,
        audit: None,
        name: "sh".into(),
        stray: false,
    };
    let file = Named { path: "/srv/needle".into(), ..Named::default() };
    let action =
        Action::Changed { call: "unlinkat".into(), file, other: None, numbers: vec![], error: 0 };
    let removed = KernelEvent { at: 0, by, action, times: 1 };
    let forward = Forward::Opened {
        id: 1,
        what: Forwarding::Local,
        target: "needle.example:22".into(),
        by: "127.0.0.1:1".into(),
    };
    let session = tape(
        &web,
        1,
        "alice",
        400,
        |_| (),
        &[output("a needle\r\n"), Entry::Kernel(Kernel::Did(Box::new(removed)))],
    );
    let connection =
        tape(&web, 2, "alice", 300, |it| it.kind = Kind::Connection, &[Entry::Forward(forward)]);
    let after = tape(
        &db,
        3,
        "bob",
        200,
        |it| it.kind = Kind::Aftermath { of: SessionId::from_random([1; 16]) },
        &[output("still needle\r\n")],
    );
    let exec = tape(
        &db,
        4,
        "bob",
        100,
        |it| {
            it.kind = Kind::Exec { command: "make needle".into() };
            it.login = "daemon".parse().unwrap();
        },
        &[output("nothing\r\n")],
    );
    for tape in [&session, &connection] {
        keep(&web, tape).await;
    }
    for tape in [&after, &exec] {
        keep(&db, tape).await;
    }
    let client = &admin.client;
    let told = search(client, "for=NEEDLE").await;
    assert_eq!(told.ids(), [exec.id, after.id, connection.id, session.id]);
    let hits: Vec<_> =
        told.hits.iter().map(|hit| (hit.what, hit.did.as_str(), hit.text.as_str())).collect();
    assert_eq!(
        hits,
        [
            (What::Commands, "asked for", "make needle"),
            (What::Screen, "", "still needle"),
            (What::Connections, "local to", "needle.example:22"),
            (What::Screen, "", "a needle"),
            (What::Files, "removed", "/srv/needle"),
        ]
    );
    assert_eq!(told.end.unwrap().hits, 5);
    let begun = told.recordings[2].started.0;
    for (how, expected) in [
        ("for=NEEDLE&case=1".to_owned(), vec![]),
        ("for=n.edle&regex=1&what=screen".into(), vec![after.id, session.id]),
        ("for=needle&what=commands,connections".into(), vec![exec.id, connection.id]),
        ("for=needle&what=files".into(), vec![session.id]),
        ("for=needle&user=bob".into(), vec![exec.id, after.id]),
        ("for=needle&node=web-01&user=alice".into(), vec![connection.id, session.id]),
        ("for=needle&login=daemon".into(), vec![exec.id]),
        (format!("for=needle&since={begun}"), vec![exec.id, after.id, connection.id]),
        (format!("for=needle&until={begun}"), vec![session.id]),
    ] {
        assert_eq!(search(client, &how).await.ids(), expected, "{how}");
    }
    for wrong in [
        "",
        "for=",
        "for=a&what=",
        "for=a&what=screen,else",
        "for=a&user=not%20a%20name%0a",
        "for=a&since=x",
        "for=a&until=99999999999999999999",
        "for=a&after=7",
        "for=a(&regex=1",
    ] {
        let answer = get(client, &format!("/v1/search?{wrong}")).await;
        assert_eq!(fault(answer), Fault::Malformed, "{wrong}");
    }
    let many = "x".repeat(model::limit::SEARCH_CHARS + 1);
    assert_eq!(fault(get(client, &format!("/v1/search?for={many}")).await), Fault::Malformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_tells_so_many_hits_and_where_there_are_more_and_an_answer_goes_on_in_the_next()
{
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let lines = |count: usize| -> Vec<Entry> {
        (0..count).map(|n| output(&format!("needle {}\r\n", "x".repeat(n)))).collect()
    };
    // Exactly as many as are told is not more than are told.
    let (exact, over) = (lines(HITS_OF_ONE), lines(HITS_OF_ONE + 1));
    // More than one answer holds, in recordings that tell each as many as they may.
    let full = HITS_OF_ALL / HITS_OF_ONE + 1;
    let mut tapes = Vec::new();
    for number in 0..full {
        let entries = if number % 2 == 0 { &exact } else { &over };
        let id = u8::try_from(number + 1).unwrap();
        let tape = tape(&web, id, "alice", 100 + 100 * number as i64, |_| (), entries);
        keep(&web, &tape).await;
        tapes.push(tape.id);
    }
    let first = search(&admin.client, "for=needle").await;
    let end = first.end.clone().unwrap();
    assert!(end.more && end.after.is_some(), "{end:?}");
    assert_eq!(first.hits.len(), HITS_OF_ALL);
    let odd: Vec<_> = tapes.iter().copied().skip(1).step_by(2).collect();
    assert!(first.more.iter().all(|id| odd.contains(id)), "none that has no more");
    let rest = search(&admin.client, &format!("for=needle&after={}", end.after.unwrap())).await;
    assert!(!rest.end.as_ref().unwrap().more);
    // Together they are each recording once, and each hit.
    let ids: Vec<_> = [first.ids(), rest.ids()].concat();
    assert_eq!(ids, tapes);
    let of = |id| first.hits.iter().chain(&rest.hits).filter(|hit| hit.id == id).count();
    assert!(tapes.iter().all(|id| of(*id) == HITS_OF_ONE));
    let more: Vec<_> = [first.more, rest.more].concat();
    assert_eq!(more, odd);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_recording_is_told_and_what_was_found_before_the_damage() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let (alices, bobs) = two(&web).await;
    let whole = tape(
        &web,
        3,
        "alice",
        50,
        |_| (),
        &[output("first needle\r\n"), output("later needle\r\n")],
    );
    ship(&web, &whole, 0, whole.records.len()).await;
    // On auth's disk something becomes of two of them: one is torn open, one is gone.
    let stored = house.dir.path().join("auth/recordings");
    let file = |id: SessionId| find(&stored, &id.to_string());
    let path = file(whole.id);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at..].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(file(bobs.id), b"").unwrap();
    let told = search(&admin.client, "for=needle").await;
    assert!(told.ids().contains(&alices.id), "the others are searched");
    let unread: Vec<_> = told.unread.iter().map(|one| one.id).collect();
    assert_eq!(unread, [whole.id, bobs.id], "{:?}", told.unread);
    assert!(told.unread.iter().all(|one| !one.why.is_empty()));
    let end = told.end.unwrap();
    assert_eq!((end.unread, end.more, end.reached.looked), (2, false, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_place_of_another_is_not_searched_and_named() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let (alices, bobs) = two(&web).await;
    let whole = tape(&web, 3, "alice", 50, |_| (), &[output("third needle\r\n")]);
    keep(&web, &whole).await;
    exchange(&house, alices.id, bobs.id);
    let told = search(&admin.client, "for=needle").await;
    assert_eq!((told.ids(), told.texts()), (vec![whole.id], vec!["third needle"]));
    let unread: Vec<_> = told.unread.iter().map(|one| (one.id, one.why.as_str())).collect();
    let holds = |id| format!("recording {id}'s file holds another recording: ");
    let [(first, why), (second, because)] = unread.as_slice() else { panic!("{unread:?}") };
    assert_eq!((*first, *second), (bobs.id, alices.id), "newest first");
    assert!(why.starts_with(&holds(bobs.id)), "{why}");
    assert!(because.starts_with(&holds(alices.id)), "{because}");
    let end = told.end.unwrap();
    assert_eq!((end.unread, end.more, end.reached.looked), (2, false, 3));
}

/// Puts the files of two stored recordings in the place of each other.
pub(super) fn exchange(house: &House, one: SessionId, other: SessionId) {
    let stored = house.dir.path().join("auth/recordings");
    let [one, other] = [one, other].map(|id| find(&stored, &id.to_string()));
    let kept = std::fs::read(&one).unwrap();
    std::fs::copy(&other, &one).unwrap();
    std::fs::write(&other, kept).unwrap();
}

/// The file below a folder whose name holds this text.
fn find(folder: &std::path::Path, name: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.to_string_lossy().contains(name) => return path,
                false => {}
            }
        }
    }
    panic!("{name} is not below {}", folder.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_hears_of_a_search_first_and_of_each_recording_of_others_that_it_shows() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["admin"]).await;
    let web = house.node("web-01").await;
    let (_, bobs) = two(&web).await;
    search(&alice.client, "for=needle&what=screen&node=web-01").await;
    search(&alice.client, "for=no%20such%20text").await;
    let searched = ledger(&admin, "recording.search").await;
    let texts: Vec<_> = searched
        .iter()
        .map(|event| (event["user"].as_str().unwrap(), event["text"].as_str().unwrap()))
        .collect();
    assert_eq!(texts, [("alice", "needle"), ("alice", "no such text")]);
    assert_eq!(searched[0]["conditions"], "what=screen node=web-01");
    assert_eq!((&searched[0]["count"], &searched[0]["others"]), (&2.into(), &1.into()));
    // Their own is no news; bob's is, once for the search that found it.
    let viewed = ledger(&admin, "recording.view").await;
    let viewed: Vec<_> = viewed
        .iter()
        .map(|event| (event["session"].as_str().unwrap(), event["how"].as_str().unwrap()))
        .collect();
    let id = bobs.id.to_string();
    assert_eq!(viewed, [(id.as_str(), "search")]);
    assert!(ledger(&admin, "access.denied").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn people_in_a_session_that_goes_on_hear_that_a_search_found_it() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let live = web.tape(1, "alice");
    ship(&web, &live, 0, 12).await;
    let mut news = web.client.lines::<News>("/v1/node/news").await.unwrap();
    assert!(news.next().await.unwrap().unwrap().looked.is_empty());
    assert_eq!(search(&admin.client, "for=not%20there").await.ids(), []);
    let told = search(&admin.client, "for=line%203").await;
    assert_eq!(told.texts(), ["line 3 of the session"]);
    let next = tokio::time::timeout(Duration::from_secs(3), news.next()).await.unwrap();
    let looked = Looked { session: live.id, user: user("root-admin"), at: LookedAt::Search };
    assert_eq!(next.unwrap().unwrap().looked, [looked], "once, and not for the one without a hit");
}

/// A recording that takes long to search, a second and more for fifty pictures: little output on the largest screen. It
/// begins with a hit and ends with one.
fn slow(web: &Node, id: u8, owner: &str, ago: i64, pictures: usize) -> Tape {
    let mut entries = vec![output("needle begins\r\n")];
    entries.extend((0..pictures).map(|n| output(&format!("{n}\r"))));
    entries.push(output("\r\nneedle ends\r\n"));
    let large = |it: &mut Heading| it.size = Some(Size::clamped(1024, 512));
    tape(web, id, owner, ago, large, &entries)
}

/// Enough that a change comes before the end.
const LONG: usize = 300;
/// Little enough that a search may take all of it on a slow machine, too.
const SHORT: usize = 50;

/// What alice still hears of a search in a browser when this is done after its first hit, in a recording of so many pictures;
/// and whether it ends as if whole.
async fn meanwhile(
    pictures: usize,
    change: impl AsyncFnOnce(&House, &Person, SessionId),
) -> (String, bool) {
    let house = House::start().await;
    let admin = house.admin().await;
    admin.client.call(&role("plays", r#""list":"all","play":"all""#)).await.unwrap();
    house.person(&admin, "alice", &["plays"]).await;
    let web = house.node("web-01").await;
    let slow = slow(&web, 1, "bob", 50, pictures);
    keep(&web, &slow).await;
    keep(&web, &tape(&web, 2, "bob", 100, |_| (), &[output("older needle\r\n")])).await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    surf.sign_in("alice").await;
    // An expression, for which nothing is passed over.
    let mut body = surf.open("/v1/search?for=needl%5Be%5D&regex=1&what=screen").await.into_body();
    let (mut text, mut change) = (String::new(), Some(change));
    let began = Instant::now();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (text, false) };
        text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        if text.contains("needle begins")
            && let Some(change) = change.take()
        {
            assert!(!text.contains("needle ends"), "it takes time");
            change(&house, &admin, slow.id).await;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{text}");
    }
    (text, true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_cut_off_when_its_person_is_locked() {
    let (text, whole) = meanwhile(LONG, async |_, admin, _| {
        let target = LockTarget::User(user("alice"));
        let reason = model::lock::Reason::default();
        let lock = AddLock { target, reason, life_ms: None, force: false };
        admin.client.call(&lock).await.unwrap();
    })
    .await;
    assert!(!whole && !text.contains("needle ends") && !text.contains("\"end\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_right_while_a_search_runs_is_told_nothing_further() {
    let (text, _) = meanwhile(LONG, async |_, admin, _| {
        admin.client.call(&role("plays", r#""list":"all","play":"own""#)).await.unwrap();
    })
    .await;
    for told in ["needle ends", "older needle"] {
        assert!(!text.contains(told), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_while_a_search_runs_is_told_no_further_and_the_others_are() {
    let (text, whole) = meanwhile(LONG, async |_, admin, id| {
        admin.client.call(&RemoveRecording { id }).await.unwrap();
    })
    .await;
    assert!(whole && !text.contains("needle ends") && text.contains("older needle"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_for_whom_nothing_changes_and_nobody_reads_is_noticed() {
    let (text, whole) = meanwhile(SHORT, async |_, _, _| ()).await;
    assert!(whole && text.contains("needle ends") && text.contains("older needle"), "{text}");
    assert!(text.contains("\"reached\""), "it says how far it is: {text}");
}

//! What a browser's player gets of a recording, from its shipment on.

use super::house::{House, Node, Person, Tape, fault};
use super::recordings::{check_denials, denials};
use super::search::exchange;
use link::http::{CallError, Client};
use model::SessionId;
use std::time::{Duration, Instant};
use wire::Fault;
use wire::audit::ListAudit;
use wire::film::{Code, CueData, End, Film, MarkKind, Picture, ReelLine};
use wire::recording::{Progress, RemoveRecording, ViewKind, ViewRecording};

pub(super) async fn ship(node: &Node, tape: &Tape, from: usize, to: usize) -> Progress {
    let after = from.checked_sub(1).map_or(0, |last| tape.records[last].1);
    let path = format!("/v1/node/ship/{}?after={after}", tape.id);
    node.client.post_bytes(&path, tape.slice(from, to).into()).await.unwrap()
}

pub(super) async fn ticket(client: &Client, id: SessionId) -> String {
    let view = ViewRecording { id, how: ViewKind::Play };
    client.call(&view).await.unwrap().ticket
}

/// The admin, and a recording of theirs that is stored whole.
async fn stored(house: &House) -> (Person, Node, Tape) {
    let (admin, web) = (house.admin().await, house.node("web-01").await);
    let tape = web.tape(1, "root-admin");
    assert!(ship(&web, &tape, 0, tape.records.len()).await.stored);
    (admin, web, tape)
}

pub(super) async fn get(client: &Client, path: &str) -> Result<String, CallError> {
    let (_, body) = client.get_bytes(path, 1 << 20).await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// A person who plays a recording.
struct Viewer<'a> {
    client: &'a Client,
    id: SessionId,
    ticket: String,
}

impl<'a> Viewer<'a> {
    async fn of(client: &'a Client, id: SessionId) -> Self {
        Self { client, id, ticket: ticket(client, id).await }
    }

    fn path(&self, what: &str) -> String {
        let (Self { id, ticket, .. }, joint) = (self, if what.contains('?') { '&' } else { '?' });
        format!("/v1/recordings/{id}/{what}{joint}ticket={ticket}")
    }

    async fn film(&self) -> Film {
        serde_json::from_str(&get(self.client, &self.path("film")).await.unwrap()).unwrap()
    }

    async fn reel(&self, how: &str) -> (Option<Picture>, String, End) {
        let text = get(self.client, &self.path(&format!("reel?{how}"))).await.unwrap();
        let (mut picture, mut shown, mut last) = (None, String::new(), None);
        for line in text.lines() {
            assert!(last.is_none(), "the end is the last line");
            match serde_json::from_str(line).unwrap() {
                ReelLine::Picture { picture: first } => picture = Some(first),
                ReelLine::Cue(wire::film::Cue(_, _, Code::Output, CueData::Text(text))) => {
                    shown.push_str(&text);
                }
                ReelLine::Cue(_) => {}
                ReelLine::End { end } => last = Some(end),
            }
        }
        (picture, shown, last.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_recording_is_a_film_a_picture_and_what_follows() {
    let house = House::start().await;
    let (admin, _web, tape) = stored(&house).await;
    let viewer = Viewer::of(&admin.client, tape.id).await;
    let film = viewer.film().await;
    assert!(!film.live && film.damage.is_none());
    assert_eq!((film.length_ms, film.facts.id), (40_000, tape.id));
    let shown: usize = (0..40).map(|n| format!("line {n} of the session\r\n").len()).sum();
    assert_eq!(film.activity.bytes.iter().sum::<u64>(), shown as u64);
    assert_eq!(film.activity.keys.unwrap().iter().sum::<u64>(), 0);
    let kinds: Vec<_> = film.marks.iter().map(|mark| mark.kind).collect();
    assert_eq!(kinds, [MarkKind::Gap, MarkKind::End]);

    let (picture, shown, end) = viewer.reel("at=10500").await;
    let picture = picture.unwrap();
    assert_eq!((picture.at, picture.cols, picture.rows), (10_500, 80, 24));
    assert!(picture.dump.contains("line 10 of") && !picture.dump.contains("line 11 of"));
    assert!(shown.starts_with("line 11 of") && shown.ends_with("line 39 of the session\r\n"));
    assert_eq!((end.more, end.live, end.length_ms, end.at), (false, false, 40_000, 40_000));
    // Piece by piece it is the same, and behind the last there is nothing.
    let (_, first, mut end) = viewer.reel("after=0&most=1").await;
    assert!(first == "line 0 of the session\r\n" && end.more && end.at == 999);
    let mut all = first;
    while end.more {
        let (picture, more, next) = viewer.reel(&format!("after={}&most=100", end.after)).await;
        assert!(picture.is_none() && !more.is_empty());
        all.push_str(&more);
        end = next;
    }
    assert_eq!(all.lines().count(), 40);
    let (_, nothing, end) = viewer.reel(&format!("after={}", end.after)).await;
    assert!(nothing.is_empty() && !end.more && !end.live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_recording_is_told_as_it_comes_and_rewound_meanwhile() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let tape = web.tape(1, "root-admin");
    ship(&web, &tape, 0, 12).await;
    let viewer = Viewer::of(&admin.client, tape.id).await;
    assert!(viewer.film().await.live);
    let (_, shown, mut end) = viewer.reel("after=0").await;
    assert!(shown.starts_with("line 0 of") && end.live && !end.more);
    // What comes wakes who waits, at once; what came is there to be looked at again.
    for records in 12..16 {
        let follow = format!("after={}", end.after);
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            ship(&web, &tape, records, records + 1).await;
            Instant::now()
        };
        let ((_, shown, next), shipped) = tokio::join!(viewer.reel(&follow), later);
        assert!(shown.contains(" of the session"), "{shown:?}");
        assert!(shipped.elapsed() < Duration::from_millis(500), "{:?}", shipped.elapsed());
        assert!(next.length_ms > end.length_ms);
        let (picture, ..) = viewer.reel(&format!("at={}", end.length_ms)).await;
        assert!(!picture.unwrap().dump.contains(shown.trim_end()));
        end = next;
    }
    assert_eq!(viewer.film().await.length_ms, end.length_ms, "the film grows, too");
    assert!(ship(&web, &tape, 16, tape.records.len()).await.stored);
    let (_, shown, end) = viewer.reel(&format!("after={}", end.after)).await;
    assert!(shown.ends_with("line 39 of the session\r\n") && !end.live && !end.more);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_more_and_loses_the_right_is_told_nothing() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["admin"]).await;
    let web = house.node("web-01").await;
    let tape = web.tape(1, "root-admin");
    ship(&web, &tape, 0, 12).await;
    let viewer = Viewer::of(&alice.client, tape.id).await;
    let (.., end) = viewer.reel("after=0").await;
    let path = viewer.path(&format!("reel?after={}", end.after));
    let later = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let remove = wire::people::RemoveUser { user: super::house::user("alice") };
        admin.client.call(&remove).await.unwrap();
        ship(&web, &tape, 12, 20).await;
    };
    let (answer, ()) = tokio::join!(get(&alice.client, &path), later);
    assert_eq!(fault(answer), Fault::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_film_is_shown_without_ticket_and_right() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    let (hers, other) = (web.tape(1, "alice"), web.tape(2, "root-admin"));
    for tape in [&hers, &other] {
        ship(&web, tape, 0, tape.records.len()).await;
    }
    let mine = ticket(&alice.client, hers.id).await;
    let theirs = ticket(&admin.client, other.id).await;
    for what in ["film", "reel?at=0", "reel?after=0", "segments", "segment?from=0&to=1"] {
        let path = |id, ticket: &str| {
            let joint = if what.contains('?') { '&' } else { '?' };
            format!("/v1/recordings/{id}/{what}{joint}ticket={ticket}")
        };
        get(&alice.client, &path(hers.id, &mine)).await.unwrap();
        let before = denials(&admin.client).await.len();
        for (id, ticket) in [(other.id, &theirs), (other.id, &mine), (hers.id, &String::new())] {
            let answer = get(&alice.client, &path(id, ticket)).await;
            assert_eq!(fault(answer), Fault::Denied, "{what} of {id}");
        }
        let expected = [other.id, other.id, hers.id].map(|id| ("alice", id, "is not alice's"));
        check_denials(&admin.client, before, &expected).await;
        let nobody = house.client(None).await;
        assert_eq!(fault(get(&nobody, &path(hers.id, &mine)).await), Fault::Unauthenticated);
    }
    for wrong in [
        "reel",
        "reel?at=x",
        "reel?at=1&after=2",
        "reel?after=",
        "reel?after=1-zz",
        "segment",
        "segment?from=0",
        "segment?from=1&to=1",
        "segment?from=2&to=1&last=1",
        "segment?from=0&to=x",
    ] {
        let joint = if wrong.contains('?') { '&' } else { '?' };
        let path = format!("/v1/recordings/{}/{wrong}{joint}ticket={mine}", hers.id);
        assert_eq!(fault(get(&alice.client, &path).await), Fault::Malformed, "{wrong}");
    }
    let theirs = Viewer { client: &admin.client, id: other.id, ticket: theirs };
    assert_eq!(theirs.film().await.seq.0, 42);
    admin.client.call(&RemoveRecording { id: other.id }).await.unwrap();
    let answer = get(&admin.client, &theirs.path("film")).await;
    assert_eq!(fault(answer), Fault::NotFound, "what is removed is shown no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_taken_away_as_asciicast_and_text_by_who_may_export() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    let tape = web.tape(1, "alice");
    ship(&web, &tape, 0, tape.records.len()).await;
    let viewer = Viewer::of(&admin.client, tape.id).await;
    for (what, begins, last) in [
        ("cast?version=2", "{\"env\":{", "[40.000000, \"m\", \"exit 0\"]"),
        ("cast", "{\"term\":{", "[1.000, \"x\", \"0\"]"),
        ("text", "[alice as root on web-01", "[00:00:40 exit 0]"),
    ] {
        let (headers, body) = admin.client.get_bytes(&viewer.path(what), 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.starts_with(begins), "{text}");
        assert_eq!(text.lines().last(), Some(last), "{text}");
        assert_eq!(text.matches("line 20 of the session").count(), 1);
        let disposition = headers["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment"), "{disposition}");
    }
    // Whoever may only play it may not take it away, whatever the ticket was for.
    let hers = Viewer::of(&alice.client, tape.id).await;
    hers.film().await;
    let before = denials(&admin.client).await.len();
    for what in ["cast", "text"] {
        assert_eq!(fault(get(&alice.client, &hers.path(what)).await), Fault::Denied, "{what}");
    }
    let expected = [("alice", tape.id, "allow.recordings.export"); 2];
    check_denials(&admin.client, before, &expected).await;
    let wrong = get(&admin.client, &viewer.path("cast?version=1")).await;
    assert_eq!(fault(wrong), Fault::Malformed);
}

/// The lines of an answer, and how it ended.
async fn lines(viewer: &Viewer<'_>, what: &str) -> (Vec<serde_json::Value>, End) {
    let text = get(viewer.client, &viewer.path(what)).await.unwrap();
    let read = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let mut all: Vec<_> = text.lines().map(read).collect();
    let mut last = all.pop().unwrap();
    (all, serde_json::from_value(last["end"].take()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_a_recording_is_read_and_found() {
    let house = House::start().await;
    let (admin, _web, tape) = stored(&house).await;
    let viewer = Viewer::of(&admin.client, tape.id).await;
    let (first, end) = lines(&viewer, "transcript?most=10").await;
    assert_eq!(first[0]["line"]["text"], "line 0 of the session");
    assert_eq!((first.len(), end.more), (10, true));
    let (rest, end) = lines(&viewer, &format!("transcript?after={}", end.after)).await;
    assert_eq!((rest.len(), end.more), (30, false));
    let (events, end) = lines(&viewer, "events").await;
    let kinds: Vec<_> = events.iter().map(|line| line["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds, end.more, end.seq.0), (vec!["gap", "end"], false, 42));
    let (none, _) = lines(&viewer, "events?class=commands,files").await;
    assert!(none.is_empty());
    let (found, end) = lines(&viewer, "search?for=LINE%203").await;
    let rows: Vec<_> = found.iter().filter_map(|line| line["hit"]["text"].as_str()).collect();
    assert!(rows.len() == 11 && rows[0] == "line 3 of the session", "{rows:?}");
    assert_eq!((end.more, end.at), (false, 40_000));
    for wrong in ["search", "search?for=%", "events?class=x", "transcript?at=1&after=2"] {
        let answer = get(&admin.client, &viewer.path(wrong)).await;
        assert_eq!(fault(answer), Fault::Malformed, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recordings_file_in_the_place_of_another_is_read_by_nobody() {
    let house = House::start().await;
    let (admin, web, tape) = stored(&house).await;
    let other = web.tape(2, "root-admin");
    assert!(ship(&web, &other, 0, other.records.len()).await.stored);
    // One of them is open already.
    let viewer = Viewer::of(&admin.client, tape.id).await;
    viewer.film().await;
    exchange(&house, tape.id, other.id);
    for (id, found) in [(tape.id, other.id), (other.id, tape.id)] {
        let viewer = Viewer::of(&admin.client, id).await;
        for what in [
            "bytes",
            "film",
            "reel?at=0",
            "reel?after=0",
            "segments",
            "segment?from=0&to=1000",
            "transcript",
            "events",
            "search?for=line",
            "cast",
            "text",
        ] {
            let answer = get(&admin.client, &viewer.path(what)).await;
            let Err(CallError::Refused(failure)) = answer else { panic!("{what}: {answer:?}") };
            let words = format!("recording {id}'s file holds another recording: somebody has");
            assert!(failure.message.starts_with(&words), "{what}: {}", failure.message);
            assert!(!failure.message.contains(&found.to_string()), "{what}");
            assert_eq!(failure.fault, Fault::Unavailable, "{what}");
        }
    }
    let asked = ListAudit { word: Some("recording.tampering".into()), ..ListAudit::default() };
    let told = admin.client.call(&asked).await.unwrap();
    let told: Vec<_> = told.iter().map(|row| row.parse().unwrap()).collect();
    assert_eq!(
        told.iter().map(|event| event.session).collect::<Vec<_>>(),
        [Some(tape.id), Some(other.id)]
    );
    let call = wire::film::ReadPreviews { ids: vec![tape.id, other.id] };
    assert!(admin.client.call(&call).await.unwrap().is_empty(), "no pictures of them");
    // Where it belongs it is read again; and what was put there can be removed.
    exchange(&house, tape.id, other.id);
    assert_eq!(viewer.film().await.facts.id, tape.id);
    exchange(&house, tape.id, other.id);
    admin.client.call(&RemoveRecording { id: tape.id }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_is_searched_for_as_one_and_refused_if_it_is_none() {
    let house = House::start().await;
    let (admin, _web, tape) = stored(&house).await;
    let viewer = Viewer::of(&admin.client, tape.id).await;
    let hits = async |how: &str| {
        let told = lines(&viewer, &format!("search?{how}")).await.0;
        told.iter().filter(|line| line.get("hit").is_some()).count()
    };
    assert_eq!(hits("for=LINE%20.%20of").await, 0, "a text is taken as it stands");
    assert!(hits("for=LINE%20.%20of&regex=1").await > 0);
    assert_eq!(hits("for=LINE%20.%20of&regex=1&case=1").await, 0);
    for odd in ["a(", "((a{99}){99}){99}", ""] {
        let path = viewer.path(&format!("search?regex=1&for={odd}"));
        let answer = get(&admin.client, &path.replace('{', "%7B").replace('}', "%7D")).await;
        assert_eq!(fault(answer), Fault::Malformed, "{odd}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_pictures_are_of_what_may_be_played_and_stand_in_the_ledger_once() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    let (hers, other, live) = (web.tape(1, "alice"), web.tape(2, "bob"), web.tape(3, "alice"));
    for tape in [&hers, &other] {
        ship(&web, tape, 0, tape.records.len()).await;
    }
    ship(&web, &live, 0, 12).await;
    let call = wire::film::ReadPreviews { ids: vec![hers.id, other.id, live.id] };
    for _ in 0..2 {
        let seen = alice.client.call(&call).await.unwrap();
        assert_eq!(seen.iter().map(|one| one.id).collect::<Vec<_>>(), [hers.id, live.id]);
        assert_eq!(seen.iter().map(|one| one.live).collect::<Vec<_>>(), [false, true]);
        assert_eq!((seen[0].cols, seen[0].rows), (80, 24));
        for one in seen {
            assert!(one.lines[0][0].text.starts_with("line "), "{one:?}");
        }
    }
    assert_eq!(admin.client.call(&call).await.unwrap().len(), 3);
    let asked =
        |word: &str| wire::audit::ListAudit { word: Some(word.into()), ..Default::default() };
    let rows = admin.client.call(&asked("recording.preview")).await.unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().any(|row| row.event.contains(&format!("{} {}", hers.id, live.id))));
    let denied = admin.client.call(&asked("access.denied")).await.unwrap();
    assert!(denied.iter().any(|row| row.event.contains(&other.id.to_string())), "{denied:?}");
    let many = wire::film::ReadPreviews { ids: vec![hers.id; 51] };
    assert_eq!(super::house::refused(&admin.client, &many).await.0, Fault::Malformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_remark_on_moments_of_what_they_may_play() {
    use wire::film::{AddComment, ListComments, RemoveComment};
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    let (hers, other) = (web.tape(1, "alice"), web.tape(2, "bob"));
    for tape in [&hers, &other] {
        ship(&web, tape, 0, tape.records.len()).await;
    }
    let add = |id, at, text: &str| AddComment { id, at, text: text.to_owned() };
    let late = alice.client.call(&add(hers.id, 99_999_999, "late")).await.unwrap();
    let early = admin.client.call(&add(hers.id, 7_000, " what is\nthis? ")).await.unwrap();
    let listed = alice.client.call(&ListComments { id: hers.id }).await.unwrap();
    let seen: Vec<_> = listed
        .iter()
        .map(|one| (one.at, one.text.as_str(), one.author.as_str(), one.mine))
        .collect();
    let wanted = [(7_000, "what is\nthis?", "root-admin", false), (40_000, "late", "alice", true)];
    assert_eq!(seen, wanted);
    for text in ["", "  ", "a\u{1b}[2J", &"x".repeat(2001)] {
        let (fault, _) = super::house::refused(&alice.client, &add(hers.id, 0, text)).await;
        assert_eq!(fault, Fault::Malformed, "{text:?}");
    }
    let foreign = super::house::refused(&alice.client, &add(other.id, 0, "x")).await;
    assert_eq!(foreign.0, Fault::NotFound);
    assert_eq!(fault(alice.client.call(&ListComments { id: other.id }).await), Fault::NotFound);
    let remove = |number| RemoveComment { id: hers.id, number };
    let (denied, _) = super::house::refused(&alice.client, &remove(early.number)).await;
    assert_eq!(denied, Fault::Denied, "another's");
    alice.client.call(&remove(late.number)).await.unwrap();
    let (gone, _) = super::house::refused(&alice.client, &remove(late.number)).await;
    assert_eq!(gone, Fault::NotFound);
    let asked = wire::audit::ListAudit::default();
    let rows = admin.client.call(&asked).await.unwrap();
    let told = |word: &str| rows.iter().filter(|row| row.event.contains(word)).count();
    assert_eq!((told("\"recording.comment\""), told("\"recording.comment_removed\"")), (2, 1));
    admin.client.call(&RemoveRecording { id: hers.id }).await.unwrap();
    assert_eq!(fault(alice.client.call(&ListComments { id: hers.id }).await), Fault::NotFound);
}

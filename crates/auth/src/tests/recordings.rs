//! Recordings from a node's shipment to a person's look at them.

use super::house::{House, Node, Tape, fault, gaps, heading, refused, tape, user};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, iter, pending};
use http::Request;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use link::http::{CallError, Client};
use model::audit::Audited;
use model::limit::{GAPS_TOLD, REQUEST_BYTES, SHIP_BYTES};
use model::{AuditEvent, SessionId, Time};
use record::Verdict;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use wire::Fault;
use wire::audit::ListAudit;
use wire::people::SetRole;
use wire::recording::{
    ListPlace, ListRecordings, Phase, Progress, ReadProgress, ReadStanding, RecordingFacts,
    RemoveRecording, Standing, ViewKind, ViewRecording,
};
use wire::stream::{LIVE_HEADER, TOTAL_HEADER};

async fn ship(
    node: &Node,
    id: SessionId,
    after: u64,
    body: Vec<u8>,
) -> Result<Progress, CallError> {
    node.client.post_bytes(&format!("/v1/node/ship/{id}?after={after}"), body.into()).await
}

async fn ship_all(node: &Node, tape: &Tape) -> Progress {
    let progress = ship(node, tape.id, 0, tape.all()).await.unwrap();
    assert!(progress.stored, "stored while the node waits");
    progress
}

async fn list(client: &Client) -> Vec<RecordingFacts> {
    client.call(&ListRecordings::default()).await.unwrap()
}

async fn view(client: &Client, id: SessionId, how: ViewKind) -> String {
    client.call(&ViewRecording { id, how }).await.unwrap().ticket
}

async fn read(client: &Client, id: SessionId, ticket: &str, from: u64) -> (Vec<u8>, u64, bool) {
    let path = format!("/v1/recordings/{id}/bytes?ticket={ticket}&from={from}&most=100000");
    let (headers, body) = client.get_bytes(&path, 1 << 20).await.unwrap();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap();
    (body.to_vec(), text(TOTAL_HEADER).parse().unwrap(), text(LIVE_HEADER) == "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_shipped_in_pieces_over_a_restart_stored_and_played() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let tape = web.busy_tape(1, "root-admin");
    let half = tape.records.len() / 2;
    let first = ship(&web, tape.id, 0, tape.slice(0, half)).await.unwrap();
    assert_eq!(first.receipt.as_ref().unwrap().head.records, tape.records[half - 1].1);
    assert!(!first.stored);
    let row = list(&admin.client).await.remove(0);
    assert_eq!((row.phase, row.ending), (Phase::Live, None));
    // Sent again because the answer was lost: nothing happens.
    let again = ship(&web, tape.id, 0, tape.slice(0, half)).await.unwrap();
    assert_eq!(again.receipt, first.receipt);

    let house = house.restart().await;
    let admin = house.sign_in("root-admin", super::house::PASSWORD).await.unwrap();
    let web = house.node("web-01").await;
    let there = web.client.call(&ReadProgress { id: tape.id }).await.unwrap();
    assert_eq!(there.receipt, first.receipt);
    let records = tape.records.len();
    let gone = ship(&web, tape.id, 99_999, tape.slice(half, records)).await;
    assert_eq!(fault(gone), Fault::Conflict);
    let after = there.receipt.unwrap().head.records;
    let last = ship(&web, tape.id, after, tape.slice(half, records)).await.unwrap();
    assert!(last.stored);
    assert!(web.client.call(&ReadProgress { id: tape.id }).await.unwrap().stored);

    let row = list(&admin.client).await.remove(0);
    assert_eq!((row.phase, row.ending.as_deref()), (Phase::Stored, Some("exit 0")));
    assert_eq!((row.gaps, row.verification.as_deref()), (1, Some("complete")));
    assert_eq!(row.tally, Some(super::house::tally()), "each once, whatever came twice");
    let ticket = view(&admin.client, tape.id, ViewKind::Play).await;
    let (bytes, total, live) = read(&admin.client, tape.id, &ticket, 0).await;
    assert_eq!((bytes.len() as u64, total, live), (row.bytes, row.bytes, false));
    let key = admin.facts().seal_keys[0].strip_prefix("scry-seal:").unwrap().to_owned();
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, key).unwrap();
    let report = record::verify(&bytes, &[key.try_into().unwrap()], &mut |_| ());
    assert_eq!(report.verdict, Verdict::Complete, "{report:?}");
    assert!(report.receipts.len() >= 2, "{:?}", report.receipts);
    assert_eq!(std::fs::read_dir(house.dir.path().join("auth/intake")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_recording_is_followed_as_it_grows() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let tape = web.tape(1, "root-admin");
    ship(&web, tape.id, 0, tape.slice(0, 5)).await.unwrap();
    let ticket = view(&admin.client, tape.id, ViewKind::Follow).await;
    let (bytes, total, live) = read(&admin.client, tape.id, &ticket, 0).await;
    assert!(live && total == bytes.len() as u64);
    let begun = Instant::now();
    assert!(read(&admin.client, tape.id, &ticket, total).await.0.is_empty());
    assert!(begun.elapsed() > Duration::from_millis(900), "it waits for more");
    let more = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        ship(&web, tape.id, 5, tape.slice(5, 6)).await.unwrap();
    };
    let begun = Instant::now();
    let ((bytes, ..), ()) = tokio::join!(read(&admin.client, tape.id, &ticket, total), more);
    assert!(!bytes.is_empty() && begun.elapsed() < Duration::from_millis(800));
    let remove = RemoveRecording { id: tape.id };
    assert_eq!(refused(&admin.client, &remove).await.0, Fault::Conflict, "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_record_is_refused_audited_once_and_the_right_one_still_comes() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let tape = web.tape(1, "root-admin");
    let mut altered = tape.slice(0, 6);
    *altered.last_mut().unwrap() ^= 1;
    for _ in 0..3 {
        let answer = ship(&web, tape.id, 0, altered.clone()).await.map(|progress| {
            // The five good records are there; what is sent again is not looked at.
            assert_eq!(progress.receipt.map(|receipt| receipt.head.records), Some(5));
        });
        if let Err(error) = answer {
            assert!(error.to_string().contains("number 6"), "{error}");
        }
        let bad = altered[tape.slice(0, 5).len()..].to_vec();
        assert_eq!(fault(ship(&web, tape.id, 5, bad).await), Fault::Malformed);
    }
    let torn = tape.slice(5, 6);
    let torn = torn[..torn.len() - 1].to_vec();
    assert_eq!(fault(ship(&web, tape.id, 5, torn).await), Fault::Malformed);
    let asked = ListAudit { word: Some("recording.tampering".into()), ..ListAudit::default() };
    let rows = admin.client.call(&asked).await.unwrap();
    assert_eq!(rows.len(), 1);
    let event = rows[0].parse().unwrap();
    assert_eq!((event.session, event.node), (Some(tape.id), Some(web.name.clone())));
    let rest = tape.slice(5, tape.records.len());
    assert!(ship(&web, tape.id, 5, rest).await.unwrap().stored);
    assert_eq!(list(&admin.client).await[0].verification.as_deref(), Some("complete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_ships_only_its_own_recordings_and_reads_none() {
    let house = House::start().await;
    let admin = house.admin().await;
    let (web, db) = (house.node("web-01").await, house.node("db-01").await);
    let mine = web.tape(1, "root-admin");
    ship(&web, mine.id, 0, mine.slice(0, 3)).await.unwrap();
    // Another node goes on with it, asks for it, or makes one in the first one's name.
    assert_eq!(fault(ship(&db, mine.id, 3, mine.slice(3, 4)).await), Fault::Denied);
    let asked = db.client.call(&ReadProgress { id: mine.id }).await;
    assert_eq!(fault(asked), Fault::Denied);
    let cases = [
        ("another node's name", heading(2, "bob", &web.name, "lab", web.signer.clone())),
        ("another node's signer", heading(3, "bob", &db.name, "lab", web.signer.clone())),
        ("another cluster", heading(4, "bob", &db.name, "moon", db.signer.clone())),
        ("another id", {
            let mut heading = heading(5, "bob", &db.name, "lab", db.signer.clone());
            heading.id = SessionId::from_random([6; 16]);
            heading
        }),
        ("a signer that nobody certified", {
            let mut signer = db.signer.clone();
            signer.not_after = signer.not_after.plus_ms(1);
            heading(7, "bob", &db.name, "lab", signer)
        }),
    ];
    for (what, heading) in cases {
        let id = if what == "another id" { SessionId::from_random([5; 16]) } else { heading.id };
        let tape = tape(heading, &db.key);
        assert_eq!(fault(ship(&db, id, 0, tape.all()).await), Fault::Malformed, "{what}");
    }
    assert_eq!(list(&admin.client).await.len(), 1, "none of them is there");

    let ticket = view(&admin.client, mine.id, ViewKind::Play).await;
    for node in [&web, &db] {
        assert_eq!(fault(node.client.call(&ListRecordings::default()).await), Fault::Denied);
        let view = ViewRecording { id: mine.id, how: ViewKind::Play };
        assert_eq!(refused(&node.client, &view).await.0, Fault::Denied);
        let path = format!("/v1/recordings/{}/bytes?ticket={ticket}", mine.id);
        assert_eq!(fault(node.client.get_bytes(&path, 1 << 20).await), Fault::Denied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_sees_its_own_recordings_and_learns_of_no_others() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    let (hers, other) = (web.tape(1, "alice"), web.tape(2, "bob"));
    ship_all(&web, &hers).await;
    ship_all(&web, &other).await;
    assert_eq!(list(&admin.client).await.len(), 2);
    let seen = list(&alice.client).await;
    assert_eq!(seen.iter().map(|row| row.id).collect::<Vec<_>>(), [hers.id]);
    let filter = ListRecordings { user: Some(user("bob")), ..ListRecordings::default() };
    assert!(alice.client.call(&filter).await.unwrap().is_empty());

    let see = |id| ViewRecording { id, how: ViewKind::Play };
    let hidden = refused(&alice.client, &see(other.id)).await;
    let missing = refused(&alice.client, &see(SessionId::from_random([99; 16]))).await;
    assert_eq!(hidden, missing, "no difference between hidden and missing");
    let before = denials(&admin.client).await.len();
    let export = ViewRecording { id: hers.id, how: ViewKind::Export };
    assert_eq!(refused(&alice.client, &export).await.0, Fault::Denied);
    assert_eq!(refused(&alice.client, &RemoveRecording { id: hers.id }).await.0, Fault::Denied);

    // A ticket is its holder's, for its recording.
    let ticket = view(&admin.client, other.id, ViewKind::Play).await;
    for (client, id) in [(&alice.client, other.id), (&admin.client, hers.id)] {
        let path = format!("/v1/recordings/{id}/bytes?ticket={ticket}");
        assert_eq!(fault(client.get_bytes(&path, 1 << 20).await), Fault::Denied);
    }
    let expected = [
        ("alice", hers.id, "allow.recordings.export"),
        ("alice", hers.id, "allow.recordings.remove"),
        ("alice", other.id, "is not alice's"),
        ("root-admin", hers.id, "is not root-admin's"),
    ];
    check_denials(&admin.client, before, &expected).await;
    let ticket = view(&alice.client, hers.id, ViewKind::Play).await;
    assert!(!read(&alice.client, hers.id, &ticket, 0).await.0.is_empty());
    let asked = ListAudit { word: Some("recording.view".into()), ..ListAudit::default() };
    assert_eq!(admin.client.call(&asked).await.unwrap().len(), 2);
}

/// The denials that stand in the ledger, oldest first.
pub(super) async fn denials(client: &Client) -> Vec<AuditEvent> {
    let word = Some("access.denied".to_owned());
    let asked = ListAudit { word, limit: 1000, ..ListAudit::default() };
    let rows = client.call(&asked).await.unwrap();
    rows.iter().map(|row| row.parse().unwrap()).collect()
}

/// Behind the first `before` denials stand these: of whom, about which recording, and what their reasons contain.
pub(super) async fn check_denials(
    client: &Client,
    before: usize,
    expected: &[(&str, SessionId, &str)],
) {
    let told = denials(client).await.split_off(before);
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (event, (who, id, words)) in told.iter().zip(expected) {
        let Audited::Denied { why, .. } = &event.what else { panic!("{event:?}") };
        assert!(why.contains(*words), "{words}: {why}");
        let by = event.user.as_ref().map(|name| name.as_str());
        assert_eq!((by, event.session), (Some(*who), Some(*id)), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_takes_the_same_way_as_what_is_not_there() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    let other = web.tape(1, "bob");
    ship_all(&web, &other).await;
    let missing = SessionId::from_random([99; 16]);
    let mut answers = Vec::new();
    for (what, id, owner) in [("hidden", other.id, "bob"), ("not there", missing, "carol")] {
        let before = denials(&admin.client).await.len();
        let view = ViewRecording { id, how: ViewKind::Play };
        let comments = wire::film::ListComments { id };
        answers.push([
            refused(&alice.client, &view).await,
            refused(&alice.client, &RemoveRecording { id }).await,
            refused(&alice.client, &comments).await,
        ]);
        let previews = wire::film::ReadPreviews { ids: vec![id] };
        assert!(alice.client.call(&previews).await.unwrap().is_empty(), "{what}");
        let (id_prefix, user) = (Some(id.to_string()), Some(user(owner)));
        for filter in [
            ListRecordings { id_prefix, ..ListRecordings::default() },
            ListRecordings { user, ..ListRecordings::default() },
        ] {
            assert!(alice.client.call(&filter).await.unwrap().is_empty(), "{what}");
        }
        // One entry each, written before the answer.
        assert_eq!(denials(&admin.client).await.len(), before + 6, "{what}");
    }
    assert_eq!(answers[0], answers[1]);
    // From whom nothing is hidden, nothing has to be.
    let before = denials(&admin.client).await.len();
    let view = ViewRecording { id: missing, how: ViewKind::Play };
    assert_eq!(refused(&admin.client, &view).await.0, Fault::NotFound);
    let filter = ListRecordings { user: Some(user("carol")), ..ListRecordings::default() };
    assert!(admin.client.call(&filter).await.unwrap().is_empty());
    assert_eq!(denials(&admin.client).await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_shipment_is_longer_than_other_requests() {
    let house = House::start().await;
    house.admin().await;
    let web = house.node("web-01").await;
    let long = vec![b' '; REQUEST_BYTES + 1];
    let id = SessionId::from_random([1; 16]);
    for (path, taken) in
        [("/v1/node/heartbeat".to_owned(), false), (format!("/v1/node/ship/{id}?after=0"), true)]
    {
        let answer = web.client.post_bytes::<serde_json::Value>(&path, long.clone().into()).await;
        let Err(CallError::Refused(failure)) = answer else { panic!("{path}: {answer:?}") };
        assert_eq!(failure.fault, Fault::Malformed, "{path}");
        let too_long = failure.message.contains(&format!("longer than {REQUEST_BYTES} bytes"));
        assert_eq!(too_long, !taken, "{path}: {}", failure.message);
    }
}

/// A body whose end never comes.
type Unfinished = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn unfinished(bytes: usize) -> Unfinished {
    let piece = Bytes::from(vec![b' '; 64 * 1024]);
    let pieces = std::iter::repeat_n(piece, bytes / (64 * 1024));
    StreamBody::new(iter(pieces.map(|piece| Ok(Frame::data(piece)))).chain(pending()).boxed())
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_without_number_are_a_few_rows_of_the_ledger_and_each_is_counted() {
    let house = House::start().await;
    let (admin, web) = (house.admin().await, house.node("web-01").await);
    let count = 20_000;
    let tape = gaps(heading(1, "bob", &web.name, "lab", web.signer.clone()), &web.key, count);
    ship_all(&web, &tape).await;
    let word = Some("session.gap".to_owned());
    let asked = ListAudit { word, limit: 1000, ..ListAudit::default() };
    let rows = admin.client.call(&asked).await.unwrap();
    let told = rows.iter().map(|row| match row.parse().unwrap().what {
        Audited::GapRecorded { bytes, gaps, .. } => (bytes.unwrap(), gaps.unwrap_or(1)),
        other => panic!("{other:?}"),
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), GAPS_TOLD + 1);
    assert_eq!(told.iter().map(|(bytes, _)| bytes).sum::<u64>(), 2 * count);
    assert_eq!(told.iter().map(|(_, gaps)| gaps).sum::<u64>(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn shipments_that_never_end_do_not_fill_auths_memory() {
    let house = House::start().await;
    let admin = house.admin().await;
    let (web, db) = (house.node("web-01").await, house.node("db-01").await);
    let stream = house.dialer(Some(&web.badge)).dial_tls().await.unwrap();
    let (mut sender, connection): (SendRequest<Unfinished>, _) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let mut open = JoinSet::new();
    open.spawn(async move { drop(connection.await) });
    let tape = web.tape(1, "root-admin");
    // No recording, but all of it is read before that is seen.
    let no_recording = vec![b' '; SHIP_BYTES];
    let mut begun = 0;
    loop {
        // One that begins when there is no room is refused as well, so one more each time.
        let mut request = Request::new(unfinished(4 * SHIP_BYTES));
        *request.method_mut() = http::Method::POST;
        let uri = format!("https://scry.internal/v1/node/ship/{}?after=0", tape.id);
        *request.uri_mut() = uri.parse().unwrap();
        let answer = sender.send_request(request);
        open.spawn(async move { drop(answer.await) });
        begun += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        match fault(ship(&web, tape.id, 0, no_recording.clone()).await) {
            Fault::Unavailable => break,
            other => assert_eq!(other, Fault::Malformed),
        }
        assert!(begun < 40, "{begun} shipments without an end are held");
    }
    assert!(begun >= 6, "after only {begun}: a node that ships much would be refused");
    // Neither people nor other nodes feel it, and the node's other calls do not.
    assert!(list(&admin.client).await.is_empty());
    let other = db.tape(2, "root-admin");
    ship_all(&db, &other).await;
    web.beat(&[("env", "prod")]).await;
    // What broke off makes room.
    open.shutdown().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while fault(ship(&web, tape.id, 0, no_recording.clone()).await) == Fault::Unavailable {
        assert!(Instant::now() < deadline, "the room is never free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ship_all(&web, &tape).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_recordings_stand_is_told_of_those_that_one_may_list() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    let (hers, other, goes_on) = (web.tape(1, "alice"), web.tape(2, "bob"), web.tape(3, "bob"));
    ship_all(&web, &hers).await;
    ship_all(&web, &other).await;
    ship(&web, goes_on.id, 0, goes_on.slice(0, 5)).await.unwrap();
    let check = async |client: &Client, gaps, live, expected: &[SessionId]| {
        let standing = client.call(&ReadStanding {}).await.unwrap();
        let Standing { whole, partly, damaged, waiting, interrupted, more, .. } = standing;
        assert_eq!((whole, partly, damaged, waiting, interrupted, more), (0, 0, 0, 0, 0, false));
        assert_eq!((standing.gaps, standing.live), (gaps, live));
        let mut amiss: Vec<_> = standing.amiss.iter().map(|row| row.id).collect();
        amiss.sort_unstable();
        assert_eq!(amiss, expected);
    };
    let mut both = [hers.id, other.id];
    both.sort_unstable();
    check(&admin.client, 2, 1, &both).await;
    check(&alice.client, 1, 0, &[hers.id]).await;
    // Half of what goes on has a gap: then it is amiss, too.
    let rest = goes_on.slice(5, goes_on.records.len() - 3);
    ship(&web, goes_on.id, goes_on.records[4].1, rest).await.unwrap();
    let mut all = [hers.id, other.id, goes_on.id];
    all.sort_unstable();
    check(&admin.client, 2, 1, &all).await;
    // Whose recordings somebody saw stands in the ledger, not that they saw their own.
    let asked = ListAudit { word: Some("recording.list".into()), ..ListAudit::default() };
    let told = admin.client.call(&asked).await.unwrap();
    assert!(told.len() == 2 && told.iter().all(|row| row.event.contains("root-admin")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_leaves_a_tombstone_and_no_bytes() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let tape = web.tape(1, "root-admin");
    ship_all(&web, &tape).await;
    let ticket = view(&admin.client, tape.id, ViewKind::Export).await;
    let (bytes, ..) = read(&admin.client, tape.id, &ticket, 0).await;
    admin.client.call(&RemoveRecording { id: tape.id }).await.unwrap();
    assert!(list(&admin.client).await.is_empty());
    let path = format!("/v1/recordings/{}/bytes?ticket={ticket}", tape.id);
    assert_eq!(fault(admin.client.get_bytes(&path, 1 << 20).await), Fault::NotFound);
    let remove = RemoveRecording { id: tape.id };
    assert_eq!(refused(&admin.client, &remove).await.0, Fault::NotFound);
    let asked = ListAudit { word: Some("recording.remove".into()), ..ListAudit::default() };
    let rows = admin.client.call(&asked).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].event.contains(&blake3::hash(&bytes).to_hex().to_string()), "{:?}", rows[0]);
    // The node may free its spool, and cannot bring the recording back.
    assert!(web.client.call(&ReadProgress { id: tape.id }).await.unwrap().stored);
    assert!(ship(&web, tape.id, 0, tape.all()).await.unwrap().stored);
    assert!(list(&admin.client).await.is_empty());
    let left = walk(&house.dir.path().join("auth/recordings"));
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_up_again_and_again_loses_nothing() {
    let house = House::start().await;
    let admin = house.admin().await;
    let mut web = house.node("web-01").await;
    let tape = web.tape(1, "root-admin");
    let (mut after, mut micros) = (0_usize, 50);
    while after < tape.records.len() {
        let to = (after + 3).min(tape.records.len());
        let node = house.join(wire::node::Part::Node, "web-01").await;
        let shipping = ship(&node, tape.id, after as u64, tape.slice(after, to));
        // Ever longer, so that it breaks off at every place, and in the end does not.
        let _ = tokio::time::timeout(Duration::from_micros(micros), shipping).await;
        drop(node);
        micros += 150;
        // Only the key that joined last speaks for the node.
        web = house.join(wire::node::Part::Node, "web-01").await;
        let there = web.client.call(&ReadProgress { id: tape.id }).await.unwrap();
        let records = there.receipt.map_or(0, |receipt| receipt.head.records);
        after = tape.records.iter().filter(|(_, number)| *number <= records).count();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while !web.client.call(&ReadProgress { id: tape.id }).await.unwrap().stored {
        assert!(Instant::now() < deadline, "never stored");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(list(&admin.client).await[0].verification.as_deref(), Some("complete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_behind_its_last_row() {
    let house = House::start().await;
    let (admin, web) = (house.admin().await, house.node("web-01").await);
    for id in 1..=5 {
        ship_all(&web, &web.tape(id, "alice")).await;
    }
    let all: Vec<_> = list(&admin.client).await.into_iter().map(|row| row.id).collect();
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let asked = ListRecordings { limit: 2, after, ..ListRecordings::default() };
        let page = admin.client.call(&asked).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(ListPlace { started: last.started, id: last.id });
        paged.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!((paged, all.len()), (all, 5));

    // Whoever sees some of somebody's recordings asked for nothing forbidden by asking until there are no more. Without any
    // that they see, what is hidden was asked for, wherever in the list.
    let role =
        r#"{"name":"prod-reader","allow":{"recordings":{"list":{"nodes":{"env":["prod"]}}}}}"#;
    let role = serde_json::from_str(role).unwrap();
    admin.client.call(&SetRole { role }).await.unwrap();
    let bob = house.person(&admin, "bob", &["prod-reader"]).await;
    let hidden = house.node("web-02").await;
    hidden.beat(&[("env", "test")]).await;
    ship_all(&hidden, &hidden.tape(6, "carol")).await;
    let behind = |user: &str| {
        let place = ListPlace { started: Time(0), id: SessionId::from_random([0; 16]) };
        let (user, client) = (user.parse().ok(), &bob.client);
        let asked = ListRecordings { user, after: Some(place), ..ListRecordings::default() };
        async move { client.call(&asked).await.unwrap().len() }
    };
    let before = denials(&admin.client).await.len();
    assert_eq!(behind("alice").await, 0);
    assert_eq!(denials(&admin.client).await.len(), before);
    assert_eq!(behind("carol").await, 0);
    assert_eq!(denials(&admin.client).await.len(), before + 1);
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

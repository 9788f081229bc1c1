//! What a player that nobody here wrote gets of a recording, held to the rules that asciinema-player 3.18 checks.

use super::film::{get, ship, ticket};
use super::house::{House, Node, Tape, heading};
use link::http::Client;
use model::entry::{Ending, Entry, Stream};
use model::{SessionId, Size, Tick};
use record::Writer;
use serde_json::Value;

/// A recording of several groups: characters cut between entries and between groups, bytes that are no text, sizes, marks.
fn long(node: &Node, id: u8) -> Tape {
    let heading = heading(id, "root-admin", &node.name, "lab", node.signer.clone());
    let mut writer = Writer::begin(&heading, node.key.clone(), Tick(0));
    let all = "\u{1b}[31mnaïve 🦀 line\u{1b}[0m\r\n".repeat(50_000);
    for (n, bytes) in all.as_bytes().chunks(4093).enumerate() {
        let now = Tick(n as u64 * 50);
        let mut bytes = bytes.to_vec();
        if n % 60 == 7 {
            bytes.push(0xff);
        }
        writer.handle(Entry::Output { stream: Stream::Pty, bytes: bytes.into() }, now);
        if n % 50 == 3 {
            writer.handle(Entry::Resize(Size::clamped(100 + n as u32, 30)), now);
            writer.handle(Entry::Mark { label: format!("mark {n}") }, now);
        }
        writer.handle_timeout(now.plus_ms(49));
    }
    let torn = Entry::Output { stream: Stream::Pty, bytes: b"torn \xf0\x9f".to_vec().into() };
    writer.handle(torn, Tick(90_000));
    writer.end(Ending::Exit { status: 0 }, Tick(90_001));
    let mut records = Vec::new();
    while let Some(sealed) = writer.poll() {
        records.push((sealed.bytes.to_vec(), sealed.head.records));
    }
    Tape { id: heading.id, records }
}

/// The index and all segments, as the player fetches them.
async fn fetched(client: &Client, id: SessionId) -> (Value, Vec<Value>) {
    let beside = |path: &str| format!("/v1/recordings/{id}/{path}");
    let index = beside(&format!("segments?ticket={}", ticket(client, id).await));
    let index: Value = serde_json::from_str(&get(client, &index).await.unwrap()).unwrap();
    let mut segments = Vec::new();
    for one in index["segments"].as_array().unwrap() {
        let text = get(client, &beside(one["url"].as_str().unwrap())).await.unwrap();
        segments.push(serde_json::from_str(&text).unwrap());
    }
    (index, segments)
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// What asciinema-player checks of an index and of each segment; answers the events.
fn played(index: &Value, segments: &[Value]) -> Vec<(f64, String, String)> {
    let size = |of: &Value| (of["cols"].as_u64().unwrap() > 0, of["rows"].as_u64().unwrap() > 0);
    assert_eq!((&index["version"], size(&index["term"])), (&1.into(), (true, true)));
    let duration = seconds(&index["duration"]);
    let starts: Vec<_> =
        index["segments"].as_array().unwrap().iter().map(|one| seconds(&one["start"])).collect();
    assert!(starts[0] == 0.0 && starts.is_sorted_by(|one, next| one < next), "{starts:?}");
    let mut all = Vec::new();
    for (n, segment) in segments.iter().enumerate() {
        assert_eq!(size(&segment["snapshot"]), (true, true));
        assert!(segment["snapshot"]["init"].is_string());
        let event = |event: &Value| {
            let text = |place: usize| event[place].as_str().unwrap().to_owned();
            (seconds(&event[0]), text(1), text(2))
        };
        let events: Vec<_> = segment["events"].as_array().unwrap().iter().map(event).collect();
        assert!(events.is_sorted_by(|one, next| one.0 <= next.0), "times never go back");
        assert_eq!(events[0].0, starts[n], "segment {n} begins at its start");
        let last = events.last().unwrap().0;
        match starts.get(n + 1) {
            Some(next) => assert!(last < *next && *next < duration, "segment {n} ends at {last}"),
            None => assert_eq!(last, duration),
        }
        all.extend(events);
    }
    let marks: Vec<_> = all.iter().filter(|event| event.1 == "m").collect();
    let told: Vec<_> = index["markers"].as_array().unwrap().iter().collect();
    let told = told.iter().map(|one| (seconds(&one[0]), one[1].as_str().unwrap()));
    assert!(marks.iter().map(|mark| (mark.0, mark.2.as_str())).eq(told), "{marks:?}");
    all
}

fn shown(all: &[(f64, String, String)]) -> String {
    all.iter().filter(|event| event.1 == "o").map(|event| event.2.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_keep_the_players_rules_and_hold_what_the_asciicast_holds() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let tape = long(&web, 1);
    assert!(ship(&web, &tape, 0, tape.records.len()).await.stored);
    let (index, segments) = fetched(&admin.client, tape.id).await;
    assert!(segments.len() > 4, "it is cut: {}", segments.len());
    assert_eq!((seconds(&index["duration"]), &index["live"]), (90.001, &false.into()));
    let all = played(&index, &segments);
    let cast = format!("/v1/recordings/{}/cast?version=2&ticket=", tape.id);
    let cast = format!("{cast}{}", ticket(&admin.client, tape.id).await);
    let (_, cast) = admin.client.get_bytes(&cast, 8 << 20).await.unwrap();
    let cast = String::from_utf8(cast.to_vec()).unwrap();
    let events: Vec<Value> =
        cast.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |code: &'static str| events.iter().filter(move |event| event[1] == code);
    let theirs: String = of("o").map(|event| event[2].as_str().unwrap()).collect();
    let ours = shown(&all);
    assert!(ours.contains("naïve 🦀 line") && ours.contains('\u{fffd}'));
    assert!(ours.ends_with("torn \u{fffd}"), "{:?}", &ours[ours.len() - 20..]);
    assert!(ours == theirs, "{} and {} bytes", ours.len(), theirs.len());
    let sizes = |event: &Value| (seconds(&event[0]), event[2].as_str().unwrap().to_owned());
    let theirs: Vec<_> = of("r").map(sizes).collect();
    let ours: Vec<_> = all.iter().filter(|event| event.1 == "r").collect();
    assert!(ours.iter().map(|event| (event.0, event.2.clone())).eq(theirs), "{ours:?}");
    // A segment's picture is of what is before it: the last words of the one before stand there.
    for (n, segment) in segments.iter().enumerate().skip(1) {
        let init = segment["snapshot"]["init"].as_str().unwrap();
        assert!(init.contains("line"), "segment {n}: {init:?}");
    }
    assert_eq!(segments[0]["snapshot"]["init"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_goes_on_is_told_as_far_as_it_reaches_with_its_gaps() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let tape = web.tape(1, "root-admin");
    ship(&web, &tape, 0, 12).await;
    let (index, segments) = fetched(&admin.client, tape.id).await;
    let before = played(&index, &segments);
    assert_eq!(index["live"], true);
    assert!(ship(&web, &tape, 12, tape.records.len()).await.stored);
    // The addresses of a shorter index still lead to the same.
    for (one, segment) in index["segments"].as_array().unwrap().iter().zip(&segments) {
        let path = format!("/v1/recordings/{}/{}", tape.id, one["url"].as_str().unwrap());
        let again = get(&admin.client, &path).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), *segment);
    }
    let (index, segments) = fetched(&admin.client, tape.id).await;
    let all = played(&index, &segments);
    assert!(shown(&all).starts_with(&shown(&before)) && shown(&all).lines().count() == 40);
    assert_eq!((seconds(&index["duration"]), &index["live"]), (40.0, &false.into()));
    let gap = &index["markers"][0];
    assert!(gap[0] == 20.0 && gap[1].as_str().unwrap().starts_with("GAP: 5 B"), "{gap}");
}

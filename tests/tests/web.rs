//! What a proxy does for browsers, from the outside: what is cut when somebody signs out, and who is told of whoever looks.

use house::asker::{Asker, upgrade};
use house::browser::{Browser, missing};
use house::person::Person;
use house::surf::Surf;
use house::{Cluster, PASSWORD, assert_success, text, wait_for};
use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use wire::asciinema::alis::PROTOCOL;
use wire::web::COOKIE;

#[test]
fn people_hear_who_looks_at_their_session_and_terminals_and_files_end_with_their_web_session() {
    if let Some(why) = missing() {
        return println!("skipped: {why}");
    }
    let cluster = Cluster::start();
    let bob = Person::invited(&cluster, "bob", &["admin"]);
    let surf = Surf::of(&cluster, "bob");
    Browser::trusting(&cluster).play("signed_out", |asked| {
        let (what, id) = asked.split_once(' ').expect("an id");
        match what {
            "play" => {
                // Its node has to ship something before there is a recording.
                wait_for("the recording", || bob.run(&["recordings", "info", id]).status.success());
                assert_success(&bob.run(&["play", id, "--print"]));
            }
            "own" => assert_success(&cluster.scry(&["play", id, "--print"])),
            "preview" => {
                let call = serde_json::json!({ "ids": [id] });
                let (status, answer) = surf.call("recordings/previews", &call);
                assert_eq!(status, 200, "{answer}");
                assert!(answer.contains(id), "{answer}");
            }
            other => panic!("the scene asks for {other:?}"),
        }
        String::new()
    });
}

/// Lines of a flood: more than all buffers on the way hold.
const FLOOD: usize = 2_500_000;

/// Frames of a live stream, until one of them contains a text; all of their bytes.
async fn until(asker: &mut Asker, text: &str) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        let (kind, frame) = asker.hear().await.unwrap_or_else(|| panic!("it ended before {text}"));
        assert!(matches!(kind, 2 | 9), "it was closed before {text}: {frame:?}");
        let found = frame.windows(text.len()).any(|some| some == text.as_bytes());
        frames.push(frame);
        if found {
            return frames;
        }
    }
}

/// Reads to the end, and says when a text came; answers how many bytes there were.
fn drained(mut from: impl Read, text: &'static [u8], came: mpsc::Sender<()>) -> usize {
    let (mut piece, mut tail, mut all) = (vec![0; 64 * 1024], Vec::new(), 0);
    while let Ok(read @ 1..) = from.read(&mut piece) {
        all += read;
        tail.extend_from_slice(&piece[..read]);
        if tail.windows(text.len()).any(|some| some == text) {
            let _ = came.send(());
        }
        tail.drain(..tail.len().saturating_sub(text.len()));
    }
    all
}

#[test]
fn who_reads_a_live_stream_slowly_is_given_the_picture_of_now_and_loses_the_stream_with_the_right()
{
    let cluster = Cluster::start();
    let _bob = Person::invited(&cluster, "bob", &["admin"]);
    let surf = Surf::of(&cluster, "bob");
    // The words that are waited for do not stand in the command, which is told as what ran.
    let flood = format!(
        "stty -echo; echo begun-$((40+1)); read x; seq {FLOOD}; sleep 3; echo all-of-$((40+2)); read y"
    );
    let mut ssh = cluster.ssh_command();
    ssh.args(["-tt", &cluster.host(), &flood]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut ssh = ssh.spawn().expect("ssh runs");
    let (mut typed, shown) = (ssh.stdin.take().unwrap(), ssh.stdout.take().unwrap());
    let (came, passed) = mpsc::channel();
    let owner = thread::spawn(move || drained(shown, b"all-of-42", came));
    let session = || cluster.live_recordings().into_iter().find(|row| row["kind"] == "exec");
    wait_for("the recording", || session().is_some());
    let id = session().unwrap()["id"].as_str().unwrap().to_owned();
    let call = serde_json::json!({ "id": id, "how": "follow" });
    let (status, view) = surf.call("recordings/view", &call);
    assert_eq!(status, 200, "{view}");
    let view: serde_json::Value = serde_json::from_str(&view).unwrap();
    let path = format!("/v1/recordings/{id}/alis?ticket={}", view["ticket"].as_str().unwrap());
    let status = cluster.scry_json(&["status", "--json"]);
    let authority = status["cluster"]["tls_authority"].as_str().unwrap();
    let own = [format!("Origin: {}", surf.origin), format!("Cookie: {COOKIE}={}", surf.secret())];
    let headers = [&upgrade(PROTOCOL)[..], &own].concat();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut asker = Asker::new(&cluster.address, "localhost", b"http/1.1", authority, None);
        assert_eq!(asker.ask("GET", &path, &headers, "").await.status, 101);
        assert_eq!(until(&mut asker, "begun-41").await[0], b"ALiS\x01");
        // Nothing is read while a flood passes, and it passes.
        typed.write_all(b"\n").unwrap();
        passed.recv_timeout(Duration::from_secs(60)).expect("nobody holds up the owner");
        let shown = || cluster.scry(&["play", &id, "--print"]);
        wait_for("auth to have the rest", || {
            String::from_utf8_lossy(&shown().stdout).contains("all-of-42")
        });
        let told = until(&mut asker, "all-of-42").await;
        let bytes: usize = told.iter().map(Vec::len).sum();
        assert_eq!(told.last().unwrap()[0], 1, "it is in a picture");
        assert!(bytes < FLOOD * 6, "{bytes} bytes are not all of it");
        let (_, marker) = asker.hear().await.unwrap();
        assert!(marker.ends_with(b"this player reads too slowly"), "{marker:?}");
        // Whoever is removed is told no more, at once, and why.
        assert_success(&cluster.scry(&["users", "rm", "bob"]));
        let closed = loop {
            match asker.hear().await.expect("it ends with a reason") {
                (8, closed) => break closed,
                (kind, frame) => assert!(kind == 9 || frame[0] != 1, "{frame:?}"),
            }
        };
        let reason = String::from_utf8_lossy(&closed[2..]);
        assert!(closed[..2] == 4000_u16.to_be_bytes() && !reason.is_empty(), "{closed:?} {reason}");
    });
    typed.write_all(b"\n").unwrap();
    drop(typed);
    ssh.wait().unwrap();
    assert!(owner.join().unwrap() > FLOOD * 7, "the owner saw all of it");
}

/// The commands of a page for scripts, a line each, with what stands there for something replaced by it.
fn commands_of(page: &str, instead: &[(&str, &str)]) -> Vec<String> {
    let (_, scripts) = page.split_once("## For scripts").expect("a part for scripts");
    let (_, block) = scripts.split_once("```sh\n").expect("commands");
    let (block, _) = block.split_once("```").expect("their end");
    let replaced = |line: &str| {
        instead.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to))
    };
    block.lines().map(replaced).collect()
}

#[test]
fn what_the_page_about_embedding_has_for_scripts_works_as_it_stands_there() {
    let page = include_str!("../../docs/embed.md");
    let cluster = Cluster::start();
    assert_success(&cluster.ssh("echo for-a-script"));
    let id = cluster.recording_of("echo for-a-script")["id"].as_str().unwrap().to_owned();
    // It makes the file of the cluster's authority.
    let surf = Surf::of_nobody(&cluster, "script");
    let run = |lines: &[&str]| {
        let mut script = Command::new("sh");
        script.args(["-e", "-c", &lines.join("\n")]).current_dir(cluster.folder.path());
        script.env("CURL_CA_BUNDLE", cluster.path("script.pem"));
        // As they are typed: only what goes wrong is told.
        let out = script.env("CURL_HOME", cluster.folder.path()).output().expect("a shell");
        assert_success(&out);
        text(&out)
    };
    std::fs::write(cluster.path(".curlrc"), "silent\nshow-error\nfail-with-body\n").unwrap();
    let mut instead = vec![
        ("https://scry.example.org", surf.origin.as_str()),
        ("\"alice\"", "\"LOGIN\""),
        ("LOGIN", &cluster.login),
        ("…", PASSWORD),
        ("\"ID\"", "\"THIS\""),
        ("/ID/", "/THIS/"),
        ("THIS", &id),
    ];
    let lines = commands_of(page, &instead);
    let [place, sign_in, view, _] = &lines[..] else {
        panic!("other commands than four: {lines:#?}")
    };
    let signed_in: serde_json::Value = serde_json::from_str(&run(&[place, sign_in])).unwrap();
    assert_eq!(signed_in["signed_in"]["user"], *cluster.login, "{signed_in}");
    let viewed: serde_json::Value = serde_json::from_str(&run(&[place, view])).unwrap();
    let ticket = format!("ticket={}", viewed["ticket"].as_str().expect("a ticket"));
    instead.push(("ticket=T", &ticket));
    let lines = commands_of(page, &instead);
    let index: serde_json::Value = serde_json::from_str(&run(&[place, &lines[3]])).unwrap();
    assert!(index["segments"].as_array().is_some_and(|all| !all.is_empty()), "{index}");
    // What they do is what the ledger says: who looked, and at what.
    wait_for("the look in the ledger", || {
        cluster.audit("recording.view").iter().any(|event| event["session"] == *id)
    });
}

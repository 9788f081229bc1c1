//! Files that are approved one by one: by stock sftp and scp, over links that are swapped, by people who come and go.

use crate::{A_WHILE, bob_and_carol, time_line};
use house::eyes::{Client, listed, processes, that_can_freeze, told, with_eyes};
use house::person::{Person, words};
use house::{Cluster, assert_success, wait_for};
use model::limit::APPROVED_MS;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is said of the demand.
const EACH: &str = "files = 'each'";

/// A folder with what is moved and what must not be.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(cluster: &Cluster) -> Self {
        let folder = cluster.path("files");
        fs::create_dir(&folder).unwrap();
        let folder = fs::canonicalize(folder).unwrap();
        fs::write(folder.join("shown"), "as shown\n".repeat(10_000)).unwrap();
        fs::write(folder.join("secret"), "a secret\n").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Has a link lead somewhere else, in one step.
    fn link(&self, name: &str, to: &str) {
        symlink(self.path(to), self.path("next")).unwrap();
        fs::rename(self.path("next"), self.path(name)).unwrap();
    }
}

/// Stock programs of OpenSSH as bob.
fn stock(cluster: &Cluster, program: &str, args: &[&str]) -> Client {
    let mut command = Command::new(program);
    command.arg("-F").arg(cluster.path("bob.ssh_config")).args(args).env_remove("SSH_AUTH_SOCK");
    Client::start(command)
}

/// `sftp` that does these things.
fn sftp(cluster: &Cluster, batch: &str) -> Client {
    let file = cluster.path(&format!("batch-{}", blake3::hash(batch.as_bytes()).to_hex()));
    fs::write(&file, batch).unwrap();
    stock(cluster, "sftp", &["-b", file.to_str().unwrap(), &cluster.host()])
}

fn scp(cluster: &Cluster, flags: &[&str], from: &str, to: &str) -> Client {
    stock(cluster, "scp", &[flags, &[from, to]].concat())
}

/// `scp` that takes the file `shown` away from the node, its session, and where it comes to lie.
#[track_caller]
fn shown_away(cluster: &Cluster, files: &Files) -> (Client, String, PathBuf) {
    let back = files.path("back");
    let from = there(cluster, &files.path("shown"));
    let down = scp(cluster, &[], &from, back.to_str().unwrap());
    let session = down.waits();
    (down, session, back)
}

/// On the node, for scp.
fn there(cluster: &Cluster, path: &Path) -> String {
    format!("{}:{}", cluster.host(), path.display())
}

/// The file that waits for a word, as whoever sits there sees it; nothing while none does.
fn waiting(person: &Person<'_>, session: &str) -> Value {
    let out = person.run(&["company", session, "--json"]);
    let company: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    company["file"].clone()
}

/// Waits until file `number` waits for a word.
#[track_caller]
fn wanted(person: &Person<'_>, session: &str, number: u64) -> Value {
    let mut file = Value::Null;
    wait_for("a file that waits", || {
        file = waiting(person, session);
        file["number"] == number
    });
    file
}

fn say(person: &Person<'_>, session: &str, word: &str, number: &str) -> std::process::Output {
    person.run(&["company", session, word, number])
}

#[track_caller]
fn approve(person: &Person<'_>, session: &str, number: u64) {
    assert_success(&say(person, session, "approve", &number.to_string()));
}

/// Has `bob.ssh_config` written.
fn bobs_settings(bob: &Person<'_>) {
    drop(bob.ssh_command());
}

#[test]
fn an_approved_file_passes_whole_in_both_directions_and_everybody_can_see_who_let_it_through() {
    let cluster = with_eyes(EACH);
    let (bob, carol) = bob_and_carol(&cluster);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    let shown = files.path("shown");

    // Away from the node, by scp.
    let (mut down, session, back) = shown_away(&cluster, &files);
    let _carol = Client::seated(&cluster, &carol, &session, "moderator");
    let file = wanted(&carol, &session, 1);
    let about = fs::metadata(&shown).unwrap();
    let hash = blake3::hash(files.read("shown").as_bytes()).to_hex().to_string();
    assert_eq!((&file["direction"], &file["path"]), (&"download".into(), &shown.to_str().into()));
    let there_is = &file["target"]["file"];
    assert_eq!(
        (&there_is["inode"], &there_is["device"]),
        (&about.ino().into(), &about.dev().into())
    );
    assert_eq!(
        (&there_is["bytes"], &there_is["hash"]),
        (&about.len().into(), &hash.clone().into())
    );
    std::thread::sleep(Duration::from_millis(300));
    assert!(fs::read(&back).unwrap_or_default().is_empty(), "nothing passes before a word");
    wait_for("it to be on the list", || {
        let why = listed(&cluster, &session)["why"].as_str().map(str::to_owned);
        why.is_some_and(|why| why == format!("a file waits for a word: {}", shown.display()))
    });
    approve(&carol, &session, 1);
    assert!(down.ended().success(), "{}", down.said());
    assert!(down.said().contains("file 1, download of"), "{}", down.said());
    assert_eq!(fs::read(&back).unwrap(), fs::read(&shown).unwrap());
    told(&cluster, "file.want", |event| {
        event["session"] == session.as_str()
            && event["user"] == "bob"
            && event["path"] == shown.to_str().unwrap()
            && event["target"].to_string().contains(&hash)
    });
    told(&cluster, "file.approve", |event| {
        event["session"] == session.as_str() && event["user"] == "carol" && event["file"] == 1
    });
    told(&cluster, "session.transfer", |event| {
        event["session"] == session.as_str() && event["hash"] == hash.as_str()
    });
    let line = time_line(&cluster, &session);
    let (asked, said) = (line.find("waits for a word: file 1"), line.find("approved file 1"));
    assert!(asked.is_some() && asked < said && said < line.find("read /"), "{line}");

    // To the node, by sftp, as a new file; a word by the keys of a seat.
    let new = files.path("new");
    let mut up = sftp(&cluster, &format!("put {} {}\n", shown.display(), new.display()));
    let session = up.waits();
    let mut moderator = Client::seated(&cluster, &carol, &session, "moderator");
    let file = wanted(&carol, &session, 1);
    let folder = fs::metadata(&files.folder).unwrap();
    assert_eq!(file["direction"], "upload");
    assert_eq!(file["target"]["new"]["inode"], folder.ino());
    moderator.wait_printed("upload of");
    assert!(!new.exists());
    moderator.types("a");
    moderator.wait_printed("may this file be moved?");
    moderator.types("y");
    assert!(up.ended().success(), "{}", up.said());
    assert_eq!(files.read("new"), files.read("shown"));
}

#[test]
fn an_approval_is_over_when_nothing_of_the_file_was_moved_for_a_minute() {
    if !house::long() {
        return eprintln!("skipped: it takes a minute; `cargo xtask test --long` runs it");
    }
    let cluster = with_eyes(EACH);
    let (bob, carol) = bob_and_carol(&cluster);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    let away = files.path("away");
    let mut down =
        sftp(&cluster, &format!("-get {} {}\n", files.path("shown").display(), away.display()));
    let session = down.waits();
    let _carol = Client::seated(&cluster, &carol, &session, "moderator");
    wanted(&carol, &session, 1);
    // The client is told of the word, and asks for nothing.
    down.signal("STOP");
    approve(&carol, &session, 1);
    std::thread::sleep(Duration::from_millis(APPROVED_MS + 2_000));
    down.signal("CONT");
    down.ended();
    assert!(fs::read(&away).unwrap_or_default().is_empty(), "nothing of it has passed");
    told(&cluster, "file.stop", |event| {
        event["session"] == session.as_str()
            && event["why"].as_str().is_some_and(|why| why.contains("the approval is over"))
    });
    assert!(time_line(&cluster, &session).contains("file 1 was stopped"));
}

#[test]
fn a_refused_file_does_not_pass_and_the_next_one_needs_a_word_of_its_own() {
    let cluster = with_eyes(EACH);
    let (bob, carol) = bob_and_carol(&cluster);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    let (shown, secret) = (files.path("shown"), files.path("secret"));
    let away = |name: &str| files.path(&format!("away-{name}"));
    let mut batch = String::new();
    for (name, to) in [(&secret, "1"), (&shown, "2"), (&secret, "3"), (&shown, "4")] {
        batch += &format!("-get {} {}\n", name.display(), away(to).display());
    }
    batch += &format!("-put {} {}\n", shown.display(), secret.display());
    let mut bobs = sftp(&cluster, &batch);
    let session = bobs.waits();
    let mut moderator = Client::seated(&cluster, &carol, &session, "moderator");
    for (number, word) in [(1, "refuse"), (2, "approve"), (3, "refuse"), (4, "refuse")] {
        wanted(&carol, &session, number);
        // A word about a file that is past, or not there yet, is nothing.
        for other in [number - 1, number + 1] {
            let out = say(&carol, &session, "approve", &other.to_string());
            assert!(words(&out).contains("no file with that number"), "{}", words(&out));
        }
        assert_success(&say(&carol, &session, word, &number.to_string()));
    }
    wanted(&carol, &session, 5);
    moderator.types("a");
    moderator.wait_printed("may this file be moved?");
    moderator.types("n");
    bobs.ended();
    assert!(bobs.said().contains("carol refused it"), "{}", bobs.said());
    assert_eq!(fs::read(away("2")).unwrap(), fs::read(&shown).unwrap());
    for name in ["1", "3", "4"] {
        assert!(fs::read(away(name)).unwrap_or_default().is_empty(), "{name}");
    }
    assert_eq!(files.read("secret"), "a secret\n");
    told(&cluster, "file.refuse", |event| {
        event["session"] == session.as_str()
            && event["user"] == "carol"
            && event["file"] == 5
            && event["path"] == secret.to_str().unwrap()
    });
    assert!(time_line(&cluster, &session).contains("refused file 5"));
}

#[test]
fn only_who_counts_says_a_word_and_not_the_owner() {
    let cluster = with_eyes(EACH);
    let (bob, carol) = bob_and_carol(&cluster);
    let dave = Person::invited(&cluster, "dave", &["guest"]);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    let (mut down, session, back) = shown_away(&cluster, &files);
    let _carol = Client::seated(&cluster, &carol, &session, "moderator");
    let _dave = Client::seated(&cluster, &dave, &session, "moderator");
    wanted(&carol, &session, 1);
    for person in [&bob, &dave] {
        for word in ["approve", "refuse"] {
            let out = say(person, &session, word, "1");
            assert!(words(&out).contains("does not count for files"), "{}", words(&out));
        }
    }
    assert!(!down.has_ended() && fs::read(&back).unwrap_or_default().is_empty());
    approve(&carol, &session, 1);
    assert!(down.ended().success(), "{}", down.said());
}

#[test]
fn two_who_must_be_there_both_say_a_word() {
    let cluster = with_eyes("files = 'each'\ncount = 2");
    let (bob, carol) = bob_and_carol(&cluster);
    let erin = Person::invited(&cluster, "erin", &["eyes"]);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    let (mut down, session, back) = shown_away(&cluster, &files);
    let _carol = Client::seated(&cluster, &carol, &session, "moderator");
    let _again = Client::seated(&cluster, &carol, &session, "moderator");
    let _erin = Client::seated(&cluster, &erin, &session, "moderator");
    wanted(&carol, &session, 1);
    approve(&carol, &session, 1);
    approve(&carol, &session, 1);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!down.has_ended() && fs::read(&back).unwrap_or_default().is_empty());
    approve(&erin, &session, 1);
    assert!(down.ended().success(), "{}", down.said());
}

#[test]
fn a_link_that_is_swapped_between_request_and_word_leads_nowhere_else() {
    let cluster = with_eyes(EACH);
    let (bob, carol) = bob_and_carol(&cluster);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    let (link, back, shown) = (files.path("link"), files.path("back"), files.read("shown"));
    files.link("link", "shown");
    let mut down = scp(&cluster, &[], &there(&cluster, &link), back.to_str().unwrap());
    let session = down.waits();
    let _carol = Client::seated(&cluster, &carol, &session, "moderator");
    let file = wanted(&carol, &session, 1);
    let (asked, path) = (link.to_str().unwrap(), files.path("shown"));
    assert_eq!((&file["asked"], &file["path"]), (&asked.into(), &path.to_str().into()));
    files.link("link", "secret");
    approve(&carol, &session, 1);
    assert!(down.ended().success(), "{}", down.said());
    assert_eq!(files.read("back"), shown);

    // The other way: neither the file that the link leads to by then, nor one that has come to a new name.
    let (source, new) = (files.path("source"), files.path("new"));
    fs::write(&source, "sent").unwrap();
    files.link("link", "shown");
    let batch = [&link, &new].map(|to| format!("-put {} {}\n", source.display(), to.display()));
    let mut up = sftp(&cluster, &batch.concat());
    let session = up.waits();
    let _carol = Client::seated(&cluster, &carol, &session, "moderator");
    wanted(&carol, &session, 1);
    files.link("link", "secret");
    approve(&carol, &session, 1);
    wanted(&carol, &session, 2);
    files.link("new", "secret");
    approve(&carol, &session, 2);
    up.ended();
    assert_eq!((files.read("shown"), files.read("secret")), ("sent".into(), "a secret\n".into()));
    told(&cluster, "file.stop", |event| {
        event["session"] == session.as_str()
            && event["file"] == 2
            && event["why"].to_string().contains("come there meanwhile")
    });
    assert!(up.said().contains("file 2 was stopped"), "{}", up.said());
}

#[test]
fn without_a_terminal_nothing_runs_but_sftp_and_the_line_says_what_to_use() {
    let cluster = with_eyes(EACH);
    let (bob, carol) = bob_and_carol(&cluster);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    let (shown, mark) = (files.path("shown"), files.path("mark"));
    let (from, to) = (there(&cluster, &shown), there(&cluster, &mark));
    let (shown, server) = (shown.to_str().unwrap(), "/usr/lib/openssh/sftp-server");
    let host = cluster.host();
    let touch = format!("touch {}", mark.display());
    let mut clients = vec![
        ("old scp, down", scp(&cluster, &["-O"], &from, mark.to_str().unwrap())),
        ("old scp, up", scp(&cluster, &["-O"], shown, &to)),
        ("exec", stock(&cluster, "ssh", &[&host, &touch])),
        ("shell", stock(&cluster, "ssh", &["-T", &host])),
        ("sftp-server by its name", stock(&cluster, "sftp", &["-s", server, &host])),
    ];
    let settings = cluster.path("bob.ssh_config");
    let mut rsync = Command::new("rsync");
    rsync.arg("-e").arg(format!("ssh -F {}", settings.display())).args([shown, &to]);
    if Command::new("rsync").arg("--version").output().is_ok() {
        clients.push(("rsync", Client::start(rsync)));
    } else {
        eprintln!("skipped: rsync is not here");
    }
    for (name, client) in &mut clients {
        let ended = client.ended();
        let said = client.said() + &client.printed();
        assert!(!ended.success() && said.contains("use sftp, scp without -O"), "{name}: {said}");
    }
    assert!(!mark.exists());
    told(&cluster, "access.denied", |event| {
        event["user"] == "bob" && event["action"] == "run without a terminal"
    });
    // With one, in front of somebody, it runs.
    let mut owner = Client::open(&cluster, &bob, &["-tt"], &touch);
    let _carol = Client::come(&cluster, &carol, &owner.waits(), "moderator");
    assert!(owner.ended().success() && mark.exists(), "{}", owner.said());
}

#[test]
fn when_the_last_who_must_be_there_leaves_a_file_stands_still_and_goes_on_when_they_are_back() {
    let Some(cluster) = that_can_freeze(EACH) else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    // Larger than everything between the two ends holds, and slow enough to be met on its way.
    let large = files.path("large");
    let bytes: Vec<u8> = (0..12 * 1024 * 1024_u32).map(|at| (at % 251) as u8).collect();
    fs::write(&large, &bytes).unwrap();
    let back = files.path("back");
    let (from, to) = (there(&cluster, &large), back.to_str().unwrap());
    let mut down = scp(&cluster, &["-l", "16000"], &from, to);
    let session = down.waits();
    let moderator = Client::seated(&cluster, &carol, &session, "moderator");
    wanted(&carol, &session, 1);

    // Gone before a word: nobody says one for them, and the file still waits.
    drop(moderator);
    house::eyes::stands_as(&cluster, &session, "frozen");
    let out = say(&carol, &session, "approve", "1");
    assert!(!out.status.success(), "{}", words(&out));
    let moderator = Client::seated(&cluster, &carol, &session, "moderator");
    house::eyes::stands_as(&cluster, &session, "running");
    approve(&carol, &session, 1);
    let size = || fs::metadata(&back).map_or(0, |about| about.len());
    wait_for("the first bytes", || size() > 256 * 1024);

    // Gone in the middle.
    drop(moderator);
    house::eyes::stands_as(&cluster, &session, "frozen");
    // What was on its way arrives; the client is slow by its own wish.
    let mut still = size();
    wait_for("what was on its way", || {
        std::thread::sleep(A_WHILE);
        let before = std::mem::replace(&mut still, size());
        before == still
    });
    assert!(still < bytes.len() as u64, "it was met on its way");
    let _back = Client::come(&cluster, &carol, &session, "moderator");
    wait_for("the rest", || size() > still);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !down.has_ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(down.ended().success(), "{}", down.said());
    assert_eq!(fs::read(&back).unwrap(), bytes);
    assert!(processes(&session).is_empty());
}

/// Swaps a link between two files as fast as it can, until it is dropped.
struct Swapper {
    goes_on: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Swapper {
    fn start(folder: &Path) -> Self {
        let (folder, goes_on) = (folder.to_owned(), Arc::new(AtomicBool::new(true)));
        let flag = Arc::clone(&goes_on);
        let swap = move || {
            let mut count = 0;
            while flag.load(Ordering::Relaxed) {
                symlink(folder.join(["shown", "secret"][count % 2]), folder.join("swap")).unwrap();
                fs::rename(folder.join("swap"), folder.join("link")).unwrap();
                count += 1;
            }
            count
        };
        Self { goes_on, thread: Some(std::thread::spawn(swap)) }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.goes_on.store(false, Ordering::Relaxed);
        let swaps = self.thread.take().map(|thread| thread.join().unwrap_or_default());
        println!("{} swaps", swaps.unwrap_or_default());
    }
}

#[test]
fn whoever_swaps_a_link_without_end_never_gets_another_file_than_was_approved() {
    let cluster = with_eyes(EACH);
    let (bob, carol) = bob_and_carol(&cluster);
    bobs_settings(&bob);
    let files = Files::new(&cluster);
    files.link("link", "shown");
    let rounds = if house::long() { 500 } else { 40 };
    let away = |round: u64| files.path(&format!("away-{round}"));
    let (link, source) = (files.path("link"), files.path("source"));
    fs::write(&source, "sent").unwrap();
    // Every fourth goes to the node, into whatever the link leads to.
    let is_upload = |round: u64| round.is_multiple_of(4);
    let line = |round| match is_upload(round) {
        true => format!("-put {} {}\n", source.display(), link.display()),
        false => format!("-get {} {}\n", link.display(), away(round).display()),
    };
    let batch: String = (1..=rounds).map(line).collect();
    let swapper = Swapper::start(&files.folder);
    let mut bobs = sftp(&cluster, &batch);
    let session = bobs.waits();
    let _carol = Client::seated(&cluster, &carol, &session, "moderator");
    let (mut let_through, mut number) = (Vec::new(), 0);
    while !bobs.has_ended() && !listed(&cluster, &session).is_null() {
        let file = waiting(&carol, &session);
        let Some(next) = file["number"].as_u64().filter(|next| *next > number) else { continue };
        number = next;
        let is_shown = file["path"] == files.path("shown").to_str().unwrap();
        let word = if is_shown { "approve" } else { "refuse" };
        assert_success(&say(&carol, &session, word, &number.to_string()));
        let_through.extend(is_shown.then_some(number));
    }
    bobs.ended();
    drop(swapper);
    println!("{number} asked for in {rounds} rounds, {} let through", let_through.len());
    assert!(!let_through.is_empty() && let_through.len() < rounds as usize);
    assert_eq!(files.read("secret"), "a secret\n");
    for round in 1..=rounds {
        let got = fs::read_to_string(away(round)).unwrap_or_default();
        assert!(!got.contains("secret"), "round {round}");
    }
}

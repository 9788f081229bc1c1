//! Files asked for, looked at and let through or not, by a client and a node that the tests play; and races for another file.

use super::found::EXCLUSIVE;
use super::*;
use model::limit::{APPROVED_MS, WANTED_KEPT_BYTES};
use model::wanted::Target;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// Rounds of a race.
const ROUNDS: usize = 500;

/// A server in a thread, with a client and a node that the test plays.
struct World {
    folder: TempDir,
    client: UnixStream,
    node: OwnedFd,
    _server: JoinHandle<()>,
}

/// What a client is answered: the type, and what stands behind the number of the request.
type Told = (u8, Vec<u8>);

impl World {
    fn new() -> Self {
        let (node, control) = fdpass::pair().unwrap();
        let (client, mut input) = UnixStream::pair().unwrap();
        let mut output = input.try_clone().unwrap();
        let server = std::thread::spawn(move || {
            let _ = Server::new(&control).serve(&mut input, &mut output);
        });
        Self { folder: TempDir::new().unwrap(), client, node, _server: server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn link(&self, name: &str, to: &Path) -> PathBuf {
        let (path, next) = (self.path(name), self.path("next"));
        symlink(to, &next).unwrap();
        std::fs::rename(next, &path).unwrap();
        path
    }

    fn send(&mut self, kind: u8, fields: impl FnOnce(Answer) -> Answer) {
        let packet = fields(Answer::new(kind, 7)).into_bytes();
        self.client.write_all(&packet).unwrap();
    }

    fn answer(&mut self) -> Told {
        let packet = packet::read(&mut self.client).unwrap().unwrap();
        assert_eq!(packet[1..5], 7_u32.to_be_bytes());
        (packet[0], packet[5..].to_vec())
    }

    /// A failure, in words; none if it is none.
    fn failure(&mut self) -> Option<String> {
        let (kind, rest) = self.answer();
        let mut rest = Fields(&rest);
        let failed = kind == 101 && rest.number().unwrap() != OK;
        failed.then(|| String::from_utf8_lossy(rest.string().unwrap()).into_owned())
    }

    fn handle(&mut self) -> u32 {
        let (kind, rest) = self.answer();
        assert_eq!(kind, 102, "{}", String::from_utf8_lossy(&rest));
        Fields(&rest).handle().unwrap()
    }

    fn ask(&mut self, path: &Path, flags: u32) {
        let path = path.as_os_str().as_bytes().to_vec();
        self.send(3, |open| open.string(&path).number(flags).number(0));
    }

    fn news(&self) -> FileNews {
        postcard::from_bytes(&fdpass::receive(self.node.as_fd()).unwrap().bytes).unwrap()
    }

    fn wanted(&self) -> Wanted {
        match self.news() {
            FileNews::Wanted(wanted) => wanted,
            stopped @ FileNews::Stopped { .. } => panic!("{stopped:?}"),
        }
    }

    fn word(&self, word: &Word) {
        let bytes = postcard::to_allocvec(word).unwrap();
        fdpass::send(self.node.as_fd(), &bytes, &[]).unwrap();
    }

    fn allow(&self, number: u32) {
        self.word(&Word::Allow { number });
    }

    /// Asks for a file and lets it through.
    fn opened(&mut self, path: &Path, flags: u32) -> (Wanted, u32) {
        self.ask(path, flags);
        let wanted = self.wanted();
        self.allow(wanted.number);
        (wanted, self.handle())
    }

    /// What stands at the beginning of a file that is open; none at its end.
    fn read(&mut self, handle: u32) -> Result<Vec<u8>, String> {
        self.send(5, |read| read.string(&handle.to_be_bytes()).long(0).number(100));
        let (kind, rest) = self.answer();
        let mut rest = Fields(&rest);
        if kind == 103 {
            return Ok(rest.string().unwrap().to_vec());
        }
        rest.number().unwrap();
        Err(String::from_utf8_lossy(rest.string().unwrap()).into_owned())
    }

    fn write(&mut self, handle: u32, bytes: &[u8]) -> Option<String> {
        self.send(6, |write| write.string(&handle.to_be_bytes()).long(0).string(bytes));
        self.failure()
    }

    fn close(&mut self, handle: u32) {
        self.send(4, |close| close.string(&handle.to_be_bytes()));
        assert_eq!(self.failure(), None);
    }
}

const TO_WRITE: u32 = WRITE | CREATE | TRUNCATE;

#[test]
fn a_download_moves_the_bytes_that_were_shown_whatever_becomes_of_file_and_name_meanwhile() {
    let mut world = World::new();
    let (shown, secret) = (world.file("shown", "as shown"), world.file("secret", "a secret"));
    let link = world.link("link", &shown);
    world.ask(&link, READ);
    let wanted = world.wanted();
    let about = std::fs::metadata(&shown).unwrap();
    let hash = Some(model::transfer::Digest(*blake3::hash(b"as shown").as_bytes()));
    let (device, inode) = (about.dev(), about.ino());
    assert_eq!(wanted.target, Target::File { device, inode, bytes: 8, names: 1, hash });
    assert_eq!((wanted.number, wanted.direction), (1, Direction::Download));
    let shown_path = std::fs::canonicalize(&shown).unwrap();
    assert_eq!(wanted.path, shown_path.to_str().unwrap());
    assert_eq!(wanted.asked, link.to_str().unwrap());
    world.link("link", &secret);
    std::fs::write(&shown, "as altered").unwrap();
    world.allow(1);
    let handle = world.handle();
    assert_eq!(world.read(handle).unwrap(), b"as shown");
    world.close(handle);
    // What was approved was this once: the same path again is another file, with a word of its own.
    world.ask(&link, READ);
    let again = world.wanted();
    assert_eq!((again.number, again.path.ends_with("/secret")), (2, true));
    world.word(&Word::Refuse { number: 2, why: "carol said no".into() });
    assert_eq!(world.failure().unwrap(), "carol said no");
    assert!(world.read(handle).is_err());
}

#[test]
fn a_word_about_another_file_is_not_heard() {
    let mut world = World::new();
    let path = world.file("a", "a");
    world.ask(&path, READ);
    let number = world.wanted().number;
    world.allow(number + 1);
    world.allow(number - 1);
    world.word(&Word::Refuse { number, why: "no".into() });
    assert_eq!(world.failure().unwrap(), "no");
}

#[test]
fn an_upload_over_a_file_reaches_that_file_whatever_its_name_leads_to_by_then() {
    let mut world = World::new();
    let (shown, secret) = (world.file("shown", "old text"), world.file("secret", "a secret"));
    let link = world.link("link", &shown);
    world.ask(&link, TO_WRITE);
    assert!(world.wanted().path.ends_with("/shown"));
    world.link("link", &secret);
    assert_eq!(std::fs::read(&shown).unwrap(), b"old text", "nothing is emptied before a word");
    world.allow(1);
    let handle = world.handle();
    assert_eq!(world.write(handle, b"new"), None);
    assert!(world.read(handle).is_err(), "it was not approved to be read");
    world.close(handle);
    assert_eq!(std::fs::read(&shown).unwrap(), b"new");
    assert_eq!(std::fs::read(&secret).unwrap(), b"a secret");
}

#[test]
fn a_refused_upload_changes_nothing() {
    let mut world = World::new();
    let (there, new) = (world.file("there", "old text"), world.path("new"));
    for path in [&there, &new] {
        world.ask(path, TO_WRITE);
        let number = world.wanted().number;
        world.word(&Word::Refuse { number, why: "no".into() });
        assert!(world.failure().is_some());
    }
    assert_eq!(std::fs::read(&there).unwrap(), b"old text");
    assert!(!new.exists());
}

#[test]
fn a_new_file_is_made_where_it_was_shown_and_only_if_nothing_has_come_there() {
    let mut world = World::new();
    let real = std::fs::canonicalize(world.folder.path()).unwrap();
    let about = std::fs::metadata(&real).unwrap();
    let (wanted, handle) = world.opened(&world.path("new"), TO_WRITE | EXCLUSIVE);
    assert_eq!(wanted.target, Target::New { device: about.dev(), inode: about.ino() });
    assert_eq!(wanted.path, real.join("new").to_str().unwrap());
    assert_eq!(world.write(handle, b"text"), None);
    world.close(handle);
    assert_eq!(std::fs::read(real.join("new")).unwrap(), b"text");

    let secret = world.path("secret");
    for come in ["file", "link"] {
        let path = world.path(&format!("no-{come}"));
        world.ask(&path, TO_WRITE);
        let number = world.wanted().number;
        match come {
            "file" => std::fs::write(&path, "mine").unwrap(),
            _ => symlink(&secret, &path).unwrap(),
        }
        world.allow(number);
        let why = world.failure().unwrap();
        assert_eq!(world.news(), FileNews::Stopped { number, why });
        assert!(!secret.exists());
    }
    // The folder that was shown, wherever its name leads by then.
    let (one, two) = (world.path("one"), world.path("two"));
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&two).unwrap();
    let link = world.link("folder", &one);
    world.ask(&link.join("x"), TO_WRITE);
    let wanted = world.wanted();
    assert!(wanted.path.ends_with("/one/x"), "{wanted}");
    world.link("folder", &two);
    world.allow(wanted.number);
    world.handle();
    assert!(one.join("x").exists() && !two.join("x").exists());
}

#[test]
fn a_large_download_stops_when_the_file_is_not_as_it_was_any_more() {
    let mut world = World::new();
    let path = world.file("large", "");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(WANTED_KEPT_BYTES + 1).unwrap();
    let (wanted, handle) = world.opened(&path, READ);
    let Target::File { bytes, hash: None, .. } = wanted.target else { panic!("{wanted}") };
    assert_eq!(bytes, WANTED_KEPT_BYTES + 1);
    assert_eq!(world.read(handle).unwrap(), [0; 100]);
    std::thread::sleep(Duration::from_millis(20));
    (&file).write_all(b"x").unwrap();
    let why = world.read(handle).unwrap_err();
    assert!(why.contains("changed"), "{why}");
    assert_eq!(world.news(), FileNews::Stopped { number: 1, why });
    assert!(world.read(handle).unwrap_err().contains("not open"));
}

#[test]
fn an_approval_is_over_when_nothing_is_moved_for_a_while() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "text").unwrap();
    let now = Instant::now();
    let later = |ms| now + Duration::from_millis(ms);
    let mut read = Found::download(&path).unwrap().begin(1, now).unwrap();
    for at in [APPROVED_MS, 2 * APPROVED_MS] {
        assert_eq!(read.read(0, 9, later(at)).unwrap(), b"text");
    }
    let no = read.read(0, 9, later(3 * APPROVED_MS + 1)).unwrap_err();
    assert!(no.is_breach && no.why.contains("60 s"), "{no:?}");
    let mut write = Found::upload(&path, TO_WRITE, 0).unwrap().begin(2, now).unwrap();
    assert!(write.write(0, b"x", later(APPROVED_MS + 1)).unwrap_err().is_breach);
}

#[test]
fn what_is_no_plain_file_is_refused_before_anybody_is_asked() {
    let mut world = World::new();
    let (fifo, file) = (world.path("fifo"), world.file("file", ""));
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let (folder, nowhere) = (world.folder.path().to_owned(), world.path("nowhere"));
    let dangling = world.link("dangling", &nowhere);
    let device = PathBuf::from("/dev/null");
    for (path, flags, words) in [
        (&fifo, READ, "no plain file"),
        (&fifo, TO_WRITE, "no plain file"),
        (&device, READ, "no plain file"),
        (&device, TO_WRITE, "no plain file"),
        (&PathBuf::from("/proc/self/mem"), TO_WRITE, "kernel's view"),
        (&PathBuf::from("/proc/self/mem"), READ, "kernel's view"),
        (&PathBuf::from("/proc/self/environ"), READ, "kernel's view"),
        (&folder, READ, "folder"),
        (&folder, TO_WRITE, "folder"),
        (&nowhere, READ, "No such file"),
        (&nowhere, WRITE, "No such file"),
        (&dangling, TO_WRITE, "leads nowhere"),
        (&file, TO_WRITE | EXCLUSIVE, "already"),
        (&file, READ | WRITE, "either read or written"),
        (&file, READ | TRUNCATE, "either read or written"),
        (&file, 0, "either read or written"),
        (&PathBuf::from(".."), TO_WRITE, "folder"),
        (&folder.join("x".repeat(4000)), READ, ""),
    ] {
        world.ask(path, flags);
        let why = world.failure().unwrap();
        assert!(why.contains(words), "{}: {why}", path.display());
    }
    assert!(!nowhere.exists());
}

#[test]
fn nothing_but_files_is_moved_and_looking_needs_no_word() {
    let mut world = World::new();
    let (path, folder) = (world.file("a", "text"), world.folder.path().to_owned());
    let other = world.path("b");
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let (path, other) = (bytes(&path), bytes(&other));
    let before = std::fs::metadata(world.path("a")).unwrap();
    for (kind, two) in [(13, false), (14, false), (15, false), (18, true), (20, true)] {
        let (path, other) = (path.clone(), other.clone());
        world.send(kind, |it| if two { it.string(&path).string(&other) } else { it.string(&path) });
        assert_eq!(world.failure().unwrap(), ONLY_FILES);
    }
    world.send(9, |set| set.string(&path).number(4).number(0o777));
    assert_eq!(world.failure().unwrap(), ONLY_FILES);
    for name in ["posix-rename@openssh.com", "hardlink@openssh.com", "copy-data"] {
        world.send(200, |it| it.string(name.as_bytes()).string(&path).string(&other));
        assert!(world.failure().is_some(), "{name}");
    }
    for kind in [7, 16, 17] {
        world.send(kind, |it| it.string(&path));
        assert_eq!(world.failure(), None, "{kind}");
    }
    let folder = bytes(&folder);
    world.send(11, |open| open.string(&folder));
    let handle = world.handle();
    world.send(12, |names| names.string(&handle.to_be_bytes()));
    let (kind, names) = world.answer();
    assert_eq!((kind, &names[..4]), (104, &1_u32.to_be_bytes()[..]));
    world.send(12, |names| names.string(&handle.to_be_bytes()));
    assert_eq!(world.failure().unwrap(), "no more names");
    world.close(handle);
    let after = std::fs::metadata(world.path("a")).unwrap();
    assert_eq!((before.ctime(), before.mode()), (after.ctime(), after.mode()));
}

#[test]
fn an_uploads_permissions_lend_no_rights_and_its_owner_stays() {
    let mut world = World::new();
    let path = world.path("new");
    let (_, handle) = world.opened(&path, TO_WRITE);
    world.send(10, |set| set.string(&handle.to_be_bytes()).number(4).number(0o106_755));
    assert_eq!(world.failure(), None);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
    world.send(10, |set| set.string(&handle.to_be_bytes()).number(2).number(0).number(0));
    assert!(world.failure().is_some());
    world.send(10, |set| set.string(&handle.to_be_bytes()).number(8).number(5).number(6));
    assert_eq!((world.failure(), std::fs::metadata(&path).unwrap().mtime()), (None, 6));
}

/// Swaps a link between two files as fast as it can until it is stopped.
struct Swapper {
    swaps: Arc<AtomicUsize>,
    goes_on: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Swapper {
    fn start(folder: &Path) -> Self {
        let (folder, swaps) = (folder.to_owned(), Arc::new(AtomicUsize::new(0)));
        let goes_on = Arc::new(AtomicBool::new(true));
        let (count, flag) = (Arc::clone(&swaps), Arc::clone(&goes_on));
        let swap = move || {
            while flag.load(Ordering::Relaxed) {
                let to = ["shown", "secret"][count.load(Ordering::Relaxed) % 2];
                symlink(folder.join(to), folder.join("swap")).unwrap();
                std::fs::rename(folder.join("swap"), folder.join("link")).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        Self { swaps, goes_on, thread: std::thread::spawn(swap) }
    }

    fn swaps(&self) -> usize {
        self.swaps.load(Ordering::Relaxed)
    }

    /// Waits until the link has led to both files since now.
    fn has_led_to_both(&self) {
        let now = self.swaps();
        while self.swaps() < now + 3 {
            std::thread::yield_now();
        }
    }

    fn stop(self) {
        self.goes_on.store(false, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

#[test]
fn whoever_swaps_a_link_all_the_time_gets_no_other_file_than_the_one_that_was_approved() {
    let mut world = World::new();
    let (shown, secret) = (world.file("shown", "as shown"), world.file("secret", "a secret"));
    let link = world.link("link", &shown);
    let swapper = Swapper::start(world.folder.path());
    let mut let_through = 0;
    for round in 0..ROUNDS {
        let flags = [READ, TO_WRITE, WRITE | APPEND][round % 3];
        world.ask(&link, flags);
        let wanted = world.wanted();
        if !wanted.path.ends_with("/shown") {
            assert!(wanted.path.ends_with("/secret"), "{wanted}");
            world.word(&Word::Refuse { number: wanted.number, why: "no".into() });
            assert!(world.failure().is_some());
            swapper.has_led_to_both();
            continue;
        }
        let_through += 1;
        swapper.has_led_to_both();
        world.allow(wanted.number);
        let handle = world.handle();
        match flags {
            READ => assert_eq!(world.read(handle).unwrap()[..2], *b"as"),
            _ => assert_eq!(world.write(handle, b"as shown"), None),
        }
        world.close(handle);
        assert_eq!(std::fs::read(&secret).unwrap(), b"a secret");
    }
    let swaps = swapper.swaps();
    println!("{ROUNDS} rounds, {let_through} let through, {swaps} swaps");
    swapper.stop();
    assert!(let_through > 0 && let_through < ROUNDS, "{let_through}");
}

#[test]
fn an_account_without_a_login_shell_has_no_files_either() {
    let listed = Some("# shells\n/bin/sh\n/bin/bash \n/usr/sbin/nologin\n");
    for (shell, listed, is) in [
        ("/bin/bash", listed, true),
        ("/bin/bash", None, true),
        ("/bin/zsh", listed, false),
        ("/usr/sbin/nologin", listed, false),
        ("/usr/sbin/nologin", None, false),
        ("/bin/false", None, false),
        ("/bin/sh", Some(""), false),
    ] {
        assert_eq!(is_shell(Path::new(shell), listed), is, "{shell} {listed:?}");
    }
}

#[test]
fn no_packet_brings_the_server_down() {
    let folder = TempDir::new().unwrap();
    let (_node, control) = fdpass::pair().unwrap();
    for kind in 0..=255 {
        for length in 0..40 {
            // No open is whole here: one that is asks somebody.
            let mut packet = vec![kind];
            packet.extend((0..length).map(|at| if at % 5 == 4 { 2 } else { 0 }));
            if kind != 3 || length < 12 {
                let _ = Server::new(&control).answer(&packet);
            }
        }
    }
    drop(File::create(folder.path().join("alive")).unwrap());
}

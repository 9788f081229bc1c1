//! Whoever comes late sees the screen as it is, at once.

use house::company::Line;
use house::person::Person;
use house::sharing::{GUEST, Owner, PROMPT, SIZE, Viewer, Way, guests, sessions};
use house::terminal::Terminal;
use house::{Cluster, assert_success, wait_for};
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Longest from the start of the client to the whole picture, with an unoptimised server on a busy machine.
/// The bar for the node's part is 100 ms.
const SOON: Duration = Duration::from_millis(500);
/// Times that somebody comes.
const COMERS: usize = 7;

/// An open connection to a session, in which nobody sits yet; closed when dropped.
struct Master {
    child: Child,
    control: std::path::PathBuf,
}

impl Master {
    fn open(cluster: &Cluster, person: &Person<'_>, seat: &str) -> Self {
        let control = cluster.path("seat-control");
        let mut ssh = person.ssh_command();
        ssh.args(["-M", "-N", "-S"]).arg(&control).arg(seat);
        let child = ssh.spawn().unwrap();
        wait_for("the connection", || control.exists());
        Self { child, control }
    }

    /// A client that opens a channel on it as soon as Enter is pressed.
    fn client(&self, seat: &str, wish: &str) -> Command {
        let mut sh = Command::new("sh");
        let (control, term) = (self.control.display(), "TERM=xterm-256color");
        let ssh = format!("env {term} ssh -F none -S {control} -tt -e none {seat} {wish}");
        sh.args(["-c", &format!("read go; exec {ssh}")]);
        sh
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long it takes from Enter until the terminal shows it.
fn time(cluster: &Cluster, client: &Command, shows: impl Fn(&[String]) -> bool) -> Duration {
    let terminal = Terminal::run(cluster.folder.path(), SIZE, client);
    // The shell is there, and reads.
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    terminal.keys(&["Enter"]);
    loop {
        let screen = terminal.screen();
        if shows(&screen) {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{screen:#?}");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn who_comes_late_to_a_long_session_sees_the_whole_screen_at_once() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    owner.line("clear; seq 1 1000000; echo done-$((40+2))");
    owner.terminal.wait_for("done-42");
    owner.line(
        "clear; for i in $(seq 1 40); do echo row $i of the file; done > f; vim -u NONE -N f",
    );
    owner.terminal.wait_for("row 29 of the file");
    let seat = owner.seat();
    let master = Master::open(&cluster, &bob, &seat);

    // A channel that is refused costs all that is not the picture: two programs, the way, the terminal.
    let refused = |screen: &[String]| screen.iter().any(|row| row.contains("none of observer"));
    let client = master.client(&seat, "nonsense");
    let way = median((0..COMERS).map(|_| time(&cluster, &client, refused)).collect());

    wait_for("what runs, on the list", || sessions(&cluster)[0]["runs"] == "vim");

    let expected = owner.terminal.screen();
    // The last row holds a note at first.
    let rows = usize::from(SIZE.1) - 1;
    let whole = |screen: &[String]| screen.len() > rows && screen[..rows] == expected[..rows];
    let client = master.client(&seat, "observer");
    let all: Vec<_> = (0..COMERS).map(|_| time(&cluster, &client, whole)).collect();
    println!("from the start of ssh on an open connection to the whole picture: {all:?}");
    let took = median(all);
    println!("median {took:?}, of which the way there and back takes {way:?}");
    assert!(took < SOON, "{took:?}");
    owner.line(":q!");
    owner.terminal.wait_for(PROMPT);
    owner.finish();
}

#[test]
fn who_comes_in_the_midst_of_a_flood_sees_what_the_owner_sees_after_it() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let flood = cluster.path("flood");
    fs::write(&flood, "").unwrap();
    let more = format!("while test -e {}; do seq 1 20000; done", flood.display());
    owner.line(&format!("clear; {more}; echo done-$((40+2))"));
    owner.terminal.wait_for("19");
    let ways = [Way::Scry, Way::Ssh, Way::Scry, Way::Ssh];
    let viewers = ways.map(|way| owner.join(&bob, way, "peer", SIZE));
    // A number on the screen but the note on the last row: they see it while it flows.
    let flows = |viewer: &Viewer| {
        viewer.terminal.screen()[..5].iter().all(|row| row.parse::<u32>().is_ok())
    };
    wait_for("a picture for everybody", || viewers.iter().all(flows));
    fs::remove_file(&flood).unwrap();
    owner.terminal.wait_for("done-42");
    owner.all_see_the_same(&viewers);
    owner.finish();
}

#[test]
fn an_owner_by_plain_ssh_hears_who_looks_on_their_own_line_and_never_on_their_terminal() {
    let cluster = Cluster::start();
    let bob = Person::invited(&cluster, "bob", &["admin"]);
    let owner = Owner::start(&cluster, SIZE);
    // Its node has to ship something before there is a recording.
    wait_for("the recording", || bob.run(&["recordings", "info", &owner.id]).status.success());
    let mut line = Line::open(cluster.ssh_command(), &owner.seat());
    line.wait_for_people("the owner alone", |people| people.len() == 1);
    let before = owner.terminal.screen();
    assert_success(&bob.run(&["play", &owner.id, "--print"]));
    let told = line.wait_for("the word of it", |told| told["told"] == "happened");
    assert_eq!(told["what"], "bob looks at the recording of this session");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(owner.terminal.screen(), before, "what the program did not write is not there");
    owner.finish();
}

//! Much data and slow readers: nothing is lost, nothing hangs, nothing grows without end.

use house::process::{memory_kib, send};
use house::{Cluster, assert_success, free_port, output_with, serve_each, text, wait_for};
use model::{Entry, Size};
use record::{From, Recording};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn megabytes() -> usize {
    if house::long() { 500 } else { 200 }
}

fn big_file(cluster: &Cluster) -> PathBuf {
    let path = cluster.path("big");
    let mut file = fs::File::create(&path).unwrap();
    let mut piece = vec![0; 1 << 20];
    let mut xof = blake3::Hasher::new().finalize_xof();
    for _ in 0..megabytes() {
        xof.fill(&mut piece);
        file.write_all(&piece).unwrap();
    }
    path
}

fn hash_of(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path).unwrap()).unwrap();
    hasher.finalize()
}

/// Resident memory of a process in MiB.
fn resident(pid: u32) -> u64 {
    memory_kib(pid, "VmRSS") / 1024
}

/// `program… cat < big` ends with the same bytes.
fn round_trip(cluster: &Cluster, command: &mut Command, big: &Path) {
    let back = cluster.path("back");
    command.stdin(fs::File::open(big).unwrap()).stdout(fs::File::create(&back).unwrap());
    assert_success(&command.output().unwrap());
    assert_eq!(hash_of(&back), hash_of(big));
}

#[test]
fn a_large_file_through_cat_and_back_keeps_its_hash_with_ssh_and_with_scry_ssh() {
    let cluster = Cluster::start();
    let big = big_file(&cluster);
    round_trip(&cluster, cluster.ssh_command().args([&cluster.host(), "cat"]), &big);
    let target = format!("{}@{}", cluster.login, house::NODE);
    round_trip(&cluster, cluster.scry_command().args(["ssh", &target, "cat"]), &big);
    let memory = resident(cluster.server_pid());
    assert!(memory < 400, "the server grew to {memory} MiB");
    // Beyond the limit the streams are counted and hashed, not kept.
    let row = cluster.recording_of("cat");
    assert!(row["bytes"].as_u64().unwrap() < 80_000_000, "{row:#?}");
}

#[test]
fn a_second_session_stays_usable_while_anothers_input_is_stalled() {
    let cluster = Cluster::start();
    let control = cluster.path("control");
    let ssh = || {
        let mut ssh = cluster.ssh_command();
        ssh.arg("-o").arg(format!("ControlPath={}", control.display()));
        ssh
    };
    let mut master = ssh().args(["-M", "-N"]).arg(cluster.host()).spawn().unwrap();
    wait_for("the master", || control.exists());
    let big = big_file(&cluster);
    let mut stalled = ssh();
    stalled.args([&cluster.host(), "sleep 600"]).stdin(fs::File::open(&big).unwrap());
    let mut stalled = stalled.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let mut echo = ssh();
    echo.args([&cluster.host(), "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut echo = echo.spawn().unwrap();
    let (mut to, mut from) = (echo.stdin.take().unwrap(), echo.stdout.take().unwrap());
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let began = Instant::now();
            to.write_all(b"x").unwrap();
            from.read_exact(&mut [0]).unwrap();
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("echo beside a stalled channel: median {:?}, most {:?}", times[50], times[99]);
    // Were it held up it would wait for ever; how quick it is, the benches say.
    assert!(times[50] < Duration::from_secs(1), "median {:?}", times[50]);
    drop(to);
    assert_success(&echo.wait_with_output().unwrap());
    let memory = resident(cluster.server_pid());
    assert!(memory < 400, "the server grew to {memory} MiB");
    stalled.kill().unwrap();
    stalled.wait().unwrap();
    master.kill().unwrap();
    master.wait().unwrap();
}

/// Gives back what it is given.
fn echo(stream: TcpStream) {
    let _ = std::io::copy(&mut &stream, &mut &stream);
}

/// Each end writes more than the way between them holds: neither may wait for the other to read first.
#[test]
fn many_forwards_that_flow_both_ways_at_once_do_not_stop_each_other() {
    const STREAMS: usize = 12;
    // More than a GiB in all, after which russh would have exchanged keys.
    const EACH: usize = 96 << 20;
    let cluster = Cluster::start();
    let (here, there) = (free_port(), serve_each(echo));
    let target = format!("{}@{}", cluster.login, house::NODE);
    let mut client = cluster.scry_command();
    client.args(["ssh", "-N", "-L", &format!("127.0.0.1:{here}:127.0.0.1:{there}"), &target]);
    let mut client = client.spawn().unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", here));
    wait_for("the forward", || connect().is_ok());
    std::thread::scope(|scope| {
        for _ in 0..STREAMS {
            scope.spawn(|| {
                let stream = connect().unwrap();
                // So long without a byte is for ever.
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let piece = vec![7; 1 << 20];
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        for _ in 0..EACH / piece.len() {
                            (&stream).write_all(&piece).unwrap();
                        }
                        stream.shutdown(Shutdown::Write).unwrap();
                    });
                    let mut got = vec![0; EACH];
                    let read = (&stream).read_exact(&mut got);
                    if read.is_err() {
                        // Lets the writer go.
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                    read.unwrap();
                    assert!(got.iter().all(|byte| *byte == 7));
                });
            });
        }
    });
    client.kill().unwrap();
    client.wait().unwrap();
}

/// A client that is stopped, and killed with the test.
struct Stopped(Child);

impl Stopped {
    fn signal(&self, signal: &str) {
        send(signal, self.0.id());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Its connection's way is full, so that not even the end of a session goes out.
#[test]
fn a_client_that_takes_nothing_at_all_keeps_its_output_and_does_not_hold_up_a_lock() {
    // Together their windows hold more than the sockets between client and node.
    const SESSIONS: usize = 10;
    let cluster = Cluster::start();
    let (big, control) = (big_file(&cluster), cluster.path("control"));
    let ssh = || {
        let mut ssh = cluster.ssh_command();
        ssh.arg("-o").arg(format!("ControlPath={}", control.display()));
        ssh
    };
    let master = Stopped(ssh().args(["-M", "-N"]).arg(cluster.host()).spawn().unwrap());
    wait_for("the master", || control.exists());
    // Half of the programs end by themselves meanwhile.
    let command = |number| {
        let most = if number % 2 == 0 { 4 } else { 600 };
        format!("sleep 2; timeout {most} cat {}; exit {number}", big.display())
    };
    let mut clients: Vec<_> = (1..=SESSIONS)
        .map(|number| {
            let mut ssh = ssh();
            ssh.args([&cluster.host(), &command(number)]).stdin(Stdio::null());
            Stopped(ssh.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        })
        .collect();
    let running = || {
        let mut rows = cluster.live_recordings();
        rows.retain(|row| row["command"].as_str().is_some_and(|it| it.starts_with("sleep 2")));
        rows
    };
    wait_for("all sessions", || running().len() == SESSIONS);
    master.signal("-STOP");
    std::thread::sleep(Duration::from_secs(8));
    // What was not taken is kept for as long as its client is there.
    let rows = running();
    assert_eq!(rows.len(), SESSIONS, "{rows:#?}");
    // Whoever is locked out is gone, whether they look or not.
    for row in rows.iter().filter(|row| !row["command"].as_str().unwrap().ends_with("exit 1")) {
        let session = row["id"].as_str().unwrap();
        assert_success(&cluster.scry(&["lock", "--session", session]));
    }
    let began = Instant::now();
    while running().len() > 1 {
        assert!(began.elapsed() < Duration::from_secs(20), "still running: {:#?}", running());
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("all that were locked have ended after {:?}", began.elapsed());
    // Others are served meanwhile, and who goes on hears of every end.
    assert_success(&cluster.ssh("true"));
    master.signal("-CONT");
    let ended: Vec<_> = clients.iter_mut().map(|client| client.0.wait().unwrap().code()).collect();
    let expected: Vec<_> = (1..=SESSIONS).map(|n| Some(if n == 1 { 1 } else { 255 })).collect();
    assert_eq!(ended, expected);
    assert_success(&ssh().args([&cluster.host(), "true"]).output().unwrap());
    drop(master);
    for number in 1..=SESSIONS {
        let row = cluster.recording_of(&command(number));
        let ending = row["ending"].as_str().unwrap();
        assert_eq!(row["gaps"], 0, "{row:#}");
        assert!(if number == 1 { ending == "exit 1" } else { ending.contains("lock") }, "{row:#}");
    }
}

#[test]
fn a_reader_who_begins_late_gets_everything_and_nothing_grows() {
    let cluster = Cluster::start();
    let big = big_file(&cluster);
    let mut reader = cluster.scry_command();
    let target = format!("{}@{}", cluster.login, house::NODE);
    reader.args(["ssh", &target, &format!("cat {}", big.display())]);
    reader.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = reader.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(if house::long() { 30 } else { 5 }));
    let (server, client) = (resident(cluster.server_pid()), resident(child.id()));
    assert!(server < 400 && client < 100, "server {server} MiB, client {client} MiB");
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(child.stdout.take().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(hasher.finalize(), hash_of(&big));
}

#[test]
fn a_process_that_reads_nothing_does_not_lose_the_others_output() {
    let cluster = Cluster::start();
    let out = cluster.ssh("head -c 100000000 /dev/zero | wc -c");
    assert_success(&out);
    assert_eq!(text(&out), "100000000");
}

/// Bytes that name their place, behind the beginning of a title that never ends.
fn endless_title(cluster: &Cluster, name: &str, mib: usize) -> PathBuf {
    let path = cluster.path(name);
    let mut file = BufWriter::new(fs::File::create(&path).unwrap());
    file.write_all(b"\x1b]0;").unwrap();
    for place in 0..mib << 17 {
        write!(file, "{place:07} ").unwrap();
    }
    file.flush().unwrap();
    path
}

/// Has `sizes_client.py` show an endless title on a terminal of changing size, and looks at what came of it.
fn check_title(cluster: &Cluster, name: &str, mib: usize, client: &Value) {
    let (source, shown) =
        (endless_title(cluster, name, mib), cluster.path(&format!("{name}-shown")));
    let command = format!("stty raw -echo; cat {}", source.display());
    let mut task = json!({ "host": cluster.host(), "command": command, "shown": shown });
    task.as_object_mut().unwrap().extend(client.as_object().unwrap().clone());
    let server = cluster.server_pid();
    // The peak is counted from here on (proc(5), clear_refs).
    fs::write(format!("/proc/{server}/clear_refs"), "5").unwrap();
    let (before, began) = (resident(server), Instant::now());
    let mut python = Command::new("/usr/bin/python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/sizes_client.py"));
    python.env("SCRY_HOME", cluster.path("client")).env_remove("SSH_AUTH_SOCK");
    let out = output_with(&mut python, &task.to_string());
    assert_success(&out);
    let took = began.elapsed();
    let got: Value = serde_json::from_str(text(&out).lines().last().unwrap()).unwrap();
    assert_eq!(got["status"], 0, "{got}");
    let wrote = fs::read(&source).unwrap();
    assert!(fs::read(&shown).unwrap() == wrote, "{name}: the person saw other bytes");

    let row = cluster.recording_of(&command);
    let peak = memory_kib(server, "VmHWM") / 1024;
    println!(
        "{name}: {mib} MiB and {} sizes in {took:?}, {before} MiB before, {peak} MiB at most",
        got["sizes"]
    );
    assert!(peak < before + 128, "the server grew from {before} to {peak} MiB");
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(row["gaps"], 0, "{row:#}");
    let id = row["id"].as_str().unwrap();
    let verified = cluster.verify(id);
    assert!(text(&verified).contains("complete"), "{verified:?}");
    let recording = Recording::open(house::moved::record_bytes(cluster, id)).unwrap();
    let (mut kept, mut sizes) = (Vec::new(), Vec::new());
    for entry in recording.entries(From::Ms(0)) {
        match entry.unwrap().entry {
            Entry::Output { bytes, .. } => kept.extend_from_slice(&bytes),
            Entry::Resize(size) => sizes.push(size),
            _ => {}
        }
    }
    assert!(kept == wrote, "{name}: {} bytes recorded of {}, or others", kept.len(), wrote.len());
    for asked in [1, u32::MAX] {
        assert!(sizes.contains(&Size::clamped(asked, asked)), "{name}: never {asked}: {sizes:?}");
    }
    // The model has lived through it.
    let mut screen = record::picture_at(&recording, recording.length_ms()).unwrap();
    screen.feed(b"\x18\x1b[2J\x1b[Hok");
    assert_eq!(screen.faults(), 0);
    assert!(screen.text()[0].starts_with("ok"), "{:?}", screen.text());
}

#[test]
fn a_title_of_50_mb_at_sizes_from_nothing_to_all_there_is_is_recorded_exactly_and_costs_no_memory()
{
    let cluster = Cluster::start();
    check_title(&cluster, "openssh", 50, &json!({ "settings": cluster.config() }));
    let keys = cluster.path("client").join("clusters").join(house::CLUSTER);
    let any_number = json!({
        "config": cluster.config(),
        "login": cluster.login,
        "key": keys.join("id_ed25519"),
        "certificate": keys.join("id_ed25519-cert.pub"),
    });
    check_title(&cluster, "paramiko", 50, &any_number);
    assert_success(&cluster.ssh("true"));
}

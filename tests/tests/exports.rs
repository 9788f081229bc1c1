//! Exports are read by programs nobody here wrote.

use house::{Cluster, assert_success, text};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

#[test]
fn asciinema_reads_both_asciicasts_without_a_warning() {
    let Some(asciinema) = asciinema() else {
        println!(
            "skipped: asciinema 3 is not installed; `cargo install asciinema --locked` brings it"
        );
        return;
    };
    let cluster = Cluster::start();
    let mut ssh = cluster.ssh_command();
    let command =
        "printf 'plain \\033[31mred\\033[0m äöü 漢字\\n'; sleep 0.3; tput clear; echo done";
    assert_success(&ssh.args(["-tt", &cluster.host(), command]).output().unwrap());
    let id = cluster.recording_of(command)["id"].as_str().unwrap().to_owned();
    let raw = |format: &str| {
        let cast = cluster.export(&id, format);
        let out = cluster.path(&format!("{format}.raw"));
        let mut convert = Command::new(&asciinema);
        convert.args(["convert", "-f", "raw"]).arg(&cast).arg(&out);
        let got = convert.output().unwrap();
        assert_success(&got);
        let words = String::from_utf8_lossy(&got.stderr).to_lowercase();
        assert!(!words.contains("warn") && !words.contains("error"), "{words}");
        std::fs::read(out).unwrap()
    };
    let (two, three) = (raw("cast2"), raw("cast"));
    assert_eq!(two, three);
    let text = String::from_utf8_lossy(&two);
    assert!(
        text.contains("\u{1b}[31mred") && text.contains("漢字") && text.contains("done"),
        "{text}"
    );
}

#[test]
fn an_export_is_for_nobody_else_on_the_machine() {
    let cluster = Cluster::start();
    assert_success(&cluster.ssh("echo secret"));
    let id = cluster.recording_of("echo secret")["id"].as_str().unwrap().to_owned();
    for format in ["scry", "text"] {
        let facts = std::fs::metadata(cluster.export(&id, format)).unwrap();
        assert_eq!(facts.permissions().mode() & 0o7777, 0o600, "{format}");
    }
}

#[test]
fn json_lines_hold_every_entry_with_its_seq() {
    let cluster = Cluster::start();
    assert_success(&cluster.ssh("echo out; echo err >&2"));
    let id = cluster.recording_of("echo out; echo err >&2")["id"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(cluster.export(&id, "jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<_> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert!(text.contains("\"stderr\"") && text.contains("\"stdout\""), "{text}");
}

/// Whoever holds a file and the cluster's key is told what was done to it, and where.
#[test]
fn whoever_verifies_a_file_that_was_changed_is_told_so_and_where() {
    let cluster = Cluster::start();
    let ids = ["seq 1 400", "seq 401 800"].map(|command| {
        assert_success(&cluster.ssh(command));
        cluster.recording_of(command)["id"].as_str().unwrap().to_owned()
    });
    let [file, other] = ids.map(|id| std::fs::read(cluster.export(&id, "scry")).unwrap());
    let path = cluster.path("changed.rec");
    let verify = |bytes: &[u8], further: &[&str]| {
        std::fs::write(&path, bytes).unwrap();
        cluster.verify_file(&path, further)
    };
    assert_success(&verify(&file, &[]));
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = file.clone();
        change(&mut bytes);
        bytes
    };
    let half = file.len() / 2;
    let mut cases: Vec<(String, Vec<u8>)> = (0..20)
        .map(|part| part * file.len() / 20)
        .map(|at| (format!("a bit at {at}"), changed(&|bytes| bytes[at] ^= 1)))
        .collect();
    cases.extend([
        ("bytes left out".into(), changed(&|bytes| drop(bytes.drain(half..half + 7)))),
        ("a byte more".into(), changed(&|bytes| bytes.insert(half, 0))),
        ("the other's end".into(), [&file[..half], &other[other.len() / 2..]].concat()),
        ("twice".into(), file.repeat(2)),
    ]);
    for (what, bytes) in cases {
        let out = verify(&bytes, &[]);
        let said = text(&out);
        assert_eq!(out.status.code(), Some(1), "{what}: {said}");
        assert!(said.starts_with("broken at byte "), "{what}: {said}");
        let json: serde_json::Value =
            serde_json::from_str(&text(&verify(&bytes, &["--json"]))).unwrap();
        assert_eq!(json["verdict"], "broken", "{what}: {json:#}");
        let fault = &json["faults"][0];
        let place = format!("byte {}, record {}", fault["offset"], fault["record"]);
        assert!(said.contains(&place), "{what}: {said} lacks {place}");
    }
    // What is cut off at the end is no forgery; it is told all the same.
    let out = verify(&file[..half], &[]);
    assert_eq!(out.status.code(), Some(1));
    assert!(!text(&out).starts_with("complete"), "{}", text(&out));
}

/// A whole recording in the place of another verifies; who asks for the one is not given the other all the same.
#[test]
fn a_recording_that_was_put_in_the_place_of_another_is_refused_by_its_id() {
    let cluster = Cluster::start();
    // What is read is as long as the first was, so the other one has to be longer.
    let ids = ["echo short", "head -c 20000 /dev/urandom | base64"].map(|command| {
        assert_success(&cluster.ssh(command));
        cluster.recording_of(command)["id"].as_str().unwrap().to_owned()
    });
    let [id, other] = ids.each_ref().map(String::as_str);
    let verified = cluster.verify(id);
    assert_success(&verified);
    let said = text(&verified);
    let session = format!("session {id}: {0} as {0}@{1}, began ", cluster.login, house::NODE);
    assert!(said.starts_with("complete: "), "{said}");
    assert!(said.lines().any(|line| line.starts_with(&session)), "{said} lacks {session:?}");
    let file = cluster.export(id, "scry");
    let json: serde_json::Value =
        serde_json::from_str(&text(&cluster.verify_file(&file, &["--json"]))).unwrap();
    assert_eq!(json["heading"]["id"], id, "{json:#}");
    assert_success(&cluster.verify_file(&file, &["--id", id]));
    let out = cluster.verify_file(&file, &["--id", other]);
    let words = format!("broken at byte 8, record 1: this is the recording {id}, not {other}");
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out).starts_with(&words), "{}", text(&out));

    let [ours, theirs] = [id, other].map(|id| cluster.stored_part(id));
    std::fs::copy(theirs, ours).unwrap();
    let refusal = format!("recording {id}'s file holds another recording");
    let path = cluster.path("another.scry");
    let path = path.to_str().unwrap();
    for args in [
        &["recordings", "export", id, "--format", "scry", "--output", path][..],
        &["recordings", "export", id, "--format", "text", "--output", path],
        &["recordings", "events", id],
        &["play", "--print", id],
    ] {
        let out = cluster.scry(args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains(&refusal), "{args:?}: {said}");
    }
    assert!(!std::path::Path::new(path).exists(), "nothing of it is kept");
    assert_success(&cluster.verify(other));
}

#[test]
fn a_text_is_found_in_all_recordings_with_the_command_and_the_link_that_go_there() {
    let cluster = Cluster::start();
    for command in ["echo other words", "printf 'a-nee'; echo dle in the hay"] {
        assert_success(&cluster.ssh(command));
        cluster.recording_of(command);
    }
    let id = cluster.recording_of("printf 'a-nee'; echo dle in the hay")["id"].clone();
    let id = id.as_str().unwrap();
    let short = &id[..8];
    let found = cluster.scry(&["search", "A-NEEDLE"]);
    assert_success(&found);
    let (out, said) = (text(&found), String::from_utf8_lossy(&found.stderr).into_owned());
    let wanted = [
        format!("{short}  {}  {}@", cluster.login, cluster.login),
        "  screen: a-needle in the hay\n".to_owned(),
        format!("scry play {short} --at 0:00    https://"),
        format!("/recordings/{id}?t=0&find=A-NEEDLE"),
    ];
    for part in wanted {
        assert!(out.contains(&part), "{part:?} in {out}");
    }
    assert!(!out.contains('\u{1b}'), "plain text in a pipe: {out}");
    assert!(
        said.contains("of the last 30 days") && said.contains("1 moment in 1 recording"),
        "{said}"
    );
    // What was asked for as a command is found as one, for scripts too.
    let found = cluster.scry_json(&["search", "--what", "commands", "echo dle", "--json"]);
    let moments = found["moments"].as_array().unwrap();
    assert_eq!(moments[0]["moment"]["did"], "asked for", "{found:#}");
    assert_eq!(moments[0]["recording"]["id"], id);
    assert_eq!(
        (found["more"].as_bool(), found["unread"].as_array().unwrap().len()),
        (Some(false), 0)
    );
    let nothing = cluster.scry(&["search", "A-NEEDLE", "--case", "--all"]);
    assert_success(&nothing);
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(text(&nothing).is_empty() && said.starts_with("Nothing was found in "), "{said}");
    let wrong = cluster.scry(&["search", "--regex", "a("]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("no regular expression"), "{said}");
}

/// asciinema 3 from PATH, or `$SCRY_ASCIINEMA`.
fn asciinema() -> Option<std::path::PathBuf> {
    let name = std::env::var_os("SCRY_ASCIINEMA").unwrap_or_else(|| "asciinema".into());
    let out = Command::new(&name).arg("--version").output().ok()?;
    String::from_utf8_lossy(&out.stdout).contains("asciinema 3").then(|| name.into())
}

#[test]
fn a_player_whose_terminal_is_gone_ends() {
    let cluster = Cluster::start();
    assert_success(&cluster.ssh("echo played"));
    let id = cluster.recording_of("echo played")["id"].as_str().unwrap().to_owned();
    let file = cluster.export(&id, "scry");
    let pid = cluster.path("player.pid");
    let scry = house::scry_path();
    let command = format!(
        "sh -c 'echo $$ > {}; exec {} play {}'",
        pid.display(),
        scry.display(),
        file.display()
    );
    let terminal = house::terminal::Terminal::start(cluster.folder.path(), 80, 24, &command);
    terminal.wait_for("played");
    let pid = std::fs::read_to_string(pid).unwrap();
    let process = format!("/proc/{}", pid.trim());
    assert!(std::path::Path::new(&process).exists());
    drop(terminal);
    house::wait_for("the player's end", || !std::path::Path::new(&process).exists());
}

#[test]
fn a_session_that_goes_on_is_followed_and_rewound() {
    let cluster = Cluster::start();
    let mut ssh = cluster.ssh_command();
    let command = "for i in $(seq 1 300); do echo live-$i; sleep 0.1; done";
    let mut session = ssh
        .args(["-tt", &cluster.host(), command])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    house::wait_for("the recording", || !cluster.live_recordings().is_empty());
    let id = cluster.live_recordings()[0]["id"].as_str().unwrap().to_owned();
    let command = format!(
        "env SCRY_HOME={} {} play --follow {id}",
        cluster.path("client").display(),
        house::scry_path().display()
    );
    let terminal = house::terminal::Terminal::start(cluster.folder.path(), 80, 24, &command);
    terminal.wait_for("live-40");
    terminal.keys(&["g"]);
    house::wait_for("the beginning", || !terminal.shows("live-40"));
    terminal.keys(&["f"]);
    terminal.wait_for("live-60");
    session.kill().unwrap();
    session.wait().unwrap();
}

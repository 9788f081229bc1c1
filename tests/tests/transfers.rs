//! Files moved by real programs: each with path, size, hash and result in the recording and in the ledger, and nothing
//! hidden by a name.

use house::moved::{check, entries, find, kept, record_bytes, transfers};
use house::terminal::Terminal;
use house::{Cluster, assert_success, output_with, text, wait_for};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start_shared);

/// Where Debian and its kin keep OpenSSH's sftp server.
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

fn random(name: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new_derive_key(name).finalize_xof().fill(&mut bytes);
    bytes
}

/// A folder of its own for one test.
fn folder(name: &str) -> PathBuf {
    let path = CLUSTER.path(name);
    fs::create_dir(&path).unwrap();
    path
}

fn put(path: &Path, size: usize) -> Vec<u8> {
    let bytes = random(&path.display().to_string(), size);
    fs::write(path, &bytes).unwrap();
    bytes
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn there(path: &Path) -> String {
    format!("{}:{}", CLUSTER.host(), path.display())
}

fn scp(flags: &[&str], from: &str, to: &str) {
    let mut scp = Command::new("scp");
    scp.arg("-F").arg(CLUSTER.config()).args(flags).args(["-q", from, to]);
    assert_success(&scp.env_remove("SSH_AUTH_SOCK").output().unwrap());
}

fn sftp(cluster: &Cluster, flags: &[&str], batch: &str) -> std::process::Output {
    let mut sftp = Command::new("sftp");
    sftp.arg("-F").arg(cluster.config()).args(flags).args(["-b", "-"]).arg(cluster.host());
    output_with(sftp.env_remove("SSH_AUTH_SOCK"), batch)
}

/// The one transfer of this kind whose path is `path`.
#[track_caller]
fn changed<'a>(all: &'a [Value], change: &str, path: &str) -> &'a Value {
    let found = all.iter().find(|t| t["changed"]["change"][change]["path"] == path);
    &found.unwrap_or_else(|| panic!("no {change} of {path} in {all:#?}"))["changed"]
}

#[test]
fn scp_over_sftp_is_told_in_both_directions_and_takes_no_room() {
    let folder = folder("scp-sftp");
    let (here, away, back) = (folder.join("here"), folder.join("away"), folder.join("back"));
    let bytes = put(&here, 3_000_000);
    scp(&[], name(&here), &there(&away));
    scp(&[], &there(&away), name(&back));
    let up = check(&CLUSTER, name(&away), "written", &bytes);
    let down = check(&CLUSTER, name(&away), "read", &bytes);
    assert_ne!(up, down);
    for id in [&up, &down] {
        let size = record_bytes(&CLUSTER, id).len();
        assert!(size < 10_000, "{size} bytes for one file");
        assert_eq!(transfers(&CLUSTER, id)[0]["began"]["protocol"], "sftp");
    }
}

#[test]
fn scp_in_its_old_mode_is_told_in_both_directions_with_folders_modes_and_times() {
    let folder = folder("scp-old");
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    let (a, b) = (put(&tree.join("a"), 1_000_000), put(&tree.join("sub/b"), 70_000));
    let empty = put(&tree.join("sub/empty"), 0);
    let away = folder.join("away");
    scp(&["-O", "-r", "-p"], name(&tree), &there(&away));
    let id = check(&CLUSTER, "tree/a", "written", &a);
    check(&CLUSTER, "tree/sub/b", "written", &b);
    check(&CLUSTER, "tree/sub/empty", "written", &empty);
    let all = transfers(&CLUSTER, &id);
    assert_eq!(all[0]["began"]["protocol"], "scp_upload");
    assert_eq!(changed(&all, "make_folder", "tree/sub")["outcome"], "ok");
    let file = all.iter().find(|t| t["closed"]["path"] == "tree/a").unwrap();
    assert_eq!(file["closed"]["size"], 1_000_000);
    assert!(file["closed"]["times"]["modified"].as_u64().unwrap() > 1_700_000_000, "{file:#}");
    scp(&["-O", "-r"], &there(&away), name(&folder.join("back")));
    let id = check(&CLUSTER, "away/a", "read", &a);
    check(&CLUSTER, "away/sub/empty", "read", &empty);
    let listed = |path: &str, names: u64| {
        let all = transfers(&CLUSTER, &id);
        assert!(
            all.iter().any(|t| t["listed"]["path"] == path && t["listed"]["names"] == names),
            "{all:#?}"
        );
    };
    listed("away/sub", 2);
    listed("away", 2);
    let size = record_bytes(&CLUSTER, &id).len();
    assert!(size < 10_000, "{size} bytes for three files");
    assert_eq!(fs::read(folder.join("back/sub/b")).unwrap(), b);
}

#[test]
fn scp_in_its_old_mode_to_where_one_may_not_write_says_so() {
    let folder = folder("scp-refused");
    let here = folder.join("file");
    put(&here, 1000);
    fs::create_dir(folder.join("taken")).unwrap();
    fs::create_dir(folder.join("taken/file")).unwrap();
    let mut scp = Command::new("scp");
    scp.arg("-F").arg(CLUSTER.config()).args(["-O", "-q", name(&here)]);
    scp.arg(there(&folder.join("taken"))).env_remove("SSH_AUTH_SOCK");
    assert!(!scp.output().unwrap().status.success());
    let (_, all) = find(&CLUSTER, |t| t["not_opened"]["path"] == "file");
    let refused = all.iter().find(|t| t["not_opened"]["path"] == "file").unwrap();
    let why = refused["not_opened"]["outcome"]["failed"]["text"].as_str().unwrap();
    assert!(why.contains("irectory"), "{why}");
    wait_for("the refusal in the ledger", || {
        let events = CLUSTER.audit("session.not_opened");
        events.iter().any(|event| event["path"] == "file" && event["access"] == "write")
    });
}

#[test]
fn sftp_is_told_command_by_command() {
    let folder = folder("sftp");
    let (here, away) = (folder.join("here"), folder.join("away"));
    let bytes = put(&here, 500_000);
    fs::create_dir_all(folder.join("tree/sub")).unwrap();
    let leaf = put(&folder.join("tree/sub/leaf"), 1234);
    let (h, a, f) = (here.display(), away.display(), folder.display());
    let batch = format!(
        "mkdir {a}\nput {h} {a}/one\nrename {a}/one {a}/two\nchmod 600 {a}/two\nln -s two {a}/soft\n\
         ln {a}/two {a}/hard\nls -l {a}\nget {a}/two {f}/back\nput -r {f}/tree {a}/tree\n\
         get -r {a}/tree {f}/tree-back\nrm {a}/soft\nrm {a}/hard\n-rm {a}/none\nmkdir {a}/d\nrmdir {a}/d\n"
    );
    assert_success(&sftp(&CLUSTER, &[], &batch));
    let at = |file: &str| format!("{a}/{file}");
    let id = check(&CLUSTER, &at("one"), "written", &bytes);
    check(&CLUSTER, &at("two"), "read", &bytes);
    check(&CLUSTER, &at("tree/sub/leaf"), "written", &leaf);
    check(&CLUSTER, &at("tree/sub/leaf"), "read", &leaf);
    let all = transfers(&CLUSTER, &id);
    let rename = changed(&all, "rename", &at("one"));
    assert_eq!(rename["change"]["rename"]["to"], at("two"));
    let mode = &changed(&all, "attributes", &at("two"))["change"]["attributes"]["set"]["mode"];
    assert_eq!(mode.as_u64().unwrap() & 0o777, 0o600);
    assert_eq!(changed(&all, "symlink", &at("soft"))["change"]["symlink"]["to"], "two");
    assert_eq!(changed(&all, "hardlink", &at("two"))["change"]["hardlink"]["to"], at("hard"));
    assert_eq!(changed(&all, "remove", &at("soft"))["outcome"], "ok");
    assert_eq!(changed(&all, "make_folder", &at("d"))["outcome"], "ok");
    assert_eq!(changed(&all, "remove_folder", &at("d"))["outcome"], "ok");
    let none = changed(&all, "remove", &at("none"));
    assert_eq!(none["outcome"]["failed"]["code"], 2, "{none:#}");
    assert!(
        all.iter().any(|t| t["listed"]["path"] == at("") || t["listed"]["path"] == name(&away)),
        "{all:#?}"
    );
    assert!(all.iter().any(|t| t["lookups"]["stat"].as_u64() > Some(0)), "{all:#?}");
    wait_for("the changes in the ledger", || {
        let events = CLUSTER.audit("session.file_change");
        let has = |change: &str, path: String| {
            events.iter().any(|event| event["change"] == change && event["path"] == path)
        };
        has("rename", at("one")) && has("remove", at("none")) && has("symlink", at("soft"))
    });
    let transcript = fs::read_to_string(CLUSTER.export(&id, "text")).unwrap();
    let hash = blake3::hash(&bytes).to_hex();
    let line = format!("written {}: 500000 bytes, blake3 {hash}]", at("one"));
    assert!(transcript.contains(&line), "{transcript}");
    assert!(fs::read_to_string(CLUSTER.export(&id, "cast")).unwrap().contains("\"m\", \"rename "));
    // What no entry tells, paths that were looked up among it, has its hash.
    let all = entries(&CLUSTER, &id);
    for stream in ["stdin", "stdout"] {
        let of_it = all.iter().map(|entry| &entry["elided"]).find(|it| it["stream"] == stream);
        let elided = of_it.unwrap_or_else(|| panic!("nothing of {stream} in {all:#?}"));
        assert!(elided["bytes"].as_u64() > Some(100), "{elided:#}");
        assert_eq!(elided["hash"].as_str().map(str::len), Some(64), "{elided:#}");
    }
    // No byte of a file was kept.
    assert!(kept(&CLUSTER, &id, "stdin").is_empty() && kept(&CLUSTER, &id, "stdout").is_empty());
}

#[test]
fn sftp_on_a_terminal_is_refused_in_words_and_without_one_it_is_there() {
    let mut ssh = CLUSTER.ssh_command();
    let out = ssh.args(["-tt", "-s", &CLUSTER.host(), "sftp"]).output().unwrap();
    let words = String::from_utf8_lossy(&out.stderr).into_owned() + &text(&out);
    assert!(!out.status.success() && words.contains("no use for a terminal"), "{words}");
    wait_for("the refusal in the ledger", || {
        let denied = CLUSTER.audit("access.denied");
        denied.iter().any(|event| event["action"] == "run a subsystem on a terminal")
    });
    assert_success(&sftp(&CLUSTER, &["-o", "RequestTTY=no"], "pwd\n"));
}

#[test]
fn a_transfer_that_goes_on_later_says_where_it_began() {
    let folder = folder("reget");
    let (away, back) = (folder.join("away"), folder.join("back"));
    let bytes = put(&away, 300_000);
    fs::write(&back, &bytes[..100_000]).unwrap();
    assert_success(&sftp(&CLUSTER, &[], &format!("reget {} {}\n", away.display(), back.display())));
    assert_eq!(fs::read(&back).unwrap(), bytes);
    let (_, all) = find(&CLUSTER, |t| t["closed"]["path"] == name(&away));
    let file = all.iter().find(|t| t["closed"]["path"] == name(&away)).unwrap();
    let read = &file["closed"]["read"];
    assert_eq!(
        (&read["bytes"], &read["layout"]["contiguous"]["from"]),
        (&200_000.into(), &100_000.into())
    );
    let hash = blake3::hash(&bytes[100_000..]).to_hex().to_string();
    assert_eq!(read["layout"]["contiguous"]["hash"], hash.as_str());
}

#[test]
fn rsync_is_its_command_its_bytes_and_its_end() {
    let folder = folder("rsync");
    let (here, away) = (folder.join("here"), folder.join("away"));
    let bytes = put(&here, 400_000);
    let mut rsync = Command::new("rsync");
    rsync.arg("-e").arg(format!("ssh -F {}", CLUSTER.config().display()));
    rsync.arg(&here).arg(there(&away)).env_remove("SSH_AUTH_SOCK");
    assert_success(&rsync.output().unwrap());
    assert_eq!(fs::read(&away).unwrap(), bytes);
    let rows = CLUSTER.stored_recordings();
    let row = rows
        .iter()
        .find(|row| row["command"].as_str().is_some_and(|command| command.ends_with(name(&away))));
    let row = row.expect("rsync was recorded");
    assert!(row["command"].as_str().unwrap().starts_with("rsync --server"), "{row:#}");
    assert_eq!(row["ending"], "exit 0");
    let id = row["id"].as_str().unwrap();
    assert!(transfers(&CLUSTER, id).is_empty());
    let kept = kept(&CLUSTER, id, "stdin");
    assert!(kept.len() >= bytes.len() && kept.windows(1000).any(|part| part == &bytes[5000..6000]));
    wait_for("the end in the ledger", || {
        CLUSTER.audit("session.end").iter().any(|event| {
            event["session"] == id && event["input"] == kept.len() && event["status"] == 0
        })
    });
}

#[test]
fn a_shell_is_recorded_as_it_is_whatever_it_is_called() {
    let folder = folder("disguise");
    for called in ["rsync", "scp", "sftp-server"] {
        let shell = folder.join(called);
        fs::copy("/bin/sh", &shell).unwrap();
        let command = format!("{} -s -- --server", shell.display());
        let mut ssh = CLUSTER.ssh_command();
        let script = format!("echo secret-$((6*7))-{called}\n");
        let out = output_with(ssh.args([&CLUSTER.host(), &command]), &script);
        assert_eq!(text(&out), format!("secret-42-{called}"));
        let row = CLUSTER.recording_of(&command);
        let id = row["id"].as_str().unwrap();
        assert_eq!(kept(&CLUSTER, id, "stdin"), script.as_bytes());
        assert_eq!(kept(&CLUSTER, id, "stdout"), out.stdout);
        assert!(transfers(&CLUSTER, id).is_empty());
        wait_for("the shell in the ledger", || {
            let (began, ended) = (CLUSTER.audit("session.exec"), CLUSTER.audit("session.end"));
            let is_begin = |event: &Value| event["command"] == command.as_str();
            let is_end = |event: &Value| event["input"] == script.len() && event["status"] == 0;
            began.iter().any(|event| event["session"] == id && is_begin(event))
                && ended.iter().any(|event| event["session"] == id && is_end(event))
        });
        let moved = CLUSTER.audit("session.transfer");
        assert!(moved.iter().all(|event| event["session"] != id), "{called}: {moved:#?}");
    }
}

#[test]
fn the_sftp_server_run_as_a_command_hides_nothing() {
    if !Path::new(SFTP_SERVER).exists() {
        println!("skipped: there is no {SFTP_SERVER}");
        return;
    }
    let folder = folder("direct");
    let (here, away) = (folder.join("here"), folder.join("away"));
    let bytes = put(&here, 60_000);
    let batch = format!("put {} {}\n", here.display(), away.display());
    assert_success(&sftp(&CLUSTER, &["-s", SFTP_SERVER], &batch));
    let id = check(&CLUSTER, name(&away), "written", &bytes);
    let row = CLUSTER.stored_recordings().into_iter().find(|row| row["id"] == id.as_str());
    assert_eq!(row.unwrap()["command"], SFTP_SERVER);
}

#[test]
fn a_shell_behind_a_greeting_of_sftp_is_recorded_as_it_is() {
    let script = CLUSTER.path("greeting.sh");
    // Answers as an sftp server would, then runs what comes.
    fs::write(&script, "head -c 9 > /dev/null; printf '\\0\\0\\0\\5\\2\\0\\0\\0\\3'; exec sh -s\n")
        .unwrap();
    let command = format!("sh {}", script.display());
    let mut ssh = CLUSTER.ssh_command();
    ssh.args([&CLUSTER.host(), &command]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = ssh.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"\0\0\0\x05\x01\0\0\0\x03").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    stdin.write_all(b"echo hidden-$((40+2))\n").unwrap();
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    assert!(out.stdout.ends_with(b"hidden-42\n"), "{out:?}");
    let row = CLUSTER.recording_of(&command);
    let id = row["id"].as_str().unwrap();
    assert_eq!(kept(&CLUSTER, id, "stdin"), b"echo hidden-$((40+2))\n");
    assert_eq!(kept(&CLUSTER, id, "stdout"), b"hidden-42\n");
    let all = transfers(&CLUSTER, id);
    assert!(all.iter().any(|t| t["unparsed"]["stream"] == "stdin"), "{all:#?}");
    wait_for("the warning in the ledger", || {
        CLUSTER.audit("session.transfer_unparsed").iter().any(|event| event["session"] == id)
    });
}

#[test]
fn an_exec_stream_is_whole_to_the_limit_and_then_counted_with_hashes_that_fit() {
    const MIB: usize = 1 << 20;
    let command = "head -c 20M /dev/urandom";
    let out = CLUSTER.ssh(command);
    assert_success(&out);
    assert_eq!(out.stdout.len(), 20 * MIB);
    let row = CLUSTER.recording_of(command);
    let id = row["id"].as_str().unwrap();
    assert!(kept(&CLUSTER, id, "stdout") == out.stdout[..16 * MIB], "the first 16 MiB are whole");
    let elided: Vec<(u64, String)> = entries(&CLUSTER, id)
        .iter()
        .map(|entry| &entry["elided"])
        .filter(|elided| elided["stream"] == "stdout")
        .map(|elided| {
            let hash = elided["hash"].as_str().unwrap().to_owned();
            (elided["bytes"].as_u64().unwrap(), hash)
        })
        .collect();
    let wanted: Vec<(u64, String)> = out.stdout[16 * MIB..]
        .chunks(MIB)
        .map(|part| (part.len() as u64, blake3::hash(part).to_hex().to_string()))
        .collect();
    assert_eq!(elided, wanted);
    let cast = fs::read_to_string(CLUSTER.export(id, "cast")).unwrap();
    assert_eq!(cast.matches("1048576 bytes of standard output not kept").count(), 4);
}

#[test]
fn a_role_that_asks_for_everything_gets_contents_and_what_was_typed_but_no_password() {
    let cluster = Cluster::start();
    cluster.set_options("record_transfers = true\nrecord_typed = true");
    let (here, away) = (cluster.path("here"), cluster.path("away"));
    let bytes = put(&here, 200_000);
    let batch = format!("put {} {}\n", here.display(), away.display());
    assert_success(&sftp(&cluster, &[], &batch));
    let id = check(&cluster, name(&away), "written", &bytes);
    let kept = kept(&cluster, &id, "stdin");
    assert!(kept.len() > bytes.len() && kept.windows(1000).any(|part| part == &bytes[7..1007]));

    let script = "read -s -p 'Pass: ' p; echo; read -p 'Name: ' n; echo bye-$n";
    let command = format!(
        "ssh -F {} -tt {} bash -c {}",
        cluster.config().display(),
        cluster.host(),
        format_args!("\"\\\"{script}\\\"\"").to_string().replace("$n", "\\\\\\$n")
    );
    let terminal = Terminal::start(cluster.folder.path(), 80, 24, &command);
    terminal.wait_for("Pass:");
    // The prompt is written before the echo is switched off.
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.type_text("hunter2-secret");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Name:");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.type_text("visible");
    terminal.keys(&["Enter"]);
    wait_for("the session's end", || {
        cluster
            .stored_recordings()
            .iter()
            .any(|row| row["command"].as_str().is_some_and(|command| command.contains("Pass: ")))
    });
    let rows = cluster.stored_recordings();
    let row = rows
        .iter()
        .find(|row| row["command"].as_str().is_some_and(|command| command.contains("Pass: ")));
    let id = row.unwrap()["id"].as_str().unwrap();
    let all = entries(&cluster, id);
    let typed: Vec<&Value> =
        all.iter().map(|entry| &entry["typed"]).filter(|t| !t.is_null()).collect();
    let count: u64 = typed.iter().map(|typed| typed["count"].as_u64().unwrap()).sum();
    let what: String = typed.iter().filter_map(|typed| typed["text"].as_str()).collect();
    assert_eq!(count, "hunter2-secret\rvisible\r".len() as u64, "{typed:#?}");
    assert_eq!(what, "visible\r");
    let file = record_bytes(&cluster, id);
    assert!(!String::from_utf8_lossy(&file).contains("hunter2"));
    let everything = serde_json::to_string(&all).unwrap();
    assert!(!everything.contains("hunter2"), "the password is nowhere in the recording");
}

//! OpenSSH's own client against the server; skipped, and said so, where it is not installed.

use super::{MIB, World, certify, key, serve};
use crate::ssh::Startups;
use crate::ssh::buffer::Memory;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::CertType;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

struct House {
    dir: PathBuf,
    port: u16,
    _tasks: JoinSet<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn write(path: &Path, text: &str) {
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A server on loopback and what a client needs; `None` without OpenSSH.
async fn house(name: &str, buffers: Memory) -> Option<House> {
    if !Path::new("/usr/bin/ssh").exists() {
        eprintln!("skipped: there is no /usr/bin/ssh");
        return None;
    }
    let dir = std::env::temp_dir().join(format!("scry-link-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let user = key(4);
    write(&dir.join("id"), &user.to_openssh(LineEnding::LF).unwrap());
    let certificate = certify(&key(1), user.public_key(), CertType::User, "alice");
    write(&dir.join("id-cert.pub"), &certificate.to_openssh().unwrap());
    let authority = key(2).public_key().to_openssh().unwrap();
    write(&dir.join("known"), &format!("@cert-authority * {authority}\n"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = World::new(buffers);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let startups = Startups::default();
        let mut connections = JoinSet::new();
        loop {
            let (stream, from) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (server, gate) = (world.server.clone(), world.gate());
            let startup = startups.take(Some(from.ip())).unwrap();
            connections.spawn(async move {
                if let Ok(connection) = server.accept(Box::new(stream), gate, startup).await {
                    serve(connection).await;
                }
            });
        }
    });
    Some(House { dir, port, _tasks: tasks })
}

impl House {
    fn ssh(&self, options: &[&str], command: &str) -> Command {
        let mut ssh = Command::new("/usr/bin/ssh");
        ssh.arg("-F").arg("/dev/null");
        ssh.arg("-i").arg(self.dir.join("id"));
        let known = format!("UserKnownHostsFile={}", self.dir.join("known").display());
        let control = format!("ControlPath={}", self.dir.join("mux").display());
        let all = [
            "IdentitiesOnly=yes",
            "HostKeyAlias=node-1",
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
        ];
        for option in all.iter().copied().chain([known.as_str(), control.as_str()]) {
            ssh.arg("-o").arg(option);
        }
        ssh.args(options).arg("-p").arg(self.port.to_string()).arg("alice@127.0.0.1").arg(command);
        ssh.kill_on_drop(true);
        ssh
    }

    async fn said(&self, options: &[&str], command: &str) -> (String, Option<i32>) {
        let output = self.ssh(options, command).stdin(Stdio::null()).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (text, output.status.code())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssh_signs_in_with_a_certificate_and_trusts_the_host() {
    let Some(house) = house("words", Memory::default()).await else { return };
    for options in [
        &[][..],
        &["-C"],
        &["-o", "Ciphers=chacha20-poly1305@openssh.com"],
        &["-o", "RekeyLimit=16K"],
    ] {
        let (text, status) = house.said(options, "words").await;
        assert!(text.starts_with("words None"), "{options:?}: {text}");
        assert_eq!(status, Some(7), "{options:?}");
    }
    let (text, _) = house.said(&["-tt"], "words").await;
    assert!(text.starts_with("words Some("), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssh_pipes_two_hundred_megabytes_through_and_gets_the_same_back() {
    let Some(house) = house("pipe", Memory { most: 512 * MIB, ..Memory::default() }).await else {
        return;
    };
    let mut child =
        house.ssh(&[], "echo").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let began = Instant::now();
    let writing = async {
        let mut sum: u64 = 0;
        for round in 0..200_u64 {
            let piece: Vec<u8> = (0..MIB as u64).map(|at| (at ^ round).to_le_bytes()[0]).collect();
            sum = piece.iter().fold(sum, |sum, byte| sum.rotate_left(1) ^ u64::from(*byte));
            input.write_all(&piece).await.unwrap();
        }
        drop(input);
        sum
    };
    let reading = async {
        let (mut sum, mut total, mut room) = (0_u64, 0, vec![0; 256 * 1024]);
        loop {
            let count = output.read(&mut room).await.unwrap();
            if count == 0 {
                return (sum, total);
            }
            total += count;
            sum = room[..count].iter().fold(sum, |sum, byte| sum.rotate_left(1) ^ u64::from(*byte));
        }
    };
    let both = async { tokio::join!(writing, reading) };
    let (sent, (got, total)) = super::within(120, "200 MB there and back", both).await;
    assert_eq!((got, total), (sent, 200 * MIB));
    println!("200 MiB there and back in {} ms", began.elapsed().as_millis());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssh_multiplexes_a_usable_session_beside_stalled_uploads() {
    let Some(house) = house("mux", Memory { most: 8 * MIB, ..Memory::default() }).await else {
        return;
    };
    let master = ["-o", "ControlMaster=yes"];
    let mut stalled = vec![house.ssh(&master, "stall").stdin(Stdio::piped()).spawn().unwrap()];
    while !house.dir.join("mux").exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 1..10 {
        stalled.push(house.ssh(&[], "stall").stdin(Stdio::piped()).spawn().unwrap());
    }
    let mut held = Vec::new();
    for child in &mut stalled {
        let mut input = child.stdin.take().unwrap();
        // Below the bound: what a process does not take waits in the buffer, and TCP flows on.
        input.write_all(&vec![b'x'; 6 * MIB]).await.unwrap();
        held.push(input);
    }
    let began = Instant::now();
    for _ in 0..10 {
        let (text, status) = super::within(10, "a session", house.said(&[], "words")).await;
        assert!(text.starts_with("words"));
        assert_eq!(status, Some(7));
    }
    println!("10 sessions beside 10 stalled uploads in {} ms", began.elapsed().as_millis());
}

//! The process that moves files which others approve: whose it is, who may look into it, and what it takes for leave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a failure is the result"
)]

mod common;
use common::*;

use bytes::BytesMut;
use host::{Child, Exit, FileNews, Io, Plan, SpawnError, What};
use model::wanted::Direction;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn sftp() -> Plan {
    Plan { what: What::Sftp, ..plan("") }
}

/// An ordinary account with a shell where the tests are root, and their own else.
fn somebody() -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fits = |line: &&str| !line.contains(":0:") && line.ends_with("/bash");
    let name = users.lines().find(fits).and_then(|line| line.split(':').next());
    match name.filter(|_| is_root()) {
        Some(name) => name.to_owned(),
        None => own(),
    }
}

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    let length = u32::try_from(body.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[kind], &body].concat()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A client on a child's pipes.
struct Client {
    child: Child,
    held: BytesMut,
}

impl Client {
    async fn start(login: &str, plan: Plan) -> Self {
        let child = host::spawn(&settings(), &permit_each(login), plan).await.unwrap();
        let mut client = Self { child, held: BytesMut::new() };
        client.send(&packet(1, &[&3_u32.to_be_bytes()])).await;
        assert_eq!(client.answer().await, [2, 0, 0, 0, 3]);
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        let Io::Pipes { stdin, .. } = &self.child.io else { panic!("pipes") };
        stdin.write_all(bytes).await.unwrap();
    }

    async fn ask(&mut self, path: &Path, flags: u32) {
        let path = string(path.to_str().unwrap().as_bytes());
        self.send(&packet(3, &[&[0; 4], &path, &flags.to_be_bytes(), &[0; 4]])).await;
    }

    /// The next packet without its length.
    async fn answer(&mut self) -> Vec<u8> {
        let Io::Pipes { stdout, .. } = &self.child.io else { panic!("pipes") };
        loop {
            if let Some(length) = self.held.first_chunk::<4>() {
                let whole = 4 + u32::from_be_bytes(*length) as usize;
                if self.held.len() >= whole {
                    return self.held.split_to(whole)[4..].to_vec();
                }
            }
            let bytes = tokio::time::timeout(PATIENCE, stdout.read()).await.unwrap().unwrap();
            assert!(!bytes.is_empty(), "it ended");
            self.held.extend_from_slice(&bytes);
        }
    }

    async fn wanted(&self) -> model::Wanted {
        match self.child.files.as_ref().unwrap().next().await {
            Some(FileNews::Wanted(wanted)) => wanted,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_is_let_through_by_leave_for_it_and_for_this_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "text").unwrap();
    let plan = sftp();
    let (id, other) = (plan.id, sftp().id);
    let mut client = Client::start(&own(), plan).await;
    client.ask(&path, 1).await;
    let wanted = client.wanted().await;
    assert_eq!((wanted.number, wanted.direction), (1, Direction::Download));
    let permit = permit_each(&own());
    let files = client.child.files.as_ref().unwrap();
    assert!(files.allow(file_permit(&permit, other, 1)).is_err());
    files.allow(file_permit(&permit, id, 1)).unwrap();
    let handle = client.answer().await;
    assert_eq!(handle[0], 102, "{handle:?}");
    let read = packet(5, &[&[0; 4], &handle[5..], &[0; 8], &100_u32.to_be_bytes()]);
    client.send(&read).await;
    assert!(client.answer().await.ends_with(b"text"));
    client.ask(&path, 1).await;
    assert_eq!(client.wanted().await.number, 2);
    client.child.files.as_ref().unwrap().refuse(2, "no").unwrap();
    assert_eq!(client.answer().await[0], 101);
    let Child { io, mut process, files, .. } = client.child;
    drop(io);
    assert_eq!(process.wait().await.unwrap(), Exit::Status(0));
    assert_eq!(files.unwrap().next().await, None);
}

#[tokio::test]
async fn it_is_the_users_process_and_has_nothing_more_than_they_have() {
    let login = somebody();
    let client = Client::start(&login, sftp()).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", client.child.pid())).unwrap();
    let user = nix::unistd::User::from_name(&login).unwrap().unwrap();
    let ids = format!("Uid:\t{0}\t{0}\t{0}\t{0}", user.uid);
    assert!(status.contains(&ids), "{status}");
    if is_root() && !user.uid.is_root() {
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "root's").unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let mut client = client;
        client.ask(&secret, 1).await;
        let answer = client.answer().await;
        assert_eq!((answer[0], &answer[5..9]), (101, &3_u32.to_be_bytes()[..]), "{answer:?}");
    }
}

#[tokio::test]
async fn no_process_of_the_users_looks_into_the_one_that_holds_files_for_approval() {
    let login = somebody();
    if login == own() && is_root() {
        return skip("no_process_of_the_users_looks", "needs an ordinary account with bash");
    }
    let client = Client::start(&login, sftp()).await;
    let pid = client.child.pid();
    let look = |what: &str| format!("{what} && echo it could; true");
    for what in [
        format!("ls /proc/{pid}/fd/0"),
        format!("readlink /proc/{pid}/fd/0"),
        format!("head -c 1 /proc/{pid}/maps"),
        format!("head -c 1 /proc/{pid}/environ"),
        format!(": < /proc/{pid}/mem"),
        format!("readlink /proc/{pid}/cwd"),
    ] {
        let out = run_plan(&login, plan(&look(&what)), b"").await.out;
        assert!(!out.contains("it could"), "{what}: {out}");
    }
    // Of any other process of theirs they can.
    let out = run_plan(&login, plan(&look("ls /proc/$$/fd/0")), b"").await.out;
    assert!(out.contains("it could"), "{out}");
}

#[tokio::test]
async fn an_account_whose_shell_lets_nobody_in_has_no_files() {
    if !is_root() {
        return skip("an_account_whose_shell", "needs root");
    }
    let started = host::spawn(&settings(), &permit_each("nobody"), sftp()).await;
    match started {
        Err(SpawnError::NotStarted { why }) => assert!(why.contains("no login shell"), "{why}"),
        Err(SpawnError::Refused { .. } | SpawnError::Account(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_such_a_rule_sftp_is_the_systems_own() {
    let places = settings().sftp_servers;
    if !places.iter().any(|place| place.is_file()) {
        return skip("without_such_a_rule", "needs the system's sftp-server");
    }
    assert!(start(&own(), sftp()).await.unwrap().files.is_none());
}

//! How the tests of this room start real processes and look at them.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "in a test a failure is the result, and a skipped one names itself"
)]

use bytes::BytesMut;
use host::{Child, Exit, Io, Plan, PtyPlan, Settings, SpawnError, What};
use model::role::{Allow, Deny, FileRule, Forwarding, FourEyes, NodeFacts, Options, Role, RoleSet};
use model::{RoleName, SeatRole, SessionId, Size, Time};
use policy::{FilePermit, ForwardPermit, Identity, LoginPermit};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn settings() -> Settings {
    Settings { exe: PathBuf::from(env!("CARGO_BIN_EXE_host-helper")), ..Settings::default() }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Name of the account that the tests run as.
pub fn own() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name
}

/// A small world in which one person may do everything as one login.
fn world(login: &str) -> (RoleSet, Identity, NodeFacts) {
    let any = || BTreeMap::from([("*".to_owned(), vec!["*".to_owned()])]);
    let name: RoleName = "all".parse().unwrap();
    let forward = Forwarding::ALL.to_vec();
    let role = Role {
        name: name.clone(),
        description: String::new(),
        allow: Allow { logins: vec![login.to_owned()], nodes: any(), forward, ..Allow::default() },
        deny: Deny::default(),
        options: Options::default(),
    };
    let roles =
        RoleSet { rev: 1, roles: BTreeMap::from([(name.clone(), role)]), ..RoleSet::default() };
    let logins = vec![login.parse().unwrap()];
    let who = Identity::of_account("alice".parse().unwrap(), vec![name], logins, Time(i64::MAX));
    let labels = BTreeMap::from([("env".to_owned(), "test".to_owned())]);
    (roles, who, NodeFacts { name: "here".parse().unwrap(), labels })
}

pub fn permit(login: &str) -> LoginPermit {
    let (roles, who, node) = world(login);
    policy::login(&roles, &who, &node, &login.parse().unwrap(), Time(0)).unwrap()
}

/// What a person who counts sees to: each file is approved by somebody with the role `all` who is not the owner.
pub fn each() -> Vec<FourEyes> {
    let roles = vec!["all".to_owned()];
    vec![FourEyes { name: "x".into(), roles, files: FileRule::Each, ..FourEyes::default() }]
}

/// As [`permit`], where others approve each file.
pub fn permit_each(login: &str) -> LoginPermit {
    let (mut roles, who, node) = world(login);
    for role in roles.roles.values_mut() {
        role.options.four_eyes = each();
    }
    policy::login(&roles, &who, &node, &login.parse().unwrap(), Time(0)).unwrap()
}

/// Leave for a file of a session of [`permit_each`], given by somebody else.
pub fn file_permit(permit: &LoginPermit, id: SessionId, number: u32) -> FilePermit {
    let (roles, _, _) = world(permit.login().as_str());
    let name: RoleName = "all".parse().unwrap();
    let who = Identity::of_account("bob".parse().unwrap(), vec![name], vec![], Time(i64::MAX));
    let (owner, login, demands) = (permit.user(), permit.login(), &permit.terms().four_eyes);
    let facts = policy::SessionFacts { id, owner, roles: &[], login };
    let moderator = SeatRole::Moderator;
    let voice = policy::voice(&roles, &who, demands, &facts, moderator, number, Time(0)).unwrap();
    policy::file(demands, id, number, [&voice]).unwrap()
}

pub fn forward(what: Forwarding) -> ForwardPermit {
    forward_as(&own(), what)
}

pub fn forward_as(login: &str, what: Forwarding) -> ForwardPermit {
    let (roles, who, node) = world(login);
    policy::forward(&roles, &who, &node, &login.parse().unwrap(), what, Time(0)).unwrap()
}

pub fn plan(command: &str) -> Plan {
    // Each its own: what ends one of the sessions that run side by side must not end the others.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let id = u128::from(std::process::id()) << 64 | u128::from(number);
    Plan {
        id: SessionId::from_random(id.to_be_bytes()),
        what: What::Exec(command.as_bytes().to_vec()),
        pty: None,
        environment: Vec::new(),
        agent_socket: None,
        x11: None,
        addresses: None,
        motd: false,
        watch: None,
    }
}

pub fn plan_on_terminal(command: &str, size: Size) -> Plan {
    let pty = Some(PtyPlan { size, term: "xterm-256color".into(), modes: Vec::new() });
    Plan { pty, ..plan(command) }
}

pub async fn start(login: &str, plan: Plan) -> Result<Child, SpawnError> {
    host::spawn(&settings(), &permit(login), plan).await
}

/// What a program left behind: how it ended, its output and its errors.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub exit: Exit,
    pub out: String,
    pub err: String,
}

/// Runs a plan to its end with this input.
pub async fn run_plan(login: &str, plan: Plan, input: &[u8]) -> Outcome {
    let child = start(login, plan).await.unwrap_or_else(|error| panic!("not started: {error}"));
    tokio::time::timeout(PATIENCE, finish(child, input)).await.expect("in time")
}

pub async fn finish(child: Child, input: &[u8]) -> Outcome {
    let Child { io, mut process, .. } = child;
    let (out, err) = match io {
        Io::Pty(pty) => {
            if !input.is_empty() {
                pty.write_all(input).await.unwrap();
            }
            let (mut all, mut output) = (BytesMut::new(), pty.output());
            loop {
                let bytes = output.read().await.unwrap();
                if bytes.is_empty() {
                    break (all, BytesMut::new());
                }
                all.extend_from_slice(&bytes);
            }
        }
        Io::Pipes { stdin, stdout, stderr } => {
            let feed = async move {
                let _ = stdin.write_all(input).await;
                drop(stdin);
            };
            let ((), out, err) = tokio::join!(feed, drain(&stdout), drain(&stderr));
            (out, err)
        }
    };
    let text = |bytes: &BytesMut| String::from_utf8_lossy(bytes).into_owned();
    Outcome { exit: process.wait().await.unwrap(), out: text(&out), err: text(&err) }
}

async fn drain(reader: &host::Reader) -> BytesMut {
    let mut all = BytesMut::new();
    loop {
        let bytes = reader.read().await.unwrap();
        assert!(bytes.len() <= model::limit::READ_BYTES);
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

/// Runs a command as the tests' own account and gives its output.
pub async fn output(command: &str) -> String {
    run_plan(&own(), plan(command), b"").await.out
}

/// Reads a terminal until `wanted` was on it.
pub async fn until(pty: &host::Pty, wanted: &str) -> String {
    let (mut all, mut output) = (String::new(), pty.output());
    let reading = async {
        while !all.contains(wanted) {
            let bytes = output.read().await.unwrap();
            assert!(!bytes.is_empty(), "ended before {wanted:?}: {all:?}");
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, reading).await.is_ok();
    assert!(in_time, "waited in vain for {wanted:?}: {all:?}");
    all
}

/// Whether a process with this in its command line is there.
pub fn runs(needle: &str) -> bool {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = all.map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
    let own = |line: &[u8]| line.windows(needle.len()).any(|part| part == needle.as_bytes());
    lines.into_iter().any(|line| own(&line))
}

/// Waits until `done` says so.
pub async fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {what}"));
}

/// State of a process as the kernel shows it; `Z` when it is no more.
pub fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('Z')
}

/// Where version 2 of control groups is, if groups can be made there.
pub fn control_groups() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let point = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(point))
    })?;
    // Other tests look at the same time.
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let probe = point.join(format!("probe-{process}-{thread:?}"));
    std::fs::create_dir(&probe).ok()?;
    std::fs::remove_dir(&probe).unwrap();
    Some(point)
}

/// Says that a test could not be run, and why; the runner's output keeps it.
pub fn skip(test: &str, why: &str) {
    eprintln!("skipped: {test}: {why}");
}

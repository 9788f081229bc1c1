//! Root becoming somebody else, and an ordinary user who cannot.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a failure is the result"
)]

mod common;
use common::*;

use host::{AccountError, Exit, FreezeError, Net, NetError, SpawnError};
use model::Size;
use model::role::Forwarding::{Agent, Remote};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;

/// An ordinary account that every machine has. Its shell lets nobody in, so a copy of the account with a real
/// shell is what most tests want; the first of these that has one is taken.
fn somebody() -> Option<nix::unistd::User> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = users.lines().filter_map(|line| line.split(':').next()).map(str::to_owned);
    names
        .filter_map(|name| nix::unistd::User::from_name(&name).ok().flatten())
        .find(|user| user.uid.as_raw() != 0 && user.shell.ends_with("bash"))
}

/// Root and an ordinary account with a shell, or the reason why not.
fn as_somebody(test: &str) -> Option<nix::unistd::User> {
    if !is_root() {
        skip(test, "needs root");
        return None;
    }
    let found = somebody();
    if found.is_none() {
        skip(test, "needs an ordinary account whose shell is bash");
    }
    found
}

#[tokio::test]
async fn a_session_of_another_account_has_its_ids_groups_and_home_and_no_way_back() {
    let Some(user) = as_somebody("a_session_of_another_account") else { return };
    let command =
        "id -u; id -g; pwd; grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapAmb)' /proc/self/status";
    let out = run_plan(&user.name, plan(command), b"").await.out;
    let lines: Vec<&str> = out.lines().collect();
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    assert_eq!(lines.get(..2), Some(&[uid.as_str(), gid.as_str()][..]), "{out}");
    let home = user.dir.is_dir().then(|| std::fs::canonicalize(&user.dir).unwrap());
    assert_eq!(lines[2], home.map_or("/".into(), |home| home.display().to_string()), "{out}");
    assert!(out.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}")), "{out}");
    assert!(out.contains(&format!("Gid:\t{gid}\t{gid}\t{gid}\t{gid}")), "{out}");
    for set in ["CapEff", "CapPrm", "CapAmb"] {
        assert!(out.contains(&format!("{set}:\t0000000000000000")), "{out}");
    }
    let name = std::ffi::CString::new(user.name.as_str()).unwrap();
    let mut wanted: Vec<u32> = nix::unistd::getgrouplist(&name, user.gid)
        .unwrap()
        .iter()
        .map(|gid| gid.as_raw())
        .collect();
    let groups = out.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap();
    let mut has: Vec<u32> = groups.split_whitespace().map(|gid| gid.parse().unwrap()).collect();
    wanted.sort_unstable();
    has.sort_unstable();
    assert_eq!(has, wanted);
}

#[tokio::test]
async fn the_terminal_of_another_account_is_that_accounts() {
    let Some(user) = as_somebody("the_terminal_of_another_account") else { return };
    let command = "stat -c '%u %a' \"$SSH_TTY\"; echo x > \"$SSH_TTY\"";
    let outcome = run_plan(&user.name, plan_on_terminal(command, Size::default()), b"").await;
    assert!(outcome.out.starts_with(&format!("{} 620\r\nx", user.uid)), "{outcome:?}");
}

#[tokio::test]
async fn a_clients_signal_reaches_a_program_of_another_account() {
    let Some(user) = as_somebody("a_clients_signal_reaches_a_program") else { return };
    let command = "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done";
    for plan in [plan(command), plan_on_terminal(command, Size::default())] {
        let mut child = start(&user.name, plan).await.unwrap();
        match &child.io {
            host::Io::Pty(pty) => drop(until(pty, "ready").await),
            host::Io::Pipes { stdout, .. } => drop(stdout.read().await.unwrap()),
        }
        child.signal("USR1").unwrap();
        let exit = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(exit, Exit::Status(3));
    }
}

#[tokio::test]
async fn the_device_goes_with_its_terminal_even_if_a_job_holds_it() {
    let command = "trap '' HUP; echo $SSH_TTY.; sleep 1000797";
    let child = start(&own(), plan_on_terminal(command, Size::default())).await.unwrap();
    let host::Io::Pty(pty) = &child.io else { panic!("no terminal") };
    let shown = until(pty, ".").await;
    let device = std::path::PathBuf::from(shown.split('.').next().unwrap());
    // Another session may get the same number at once, so only ours is looked at.
    let inode = std::fs::metadata(&device).unwrap().ctime_nsec();
    let signals = child.signals.clone();
    drop(child);
    // Processes that other tests begin at this moment hold a copy until they are somebody else.
    wait_for("device that has gone", || {
        std::fs::metadata(&device).map_or(true, |other| other.ctime_nsec() != inode)
    })
    .await;
    wait_for("job that holds it", || runs("sleep\x001000797")).await;
    signals.end(std::time::Duration::ZERO).await;
}

#[tokio::test]
async fn nobody_has_a_shell_that_lets_nobody_in_and_it_has_its_say() {
    if !is_root() {
        return skip("nobody_has_a_shell", "needs root");
    }
    let Some(nobody) = nix::unistd::User::from_name("nobody").unwrap() else {
        return skip("nobody_has_a_shell", "there is no account nobody");
    };
    if !nobody.shell.ends_with("nologin") || !nobody.shell.exists() {
        return skip("nobody_has_a_shell", "its shell is no nologin");
    }
    let outcome = run_plan("nobody", plan("id"), b"").await;
    assert_eq!(outcome.exit, Exit::Status(1));
    assert!(outcome.out.contains("not available"), "{outcome:?}");
    if !nobody.dir.exists() {
        assert!(outcome.err.contains("Could not change to"), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_net_helper_of_another_account_has_its_rights() {
    let Some(user) = as_somebody("the_net_helper_of_another_account") else { return };
    let net = Net::start(&settings(), &permit(&user.name), None).await.unwrap();
    let (_listener, path) = net.agent(&forward_as(&user.name, Agent)).await.unwrap();
    for path in [path.as_path(), path.parent().unwrap()] {
        assert_eq!(std::fs::symlink_metadata(path).unwrap().uid(), user.uid.as_raw());
    }
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim().parse().unwrap_or(0) > 81) {
        let error = net.listen(&forward_as(&user.name, Remote), "", 81).await.unwrap_err();
        assert!(error.to_string().contains("Permission denied"), "{error}");
    }
}

#[tokio::test]
async fn everything_works_for_an_ordinary_user_too() {
    if !is_root() {
        return ordinary().await;
    }
    let Some(user) = somebody() else {
        return skip(
            "everything_works_for_an_ordinary_user",
            "needs an account whose shell is bash",
        );
    };
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "an_ordinary_user", "--include-ignored", "--nocapture"]);
    again.uid(user.uid.as_raw()).gid(user.gid.as_raw()).current_dir("/");
    match again.output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
        }
        Err(error) => skip("everything_works_for_an_ordinary_user", &error.to_string()),
    }
}

#[tokio::test]
#[ignore = "run by everything_works_for_an_ordinary_user_too, as that user"]
async fn an_ordinary_user() {
    ordinary().await;
}

async fn ordinary() {
    let outcome = run_plan(&own(), plan("id -u"), b"").await;
    assert_eq!(outcome.out.trim(), rustix::process::geteuid().as_raw().to_string());
    let shown = run_plan(&own(), plan_on_terminal("stty size", Size::clamped(90, 20)), b"").await;
    assert_eq!(shown.out, "20 90\r\n");
    let wanted =
        format!("runs as {} and can only open sessions for {}, not for root", own(), own());
    match start("root", plan("id")).await {
        Err(SpawnError::Account(error @ AccountError::NotOurs { .. })) => {
            assert!(error.to_string().contains(&wanted), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // Without a control group or an audit session of its own a session is known by its variable.
    let mut child = start(&own(), plan("setsid -f sleep 1000795; cat")).await.unwrap();
    wait_for("sleeper", || runs("sleep\x001000795")).await;
    let frozen = child.signals.freeze().await;
    assert!(matches!(frozen, Err(FreezeError::NoGroup | FreezeError::NoVersion2)), "{frozen:?}");
    child.signals.thaw().await.unwrap();
    let (ended, _) =
        tokio::join!(child.signals.end(std::time::Duration::ZERO), child.process.wait());
    assert!(ended.processes >= 2 && !runs("sleep\x001000795"), "{ended:?}");
    let net = Net::start(&settings(), &permit(&own()), None).await.unwrap();
    assert!(net.agent(&forward(Agent)).await.is_ok());
    let other = Net::start(&settings(), &permit("root"), None).await;
    assert!(matches!(other, Err(NetError::Account(AccountError::NotOurs { .. }))));
}

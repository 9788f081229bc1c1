//! PAM with a service made for the test, the audit session, and the environment that comes of it. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a failure is the result"
)]

mod common;
use common::*;

use host::{Net, NetError, PamState, Settings, SpawnError};
use model::Size;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// A service of PAM's that goes when the test does.
struct Service {
    name: String,
    folder: tempfile::TempDir,
}

impl Service {
    /// The rules may name a script `{log}` that notes how it was called in the file `log`.
    fn new(tag: &str, rules: &str) -> Option<Self> {
        if !is_root() || !std::path::Path::new("/etc/pam.d").is_dir() {
            skip(tag, "needs root and PAM");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("note");
        let log = folder.path().join("log");
        let text = format!(
            "#!/bin/sh\necho $PAM_TYPE $PAM_USER $PAM_RHOST $FROM_PAM >> {}\n",
            log.display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let name = format!("scry-test-{tag}-{}", std::process::id());
        let rules = rules.replace("{log}", script.to_str().unwrap());
        let rules = rules.replace("{folder}", folder.path().to_str().unwrap());
        std::fs::write(PathBuf::from("/etc/pam.d").join(&name), rules).unwrap();
        Some(Self { name, folder })
    }

    fn settings(&self) -> Settings {
        Settings { pam_services: vec!["scry-no-such".into(), self.name.clone()], ..settings() }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(PathBuf::from("/etc/pam.d").join(&self.name));
    }
}

#[tokio::test]
async fn a_pam_session_is_opened_sets_variables_and_is_closed_when_the_session_has_ended() {
    let rules = "account required pam_permit.so\n\
        session required pam_env.so conffile={folder}/env\n\
        session required pam_exec.so {log}\n";
    let Some(service) = Service::new("open", rules) else { return };
    std::fs::write(service.folder.path().join("env"), "FROM_PAM DEFAULT=yes\n").unwrap();
    let addresses = host::Addresses {
        client: ([192, 0, 2, 7], 50222).into(),
        server: ([127, 0, 0, 1], 22).into(),
    };
    let plan = host::Plan { addresses: Some(addresses), ..plan("echo [$FROM_PAM]") };
    let child = host::spawn(&service.settings(), &permit(&own()), plan).await.unwrap();
    assert_eq!(child.pam, PamState::Used);
    let outcome = tokio::time::timeout(PATIENCE, finish(child, b"")).await.unwrap();
    assert_eq!(outcome.out, "[yes]\n");
    let closed = async {
        while !service.log().contains("close_session") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, closed).await.is_ok(), "{}", service.log());
    let own = own();
    let wanted = format!("open_session {own} 192.0.2.7 yes\nclose_session {own} 192.0.2.7 yes\n");
    assert_eq!(service.log(), wanted);
}

#[tokio::test]
async fn an_account_that_pam_refuses_gets_its_words_and_neither_session_nor_forward() {
    let rules = "account required pam_echo.so not on Mondays\naccount required pam_deny.so\n\
        session required pam_exec.so {log}\n";
    let Some(service) = Service::new("deny", rules) else { return };
    let settings = service.settings();
    let started = host::spawn(&settings, &permit(&own()), plan("echo in")).await;
    let Err(SpawnError::Refused { why }) = started else { panic!("{started:?}") };
    assert!(why.contains("not on Mondays") && why.contains(&own()), "{why}");
    let net = Net::start(&settings, &permit(&own()), None).await;
    let Err(NetError::Refused { why }) = net else { panic!("{net:?}") };
    assert!(why.contains("not on Mondays"), "{why}");
    assert_eq!(service.log(), "");
}

#[tokio::test]
async fn a_session_that_pam_opens_and_that_fails_afterwards_is_closed_too() {
    let rules = "account required pam_permit.so\nsession required pam_exec.so {log}\n";
    let Some(service) = Service::new("fail", rules) else { return };
    let settings = Settings { sftp_servers: Vec::new(), ..service.settings() };
    let plan = host::Plan { what: host::What::Sftp, ..plan("") };
    let started = host::spawn(&settings, &permit(&own()), plan).await;
    assert!(matches!(started, Err(SpawnError::NotStarted { .. })), "{started:?}");
    let closed = async {
        while !service.log().contains("close_session") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, closed).await.is_ok(), "{}", service.log());
}

#[tokio::test]
async fn a_session_that_pam_cannot_open_is_refused() {
    let rules = "account required pam_permit.so\nsession required pam_deny.so\n";
    let Some(service) = Service::new("noopen", rules) else { return };
    let started = host::spawn(&service.settings(), &permit(&own()), plan("echo in")).await;
    assert!(matches!(started, Err(SpawnError::Refused { .. })), "{started:?}");
}

#[tokio::test]
async fn limits_that_pam_sets_hold_in_the_session() {
    let rules =
        "account required pam_permit.so\nsession required pam_limits.so conf={folder}/limits\n";
    let Some(service) = Service::new("limits", rules) else { return };
    std::fs::write(service.folder.path().join("limits"), "* soft nproc 777\nroot soft nproc 777\n")
        .unwrap();
    let child = host::spawn(&service.settings(), &permit(&own()), plan("ulimit -u")).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, finish(child, b"")).await.unwrap();
    assert_eq!(outcome.out, "777\n");
}

#[tokio::test]
async fn what_modules_say_is_shown_at_a_terminal_before_the_shell() {
    let rules = "account required pam_permit.so\nsession optional pam_echo.so be careful today\n";
    let Some(service) = Service::new("echo", rules) else { return };
    let plan =
        host::Plan { what: host::What::Shell, motd: true, ..plan_on_terminal("", Size::default()) };
    let child = host::spawn(&service.settings(), &permit(&own()), plan).await.unwrap();
    let host::Io::Pty(pty) = &child.io else { panic!("no terminal") };
    pty.write_all(b"exit\n").await.unwrap();
    let home = nix::unistd::User::from_name(&own()).unwrap().unwrap().dir;
    if home.join(".hushlogin").exists() {
        return skip("what_modules_say", "the account has a .hushlogin");
    }
    until(pty, "be careful today").await;
}

#[tokio::test]
async fn without_a_service_pam_is_not_asked_and_sessions_run_all_the_same() {
    let settings = Settings { pam_services: Vec::new(), ..settings() };
    let child = host::spawn(&settings, &permit(&own()), plan("echo in")).await.unwrap();
    assert_eq!(child.pam, PamState::Unasked);
    let outcome = tokio::time::timeout(PATIENCE, finish(child, b"")).await.unwrap();
    assert_eq!(outcome.out, "in\n");
}

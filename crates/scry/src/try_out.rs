//! `scry try`: a throw-away cluster on loopback, a recorded shell in it, and what became of it.

use crate::cli::{Try, Verify};
use crate::client::{login, profile::Profile, reach, ssh};
use crate::settings::{Flags, LogFormat, Settings, Surroundings};
use crate::start::Cluster;
use crate::{client, observe, show};
use anyhow::{Context as _, Result, bail};
use model::{Login, SessionId};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use store::keys::ClientDir;
use tokio_util::sync::CancellationToken;
use wire::recording::{ListRecordings, Phase, RecordingFacts};

/// Runs it; the exit code is the session's, unless the recording does not verify.
pub async fn run(args: &Try, around: Surroundings) -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("scry-try-").tempdir()?;
    let login: Login = around
        .user
        .as_deref()
        .context("this user has no name in the system's list of accounts")?
        .parse()?;
    let settings = settings(folder.path(), around)?;
    observe::logs(&settings.log, settings.log_format)?;
    let stop = CancellationToken::new();
    let mut cluster = Cluster::start(&settings, &stop).await?;
    cluster.wait_until_ready().await?;
    let result = session(&cluster, &settings, login, folder.path()).await;
    stop.cancel();
    cluster.join().await;
    if args.keep {
        show::remark(format!("Kept in {}.", folder.keep().display()));
    }
    result
}

fn settings(folder: &Path, around: Surroundings) -> Result<Settings> {
    let loopback = "127.0.0.1:0".parse().ok();
    let flags = Flags {
        data_dir: Some(folder.join("data")),
        listen: loopback,
        auth_listen: loopback,
        ssh_listen: None,
        diagnostics_listen: loopback,
        cluster: Some("try".parse()?),
        admin: around.user.as_deref().and_then(|user| user.parse().ok()),
        log: Some(std::env::var("SCRY_LOG").unwrap_or_else(|_| "warn".to_owned())),
        log_format: Some(LogFormat::Text),
        ..Flags::default()
    };
    Ok(Settings::gather(flags, &around)?)
}

async fn session(
    cluster: &Cluster,
    settings: &Settings,
    login: Login,
    folder: &Path,
) -> Result<ExitCode> {
    let invitation =
        cluster.invitation.as_ref().context("a fresh cluster invites its first admin")?;
    let profile = login::sign_up_with(
        invitation,
        &throw_away_password(),
        &ClientDir::at(&folder.join("client")),
    )
    .await?;
    show::remark(format!(
        "This shell on {} is recorded, as {}; `exit` ends it.",
        settings.host_name, profile.user
    ));
    let code = ssh::shell(&profile, &settings.host_name, &login).await?;
    let client = reach::auth(&profile).await?;
    let facts = stored(&client).await?;
    let file = client::recordings::keep(&client, facts.id, &where_to_keep(facts.id)?).await?;
    show::remark("");
    show::remark(format!(
        "Recording {}: {} of {}, {}.",
        facts.id,
        show::bytes(facts.bytes),
        show::length(facts.length_ms),
        show::clean(facts.ending.as_deref().unwrap_or("ended"), 80)
    ));
    let verdict = client::verify::run(&Verify {
        file: file.clone(),
        key: profile.cluster.seal_keys.clone(),
        id: Some(facts.id),
        json: false,
    })?;
    show::remark(format!("Play it:  scry play {}", file.display()));
    show::remark(format!("Check it: scry verify {} --key {}", file.display(), key(&profile)));
    if verdict != ExitCode::SUCCESS {
        bail!("the recording does not verify");
    }
    Ok(code)
}

/// Waits until the session's recording is in the final store.
async fn stored(client: &reach::Auth) -> Result<RecordingFacts> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let rows = client.call(&ListRecordings::default()).await?;
        if let Some(row) = rows.into_iter().next().filter(|row| row.phase == Phase::Stored) {
            return Ok(row);
        }
        if Instant::now() > deadline {
            bail!("the recording was not stored within 20 s");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The recording outlives the cluster: it is what the person wanted to see.
fn where_to_keep(id: SessionId) -> Result<PathBuf> {
    Ok(std::env::temp_dir().join(format!("scry-{}.scry", id.short())))
}

fn key(profile: &Profile) -> &str {
    profile.cluster.seal_keys.first().map_or("", String::as_str)
}

fn throw_away_password() -> String {
    SessionId::from_random(rand::random()).to_string()
}

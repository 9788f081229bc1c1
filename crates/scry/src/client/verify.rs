//! `scry verify`: offline, from a file and the cluster's public key alone.

use crate::cli::{Verify, Where};
use crate::client::profile::Profile;
use crate::show;
use anyhow::{Context as _, Result, bail};
use model::seal::PublicKey;
use record::{Report, Source as _, Verdict};
use std::path::Path;
use std::process::ExitCode;
use store::file::FileSource;

/// Checks a file; exit code 0 only when it is complete, signed by a key that was given, and of the session that was named.
pub fn run(args: &Verify) -> Result<ExitCode> {
    let mut keys = Vec::new();
    for given in &args.key {
        keys.extend(read_keys(given)?);
    }
    if keys.is_empty() {
        keys = known_keys()?;
    }
    let source = FileSource::open(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let bar = show::progress(source.len(), "verifying");
    let report = record::verify(&source, &keys, &mut |at| bar.set_position(at));
    bar.finish_and_clear();
    let report = match args.id {
        Some(id) => report.wanted(id),
        None => report,
    };
    if args.json {
        show::json(&report)?;
    } else {
        show::line(report.to_string().trim_end());
        if let Some(words) = session(&report) {
            show::line(words);
        }
    }
    Ok(if report.verdict == Verdict::Complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which session it is: a recording that is whole may still be another than the one that is talked about.
fn session(report: &Report) -> Option<String> {
    let heading = report.heading.as_ref()?;
    let begin = match report.verdict {
        Verdict::Broken | Verdict::NotProven => "it says that it is session",
        _ => "session",
    };
    Some(format!(
        "{begin} {}: {} as {}@{}, began {}",
        heading.id,
        heading.user,
        heading.login,
        heading.node,
        show::moment(heading.started)
    ))
}

/// The seal keys of the cluster this client knows, where none was given.
fn known_keys() -> Result<Vec<PublicKey>> {
    let Ok(profile) = Profile::load(&Where::default()) else {
        show::remark(
            "No --key was given and no cluster is known here: only the chain can be checked, not who signed it.",
        );
        return Ok(Vec::new());
    };
    profile.cluster.seal_keys.iter().map(|key| parse_key(key)).collect()
}

fn read_keys(given: &str) -> Result<Vec<PublicKey>> {
    if given.starts_with(PREFIX) {
        return Ok(vec![parse_key(given)?]);
    }
    let text = std::fs::read_to_string(Path::new(given)).with_context(|| {
        format!("{given:?} is neither a key ({PREFIX}…) nor a file that can be read")
    })?;
    let keys = text.lines().map(str::trim).filter(|line| line.starts_with(PREFIX));
    let keys = keys.map(parse_key).collect::<Result<Vec<_>>>()?;
    if keys.is_empty() {
        bail!("{given} holds no line that begins with {PREFIX}");
    }
    Ok(keys)
}

const PREFIX: &str = "scry-seal:";

fn parse_key(text: &str) -> Result<PublicKey> {
    use base64::Engine as _;
    let wrong = || format!("{text:?} is no seal key; it is {PREFIX} and 32 bytes in base64");
    let body = text.trim().strip_prefix(PREFIX).with_context(wrong)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(body).with_context(wrong)?;
    PublicKey::try_from(bytes).ok().with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_none_is_refused_with_the_form_it_should_have() {
        for bad in ["", "scry-seal:", "scry-seal:AAAA", "ssh-ed25519 AAAA"] {
            let error = parse_key(bad).unwrap_err().to_string();
            assert!(error.contains("32 bytes"), "{error}");
        }
    }
}

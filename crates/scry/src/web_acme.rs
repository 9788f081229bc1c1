//! Certificates for browsers that an ACME server gives: kept in the proxy's folder, asked for when there is none that counts and
//! again in time, and told to the log and the metrics either way.

use crate::settings::Acme;
use crate::show::now;
use crate::web_certificate;
use anyhow::{Context as _, Result};
use link::acme::{Account, Registered, Server, Trouble};
use link::tls::{Challenges, TlsIdentity, WebBadge, WebCertificate};
use metrics::{counter, gauge};
use model::Time;
use model::limit::{ACME_AGAIN_MOST_MS, ACME_AGAIN_MS};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::keys;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Between two looks at the clock, which may have been set.
const LOOK: Duration = Duration::from_secs(60);

/// All names, and what became of them.
pub struct Keeper {
    asker: Asker,
    names: Vec<Wanted>,
}

/// One name.
struct Wanted {
    name: String,
    badge: WebBadge,
    /// When to ask.
    due: Time,
    /// How often in a row nothing came of it, of either kind ([`Trouble::is_passing`]).
    failures: (bool, u32),
}

/// Who asks, and where what is given is kept.
#[derive(Clone)]
struct Asker {
    server: Server,
    directory: String,
    contact: Option<String>,
    folder: PathBuf,
    challenges: Challenges,
}

/// A certificate as it is kept: one file, so that chain and key always fit.
#[derive(Serialize, Deserialize)]
struct KeptCertificate {
    /// Who gave it.
    directory: String,
    chain: String,
    key: Zeroizing<String>,
}

/// An account as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptAccount {
    directory: String,
    contact: Option<String>,
    credentials: Zeroizing<String>,
}

impl Keeper {
    /// Reads what was kept in `folder`, which is made. Gives what to show for each name: nothing before there is something.
    pub fn begin(acme: &Acme, folder: &Path, challenges: &Challenges) -> Result<Self> {
        let folder = folder.join("acme");
        keys::ensure_dir(&folder)?;
        let authority = acme.authority.as_deref().map(keys::read_public).transpose();
        let authority =
            authority.context("the authority of the ACME server (--web-acme-ca) cannot be read")?;
        let authority = authority.map(|pem| String::from_utf8_lossy(&pem).into_owned());
        let directory = acme.directory.as_str().to_owned();
        let server = Server::new(&directory, authority.as_deref())?;
        let contact = acme.contact.as_ref().map(|contact| contact.as_str().to_owned());
        let challenges = challenges.clone();
        let asker = Asker { server, directory, contact, folder, challenges };
        let names = acme.names.iter().map(|name| asker.wanted(name.as_str())).collect();
        Ok(Self { asker, names })
    }

    /// What is shown for the names.
    pub fn badges(&self) -> impl Iterator<Item = WebBadge> {
        self.names.iter().map(|wanted| wanted.badge.clone())
    }

    /// Asks until `stop`, one name after the other; SIGHUP makes it ask at once where the last time nothing came of it.
    pub async fn keep(mut self, stop: CancellationToken) -> Result<&'static str> {
        let mut asked = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
        loop {
            let now = now();
            let due = self.names.iter_mut().filter(|wanted| wanted.due <= now);
            if let Some(wanted) = due.min_by_key(|wanted| wanted.due) {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = wanted.ask(&self.asker) => continue,
                }
            }
            let next = self.names.iter().map(|wanted| wanted.due.0.saturating_sub(now.0)).min();
            let next = Duration::from_millis(next.map_or(0, i64::unsigned_abs)).min(LOOK);
            tokio::select! {
                () = stop.cancelled() => break,
                _ = asked.recv() => {
                    let failed = self.names.iter_mut().filter(|wanted| wanted.failures.1 > 0);
                    failed.for_each(|wanted| wanted.due = now);
                }
                () = tokio::time::sleep(next) => {}
            }
        }
        Ok("certificates for browsers")
    }
}

impl Wanted {
    /// Asks once, and shows what is given.
    async fn ask(&mut self, asker: &Asker) {
        let outcome = asker.clone().attempt(self.name.clone()).await;
        let outcome = outcome.and_then(|identity| {
            let odd = |why: String| Trouble::Odd(format!("its certificate cannot be shown: {why}"));
            let given = usable(&identity, &self.name).map_err(odd)?;
            Ok((identity, given))
        });
        let now = now();
        match outcome {
            Ok((identity, given)) => {
                counter!("scry_proxy_acme_orders_total", "outcome" => "given").increment(1);
                asker.keep_certificate(&self.name, &identity);
                self.failures = (false, 0);
                // One that is to be renewed as soon as it was given would be asked for without an end.
                self.due = given.renew_at().max(now.plus_ms(ACME_AGAIN_MS.0));
                told(&self.name, &given);
                self.badge.replace(given);
            }
            Err(trouble) => {
                counter!("scry_proxy_acme_orders_total", "outcome" => "failed").increment(1);
                let (passing, before) = self.failures;
                let before = if passing == trouble.is_passing() { before } else { 0 };
                let pause = pause(&trouble, before);
                self.failures = (trouble.is_passing(), before.saturating_add(1));
                self.due = now.plus_ms(pause);
                let (name, error, again_s) = (&self.name, trouble.to_string(), pause / 1000);
                match self.badge.current() {
                    None => tracing::warn!(
                        name,
                        error,
                        again_s,
                        "there is no certificate for browsers yet: they are shown the cluster's own"
                    ),
                    Some(shown) => tracing::warn!(
                        name,
                        error,
                        again_s,
                        expires = shown.expires().0,
                        "the certificate for browsers could not be renewed"
                    ),
                }
            }
        }
    }
}

impl Asker {
    /// What was kept for a name, and when to ask.
    fn wanted(&self, name: &str) -> Wanted {
        let mut wanted = Wanted {
            name: name.to_owned(),
            badge: WebBadge::default(),
            due: now(),
            failures: (false, 0),
        };
        gauge!("scry_proxy_acme_certificate_expires", "name" => name.to_owned()).set(0.0);
        let file = self.certificate_file(name);
        let Some(kept) = read::<KeptCertificate>(&file, "another certificate is asked for") else {
            tracing::info!(
                name,
                directory = self.directory,
                "a certificate for browsers is asked for"
            );
            return wanted;
        };
        let identity = TlsIdentity { chain: kept.chain, key: kept.key };
        match usable(&identity, name) {
            Ok(certificate) => {
                if kept.directory == self.directory {
                    wanted.due = certificate.renew_at();
                } else {
                    let (by, directory) = (kept.directory, &self.directory);
                    tracing::info!(
                        name,
                        by,
                        directory,
                        "a certificate of another server is asked for"
                    );
                }
                told(name, &certificate);
                wanted.badge.replace(certificate);
            }
            Err(why) => tracing::warn!(
                file = %file.display(),
                why,
                "the kept certificate cannot be used any more; another is asked for"
            ),
        }
        wanted
    }

    /// In a task of its own: what a stranger's server says goes through a library, and whatever that makes of it, the proxy
    /// goes on.
    async fn attempt(self, name: String) -> Result<TlsIdentity, Trouble> {
        let mut turn = JoinSet::new();
        turn.spawn(async move { self.certificate(&name).await });
        match turn.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(Trouble::Odd(error.to_string())),
            None => Err(Trouble::Odd("nobody has asked it".to_owned())),
        }
    }

    async fn certificate(&self, name: &str) -> Result<TlsIdentity, Trouble> {
        let given = match self.kept_account() {
            Some(kept) => self.given(self.resume(kept).await, name).await,
            None => return self.given(self.register().await, name).await,
        };
        match given {
            Err(trouble @ Trouble::Forgotten) => {
                tracing::warn!(directory = self.directory, "{trouble}; another account is made");
                self.given(self.register().await, name).await
            }
            given => given,
        }
    }

    async fn given(
        &self,
        account: Result<Account, Trouble>,
        name: &str,
    ) -> Result<TlsIdentity, Trouble> {
        account?.certificate(name, &self.challenges).await
    }

    /// The kept account, if it is one of this server.
    fn kept_account(&self) -> Option<KeptAccount> {
        let kept = read::<KeptAccount>(&self.account_file(), "another account is made")?;
        if kept.directory != self.directory {
            let (with, directory) = (kept.directory, &self.directory);
            tracing::info!(with, directory, "the kept ACME account is with another server");
            return None;
        }
        Some(kept)
    }

    async fn resume(&self, kept: KeptAccount) -> Result<Account, Trouble> {
        let account = self.server.account(&kept.credentials).await?;
        if kept.contact != self.contact {
            account.write_to(self.contact.as_deref()).await?;
            self.keep_account(kept.credentials);
        }
        Ok(account)
    }

    async fn register(&self) -> Result<Account, Trouble> {
        let made = self.server.register(self.contact.as_deref()).await?;
        let Registered { account, credentials, terms } = made;
        let (directory, terms) = (&self.directory, terms.as_deref().unwrap_or("none"));
        tracing::info!(directory, terms, "an ACME account was made, and its terms were agreed to");
        self.keep_account(credentials);
        Ok(account)
    }

    fn keep_account(&self, credentials: Zeroizing<String>) {
        let (directory, contact) = (self.directory.clone(), self.contact.clone());
        keep(&self.account_file(), &KeptAccount { directory, contact, credentials });
    }

    fn keep_certificate(&self, name: &str, identity: &TlsIdentity) {
        let (chain, key) = (identity.chain.clone(), identity.key.clone());
        let kept = KeptCertificate { directory: self.directory.clone(), chain, key };
        keep(&self.certificate_file(name), &kept);
    }

    fn account_file(&self) -> PathBuf {
        self.folder.join("account.json")
    }

    /// No name can be `account`'s file: these have a folder of their own in their name.
    fn certificate_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("name-{name}.json"))
    }
}

/// What can be shown for the name at this moment.
fn usable(identity: &TlsIdentity, name: &str) -> Result<WebCertificate, String> {
    let certificate = WebCertificate::read(identity, now());
    let certificate = certificate.map_err(|error| model::words(&error))?;
    match certificate.is_for(name) {
        true => Ok(certificate),
        false => Err(format!("it is for {}, not for {name}", certificate.names().join(", "))),
    }
}

/// What a file holds. What cannot be read is as good as nothing, and said.
fn read<K: for<'k> Deserialize<'k>>(file: &Path, instead: &str) -> Option<K> {
    let why = match keys::read_private(file) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(kept) => return Some(kept),
            Err(error) => format!("it is not what was written there: {error}"),
        },
        Err(error) if error.is_missing() => return None,
        Err(error) => model::words(&error),
    };
    tracing::warn!(file = %file.display(), why, "a kept file cannot be used; {instead}");
    None
}

/// Writes a file. A disk that takes none is no reason not to show what was given.
fn keep(file: &Path, kept: &impl Serialize) {
    let written = serde_json::to_vec(kept).map(Zeroizing::new).map_err(|error| error.to_string());
    let written =
        written.and_then(|json| keys::write(file, &json).map_err(|error| model::words(&error)));
    if let Err(error) = written {
        let file = file.display();
        tracing::error!(%file, error, "what the ACME server gave is not kept: the next start asks anew");
    }
}

/// Milliseconds until the next try, after `failures` in a row before this one.
fn pause(trouble: &Trouble, failures: u32) -> i64 {
    let (passing, counted) = ACME_AGAIN_MS;
    let first = if trouble.is_passing() { passing } else { counted };
    let doubled = first.saturating_mul(1_i64.checked_shl(failures.min(30)).unwrap_or(i64::MAX));
    let asked = trouble.wait().and_then(|wait| i64::try_from(wait.as_millis()).ok());
    doubled.min(ACME_AGAIN_MOST_MS).max(asked.unwrap_or(0))
}

fn told(name: &str, certificate: &WebCertificate) {
    let expires = certificate.expires();
    gauge!("scry_proxy_acme_certificate_expires", "name" => name.to_owned())
        .set(expires.seconds() as f64);
    web_certificate::said(certificate);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_counts_is_not_asked_for_more_than_five_times_an_hour() {
        let unmet = || Trouble::Refused { code: "unauthorized".to_owned(), detail: String::new() };
        let away = Trouble::Slow { url: String::new(), seconds: 1 };
        let mut at = 0;
        let tries = (0..).map(|failures| {
            let now = at;
            at += pause(&unmet(), failures);
            now
        });
        let within = tries.take_while(|at| *at < 3_600_000).count();
        assert!(within <= 5, "{within} tries in the first hour");
        for (trouble, failures, expected) in [
            (&away, 0, 5_000),
            (&away, 1, 10_000),
            (&away, 40, ACME_AGAIN_MOST_MS),
            (&unmet(), 0, 120_000),
            (&unmet(), u32::MAX, ACME_AGAIN_MOST_MS),
        ] {
            assert_eq!(pause(trouble, failures), expected, "{trouble} {failures}");
        }
        let limited = |seconds| Trouble::Limited {
            detail: String::new(),
            wait: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(pause(&limited(7200), 0), 7_200_000, "the server is believed");
        assert_eq!(pause(&limited(1), 3), 960_000, "and not asked sooner than without its word");
    }
}

//! Second factors of people: apps that show six digits (RFC 6238), recovery codes, and what is done with all of them.

use crate::auth::Auth;
use crate::error::{Error, Refusal};
use crate::gate::{Asked, SignedIn, UserAdmin};
use crate::people::of_user;
use crate::safe::Safe;
use crate::web::{begin, late};
use crate::{clock, passkeys, secret};
use model::audit::Audited;
use model::limit::{ENROL_MS, FACTOR_NAME_BYTES, FACTORS, RECOVERY_CODES};
use model::{FactorKind, Time, UserName};
use std::sync::Arc;
use store::tables::{Factor, NewFactor, Tables};
use totp_rs::{Builder, Secret, Totp, TotpError};
use wire::web::{
    BeginTotp, Enrolled, Factors, FinishTotp, ListFactors, RecoveryCodes, RemoveFactor,
    RenewRecovery, ResetFactors, Shown, TotpAsked,
};
use wire::{Done, Fault};
use zeroize::Zeroizing;

/// What a ticket is for that waits for an app's first digits.
const TOTP: &str = "totp";
/// Bytes of an app's secret (RFC 4226 §4 R6: 160 bits are recommended).
const SECRET_BYTES: usize = 20;
/// Characters of a recovery code.
const RECOVERY_CHARS: usize = 16;

/// Kinds of second factors that somebody has, each once.
pub async fn of(auth: &Auth, user: &UserName) -> Result<Vec<FactorKind>, Refusal> {
    let all = auth.tables.factors_of(user).await?;
    let mut kinds: Vec<_> = all.into_iter().map(|factor| factor.made.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// Uses a code up that somebody has shown; or why it does not count, for the ledger.
pub async fn check_code(
    auth: &Auth,
    asked: &Asked,
    user: &UserName,
    shown: &Shown,
) -> Result<Result<(), &'static str>, Refusal> {
    let now = clock::now();
    match shown {
        Shown::Passkey(_) => Ok(Err("a passkey was shown where codes are asked for")),
        Shown::Recovery(code) => {
            let Some(left) = auth.tables.use_recovery(user, &secret::written(code), now).await?
            else {
                return Ok(Err("the recovery code is not theirs, or was used"));
            };
            let event = of_user(asked, user, Audited::RecoveryUsed { left });
            auth.ledger.write(&[event]).await?;
            Ok(Ok(()))
        }
        Shown::Totp(code) => {
            for factor in auth.tables.factors_of(user).await? {
                if factor.made.kind != FactorKind::Totp {
                    continue;
                }
                let secret = opened(auth, user, &factor.made.spec)?;
                let Some(step) = step(&secret, code, now)? else { continue };
                return Ok(match auth.tables.use_step(factor.number, step, now).await? {
                    true => Ok(()),
                    false => Err("the code of the app is right, and was used before"),
                });
            }
            Ok(Err("the code of the app is wrong"))
        }
    }
}

fn sealed(auth: &Auth, user: &UserName, secret: &str) -> Result<String, Error> {
    auth.keys.factors.seal(user.as_str(), secret).map_err(|_| Error::Sealed)
}

fn opened(auth: &Auth, user: &UserName, sealed: &str) -> Result<Zeroizing<String>, Error> {
    auth.keys.factors.open(user.as_str(), sealed).map_err(|_| Error::Sealed)
}

/// Seals what an earlier scry kept in clear.
pub async fn seal_all(tables: &Tables, safe: &Safe) -> Result<(), Error> {
    for (number, user, secret) in tables.totp_secrets().await? {
        if !Safe::is_sealed(&secret) {
            let sealed = safe.seal(user.as_str(), &secret).map_err(|_| Error::Sealed)?;
            tables.put_totp_secret(number, &sealed).await?;
        }
    }
    Ok(())
}

/// The time step whose code this is, of those that are taken: this one and its neighbours (RFC 6238 §5.2).
fn step(secret: &str, code: &str, now: Time) -> Result<Option<u64>, Error> {
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    Ok(app(secret, "scry", "scry")?.check(code.trim(), seconds))
}

fn app(secret: &str, user: &str, cluster: &str) -> Result<Totp, Error> {
    // The two are shown by the app, with a colon between them.
    let plain = |text: &str| text.replace(':', "-");
    let secret =
        Secret::try_from_base32(secret).map_err(|_| Error::Totp(TotpError::SecretNotSet))?;
    let builder = Builder::new().with_secret(secret).with_account_name(plain(user));
    builder.with_issuer(Some(plain(cluster))).build().map_err(Error::Totp)
}

pub async fn list(auth: Arc<Auth>, by: SignedIn, _call: ListFactors) -> Result<Factors, Refusal> {
    let all = auth.tables.factors_of(&by.member.name).await?;
    let left = auth.tables.recovery_left(&by.member.name).await?;
    Ok(Factors {
        factors: all.into_iter().map(listed).collect(),
        recovery_left: u32::try_from(left).unwrap_or(u32::MAX),
        demanded: policy::demands_second_factor(&by.member.roles, &by.member.identity),
        no_passkeys: passkeys::why_none(&by.browser),
    })
}

fn listed(factor: Factor) -> wire::web::Factor {
    let Factor { number, made, used } = factor;
    let NewFactor { kind, name, created, .. } = made;
    wire::web::Factor { id: number, kind, name, created, last_used: used }
}

/// Whoever has second factors changes them only where they have shown one: a browser that was left open, or a stolen password,
/// is not enough.
pub async fn may_change(auth: &Auth, by: &SignedIn) -> Result<(), Refusal> {
    let shown = !by.session.begun.factors.is_empty();
    if shown || auth.tables.factors_of(&by.member.name).await?.is_empty() {
        return Ok(());
    }
    let words = "sign out, and sign in with your second factor, before you change what you have";
    let why = "none of theirs was shown in this web session";
    Err(Refusal::denied("change second factors", why, words))
}

pub async fn begin_totp(
    auth: Arc<Auth>,
    by: SignedIn,
    _call: BeginTotp,
) -> Result<TotpAsked, Refusal> {
    may_change(&auth, &by).await?;
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::fill(&mut bytes);
    let secret = Secret::from(bytes).to_base32();
    let app = app(&secret, by.member.name.as_str(), &auth.cluster)?;
    let uri = app.to_url().map_err(Error::Totp)?;
    let sealed = sealed(&auth, &by.member.name, &secret)?;
    let ticket = begin(&auth, TOTP, Some(&by.member.name), sealed, ENROL_MS).await?;
    Ok(TotpAsked { ticket, secret, uri })
}

pub async fn finish_totp(
    auth: Arc<Auth>,
    by: SignedIn,
    call: FinishTotp,
) -> Result<Enrolled, Refusal> {
    may_change(&auth, &by).await?;
    let now = clock::now();
    let begun = auth.tables.begun(&call.ticket, TOTP, now).await?;
    let begun = begun.filter(|begun| begun.user.as_ref() == Some(&by.member.name));
    let spec = begun.ok_or_else(late)?.spec;
    let secret = opened(&auth, &by.member.name, &spec)?;
    let Some(step) = step(&secret, &call.code, now)? else {
        let words = "the app shows another code: compare the clocks of both devices, and try again";
        return Err(Refusal::malformed(words));
    };
    auth.tables.take_begun(&call.ticket, TOTP, now).await?.ok_or_else(late)?;
    let new = NewFactor {
        user: by.member.name.clone(),
        kind: FactorKind::Totp,
        name: named(&call.name, "Authenticator app"),
        spec,
        credential: None,
        created: now,
        step,
    };
    add(&auth, &by, new).await
}

/// Adds a factor that was just shown; this web session counts as one in which it was.
pub async fn add(auth: &Auth, by: &SignedIn, new: NewFactor) -> Result<Enrolled, Refusal> {
    let (recovery, kind) = (recovery_codes(), new.kind);
    let hashed: Vec<_> = recovery.iter().map(|code| secret::written(code)).collect();
    let added = auth.tables.put_factor(new, &hashed, FACTORS).await?;
    let (factor, first) = added.ok_or_else(|| {
        Refusal::new(
            Fault::Conflict,
            format!("you have {FACTORS} second factors: remove one first"),
        )
    })?;
    let mut shown = by.session.begun.factors.clone();
    if !shown.contains(&kind) {
        shown.push(kind);
    }
    auth.tables.web_session_shown(by.session.number, &shown).await?;
    let name = factor.made.name.clone();
    let added = Audited::FactorAdded { kind: kind.word().to_owned(), name };
    auth.ledger.tell(vec![by.member.asked.event(added)]).await;
    let recovery = if first { recovery } else { Vec::new() };
    Ok(Enrolled { factor: listed(factor), recovery })
}

/// What its owner calls it, on one line.
pub fn named(name: &str, usual: &str) -> String {
    let plain = name.trim().chars().filter(|c| !c.is_control());
    let mut line = String::new();
    for c in plain {
        if line.len().saturating_add(c.len_utf8()) > FACTOR_NAME_BYTES {
            break;
        }
        line.push(c);
    }
    if line.is_empty() { usual.to_owned() } else { line }
}

pub async fn renew_recovery(
    auth: Arc<Auth>,
    by: SignedIn,
    _call: RenewRecovery,
) -> Result<RecoveryCodes, Refusal> {
    may_change(&auth, &by).await?;
    if auth.tables.factors_of(&by.member.name).await?.is_empty() {
        let words = "you have no second factor that they could stand in for: add one first";
        return Err(Refusal::new(Fault::Conflict, words));
    }
    let recovery = recovery_codes();
    let hashed: Vec<_> = recovery.iter().map(|code| secret::written(code)).collect();
    auth.tables.renew_recovery(&by.member.name, &hashed).await?;
    auth.ledger.tell(vec![by.member.asked.event(Audited::RecoveryRenewed {})]).await;
    Ok(RecoveryCodes { recovery })
}

pub async fn remove(auth: Arc<Auth>, by: SignedIn, call: RemoveFactor) -> Result<Done, Refusal> {
    may_change(&auth, &by).await?;
    let name = &by.member.name;
    let only = auth.tables.factors_of(name).await?.len() <= 1;
    if only && policy::demands_second_factor(&by.member.roles, &by.member.identity) {
        let words = "your roles demand a second factor: add another one before you remove this";
        return Err(Refusal::new(Fault::Conflict, words));
    }
    let removed = auth.tables.remove_factor(name, call.id).await?;
    let made = removed.ok_or_else(|| Refusal::not_found("second factor of yours"))?.made;
    let what = Audited::FactorRemoved { kind: made.kind.word().to_owned(), name: made.name };
    auth.ledger.tell(vec![by.member.asked.event(what)]).await;
    Ok(Done {})
}

pub async fn reset(auth: Arc<Auth>, by: UserAdmin, call: ResetFactors) -> Result<Done, Refusal> {
    auth.tables.user(&call.user).await?.ok_or_else(|| Refusal::not_found("user"))?;
    let count = auth.tables.reset_factors(&call.user).await?;
    auth.tables.end_web_sessions(&call.user, None).await?;
    let what = Audited::FactorsReset { whose: call.user, count };
    auth.ledger.tell(vec![by.member.asked.event(what)]).await;
    Ok(Done {})
}

/// New codes, as they are shown.
fn recovery_codes() -> Vec<String> {
    (0..RECOVERY_CODES).map(|_| secret::typed(RECOVERY_CHARS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, Appendix B, for SHA-1; the last six of its eight digits.
    const SECRET: &[u8; 20] = b"12345678901234567890";

    #[test]
    fn the_vectors_of_the_rfc_count_within_a_step_of_their_time() {
        let secret = Secret::from(*SECRET).to_base32();
        for (at, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            let step_at = |seconds: i64| step(&secret, code, Time(seconds * 1000)).unwrap();
            let right = Some(u64::try_from(at / 30).unwrap());
            for (seconds, expected) in
                [(at, right), (at + 30, right), (at - 30, right), (at + 90, None)]
            {
                assert_eq!(step_at(seconds), expected, "{code} at {seconds}");
            }
        }
        for odd in ["", "28708", "2870821", "abcdef", "287 082", "２８７０８２"] {
            let found = step(&secret, odd, Time(59_000)).unwrap();
            assert!(found.is_none() || odd == "287 082", "{odd:?}");
        }
    }

    #[test]
    fn what_the_app_is_told_names_the_person_and_the_cluster() {
        let secret = Secret::from(*SECRET).to_base32();
        let uri = app(&secret, "alice@example.org", "lab").unwrap().to_url().unwrap();
        assert!(uri.starts_with("otpauth://totp/lab:alice%40example.org?"), "{uri}");
        assert!(uri.contains(&format!("secret={secret}")) && uri.contains("issuer=lab"), "{uri}");
        assert!(app("not base32!", "alice", "lab").is_err());
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(named("  My phone\u{1b}\n", "App"), "My phone");
        assert_eq!(named("", "App"), "App");
        assert_eq!(named(&"é".repeat(100), "App").len(), FACTOR_NAME_BYTES);
    }
}

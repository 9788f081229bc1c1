//! Signing in: the password, the tries that are counted, and certificates for who comes with `scry`.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{Anybody, Asked};
use crate::people::{identity, of_user};
use crate::{factors, issue};
use model::audit::Audited;
use model::limit::{PASSWORD_BYTES, SIGN_IN_FAILURES, SIGN_IN_WINDOW_MS};
use model::{FactorKind, UserName};
use std::sync::Arc;
use store::tables::User;
use wire::Fault;
use wire::people::{Credentials, SignIn};
use zeroize::Zeroizing;

/// One text for every sign-in that fails, so that it does not say who exists.
const WRONG: &str = "the user name or the password is wrong";
/// Said to who tries too often from one address.
const TOO_MANY: &str = "too many failed sign-ins from this address: wait some minutes";
/// Said of a second factor that does not count, to who knows the password.
pub const WRONG_SECOND: &str =
    "this code does not count: each counts once, and for half a minute; wait for the next one";

pub async fn sign_in(auth: Arc<Auth>, by: Anybody, call: SignIn) -> Result<Credentials, Refusal> {
    let password = Zeroizing::new(call.password);
    let keys = issue::PersonKeys::read(&call.ssh_key, call.tls_request)?;
    let (user, tries) = by_password(&auth, &by.asked, &call.user, password).await?;
    let second = factors::of(&auth, &user.name).await?;
    let mut method = "password".to_owned();
    if second.is_empty() {
        let roles = auth.tables.roles().await?;
        if policy::demands_second_factor(&roles, &identity(&user)) {
            let why = "their roles demand a second factor, and they have none";
            return Err(denied(&auth, &by.asked, &user.name, must_enrol(why)).await);
        }
    } else {
        let shown = call.second.ok_or_else(|| wants(&second))?;
        let checked = factors::check_code(&auth, &by.asked, &user.name, &shown).await?;
        if let Err(why) = checked {
            failed(&auth, &by.asked, &user.name, tries, why).await?;
            return Err(Refusal::new(Fault::Unauthenticated, WRONG_SECOND));
        }
        method = format!("password and {}", shown.kind());
    }
    let issued = issue::person(&auth, &by.asked, &user, &keys, call.wanted_ms).await;
    let credentials = match issued {
        Err(refusal) if refusal.fault() == Fault::Denied => {
            return Err(denied(&auth, &by.asked, &user.name, refusal).await);
        }
        issued => issued?,
    };
    entered(&auth, &by.asked, &user.name, &method).await?;
    Ok(credentials)
}

pub fn must_enrol(why: &str) -> Refusal {
    let words = "your roles demand a second factor, and you have none yet: sign in with a browser, at the \
                 address of your proxy, and add one";
    Refusal::denied("sign in", why, words)
}

/// What is asked for, in words for a terminal.
fn wants(second: &[FactorKind]) -> Refusal {
    let words = match second.contains(&FactorKind::Totp) {
        true => "a second factor is wanted: the six digits that your app shows, or a recovery code",
        false => {
            "a second factor is wanted, and a passkey works in a browser only: use `scry login --browser`, \
             or give a recovery code"
        }
    };
    Refusal::new(Fault::SecondFactor, words)
}

/// The account of a name and its password; and how many tries there were. Failures are counted, by user and by address.
pub async fn by_password(
    auth: &Auth,
    asked: &Asked,
    name: &UserName,
    password: Zeroizing<String>,
) -> Result<(User, u64), Refusal> {
    let tries = count_try(auth, asked, name).await?;
    if password.len() > PASSWORD_BYTES.1 {
        failed(auth, asked, name, tries, "longer than any password").await?;
        return Err(Refusal::new(Fault::Unauthenticated, WRONG));
    }
    let user = auth.tables.user(name).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let fits = auth.passwords.check(hash, password).await?;
    match user.filter(|_| fits) {
        Some(user) => Ok((user, tries)),
        None => {
            failed(auth, asked, name, tries, "wrong password or no such user").await?;
            Err(Refusal::new(Fault::Unauthenticated, WRONG))
        }
    }
}

/// Somebody is in: earlier failures count no more.
pub async fn entered(
    auth: &Auth,
    asked: &Asked,
    user: &UserName,
    method: &str,
) -> Result<(), Refusal> {
    auth.tables.signed_in(user, clock::now()).await?;
    let event = of_user(asked, user, Audited::SignIn { method: method.to_owned() });
    auth.ledger.write(&[event]).await?;
    metrics::counter!("scry_auth_sign_ins", "result" => "ok").increment(1);
    tracing::info!(%user, address = %asked.address(), method, "signed in");
    Ok(())
}

/// A refusal that nobody hears but who knows the password, told to the ledger as theirs.
pub async fn denied(auth: &Auth, asked: &Asked, user: &UserName, refusal: Refusal) -> Refusal {
    let why = refusal.to_audit().map_or_else(String::new, |(_, why)| why.to_owned());
    let event = of_user(asked, user, Audited::SignInFailed { why });
    match auth.ledger.write(&[event]).await {
        Ok(()) => refusal.audited(),
        Err(error) => error.into(),
    }
}

/// Refuses whoever asks from an address at which too many secrets were shown that do not count.
pub fn may_try(auth: &Auth, asked: &Asked) -> Result<(), Refusal> {
    match auth.waits(asked.address()) {
        true => Err(Refusal::new(Fault::TooMany, TOO_MANY)),
        false => Ok(()),
    }
}

/// Counts a try before the password is looked at, so that many at once cannot pass the bound together. Answers how many
/// there were.
pub async fn count_try(auth: &Auth, asked: &Asked, user: &UserName) -> Result<u64, Refusal> {
    let (now, address) = (clock::now(), asked.address());
    let since = now.plus_ms(-SIGN_IN_WINDOW_MS);
    let waits = auth.waits(address);
    // While it is refused nothing is counted, else an attacker could keep the owner out for ever.
    let most = u64::from(SIGN_IN_FAILURES);
    let refused = waits || auth.tables.failures(user, since).await? >= most;
    let tries = match refused {
        true => most.saturating_add(1),
        false => auth.tables.note_failure(user, now, since).await?,
    };
    if tries > most {
        metrics::counter!("scry_auth_sign_ins", "result" => "throttled").increment(1);
        tracing::info!(%user, %address, "too many failed sign-ins");
        let minutes = SIGN_IN_WINDOW_MS / 60_000;
        let words = format!("too many failed sign-ins: wait {minutes} minutes");
        return Err(Refusal::new(Fault::TooMany, words));
    }
    Ok(tries)
}

/// Tells the ledger of a failed try, and with the last one that there will be no more for a while.
pub async fn failed(
    auth: &Auth,
    asked: &Asked,
    user: &UserName,
    tries: u64,
    why: &str,
) -> Result<(), Refusal> {
    let address = asked.address();
    metrics::counter!("scry_auth_sign_ins", "result" => "failed").increment(1);
    tracing::info!(%user, %address, "sign-in failed");
    let mut events = vec![of_user(asked, user, Audited::SignInFailed { why: why.to_owned() })];
    if tries == u64::from(SIGN_IN_FAILURES) {
        events.push(of_user(asked, user, throttled("user")));
    }
    events.extend(auth.note_failed(asked));
    Ok(auth.ledger.write(&events).await?)
}

/// That a user or an address has to wait.
pub fn throttled(of: &str) -> Audited {
    let minutes = u64::try_from(SIGN_IN_WINDOW_MS / 60_000).unwrap_or_default();
    Audited::SignInThrottled { of: of.to_owned(), minutes }
}

//! Passkeys (WebAuthn): added by who is signed in, and shown in place of password and second factor, or as the latter.

use crate::auth::Auth;
use crate::browser::Browser;
use crate::error::{Error, Refusal};
use crate::gate::{Asked, SignedIn, Surfer};
use crate::people::of_user;
use crate::signin::may_try;
use crate::web::{begin as keep, enter, late};
use crate::{clock, factors};
use model::audit::Audited;
use model::limit::{ENROL_MS, SECOND_FACTOR_MS};
use model::{FactorKind, UserName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use store::tables::{Factor, NewFactor, User};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyAuthentication, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder,
    WebauthnError,
};
use wire::Fault;
use wire::web::{
    BeginNewPasskey, BeginPasskey, Enrolled, FinishNewPasskey, FinishPasskey, Me, PasskeyAsked,
};

/// What a ticket is for that waits for a passkey alone.
const ALONE: &str = "passkey";
/// What a ticket is for that waits for a new passkey.
const NEW: &str = "new passkey";

/// A passkey as it is kept: with the host name that it is bound to.
#[derive(Serialize, Deserialize)]
struct Kept {
    host: String,
    passkey: Passkey,
}

/// Whom passkeys are bound to: the host name by which the browser has opened the page.
struct Bound {
    host: String,
    webauthn: Webauthn,
}

impl Bound {
    /// Or why there can be no passkeys there, for people.
    fn of(browser: &Browser) -> Result<Self, String> {
        let nowhere = || "the proxy does not say at which address this page was opened".to_owned();
        let origin = browser.origin.as_deref().ok_or_else(nowhere)?;
        let origin = Url::parse(origin).map_err(|_| nowhere())?;
        let Some(host) = origin.domain().map(str::to_owned) else {
            return Err(
                "passkeys are bound to a host name, and this page was opened by an address of \
                        numbers: open it by a name, or use an app"
                    .to_owned(),
            );
        };
        if origin.scheme() != "https" && host != "localhost" {
            return Err("passkeys need https".to_owned());
        }
        let built = WebauthnBuilder::new(&host, &origin).and_then(WebauthnBuilder::build);
        match built {
            Ok(webauthn) => Ok(Self { host, webauthn }),
            Err(error) => Err(format!("passkeys do not work at this address: {error}")),
        }
    }

    fn or_refuse(browser: &Browser) -> Result<Self, Refusal> {
        Self::of(browser).map_err(|why| Refusal::new(Fault::Conflict, why))
    }

    /// Of a person's factors those passkeys that are bound to this host.
    fn among(&self, all: Vec<Factor>) -> Vec<(Factor, Passkey)> {
        let here = |factor: Factor| {
            let kept: Kept = serde_json::from_str(&factor.made.spec).ok()?;
            (kept.host == self.host).then_some((factor, kept.passkey))
        };
        let passkeys = all.into_iter().filter(|factor| factor.made.kind == FactorKind::Passkey);
        passkeys.filter_map(here).collect()
    }

    fn keep(&self, passkey: Passkey) -> Result<String, Refusal> {
        text(&Kept { host: self.host.clone(), passkey })
    }
}

/// Why passkeys do not work at the address that a browser has opened, if they do not.
pub fn why_none(browser: &Browser) -> Option<String> {
    Bound::of(browser).err()
}

/// The number by which a passkey knows whose it is; another one for an account of the same name that is made later.
fn handle(auth: &Auth, user: &User) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    for part in ["scry passkey v1", &auth.cluster, user.name.as_str(), &user.created.0.to_string()]
    {
        hasher.update(part.as_bytes()).update(b"\0");
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Uuid::from_bytes(bytes)
}

/// Asks for one of a person's passkeys as their second factor, if they have one for this address: what the browser is asked, and
/// what must be known for the answer.
pub async fn ask(
    auth: &Auth,
    browser: &Browser,
    user: &User,
) -> Result<Option<(Value, String)>, Refusal> {
    let Ok(bound) = Bound::of(browser) else { return Ok(None) };
    let all = bound.among(auth.tables.factors_of(&user.name).await?);
    if all.is_empty() {
        return Ok(None);
    }
    let passkeys: Vec<_> = all.into_iter().map(|(_, passkey)| passkey).collect();
    let asking = bound.webauthn.start_passkey_authentication(&passkeys);
    let (asked, state) = asking.map_err(Error::Passkey)?;
    Ok(Some((options(&asked)?, text(&state)?)))
}

/// Checks the answer to [`ask`]; or why it does not count, for the ledger.
pub async fn check(
    auth: &Auth,
    browser: &Browser,
    user: &User,
    spec: &str,
    shown: &Value,
) -> Result<Result<(), &'static str>, Refusal> {
    let (Ok(bound), Ok(state)) =
        (Bound::of(browser), serde_json::from_str::<PasskeyAuthentication>(spec))
    else {
        return Ok(Err("a passkey was shown that nobody had asked for"));
    };
    let credential: PublicKeyCredential = read(shown)?;
    let result = match bound.webauthn.finish_passkey_authentication(&credential, &state) {
        Ok(result) => result,
        Err(error) => return Ok(Err(why(&error))),
    };
    let all = bound.among(auth.tables.factors_of(&user.name).await?);
    let found = all.into_iter().find(|(_, passkey)| passkey.cred_id() == result.cred_id());
    let Some((factor, mut passkey)) = found else {
        return Ok(Err("the passkey was removed meanwhile"));
    };
    passkey.update_credential(&result);
    let spec = bound.keep(passkey)?;
    auth.tables.passkey_used(factor.number, &spec, clock::now()).await?;
    Ok(Ok(()))
}

pub async fn begin(
    auth: Arc<Auth>,
    by: Surfer,
    _call: BeginPasskey,
) -> Result<PasskeyAsked, Refusal> {
    ask_alone(&auth, &by, ALONE).await
}

pub async fn finish(auth: Arc<Auth>, by: Surfer, call: FinishPasskey) -> Result<Me, Refusal> {
    let user = show_alone(&auth, &by, ALONE, &call.ticket, &call.passkey).await?;
    let shown = vec![FactorKind::Passkey];
    enter(&auth, &by.asked, &by.browser, &user, shown, "passkey").await
}

/// Asks for a passkey alone, of whomever. `what` says what the ticket is for.
pub async fn ask_alone(auth: &Auth, by: &Surfer, what: &str) -> Result<PasskeyAsked, Refusal> {
    let bound = bound_now(auth, by)?;
    let asking = bound.webauthn.start_discoverable_authentication();
    let (asked, state) = asking.map_err(Error::Passkey)?;
    let ticket = keep(auth, what, None, text(&state)?, SECOND_FACTOR_MS).await?;
    Ok(PasskeyAsked { ticket, passkey: options(&asked)? })
}

/// What passkeys are bound to, where the address need not wait.
fn bound_now(auth: &Auth, by: &Surfer) -> Result<Bound, Refusal> {
    may_try(auth, &by.asked)?;
    Bound::or_refuse(&by.browser)
}

/// Whose passkey is shown to [`ask_alone`]; one that does not count is counted and audited. It is counted by address alone, and
/// not by name: nobody guesses a passkey, and a stranger's wrong passwords for a name must not keep its owner out.
pub async fn show_alone(
    auth: &Auth,
    by: &Surfer,
    what: &str,
    ticket: &str,
    shown: &Value,
) -> Result<User, Refusal> {
    let bound = bound_now(auth, by)?;
    let begun = auth.tables.take_begun(ticket, what, clock::now()).await?;
    let spec = begun.ok_or_else(late)?.spec;
    let state: DiscoverableAuthentication = serde_json::from_str(&spec).map_err(|_| late())?;
    let credential: PublicKeyCredential = read(shown)?;
    let known = match bound.webauthn.identify_discoverable_authentication(&credential) {
        Ok((handle, id)) => Some((handle, auth.tables.passkey(id).await?)),
        Err(_) => None,
    };
    let Some((shown, Some(factor))) = known else {
        return Err(wrong(auth, &by.asked, None, "a passkey that is nobody's").await);
    };
    let name = factor.made.user.clone();
    let Some(user) = auth.tables.user(&name).await? else {
        let why = "a passkey of an account that is gone";
        return Err(wrong(auth, &by.asked, Some(&name), why).await);
    };
    let checked = match bound.among(vec![factor]).pop() {
        Some((factor, passkey)) if handle(auth, &user) == shown => {
            let done =
                bound.webauthn.finish_discoverable_authentication_v2(&credential, state, &passkey);
            done.map(|result| (factor, passkey, result)).map_err(|error| why(&error))
        }
        Some(_) => Err("a passkey of another account of this name"),
        None => Err("a passkey that is bound to another address"),
    };
    match checked {
        Ok((factor, mut passkey, result)) => {
            passkey.update_credential(&result);
            let spec = bound.keep(passkey)?;
            auth.tables.passkey_used(factor.number, &spec, clock::now()).await?;
            Ok(user)
        }
        Err(why) => Err(wrong(auth, &by.asked, Some(&name), why).await),
    }
}

/// Counts a passkey that does not count, and tells the ledger whose it is, if it is somebody's.
async fn wrong(auth: &Auth, asked: &Asked, user: Option<&UserName>, why: &str) -> Refusal {
    metrics::counter!("scry_auth_sign_ins", "result" => "failed").increment(1);
    tracing::info!(?user, address = %asked.address(), why, "a passkey does not sign in");
    let what = Audited::SignInFailed { why: why.to_owned() };
    let mut events = vec![match user {
        Some(user) => of_user(asked, user, what),
        None => asked.event(what),
    }];
    events.extend(auth.note_failed(asked));
    match auth.ledger.write(&events).await {
        Ok(()) => Refusal::new(Fault::Unauthenticated, "this passkey does not count here"),
        Err(error) => error.into(),
    }
}

pub async fn begin_new(
    auth: Arc<Auth>,
    by: SignedIn,
    _call: BeginNewPasskey,
) -> Result<PasskeyAsked, Refusal> {
    factors::may_change(&auth, &by).await?;
    let bound = Bound::or_refuse(&by.browser)?;
    let user = auth.tables.user(&by.member.name).await?.ok_or_else(late)?;
    let there = bound.among(auth.tables.factors_of(&user.name).await?);
    let there = there.iter().map(|(_, passkey)| passkey.cred_id().clone()).collect();
    let (handle, name) = (handle(&auth, &user), user.name.as_str());
    let asking = bound.webauthn.start_passkey_registration(handle, name, name, Some(there));
    let (asked, state) = asking.map_err(Error::Passkey)?;
    let mut passkey = options(&asked)?;
    if let Some(selection) =
        passkey.get_mut("authenticatorSelection").and_then(Value::as_object_mut)
    {
        // So that it can be shown without saying who one is.
        selection.insert("residentKey".into(), "required".into());
        selection.insert("requireResidentKey".into(), true.into());
    }
    let ticket = keep(&auth, NEW, Some(&user.name), text(&state)?, ENROL_MS).await?;
    Ok(PasskeyAsked { ticket, passkey })
}

pub async fn finish_new(
    auth: Arc<Auth>,
    by: SignedIn,
    call: FinishNewPasskey,
) -> Result<Enrolled, Refusal> {
    factors::may_change(&auth, &by).await?;
    let bound = Bound::or_refuse(&by.browser)?;
    let now = clock::now();
    let begun = auth.tables.take_begun(&call.ticket, NEW, now).await?;
    let begun = begun.filter(|begun| begun.user.as_ref() == Some(&by.member.name));
    let state: PasskeyRegistration =
        serde_json::from_str(&begun.ok_or_else(late)?.spec).map_err(|_| late())?;
    let credential: RegisterPublicKeyCredential = read(&call.passkey)?;
    let twice = || Refusal::new(Fault::Conflict, "this passkey was added before");
    if auth.tables.passkey(&credential.raw_id).await?.is_some() {
        return Err(twice());
    }
    let made = bound.webauthn.finish_passkey_registration(&credential, &state);
    let passkey = made.map_err(|error| {
        tracing::info!(user = %by.member.name, %error, "a new passkey is not taken");
        Refusal::malformed(format!("this passkey cannot be taken: {error}"))
    })?;
    let id: Vec<u8> = passkey.cred_id().to_vec();
    // What stands before the signature is the browser's word only.
    if auth.tables.passkey(&id).await?.is_some() {
        return Err(twice());
    }
    let new = NewFactor {
        user: by.member.name.clone(),
        kind: FactorKind::Passkey,
        name: factors::named(&call.name, "Passkey"),
        spec: bound.keep(passkey)?,
        credential: Some(id),
        created: now,
        step: 0,
    };
    factors::add(&auth, &by, new).await
}

/// Why a passkey does not count, for the ledger.
fn why(error: &WebauthnError) -> &'static str {
    tracing::info!(%error, "a passkey does not count");
    match error {
        WebauthnError::UserNotVerified => "the passkey did not ask who it is that uses it",
        WebauthnError::CredentialPossibleCompromise => {
            "the passkey counts backwards: somebody may have a copy of it"
        }
        WebauthnError::InvalidRPOrigin | WebauthnError::InvalidRPIDHash => {
            "the passkey was shown to another address"
        }
        _ => "the passkey does not answer what was asked",
    }
}

/// What stands in `publicKey` of what the library asks, which is what a browser parses.
fn options<T: Serialize>(asked: &T) -> Result<Value, Refusal> {
    let mut whole = serde_json::to_value(asked).map_err(Error::Json)?;
    Ok(whole.get_mut("publicKey").map(Value::take).unwrap_or_default())
}

fn text<T: Serialize>(state: &T) -> Result<String, Refusal> {
    Ok(serde_json::to_string(state).map_err(Error::Json)?)
}

fn read<T: for<'de> Deserialize<'de>>(shown: &Value) -> Result<T, Refusal> {
    T::deserialize(shown)
        .map_err(|error| Refusal::malformed(format!("the passkey cannot be read: {error}")))
}

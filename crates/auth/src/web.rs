//! People with a browser: signing in and out, and their web sessions.

use crate::auth::Auth;
use crate::browser::Browser;
use crate::error::Refusal;
use crate::gate::{Asked, SignedIn, Surfer};
use crate::people::{identity, of_user};
use crate::signin::{WRONG_SECOND, by_password, count_try, denied, entered, failed};
use crate::{clock, factors, issue, passkeys, secret};
use model::audit::Audited;
use model::limit::{BEGUN, SECOND_FACTOR_MS};
use model::role::RoleSet;
use model::{FactorKind, UserName};
use policy::Identity;
use std::sync::Arc;
use store::tables::{Begun, User, WebSession};
use wire::web::{
    Door, EndWebSession, Entered, ListWebSessions, Me, ReadDoor, ReadMe, ShowSecond, Shown, Wants,
    WebSignIn, WebSignOut, WhichSession,
};
use wire::{Done, Fault};
use zeroize::Zeroizing;

/// What a ticket is for that waits for a second factor.
const SECOND: &str = "second";

pub async fn door(auth: Arc<Auth>, by: Surfer, _call: ReadDoor) -> Result<Door, Refusal> {
    let no_passkeys = passkeys::why_none(&by.browser);
    Ok(Door { cluster: auth.cluster.clone(), no_passkeys })
}

pub async fn sign_in(auth: Arc<Auth>, by: Surfer, call: WebSignIn) -> Result<Entered, Refusal> {
    let password = Zeroizing::new(call.password);
    let (user, _) = by_password(&auth, &by.asked, &call.user, password).await?;
    match ask_second(&auth, &by, &user, SECOND).await? {
        Some(wants) => Ok(Entered::Wants(wants)),
        None => {
            let me = enter(&auth, &by.asked, &by.browser, &user, Vec::new(), "password").await?;
            Ok(Entered::SignedIn(me))
        }
    }
}

pub async fn second(auth: Arc<Auth>, by: Surfer, call: ShowSecond) -> Result<Me, Refusal> {
    let (user, kind) = show_second(&auth, &by, SECOND, &call.ticket, &call.shown).await?;
    let method = format!("password and {kind}");
    enter(&auth, &by.asked, &by.browser, &user, vec![kind], &method).await
}

/// Asks for the second factor of somebody whose password was right, if they have one. `what` says what the ticket is for.
pub async fn ask_second(
    auth: &Auth,
    by: &Surfer,
    user: &User,
    what: &str,
) -> Result<Option<Wants>, Refusal> {
    let factors = factors::of(auth, &user.name).await?;
    if factors.is_empty() {
        return Ok(None);
    }
    let asked = passkeys::ask(auth, &by.browser, user).await?;
    let (passkey, spec) = asked.map_or((None, String::new()), |(asked, spec)| (Some(asked), spec));
    let ticket = begin(auth, what, Some(&user.name), spec, SECOND_FACTOR_MS).await?;
    Ok(Some(Wants { ticket, factors, passkey }))
}

/// Whose second factor is shown to [`ask_second`], and which; what does not count is counted and audited.
pub async fn show_second(
    auth: &Auth,
    by: &Surfer,
    what: &str,
    ticket: &str,
    shown: &Shown,
) -> Result<(User, FactorKind), Refusal> {
    let begun = auth.tables.begun(ticket, what, clock::now()).await?.ok_or_else(late)?;
    let name = begun.user.ok_or_else(late)?;
    let tries = count_try(auth, &by.asked, &name).await?;
    let user = auth.tables.user(&name).await?.ok_or_else(late)?;
    let checked = match shown {
        Shown::Passkey(shown) => {
            // A question is answered once.
            let taken = auth.tables.take_begun(ticket, what, clock::now()).await?;
            let spec = taken.ok_or_else(late)?.spec;
            passkeys::check(auth, &by.browser, &user, &spec, shown).await?
        }
        code => factors::check_code(auth, &by.asked, &name, code).await?,
    };
    if let Err(why) = checked {
        failed(auth, &by.asked, &name, tries, why).await?;
        return Err(Refusal::new(Fault::Unauthenticated, WRONG_SECOND));
    }
    let kind = shown.kind();
    if kind != FactorKind::Passkey {
        auth.tables.take_begun(ticket, what, clock::now()).await?.ok_or_else(late)?;
    }
    Ok((user, kind))
}

/// Said of a ticket that does not count.
pub fn late() -> Refusal {
    Refusal::new(Fault::Unauthenticated, "this took too long, or was done already: begin anew")
}

/// Keeps what must be known for the second half; answers its ticket.
pub async fn begin(
    auth: &Auth,
    kind: &str,
    user: Option<&UserName>,
    spec: String,
    life_ms: i64,
) -> Result<String, Refusal> {
    let ticket = secret::long();
    let expires = clock::now().plus_ms(life_ms);
    let begun = Begun { kind: kind.to_owned(), user: user.cloned(), spec, expires };
    auth.tables.put_begun(&ticket, &begun, BEGUN).await?;
    Ok(ticket)
}

/// Begins the web session of a person who has shown what is wanted. It lives as long as a certificate of theirs would.
pub async fn enter(
    auth: &Auth,
    asked: &Asked,
    browser: &Browser,
    user: &User,
    factors: Vec<FactorKind>,
    method: &str,
) -> Result<Me, Refusal> {
    let user = issue::still(auth, user).await?;
    let (roles, now) = (auth.tables.roles().await?, clock::now());
    let identity = identity(&user);
    if let Err(denial) = policy::enter(&roles, &identity, now) {
        return Err(denied(auth, asked, &user.name, denial.into()).await);
    }
    let expires = now.plus_ms(policy::certificate_ms(&roles, &identity));
    let session = browser.sign_in(auth, &user, factors, (now, expires)).await?;
    entered(auth, asked, &user.name, method).await?;
    tell_me(auth, &roles, &identity, &session).await
}

pub async fn me(auth: Arc<Auth>, by: SignedIn, _call: ReadMe) -> Result<Me, Refusal> {
    tell_me(&auth, &by.member.roles, &by.member.identity, &by.session).await
}

async fn tell_me(
    auth: &Auth,
    roles: &RoleSet,
    who: &Identity,
    session: &WebSession,
) -> Result<Me, Refusal> {
    let may = policy::overview(roles, who, clock::now());
    let demanded = policy::demands_second_factor(roles, who);
    Ok(Me {
        user: who.user().clone(),
        cluster: auth.cluster.clone(),
        pin: auth.pin.clone(),
        roles: who.roles().iter().cloned().collect(),
        session: session.number,
        expires: session.begun.expires,
        admin: may.admin,
        share: may.share,
        guests: may.guests,
        may_play: may.plays,
        may_export: may.exports,
        factors: factors::of(auth, who.user()).await?,
        must_enrol: demanded && session.begun.factors.is_empty(),
    })
}

pub async fn sign_out(auth: Arc<Auth>, by: SignedIn, call: WebSignOut) -> Result<Done, Refusal> {
    let user = &by.member.name;
    let count = match call.everywhere {
        true => auth.tables.end_web_sessions(user, None).await?,
        false => u64::from(auth.tables.end_web_session(user, by.session.number).await?),
    };
    by.browser.forget();
    tell_ended(&auth, &by, count).await;
    Ok(Done {})
}

pub async fn list(
    auth: Arc<Auth>,
    by: SignedIn,
    _call: ListWebSessions,
) -> Result<Vec<wire::web::WebSession>, Refusal> {
    let all = auth.tables.web_sessions_of(&by.member.name, clock::now()).await?;
    let shown = |session: WebSession| {
        let WebSession { number, begun, seen } = session;
        wire::web::WebSession {
            id: number,
            created: begun.created,
            last_seen: seen,
            expires: begun.expires,
            address: begun.address,
            browser: begun.browser,
            factors: begun.factors,
            here: number == by.session.number,
        }
    };
    Ok(all.into_iter().map(shown).collect())
}

pub async fn end(auth: Arc<Auth>, by: SignedIn, call: EndWebSession) -> Result<Done, Refusal> {
    let (user, here) = (&by.member.name, by.session.number);
    let count = match call.which {
        WhichSession::One(number) if number == here => {
            let words = "this is the one that you ask from: sign out instead";
            return Err(Refusal::new(Fault::Conflict, words));
        }
        WhichSession::One(number) => {
            let ended = auth.tables.end_web_session(user, number).await?;
            ended.then_some(1).ok_or_else(|| Refusal::not_found("web session of yours"))?
        }
        WhichSession::Others => auth.tables.end_web_sessions(user, Some(here)).await?,
    };
    tell_ended(&auth, &by, count).await;
    Ok(Done {})
}

async fn tell_ended(auth: &Auth, by: &SignedIn, count: u64) {
    if count > 0 {
        let event = of_user(&by.member.asked, &by.member.name, Audited::SignedOut { count });
        auth.ledger.tell(vec![event]).await;
    }
}

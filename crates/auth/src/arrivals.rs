//! Signing a terminal in by a browser: it waits on the [`Porch`]; whoever lets it in shows there and then who they are, and is
//! given the answer that this terminal must show.
//!
//! The terminal is not told by auth that it was let in: its certificates are for who shows ticket *and* answer. So somebody who
//! sends the address of a terminal of theirs to another person gets nothing by that person's passkey alone.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::gate::{Anybody, Asked, Surfer};
use crate::issue::PersonKeys;
use crate::people::{identity, of_user};
use crate::porch::{LetIn, NoAnswer, NoSuch, Waiting};
use crate::signin::{by_password, denied, entered, may_try, must_enrol};
use crate::web::{ask_second, show_second};
use crate::{clock, issue, passkeys, secret};
use link::tcp::network;
use model::audit::Audited;
use model::limit::{ARRIVAL_BYTES, ARRIVAL_HOST_BYTES};
use std::sync::Arc;
use store::tables::User;
use wire::arrival::{
    Arrival, Arrive, Arrived, BeginArrivalPasskey, ComeIn, Leave, LetInAnswer, Proof, ReadArrival,
    TurnAway,
};
use wire::people::Credentials;
use wire::web::PasskeyAsked;
use wire::{Done, Fault};
use zeroize::Zeroizing;

/// Characters of a code and of an answer: 40 bits, of which at most a thousand count for minutes, or one for three tries.
const CHARS: usize = 8;
/// Said of a code by which nobody waits.
const UNKNOWN: &str = "no terminal waits with this code: it was signed in, turned away, or has waited too long; begin anew in \
                       the terminal";
/// Said of a terminal that waits no more, to itself.
const GONE: &str =
    "this terminal waits no more: it was turned away, or has waited too long; begin anew";

pub async fn begin(auth: Arc<Auth>, by: Anybody, call: Arrive) -> Result<Arrived, Refusal> {
    may_try(&auth, &by.asked)?;
    let address = by.asked.address();
    if call.ssh_key.len().saturating_add(call.tls_request.len()) > ARRIVAL_BYTES {
        let words = format!("the keys of a terminal have at most {ARRIVAL_BYTES} bytes");
        return Err(Refusal::malformed(words));
    }
    let keys = PersonKeys::read(&call.ssh_key, call.tls_request)?;
    let (key, ticket) = (keys.fingerprint(), secret::long());
    let code = secret::typed(CHARS);
    let waiting = Waiting {
        code: secret::written(&code),
        user: call.user,
        keys,
        wanted_ms: call.wanted_ms,
        machine: machine(&call.machine),
        address,
        since: clock::now(),
    };
    let came = auth.arrivals().come(waiting, &ticket).map_err(|_| {
        let words =
            "as many terminals as may are waiting to be signed in: try again in some minutes";
        Refusal::new(Fault::TooMany, words)
    })?;
    tracing::info!(user = %came.user, %address, key, "a terminal waits to be let in by a browser");
    Ok(Arrived { ticket, code, expires: came.expires(), key })
}

/// What a terminal calls its machine, as a word: it is shown to whoever is to let it in, and must look like nothing else.
fn machine(said: &str) -> String {
    let plain = said.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let plain: String = plain.take(ARRIVAL_HOST_BYTES).collect();
    if plain.is_empty() { "unnamed".to_owned() } else { plain }
}

pub async fn read(auth: Arc<Auth>, by: Surfer, call: ReadArrival) -> Result<Arrival, Refusal> {
    let found = find(&auth, &by.asked, &call.code).await?;
    Ok(Arrival {
        code: shown(&found.code),
        user: found.user.clone(),
        cluster: auth.cluster.clone(),
        machine: found.machine.clone(),
        address: found.address.to_string(),
        near: network(found.address) == network(by.asked.address()),
        key: found.keys.fingerprint(),
        since: found.since,
        expires: found.expires(),
        no_passkeys: passkeys::why_none(&by.browser),
    })
}

/// A code as the terminal shows it.
fn shown(code: &str) -> String {
    match code.split_at_checked(CHARS / 2) {
        Some((one, other)) => format!("{one}-{other}"),
        None => code.to_owned(),
    }
}

pub async fn passkey(
    auth: Arc<Auth>,
    by: Surfer,
    call: BeginArrivalPasskey,
) -> Result<PasskeyAsked, Refusal> {
    let found = find(&auth, &by.asked, &call.code).await?;
    passkeys::ask_alone(&auth, &by, &passkey_of(&found)).await
}

/// What a ticket is for that waits for a passkey for this terminal; one of another, or of a sign-in, is another's.
fn passkey_of(waiting: &Waiting) -> String {
    format!("passkey of terminal {}", waiting.code)
}

/// As [`passkey_of`], for a second factor.
fn second_of(waiting: &Waiting) -> String {
    format!("second of terminal {}", waiting.code)
}

pub async fn let_in(
    auth: Arc<Auth>,
    by: Surfer,
    call: wire::arrival::LetIn,
) -> Result<LetInAnswer, Refusal> {
    let found = find(&auth, &by.asked, &call.code).await?;
    let (user, method, factor) = match call.by {
        Proof::Password(password) => {
            let password = Zeroizing::new(password);
            let (user, _) = by_password(&auth, &by.asked, &found.user, password).await?;
            if let Some(wants) = ask_second(&auth, &by, &user, &second_of(&found)).await? {
                return Ok(LetInAnswer::Wants(wants));
            }
            (user, "password".to_owned(), false)
        }
        Proof::Second { ticket, shown } => {
            let (user, kind) = show_second(&auth, &by, &second_of(&found), &ticket, &shown).await?;
            (user, format!("password and {kind}"), true)
        }
        Proof::Passkey { ticket, passkey } => {
            let what = passkey_of(&found);
            let user = passkeys::show_alone(&auth, &by, &what, &ticket, &passkey).await?;
            (user, "passkey".to_owned(), true)
        }
    };
    if user.name != found.user {
        let why = format!("they would let a terminal in that asks for {}", found.user);
        let words = format!("this terminal asks for {}, and you are {}", found.user, user.name);
        let refusal = Refusal::denied("let a terminal in", &why, &words);
        return Err(denied(&auth, &by.asked, &user.name, refusal).await);
    }
    may(&auth, &by.asked, &user, factor).await?;
    let answer = secret::typed(CHARS);
    let let_in = LetIn { answer: secret::written(&answer), user, method, factor };
    let name = let_in.user.name.clone();
    let event = of_user(
        &by.asked,
        &name,
        Audited::ArrivalLetIn {
            method: let_in.method.clone(),
            from: found.address.to_string(),
            machine: found.machine.clone(),
            key: found.keys.fingerprint(),
        },
    );
    // Earlier failures count no more.
    auth.tables.signed_in(&name, clock::now()).await?;
    auth.arrivals().let_in(&found.code, let_in, clock::now()).map_err(no_such)?;
    // Before anybody knows the answer.
    if let Err(error) = auth.ledger.write(&[event]).await {
        auth.arrivals().turn_away(&found.code, clock::now());
        return Err(error.into());
    }
    Ok(LetInAnswer::Answer(answer))
}

/// Whether this person may be signed in at a terminal at all; asked when they let it in, and again when it comes in.
async fn may(auth: &Auth, asked: &Asked, user: &User, factor: bool) -> Result<(), Refusal> {
    let roles = auth.tables.roles().await?;
    let who = identity(user);
    if let Err(denial) = policy::enter(&roles, &who, clock::now()) {
        return Err(denied(auth, asked, &user.name, denial.into()).await);
    }
    if !factor && policy::demands_second_factor(&roles, &who) {
        let why = "their roles demand a second factor, and none was shown";
        return Err(denied(auth, asked, &user.name, must_enrol(why)).await);
    }
    Ok(())
}

pub async fn turn_away(auth: Arc<Auth>, by: Surfer, call: TurnAway) -> Result<Done, Refusal> {
    may_try(&auth, &by.asked)?;
    let gone = auth.arrivals().turn_away(&secret::written(&call.code), clock::now());
    let Some(gone) = gone else { return Err(unknown(&auth, &by.asked).await) };
    let what = Audited::ArrivalTurnedAway {
        whose: gone.user.clone(),
        from: gone.address.to_string(),
        machine: gone.machine.clone(),
        key: gone.keys.fingerprint(),
    };
    auth.ledger.tell(vec![by.asked.event(what)]).await;
    Ok(Done {})
}

pub async fn leave(auth: Arc<Auth>, _by: Anybody, call: Leave) -> Result<Done, Refusal> {
    auth.arrivals().leave(&call.ticket);
    Ok(Done {})
}

pub async fn come_in(auth: Arc<Auth>, by: Anybody, call: ComeIn) -> Result<Credentials, Refusal> {
    may_try(&auth, &by.asked)?;
    let answer = secret::written(&call.answer);
    let answered = auth.arrivals().answer(&call.ticket, &answer, clock::now());
    let (waiting, let_in) = match answered {
        Ok(both) => both,
        Err(NoAnswer::Unknown) => return Err(Refusal::new(Fault::Unauthenticated, GONE)),
        Err(NoAnswer::NotYet) => {
            let words = "nobody has let this terminal in yet: open its address in a browser first";
            return Err(Refusal::new(Fault::Conflict, words));
        }
        Err(NoAnswer::Wrong { user, last }) => {
            let why = match last {
                true => "an answer that does not fit a terminal, which was turned away by that",
                false => "an answer that does not fit a terminal",
            };
            let what = Audited::SignInFailed { why: why.to_owned() };
            let mut events = vec![of_user(&by.asked, &user, what)];
            events.extend(auth.note_failed(&by.asked));
            auth.ledger.write(&events).await?;
            let words = match last {
                true => "this does not fit either: begin anew",
                false => "this does not fit: copy it as the page shows it",
            };
            let fault = if last { Fault::Unauthenticated } else { Fault::Malformed };
            return Err(Refusal::new(fault, words));
        }
    };
    let LetIn { user, method, factor, .. } = let_in;
    // What was true when they let it in may be so no more.
    let user = issue::still(&auth, &user).await?;
    may(&auth, &by.asked, &user, factor).await?;
    let issued = issue::person(&auth, &by.asked, &user, &waiting.keys, waiting.wanted_ms).await;
    let credentials = match issued {
        Err(refusal) if refusal.fault() == Fault::Denied => {
            return Err(denied(&auth, &by.asked, &user.name, refusal).await);
        }
        issued => issued?,
    };
    entered(&auth, &by.asked, &user.name, &format!("{method} in a browser")).await?;
    Ok(credentials)
}

/// Who waits by a code. A code that is none is counted and audited, as a wrong invitation is.
async fn find(auth: &Auth, asked: &Asked, code: &str) -> Result<Arc<Waiting>, Refusal> {
    may_try(auth, asked)?;
    let found = auth.arrivals().find(&secret::written(code), clock::now());
    match found {
        Ok(waiting) => Ok(waiting),
        Err(NoSuch::LetIn) => Err(no_such(NoSuch::LetIn)),
        Err(NoSuch::Unknown) => Err(unknown(auth, asked).await),
    }
}

async fn unknown(auth: &Auth, asked: &Asked) -> Refusal {
    let why = "a code by which no terminal waits".to_owned();
    let mut events = vec![asked.event(Audited::SignInFailed { why })];
    events.extend(auth.note_failed(asked));
    auth.ledger.tell(events).await;
    no_such(NoSuch::Unknown)
}

fn no_such(why: NoSuch) -> Refusal {
    match why {
        NoSuch::Unknown => Refusal::new(Fault::NotFound, UNKNOWN),
        NoSuch::LetIn => {
            let words = "this terminal was let in already, and waits for what the other page shows";
            Refusal::new(Fault::Conflict, words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_calls_its_machine_is_a_word() {
        for (said, expected) in [
            ("laptop.example.org", "laptop.example.org"),
            ("<b>your own\nlaptop</b>\u{202e}", "byourownlaptopb"),
            ("", "unnamed"),
            ("\u{1b}[2J", "2J"),
        ] {
            assert_eq!(machine(said), expected, "{said:?}");
        }
        assert_eq!(machine(&"x".repeat(1000)).len(), ARRIVAL_HOST_BYTES);
        assert_eq!(shown("abcdefgh"), "abcd-efgh");
    }
}

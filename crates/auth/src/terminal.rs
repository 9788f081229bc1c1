//! Terminals in browsers: certificates for one node and one purpose, which a proxy asks for with a key of its own.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{Carried, Member, SignedIn};
use crate::issue::{self, issued};
use crate::links::{self, Place};
use model::role::NodeFacts;
use model::{AuditEvent, Login, NodeName, SeatRole, SessionId};
use policy::{Identity, PlanFault, TerminalTo as Wanted};
use ssh_key::PublicKey;
use std::sync::Arc;
use store::tables::{Link, PartKind};
use wire::web::{GrantTerminal, TerminalGrant, TerminalTo};

/// What somebody does not have who comes back to another's session, or to one that is over.
const OWN_SESSION: &str = "session of yours";
/// What somebody asks for who may not know whether it is there.
const NODE: &str = "node that you could reach";
/// As [`NODE`].
const SESSION: &str = "session that you could join";

pub async fn grant(
    auth: Arc<Auth>,
    by: Carried,
    call: GrantTerminal,
) -> Result<TerminalGrant, Refusal> {
    let (by, key) = (by.by, issue::read_key(&call.ssh_key)?);
    match call.to {
        TerminalTo::Login { node, login } => {
            let facts = node_facts(&auth, &node).await?.ok_or_else(|| Refusal::not_found(NODE))?;
            let to = Wanted::Login { node: &facts, login: &login, back_to: None };
            let granted = sign(&auth, &by, &key, to, Told::of(&facts, &login)).await;
            granted.map_err(|refusal| match reaches(&by.member, &facts) {
                true => refusal,
                false => refusal.hidden(NODE),
            })
        }
        TerminalTo::Attach { node, session } => {
            let place = links::place(&auth, &node, session).await?;
            let own = place.filter(|place| place.session.user == by.member.name);
            let place = own.ok_or_else(|| Refusal::not_found(OWN_SESSION))?;
            let login = &place.session.login;
            let to = Wanted::Login { node: &place.node, login, back_to: Some(session) };
            let told = Told { session: Some(session), ..Told::of(&place.node, login) };
            sign(&auth, &by, &key, to, told).await
        }
        TerminalTo::Join { node, session, seat } => {
            let place = links::place(&auth, &node, session).await?;
            let place = place.ok_or_else(|| Refusal::not_found(SESSION))?;
            let seat = seat.unwrap_or(SeatRole::Observer);
            let joined = join(&auth, &by, &key, &place, seat, None).await;
            joined.map_err(|refusal| match sees(&by.member, &place) {
                true => refusal,
                false => refusal.hidden(SESSION),
            })
        }
        TerminalTo::Link { code } => {
            let (link, place) = links::come(&auth, &by.member, &code).await?;
            join(&auth, &by, &key, &place, link.made.seat, Some(link)).await
        }
    }
}

/// What the proxy is told beside the certificate.
struct Told<'t> {
    node: &'t NodeName,
    login: &'t Login,
    session: Option<SessionId>,
    seat: Option<SeatRole>,
}

impl<'t> Told<'t> {
    fn of(node: &'t NodeFacts, login: &'t Login) -> Self {
        Self { node: &node.name, login, session: None, seat: None }
    }
}

async fn join(
    auth: &Auth,
    by: &SignedIn,
    key: &PublicKey,
    place: &Place,
    seat: SeatRole,
    link: Option<Link>,
) -> Result<TerminalGrant, Refusal> {
    let user = &by.member.name;
    let grant = link.map(|link| policy::Grant {
        link: link.id,
        session: link.made.session,
        seat: link.made.seat,
        user,
        guests: link.made.guests,
        expires: link.made.expires,
    });
    let to = Wanted::Seat { node: &place.node, session: place.facts(), seat, by: grant };
    let told = Told::of(&place.node, &place.session.login);
    let told = Told { session: Some(place.session.id), seat: Some(seat), ..told };
    sign(auth, by, key, to, told).await
}

/// Signs what `policy` plans, for the account as it stands behind the serial number.
async fn sign(
    auth: &Auth,
    by: &SignedIn,
    key: &PublicKey,
    to: Wanted<'_>,
    told: Told<'_>,
) -> Result<TerminalGrant, Refusal> {
    let (name, begun) = (&by.member.name, &by.session.begun);
    let serial = auth.tables.next_serial().await?;
    let user = auth.tables.user(name).await?.filter(|user| user.created <= begun.created);
    let user = user.ok_or_else(|| Refusal::not_found("account any more"))?;
    let who = Identity::of_account(user.name, user.roles, user.logins, begun.expires);
    let (roles, now, proxy) = (auth.tables.roles().await?, clock::now(), &by.browser.proxy);
    let planned = policy::plan_terminal_certificate(&roles, &who, to, proxy, serial, now);
    let (plan, before) = planned.map_err(|fault| match (fault, told.session) {
        (PlanFault::Denied(denial), Some(session)) => Refusal::from(denial).about(session),
        (fault, _) => fault.into(),
    })?;
    let ssh_certificate = issue::sign(&plan, key, &auth.keys.user_ca)?;
    let event = AuditEvent {
        node: Some(told.node.clone()),
        login: Some(told.login.clone()),
        session: told.session,
        ..by.member.asked.event(issued("terminal", &plan))
    };
    auth.ledger.write(&[event]).await?;
    Ok(TerminalGrant {
        ssh_certificate,
        host_authority: auth.facts().host_authority,
        user: name.clone(),
        web_session: by.session.number,
        node: told.node.clone(),
        login: told.login.clone(),
        session: told.session,
        seat: told.seat,
        before,
        expires: plan.expires(),
    })
}

async fn node_facts(auth: &Auth, node: &NodeName) -> Result<Option<NodeFacts>, Refusal> {
    let part = auth.tables.part(PartKind::Node, node).await?;
    Ok(part.map(|part| NodeFacts { name: part.name, labels: part.labels }))
}

/// Whether they may know that the node is there.
fn reaches(by: &Member, node: &NodeFacts) -> bool {
    !policy::logins_on(&by.roles, &by.identity, node, clock::now()).is_empty()
}

/// Whether they may know that the session is there.
fn sees(by: &Member, place: &Place) -> bool {
    let (facts, now) = (place.facts(), clock::now());
    place.session.user == by.name
        || !policy::seats(&by.roles, &by.identity, &place.node, &facts, now).is_empty()
}

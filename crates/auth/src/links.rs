//! Links into running sessions: who may make one, what became of it, and the one moment at which it is used.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::gate::{Anybody, Member, NodePart, ProxyPart};
use crate::{clock, ledger, people, secret};
use link::tcp::network;
use model::audit::Audited;
use model::limit::{LINK_MS, LINKS};
use model::role::{AdminRight, NodeFacts, RoleSet};
use model::{AuditEvent, LinkId, NodeName, SeatRole, SessionId, Time, UserName};
use policy::{Denial, Identity, SessionFacts};
use std::net::IpAddr;
use std::sync::Arc;
use store::tables::{Link, Most, NewLink, PartKind, TableError};
use wire::live::LiveSession;
use wire::share::{
    CODE_PREFIX, FindLink, Grant, LinkPlace, LinkState, ListLinks, LookAtLink, MadeLink, MakeLink,
    ReadLink, RevokeLink, Shared, TakeLink, Welcome, Which,
};
use wire::{Done, Fault};

/// Said of a code that is none.
const UNKNOWN: &str = "no link that leads here has this code: is it whole?";
/// Said to whoever has shown too many codes that do not count.
const TOO_MANY: &str = "too many codes that do not count: wait some minutes";

pub async fn make(auth: Arc<Auth>, by: Member, call: MakeLink) -> Result<MadeLink, Refusal> {
    let (usual, most) = LINK_MS;
    let life = call.life_ms.map_or(usual, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
    if !(1..=most).contains(&life) {
        let hours = most / 3_600_000;
        return Err(Refusal::malformed(format!("a link counts for at most {hours} hours")));
    }
    if call.guests && call.to.is_some() {
        let words = "a link is for one person or for guests, not for both";
        return Err(Refusal::malformed(words.to_owned()));
    }
    let place = place(&auth, &call.node, call.session).await?;
    let place = place.ok_or_else(|| Refusal::not_found(OWN_SESSION))?;
    let now = clock::now();
    let facts = place.facts();
    let (roles, who, seat, guests) = (&by.roles, &by.identity, call.seat, call.guests);
    let permit = policy::share(roles, who, &place.node, &facts, seat, guests, now);
    let permit = permit.map_err(|denial| {
        let refusal = Refusal::from(denial).about(call.session);
        // Of others' sessions nobody learns that they exist.
        if place.session.user == by.name { refusal } else { refusal.hidden(OWN_SESSION) }
    })?;
    if !place.session.joinable {
        let words = "nobody can come into this session: it has no terminal, or is not recorded";
        return Err(Refusal::new(Fault::Conflict, words));
    }
    let new = NewLink {
        node: permit.node().clone(),
        session: permit.session(),
        owner: permit.owner().clone(),
        seat: permit.seat(),
        by: by.name.clone(),
        to: call.to,
        guests: permit.guests(),
        once: call.once,
        created: now,
        expires: now.plus_ms(life),
    };
    let code = format!("{CODE_PREFIX}{}", secret::fresh());
    let (all, own) = LINKS;
    let made = auth.tables.put_link(&code, new, Most { all, own }).await?;
    let link = made.ok_or_else(|| {
        let words = "there are as many links as there may be: let some expire";
        Refusal::new(Fault::TooMany, words)
    })?;
    let what = Audited::LinkMade {
        link: link.id,
        seat: link.made.seat.word().to_owned(),
        recipient: link.made.to.clone(),
        guests: link.made.guests,
        once: link.made.once,
        expires: link.made.expires,
    };
    // Before anybody knows the code.
    auth.ledger.write(&[of_link(by.asked.event(what), &link)]).await?;
    Ok(MadeLink { code, link: shown(link, true) })
}

/// What somebody does not have who shares another's session, or one that is over.
const OWN_SESSION: &str = "session of yours";

pub async fn list(
    auth: Arc<Auth>,
    by: Member,
    _call: ListLinks,
) -> Result<Vec<wire::share::Link>, Refusal> {
    let mut all = Vec::new();
    for link in auth.tables.links_of(&by.name, clock::now()).await? {
        let goes_on = place(&auth, &link.made.node, link.made.session).await?.is_some();
        all.push(shown(link, goes_on));
    }
    Ok(all)
}

pub async fn revoke(auth: Arc<Auth>, by: Member, call: RevokeLink) -> Result<Done, Refusal> {
    let found = match &call.link {
        Which::Number(id) => auth.tables.link_of_number(*id).await?,
        Which::Code(text) => of_code(&auth, text).await?,
    };
    let link = found.ok_or_else(|| Refusal::not_found(OWN_LINK))?;
    if link.made.owner != by.name && by.admin(AdminRight::Locks).is_err() {
        let why = format!("link {} is of {}'s session", link.id, link.made.owner);
        let refusal = Refusal::denied("revoke a link", &why, "").about(link.made.session);
        return Err(refusal.hidden(OWN_LINK));
    }
    if auth.tables.revoke_link(link.id, clock::now()).await? {
        let what = Audited::LinkRevoked { link: link.id, owner: link.made.owner.clone() };
        auth.ledger.tell(vec![of_link(by.asked.event(what), &link)]).await;
    }
    Ok(Done {})
}

/// What somebody does not have who revokes another's link, or one that is forgotten.
const OWN_LINK: &str = "link of yours";

pub async fn read(auth: Arc<Auth>, by: Member, call: ReadLink) -> Result<Shared, Refusal> {
    Ok(shared(member_sees(&auth, &by, &call.code, call.seat).await?))
}

/// The link of a code, if it lets this person in at this moment, and where it leads. Changes nothing.
pub async fn come(auth: &Auth, by: &Member, code: &str) -> Result<(Link, Place), Refusal> {
    let link = member_sees(auth, by, code, None).await?;
    let place = place(auth, &link.made.node, link.made.session).await?;
    let place = place.ok_or_else(|| Refusal::new(Fault::Denied, Shut::Over.words()))?;
    Ok((link, place))
}

async fn member_sees(
    auth: &Auth,
    by: &Member,
    code: &str,
    seat: Option<SeatRole>,
) -> Result<Link, Refusal> {
    let (identity, roles, counted) = (&by.identity, &by.roles, by.name.clone());
    let comer = Comer { identity, roles, at: None, seat, counted };
    sees(auth, code, by.asked.address(), &comer, |what| by.asked.event(what)).await
}

pub async fn look(auth: Arc<Auth>, by: Anybody, call: LookAtLink) -> Result<Welcome, Refusal> {
    let (address, event) = (by.asked.address(), |what| by.asked.event(what));
    let link = guest_sees(&auth, &call.code, call.seat, address, event).await?;
    let facts = auth.facts();
    let (cluster, host_authority) = (facts.name, facts.host_authority);
    Ok(Welcome { shared: shared(link), cluster, host_authority })
}

pub async fn find(auth: Arc<Auth>, by: ProxyPart, call: FindLink) -> Result<LinkPlace, Refusal> {
    let address = call.address.to_canonical();
    let event = |what| AuditEvent {
        node: Some(by.part.name.clone()),
        address: Some(address.to_string()),
        ..ledger::event(what)
    };
    let link = guest_sees(&auth, &call.code, None, address, event).await?;
    Ok(LinkPlace { node: link.made.node })
}

/// The link of a code, if a guest who is there may come by it. Changes nothing. Guests call themselves as they like, so
/// they are counted by their address.
async fn guest_sees(
    auth: &Auth,
    code: &str,
    seat: Option<SeatRole>,
    address: IpAddr,
    event: impl Fn(Audited) -> AuditEvent,
) -> Result<Link, Refusal> {
    let (roles, counted) = (auth.tables.roles().await?, counted(address));
    let identity = Identity::guest("", clock::now().plus_ms(LINK_MS.1));
    let comer = Comer { identity: &identity, roles: &roles, at: None, seat, counted };
    sees(auth, code, address, &comer, event).await
}

/// The link of a code, if it lets this person in at this moment, who is there and has not tried too often. Changes nothing.
async fn sees(
    auth: &Auth,
    code: &str,
    address: IpAddr,
    comer: &Comer<'_>,
    event: impl Fn(Audited) -> AuditEvent,
) -> Result<Link, Refusal> {
    if auth.waits(address) || auth.waits_with_codes(None, &comer.counted) {
        return Err(Refusal::new(Fault::TooMany, TOO_MANY));
    }
    match counts(auth, code, comer).await {
        Ok(link) => Ok(link),
        Err(no) => {
            let throttled = auth.note_failed_at(address, &event);
            let refused = refuse(auth, no, comer, event).await;
            auth.ledger.tell(throttled.into_iter().collect()).await;
            Err(refused)
        }
    }
}

/// As whom a guest's codes are counted.
fn counted(address: IpAddr) -> UserName {
    UserName::guest(&network(address).to_string())
}

pub async fn take(auth: Arc<Auth>, by: NodePart, call: TakeLink) -> Result<Grant, Refusal> {
    let TakeLink { code, user, address, seat } = call;
    let counted = match address.filter(|_| user.is_guest()) {
        Some(address) => counted(address),
        None => user.clone(),
    };
    if auth.waits_with_codes(Some(by.name()), &counted) {
        return Err(Refusal::new(Fault::TooMany, TOO_MANY));
    }
    let event = |what| AuditEvent {
        user: Some(user.clone()),
        address: address.map(|address| address.to_canonical().to_string()),
        node: Some(by.name().clone()),
        ..ledger::event(what)
    };
    let identity = match user.is_guest() {
        true => Identity::guest(user.called(), clock::now().plus_ms(LINK_MS.1)),
        false => {
            let account = auth.tables.user(&user).await?.ok_or_else(|| {
                let why = format!("{} asked for {user}, who has no account", by.name());
                Refusal::denied("take a link", &why, "there is no such account any more")
            })?;
            people::identity(&account)
        }
    };
    let roles = auth.tables.roles().await?;
    let comer = Comer { identity: &identity, roles: &roles, at: Some(by.name()), seat, counted };
    if let Err(no) = counts(&auth, &code, &comer).await {
        return Err(refuse(&auth, no, &comer, event).await);
    }
    let Some(link) = use_up(&auth, &code, &user).await? else {
        // Somebody else was faster, or it was revoked this very moment.
        let no = counts(&auth, &code, &comer).await.err();
        return Err(refuse(&auth, no.unwrap_or(No::Unknown), &comer, event).await);
    };
    let Link { id, made, .. } = &link;
    let (word, owner) = (made.seat.word().to_owned(), made.owner.clone());
    let used = event(Audited::LinkUsed { link: *id, seat: word, owner });
    auth.ledger.tell(vec![of_link(used, &link)]).await;
    let (session, seat, guests, expires) = (made.session, made.seat, made.guests, made.expires);
    Ok(Grant { link: *id, session, seat, user, guests, expires })
}

/// Who wants to come by a link.
struct Comer<'c> {
    identity: &'c Identity,
    roles: &'c RoleSet,
    /// The node that they have come to already, if they have.
    at: Option<&'c NodeName>,
    /// As what they want to come, if they said.
    seat: Option<SeatRole>,
    /// As whom their codes are counted that do not count.
    counted: UserName,
}

/// Why a code lets somebody in nowhere.
enum No {
    /// There is no link with it.
    Unknown,
    /// It leads to another node than the one that asks.
    Elsewhere(Box<Link>),
    /// It does not count.
    Shut(Box<Link>, Shut),
    /// It gives another seat than this.
    OtherSeat(Box<Link>, SeatRole),
    /// A lock or a rule.
    Denied(Box<Link>, Denial),
    /// It is not known.
    Failed(Refusal),
}

impl From<TableError> for No {
    fn from(error: TableError) -> Self {
        Self::Failed(error.into())
    }
}

/// Why a link does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shut {
    Other,
    Members,
    Revoked,
    Expired,
    Used,
    Over,
}

impl Shut {
    /// For whoever showed the code; and for the ledger.
    fn words(self) -> &'static str {
        match self {
            Self::Other => "this link is for somebody else",
            Self::Members => {
                "this link is for people who have an account: sign in first, with `scry login`"
            }
            Self::Revoked => "this link was revoked: ask for another one",
            Self::Expired => "this link has expired: ask for another one",
            Self::Used => "this link counted once, and was used: ask for another one",
            Self::Over => "the session that this link leads to is over",
        }
    }
}

/// The link of a code, if it lets this person in at this moment. Changes nothing.
async fn counts(auth: &Auth, code: &str, comer: &Comer<'_>) -> Result<Link, No> {
    let (now, user) = (clock::now(), comer.identity.user());
    let link = of_code(auth, code).await?.ok_or(No::Unknown)?;
    if comer.at.is_some_and(|at| *at != link.made.node) {
        return Err(No::Elsewhere(Box::new(link)));
    }
    if let Some(shut) = shut(&link, user, now) {
        return Err(No::Shut(Box::new(link), shut));
    }
    let place = place(auth, &link.made.node, link.made.session).await?;
    let Some(place) = place.filter(|place| place.session.user == link.made.owner) else {
        return Err(No::Shut(Box::new(link), Shut::Over));
    };
    if let Some(asked) = comer.seat.filter(|asked| *asked != link.made.seat) {
        return Err(No::OtherSeat(Box::new(link), asked));
    }
    let grant = policy::Grant {
        link: link.id,
        session: link.made.session,
        seat: link.made.seat,
        user,
        guests: link.made.guests,
        expires: link.made.expires,
    };
    let (node, seat) = (&place.node, link.made.seat);
    let (facts, roles) = (place.facts(), comer.roles);
    match policy::join(roles, comer.identity, node, &facts, seat, Some(grant), now) {
        Ok(_) => Ok(link),
        Err(denial) => Err(No::Denied(Box::new(link), denial)),
    }
}

fn shut(link: &Link, user: &UserName, now: Time) -> Option<Shut> {
    let made = &link.made;
    if made.to.as_ref().is_some_and(|to| to != user) {
        Some(Shut::Other)
    } else if user.is_guest() && !made.guests {
        Some(Shut::Members)
    } else if link.revoked.is_some() {
        Some(Shut::Revoked)
    } else if now >= made.expires {
        Some(Shut::Expired)
    } else if made.once && link.used > 0 {
        Some(Shut::Used)
    } else {
        None
    }
}

/// Counts the try, and puts it into the ledger with what only the ledger hears.
async fn refuse(
    auth: &Auth,
    no: No,
    comer: &Comer<'_>,
    event: impl Fn(Audited) -> AuditEvent,
) -> Refusal {
    let unknown = || Refusal::new(Fault::NotFound, UNKNOWN);
    let refused = |link: Option<LinkId>, why: String| event(Audited::LinkRefused { link, why });
    let (refused, refusal) = match no {
        No::Failed(refusal) => return refusal,
        No::Unknown => (refused(None, UNKNOWN.to_owned()), unknown()),
        No::Elsewhere(link) => {
            let why = format!("it leads to {}, and another node asked for it", link.made.node);
            (refused(Some(link.id), why), unknown())
        }
        No::Shut(link, shut) => {
            let words = shut.words();
            let refused = refused(Some(link.id), words.to_owned());
            (of_link(refused, &link), Refusal::new(Fault::Denied, words))
        }
        No::OtherSeat(link, asked) => {
            let given = link.made.seat;
            let words = format!("this link lets you in as {given}, not as {asked}: leave that out");
            let refused = refused(Some(link.id), words.clone());
            (of_link(refused, &link), Refusal::new(Fault::Denied, words))
        }
        No::Denied(link, denial) => {
            let refused = refused(Some(link.id), denial.to_string());
            (of_link(refused, &link), Refusal::from(denial).audited())
        }
    };
    let mut events = vec![refused];
    if auth.note_code(comer.at, &comer.counted) {
        let why = format!("{TOO_MANY}; further ones are not listed");
        events.push(event(Audited::LinkRefused { link: None, why }));
    }
    auth.ledger.tell(events).await;
    refusal
}

async fn of_code(auth: &Auth, text: &str) -> Result<Option<Link>, TableError> {
    match wire::share::code(text) {
        Some(code) => auth.tables.link(&code).await,
        None => Ok(None),
    }
}

async fn use_up(auth: &Auth, text: &str, user: &UserName) -> Result<Option<Link>, TableError> {
    match wire::share::code(text) {
        Some(code) => auth.tables.use_link(&code, user, clock::now()).await,
        None => Ok(None),
    }
}

/// A session that goes on, where it does.
pub struct Place {
    /// Where.
    pub node: NodeFacts,
    /// Which, as its node says.
    pub session: LiveSession,
}

impl Place {
    /// What `policy` must know of it.
    pub fn facts(&self) -> SessionFacts<'_> {
        let LiveSession { id, user, roles, login, .. } = &self.session;
        SessionFacts { id: *id, owner: user, roles, login }
    }
}

/// Where a session goes on, by its node's own word.
pub async fn place(
    auth: &Auth,
    node: &NodeName,
    session: SessionId,
) -> Result<Option<Place>, TableError> {
    let Some(part) = auth.tables.part(PartKind::Node, node).await? else { return Ok(None) };
    let told = auth.live().of(&part, clock::tick());
    let found = told.and_then(|all| all.iter().find(|one| one.id == session).cloned());
    let node = NodeFacts { name: part.name, labels: part.labels };
    Ok(found.map(|session| Place { node, session }))
}

/// An event of the session that a link leads to.
fn of_link(event: AuditEvent, link: &Link) -> AuditEvent {
    let (node, session) = (Some(link.made.node.clone()), Some(link.made.session));
    AuditEvent { node, session, ..event }
}

fn shared(link: Link) -> Shared {
    let Link { id, made, .. } = link;
    let NewLink { node, session, owner, seat, expires, .. } = made;
    Shared { link: id, node, session, owner, seat, expires }
}

fn shown(link: Link, goes_on: bool) -> wire::share::Link {
    let Link { id, made, used, revoked } = link;
    let state = match (revoked, made.once && used > 0) {
        (Some(_), _) => LinkState::Revoked,
        (None, true) => LinkState::Used,
        (None, false) if goes_on => LinkState::Open,
        (None, false) => LinkState::Over,
    };
    let NewLink { node, session, owner, seat, by, to, guests, once, created, expires } = made;
    wire::share::Link {
        id,
        node,
        session,
        owner,
        seat,
        by,
        to,
        guests,
        once,
        created,
        expires,
        used,
        state,
    }
}

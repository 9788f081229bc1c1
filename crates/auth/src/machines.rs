//! Machines come and go: invitations, joining under a name of one's own, removal, and what proxies know of it.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::gate::{Anybody, NodeAdmin, ProxyPart};
use crate::issue::{self, Standing};
use crate::parts::{NEWS_EVERY, check_labels, kind};
use crate::{clock, secret};
use axum::extract::Request;
use axum::response::Response;
use futures_util::stream;
use model::NodeName;
use model::audit::Audited;
use model::limit::{JOIN_TOKEN_MS, JOIN_TOKENS};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use store::tables::{JoinToken, PartKind, TableError};
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::sync::watch;
use wire::node::{InvitePart, InvitedPart, Join, Part, PartCredentials, ProxyNews, RemoveNode};
use wire::{Done, Fault};

pub async fn invite(
    auth: Arc<Auth>,
    by: NodeAdmin,
    call: InvitePart,
) -> Result<InvitedPart, Refusal> {
    let (usual, most) = JOIN_TOKEN_MS;
    let life = call.life_ms.unwrap_or(usual);
    if !(1..=most).contains(&life) {
        let days = most / 86_400_000;
        return Err(Refusal::malformed(format!("an invitation counts for at most {days} days")));
    }
    check_labels(&call.labels)?;
    if call.part == Part::Proxy {
        let words = "a proxy is invited by `scry start --roles auth`, which prints how";
        return Err(Refusal::malformed(words));
    }
    if let Some(name) = &call.name
        && issue::part_named(&auth, name).await?
    {
        let words = format!(
            "{name} is a part of the cluster already; if another machine takes its place, \
             `scry nodes rm {name}` first"
        );
        return Err(Refusal::new(Fault::Conflict, words));
    }
    let (now, part) = (clock::now(), kind(call.part));
    let expires = now.plus_ms(life);
    let token = JoinToken { part, name: call.name, labels: call.labels, expires };
    let secret = format!("{}-{}", call.part.word(), secret::fresh());
    if !auth.tables.put_join_token(&secret, &token, JOIN_TOKENS, now).await? {
        let words = format!(
            "{JOIN_TOKENS} invitations of machines wait already: let some be used, or expire"
        );
        return Err(Refusal::new(Fault::TooMany, words));
    }
    let JoinToken { name, labels, .. } = token;
    let what = Audited::PartInvited { part: part.word().to_owned(), name, labels, expires };
    auth.ledger.write(&[by.member.asked.event(what)]).await?;
    Ok(InvitedPart { token: secret, pin: auth.pin.clone(), expires })
}

pub async fn join(auth: Arc<Auth>, by: Anybody, call: Join) -> Result<PartCredentials, Refusal> {
    let (kind, name) = (kind(call.keys.part), call.keys.name.clone());
    let (secret, address) = (call.token.trim(), by.asked.address());
    if auth.waits(address) {
        return Err(Refusal::new(Fault::TooMany, "too many wrong tokens from this address: wait"));
    }
    issue::check_name(&auth, &name)?;
    let _turn = auth.parts_turn.lock().await;
    // Tokens for parts of this very process are not in the database: they end with it, and may take a name over.
    let labels = match auth.own_token.fits(secret) {
        true if auth.tables.part(other(kind), &name).await?.is_some() => return Err(held(&name)),
        true => model::role::Labels::new(),
        false => match take_token(&auth, &call, kind).await? {
            Some(token) => token.labels,
            None => {
                if let Some(event) = auth.note_failed(&by.asked) {
                    auth.ledger.write(&[event]).await?;
                }
                let why = format!(
                    "{name} wanted to join with a token that is unknown, used up or expired"
                );
                let words = "this invitation is not known, was used by another machine, or has \
                             expired: make a new one with `scry nodes invite`";
                return Err(Refusal::denied("join", &why, words));
            }
        },
    };
    let standing = Standing::Joins(labels);
    let credentials = issue::part(&auth, &by.asked, &call.keys, kind, standing).await?;
    tracing::info!(%name, part = kind.word(), "joined");
    let mut event = by.asked.event(Audited::NodeJoined {});
    event.node = Some(name);
    auth.ledger.tell(vec![event]).await;
    Ok(credentials)
}

/// Uses the token up, if it lets this machine in under the name it asks for. Nothing is used by a machine that may not.
async fn take_token(
    auth: &Auth,
    call: &Join,
    kind: PartKind,
) -> Result<Option<JoinToken>, Refusal> {
    let (secret, name, now) = (call.token.trim(), &call.keys.name, clock::now());
    let by = link::tls::pin_of_request(&call.keys.tls_request)
        .map_err(|error| Refusal::malformed(error.to_string()))?;
    let Some(token) = auth.tables.join_token(secret, kind, &by, now).await? else {
        return Ok(None);
    };
    if let Some(only) = token.name.as_ref().filter(|only| *only != name) {
        let why = format!("{name} wanted to join with an invitation for {only}");
        let words =
            format!("this invitation is for a machine named {only}: start with --node-name {only}");
        return Err(Refusal::denied("join", &why, &words));
    }
    let holder = auth.tables.part(kind, name).await?;
    // Its own: it joined, and the answer was lost on the way.
    let its_own = holder.as_ref().is_some_and(|part| part.tls_key.as_deref() == Some(by.as_str()));
    // An invitation of a proxy is made only by who starts auth, for the proxy of that one name.
    let replaces = kind == PartKind::Proxy && token.name.is_some();
    if (holder.is_some() && !its_own && !replaces)
        || auth.tables.part(other(kind), name).await?.is_some()
    {
        return Err(held(name));
    }
    Ok(auth.tables.use_join_token(secret, kind, (&by, name), now).await?.then_some(token))
}

pub async fn remove(auth: Arc<Auth>, by: NodeAdmin, call: RemoveNode) -> Result<Done, Refusal> {
    let _turn = auth.parts_turn.lock().await;
    if !auth.tables.remove_part(PartKind::Node, &call.node).await? {
        return Err(Refusal::not_found("node"));
    }
    tracing::info!(node = %call.node, "removed");
    let what = Audited::NodeRemoved { removed: call.node };
    auth.ledger.tell(vec![by.member.asked.event(what)]).await;
    Ok(Done {})
}

/// At once, at each change, and every ten seconds.
pub async fn news(auth: Arc<Auth>, by: ProxyPart, _request: Request) -> Result<Response, Refusal> {
    tracing::debug!(proxy = %by.part.name, "listens to the news");
    let (parts, roles) = (auth.tables.watch_parts(), auth.tables.watch_roles());
    let web = auth.tables.watch_web_sessions();
    let told = Told { auth, parts, roles, web, nodes: None, rev: None };
    let lines = stream::unfold(told, |mut told| async move {
        let line = told.next().await?;
        Some((Ok::<_, Infallible>(line), told))
    });
    Ok(link::http::lines(lines))
}

struct Told {
    auth: Arc<Auth>,
    parts: watch::Receiver<u64>,
    roles: watch::Receiver<u64>,
    web: broadcast::Receiver<u64>,
    nodes: Option<BTreeMap<NodeName, String>>,
    rev: Option<u64>,
}

impl Told {
    /// The next line; `None` when auth stops or cannot read its tables: the proxy then asks again.
    async fn next(&mut self) -> Option<ProxyNews> {
        let mut ended = Vec::new();
        if self.nodes.is_some() {
            tokio::select! {
                changed = self.parts.changed() => changed.ok()?,
                changed = self.roles.changed() => changed.ok()?,
                // Of one that falls behind, the stream ends: it asks of each whether it counts.
                number = self.web.recv() => ended.push(number.ok()?),
                () = tokio::time::sleep(NEWS_EVERY) => {}
                () = self.auth.stop.cancelled() => return None,
            }
        }
        loop {
            match self.web.try_recv() {
                Ok(number) => ended.push(number),
                Err(TryRecvError::Empty) => break,
                Err(_) => return None,
            }
        }
        match self.read().await {
            Ok(news) => Some(ProxyNews { ended, ..news }),
            Err(error) => {
                tracing::error!(error = crate::error::chain(&error), "proxies cannot be told");
                None
            }
        }
    }

    async fn read(&mut self) -> Result<ProxyNews, TableError> {
        let parts = self.auth.tables.parts(PartKind::Node).await?;
        let roles = self.auth.tables.roles().await?;
        let nodes = parts.into_iter().filter_map(|part| Some((part.name, part.tls_key?)));
        let nodes = Some(nodes.collect());
        let (other_nodes, other_roles) = (nodes != self.nodes, Some(roles.rev) != self.rev);
        (self.nodes, self.rev) = (nodes, Some(roles.rev));
        Ok(ProxyNews {
            nodes: self.nodes.clone().filter(|_| other_nodes),
            roles: Some(roles).filter(|_| other_roles),
            ended: Vec::new(),
        })
    }
}

fn held(name: &NodeName) -> Refusal {
    let words = format!(
        "{name} is the name of another part of the cluster: start with another --node-name; \
         or, if this machine takes its place, `scry nodes rm {name}` first"
    );
    let why = format!("a machine wanted to join as {name}, which is another's name");
    Refusal::new(Fault::Conflict, words).with_audit("join", why)
}

fn other(kind: PartKind) -> PartKind {
    match kind {
        PartKind::Node => PartKind::Proxy,
        PartKind::Proxy => PartKind::Node,
    }
}

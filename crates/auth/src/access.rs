//! Questions: which nodes may I reach, and why may somebody get in somewhere or not.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::Member;
use model::role::{AdminRight, NodeFacts};
use model::{Login, SessionId, UserName};
use policy::{Identity, SessionFacts, Trace};
use std::sync::Arc;
use store::tables::{Part, PartKind, User};
use wire::access::{Explain, Explanation, Says, Seat, Step};
use wire::node::{ListNodes, Node};

pub async fn list_nodes(
    auth: Arc<Auth>,
    by: Member,
    _call: ListNodes,
) -> Result<Vec<Node>, Refusal> {
    let nodes = auth.tables.parts(PartKind::Node).await?;
    let sees_storage = by.admin(AdminRight::Nodes).is_ok();
    let reachable = nodes.into_iter().filter_map(|part| {
        let logins = policy::logins_on(&by.roles, &by.identity, &facts(&part), clock::now());
        let logins: Vec<String> = logins.into_iter().map(String::from).collect();
        let waits = sees_storage.then(|| auth.storage.waits(&part.name)).flatten();
        (!logins.is_empty()).then_some(Node {
            waits,
            name: part.name,
            labels: part.labels,
            last_seen: part.last_seen,
            version: part.version,
            logins,
        })
    });
    Ok(reachable.collect())
}

pub async fn explain(auth: Arc<Auth>, by: Member, call: Explain) -> Result<Explanation, Refusal> {
    if call.user != by.name || call.join.is_some() || call.role.is_some() {
        by.admin(AdminRight::Roles)?;
    }
    let (mut user, mut roles) = (account(&auth, &call.user).await?, by.roles.clone());
    let now = clock::now();
    if let Some(role) = &call.role {
        policy::validate_role(role).map_err(|fault| Refusal::malformed(fault.to_string()))?;
        user.roles.push(role.name.clone());
        roles.roles.insert(role.name.clone(), (**role).clone());
    }
    // What a certificate signed at this moment would be worth.
    let expires = now.plus_ms(model::limit::USER_CERTIFICATE_MS);
    let identity = Identity::of_account(user.name, user.roles, user.logins, expires);
    let node = auth.tables.part(PartKind::Node, &call.node).await?;
    let known = node.filter(|node| by.name != call.user || sees(&by, node, &call.login));
    let Some(node) = known else {
        return Ok(unknown_node(&call));
    };
    let (node, login) = (facts(&node), &call.login);
    Ok(explanation(match &call.join {
        None => policy::explain(&roles, &identity, &node, login, now),
        Some(Seat { seat, owner }) => {
            let User { name, roles: held, .. } = account(&auth, owner).await?;
            // One that is not there: it has no number, and no lock is on it.
            let id = SessionId::from_random([0; 16]);
            let session = SessionFacts { id, owner: &name, roles: &held, login };
            policy::explain_join(&roles, &identity, &node, &session, *seat, now)
        }
    }))
}

async fn account(auth: &Auth, name: &UserName) -> Result<User, Refusal> {
    auth.tables.user(name).await?.ok_or_else(|| Refusal::not_found("user"))
}

/// Whoever asks about oneself, without a right over roles, learns only of nodes that one can reach.
fn sees(by: &Member, node: &Part, login: &Login) -> bool {
    let (facts, now) = (facts(node), clock::now());
    by.admin(AdminRight::Roles).is_ok()
        || policy::login(&by.roles, &by.identity, &facts, login, now).is_ok()
        || !policy::logins_on(&by.roles, &by.identity, &facts, now).is_empty()
}

fn unknown_node(call: &Explain) -> Explanation {
    Explanation {
        allowed: false,
        because: format!("no node {} that you could reach has joined the cluster", call.node),
        steps: Vec::new(),
        terms: Vec::new(),
    }
}

fn facts(part: &Part) -> NodeFacts {
    NodeFacts { name: part.name.clone(), labels: part.labels.clone() }
}

fn explanation(trace: Trace) -> Explanation {
    let steps = trace.steps.into_iter().map(|step| Step {
        rule: step.rule,
        says: match step.says {
            policy::Says::Allow => Says::Allow,
            policy::Says::Deny => Says::Deny,
            policy::Says::Nothing => Says::Nothing,
        },
        why: step.why,
    });
    Explanation {
        allowed: trace.allowed,
        because: trace.because,
        steps: steps.collect(),
        terms: trace.terms.map(|terms| terms.rows()).unwrap_or_default(),
    }
}

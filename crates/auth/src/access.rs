//! Questions: which nodes may I reach, and why may somebody get in somewhere or not.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::Member;
use model::Login;
use model::role::{AdminRight, NodeFacts};
use policy::{Identity, Trace};
use std::sync::Arc;
use store::tables::{Part, PartKind};
use wire::access::{Explain, Explanation, Says, Step};
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
    if call.user != by.name {
        by.admin(AdminRight::Roles)?;
    }
    let user = auth.tables.user(&call.user).await?.ok_or_else(|| Refusal::not_found("user"))?;
    let now = clock::now();
    // What a certificate signed at this moment would be worth.
    let expires = now.plus_ms(model::limit::USER_CERTIFICATE_MS);
    let identity = Identity::of_account(user.name, user.roles, user.logins, expires);
    let node = auth.tables.part(PartKind::Node, &call.node).await?;
    let known = node.filter(|node| by.name != call.user || sees(&by, node, &call.login));
    let Some(node) = known else {
        return Ok(unknown_node(&call));
    };
    Ok(explanation(policy::explain(&by.roles, &identity, &facts(&node), &call.login, now)))
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

//! The one core that decides. Every door and every explanation is a view of its [`Judgement`].

use crate::denial::{Action, Denial, Why, action_word, right_word};
use crate::identity::Identity;
use crate::lock;
use crate::only::{Only, Purpose};
use crate::rule::{matches_labels, matching_login, show_condition, show_labels};
use crate::seat::{Grant, SessionFacts};
use crate::terms::terms;
use model::role::{
    AdminRight, Forwarding, Labels, NodeFacts, Reading, RecordingAction, Role, RoleSet,
};
use model::{Lock, Login, NodeName, RoleName, SeatRole, SessionId, Time, UserName};
use std::borrow::Cow;

mod join;

/// What a rule says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Allows it.
    Allow,
    /// Forbids it.
    Deny,
    /// Does not apply.
    Nothing,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule, such as `role access: allow.logins`.
    pub rule: String,
    /// Whether it spoke for, against, or not at all.
    pub says: Says,
    /// Why, in words.
    pub why: String,
}

/// A question to the core.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question<'q> {
    Login { node: &'q NodeFacts, login: &'q Login },
    Forward { node: &'q NodeFacts, login: &'q Login, what: Forwarding },
    GoOn { node: &'q NodeFacts, login: &'q Login, session: Option<SessionId> },
    ForwardOn { node: &'q NodeFacts, login: &'q Login, what: Forwarding },
    Join { node: &'q NodeFacts, session: SessionFacts<'q>, seat: SeatRole, by: Option<Grant<'q>> },
    SeatOn { node: &'q NodeFacts, session: SessionFacts<'q>, seat: SeatRole, by: Option<Grant<'q>> },
    Return { node: &'q NodeFacts, session: SessionFacts<'q> },
    Speak { node: &'q NodeFacts, session: SessionFacts<'q> },
    Share { node: &'q NodeFacts, session: SessionFacts<'q>, seat: SeatRole, guests: bool },
    Enter,
    Reach { node: &'q NodeName },
    Recording { action: RecordingAction, owner: &'q UserName, labels: &'q Labels },
    Admin { right: AdminRight },
}

impl Question<'_> {
    fn action(&self) -> Action {
        match *self {
            Self::Login { node, login } => {
                Action::Login { login: login.clone(), node: node.name.clone() }
            }
            Self::Forward { node, what, .. } | Self::ForwardOn { node, what, .. } => {
                Action::Forward { what, node: node.name.clone() }
            }
            Self::GoOn { node, login, session } => {
                Action::GoOn { login: login.clone(), node: node.name.clone(), session }
            }
            Self::Join { node, session, seat, .. } => {
                Action::Join { session: session.id, node: node.name.clone(), seat }
            }
            Self::SeatOn { node, session, seat, .. } => {
                Action::Stay { session: session.id, node: node.name.clone(), seat }
            }
            Self::Return { node, session } => {
                Action::Return { session: session.id, node: node.name.clone() }
            }
            Self::Speak { node, session } => {
                Action::Speak { session: session.id, node: node.name.clone() }
            }
            Self::Share { node, session, seat, guests } => {
                Action::Share { session: session.id, node: node.name.clone(), seat, guests }
            }
            Self::Enter => Action::Enter,
            Self::Reach { node } => Action::Reach { node: node.clone() },
            Self::Recording { action, owner, .. } => {
                Action::Recording { action, owner: owner.clone() }
            }
            Self::Admin { right } => Action::Admin { right },
        }
    }
}

/// The core's answer: each rule that was looked at, and what follows from them.
#[derive(Debug)]
pub(crate) struct Judgement<'i> {
    pub(crate) steps: Vec<Step>,
    /// The person as things stand, whatever the certificate says.
    pub(crate) who: Cow<'i, Identity>,
    /// The rule that allows, or the denial.
    pub(crate) outcome: Result<String, Denial>,
}

/// Decides. What goes on outlives the certificate where the terms say so.
pub(crate) fn judge<'i>(
    roles: &RoleSet,
    who: &'i Identity,
    question: Question<'_>,
    now: Time,
) -> Judgement<'i> {
    let deny = |why| Denial::new(Some(&who.user), question.action(), why);
    let who = match lock::as_things_stand(roles, who) {
        Ok(who) => who,
        Err(why) => {
            let (rule, says) = ("account".to_owned(), Says::Deny);
            let steps = vec![Step { rule, says, why: why.to_string() }];
            return Judgement { steps, outcome: Err(deny(why)), who: Cow::Borrowed(who) };
        }
    };
    let mut bench = Bench { who: &who, now, steps: Vec::new(), bound: None };
    let outlives = match question {
        Question::GoOn { node, login, .. } | Question::ForwardOn { node, login, .. } => {
            !terms(roles, &who, Some((&node.labels, login))).disconnect_expired
        }
        _ => false,
    };
    if now >= who.expires && !outlives {
        bench.bound("certificate: life", "the certificate has expired".to_owned());
    }
    // To come to the door, and to where the session is, is part of the way.
    let by_link = matches!(
        question,
        Question::Join { by: Some(_), .. }
            | Question::SeatOn { by: Some(_), .. }
            | Question::Speak { .. }
            | Question::Enter
            | Question::Reach { .. }
    );
    if who.user.is_guest() && !by_link {
        bench.bound("guest", "who has no account may only come by a link".to_owned());
    }
    if let Some(only) = who.only() {
        bench.check_only(roles, only, &question);
    }
    let outcome = match lock::on(roles, &who, &question, now) {
        Some(lock) => bench.locked(lock),
        None => bench.hear(roles, question),
    };
    let (steps, outcome) = (bench.steps, outcome.map_err(deny));
    Judgement { steps, who, outcome }
}

struct Bench<'b> {
    who: &'b Identity,
    now: Time,
    steps: Vec<Step>,
    bound: Option<String>,
}

impl Bench<'_> {
    fn hear(&mut self, roles: &RoleSet, question: Question<'_>) -> Result<String, Why> {
        match question {
            Question::Login { node, login } | Question::GoOn { node, login, .. } => {
                self.hear_login(roles, node, login)
            }
            Question::Speak { .. } | Question::Enter | Question::Reach { .. } => self.hear_bound(),
            Question::Forward { node, login, what } | Question::ForwardOn { node, login, what } => {
                self.hear_login(roles, node, login)?;
                self.hear_eyes(roles, node, login)?;
                self.hear_forward(roles, node, what)
            }
            Question::Join { node, session, seat, by }
            | Question::SeatOn { node, session, seat, by } => {
                self.hear_join(roles, node, session, seat, by)
            }
            Question::Return { node, session } => self.hear_return(roles, node, session),
            Question::Share { node, session, seat, guests } => {
                self.hear_share(roles, node, session, seat, guests)
            }
            Question::Recording { action, owner, labels } => {
                let word = action_word(action);
                self.hear_roles(
                    roles,
                    |bench, name, role| bench.recording(name, role, action, owner, labels),
                    || format!("allow.recordings.{word} that covers recordings of {owner}"),
                )
            }
            Question::Admin { right } => self.hear_roles(
                roles,
                |bench, name, role| bench.admin(name, role, right),
                || format!("allow.admin with `{}`", right_word(right)),
            ),
        }
    }

    /// Only locks and the certificate have a say.
    fn hear_bound(&mut self) -> Result<String, Why> {
        match &self.bound {
            Some(bound) => Err(Why::Bounded { bound: bound.clone() }),
            None => Ok("nothing forbids it".to_owned()),
        }
    }

    /// A lock beats everything, the life of the certificate included: the ledger shall name it.
    fn locked(&mut self, lock: &Lock) -> Result<String, Why> {
        let rule = format!("lock {}", lock.id);
        let why =
            format!("{} is locked by {}: {}", lock.target, lock.creator, lock.reason.as_str());
        self.steps.push(Step { rule, says: Says::Deny, why });
        Err(Why::Locked(lock.clone()))
    }

    fn hear_login(
        &mut self,
        roles: &RoleSet,
        node: &NodeFacts,
        login: &Login,
    ) -> Result<String, Why> {
        self.check_principal(login);
        let missing = || {
            let labels = show_labels(&node.labels);
            format!(
                "allow.logins with `{login}` in a role whose allow.nodes matches {} ({labels})",
                node.name
            )
        };
        self.hear_roles(
            roles,
            |bench, name, role| {
                bench.forbidden_login(name, role, login);
                bench.forbidden_node(name, role, node);
                bench.login(name, role, node, login);
            },
            missing,
        )
    }

    /// What goes over a connection beside its sessions nobody can look at, so it is no way around four eyes.
    fn hear_eyes(&mut self, roles: &RoleSet, node: &NodeFacts, login: &Login) -> Result<(), Why> {
        let demands = terms(roles, self.who, Some((&node.labels, login))).four_eyes;
        let Some(demand) = demands.first() else { return Ok(()) };
        let rule = format!("role {}: options.four_eyes", demand.role);
        let why =
            "a second person must be there, and nobody can look at what is forwarded".to_owned();
        self.steps.push(Step { rule: rule.clone(), says: Says::Deny, why: why.clone() });
        Err(Why::Forbidden { rule, why })
    }

    fn hear_forward(
        &mut self,
        roles: &RoleSet,
        node: &NodeFacts,
        what: Forwarding,
    ) -> Result<String, Why> {
        self.check_extension(what);
        let login_steps = self.steps.len();
        let missing = || {
            let (word, labels) = (what.word(), show_labels(&node.labels));
            format!(
                "allow.forward with `{word}` in a role whose allow.nodes matches {} ({labels})",
                node.name
            )
        };
        self.hear_roles_from(
            login_steps,
            roles,
            |bench, name, role| bench.forward(name, role, node, what),
            missing,
        )
    }

    fn hear_roles(
        &mut self,
        roles: &RoleSet,
        ask: impl Fn(&mut Self, &RoleName, &Role),
        missing: impl Fn() -> String,
    ) -> Result<String, Why> {
        self.hear_roles_from(0, roles, ask, missing)
    }

    /// Asks every role, then weighs the steps from `first` on: a bound beats deny, deny beats allow, nothing is deny.
    fn hear_roles_from(
        &mut self,
        first: usize,
        roles: &RoleSet,
        ask: impl Fn(&mut Self, &RoleName, &Role),
        missing: impl Fn() -> String,
    ) -> Result<String, Why> {
        let who = self.who;
        for name in &who.roles {
            match roles.roles.get(name) {
                Some(role) => ask(self, name, role),
                None => self.step(name, "", Says::Nothing, "there is no such role".to_owned()),
            }
        }
        if who.roles.is_empty() {
            let why = format!("{} has no role", who.user);
            self.steps.push(Step { rule: "roles".to_owned(), says: Says::Nothing, why });
        }
        if let Some(bound) = &self.bound {
            return Err(Why::Bounded { bound: bound.clone() });
        }
        let said = |says| self.steps.iter().skip(first).find(move |step| step.says == says);
        if let Some(step) = said(Says::Deny) {
            return Err(Why::Forbidden { rule: step.rule.clone(), why: step.why.clone() });
        }
        match said(Says::Allow) {
            Some(step) => Ok(format!("{} allows it: {}", step.rule, step.why)),
            None => Err(Why::Missing { rule: missing() }),
        }
    }

    // What the certificate sets

    fn check_principal(&mut self, login: &Login) {
        let Some(paper) = &self.who.certificate else { return };
        let rule = "certificate: principals";
        if paper.principals.contains(login) {
            let why = format!("the certificate names {login}");
            self.steps.push(Step { rule: rule.to_owned(), says: Says::Nothing, why });
        } else {
            let names: Vec<_> = paper.principals.iter().map(Login::as_str).collect();
            let why = match names.is_empty() {
                true => "the certificate names no login".to_owned(),
                false => format!("the certificate names only {}", names.join(", ")),
            };
            self.bound(rule, why);
        }
    }

    /// A certificate for one terminal counts where it was signed for, and for that.
    fn check_only(&mut self, roles: &RoleSet, only: &Only, question: &Question<'_>) {
        let rule = "certificate: only@scry";
        let (node, session) = lock::place(roles, question);
        if node.is_some_and(|node| *node != only.node) {
            self.bound(rule, format!("the certificate is for {} only", only.node));
        }
        let meant = match (question, &only.purpose) {
            (Question::Enter | Question::Reach { .. }, _) => true,
            (Question::Login { login, .. } | Question::GoOn { login, .. }, Purpose::Login(own)) => {
                *login == own
            }
            (Question::Login { .. }, Purpose::Session(_))
            | (
                Question::Forward { .. }
                | Question::ForwardOn { .. }
                | Question::Share { .. }
                | Question::Recording { .. }
                | Question::Admin { .. },
                _,
            ) => false,
            (_, Purpose::Session(own)) => session == Some(*own),
            (_, Purpose::Login(_)) => false,
        };
        if !meant {
            self.bound(
                rule,
                format!("the certificate is for one terminal only ({})", only.purpose),
            );
        }
    }

    fn check_extension(&mut self, what: Forwarding) {
        let Some(paper) = &self.who.certificate else { return };
        let (permitted, extension) = match what {
            Forwarding::Agent => (paper.permits_agent, "permit-agent-forwarding"),
            Forwarding::X11 => (paper.permits_x11, "permit-X11-forwarding"),
            Forwarding::Local | Forwarding::Remote => {
                (paper.permits_ports, "permit-port-forwarding")
            }
        };
        if !permitted {
            self.bound("certificate: extensions", format!("the certificate has no {extension}"));
        }
    }

    fn bound(&mut self, rule: &str, why: String) {
        self.bound.get_or_insert_with(|| why.clone());
        self.steps.push(Step { rule: rule.to_owned(), says: Says::Deny, why });
    }

    // What one role says

    fn step(&mut self, name: &RoleName, rule: &str, says: Says, why: String) {
        let rule = match rule {
            "" => format!("role {name}"),
            rule => format!("role {name}: {rule}"),
        };
        self.steps.push(Step { rule, says, why });
    }

    fn forbidden_login(&mut self, name: &RoleName, role: &Role, login: &Login) {
        if let Some(pattern) = matching_login(&role.deny.logins, self.who, login) {
            self.step(name, "deny.logins", Says::Deny, format!("it names `{pattern}`"));
        }
    }

    fn forbidden_node(&mut self, name: &RoleName, role: &Role, node: &NodeFacts) {
        if matches_labels(&role.deny.nodes, &node.labels) {
            let why = format!("it matches {} ({})", node.name, show_condition(&role.deny.nodes));
            self.step(name, "deny.nodes", Says::Deny, why);
        }
    }

    fn login(&mut self, name: &RoleName, role: &Role, node: &NodeFacts, login: &Login) {
        let Some(pattern) = matching_login(&role.allow.logins, self.who, login) else {
            let why = match role.allow.logins.is_empty() {
                true => "it allows no logins".to_owned(),
                false => format!("{login} is not among {}", role.allow.logins.join(", ")),
            };
            return self.step(name, "allow.logins", Says::Nothing, why);
        };
        if self.reaches(name, role, node) {
            let condition = show_condition(&role.allow.nodes);
            let why = format!("`{pattern}` is {login}, and {} matches {condition}", node.name);
            self.step(name, "allow.logins", Says::Allow, why);
        }
    }

    fn forward(&mut self, name: &RoleName, role: &Role, node: &NodeFacts, what: Forwarding) {
        let word = what.word();
        if !role.allow.forward.contains(&what) {
            return self.step(name, "allow.forward", Says::Nothing, format!("{word} is not in it"));
        }
        if self.reaches(name, role, node) {
            let why = format!("{word} is in it, and it matches {}", node.name);
            self.step(name, "allow.forward", Says::Allow, why);
        }
    }

    fn reaches(&mut self, name: &RoleName, role: &Role, node: &NodeFacts) -> bool {
        let matches = matches_labels(&role.allow.nodes, &node.labels);
        if !matches {
            let (condition, labels) =
                (show_condition(&role.allow.nodes), show_labels(&node.labels));
            let why = format!("{condition} does not match {} ({labels})", node.name);
            self.step(name, "allow.nodes", Says::Nothing, why);
        }
        matches
    }

    fn recording(
        &mut self,
        name: &RoleName,
        role: &Role,
        action: RecordingAction,
        owner: &UserName,
        labels: &Labels,
    ) {
        let (says, why) = match role.allow.recordings.get(&action) {
            None => (Says::Nothing, "nothing is said".to_owned()),
            Some(Reading::None) => (Says::Nothing, "nobody's".to_owned()),
            Some(Reading::All) => (Says::Allow, "everybody's".to_owned()),
            Some(Reading::Own) if *owner == self.who.user => (Says::Allow, "one's own".to_owned()),
            Some(Reading::Own) => (Says::Nothing, format!("one's own, and this is {owner}'s")),
            Some(Reading::Nodes(condition)) => {
                let matches = matches_labels(condition, labels);
                let says = if matches { Says::Allow } else { Says::Nothing };
                let (condition, labels) = (show_condition(condition), show_labels(labels));
                let verb = if matches { "matches" } else { "does not match" };
                (says, format!("{condition} {verb} the node it was made on ({labels})"))
            }
        };
        self.step(name, &format!("allow.recordings.{}", action_word(action)), says, why);
    }

    fn admin(&mut self, name: &RoleName, role: &Role, right: AdminRight) {
        let (says, why) = match role.allow.admin.contains(&right) {
            true => (Says::Allow, format!("{} is in it", right_word(right))),
            false => (Says::Nothing, format!("{} is not in it", right_word(right))),
        };
        self.step(name, "allow.admin", says, why);
    }
}

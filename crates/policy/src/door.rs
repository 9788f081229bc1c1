//! The typed doors: each asks the core one kind of question and turns a yes into a permit that cannot be made elsewhere.

use crate::denial::Denial;
use crate::identity::Identity;
use crate::judge::{Judgement, Question, Step, judge};
use crate::plan::login_names;
use crate::rule::{Condition, matches_labels};
use crate::terms::{Terms, terms};
use model::role::{AdminRight, Forwarding, Labels, NodeFacts, Reading, RecordingAction, RoleSet};
use model::{Login, NodeName, RoleName, SessionId, Time, UserName};

/// Leave to run sessions as one login on one node. Neither copied nor sent: whoever holds it was decided about.
#[derive(Debug, PartialEq, Eq)]
pub struct LoginPermit {
    user: UserName,
    login: Login,
    node: NodeName,
    terms: Terms,
    expires: Time,
    serial: u64,
    pty: bool,
    roles: Vec<RoleName>,
    labels: Labels,
}

impl LoginPermit {
    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// As whom.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Where.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// With which roles, whether they exist or not.
    #[must_use]
    pub fn roles(&self) -> &[RoleName] {
        &self.roles
    }

    /// Labels of the node when it was decided.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// On which terms.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// First moment at which it no longer counts.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// Serial number of the certificate; 0 without one.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether a terminal may be asked for.
    #[must_use]
    pub fn permits_pty(&self) -> bool {
        self.pty
    }

    /// Whether a command or a shell may run without a terminal. Where each file is approved it may not: its streams carry
    /// files that nobody sees, whatever it is called.
    #[must_use]
    pub fn permits_streams(&self) -> bool {
        !self.terms.approves_files()
    }
}

/// Leave to forward one kind of thing over a connection to one node.
#[derive(Debug, PartialEq, Eq)]
pub struct ForwardPermit {
    user: UserName,
    login: Login,
    node: NodeName,
    what: Forwarding,
    expires: Time,
}

impl ForwardPermit {
    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// With whose rights on the node.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Where.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// What.
    #[must_use]
    pub fn what(&self) -> Forwarding {
        self.what
    }

    /// First moment at which it no longer counts.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.expires
    }
}

/// Leave to do one thing with recordings of one owner, made on nodes with the labels that were decided about.
#[derive(Debug, PartialEq, Eq)]
pub struct RecordingPermit {
    user: UserName,
    action: RecordingAction,
    owner: UserName,
}

impl RecordingPermit {
    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// What.
    #[must_use]
    pub fn action(&self) -> RecordingAction {
        self.action
    }

    /// Whose.
    #[must_use]
    pub fn owner(&self) -> &UserName {
        &self.owner
    }
}

/// Leave to administer a part of the cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct AdminPermit {
    user: UserName,
    right: AdminRight,
}

impl AdminPermit {
    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Which part.
    #[must_use]
    pub fn right(&self) -> AdminRight {
        self.right
    }
}

/// A decision about a login with its whole reasoning. The same core as [`login`]: they cannot differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Whether it is allowed.
    pub allowed: bool,
    /// One sentence: the rule that allows it, forbids it, or is missing.
    pub because: String,
    /// Each rule that was looked at, in order.
    pub steps: Vec<Step>,
    /// The terms; none if it is denied.
    pub terms: Option<Terms>,
}

/// May this person log in there as that? Decide it when the connection opens, and again for each session of it.
///
/// # Errors
/// The [`Denial`], to be audited; the person gets [`Denial::public`].
pub fn login(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    login: &Login,
    now: Time,
) -> Result<LoginPermit, Denial> {
    let Judgement { who, outcome, .. } = judge(roles, who, Question::Login { node, login }, now);
    outcome?;
    Ok(LoginPermit {
        user: who.user.clone(),
        login: login.clone(),
        node: node.name.clone(),
        terms: terms(roles, &who, Some((&node.labels, login))),
        expires: who.expires,
        serial: who.serial(),
        pty: who.permits_pty(),
        roles: who.roles.iter().cloned().collect(),
        labels: node.labels.clone(),
    })
}

/// May this person forward that over a connection that they opened as `login`? The login is decided again with it.
///
/// # Errors
/// The [`Denial`], as for [`login`].
pub fn forward(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    login: &Login,
    what: Forwarding,
    now: Time,
) -> Result<ForwardPermit, Denial> {
    judge(roles, who, Question::Forward { node, login, what }, now).outcome?;
    let (user, login, node) = (who.user.clone(), login.clone(), node.name.clone());
    Ok(ForwardPermit { user, login, node, what, expires: who.expires })
}

/// May what this person opened go on: the whole connection, or one session of it? Decide it anew whenever the role set
/// has changed; its locks and corrections count at once. Where the terms let sessions outlive the certificate, its life
/// is no question here.
///
/// # Errors
/// The [`Denial`], as for [`login`]; the person gets [`Denial::farewell`].
pub fn go_on(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    login: &Login,
    session: Option<SessionId>,
    now: Time,
) -> Result<(), Denial> {
    judge(roles, who, Question::GoOn { node, login, session }, now).outcome.map(drop)
}

/// May what goes over a connection beside its sessions go on? As [`go_on`], and the right to forward besides.
///
/// # Errors
/// The [`Denial`], as for [`go_on`].
pub fn forward_goes_on(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    login: &Login,
    what: Forwarding,
    now: Time,
) -> Result<(), Denial> {
    judge(roles, who, Question::ForwardOn { node, login, what }, now).outcome.map(drop)
}

/// May this person use the cluster at all: be given certificates, and ask auth for anything?
///
/// # Errors
/// The [`Denial`], as for [`login`].
pub fn enter(roles: &RoleSet, who: &Identity, now: Time) -> Result<(), Denial> {
    judge(roles, who, Question::Enter, now).outcome.map(drop)
}

/// May this person be carried to that node? The proxy asks; what they may do there is the node's to decide.
///
/// # Errors
/// The [`Denial`], as for [`login`].
pub fn reach(roles: &RoleSet, who: &Identity, node: &NodeName, now: Time) -> Result<(), Denial> {
    judge(roles, who, Question::Reach { node }, now).outcome.map(drop)
}

/// May this person do that with a recording of `owner`, made on a node with these labels?
///
/// # Errors
/// The [`Denial`], as for [`login`].
pub fn recording(
    roles: &RoleSet,
    who: &Identity,
    action: RecordingAction,
    owner: &UserName,
    node_labels: &Labels,
    now: Time,
) -> Result<RecordingPermit, Denial> {
    let question = Question::Recording { action, owner, labels: node_labels };
    judge(roles, who, question, now).outcome?;
    Ok(RecordingPermit { user: who.user.clone(), action, owner: owner.clone() })
}

/// May this person administer that part?
///
/// # Errors
/// The [`Denial`], as for [`login`].
pub fn admin(
    roles: &RoleSet,
    who: &Identity,
    right: AdminRight,
    now: Time,
) -> Result<AdminPermit, Denial> {
    judge(roles, who, Question::Admin { right }, now).outcome?;
    Ok(AdminPermit { user: who.user.clone(), right })
}

/// Why may, or may not, this person log in there as that?
#[must_use]
pub fn explain(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    login: &Login,
    now: Time,
) -> Trace {
    let Judgement { steps, who, outcome } = judge(roles, who, Question::Login { node, login }, now);
    let allowed = outcome.is_ok();
    let because = outcome.unwrap_or_else(|denial| denial.to_string());
    let terms = allowed.then(|| terms(roles, &who, Some((&node.labels, login))));
    Trace { allowed, because, steps, terms }
}

/// The logins that this person may use on that node, for lists.
#[must_use]
pub fn logins_on(roles: &RoleSet, who: &Identity, node: &NodeFacts, now: Time) -> Vec<Login> {
    let may =
        |login: &Login| judge(roles, who, Question::Login { node, login }, now).outcome.is_ok();
    login_names(roles, who, now).into_iter().filter(may).collect()
}

/// Whose recordings a person may do something with: the answers of [`recording`] to all questions at once, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// Nobody's.
    None,
    /// Their own.
    Own,
    /// Those made on nodes that meet any of these conditions and, if so said, their own.
    Nodes {
        /// Whether their own besides.
        own: bool,
        /// Conditions on the node's labels; each key must be there with one of its values, `*` being any.
        any_of: Vec<Condition>,
    },
    /// Everybody's.
    All,
}

impl Readable {
    /// Whether a recording of `owner`, made on a node with these labels, is among them for `reader`.
    #[must_use]
    pub fn covers(&self, reader: &UserName, owner: &UserName, node_labels: &Labels) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Own => reader == owner,
            Self::Nodes { own, any_of } => {
                let met = any_of.iter().any(|condition| matches_labels(condition, node_labels));
                met || (*own && reader == owner)
            }
        }
    }
}

/// Whose recordings this person may list, play, export or remove.
#[must_use]
pub fn readable(roles: &RoleSet, who: &Identity, action: RecordingAction, now: Time) -> Readable {
    let judged = judge(roles, who, Question::Enter, now);
    if judged.outcome.is_err() {
        return Readable::None;
    }
    let held = judged.who.roles.iter().filter_map(|name| roles.roles.get(name));
    let (mut own, mut any_of) = (false, Vec::new());
    for reading in held.filter_map(|role| role.allow.recordings.get(&action)) {
        match reading {
            Reading::None => {}
            Reading::Own => own = true,
            Reading::Nodes(condition) => any_of.push(condition.clone()),
            Reading::All => return Readable::All,
        }
    }
    match (own, any_of.is_empty()) {
        (false, true) => Readable::None,
        (true, true) => Readable::Own,
        (own, false) => Readable::Nodes { own, any_of },
    }
}

//! What the core hears about joining a running session, about coming back to one's own, and about letting others into it.

use super::{Bench, Says, Step};
use crate::denial::{LinkFault, Why};
use crate::lock;
use crate::rule::{ANY, matches_labels, show_labels};
use crate::seat::{Grant, SessionFacts};
use model::role::{JoinRule, NodeFacts, Role, RoleSet};
use model::{RoleName, SeatRole};

impl Bench<'_> {
    pub(super) fn hear_join(
        &mut self,
        roles: &RoleSet,
        node: &NodeFacts,
        session: SessionFacts<'_>,
        seat: SeatRole,
        by: Option<Grant<'_>>,
    ) -> Result<String, Why> {
        self.check_terminal();
        self.own_session(session, seat);
        let owned = Owned { node, session, roles: lock::roles_of_owner(roles, session) };
        if let Some(grant) = by {
            self.by_link(roles, &owned, seat, grant)?;
        }
        let missing = || {
            let (who, at, labels) = (owned.show(), &node.name, show_labels(&node.labels));
            format!("allow.join with `{seat}` for sessions of {who} on {at} ({labels})")
        };
        self.hear_roles(
            roles,
            |bench, name, role| {
                bench.forbidden_seat(name, role, seat);
                bench.forbidden_node(name, role, node);
                // Who types does so as the login, whoever opened the session.
                if seat == SeatRole::Peer {
                    bench.forbidden_login(name, role, session.login);
                }
                bench.join(name, role, &owned, seat);
            },
            missing,
        )
    }

    /// Whoever comes back types as the login, so all that a new session asks for is asked for again.
    pub(super) fn hear_return(
        &mut self,
        roles: &RoleSet,
        node: &NodeFacts,
        session: SessionFacts<'_>,
    ) -> Result<String, Why> {
        self.check_terminal();
        self.only_the_owner(session, "only its owner comes back to it");
        self.hear_login(roles, node, session.login)
    }

    pub(super) fn hear_share(
        &mut self,
        roles: &RoleSet,
        node: &NodeFacts,
        session: SessionFacts<'_>,
        seat: SeatRole,
        guests: bool,
    ) -> Result<String, Why> {
        self.only_the_owner(session, "only its owner shares it");
        let shares = self.hear_roles(
            roles,
            |bench, name, role| bench.share(name, role, node, seat, Sharing::Members),
            || Sharing::Members.missing(node, seat),
        )?;
        if !guests {
            return Ok(shares);
        }
        let first = self.steps.len();
        self.hear_roles_from(
            first,
            roles,
            |bench, name, role| bench.share(name, role, node, seat, Sharing::Guests),
            || Sharing::Guests.missing(node, seat),
        )
    }

    fn share(
        &mut self,
        name: &RoleName,
        role: &Role,
        node: &NodeFacts,
        seat: SeatRole,
        with: Sharing,
    ) {
        let (says, why) = match with.seats(role).contains(&seat) {
            false => (Says::Nothing, format!("{seat} is not in it")),
            true if counts_on(role, node) => {
                (Says::Allow, format!("{seat} is in it, and it counts on {}", node.name))
            }
            true => (Says::Nothing, format!("its allow.nodes does not match {}", node.name)),
        };
        self.step(name, with.word(), says, why);
    }

    /// Whoever came by a link comes by nothing else: what their roles allow beside it does not keep a seat whose link is over.
    fn by_link(
        &mut self,
        roles: &RoleSet,
        owned: &Owned<'_>,
        seat: SeatRole,
        grant: Grant<'_>,
    ) -> Result<(), Why> {
        let link = grant.link;
        let held = || owned.roles.iter().filter_map(|name| roles.roles.get(name));
        let shares = |with: Sharing| {
            held().any(|role| with.seats(role).contains(&seat) && counts_on(role, owned.node))
        };
        let is_guest = self.who.user.is_guest();
        let fault = if *grant.user != self.who.user {
            Some(LinkFault::OtherUser)
        } else if grant.session != owned.session.id {
            Some(LinkFault::OtherSession)
        } else if grant.seat != seat {
            Some(LinkFault::OtherSeat)
        } else if roles.revoked.contains(&link) {
            Some(LinkFault::Revoked)
        } else if self.now >= grant.expires {
            Some(LinkFault::Expired)
        } else if !shares(Sharing::Members) {
            Some(LinkFault::NotShared)
        } else if is_guest && !(grant.guests && shares(Sharing::Guests)) {
            Some(LinkFault::NotForGuests)
        } else {
            None
        };
        let (says, why) = match fault {
            None => (Says::Allow, format!("it gives `{seat}`, and {} may", owned.show())),
            Some(fault) => (Says::Deny, fault.to_string()),
        };
        self.steps.push(Step { rule: format!("link {link}"), says, why });
        match (fault, &self.bound) {
            (Some(fault), None) => Err(Why::Link { link, fault }),
            _ => Ok(()),
        }
    }

    /// Whoever sits in a session needs a terminal.
    fn check_terminal(&mut self) {
        if !self.who.permits_pty() {
            self.bound("certificate: extensions", "the certificate has no permit-pty".to_owned());
        }
    }

    fn only_the_owner(&mut self, session: SessionFacts<'_>, only: &str) {
        if *session.owner != self.who.user {
            let why = format!("it is {}'s, and {only}", session.owner);
            self.steps.push(Step { rule: "own session".to_owned(), says: Says::Deny, why });
        }
    }

    fn own_session(&mut self, session: SessionFacts<'_>, seat: SeatRole) {
        if *session.owner != self.who.user {
            return;
        }
        let (says, why) = match seat {
            SeatRole::Observer | SeatRole::Peer => {
                (Says::Allow, format!("it is {}'s own", session.owner))
            }
            SeatRole::Moderator => {
                (Says::Deny, "nobody is the moderator of their own session".to_owned())
            }
        };
        self.steps.push(Step { rule: "own session".to_owned(), says, why });
    }

    fn forbidden_seat(&mut self, name: &RoleName, role: &Role, seat: SeatRole) {
        if role.deny.join.contains(&seat) {
            self.step(name, "deny.join", Says::Deny, format!("it names `{seat}`"));
        }
    }

    fn join(&mut self, name: &RoleName, role: &Role, owned: &Owned<'_>, seat: SeatRole) {
        let Some(pattern) = role.allow.join.iter().find_map(|rule| owned.fits(rule, seat)) else {
            let why = match role.allow.join.is_empty() {
                true => "it lets nobody's sessions be joined".to_owned(),
                false => format!(
                    "none of its rules has `{seat}` for {} on {} ({})",
                    owned.show(),
                    owned.node.name,
                    show_labels(&owned.node.labels)
                ),
            };
            return self.step(name, "allow.join", Says::Nothing, why);
        };
        let owner = owned.session.owner;
        let whose = match pattern {
            ANY => "`*` is anybody".to_owned(),
            role => format!("{owner} holds `{role}`"),
        };
        let why = format!("{whose}, `{seat}` is in it, and it matches {}", owned.node.name);
        self.step(name, "allow.join", Says::Allow, why);
    }
}

/// With whom a session is shared.
#[derive(Clone, Copy)]
enum Sharing {
    /// Who has an account.
    Members,
    /// Who has none.
    Guests,
}

impl Sharing {
    fn seats(self, role: &Role) -> &[SeatRole] {
        match self {
            Self::Members => &role.allow.share,
            Self::Guests => &role.allow.guests,
        }
    }

    /// The rule that allows it.
    fn word(self) -> &'static str {
        match self {
            Self::Members => "allow.share",
            Self::Guests => "allow.guests",
        }
    }

    fn missing(self, node: &NodeFacts, seat: SeatRole) -> String {
        let (rule, labels) = (self.word(), show_labels(&node.labels));
        format!("{rule} with `{seat}` in a role that counts on {} ({labels})", node.name)
    }
}

/// Whether what a role lets its holders share counts on this node: a role that names nodes speaks of those only.
fn counts_on(role: &Role, node: &NodeFacts) -> bool {
    role.allow.nodes.is_empty() || matches_labels(&role.allow.nodes, &node.labels)
}

/// A session where it runs, with its owner's roles as things stand.
struct Owned<'q> {
    node: &'q NodeFacts,
    session: SessionFacts<'q>,
    roles: &'q [RoleName],
}

impl Owned<'_> {
    /// The word of a rule that stands for the owner, if all conditions of the rule hold.
    fn fits<'r>(&self, rule: &'r JoinRule, seat: SeatRole) -> Option<&'r str> {
        let here = rule.nodes.is_empty() || matches_labels(&rule.nodes, &self.node.labels);
        if !here || !rule.seats.contains(&seat) {
            return None;
        }
        let holds = |name: &str| self.roles.iter().any(|role| role.as_str() == name);
        rule.roles.iter().map(String::as_str).find(|name| *name == ANY || holds(name))
    }

    /// The owner and their roles, for traces.
    fn show(&self) -> String {
        let names: Vec<_> = self.roles.iter().map(RoleName::as_str).collect();
        match names.is_empty() {
            true => format!("{} (no role)", self.session.owner),
            false => format!("{} ({})", self.session.owner, names.join(", ")),
        }
    }
}

//! The doors of running sessions: who may join them as what, who may come back to their own, who may let others in, and for
//! whose four eyes that counts.

use crate::denial::Denial;
use crate::door::Trace;
use crate::identity::Identity;
use crate::judge::{Judgement, Question, judge};
use crate::rule::ANY;
use crate::terms::Demand;
use model::role::{FourEyes, NodeFacts, RoleSet};
use model::{LinkId, Login, NodeName, RoleName, SeatRole, SessionId, Time, UserName};

/// What a decision needs to know of a running session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionFacts<'s> {
    /// Which.
    pub id: SessionId,
    /// Who opened it.
    pub owner: &'s UserName,
    /// The owner's roles when it was opened. Where auth has changed them since, what holds now counts.
    pub roles: &'s [RoleName],
    /// As whom it runs.
    pub login: &'s Login,
}

/// What a link gives to somebody, as auth says: it has checked the code, and counted the use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'g> {
    /// Number of the link.
    pub link: LinkId,
    /// Into which session.
    pub session: SessionId,
    /// As what.
    pub seat: SeatRole,
    /// To whom.
    pub user: &'g UserName,
    /// Whether it is for people who have no account, too.
    pub guests: bool,
    /// First moment at which it no longer counts.
    pub expires: Time,
}

/// Leave to let others into one session of one's own as one thing. Neither copied nor sent.
#[derive(Debug, PartialEq, Eq)]
pub struct SharePermit {
    owner: UserName,
    node: NodeName,
    session: SessionId,
    seat: SeatRole,
    guests: bool,
}

impl SharePermit {
    /// Whose session it is, and who shares it.
    #[must_use]
    pub fn owner(&self) -> &UserName {
        &self.owner
    }

    /// Where it runs.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Which.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// As what others may come.
    #[must_use]
    pub fn seat(&self) -> SeatRole {
        self.seat
    }

    /// Whether people who have no account may come, too.
    #[must_use]
    pub fn guests(&self) -> bool {
        self.guests
    }
}

/// Leave to sit in one session as one thing. Neither copied nor sent: whoever holds it was decided about.
#[derive(Debug, PartialEq, Eq)]
pub struct SeatPermit {
    user: UserName,
    session: SessionId,
    seat: SeatRole,
    expires: Time,
    serial: u64,
}

impl SeatPermit {
    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// In which session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// As what.
    #[must_use]
    pub fn seat(&self) -> SeatRole {
        self.seat
    }

    /// First moment at which it no longer counts; no terms let a seat outlive the certificate, nor the link it came by.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// Serial number of the certificate; 0 without one.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

/// Leave to come back to one session of one's own, whose connection was lost or lies somewhere else, and to type in it.
/// Neither copied nor sent.
#[derive(Debug, PartialEq, Eq)]
pub struct ReturnPermit {
    owner: UserName,
    session: SessionId,
    serial: u64,
}

impl ReturnPermit {
    /// Whose session it is, and who comes back.
    #[must_use]
    pub fn owner(&self) -> &UserName {
        &self.owner
    }

    /// Which.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Serial number of the certificate; 0 without one.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

/// May this person come back to that session, which runs on that node? Nobody but its owner, where they may log in there as
/// they did, and have a terminal. How long it goes on is decided by what it was opened with ([`crate::go_on`]).
///
/// # Errors
/// The [`Denial`], as for [`crate::login`].
pub fn come_back(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    session: &SessionFacts<'_>,
    now: Time,
) -> Result<ReturnPermit, Denial> {
    let session = *session;
    judge(roles, who, Question::Return { node, session }, now).outcome?;
    Ok(ReturnPermit { owner: who.user.clone(), session: session.id, serial: who.serial() })
}

/// May this person join that session, which runs on that node, as this: by rules of their own, or `by` a link? What one role
/// forbids stays forbidden either way.
///
/// # Errors
/// The [`Denial`], as for [`crate::login`]; [`crate::Why::Link`] if it is the link that does not give it.
pub fn join(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    session: &SessionFacts<'_>,
    seat: SeatRole,
    by: Option<Grant<'_>>,
    now: Time,
) -> Result<SeatPermit, Denial> {
    let session = *session;
    judge(roles, who, Question::Join { node, session, seat, by }, now).outcome?;
    let expires = by.map_or(who.expires, |grant| grant.expires.min(who.expires));
    Ok(SeatPermit {
        user: who.user.clone(),
        session: session.id,
        seat,
        expires,
        serial: who.serial(),
    })
}

/// May this person stay in that session as this? Decide it anew whenever the role set has changed, and when
/// [`SeatPermit::expires`] is reached; unlike [`crate::go_on`], nothing goes on without a certificate that counts.
///
/// # Errors
/// The [`Denial`], as for [`join`]; the person gets [`Denial::farewell`].
pub fn seat_goes_on(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    session: &SessionFacts<'_>,
    seat: SeatRole,
    by: Option<Grant<'_>>,
    now: Time,
) -> Result<(), Denial> {
    let session = *session;
    judge(roles, who, Question::SeatOn { node, session, seat, by }, now).outcome.map(drop)
}

/// May this person speak with those who are in that session? Whoever is not in it is heard by nobody: that they own it or sit
/// there is the node's to see, and what they may ask for is their seat's.
///
/// # Errors
/// The [`Denial`], as for [`crate::login`].
pub fn speak(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    session: &SessionFacts<'_>,
    now: Time,
) -> Result<(), Denial> {
    judge(roles, who, Question::Speak { node, session: *session }, now).outcome.map(drop)
}

/// May this person let others into that session, which runs on that node, as this; and `guests`, who have no account?
///
/// # Errors
/// The [`Denial`], as for [`crate::login`].
pub fn share(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    session: &SessionFacts<'_>,
    seat: SeatRole,
    guests: bool,
    now: Time,
) -> Result<SharePermit, Denial> {
    let session = *session;
    judge(roles, who, Question::Share { node, session, seat, guests }, now).outcome?;
    let (owner, node) = (who.user.clone(), node.name.clone());
    Ok(SharePermit { owner, node, session: session.id, seat, guests })
}

/// As what this person may join that session, for lists.
#[must_use]
pub fn seats(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    session: &SessionFacts<'_>,
    now: Time,
) -> Vec<SeatRole> {
    let may = |seat: &SeatRole| join(roles, who, node, session, *seat, None, now).is_ok();
    SeatRole::ALL.into_iter().filter(may).collect()
}

/// Why may, or may not, this person join that session as this? The terms are those of its owner, so none.
#[must_use]
pub fn explain_join(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    session: &SessionFacts<'_>,
    seat: SeatRole,
    now: Time,
) -> Trace {
    let question = Question::Join { node, session: *session, seat, by: None };
    let Judgement { steps, outcome, .. } = judge(roles, who, question, now);
    let allowed = outcome.is_ok();
    let because = outcome.unwrap_or_else(|denial| denial.to_string());
    Trace { allowed, because, steps, terms: None }
}

/// For which demands of a session this person counts while sitting there as `seat`: numbers of a demand in `demands` and
/// of an alternative in it. What counts is which roles the person holds as things stand. Nobody counts in a session of
/// their own, nor does who is locked out, nor a guest; and one person is one, in however many seats: the caller sees to that.
#[must_use]
pub fn counts_for(
    roles: &RoleSet,
    who: &Identity,
    demands: &[Demand],
    owner: &UserName,
    seat: SeatRole,
    now: Time,
) -> Vec<(usize, usize)> {
    let Judgement { who, outcome, .. } = judge(roles, who, Question::Enter, now);
    if outcome.is_err() || who.user == *owner || who.user.is_guest() {
        return Vec::new();
    }
    // A role that was removed is nobody's, though it may stand in certificates.
    let holds = |name: &String| {
        let held = |role: &&RoleName| role.as_str() == name && roles.roles.contains_key(*role);
        name == ANY || who.roles.iter().any(|role| held(&role))
    };
    let counts = |one: &FourEyes| one.seats.contains(&seat) && one.roles.iter().any(holds);
    let mut all = Vec::new();
    for (at, demand) in demands.iter().enumerate() {
        let met = demand.any_of.iter().enumerate().filter(|(_, one)| counts(one));
        all.extend(met.map(|(alternative, _)| (at, alternative)));
    }
    all
}

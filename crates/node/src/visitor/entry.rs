//! Where somebody wants to sit and what lets them: their own roles, or a link, which their connection takes once.

use super::Visitor;
use crate::clock;
use crate::lives::Running;
use crate::serve::Post;
use link::http::{CallError, Channel};
use model::{SeatRole, SessionId, UserName};
use policy::{Denial, Identity, SeatPermit};
use session::company::Comer;
use std::sync::Arc;
use tokio::sync::Mutex;
use wire::share::{Grant, TakeLink};

/// A session, as what somebody wants to sit there, and the link by which they have come, if by one.
pub(super) struct Entry {
    pub running: Arc<Running>,
    pub seat: SeatRole,
    pub by: Option<Grant>,
}

impl Entry {
    /// Leave to sit there as things stand at this moment.
    pub fn permit(&self, post: &Post, who: &Identity) -> Result<SeatPermit, Denial> {
        let (known, node, now) = (post.known(), &post.facts, clock::now());
        let (roles, session, seat) = (&known.roles, self.running.facts(), self.seat);
        policy::join(roles, who, node, &session, seat, self.by.as_ref().map(facts), now)
    }

    /// Who comes, as far as their comings are counted.
    pub fn comer(&self, who: &UserName) -> Comer {
        comer(self.by.as_ref(), who)
    }

    /// Whether the seat may be kept as things stand at this moment.
    pub fn goes_on(&self, post: &Post, who: &Identity) -> Result<(), Denial> {
        let (known, node, now) = (post.known(), &post.facts, clock::now());
        let (roles, session, seat) = (&known.roles, self.running.facts(), self.seat);
        policy::seat_goes_on(roles, who, node, &session, seat, self.by.as_ref().map(facts), now)
    }
}

fn comer(by: Option<&Grant>, who: &UserName) -> Comer {
    match by {
        Some(grant) if who.is_guest() => Comer::Guest(grant.link),
        _ => Comer::Person(who.clone()),
    }
}

/// What is decided by.
fn facts(grant: &Grant) -> policy::Grant<'_> {
    let Grant { link, session, seat, user, guests, expires } = grant;
    let (link, session, seat) = (*link, *session, *seat);
    policy::Grant { link, session, seat, user, guests: *guests, expires: *expires }
}

/// The link that a connection has taken; all of its channels share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(
    // Held while auth is asked, so that channels side by side use a link once.
    Arc<Mutex<Option<Grant>>>,
);

impl Taken {
    /// What the link gives. The words say why it gives nothing.
    pub async fn take(
        &self,
        auth: &Channel,
        visitor: &Visitor,
        code: String,
        seat: Option<SeatRole>,
    ) -> Result<Grant, String> {
        let mut taken = self.0.lock().await;
        if let Some(grant) = &*taken {
            return Ok(grant.clone());
        }
        let user = visitor.identity.user().clone();
        let address = visitor.client.map(|client| client.ip());
        let grant = auth.call(&TakeLink { code, user, address, seat }).await.map_err(refused)?;
        *taken = Some(grant.clone());
        Ok(grant)
    }

    /// The session that it leads to, if it was taken.
    pub async fn session(&self) -> Option<SessionId> {
        self.0.lock().await.as_ref().map(|grant| grant.session)
    }
}

fn refused(error: CallError) -> String {
    match error {
        CallError::Refused(failure) => failure.message,
        error => {
            tracing::warn!(%error, "a link was not taken");
            "auth does not answer, and no link counts without it: try again later".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{LinkId, Time};
    use wire::{Failure, Fault};

    #[test]
    fn guests_of_one_link_come_as_one_and_who_has_an_account_as_themselves() {
        let by = |user: &UserName| Grant {
            link: LinkId(3),
            session: SessionId::from_random([7; 16]),
            seat: SeatRole::Observer,
            user: user.clone(),
            guests: true,
            expires: Time(0),
        };
        for guest in [UserName::guest("ann"), UserName::guest("ben")] {
            assert_eq!(comer(Some(&by(&guest)), &guest), Comer::Guest(LinkId(3)));
        }
        let carol: UserName = "carol".parse().unwrap();
        assert_eq!(comer(Some(&by(&carol)), &carol), Comer::Person(carol.clone()));
        assert_eq!(comer(None, &carol), Comer::Person(carol.clone()));
    }

    #[test]
    fn whoever_is_refused_hears_auths_words_and_nothing_of_the_network() {
        let message = "this link was revoked: ask for another one".to_owned();
        let no = CallError::Refused(Failure { fault: Fault::Denied, message: message.clone() });
        assert_eq!(refused(no), message);
        let address = "10.0.0.1:4422".to_owned();
        let lost = refused(CallError::Garbled { address, why: "torn".to_owned() });
        assert!(lost.contains("auth does not answer") && !lost.contains("10.0.0.1"), "{lost}");
    }
}

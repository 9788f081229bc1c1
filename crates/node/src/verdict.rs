//! Why something that runs must end: who is told what, and whether its processes go with it.

use policy::Denial;
use std::sync::Arc;
use tokio::sync::watch;

/// Why a connection or a session must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The client's connection is gone. What it left running is left (ruling 11).
    Gone,
    /// The node is stopping.
    Stopping,
    /// A rule: a lock, roles, expiry, length, idle time, the recorder. The processes go with it.
    Rule {
        /// For the person.
        said: String,
        /// For recording and ledger.
        why: String,
    },
}

impl Verdict {
    /// What the person is told, if anybody is there.
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Gone => None,
            Self::Stopping => Some("the node is stopping"),
            Self::Rule { said, .. } => Some(said),
        }
    }

    /// What stands in recording and ledger.
    pub fn why(&self) -> &str {
        match self {
            Self::Gone => "the connection was ended",
            Self::Stopping => "the node is stopping",
            Self::Rule { why, .. } => why,
        }
    }
}

impl From<Denial> for Verdict {
    fn from(denial: Denial) -> Self {
        Self::Rule { said: denial.farewell(), why: denial.why() }
    }
}

/// Hands a verdict down to what runs below.
#[derive(Debug)]
pub(crate) struct Bell(watch::Sender<Option<Arc<Verdict>>>);

/// Hears the verdict.
#[derive(Debug, Clone)]
pub(crate) struct Ear(watch::Receiver<Option<Arc<Verdict>>>);

impl Bell {
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub fn ear(&self) -> Ear {
        Ear(self.0.subscribe())
    }

    /// Ends everything below. The first verdict stands; only what outlives a connection that is gone may get another.
    pub fn ring(&self, verdict: Verdict) {
        self.0.send_if_modified(|told| {
            let first = told.as_deref().is_none_or(|told| *told == Verdict::Gone);
            if first {
                *told = Some(Arc::new(verdict));
            }
            first
        });
    }
}

impl Ear {
    /// Completes with the verdict; whoever should give it and is no more has left. Cancel safe.
    pub async fn heard(&mut self) -> Arc<Verdict> {
        match self.0.wait_for(Option::is_some).await {
            Ok(told) => told.clone().unwrap_or_else(|| Arc::new(Verdict::Gone)),
            Err(_) => Arc::new(Verdict::Gone),
        }
    }

    /// As [`Ear::heard`], of what outlives the connection.
    pub async fn heard_beyond(&mut self) -> Arc<Verdict> {
        let ends =
            |told: &Option<Arc<Verdict>>| told.as_deref().is_some_and(|it| *it != Verdict::Gone);
        match self.0.wait_for(ends).await {
            Ok(told) => told.clone().unwrap_or_else(|| Arc::new(Verdict::Stopping)),
            Err(_) => Arc::new(Verdict::Stopping),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_verdict_stands_but_what_outlives_its_connection_hears_the_next() {
        let bell = Bell::new();
        let (mut dies, mut outlives) = (bell.ear(), bell.ear());
        bell.ring(Verdict::Gone);
        assert_eq!(*dies.heard().await, Verdict::Gone);
        bell.ring(Verdict::Stopping);
        bell.ring(Verdict::Gone);
        assert_eq!(*outlives.heard_beyond().await, Verdict::Stopping);
        drop(bell);
        assert_eq!(*outlives.heard_beyond().await, Verdict::Stopping);
    }
}

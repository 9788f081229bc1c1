//! What is written down of a session that the kernel watches, for the next start of the node.

use crate::clock;
use crate::eyes::Wants;
use crate::serve::Post;
use host::RestMarks;
use model::audit::Audited;
use model::role::RecordingPolicy;
use model::{AuditEvent, Heading, SessionId, Time};
use serde::{Deserialize, Serialize};
use store::watched::Watched;

/// How a session is watched and recorded, and how its processes are found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Of the session's recording.
    pub heading: Heading,
    pub record: RecordingPolicy,
    pub wants: Wants,
    /// None where a process bears no mark: a next start does not find it.
    pub marks: Option<RestMarks>,
    /// When it was last known to be watched.
    pub watched: Time,
}

impl Note {
    pub fn new(
        heading: Heading,
        record: RecordingPolicy,
        wants: Wants,
        marks: Option<RestMarks>,
    ) -> Self {
        Self { heading, record, wants, marks, watched: clock::now() }
    }

    /// What an earlier start wrote about this session.
    pub fn read(id: SessionId, text: &str) -> Option<Self> {
        let read = serde_json::from_str::<Self>(text);
        let note = read.inspect_err(|error| {
            tracing::warn!(%id, %error, "what was noted about a session cannot be read");
        });
        note.ok().filter(|note| note.heading.id == id)
    }

    /// Writes it down. Where that cannot be done, what the session leaves is watched until the node stops.
    pub fn write(&self, notes: &Watched) {
        if self.marks.is_none() {
            return;
        }
        let written = serde_json::to_string(self)
            .map_err(std::io::Error::other)
            .and_then(|text| notes.note(self.heading.id, &text));
        if let Err(error) = written {
            let id = self.heading.id;
            tracing::warn!(%id, %error, "nothing can be noted about a session; a next start will not find what it leaves");
        }
    }

    pub fn is_strict(&self) -> bool {
        self.record == RecordingPolicy::Strict
    }

    /// Tells the ledger, of the session's owner.
    pub fn tell(&self, post: &Post, what: Audited) {
        let Heading { id, connection, user, login, client, via, .. } = &self.heading;
        let address = client.parse::<std::net::IpAddr>().ok().map(|address| address.to_string());
        post.reporter.tell(AuditEvent {
            session: Some(*id),
            connection: Some(*connection),
            user: Some(user.clone()),
            login: Some(login.clone()),
            address,
            via: via.clone(),
            ..post.reporter.event(what)
        });
    }
}

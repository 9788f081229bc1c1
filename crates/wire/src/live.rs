//! The sessions that go on: what a node says of its own, and the list that people see.

pub use crate::company::{Present, State as LiveState};

use crate::{Done, call};
use model::{Kind, Login, NodeName, RoleName, SeatRole, SessionId, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A session that goes on, as its node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveSession {
    /// The session; its recording has the same id.
    pub id: SessionId,
    /// Whose.
    pub user: UserName,
    /// With which roles.
    pub roles: Vec<RoleName>,
    /// On which account.
    pub login: Login,
    /// What was asked for.
    #[serde(flatten)]
    pub kind: Kind,
    /// When it began.
    pub since: Time,
    /// From which address.
    pub client: String,
    /// Name of the program in the foreground, by which it was last told: at each change of the list, and every ten seconds.
    pub runs: Option<String>,
    /// Whether anything runs in it.
    pub state: LiveState,
    /// What it waits for, why it stands still, that its owner's connection is lost, or which file waits for a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether others can come into it at all.
    pub joinable: bool,
    /// Who is in it, the owner first.
    pub people: Vec<Present>,
}

/// Says which sessions go on at the calling node: the whole list, in place of the one before. Needs the identity of a
/// node. Sent at each change, at most 5 a second, and every 10 s; nothing counts of a node that was silent for
/// [`model::limit::LIVE_SILENT_MS`]. It must fit into [`model::limit::REQUEST_BYTES`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportLive {
    /// All of them, at most [`model::limit::LIVE_SESSIONS`].
    pub sessions: Vec<LiveSession>,
}

/// Lists the sessions that go on: the caller's own, and those that the caller may join. The caller's own come first, then
/// the newest; at most [`model::limit::LIVE_LISTED`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListLive {}

/// A session in that list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedSession {
    /// Where it goes on.
    pub node: NodeName,
    /// What the node says of it.
    #[serde(flatten)]
    pub session: LiveSession,
    /// As what the caller may join it.
    pub may_join: Vec<SeatRole>,
}

call! {
    ReportLive, "node/live", Done;
    ListLive, "sessions/list", Vec<ListedSession>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::entry::Party;

    #[test]
    fn a_session_in_the_list_is_one_flat_object_and_is_read_back_from_it() {
        let (since, id) = (Time(1_790_000_000_000), SessionId::from_random([7; 16]));
        let user: UserName = "alice".parse().unwrap();
        let present = |party, user: &str, seat| {
            let user = user.parse().unwrap();
            Present { party, user, seat, since, types: seat != Some(SeatRole::Observer) }
        };
        let session = LiveSession {
            id,
            user: user.clone(),
            roles: vec!["dev".parse().unwrap()],
            login: "root".parse().unwrap(),
            kind: Kind::Exec { command: "make".to_owned() },
            since,
            client: "192.0.2.1".to_owned(),
            runs: Some("cc1".to_owned()),
            state: LiveState::Running,
            why: None,
            joinable: true,
            people: vec![
                present(Party::OWNER, "alice", None),
                present(Party(1), "bob", Some(SeatRole::Observer)),
            ],
        };
        let node = "web-01".parse().unwrap();
        let listed = ListedSession { node, session, may_join: vec![SeatRole::Peer] };
        let value = serde_json::to_value(&listed).unwrap();
        let expected = serde_json::json!({
            "node": "web-01", "id": id.to_string(), "user": "alice", "roles": ["dev"],
            "login": "root", "kind": "exec", "command": "make", "since": since.0,
            "client": "192.0.2.1", "runs": "cc1", "state": "running", "joinable": true,
            "people": [
                { "party": 0, "user": "alice", "since": since.0, "types": true },
                { "party": 1, "user": "bob", "seat": "observer", "since": since.0, "types": false },
            ],
            "may_join": ["peer"],
        });
        assert_eq!(value, expected);
        assert_eq!(serde_json::from_str::<ListedSession>(&value.to_string()).unwrap(), listed);
    }
}

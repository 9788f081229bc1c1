//! Nodes and proxies: joining, presence, and what auth tells them.

use crate::people::ClusterFacts;
use crate::{Done, call};
use model::role::{Labels, RoleSet};
use model::seal::{PublicKey, SignerCertificate};
use model::{AuditEvent, NodeName, SessionId, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which part of scry joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// A machine with an SSH server.
    Node,
    /// A front door.
    Proxy,
}

impl Part {
    /// Its word, with which its join tokens begin.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Proxy => "proxy",
        }
    }

    /// Which part a join token is for; `None` if it is the code of a person's invitation.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        let (word, _) = token.split_once('-')?;
        [Self::Node, Self::Proxy].into_iter().find(|part| part.word() == word)
    }
}

/// Joins the cluster. Needs no identity; the token is the proof. A joined part renews with [`Renew`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    /// Secret of the join token.
    pub token: String,
    /// What is certified.
    #[serde(flatten)]
    pub keys: PartKeys,
}

/// New certificates for the caller, who keeps its name. Needs the identity of a node or proxy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Renew {
    /// What is certified.
    #[serde(flatten)]
    pub keys: PartKeys,
}

/// The public keys of a joining part; private ones never leave it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartKeys {
    /// Which part.
    pub part: Part,
    /// Its name.
    pub name: NodeName,
    /// SSH host public key, OpenSSH format.
    pub host_key: String,
    /// PKCS#10 request for the TLS certificate, PEM; its subject is ignored.
    pub tls_request: String,
    /// Key that will sign recordings; a proxy has none.
    pub signing_key: Option<PublicKey>,
    /// Names and addresses under which browsers reach a proxy; its TLS certificate is good for them. A node has none.
    #[serde(default)]
    pub web_names: Vec<String>,
}

/// What a joined part holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartCredentials {
    /// SSH host certificate, OpenSSH format, one line.
    pub host_certificate: String,
    /// TLS certificate chain, PEM; for both ends of a connection.
    pub tls_certificate: String,
    /// The word on its signing key.
    pub signer: Option<SignerCertificate>,
    /// Last moment of all three.
    pub expires: Time,
    /// Labels that came with its invitation; they beat its own settings.
    #[serde(default)]
    pub labels: Labels,
    /// The cluster as it stands.
    pub cluster: ClusterFacts,
}

/// Says that a node is there. Sent every 10 s. Needs the identity of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Its labels.
    pub labels: Labels,
    /// Version of scry on it.
    pub version: String,
    /// Sessions open on it.
    pub sessions: u32,
}

/// Events for the ledger. Needs the identity of a node or proxy; a node may only speak of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The reporter's queue: 16 random bytes in hexadecimal. It outlives the process if the queue does.
    pub run: String,
    /// Number of the first event in that queue, counted from 1; the others follow. Numbers rise from report to report;
    /// an event whose number was taken before is not taken again.
    pub first: u64,
    /// What happened, in order.
    pub events: Vec<AuditEvent>,
}

/// Lists the nodes that the caller may reach with any login.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListNodes {}

/// A node in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Its labels.
    pub labels: Labels,
    /// When it last said that it is there.
    pub last_seen: Option<Time>,
    /// Version of scry on it.
    pub version: String,
    /// Logins the caller may use on it.
    pub logins: Vec<String>,
    /// Why what it records waits there instead of going to auth, if it does; only for who administers nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// Invites a machine: makes a join token that counts once. Needs the right over nodes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InvitePart {
    /// Which part it may become.
    pub part: Part,
    /// The one name it may join with; any free one if none.
    pub name: Option<NodeName>,
    /// Labels it gets, whatever its own settings say.
    #[serde(default)]
    pub labels: Labels,
    /// How long the token counts, in milliseconds; [`model::limit::JOIN_TOKEN_MS`] if not said.
    #[serde(default)]
    pub life_ms: Option<i64>,
}

/// The token that was made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InvitedPart {
    /// The secret; shown once, never stored in clear. Begins with the part's word and a dash.
    pub token: String,
    /// Pin of the TLS authority: SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub pin: String,
    /// Last moment it counts.
    pub expires: Time,
}

/// Removes a node: its certificates count no more. Needs the right over nodes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveNode {
    /// Which.
    pub node: NodeName,
}

/// One line of the stream `GET /v1/proxy/nodes`, as JSON: sent at once, at each change, and every 10 s to show that the
/// line is alive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProxyNews {
    /// Every node with the pin of its TLS key, if any changed since the last line. A tunnel counts only if its key stands
    /// here.
    pub nodes: Option<BTreeMap<NodeName, String>>,
    /// Locks and corrections, beside the roles, if anything of them changed since the last line.
    #[serde(default)]
    pub roles: Option<RoleSet>,
    /// Web sessions that ended since the last line: what is open for them ends. Of those that ended before the first line
    /// of a stream nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<u64>,
}

/// Somebody looks at a session without being in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Which.
    pub session: SessionId,
    /// Who.
    pub user: UserName,
    /// At what.
    pub at: LookedAt,
}

/// What somebody looks at who is not in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LookedAt {
    /// A small picture of it.
    Preview,
    /// Its recording, as it goes on.
    Recording,
    /// What a search found in it.
    Search,
}

impl Looked {
    /// For the people in the session.
    #[must_use]
    pub fn words(&self) -> String {
        match self.at {
            LookedAt::Preview => format!("{} looks at a preview of this session", self.user),
            LookedAt::Search => {
                format!("{} finds something in this session by a search", self.user)
            }
            LookedAt::Recording => format!("{} looks at the recording of this session", self.user),
        }
    }
}

/// One line of the stream `GET /v1/node/news`, as JSON: sent at once, at each change, and every 10 s to show that the line is alive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct News {
    /// The roles, if they changed since the last line.
    pub roles: Option<RoleSet>,
    /// User authority keys that count now, OpenSSH format.
    pub user_authority: Vec<String>,
    /// Who has begun to look at sessions of this node since the last line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked: Vec<Looked>,
}

call! {
    Join, "join", PartCredentials;
    Renew, "renew", PartCredentials;
    Heartbeat, "node/heartbeat", Done;
    Report, "report", Done;
    ListNodes, "nodes/list", Vec<Node>;
    InvitePart, "nodes/invite", InvitedPart;
    RemoveNode, "nodes/remove", Done;
}

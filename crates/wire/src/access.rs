//! Questions about what the roles allow.

use crate::call;
use model::role::{Role, SeatRole};
use model::{Login, NodeName, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Would this user get in there, and why? Needs the right over roles, or is about a login of one's own with what is saved.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Explain {
    /// Who.
    pub user: UserName,
    /// As whom.
    pub login: Login,
    /// Where.
    pub node: NodeName,
    /// Not by logging in, but by a seat in such a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Seat>,
    /// A role that is not saved. The answer is as if it were, in place of the one of its name, and as if the user held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<Role>>,
}

/// A seat in somebody's session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Seat {
    /// As what.
    pub seat: SeatRole,
    /// Whose session.
    pub owner: UserName,
}

/// A decision with its whole reasoning.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Whether it would be allowed.
    pub allowed: bool,
    /// One sentence: the rule that allows, or the rule that is missing or forbids.
    pub because: String,
    /// Each rule that was looked at, in order.
    pub steps: Vec<Step>,
    /// The terms it would be allowed on, name and value.
    pub terms: Vec<(String, String)>,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The rule, such as `role access: allow.logins`.
    pub rule: String,
    /// Whether it spoke for, against, or not at all.
    pub says: Says,
    /// Why, in words.
    pub why: String,
}

/// What a rule says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    /// Allows it.
    Allow,
    /// Forbids it.
    Deny,
    /// Does not apply.
    Nothing,
}

call! {
    Explain, "access/explain", Explanation;
}

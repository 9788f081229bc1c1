//! Terminals in browsers: certificates for one node and one purpose, which a proxy asks for with a key of its own.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::gate::Carried;
use std::sync::Arc;
use wire::Fault;
use wire::web::{GrantTerminal, TerminalGrant};

pub async fn grant(
    _auth: Arc<Auth>,
    by: Carried,
    _call: GrantTerminal,
) -> Result<TerminalGrant, Refusal> {
    tracing::debug!(user = %by.by.member.name, "asks for a terminal");
    Err(Refusal::new(Fault::Unavailable, "terminals are not granted yet"))
}

//! What a client tried that was not let in, for whoever keeps the ledger.

use crate::ssh::SshError;
use thiserror::Error;

/// Offers of one connection that are remembered. Cut: what comes behind them is refused all the same.
const OFFERS: usize = 16;
/// Bytes of a name that are kept of it. Cut.
const NAME_BYTES: usize = 128;

/// What was tried on a connection on which nobody was let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// The account that was asked for last, as the client wrote it.
    pub login: Option<String>,
    /// Certificates that had signed and that the gate refused. One that has expired, is not yet valid, is badly signed or did
    /// not sign itself never gets that far: russh refuses it before.
    pub certificates: u32,
    /// What was offered, in words and in order, without repeats.
    pub offers: Vec<String>,
}

impl Tried {
    pub(super) fn offered(&mut self, what: &str, login: &str) {
        let login: String = login.chars().take(NAME_BYTES).collect();
        let offer = format!("{what} for {login:?}");
        self.login = Some(login);
        if self.offers.len() < OFFERS && !self.offers.contains(&offer) {
            self.offers.push(offer);
        }
    }
}

/// Nobody was let in on a connection.
#[derive(Debug, Error)]
#[error("nobody was let in")]
pub struct NobodyIn {
    /// How it ended.
    #[source]
    pub error: SshError,
    /// What was tried before.
    pub tried: Tried,
}

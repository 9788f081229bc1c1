//! How often somebody has come to one session, so that nobody gives away all of its numbers alone.

use super::Full;
use model::limit::COMINGS;
use model::{LinkId, UserName};
use std::collections::BTreeMap;

/// Who comes, as far as that can be told. A guest's name is their own word, so guests are known by their link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comer {
    /// Somebody who has an account.
    Person(UserName),
    /// A guest, by this link.
    Guest(LinkId),
}

/// How often each has come. As many as there are numbers at most, for each has had one.
#[derive(Debug, Default)]
pub struct Comings(BTreeMap<Comer, u16>);

impl Comings {
    /// Whether they may come once more.
    pub fn check(&self, comer: &Comer) -> Result<(), Full> {
        let times = self.0.get(comer).copied().unwrap_or_default();
        match comer {
            _ if times < COMINGS => Ok(()),
            Comer::Person(_) => Err(Full::Person),
            Comer::Guest(_) => Err(Full::Link),
        }
    }

    /// They have come.
    pub fn add(&mut self, comer: Comer) {
        let times = self.0.entry(comer).or_default();
        *times = times.saturating_add(1);
    }
}

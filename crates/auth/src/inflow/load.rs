//! What a shipment holds: records cut out of its body and checked one by one, before anything is written.

use model::entry::{Entry, Gap};
use model::limit::GAPS_TOLD;
use model::seal::Head;
use model::{Heading, NodeName, SessionId};
use record::{Accepted, Chain, Counter};

/// What a recording's heading must say.
pub struct Expected<'a> {
    /// The recording that is shipped.
    pub id: SessionId,
    /// The node that ships it.
    pub node: &'a NodeName,
    /// The cluster.
    pub cluster: &'a str,
}

/// A checked body. What stands before a wrong record is good.
pub struct Load {
    /// The chain behind the good records.
    pub chain: Chain,
    /// Bytes of the good records.
    pub good: usize,
    /// Bytes up to and with the last checkpoint among them.
    pub signed: usize,
    /// The chain behind that checkpoint.
    pub signed_head: Option<Head>,
    /// The heading, if it was among them.
    pub heading: Option<Box<Heading>>,
    /// Gaps in this body, each with how many it stands for: behind [`GAPS_TOLD`] those of one cause are one.
    pub gaps_here: Vec<(Gap, u64)>,
    /// What else is counted in this body.
    pub counter: Counter,
    /// What is wrong with the first record that is not good.
    pub wrong: Option<String>,
}

/// The body ends inside a record.
pub struct Torn;

impl Load {
    /// Checks the records of `body` as they follow on `chain`.
    pub fn check(expected: &Expected<'_>, chain: Chain, body: &[u8]) -> Result<Self, Torn> {
        let mut load = Self {
            chain,
            good: 0,
            signed: 0,
            signed_head: None,
            heading: None,
            gaps_here: Vec::new(),
            counter: Counter::default(),
            wrong: None,
        };
        let mut signed = None;
        while let Some(rest) = body.get(load.good..).filter(|rest| !rest.is_empty()) {
            let record = match record::split(rest) {
                Ok(Some((record, _))) => record,
                Ok(None) => return Err(Torn),
                Err(fault) => {
                    load.wrong = Some(fault.to_string());
                    break;
                }
            };
            if let Err(wrong) = load.accept(expected, record, &mut signed) {
                load.wrong = Some(wrong);
                break;
            }
        }
        Ok(load)
    }

    fn accept(
        &mut self,
        expected: &Expected<'_>,
        record: &[u8],
        signed: &mut Option<Head>,
    ) -> Result<(), String> {
        let mut chain = self.chain.clone();
        let accepted = chain.accept(record).map_err(|corrupt| corrupt.to_string())?;
        if let Some(heading) = &accepted.heading {
            fits(expected, heading)?;
        }
        self.chain = chain;
        self.good = self.good.saturating_add(record.len());
        self.note(accepted, signed);
        Ok(())
    }

    fn gap(&mut self, gap: Gap) {
        let behind = self.gaps_here.get_mut(GAPS_TOLD..).unwrap_or_default();
        match behind.iter_mut().find(|(one, _)| one.cause == gap.cause) {
            Some((one, count)) => {
                let sum = |one: Option<u64>, more: Option<u64>| Some(one?.saturating_add(more?));
                one.bytes = sum(one.bytes, gap.bytes);
                one.entries = sum(one.entries, gap.entries);
                one.ms = one.ms.saturating_add(gap.ms);
                *count = count.saturating_add(1);
            }
            None => self.gaps_here.push((gap, 1)),
        }
    }

    fn note(&mut self, accepted: Accepted, signed: &mut Option<Head>) {
        self.counter.count(&accepted.meta);
        for stamped in accepted.meta {
            if let Entry::Gap(gap) = stamped.entry {
                self.gap(gap);
            }
        }
        if accepted.heading.is_some() {
            self.heading = accepted.heading;
        }
        if accepted.signed != *signed {
            *signed = accepted.signed;
            // The first record of a body sees the checkpoint of an earlier one; that has its receipt already.
            let here = accepted
                .signed
                .is_some_and(|head| head.records.saturating_add(1) == accepted.head.records);
            if here {
                self.signed = self.good;
                self.signed_head = Some(accepted.head);
            }
        }
    }
}

fn fits(expected: &Expected<'_>, heading: &Heading) -> Result<(), String> {
    if heading.id != expected.id {
        return Err(format!("the heading is that of recording {}", heading.id));
    }
    if heading.node != *expected.node {
        return Err(format!("the heading says that node {} made it", heading.node));
    }
    if heading.cluster != expected.cluster {
        return Err(format!("the heading is of the cluster {:?}", heading.cluster));
    }
    Ok(())
}

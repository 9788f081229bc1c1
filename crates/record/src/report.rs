//! What the check of a file found, for people and machines.

use crate::frame::MAGIC;
use crate::index::GapAt;
use core::fmt;
use model::entry::Ending;
use model::{Heading, SessionId, Time};
use serde::Serialize;

/// In one word, what a recording is worth as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Ended, signed to the end by a node of the cluster, sealed by the cluster.
    Complete,
    /// As complete, without the cluster's seal: it was not sealed yet, or the seal was cut off.
    Unsealed,
    /// Without an end: it goes on, was interrupted, or was cut. What is signed is good.
    Unfinished,
    /// Whole in itself, but no key was given to tell whose it is.
    NotProven,
    /// Altered or damaged.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::Unsealed => "whole, not sealed",
            Self::Unfinished => "unfinished",
            Self::NotProven => "not proven",
            Self::Broken => "broken",
        })
    }
}

/// How far something reaches, from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Zone {
    /// Chained records.
    pub records: u64,
    /// Last entry.
    pub seq: u64,
    /// Time of the latest entry, in milliseconds since the recording began.
    pub ms: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A receipt that was found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeenReceipt {
    /// Last entry that the cluster had.
    pub seq: u64,
    /// Chained records that it had.
    pub records: u64,
    /// When, by its clock.
    pub received: Time,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundFault {
    /// Byte at which the record begins.
    pub offset: u64,
    /// Number of the record in the file, the heading being 1.
    pub record: u64,
    /// What is wrong, for a person.
    pub what: String,
}

/// Result of [`crate::verify`]. Displayed, it is one line for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// What the recording says about itself; believe it as far as the verdict goes.
    pub heading: Option<Heading>,
    /// Covered by the node's signatures.
    pub signed: Zone,
    /// Whole and chained; what reaches further than `signed` could have been written by anyone who held the file.
    pub chained: Zone,
    /// The cluster's countersignatures.
    pub receipts: Vec<SeenReceipt>,
    /// What the recorder itself says is lost: the first gaps.
    pub gaps: Vec<GapAt>,
    /// All gaps.
    pub gap_count: u64,
    /// Entries that were taken out afterwards, their digests left.
    pub redacted: u64,
    /// Records that were taken out; one that held no entries was a screen.
    pub redacted_records: u64,
    /// How the session ended.
    pub ending: Option<Ending>,
    /// Whether the cluster's seal is there and good.
    pub sealed: bool,
    /// Bytes behind the last whole record.
    pub torn_bytes: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// What is wrong, in file order; at most 100 are listed, besides that it is another recording than was wanted.
    pub faults: Vec<FoundFault>,
}

impl Report {
    /// Before anything was checked.
    pub(crate) fn empty(bytes: u64) -> Self {
        Self {
            verdict: Verdict::Broken,
            heading: None,
            signed: Zone::default(),
            chained: Zone::default(),
            receipts: Vec::new(),
            gaps: Vec::new(),
            gap_count: 0,
            redacted: 0,
            redacted_records: 0,
            ending: None,
            sealed: false,
            torn_bytes: 0,
            bytes,
            faults: Vec::new(),
        }
    }

    /// Holds it against the recording that was wanted: another one is worth nothing in its place, whole as it may be.
    #[must_use]
    pub fn wanted(mut self, id: SessionId) -> Self {
        let found = self.heading.as_ref().map(|heading| heading.id);
        if let Some(found) = found.filter(|found| *found != id) {
            let what = format!("this is the recording {found}, not {id}");
            self.faults.insert(0, FoundFault { offset: MAGIC.len() as u64, record: 1, what });
            self.verdict = Verdict::Broken;
        }
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.heading.as_ref().map_or("an unknown node", |heading| heading.node.as_str());
        let Zone { records, seq, .. } = self.chained;
        let signed = self.signed.seq;
        match self.verdict {
            Verdict::Complete => write!(
                f,
                "complete: all {seq} entries in {records} records are signed by {node} and sealed by the cluster"
            )?,
            Verdict::Unsealed => write!(
                f,
                "whole, not sealed: all {seq} entries in {records} records are signed by {node}, but the cluster's seal is missing"
            )?,
            Verdict::Unfinished => write!(
                f,
                "unfinished: entries 1 to {signed} are signed by {node}, {} more are chained only, and the end is missing",
                seq.saturating_sub(signed)
            )?,
            Verdict::NotProven => write!(
                f,
                "not proven: {seq} entries in {records} records are whole in themselves; give the cluster's key to know whose they are"
            )?,
            Verdict::Broken => match self.faults.first() {
                Some(FoundFault { offset, record, what }) => {
                    write!(f, "broken at byte {offset}, record {record}: {what}; ")?;
                    match signed {
                        0 => f.write_str("nothing is signed")?,
                        _ => write!(f, "entries 1 to {signed} are signed all the same")?,
                    }
                }
                None => f.write_str("broken")?,
            },
        }
        if self.gap_count > 0 {
            write!(f, "; {} recorded", counted(self.gap_count, "gap"))?;
        }
        match (self.redacted, self.redacted_records) {
            (0, 0) => {}
            (0, records) => write!(f, "; {} taken out afterwards", counted(records, "record"))?,
            (entries, _) => write!(f, "; {} taken out afterwards", counted(entries, "entry"))?,
        }
        if self.torn_bytes > 0 && self.verdict != Verdict::Broken {
            write!(f, "; the last record is torn ({} bytes)", self.torn_bytes)?;
        }
        Ok(())
    }
}

fn counted(n: u64, what: &str) -> String {
    match (n, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{n} {stem}ies"),
        _ => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::seal::{Signature, SignerCertificate};
    use model::{ConnectionId, Kind, NodeName};

    fn heading(id: SessionId) -> Heading {
        let (key, issuer, signature) = ([2; 32], [1; 32], Signature::from([0; 64]));
        let (not_before, not_after) = (Time(0), Time(2));
        let node: NodeName = "web-01".parse().unwrap();
        Heading {
            id,
            connection: ConnectionId::from_random([9; 16]),
            cluster: "example".into(),
            node: node.clone(),
            user: "alice".parse().unwrap(),
            login: "root".parse().unwrap(),
            roles: Vec::new(),
            client: String::new(),
            via: None,
            kind: Kind::Shell,
            size: None,
            term: None,
            started: Time(1),
            signer: SignerCertificate { key, node, not_before, not_after, issuer, signature },
        }
    }

    #[test]
    fn a_whole_recording_in_the_place_of_another_is_worth_nothing() {
        let [this, other] = [1, 2].map(|byte| SessionId::from_random([byte; 16]));
        let (verdict, heading) = (Verdict::Complete, Some(heading(this)));
        let report = Report { verdict, heading, ..Report::empty(0) };
        assert_eq!(report.clone().wanted(this), report);
        let report = report.wanted(other);
        assert_eq!(report.verdict, Verdict::Broken);
        let words =
            format!("broken at byte 8, record 1: this is the recording {this}, not {other}");
        assert!(report.to_string().starts_with(&words), "{report}");
    }
}

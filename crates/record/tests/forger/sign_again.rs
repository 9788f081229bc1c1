//! Forgers who can compute: checksums, chains and signatures made anew, with a key that is not the cluster's.

use super::{CHECKPOINT, Forged, INDEX, Kind, Place, RECEIPT, Spot, Subject};
use crate::kit::{self, Dice, pieces};
use ed25519_dalek::{Signer, SigningKey};
use model::seal::{Head, Receipt};
use model::{Heading, Seq};
use record::{Recording, receipt_record};

/// The file without its receipts.
pub fn without_receipts(file: &[u8]) -> Vec<u8> {
    let mut list = pieces(file);
    list.retain(|piece| piece.starts_with(b"SCRYREC") || piece.get(4) != Some(&RECEIPT));
    list.concat()
}

/// One signature replaced by the stranger's, checksums and chain made to fit or not.
pub fn one(
    kind: Kind,
    dice: &mut Dice,
    subject: &Subject,
    stranger: &SigningKey,
) -> Option<Forged> {
    let mut list = subject.pieces();
    let wanted = match kind {
        Kind::SignACheckpointAgain => CHECKPOINT,
        Kind::SignAReceiptAgain => RECEIPT,
        _ => INDEX,
    };
    let all = subject.records_of(wanted);
    let record = *all.get(dice.below(all.len().max(1)))?;
    let heading = heading(subject);
    let own_key = dice.below(2) == 0;
    let key = stranger.verifying_key().to_bytes();
    match kind {
        Kind::SignACheckpointAgain => {
            let payload = &mut list[record][24..];
            sign_checkpoint(payload, &heading, stranger);
            if own_key {
                chain_anew(&mut list[..], None, &heading);
            }
        }
        Kind::SignAReceiptAgain => {
            let old: Receipt = postcard::from_bytes(&list[record][24..]).unwrap();
            let mut new = kit::receipt_by(stranger, &heading, old.head, 1);
            if !own_key {
                new.key = old.key;
            }
            list[record] = receipt_record(&new).to_vec();
        }
        _ => {
            let payload = list[record][24..].to_vec();
            let statement = [
                &b"scry index v1\0"[..],
                heading.id.as_bytes(),
                &payload[96..128],
                blake3::hash(&payload[128..]).as_bytes(),
            ]
            .concat();
            if own_key {
                list[record][24..56].copy_from_slice(&key);
            }
            let signature = stranger.sign(&statement).to_bytes();
            list[record][56..120].copy_from_slice(&signature);
            let tag = digest(&list[record]);
            list[record][16..24].copy_from_slice(&tag[..8]);
        }
    }
    Some((list.concat(), Place::Compared))
}

/// A record dropped, or a label changed, and everything behind it chained and signed again.
/// What nothing signed covers is out of a signature's reach (`docs/recording.md`, "chained only"), and left alone.
pub fn chain(dice: &mut Dice, subject: &Subject, stranger: &SigningKey) -> Option<Forged> {
    let mut list = subject.pieces();
    let ours: Vec<usize> = (1..list.len())
        .filter(|record| {
            matches!(subject.kind_of(*record), 2..=4) && !subject.nothing_signed_from(*record)
        })
        .collect();
    let record = *ours.get(dice.below(ours.len().max(1)))?;
    let label = list[record].windows(5).position(|bytes| bytes == b"mark ");
    match label.filter(|_| subject.kind_of(record) == 3) {
        Some(at) => list[record][at] = b'b',
        None => drop(list.remove(record)),
    }
    chain_anew(&mut list, Some((stranger, record)), &heading(subject));
    let behind = (record..list.len()).find(|place| list[*place][4] == CHECKPOINT)?;
    let place = Place::Between(Spot::in_list(&list, record), Spot::in_list(&list, behind));
    Some((list.concat(), place))
}

/// Another heading, whose signer is the stranger, and everything signed by it.
pub fn write_anew(dice: &mut Dice, subject: &Subject, stranger: &SigningKey) -> Option<Forged> {
    let mut heading = heading(subject);
    let mut list = subject.pieces();
    let own = stranger.verifying_key().to_bytes();
    heading.signer.key = own;
    match dice.below(3) {
        0 => {}
        1 => heading.signer.issuer = own,
        _ => {
            let own_signer = kit::heading_by(1, heading.kind.clone(), stranger, stranger).signer;
            heading.signer = own_signer;
        }
    }
    let payload = serde_json::to_vec(&heading).unwrap();
    let mut front = list[0][..32].to_vec();
    front[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    list[0] = [front, payload].concat();
    chain_anew(&mut list, Some((stranger, 0)), &heading);
    let place = Place::At(Spot::in_list(&list, 0));
    Some((list.concat(), place))
}

fn heading(subject: &Subject) -> Heading {
    Recording::open(subject.file.clone()).unwrap().heading().clone()
}

/// Seqs, tags and, with a key and from a record on, checkpoints made to fit what stands before them. Ends at the first torn record.
fn chain_anew(list: &mut [Vec<u8>], key: Option<(&SigningKey, usize)>, heading: &Heading) {
    let mut hash = *blake3::hash(b"scry recording v1\0").as_bytes();
    let (mut records, mut next) = (0u64, 1u64);
    for (place, piece) in list.iter_mut().enumerate() {
        let record = piece.get_mut(if place == 0 { 8 } else { 0 }..).unwrap();
        if record.len() < 24 || record.len() - 24 != len(record) {
            return;
        }
        if record[5] & 1 != 0 {
            continue;
        }
        record[8..16].copy_from_slice(&next.to_le_bytes());
        if let (CHECKPOINT, Some((key, from))) = (record[4], key)
            && place >= from
        {
            record[24..32].copy_from_slice(&records.to_le_bytes());
            record[32..40].copy_from_slice(&(next - 1).to_le_bytes());
            record[40..72].copy_from_slice(&hash);
            sign_checkpoint(&mut record[24..], heading, key);
        }
        if record[4] == 6 {
            record[32..40].copy_from_slice(&next.to_le_bytes());
        }
        hash = *blake3::hash(&[hash, digest(record)].concat()).as_bytes();
        record[16..24].copy_from_slice(&hash[..8]);
        records += 1;
        next += u64::from(u16::from_le_bytes([record[6], record[7]]));
    }
}

fn sign_checkpoint(payload: &mut [u8], heading: &Heading, key: &SigningKey) {
    let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
    let hash = payload[16..48].try_into().unwrap();
    let head = Head { records: number(0), seq: Seq(number(8)), hash };
    let signature = key.sign(&head.checkpoint_statement(&heading.id, number(48))).to_bytes();
    payload[56..120].copy_from_slice(&signature);
}

fn len(record: &[u8]) -> usize {
    u32::from_le_bytes(record[..4].try_into().unwrap()) as usize
}

/// BLAKE3(front ‖ BLAKE3(payload)); of a DIGEST record, that of the record which it stands for.
fn digest(record: &[u8]) -> [u8; 32] {
    if record[4] == 6 {
        return *blake3::hash(&record[24..72]).as_bytes();
    }
    let payload = blake3::hash(&record[24..]);
    *blake3::hash(&[&record[..16], payload.as_bytes()].concat()).as_bytes()
}

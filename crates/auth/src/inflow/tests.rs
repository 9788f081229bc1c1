//! Shipping with a crash behind every step: what was answered as received is never missing.

use super::*;
use crate::auth::Auth;
use crate::tests::house::{Tape, busy_tape, config, heading, signing_key, tally};
use model::Time;
use model::seal::SignerCertificate;
use record::Verdict;
use store::tables::PartKind;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn node() -> Part {
    Part {
        kind: PartKind::Node,
        name: "web-01".parse().unwrap(),
        granted: model::role::Labels::new(),
        tls_key: None,
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        version: String::new(),
        sessions: 0,
        joined: Time(0),
        last_seen: None,
        serial: 1,
    }
}

fn recording(keys: &Keys) -> Tape {
    recording_of(keys, 1, &node().name)
}

fn recording_of(keys: &Keys, id: u8, name: &NodeName) -> Tape {
    let key = signing_key();
    let public = *key.verifying_key().as_bytes();
    let (not_before, not_after) = (Time(0), Time(i64::MAX));
    let statement = SignerCertificate::statement(&public, name, not_before, not_after);
    let signer = SignerCertificate {
        key: public,
        node: name.clone(),
        not_before,
        not_after,
        issuer: keys.seal_key(),
        signature: keys.sign_seal(&statement),
    };
    busy_tape(heading(id, "alice", name, "lab", signer), &key)
}

/// Ships from where auth stands, five records at a time, and seals. Remembers the last answer.
async fn run(auth: &Auth, tape: &Tape, answered: &mut u64) -> Result<bool, String> {
    let node = node();
    let said = |refusal: Refusal| format!("{refusal:?}");
    let progress = auth.inflow.progress(&node.name, tape.id).await.map_err(said)?;
    let mut after = progress.receipt.map_or(0, |receipt| receipt.head.records);
    assert!(after >= *answered, "{answered} records were receipted, {after} are there");
    while !progress.stored && after < tape.records.len() as u64 {
        let from = usize::try_from(after).unwrap();
        let to = (from + 5).min(tape.records.len());
        let body = tape.slice(from, to).into();
        let taken = auth.inflow.take(&node, tape.id, after, body).await.map_err(said)?;
        let receipt = taken.answer.map_err(said)?.receipt.unwrap();
        assert_eq!(receipt.head.records, tape.records[to - 1].1);
        after = receipt.head.records;
        *answered = after;
    }
    auth.inflow.seal(&auth.ledger, tape.id).await.map_err(|error| error.to_string())
}

async fn open(dir: &TempDir) -> Auth {
    Auth::open(&config(dir)).await.unwrap().0
}

#[tokio::test]
async fn whatever_step_a_crash_comes_behind_nothing_received_is_missing() {
    let mut crashes = 0;
    for steps in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let auth = open(&dir).await;
        let tape = recording(&auth.keys);
        auth.inflow.steps.stop_after(steps);
        let mut answered = 0;
        let outcome = run(&auth, &tape, &mut answered).await;
        auth.tables.close().await;
        drop(auth);
        // The crash may also have torn what was being written behind the last record.
        let file = dir.path().join("auth/intake").join(format!("{}.rec", tape.id));
        if outcome.is_err() && file.exists() && steps % 2 == 0 {
            use std::io::Write;
            let mut file = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
            file.write_all(&[200, 0, 0, 0, 2, 8, 1, 0, 9]).unwrap();
        }
        let auth = open(&dir).await;
        for row in auth.tables.unfiled_recordings().await.unwrap() {
            auth.inflow.recover(row.id).await.unwrap();
        }
        auth.inflow.clear().await.unwrap();
        assert_eq!(run(&auth, &tape, &mut answered).await, Ok(true), "after {steps} steps");
        let row = auth.tables.recording(&tape.id).await.unwrap().unwrap();
        assert_eq!(row.verification.as_deref(), Some("complete"), "after {steps} steps");
        assert_eq!((row.gaps, row.records), (1, tape.records.len() as u64));
        assert_eq!(row.tally, Some(tally()), "after {steps} steps");
        let stored = Some(store::intake::Stored {
            object_key: row.object_key.as_deref().unwrap(),
            bytes: row.bytes,
        });
        let reader = auth.intake.reader(tape.id, stored).await.unwrap();
        let bytes = reader.read_at(0, 1 << 24).await.unwrap().to_vec();
        let report = record::verify(&bytes, &[auth.keys.seal_key()], &mut |_| ());
        assert_eq!(report.verdict, Verdict::Complete, "after {steps} steps: {report:?}");
        auth.tables.close().await;
        if outcome.is_ok() {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20, "only {crashes} places were tried");
}

#[tokio::test]
async fn whatever_step_fails_it_goes_on_without_a_restart() {
    let mut failures = 0;
    for steps in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let auth = open(&dir).await;
        let tape = recording(&auth.keys);
        auth.inflow.steps.stop_after(steps);
        let mut answered = 0;
        let outcome = run(&auth, &tape, &mut answered).await;
        auth.inflow.steps.go_on();
        assert_eq!(run(&auth, &tape, &mut answered).await, Ok(true), "after {steps} steps");
        let row = auth.tables.recording(&tape.id).await.unwrap().unwrap();
        assert_eq!(row.verification.as_deref(), Some("complete"), "after {steps} steps");
        assert_eq!((row.gaps, row.records), (1, tape.records.len() as u64));
        assert_eq!(row.tally, Some(tally()), "after {steps} steps");
        auth.tables.close().await;
        if outcome.is_ok() {
            break;
        }
        failures += 1;
    }
    assert!(failures > 20, "only {failures} places were tried");
}

#[tokio::test]
async fn bytes_that_rot_on_auths_disk_are_found_when_the_file_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let auth = open(&dir).await;
    let tape = recording(&auth.keys);
    let taken = auth.inflow.take(&node(), tape.id, 0, tape.slice(0, 20).into()).await.unwrap();
    assert!(taken.answer.is_ok());
    auth.tables.close().await;
    let file = dir.path().join("auth/intake").join(format!("{}.rec", tape.id));
    let good = std::fs::read(&file).unwrap();
    let mut altered = good.clone();
    altered[good.len() / 2] ^= 1;
    for (what, spoil) in [("altered", altered), ("cut", good[..good.len() / 2].to_vec())] {
        std::fs::write(&file, &spoil).unwrap();
        let auth = open(&dir).await;
        let rows = auth.tables.unfiled_recordings().await.unwrap();
        let recovered = auth.inflow.recover(rows[0].id).await;
        assert!(matches!(recovered, Err(Error::Damaged { .. })), "{what}: {recovered:?}");
        assert!(auth.inflow.take(&node(), tape.id, 20, tape.slice(20, 21).into()).await.is_err());
        auth.tables.close().await;
    }
}

/// Ships five records behind the first `after`.
async fn go_on(auth: &Auth, node: &Part, tape: &Tape, after: usize) -> Result<Taken, Refusal> {
    let body = tape.slice(after, after + 5).into();
    auth.inflow.take(node, tape.id, after as u64, body).await
}

fn open_files(auth: &Auth) -> usize {
    let lanes = auth.inflow.lanes.lock().unwrap();
    lanes.values().filter(|lane| lane.turn.try_lock().unwrap().open.is_some()).count()
}

#[tokio::test]
async fn a_node_that_begins_ever_more_recordings_holds_few_files_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut auth = open(&dir).await;
    Arc::get_mut(&mut auth.inflow).unwrap().seats = Arc::new(Seats::new(3, 2));
    let (web, db) = (node(), Part { name: "db-01".parse().unwrap(), ..node() });
    let of_web: Vec<_> = (1..=4).map(|id| recording_of(&auth.keys, id, &web.name)).collect();
    let of_db: Vec<_> = (5..=6).map(|id| recording_of(&auth.keys, id, &db.name)).collect();
    for (at, tape) in of_web.iter().enumerate() {
        assert!(go_on(&auth, &web, tape, 0).await.unwrap().answer.is_ok());
        assert_eq!(open_files(&auth), (at + 1).min(2));
    }
    // Another node is let in, at the cost of the one that has most.
    for (tape, expected) in of_db.iter().zip([3, 3]) {
        assert!(go_on(&auth, &db, tape, 0).await.unwrap().answer.is_ok());
        assert_eq!(open_files(&auth), expected);
    }
    // Whatever was closed goes on where it stood.
    for (node, tapes) in [(&web, &of_web), (&db, &of_db), (&web, &of_web)] {
        for tape in tapes {
            let progress = auth.inflow.progress(&node.name, tape.id).await.unwrap();
            let after = progress.receipt.unwrap().head.records;
            let taken = go_on(&auth, node, tape, usize::try_from(after).unwrap()).await.unwrap();
            assert_eq!(taken.answer.unwrap().receipt.unwrap().head.records, after + 5);
            assert!(open_files(&auth) <= 3);
        }
    }
    // What is being used is not closed: then the next one has to wait.
    let lanes: Vec<_> = of_web.iter().map(|tape| auth.inflow.lane(tape.id)).collect();
    let mut turns = Vec::new();
    for lane in &lanes[..3] {
        turns.push(lane.turn.lock().await);
    }
    let held: Vec<_> = turns.iter().map(|turn| turn.open.is_some()).collect();
    assert_eq!(held, [false, false, true]);
    assert!(go_on(&auth, &web, &of_web[3], 15).await.is_ok());
    turns.push(lanes[3].turn.lock().await);
    let fresh = recording_of(&auth.keys, 7, &web.name);
    assert_eq!(go_on(&auth, &web, &fresh, 0).await.unwrap_err().fault(), Fault::Unavailable);
    drop(turns);
    assert!(go_on(&auth, &web, &fresh, 0).await.is_ok());
    auth.tables.close().await;
}

#[tokio::test]
async fn a_recording_whose_sealing_takes_long_holds_up_none_of_another_node() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, work, _) = Auth::open(&config(&dir)).await.unwrap();
    let other = Part { name: "web-02".parse().unwrap(), ..node() };
    let mut tapes = Vec::new();
    for (id, part) in [(1, &node()), (2, &node()), (3, &other)] {
        let tape = recording_of(&auth.keys, id, &part.name);
        let all = tape.slice(0, tape.records.len()).into();
        assert!(auth.inflow.take(part, tape.id, 0, all).await.unwrap().ended);
        tapes.push(tape.id);
    }
    let lane = auth.inflow.lane(tapes[0]);
    let long = lane.turn.lock().await;
    let stop = CancellationToken::new();
    let (inflow, ledger) = (Arc::clone(&auth.inflow), Arc::clone(&auth.ledger));
    let mut sealing = JoinSet::new();
    sealing.spawn(work.run(inflow, ledger, stop.clone()));
    let seal = |part: &Part, id, ms| {
        let (auth, name) = (&auth, part.name.clone());
        async move { auth.sealer.seal_within(&name, id, Duration::from_millis(ms)).await }
    };
    assert!(!seal(&node(), tapes[0], 1_000).await, "it takes long");
    assert!(seal(&other, tapes[2], 10_000).await, "that of the other node waits for it");
    assert!(!seal(&node(), tapes[1], 1_000).await, "one node has all the turns");
    drop(long);
    assert!(seal(&node(), tapes[1], 10_000).await);
    let row = auth.tables.recording(&tapes[0]).await.unwrap().unwrap();
    assert_eq!(row.phase, Phase::Stored, "it was first");
    stop.cancel();
    sealing.join_next().await.unwrap().unwrap();
    auth.tables.close().await;
}

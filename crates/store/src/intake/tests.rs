//! Tests of the intake and the final store.

use super::*;
use tempfile::TempDir;

fn id(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

async fn intake() -> (TempDir, Intake) {
    let dir = tempfile::tempdir().unwrap();
    let mut intake = Intake::open(dir.path()).await.unwrap();
    intake.vault = intake.vault.with_part_bytes(10);
    (dir, intake)
}

fn stored(promoted: &Promoted) -> Option<Stored<'_>> {
    Some(Stored { object_key: &promoted.object_key, bytes: promoted.bytes })
}

fn files_below(path: &Path) -> usize {
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|e| if e.file_type().unwrap().is_dir() { files_below(&e.path()) } else { 1 })
        .sum()
}

#[tokio::test]
async fn a_recording_arrives_also_over_a_restart_and_its_torn_end_is_cut() {
    let (dir, intake) = intake().await;
    let file = intake.open_file(id(1)).await.unwrap();
    assert_eq!(file.append(Bytes::from_static(b"hello ")).await.unwrap(), 6);
    assert_eq!(file.append(Bytes::from_static(b"wor")).await.unwrap(), 9);
    drop((file, intake));

    let intake = Intake::open(dir.path()).await.unwrap();
    assert_eq!(intake.list().await.unwrap(), [(id(1), 9)]);
    let file = intake.open_file(id(1)).await.unwrap();
    file.truncate(6).await.unwrap();
    file.truncate(100).await.unwrap();
    assert_eq!(file.append(Bytes::from_static(b"there")).await.unwrap(), 11);
    let reader = intake.reader(id(1), None).await.unwrap();
    assert_eq!(reader.len(), 11);
    assert_eq!(reader.read_at(0, 100).await.unwrap(), "hello there");
    assert_eq!(reader.read_at(3, 4).await.unwrap(), "lo t");
    assert_eq!(file.source().len(), file.len().await.unwrap());
}

#[tokio::test]
async fn a_whole_recording_is_promoted_released_and_read_from_the_final_store() {
    let (dir, intake) = intake().await;
    let text: Vec<u8> = (0..=255).collect();
    let file = intake.open_file(id(1)).await.unwrap();
    file.append(Bytes::from(text[..35].to_vec())).await.unwrap();
    let early = intake.reader(id(1), None).await.unwrap();
    let promoted = intake.promote(id(1)).await.unwrap();
    assert_eq!(promoted.bytes, 35);
    assert_eq!(promoted.file_hash, *blake3::hash(&text[..35]).as_bytes());
    assert_eq!(files_below(&dir.path().join("recordings")), 4);
    assert!(intake.release(id(1)).await.unwrap());
    assert!(!intake.release(id(1)).await.unwrap());
    assert!(intake.list().await.unwrap().is_empty());
    let reader = intake.reader(id(1), stored(&promoted)).await.unwrap();
    for offset in 0..40 {
        for most in [0, 1, 9, 10, 11, 25, 100] {
            let got = reader.read_at(offset, most).await.unwrap();
            let from = usize::try_from(offset).unwrap().min(35);
            assert_eq!(got, text[from..(from + most).min(35)], "{most} from {offset}");
        }
    }
    assert_eq!(reader.len(), 35);
    // Whoever was reading it before goes on.
    assert_eq!(early.read_at(30, 100).await.unwrap(), text[30..35]);
    // Another run, with another size of parts, reads it all the same.
    let other = Intake::open(dir.path()).await.unwrap();
    let reader = other.reader(id(1), stored(&promoted)).await.unwrap();
    assert_eq!(reader.read_at(5, 20).await.unwrap(), text[5..25]);
}

#[tokio::test]
async fn a_promotion_that_is_repeated_leaves_one_copy() {
    let (dir, intake) = intake().await;
    let file = intake.open_file(id(1)).await.unwrap();
    file.append(Bytes::from_static(b"0123456789abc")).await.unwrap();
    let other = intake.open_file(id(2)).await.unwrap();
    other.append(Bytes::from_static(b"x")).await.unwrap();
    intake.promote(id(2)).await.unwrap();
    let first = intake.promote(id(1)).await.unwrap();
    assert_eq!(intake.promote(id(1)).await.unwrap(), first);
    file.append(Bytes::from_static(b"sealed again")).await.unwrap();
    let second = intake.promote(id(1)).await.unwrap();
    assert_ne!(first.object_key, second.object_key);
    assert_eq!(files_below(&dir.path().join("recordings")), 3 + 1);
}

#[tokio::test]
async fn removing_removes_every_byte_of_one_recording_only() {
    let (dir, intake) = intake().await;
    for n in [1, 2] {
        let file = intake.open_file(id(n)).await.unwrap();
        file.append(Bytes::from_static(b"0123456789abc")).await.unwrap();
        intake.promote(id(n)).await.unwrap();
    }
    intake.remove(id(1)).await.unwrap();
    intake.remove(id(1)).await.unwrap();
    assert_eq!(intake.list().await.unwrap(), [(id(2), 13)]);
    assert_eq!(files_below(&dir.path().join("recordings")), 2);
}

#[tokio::test]
async fn what_is_not_there_is_named_and_a_wrong_key_leads_nowhere() {
    let (_dir, intake) = intake().await;
    let missing = |error| matches!(error, IntakeError::Missing { .. });
    assert!(missing(intake.reader(id(9), None).await.unwrap_err()));
    assert!(missing(intake.promote(id(9)).await.unwrap_err()));
    for object_key in ["", "rec/x", "../../etc/10", "rec/x/0", "rec//10"] {
        let place = Some(Stored { object_key, bytes: 5 });
        let error = intake.reader(id(9), place).await.unwrap_err();
        assert!(matches!(error, IntakeError::Key { .. }), "{object_key}: {error:?}");
    }
    let place = Some(Stored { object_key: "rec/gone/x/10", bytes: 5 });
    let reader = intake.reader(id(9), place).await.unwrap();
    assert!(matches!(reader.read_at(0, 5).await, Err(IntakeError::Store { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_requests_that_are_cut_off_do_not_mix() {
    let (_dir, intake) = intake().await;
    let file = intake.open_file(id(1)).await.unwrap();
    let held = Arc::strong_count(&file.0);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40_u8 {
        let file = file.clone();
        tasks.spawn(async move {
            let append = file.append(Bytes::from(vec![n; 100]));
            let _ = tokio::time::timeout(std::time::Duration::from_micros(50), append).await;
        });
    }
    tasks.join_all().await;
    // Those whose request is gone write on.
    while Arc::strong_count(&file.0) > held {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let len = file.len().await.unwrap();
    let bytes = intake.reader(id(1), None).await.unwrap().read_at(0, 10_000).await.unwrap();
    assert_eq!(len, u64::try_from(bytes.len()).unwrap());
    assert!(
        bytes.chunks(100).all(|chunk| chunk.len() == 100 && chunk.iter().all(|b| *b == chunk[0]))
    );
}

#[tokio::test]
async fn a_failed_write_is_undone_or_said_to_be_broken() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let file = IntakeFile(Arc::new(Arrival {
        id: id(1),
        path: PathBuf::from("/dev/full"),
        file: Arc::new(full),
        end: Mutex::new(End { len: 7, broken: false }),
    }));
    let error = file.append(Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(error, IntakeError::DiskFull { .. }), "{error:?}");
    assert_eq!(file.len().await.unwrap(), 7);
    // A device cannot be cut, so the failed write could not be undone.
    let error = file.append(Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(error, IntakeError::Broken { .. }), "{error:?}");
}

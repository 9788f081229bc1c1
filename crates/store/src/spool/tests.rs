//! Tests of the spool.

use super::*;
use record::Source;

const RESERVE_BYTES: u64 = 64 * 1024;

fn id(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn small(dir: &Path) -> Spool {
    Spool::with_limits(dir, 10_000, RESERVE_BYTES).unwrap()
}

#[test]
fn records_are_appended_and_read_back_also_by_another_run() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::with_limits(&dir.path().join("spool"), 1 << 20, 0).unwrap();
    let mut file = spool.create(id(1), &user("alice")).unwrap();
    let live = file.source();
    file.append(b"hello ").unwrap();
    file.append(b"world").unwrap();
    file.sync().unwrap();
    assert_eq!(live.len(), 11);
    assert_eq!(file.read_at(6, 100).unwrap(), b"world");
    assert_eq!(live.bytes_at(3, 4).unwrap(), b"lo w");
    assert!(live.bytes_at(50, 4).unwrap().is_empty());
    drop((file, spool));

    let spool = Spool::with_limits(&dir.path().join("spool"), 1 << 20, 0).unwrap();
    assert_eq!(spool.leftovers().unwrap(), [Leftover { id: id(1), bytes: 11 }]);
    assert_eq!(spool.used(), 11);
    let mut file = spool.resume(id(1)).unwrap();
    file.truncate(6).unwrap();
    file.append(b"there").unwrap();
    assert_eq!(spool.source(id(1)).unwrap().bytes_at(0, 100).unwrap(), b"hello there");
    file.remove().unwrap();
    assert_eq!((spool.used(), spool.leftovers().unwrap().len()), (0, 0));
}

#[test]
fn a_recording_is_begun_once_and_what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spool = small(dir.path());
    spool.create(id(1), &user("alice")).unwrap();
    assert!(matches!(spool.create(id(1), &user("alice")), Err(SpoolError::Exists { .. })));
    assert!(matches!(spool.resume(id(2)), Err(SpoolError::Missing { .. })));
    assert!(matches!(spool.source(id(2)), Err(SpoolError::Missing { .. })));
    assert!(!spool.remove(id(2)).unwrap());
}

#[test]
fn files_of_others_in_the_directory_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["notes.txt", "x.rec", "reserve.rec"] {
        std::fs::write(dir.path().join(name), b"x").unwrap();
    }
    std::fs::create_dir(recording_path(dir.path(), &id(3))).unwrap();
    assert!(small(dir.path()).leftovers().unwrap().is_empty());
}

#[test]
fn at_the_quota_only_last_records_go_in() {
    let dir = tempfile::tempdir().unwrap();
    let spool = small(dir.path());
    spool.create(id(3), &user("bob")).unwrap().append(&[0; 5_000]).unwrap();
    let mut file = spool.create(id(1), &user("alice")).unwrap();
    file.append(&[0; 4_999]).unwrap();
    let error = file.append(&[0; 2]).unwrap_err();
    assert!(error.is_full() && error.to_string().contains("9999 of the 10000"), "{error}");
    assert!(file.make_room().unwrap_err().is_full(), "what was refused would be again");
    file.append_last(&[0; 2]).unwrap();
    assert!(matches!(spool.create(id(2), &user("alice")), Err(SpoolError::QuotaFull { .. })));
    assert!(file.append_last(&[0; 70_000]).unwrap_err().is_full());
    assert_eq!(file.len(), 5_001);
    spool.remove(id(1)).unwrap();
    spool.create(id(2), &user("alice")).unwrap();
}

#[test]
fn whoever_fills_the_spool_leaves_room_for_everybody_elses_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::with_limits(dir.path(), 10_000, 0).unwrap();
    let mut file = spool.create(id(1), &user("alice")).unwrap();
    let error = loop {
        if let Err(error) = file.append(&[0; 900]) {
            break error;
        }
    };
    assert!(matches!(error, SpoolError::ShareFull { .. }) && error.is_full(), "{error:?}");
    assert!(error.to_string().contains("alice hold 4500 of the 5000"), "{error}");
    assert!(file.make_room().unwrap_err().is_full(), "what was refused would be again");
    // More recordings are no more room.
    let mut further = spool.create(id(2), &user("alice")).unwrap();
    further.append(&[0; 500]).unwrap();
    assert!(further.append(&[0; 1]).unwrap_err().is_full());
    let mut third = spool.create(id(3), &user("alice")).unwrap();
    assert!(third.make_room().unwrap_err().is_full());
    let mut other = spool.create(id(4), &user("bob")).unwrap();
    other.make_room().unwrap();
    other.append(&[0; 1_000]).unwrap();
    // Its last records go in, and what is removed gives its room back to its user.
    file.append_last(&[0; 100]).unwrap();
    assert_eq!((file.len(), spool.used()), (4_600, 6_100));
    file.remove().unwrap();
    third.make_room().unwrap();
    third.append(&[0; 4_500]).unwrap();
    assert!(third.append(&[0; 1]).unwrap_err().is_full());
    assert_eq!(spool.used(), 6_000);
}

#[test]
fn a_full_disk_gives_its_reserve_to_the_last_records() {
    let Some(dir) = tiny_disk(1 << 20) else { return };
    let spool = Spool::with_limits(&dir.0.path().join("s"), 1 << 30, 256 * 1024).unwrap();
    assert!(spool.has_reserve());
    let mut file = spool.create(id(1), &user("alice")).unwrap();
    let error = loop {
        if let Err(error) = file.append(&[7; 10_000]) {
            break error;
        }
    };
    assert!(matches!(error, SpoolError::DiskFull { .. }), "{error:?}");
    assert_eq!(file.source().len(), file.len(), "no half record stays");
    // What others write now finds no room, and the recording's own reserve is there all the same.
    assert!(std::fs::write(dir.0.path().join("others"), [9; 300_000]).is_err());
    let mut reserved = 0;
    while file.append_reserved(&[8; 10_000]).is_ok() {
        reserved += 10_000;
    }
    let least = limit::RECORDING_RESERVE_BYTES - limit::RECORDING_LAST_BYTES - 10_000;
    assert!(reserved >= least, "{reserved}");
    file.append_last(&[7; 10_000]).unwrap();
    assert!(spool.has_reserve(), "its own reserve sufficed");
    file.append_last(&[6; 100_000]).unwrap();
    assert!(!spool.has_reserve());
    assert_eq!(file.read_at(file.len() - 1, 10).unwrap(), [6]);
    assert!(file.make_room().is_err());
    std::fs::remove_file(dir.0.path().join("others")).unwrap();
    file.remove().unwrap();
    assert!(spool.has_reserve(), "made again when there is room");
}

#[test]
fn a_recording_that_is_finished_keeps_no_room_it_does_not_need() {
    let Some(dir) = tiny_disk(1 << 20) else { return };
    let spool = Spool::with_limits(&dir.0.path().join("s"), 1 << 30, 0).unwrap();
    let mut file = spool.create(id(1), &user("alice")).unwrap();
    file.make_room().unwrap();
    file.append(&[7; 1_000]).unwrap();
    let most = [1; 1_000_000];
    assert!(std::fs::write(dir.0.path().join("others"), most).is_err(), "the reserve is taken");
    file.finish().unwrap();
    std::fs::write(dir.0.path().join("others"), most).unwrap();
}

/// A disk of its own; none where this test may not mount one.
struct TinyDisk(tempfile::TempDir);

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

fn tiny_disk(bytes: u64) -> Option<TinyDisk> {
    let dir = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"])
        .arg(dir.path())
        .output();
    mounted.is_ok_and(|output| output.status.success()).then(|| TinyDisk(dir))
}

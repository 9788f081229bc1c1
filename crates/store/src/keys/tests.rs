//! Tests of key files and layouts.

use super::*;
use std::os::unix::fs::symlink;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_key_is_written_for_its_owner_only_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("a/b");
    ensure_dir(&home).unwrap();
    let path = home.join("key");
    write(&path, b"first").unwrap();
    write(&path, b"second").unwrap();
    assert_eq!(&**read_private(&path).unwrap(), b"second");
    assert_eq!((mode(&home), mode(&path)), (0o700, 0o600));
    let names: Vec<_> = std::fs::read_dir(&home).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["key"], "no temporary file is left");
}

#[test]
fn a_key_that_is_created_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authority");
    create(&path, b"first").unwrap();
    assert!(matches!(create(&path, b"second"), Err(KeyError::Exists { .. })));
    assert_eq!(&**read_private(&path).unwrap(), b"first");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_private_key_that_others_may_touch_is_refused_with_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    write(&path, b"secret").unwrap();
    for bits in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(bits)).unwrap();
        let text = read_private(&path).unwrap_err().to_string();
        assert!(text.contains(&format!("{bits:04o}")) && text.contains("chmod 600"), "{text}");
        assert_eq!(read_public(&path).unwrap(), b"secret");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(read_private(&path).is_ok());
}

#[test]
fn a_private_key_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    write(&path, b"secret").unwrap();
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        return;
    }
    let text = read_private(&path).unwrap_err().to_string();
    assert!(text.contains("belongs to user 12345"), "{text}");
    std::os::unix::fs::chown(dir.path(), Some(12_345), None).unwrap();
    assert!(matches!(ensure_dir(dir.path()), Err(KeyError::Foreign { owner: 12_345, .. })));
}

#[test]
fn what_is_no_plain_file_is_refused_and_nothing_waits_for_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(&at("real"), b"secret").unwrap();
    symlink(at("real"), at("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    for name in ["link", "pipe", "folder"] {
        let error = read_private(&at(name)).unwrap_err();
        assert!(matches!(error, KeyError::Kind { expected: "file", .. }), "{name}: {error:?}");
    }
    assert!(read_private(&at("none")).unwrap_err().is_missing());
    let error = ensure_dir(&at("real")).unwrap_err();
    assert!(matches!(error, KeyError::Kind { expected: "directory", .. }), "{error:?}");
    let long = File::create(at("long")).unwrap();
    long.set_len(KEY_FILE_BYTES + 1).unwrap();
    assert!(matches!(read_public(&at("long")), Err(KeyError::TooLong { .. })));
}

#[test]
fn an_open_directory_of_ones_own_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    ensure_dir(dir.path()).unwrap();
    assert_eq!(mode(dir.path()), 0o700);
}

#[test]
fn a_file_is_removed_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    write(&path, b"x").unwrap();
    assert!(remove(&path).unwrap());
    assert!(!remove(&path).unwrap());
}

#[test]
fn the_clients_directory_is_where_the_environment_says() {
    let locate = |scry: Option<&str>, home: Option<&str>| {
        ClientDir::locate(scry.map(Into::into), home.map(Into::into))
            .map(|dir| dir.root().display().to_string())
            .ok()
    };
    for (scry, home, expected) in [
        (Some("/x"), Some("/home/a"), Some("/x")),
        (None, Some("/home/a"), Some("/home/a/.scry")),
        (Some(""), Some("/home/a"), Some("/home/a/.scry")),
        (None, Some(""), None),
        (None, None, None),
    ] {
        assert_eq!(locate(scry, home).as_deref(), expected);
    }
}

#[test]
fn a_cluster_has_a_folder_of_its_own_and_its_name_leads_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let client = ClientDir::at(&dir.path().join("home"));
    for bad in ["", "..", ".hidden", "a/b", "a\0", "é", &"x".repeat(200)] {
        assert!(client.cluster(bad).is_err(), "{bad:?}");
    }
    assert!(client.clusters().unwrap().is_empty());
    for name in ["prod.example.org", "lab"] {
        let cluster = client.cluster(name).unwrap();
        cluster.ensure().unwrap();
        write(&cluster.ssh_key(), b"key").unwrap();
        assert_eq!(mode(cluster.root()), 0o700);
    }
    assert_eq!(client.clusters().unwrap(), ["lab", "prod.example.org"]);
    assert_eq!(mode(client.root()), 0o700);
}

#[test]
fn a_data_directory_has_one_master_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerDir::open(dir.path()).unwrap();
    let lock = server.lock("auth").unwrap();
    let text = server.lock("auth").unwrap_err().to_string();
    assert!(text.contains("another scry is running"), "{text}");
    assert!(server.lock("node").is_ok(), "parts may run in processes of their own");
    drop(lock);
    assert!(server.lock("auth").is_ok());
}

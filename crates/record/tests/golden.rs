//! Files of format version 1, kept byte for byte, and a kit of files each broken in one way.
//!
//! `SCRY_WRITE_GOLDEN=1 cargo test -p record --test golden` writes them anew; do so only when the format changes.
//! The compressed bytes are those of the zstd in the lock file: another may write others, and must read these.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail loudly, and this one is told by the environment to write"
)]

mod kit;

use ed25519_dalek::SigningKey;
use kit::{
    heading, heading_by, join, node_key, pieces, seal_key, sealed, sealed_by, story, transfers,
    write,
};
use model::Kind;
use model::entry::Ending;
use record::{From, Recording, digest_record, verify};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn check(name: &str, made: &[u8]) {
    let path = folder().join(name);
    if std::env::var("SCRY_WRITE_GOLDEN").is_ok() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{name} is no longer what is kept ({} and {} bytes)",
        made.len(),
        kept.len()
    );
}

fn exec_file() -> Vec<u8> {
    let heading =
        heading_by(3, Kind::Exec { command: "uname -a".into() }, &node_key(), &seal_key());
    let story = [(
        4,
        model::Entry::Output {
            stream: model::Stream::Stdout,
            bytes: bytes::Bytes::from_static(b"Linux web-01\n"),
        },
    )];
    let records = write(&heading, node_key(), &story, Some(Ending::Exit { status: 0 }));
    kit::seal_file(join(&records), &[], &seal_key())
}

fn connection_file() -> Vec<u8> {
    let heading = heading_by(6, Kind::Connection, &node_key(), &seal_key());
    let records = write(&heading, node_key(), &kit::forwards(), Some(Ending::Disconnected));
    kit::seal_file(join(&records), &[], &seal_key())
}

fn transfer_file() -> Vec<u8> {
    let kind = Kind::Subsystem { name: "sftp".into() };
    let heading = heading_by(7, kind, &node_key(), &seal_key());
    let records = write(&heading, node_key(), &transfers(), Some(Ending::Exit { status: 0 }));
    kit::seal_file(join(&records), &[], &seal_key())
}

fn live_file() -> Vec<u8> {
    join(&write(&heading(4), node_key(), &story(), None))
}

fn redacted_file() -> Vec<u8> {
    let records = write(&heading(5), node_key(), &story()[..5], Some(Ending::Exit { status: 0 }));
    let replaced =
        |bytes: &[u8]| if bytes[4] == 2 { digest_record(bytes).unwrap() } else { bytes.to_vec() };
    let file: Vec<u8> = records.iter().flat_map(|record| replaced(&record.bytes)).collect();
    kit::seal_file(file, &[], &seal_key())
}

#[test]
fn the_golden_files_are_what_the_writer_writes() {
    check("shell.rec", &sealed(1));
    check("exec.rec", &exec_file());
    check("live.rec", &live_file());
    check("redacted.rec", &redacted_file());
    check("connection.rec", &connection_file());
    check("transfer.rec", &transfer_file());
}

#[test]
fn the_golden_files_verify_and_read_as_they_always_did() {
    let key = seal_key().verifying_key().to_bytes();
    let mut text = String::new();
    for name in
        ["shell.rec", "exec.rec", "live.rec", "redacted.rec", "connection.rec", "transfer.rec"]
    {
        let file = std::fs::read(folder().join(name)).unwrap();
        let report = verify(&file, &[key], &mut |_| {});
        text.push_str(&format!("{name}: {report}\n"));
        for entry in Recording::open(file).unwrap().entries(From::Ms(0)) {
            text.push_str(&format!("  {:?}\n", entry.unwrap()));
        }
    }
    check("entries.txt", text.as_bytes());
}

#[test]
fn files_of_earlier_writers_read_as_those_of_this_one() {
    let key = seal_key().verifying_key().to_bytes();
    let read = |path: PathBuf| {
        let file = std::fs::read(path).unwrap();
        let verdict = verify(&file, &[key], &mut |_| {}).verdict;
        let recording = Recording::open(file).unwrap();
        let entries: Vec<_> = recording.entries(From::Ms(0)).map(Result::unwrap).collect();
        (verdict, recording.heading().clone(), entries)
    };
    let mut seen = 0;
    for earlier in std::fs::read_dir(folder().join("before")).unwrap() {
        let earlier = earlier.unwrap();
        assert!(read(earlier.path()) == read(folder().join(earlier.file_name())), "{earlier:?}");
        seen += 1;
    }
    assert_eq!(seen, 6, "every kind of file is kept");
}

/// Name, the broken file, and words that the report must hold.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = sealed(1);
    let cut = pieces(&good);
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let own = heading_by(1, Kind::Shell, &stranger, &stranger);
    let data = cut.iter().position(|piece| piece[4] == 2 && piece[5] == 8).unwrap();
    let checkpoint = cut.iter().position(|piece| piece[4] == 5).unwrap();
    let receipt = cut.iter().position(|piece| piece[4] == 7).unwrap();
    let keyframe = cut.iter().position(|piece| piece[4] == 4).unwrap();
    let index = cut.len() - 2;
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut list = cut.clone();
        change(&mut list);
        list.concat()
    };
    let flip = |at: usize, byte: usize| with(&|list| list[at][byte] ^= 1);
    let version = with(&|list| list[0][7] = 2);
    vec![
        ("no-recording", b"PNG or whatever this is".to_vec(), "not a scry recording"),
        ("later-version", version, "format version 2; this scry reads version 1"),
        ("heading-cut", good[..100].to_vec(), "the file ends inside this record"),
        ("heading-flip", flip(0, 60), "record 1: the chain is broken"),
        ("data-flip", flip(data, 30), "record 3: the chain is broken"),
        ("flags-flip", flip(data, 5), "BESIDE"),
        ("length-long", with(&|list| list[data][2] = 0x10), "length was altered"),
        (
            "length-long-unsealed",
            with(&|list| {
                list[data][2] = 0x10;
                list.truncate(index - 1);
            }),
            "length was altered",
        ),
        ("length-huge", with(&|list| list[data][3] = 0xff), "more than any record may be"),
        ("unknown-type", with(&|list| list[data][4] = 99), "unknown type 99"),
        ("encrypted", with(&|list| list[data][5] |= 4), "encrypted"),
        ("record-dropped", with(&|list| drop(list.remove(data))), "the chain is broken"),
        (
            "record-twice",
            with(&|list| list.insert(data, list[data].clone())),
            "the chain is broken",
        ),
        ("records-swapped", with(&|list| list.swap(data, data + 1)), "the chain is broken"),
        (
            "spliced",
            with(&|list| list[data] = pieces(&sealed(2))[data].clone()),
            "the chain is broken",
        ),
        ("checkpoint-flip", flip(checkpoint, 100), "the chain is broken"),
        ("keyframe-flip", flip(keyframe, 30), "the chain is broken"),
        ("receipt-flip", flip(receipt, 40), "its checksum does not fit"),
        (
            "receipt-moved",
            with(&|list| list.swap(receipt, receipt + 1)),
            "the receipt is not for this recording as it stands before it",
        ),
        (
            "receipt-dropped",
            with(&|list| drop(list.remove(receipt))),
            "from here on this is not the file that was sealed",
        ),
        ("receipt-twice", with(&|list| list.insert(receipt, list[receipt].clone())), "already"),
        (
            "record-taken-out",
            with(&|list| list[keyframe] = digest_record(&list[keyframe]).unwrap()),
            "from here on this is not the file that was sealed",
        ),
        ("index-flip", flip(index, 200), "its checksum does not fit"),
        ("trailer-flip", flip(index + 1, 0), "the trailer is missing or altered"),
        ("trailer-cut", good[..good.len() - 3].to_vec(), "the trailer is missing or altered"),
        ("bytes-behind", [&good[..], b"x"].concat(), "bytes were added behind the end"),
        ("stranger", sealed_by(&own, &stranger, &stranger), "not issued by a key of this cluster"),
        (
            "stranger-seal",
            sealed_by(&heading(1), &node_key(), &stranger),
            "not made by a key of this cluster",
        ),
        ("middle-cut", [&good[..1500], &good[1600..]].concat(), "broken"),
        ("seal-cut", cut[..cut.len() - 2].concat(), "the cluster's seal is missing"),
        ("end-cut", cut[..cut.len() - 5].concat(), "the end is missing"),
    ]
}

#[test]
fn every_broken_file_is_called_what_it_is() {
    let key = seal_key().verifying_key().to_bytes();
    let mut told = String::new();
    for (name, file, words) in broken() {
        check(&format!("broken/{name}.rec"), &file);
        let report = verify(&file, &[key], &mut |_| {});
        let all: Vec<_> = report.faults.iter().map(|fault| fault.what.as_str()).collect();
        let text = format!("{report} | {}", all.join(" | "));
        let found = words == "BESIDE" || text.contains(words);
        assert!(found, "{name}: {text}\nlacks {words:?}");
        told.push_str(&format!("{name}: {report}\n"));
    }
    check("broken/words.txt", told.as_bytes());
}

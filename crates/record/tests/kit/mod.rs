//! Keys, headings and stories that the tests of recordings are made of. Deterministic: the same call gives the same bytes.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of tests, shared by several, that may fail loudly"
)]

mod keys;
pub mod streams;

pub use keys::*;

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use model::entry::{Ending, Entry, Forward, Gap, GapCause, Party, People, Stream};
use model::role::Forwarding;
use model::seal::{Head, Receipt};
use model::transfer::{
    Access, Attributes, Change, Digest, Extent, FileMoved, Layout, Lookups, Moved, Outcome,
    Protocol, Times, Transfer,
};
use model::{Heading, Seq, Size, Tick};
use record::{Keyframe, Sealed, Writer, finish, receipt_record, split};

/// Output of the terminal.
pub fn output(text: &str) -> Entry {
    Entry::Output { stream: Stream::Pty, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

/// A short session: milliseconds since the entry before, and the entry.
pub fn story() -> Vec<(u64, Entry)> {
    let joined = People::Joined {
        party: Party::OWNER,
        user: "alice".parse().unwrap(),
        login: "root".parse().unwrap(),
        from: "192.0.2.7:50222".into(),
    };
    let mut story = vec![
        (0, Entry::People(joined)),
        (3, output("web-01:~# ")),
        (900, Entry::Typed { party: Party::OWNER, count: 3, bytes: None }),
        (1, output("ls\r\n")),
        (2, output("a.txt  b.txt\r\nweb-01:~# ")),
        (2_500, Entry::Resize(Size::clamped(100, 30))),
        (40, Entry::Mark { label: "before the change".into() }),
        (
            1,
            Entry::Typed { party: Party::OWNER, count: 2, bytes: Some(Bytes::from_static(b"q\r")) },
        ),
    ];
    for line in 0..40u64 {
        story.push((line * 37 % 1_100, output(&format!("line {line} of some build\r\n"))));
    }
    let gap = Gap { cause: GapCause::DiskFull, bytes: Some(4_096), entries: None, ms: 12 };
    story.push((15, Entry::Gap(gap)));
    story.push((12_000, output("naïve \u{1f980}\r\n")));
    story.push((5, Entry::Signal { name: "INT".into() }));
    story.push((31_000, output("web-01:~# exit\r\n")));
    story
}

/// What happened on a connection beside its sessions.
pub fn forwards() -> Vec<(u64, Entry)> {
    let forward = |ms, forward| (ms, Entry::Forward(forward));
    let by = || "127.0.0.1:50222".to_owned();
    let target = || "127.0.0.1:5432".to_owned();
    let socket = || "/home/root/back.sock".to_owned();
    let (local, remote) = (Forwarding::Local, Forwarding::Remote);
    vec![
        forward(0, Forward::Opened { id: 1, what: local, target: target(), by: by() }),
        forward(40, Forward::Listening { what: remote, at: socket() }),
        forward(
            900,
            Forward::Refused {
                what: Forwarding::X11,
                target: "the client's display".into(),
                by: "a session".into(),
                why: "no role allows it".into(),
            },
        ),
        forward(3, Forward::Opened { id: 2, what: remote, target: socket(), by: "uid 0".into() }),
        forward(
            2_500,
            Forward::Closed {
                id: 1,
                sent: 300,
                received: 70_000,
                ms: 3_443,
                result: "closed".into(),
            },
        ),
        forward(1, Forward::Stopped { what: remote, at: socket() }),
    ]
}

/// A session that moves files: milliseconds since the entry before, and the entry.
pub fn transfers() -> Vec<(u64, Entry)> {
    let (path, access) = ("/home/alice/a".to_owned(), vec![Access::Write, Access::Create]);
    let opened =
        Transfer::Opened { file: 1, path: path.clone(), access: access.clone(), mode: Some(0o644) };
    let hash = Digest(*blake3::hash(b"hello").as_bytes());
    let written = Moved { bytes: 5, layout: Layout::Contiguous { from: 0, hash } };
    let extents = vec![Extent { from: 0, bytes: 1 }, Extent { from: 7, bytes: 2 }];
    let read = Moved { bytes: 3, layout: Layout::Scattered { extents, more: 1 } };
    let closed = |path, read, written, outcome| {
        let access = access.clone();
        let (size, mode, times) = (Some(5), Some(0o600), Some(Times { modified: 1, accessed: 2 }));
        let moved = FileMoved { file: 1, path, access, size, mode, times, read, written, outcome };
        Transfer::Closed(Box::new(moved))
    };
    let denied = || Outcome::Failed { code: 3, text: "Permission denied".into() };
    let attributes = Attributes { owner: Some((0, 0)), mode: Some(0o600), ..Attributes::default() };
    let changed = |change| Transfer::Changed { change, outcome: Outcome::Ok };
    let text = |text: &str| text.to_owned();
    let told = [
        Transfer::Began { protocol: Protocol::Sftp },
        opened,
        closed(path.clone(), None, Some(written), Outcome::Ok),
        closed(path.clone(), Some(read), None, Outcome::Unanswered),
        Transfer::NotOpened {
            path: "/root/x".into(),
            access: vec![Access::Read],
            outcome: denied(),
        },
        Transfer::Listed { path: "/home/alice".into(), names: 12, outcome: Outcome::Ok },
        Transfer::Changed {
            change: Change::Remove { path: "/etc/motd".into() },
            outcome: denied(),
        },
        changed(Change::Rename { path: text("a"), to: text("b"), replace: true }),
        changed(Change::MakeFolder { path: text("d"), mode: Some(0o755) }),
        changed(Change::RemoveFolder { path: text("d") }),
        changed(Change::Symlink { path: text("l"), to: text("caf\\xe9") }),
        changed(Change::Hardlink { path: text("a"), to: text("h") }),
        changed(Change::Attributes { path: text("a"), follow: false, set: attributes }),
        changed(Change::Copy { path: text("a"), from: 1, bytes: 2, to: text("b"), at: 3 }),
        changed(Change::Extension { name: text("x@y"), data: text("z") }),
        Transfer::Lookups(Lookups { stat: 3, names: 2, other: 1, failed: 1 }),
        Transfer::Said { by: Stream::Stdout, text: text("scp: none: No such file or directory") },
        Transfer::Unparsed { stream: Stream::Stdin, why: text("a packet that is too long") },
    ];
    told.into_iter().map(|transfer| (10, Entry::Transfer(transfer))).collect()
}

/// Every record a writer made of a story; with an ending, to the end. A keyframe is given wherever one is wanted.
pub fn write(
    heading: &Heading,
    key: SigningKey,
    story: &[(u64, Entry)],
    ending: Option<Ending>,
) -> Vec<Sealed> {
    let mut now = Tick(5_000_000);
    let mut writer = Writer::begin(heading, key, now);
    let mut records = Vec::new();
    for (ms, entry) in story {
        let next = now.plus_ms(*ms);
        while let Some(due) = writer.poll_timeout().filter(|due| *due < next) {
            writer.handle_timeout(due);
        }
        now = next;
        writer.handle(entry.clone(), now);
        records.extend(std::iter::from_fn(|| writer.poll()));
        if let Some(seq) = writer.wants_keyframe() {
            let dump = Bytes::from(format!("\x1b[Hscreen after {seq}"));
            let at = writer.time_of(now);
            writer.keyframe(
                Keyframe { seq: writer.last_seq(), at, size: Size::default(), dump },
                now,
            );
        }
    }
    match ending {
        Some(ending) => writer.end(ending, now.plus_ms(5)),
        None => writer.flush(now),
    }
    records.extend(std::iter::from_fn(|| writer.poll()));
    records
}

/// Records joined.
pub fn join(records: &[Sealed]) -> Vec<u8> {
    records.iter().flat_map(|record| record.bytes.to_vec()).collect()
}

/// A receipt by the usual key.
pub fn receipt(heading: &Heading, head: Head, ms: i64) -> Receipt {
    receipt_by(&seal_key(), heading, head, ms)
}

/// A receipt.
pub fn receipt_by(seal: &SigningKey, heading: &Heading, head: Head, ms: i64) -> Receipt {
    let received = STARTED.plus_ms(ms);
    let signature = seal.sign(&head.receipt_statement(&heading.id, received)).to_bytes().into();
    Receipt { head, received, key: seal.verifying_key().to_bytes(), signature }
}

/// A complete file: one receipt in the middle, one at the end, index and seal.
pub fn sealed(id: u8) -> Vec<u8> {
    sealed_by(&heading(id), &node_key(), &seal_key())
}

/// A complete file by these keys.
pub fn sealed_by(heading: &Heading, node: &SigningKey, seal: &SigningKey) -> Vec<u8> {
    sealed_story(heading, node, seal, &story())
}

/// As [`sealed_by`], of another story.
pub fn sealed_story(
    heading: &Heading,
    node: &SigningKey,
    seal: &SigningKey,
    story: &[(u64, Entry)],
) -> Vec<u8> {
    let records = write(heading, node.clone(), story, Some(Ending::Exit { status: 0 }));
    let (front, back) = records.split_at(records.len() / 2);
    let mut file = join(front);
    file.extend(receipt_record(&receipt_by(seal, heading, front.last().unwrap().head, 20_000)));
    file.extend(join(back));
    let last = receipt_by(seal, heading, back.last().unwrap().head, 70_000);
    seal_file(file, &[last], seal)
}

/// A file with its seal.
pub fn seal_file(mut file: Vec<u8>, receipts: &[Receipt], seal: &SigningKey) -> Vec<u8> {
    let key = seal.verifying_key().to_bytes();
    let sign = |bytes: &[u8]| seal.sign(bytes).to_bytes().into();
    file.extend(finish(&file, receipts, key, sign).unwrap());
    file
}

/// A file cut into its records, the magic in front of the first, the trailer as the last.
pub fn pieces(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while let Ok(Some((record, rest))) = split(file) {
        pieces.push(record.to_vec());
        file = rest;
    }
    if !file.is_empty() {
        pieces.push(file.to_vec());
    }
    pieces
}

/// The entries that a story becomes: Seq, and milliseconds since the beginning.
pub fn told(story: &[(u64, Entry)]) -> Vec<(Seq, u64, Entry)> {
    let mut at = 0;
    let mut told = Vec::new();
    for (place, (ms, entry)) in story.iter().enumerate() {
        at += ms;
        told.push((Seq(place as u64 + 1), at, entry.clone()));
    }
    told
}

/// Numbers that look random and are the same each time (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }
}

//! Taps on whole conversations: what they say, that no cut changes it, and that nothing is hidden when it breaks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use kit::{Dice, F, Heard, Sftp, Talk, Who, all, download, everything, hear, packet, upload};
use model::limit::{SFTP_PACKET_BYTES, TRANSFER_HELD_BYTES, TRANSFER_OPEN, TRANSFER_REQUESTS};
use model::transfer::{Layout, Outcome, Protocol};
use model::{Stream, Transfer};
use proptest::prelude::*;
use session::tap::Tap;

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[test]
fn sftp_is_told_as_what_it_did() {
    let up: Vec<u8> = (0..5u8).flat_map(|block| vec![block; 1000]).collect();
    let heard = hear(&everything(), &[]);
    let wanted = format!(
        "files are moved by sftp
opened /home/a/up to write
set attributes of /home/a/up: mode 0644
written /home/a/up: 5000 bytes, blake3 {}
opened /home/a/down to read
read /home/a/down: 2500 bytes, blake3 {}
listed /home/a, 2 names
remove /home/a/old
remove /etc/passwd: failed, Permission denied
make folder /home/a/d with mode 0755
remove folder /home/a/d: failed, Failure
rename a to b
link link to target
set attributes of up: 1 bytes owner 2:3 mode 0600 changed at 5
rename b to c
name c d as well
set attributes of link: owner 0:0
the extension vendor@example.org: failed, Odd
read /root/secret: failed, Permission denied
opened /left/open to write
remove /no/answer: not finished
written /left/open: 3 bytes, blake3 {}: not finished
4 lookups, 1 of them in vain
",
        hash(&up),
        hash(&[7; 2500]),
        hash(b"abc")
    );
    assert_eq!(heard.words(), wanted);
    assert_eq!(heard.raw, (Vec::new(), Vec::new()));
    let sizes: Vec<_> =
        heard.did.iter().filter_map(Transfer::moved).map(|moved| moved.size).collect();
    assert_eq!(sizes, [None, Some(2500), None]);
}

#[test]
fn scp_is_told_as_what_it_did() {
    let heard = hear(&upload(), &[]);
    let wanted = format!(
        "files are moved by scp, to the node
make folder d with mode 0755
opened d/a to write
written d/a: 5 bytes, blake3 {}
write d/b: failed, scp: d/b: Permission denied
opened d/empty to write
written d/empty: 0 bytes, blake3 {}
",
        hash(b"hello"),
        hash(b"")
    );
    assert_eq!((heard.words(), heard.raw), (wanted, (Vec::new(), Vec::new())));
    let times = heard.did.iter().filter_map(Transfer::moved).map(|moved| moved.times.is_some());
    assert_eq!(times.collect::<Vec<_>>(), [true, false]);

    let heard = hear(&download(), &[]);
    let wanted = format!(
        "files are moved by scp, from the node
the node said: scp: none: No such file or directory
opened d/x to read
read d/x: 3 bytes, blake3 {}
listed d, 1 names
opened y to read
read y: 4 bytes, blake3 {}: failed, scp: y: Input/output error
",
        hash(b"xyz"),
        hash(b"ab\0\0")
    );
    assert_eq!((heard.words(), heard.raw), (wanted, (Vec::new(), Vec::new())));
}

/// What is wrong, in which words, and that everything from there on is recorded as it is.
#[track_caller]
fn check_broken(talk: &Talk, why: &str, raw: (&[u8], &[u8])) {
    let heard = hear(talk, &[]);
    let said = heard.did.iter().find_map(|did| match did {
        Transfer::Unparsed { why, .. } => Some(why.as_str()),
        _ => None,
    });
    assert_eq!(said, Some(why), "{}", heard.words());
    assert_eq!((heard.raw.0.as_slice(), heard.raw.1.as_slice()), raw);
    for size in [1, 2, 3, 7] {
        assert_eq!(hear(talk, &[size]), heard, "in pieces of {size}");
    }
}

#[test]
fn whatever_does_not_parse_is_recorded_as_it_is_from_its_first_byte_on() {
    let shell = b"cat /etc/shadow\n";
    let begun = || {
        let mut sftp = Sftp::new();
        sftp.open("/tmp/x", 26, "h");
        sftp
    };
    // A shell behind a greeting.
    let mut sftp = begun();
    sftp.talk.push((Who::Client, shell.to_vec()));
    sftp.talk.push((Who::Server, b"root:*:1\n".to_vec()));
    check_broken(&sftp.talk, "a packet that is too long", (shell, b"root:*:1\n"));
    // Bytes that hide behind a request.
    let mut sftp = begun();
    let hidden = packet(13, &[F::U32(9), F::S("/a"), F::S("hidden")]);
    sftp.talk.push((Who::Client, hidden.clone()));
    check_broken(&sftp.talk, "a packet that is not as it should be", (&hidden, b""));
    // An answer to nothing, in the middle of a file.
    let mut sftp = begun();
    let file = packet(6, &[F::U32(9), F::S("h"), F::U64(0), F::B(b"0123456789")]);
    sftp.talk.push((Who::Client, file[..file.len() - 6].to_vec()));
    let answer = packet(103, &[F::U32(77), F::B(b"what")]);
    sftp.talk.push((Who::Server, answer.clone()));
    sftp.talk.push((Who::Client, b"456789rest".to_vec()));
    check_broken(&sftp.talk, "an answer that nobody asked for", (b"456789rest", &answer));
    for (hidden, why) in [
        (packet(99, &[F::U32(9), F::S("ls")]), "a request that sftp does not know"),
        (packet(4, &[F::U32(9), F::S("no such")]), "a handle that nothing has"),
        (
            packet(6, &[F::U32(9), F::S("no"), F::U64(0), F::B(b"ls")])[..27].to_vec(),
            "a handle that nothing has",
        ),
        (
            packet(3, &[F::U32(9), F::S("/a"), F::U32(64), F::U32(0)]),
            "flags of an open that are not known",
        ),
        (
            packet(200, &[F::U32(9), F::S("x"), F::B(&[b'a'; 2000])]),
            "an extension that is not known",
        ),
        (packet(17, &[F::U32(9), F::B(&[b'a'; 5000])]), "a path or a message that is too long"),
    ] {
        let mut sftp = begun();
        sftp.talk.push((Who::Client, hidden.clone()));
        check_broken(&sftp.talk, why, (&hidden, b""));
    }
    for (hidden, why) in [
        (b"answer".as_slice(), "an answer that scp does not know"),
        (b"\0", "an answer that nobody waits for"),
    ] {
        let mut talk = upload();
        talk.truncate(10);
        talk.push((Who::Server, hidden.to_vec()));
        talk.push((Who::Client, b"lo and more".to_vec()));
        check_broken(&talk, why, (b"lo and more", hidden));
    }
    let mut talk = upload();
    talk.truncate(5);
    talk.push((Who::Client, b"rm -rf /\n".to_vec()));
    check_broken(&talk, "a line that scp does not know", (b"rm -rf /\n", b""));
}

#[test]
fn contents_behind_the_close_of_their_file_are_recorded_as_they_are() {
    let mut sftp = Sftp::new();
    sftp.open("/tmp/x", 26, "h");
    let close = sftp.ask(4, &[F::S("h")]);
    sftp.ask(6, &[F::S("h"), F::U64(0), F::B(b"0123456789")]);
    let mut kept = sftp.talk.last().unwrap().1.clone();
    sftp.status(close, 0);
    let closed = sftp.talk.last().unwrap().1.clone();
    sftp.talk.push((Who::Client, b"and more".to_vec()));
    kept.extend(b"and more");
    check_broken(&sftp.talk, "contents of a file that is being closed", (&kept, &closed));
}

#[track_caller]
fn check_answer(asked: (u8, &[F<'_>]), answer: (u8, &[F<'_>]), why: &str) {
    let mut sftp = Sftp::new();
    let id = sftp.ask(asked.0, asked.1);
    sftp.answer(id, answer.0, answer.1);
    let kept = sftp.talk.last().unwrap().1.clone();
    check_broken(&sftp.talk, why, (b"", &kept));
}

#[test]
fn answers_that_nobody_is_told_of_carry_nothing_else() {
    let (long, unfit) =
        ("a path or a message that is too long", "an answer that does not fit its request");
    let bytes = [b'a'; 4097];
    let name = [F::S("a"), F::S("a"), F::U32(0)];
    for kind in [16, 19] {
        let asked: (u8, &[F<'_>]) = (kind, &[F::S(".")]);
        check_answer(asked, (104, &[F::U32(0)]), unfit);
        check_answer(asked, (104, &[&[F::U32(2)], &name[..], &name[..]].concat()), unfit);
        check_answer(asked, (104, &[F::U32(1), F::B(&bytes), F::S(""), F::U32(0)]), long);
        check_answer(asked, (104, &[F::U32(1), F::S("a"), F::B(&bytes), F::U32(0)]), long);
    }
    let asked: (u8, &[F<'_>]) = (13, &[F::S("f")]);
    check_answer(asked, (101, &[F::U32(0), F::B(&bytes[..1025]), F::S("")]), long);
    check_answer(asked, (101, &[F::U32(0), F::S("Success"), F::B(&bytes[..1025])]), long);
    check_answer(asked, (101, &[F::U32(4), F::S("Failure"), F::B(&bytes[..1025])]), long);
    check_answer(asked, (101, &[F::U32(4), F::B(&bytes), F::S("")]), long);
    // The longest that are still good.
    let mut sftp = Sftp::new();
    let id = sftp.ask(16, &[F::S(".")]);
    let path = F::B(&bytes[..4096]);
    sftp.answer(id, 104, &[F::U32(1), path, path, F::U32(0)]);
    let id = sftp.ask(13, &[F::S("f")]);
    sftp.answer(id, 101, &[F::U32(0), F::B(&bytes[..1024]), F::S("en")]);
    let id = sftp.ask(13, &[F::S("f")]);
    sftp.answer(id, 101, &[F::U32(4), F::B(&bytes[..4096]), F::S("")]);
    assert_eq!(hear(&sftp.talk, &[]).raw, (Vec::new(), Vec::new()));
}

#[test]
fn what_never_was_a_transfer_leaves_no_word_and_every_byte() {
    for (client, server) in [
        ("", "hello\n"),
        ("ls -l\nexit\n", "total 0\n"),
        ("Cat is not a file\n", ""),
        ("C0644 5 a\n", "sh: C0644: not found\n"),
        ("\0", "\0"),
        ("\0\0\0\x05\x01\0\0\0\x03", "This account is not available.\n"),
        ("", "\0"),
    ] {
        let talk = vec![
            (Who::Client, client.as_bytes().to_vec()),
            (Who::Server, server.as_bytes().to_vec()),
        ];
        let raw = (client.as_bytes().to_vec(), server.as_bytes().to_vec());
        assert_eq!(hear(&talk, &[]), Heard { raw, ..Heard::default() }, "{client:?} {server:?}");
    }
}

#[test]
fn a_sender_that_does_not_wait_is_read_all_the_same_and_one_that_is_refused_hides_nothing() {
    let ready = |answers: &[u8]| {
        let mut talk = vec![(Who::Client, b"C0644 5 a\nhello\0".to_vec())];
        talk.extend(answers.iter().map(|byte| (Who::Server, vec![*byte])));
        talk
    };
    let heard = hear(&ready(&[0, 0, 0]), &[]);
    assert!(heard.words().contains("written a: 5 bytes, blake3"), "{}", heard.words());
    assert_eq!(heard.raw.0, b"");
    // The file is refused: what looked like its contents are lines, and no good ones.
    let heard = hear(&ready(b"\0\x01no\n"), &[]);
    assert!(
        heard.words().contains("write a: failed, no\nnot parsed any more"),
        "{}",
        heard.words()
    );
    assert_eq!(heard.raw.0, b"hello\0");
    // Nobody ever answers.
    let mut talk = ready(&[0]);
    talk.push((Who::Client, vec![b'x'; 2 * TRANSFER_HELD_BYTES]));
    let heard = hear(&talk, &[]);
    assert!(heard.words().contains("too much without waiting"), "{}", heard.words());
    assert_eq!(heard.raw.0.len(), 6 + 2 * TRANSFER_HELD_BYTES);
}

/// Of one stream: bytes and hash of what is counted and hashed.
fn elided(heard: &Heard, stream: Stream) -> Vec<(u64, [u8; 32])> {
    let of_it = heard.elided.iter().filter(|elided| elided.stream == stream);
    of_it.map(|elided| (elided.bytes, elided.hash)).collect()
}

#[test]
fn what_sftp_carries_in_paths_and_names_that_are_only_counted_is_hashed() {
    let contents = b"contents of a file";
    let mut sftp = Sftp::new();
    sftp.call(17, &[F::S("/said/in/a/path")], 2);
    let id = sftp.ask(16, &[F::S("said here")]);
    sftp.answer(id, 104, &[F::U32(1), F::S("and answered"), F::S(""), F::U32(0)]);
    let id = sftp.ask(11, &[F::S("/folder")]);
    sftp.answer(id, 102, &[F::S("dir")]);
    let id = sftp.ask(12, &[F::S("dir")]);
    sftp.answer(id, 104, &[F::U32(1), F::S("a name that says something"), F::S(""), F::U32(0)]);
    sftp.close("dir");
    sftp.open("/file", 27, "h");
    sftp.write("h", 0, contents);
    let id = sftp.read("h", 0, 100);
    sftp.answer(id, 103, &[F::B(contents)]);
    sftp.close("h");
    // Contents have a hash of their own, that of their file.
    let without = |who: Who| {
        let said = sftp.talk.iter().filter(|(by, _)| *by == who);
        let heads = said.map(|(_, packet)| packet.strip_suffix(contents).unwrap_or(packet));
        heads.collect::<Vec<_>>().concat()
    };
    let heard = hear(&sftp.talk, &[]);
    assert_eq!(heard.raw, (Vec::new(), Vec::new()), "{}", heard.words());
    for (who, stream) in [(Who::Client, Stream::Stdin), (Who::Server, Stream::Stdout)] {
        let bytes = without(who);
        let hash = *blake3::hash(&bytes).as_bytes();
        assert_eq!(elided(&heard, stream), [(bytes.len() as u64, hash)]);
    }
    // One letter of a path that is looked up is another hash.
    let at = sftp.talk.iter().position(|(_, packet)| packet.ends_with(b"a/path")).unwrap();
    *sftp.talk[at].1.last_mut().unwrap() = b'H';
    let other = hear(&sftp.talk, &[]);
    assert_eq!(other.did, heard.did);
    assert_ne!(elided(&other, Stream::Stdin), elided(&heard, Stream::Stdin));
    assert_eq!(elided(&other, Stream::Stdout), elided(&heard, Stream::Stdout));
}

#[test]
fn files_moved_out_of_order_have_places_and_no_hash() {
    let mut sftp = Sftp::new();
    sftp.open("f", 26, "h");
    for at in [0u64, 2000, 1000, 500] {
        sftp.write("h", at, &[1; 1000]);
    }
    sftp.close("h");
    let heard = hear(&sftp.talk, &[]);
    assert!(
        heard.words().contains("written f: 4000 bytes, not contiguous: 0+3000"),
        "{}",
        heard.words()
    );
    let layouts =
        heard.did.iter().filter_map(Transfer::moved).filter_map(|moved| moved.written.as_ref());
    assert!(layouts.into_iter().all(|moved| matches!(moved.layout, Layout::Scattered { .. })));
}

#[test]
fn the_first_failure_of_a_file_is_its_result() {
    let mut sftp = Sftp::new();
    sftp.open("f", 26, "h");
    sftp.write("h", 0, b"abc");
    sftp.call(6, &[F::S("h"), F::U64(3), F::B(b"def")], 4);
    sftp.close("h");
    let heard = hear(&sftp.talk, &[]);
    let moved = heard.did.iter().find_map(Transfer::moved).unwrap();
    assert_eq!(moved.outcome, Outcome::Failed { code: 4, text: "Failure".into() });
}

#[test]
fn everything_that_is_kept_has_a_bound_and_beyond_it_the_bytes_are_recorded() {
    let check = |talk: &Talk, why: &str| {
        let heard = hear(talk, &[]);
        assert!(
            heard.words().contains(why),
            "{}",
            heard.words().lines().last().unwrap_or_default()
        );
        assert!(!heard.raw.0.is_empty() || !heard.raw.1.is_empty());
    };
    let mut sftp = Sftp::new();
    for handle in 0..=TRANSFER_OPEN {
        sftp.open("f", 26, &handle.to_string());
    }
    check(&sftp.talk, "too many open files");
    let mut sftp = Sftp::new();
    for _ in 0..=TRANSFER_REQUESTS {
        sftp.ask(13, &[F::S("f")]);
    }
    check(&sftp.talk, "too many requests without an answer");
    let mut sftp = Sftp::new();
    for _ in 0..=300 {
        sftp.ask(13, &[F::B(&[b'a'; 4000])]);
    }
    check(&sftp.talk, "too many paths at once");
    let mut sftp = Sftp::new();
    sftp.ask(13, &[F::B(&vec![b'a'; SFTP_PACKET_BYTES])]);
    check(&sftp.talk, "a packet that is too long");
    let mut talk = upload();
    talk.truncate(5);
    for _ in 0..300 {
        talk.push((Who::Client, b"D0755 0 d\n".to_vec()));
        talk.push((Who::Server, vec![0]));
    }
    check(&talk, "too many folders inside of each other");
}

#[test]
fn two_gib_in_flight_as_paramiko_sends_them_are_told_with_their_hash() {
    let (mut tap, mut heard) = (Tap::new(), Heard::default());
    let mut sftp = Sftp::new();
    sftp.open("big", 1, "h");
    let blocks = 65_536u32;
    let first = sftp.read("h", 0, 32_768);
    for block in 1..blocks {
        sftp.read("h", u64::from(block) * 32_768, 32_768);
    }
    for (who, message) in &sftp.talk {
        heard.pass(&mut tap, *who, message);
    }
    let contents = vec![9; 32_768];
    for block in 0..40 {
        heard.pass(&mut tap, Who::Server, &packet(103, &[F::U32(first + block), F::B(&contents)]));
    }
    assert!(heard.raw.0.is_empty() && heard.raw.1.is_empty());
    tap.finish();
    let last = std::iter::from_fn(|| tap.poll()).last();
    let wanted = hash(&vec![9; 40 * 32_768]);
    assert!(format!("{last:?}").contains("bytes: 1310720"), "{last:?}");
    assert!(
        matches!(&last, Some(session::tap::Tapped::Did(did)) if did.to_string().contains(&wanted)),
        "{last:?}"
    );
}

/// One of the conversations, perhaps with some of its bytes changed.
fn some_talk(which: usize, changes: &[(usize, u8)]) -> Talk {
    let mut talk = match which {
        0 => everything(),
        1 => upload(),
        _ => download(),
    };
    let total: usize = talk.iter().map(|(_, message)| message.len()).sum();
    for (at, byte) in changes {
        let mut at = at % total;
        for (_, message) in &mut talk {
            if at < message.len() {
                message[at] = *byte;
                break;
            }
            at -= message.len();
        }
    }
    talk
}

/// Whether the raw part is the end of what was said.
fn is_end(talk: &Talk, who: Who, raw: &[u8]) -> bool {
    all(talk, who).ends_with(raw)
}

/// Fewer in a normal run.
fn cases() -> u32 {
    if chance::long() { 20_000 } else { 400 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn no_cut_changes_what_is_told(
        which in 0usize..3,
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        sizes in proptest::collection::vec(1usize..300, 1..20),
    ) {
        let talk = some_talk(which, &changes);
        let whole = hear(&talk, &[]);
        prop_assert_eq!(&hear(&talk, &sizes), &whole);
        prop_assert_eq!(&hear(&talk, &[1]), &whole);
    }

    #[test]
    fn what_is_raw_is_the_end_of_the_stream_and_without_it_nothing_is(
        which in 0usize..3,
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        sizes in proptest::collection::vec(1usize..100, 1..20),
    ) {
        let talk = some_talk(which, &changes);
        let heard = hear(&talk, &sizes);
        prop_assert!(is_end(&talk, Who::Client, &heard.raw.0));
        prop_assert!(is_end(&talk, Who::Server, &heard.raw.1));
        let told = heard.did.iter().any(|did| matches!(did, Transfer::Unparsed { .. }));
        let raw = !heard.raw.0.is_empty() || !heard.raw.1.is_empty();
        prop_assert!(!raw || told || heard.did.is_empty(), "{}", heard.words());
    }

    #[test]
    fn every_byte_of_sftp_is_a_files_or_hashed_or_raw(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        sizes in proptest::collection::vec(1usize..100, 1..20),
    ) {
        let talk = some_talk(0, &changes);
        let heard = hear(&talk, &sizes);
        let sftp = Transfer::Began { protocol: Protocol::Sftp };
        prop_assume!(heard.did.first() == Some(&sftp));
        for (who, stream, raw) in [
            (Who::Client, Stream::Stdin, &heard.raw.0),
            (Who::Server, Stream::Stdout, &heard.raw.1),
        ] {
            let files = heard.did.iter().filter_map(Transfer::moved);
            let moved = files.filter_map(|file| match who {
                Who::Client => file.written.as_ref(),
                Who::Server => file.read.as_ref(),
            });
            let moved: u64 = moved.map(|moved| moved.bytes).sum();
            let hashed: u64 = elided(&heard, stream).iter().map(|(bytes, _)| *bytes).sum();
            let said = all(&talk, who).len() as u64;
            prop_assert_eq!(moved + hashed + raw.len() as u64, said, "{}", heard.words());
        }
    }

    #[test]
    fn random_bytes_after_a_good_beginning_do_no_harm(seed in any::<u64>(), which in 0usize..3) {
        let mut dice = Dice(seed | 1);
        let mut talk = some_talk(which, &[]);
        let keep = dice.below(talk.len()) + 1;
        talk.truncate(keep);
        for _ in 0..20 {
            let who = if dice.below(2) == 0 { Who::Client } else { Who::Server };
            let count = dice.below(500);
            let mut bytes = dice.bytes(count);
            if dice.below(2) == 0 && bytes.len() > 5 {
                // A packet that could be one.
                let length = (bytes.len() as u32 - 4).to_be_bytes();
                bytes[..4].copy_from_slice(&length);
                bytes[4] = [3, 4, 5, 6, 12, 18, 101, 102, 103, 104, 105, 200, 201][dice.below(13)];
            }
            talk.push((who, bytes));
        }
        let heard = hear(&talk, &[dice.below(64) + 1]);
        prop_assert!(is_end(&talk, Who::Client, &heard.raw.0));
        prop_assert!(is_end(&talk, Who::Server, &heard.raw.1));
    }
}

//! What is recorded of a session without a terminal: what it did with files while it is a transfer, else its bytes.

use crate::keep::Keep;
use bytes::Bytes;
use model::Stream;
use model::entry::Entry;
use session::tap::{Elided, Tap, Tapped};
use std::future::poll_fn;
use std::task::Poll;

/// The streams of one session.
pub(crate) struct Pipes {
    tap: Tap,
    /// The bytes of transfers are recorded as well.
    all: bool,
    stdin: Keep,
    stdout: Keep,
    stderr: Keep,
}

impl Pipes {
    /// Keeps the first `most` bytes of each stream that is no transfer, and of every stream if the role wants `all`.
    pub fn new(most: u64, all: bool) -> Self {
        let keep = |stream| Keep::new(stream, most);
        Self {
            tap: Tap::new(),
            all,
            stdin: keep(Stream::Stdin),
            stdout: keep(Stream::Stdout),
            stderr: keep(Stream::Stderr),
        }
    }

    /// The entries that these bytes make, in order.
    pub fn take(&mut self, stream: Stream, bytes: Bytes) -> Vec<Entry> {
        let taken = match stream {
            Stream::Stdin => self.tap.from_client(&bytes),
            Stream::Stdout => self.tap.from_server(&bytes),
            Stream::Stderr | Stream::Pty => 0,
        };
        let mut entries = self.told();
        let rest = if self.all { bytes } else { bytes.slice(taken.min(bytes.len())..) };
        entries.extend(self.keep(stream).take(rest));
        entries
    }

    /// An entry that waited for its hash. Cancel safe.
    pub async fn hashed(&mut self) -> Entry {
        poll_fn(|cx| {
            let keeps = [&mut self.stdin, &mut self.stdout, &mut self.stderr];
            let mut ready = keeps.into_iter().map(|keep| keep.poll_hashed(cx));
            ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }

    /// What is left to say when the session has ended.
    pub fn finish(&mut self) -> Vec<Entry> {
        self.tap.finish();
        let mut entries = self.told();
        for keep in [&mut self.stdin, &mut self.stdout, &mut self.stderr] {
            entries.extend(keep.finish());
        }
        entries
    }

    fn told(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        // With everything recorded its bytes are there already; so it is with those that were held back.
        while let Some(Elided { stream, bytes, hash }) = self.tap.elided() {
            if !self.all {
                entries.push(Entry::Elided { stream, bytes, hash });
            }
        }
        while let Some(tapped) = self.tap.poll() {
            match tapped {
                Tapped::Did(transfer) => entries.push(Entry::Transfer(transfer)),
                Tapped::Raw { stream, bytes } if !self.all => {
                    entries.extend(self.keep(stream).take(bytes));
                }
                Tapped::Raw { .. } => {}
            }
        }
        entries
    }

    fn keep(&mut self, stream: Stream) -> &mut Keep {
        match stream {
            Stream::Stdin => &mut self.stdin,
            Stream::Stderr => &mut self.stderr,
            Stream::Stdout | Stream::Pty => &mut self.stdout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: [(Stream, &[u8]); 7] = [
        (Stream::Stdout, b"\0"),
        (Stream::Stdin, b"C0644 5 a\n"),
        (Stream::Stdout, b"\0"),
        (Stream::Stdin, b"hello"),
        (Stream::Stdin, b"\0"),
        (Stream::Stderr, b"a warning\n"),
        (Stream::Stdout, b"\0"),
    ];

    /// How many transfers were told, and what was kept of each stream.
    fn check(all: bool, pieces: &[(Stream, &'static [u8])], told: usize, kept: [&str; 3]) {
        let mut pipes = Pipes::new(1000, all);
        let mut entries = Vec::new();
        for (stream, bytes) in pieces {
            entries.extend(pipes.take(*stream, Bytes::from_static(bytes)));
        }
        entries.extend(pipes.finish());
        let mut streams = [Vec::new(), Vec::new(), Vec::new()];
        let mut transfers = 0;
        for entry in entries {
            match entry {
                Entry::Transfer(_) => transfers += 1,
                Entry::Output { stream: Stream::Stdin, bytes } => streams[0].extend(bytes),
                Entry::Output { stream: Stream::Stdout, bytes } => streams[1].extend(bytes),
                Entry::Output { bytes, .. } => streams[2].extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        let streams = streams.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!((transfers, streams), (told, kept.map(str::to_owned)));
    }

    #[test]
    fn a_transfer_is_told_and_its_bytes_are_kept_only_where_the_role_says_so() {
        check(false, &UPLOAD, 3, ["", "", "a warning\n"]);
        check(true, &UPLOAD, 3, ["C0644 5 a\nhello\0", "\0\0\0", "a warning\n"]);
    }

    #[test]
    fn what_sftp_looks_up_is_counted_and_hashed_unless_it_is_kept() {
        const STAT: &[u8] = b"\0\0\0\x0b\x11\0\0\0\x01\0\0\0\x02/a";
        const NONE: &[u8] = b"\0\0\0\x09\x65\0\0\0\x01\0\0\0\x02";
        const GREETINGS: [&[u8]; 2] = [b"\0\0\0\x05\x01\0\0\0\x03", b"\0\0\0\x05\x02\0\0\0\x03"];
        let (client, server) = ([GREETINGS[0], STAT], [GREETINGS[1], NONE]);
        for all in [false, true] {
            let (mut pipes, mut entries) = (Pipes::new(1000, all), Vec::new());
            for (asked, answered) in client.into_iter().zip(server) {
                entries.extend(pipes.take(Stream::Stdin, Bytes::from_static(asked)));
                entries.extend(pipes.take(Stream::Stdout, Bytes::from_static(answered)));
            }
            entries.extend(pipes.finish());
            for (stream, bytes) in
                [(Stream::Stdin, client.concat()), (Stream::Stdout, server.concat())]
            {
                let hash = *blake3::hash(&bytes).as_bytes();
                let elided = Entry::Elided { stream, bytes: bytes.len() as u64, hash };
                assert_eq!(entries.contains(&elided), !all, "{entries:?}");
            }
            let kept = entries.iter().any(|entry| matches!(entry, Entry::Output { .. }));
            assert_eq!(kept, all, "{entries:?}");
        }
    }

    #[test]
    fn what_is_no_transfer_is_kept_once_whatever_it_looked_like() {
        let shell: [(Stream, &[u8]); 3] =
            [(Stream::Stdout, b"\0"), (Stream::Stdin, b"C0644 "), (Stream::Stdin, b"ls\n")];
        for all in [false, true] {
            check(all, &shell, 0, ["C0644 ls\n", "\0", ""]);
            check(all, &[(Stream::Stdout, b"\0")], 0, ["", "\0", ""]);
        }
    }

    #[test]
    fn a_transfer_that_becomes_something_else_is_kept_from_there_on() {
        let mut pieces = UPLOAD[..4].to_vec();
        pieces.push((Stream::Stdin, b"sh -i\n"));
        pieces.push((Stream::Stdout, b"# "));
        check(false, &pieces, 4, ["sh -i\n", "# ", ""]);
    }
}

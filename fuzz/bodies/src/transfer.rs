//! The taps on sftp and scp: conversations of both sides, cut in any way.

use crate::feed::Feed;
use model::{Stream, Transfer};
use session::tap::{Tap, Tapped};

/// Who says something: the client, or the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Client,
    Server,
}

type Talk = Vec<(Who, Vec<u8>)>;

/// What was told of a conversation, and what is recorded as it is, by side.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    did: Vec<Transfer>,
    raw: [Vec<u8>; 2],
}

/// Packets of sftp, in turn: a byte that says who, and whether the length in front is made right; two for how long; bytes.
///
/// How the streams were cut changes nothing that is told. What is recorded as it is, is the end of what was said.
pub fn sftp(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let mut talk = Talk::new();
    while let Some(kind) = feed.next() {
        let length = feed.u16() & 0x3fff;
        let body = feed.take(length.into());
        let framed = kind & 2 == 0;
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let message = if framed { [&length, body].concat() } else { body.to_vec() };
        talk.push((if kind & 1 == 0 { Who::Client } else { Who::Server }, message));
    }
    promises(&talk);
}

/// As [`sftp`], for the lines and contents of scp: a byte with who in its lowest bit and how long above, then bytes.
pub fn scp(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let mut talk = Talk::new();
    while let Some(kind) = feed.next() {
        let who = if kind & 1 == 0 { Who::Client } else { Who::Server };
        talk.push((who, feed.take((kind >> 1).into()).to_vec()));
    }
    promises(&talk);
}

fn promises(talk: &Talk) {
    let heard = hear(talk, &[usize::MAX]);
    for sizes in [&[1][..], &[2, 7, 3]] {
        let cut = hear(talk, sizes);
        assert!(heard == cut, "in pieces of {sizes:?}:\n{heard:?}\n{cut:?}");
    }
    for (who, raw) in [Who::Client, Who::Server].into_iter().zip(&heard.raw) {
        let said: Vec<u8> =
            talk.iter().filter(|(by, _)| *by == who).flat_map(|(_, bytes)| bytes.clone()).collect();
        assert!(said.ends_with(raw), "what is recorded as it is, is not how the stream ended");
    }
    let unparsed = heard.did.iter().any(|did| matches!(did, Transfer::Unparsed { .. }));
    let began = heard.did.iter().any(|did| matches!(did, Transfer::Began { .. }));
    let raw = heard.raw.iter().any(|raw| !raw.is_empty());
    assert!(!raw || unparsed || !began, "bytes of a transfer are recorded, and nothing says why");
    for did in &heard.did {
        assert!(!did.to_string().is_empty(), "nothing to say of {did:?}");
    }
}

fn hear(talk: &Talk, sizes: &[usize]) -> Heard {
    let (mut tap, mut heard) = (Tap::new(), Heard::default());
    let mut sizes = sizes.iter().cycle();
    for (who, message) in talk {
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            let size = sizes.next().copied().unwrap_or(usize::MAX).min(rest.len());
            let (piece, behind) = rest.split_at(size);
            let (taken, side) = match who {
                Who::Client => (tap.from_client(piece), 0),
                Who::Server => (tap.from_server(piece), 1),
            };
            drain(&mut tap, &mut heard);
            let raw = piece.get(taken..).expect("at most what was handed over is taken");
            if let Some(kept) = heard.raw.get_mut(side) {
                kept.extend_from_slice(raw);
            }
            rest = behind;
        }
    }
    tap.finish();
    drain(&mut tap, &mut heard);
    heard
}

fn drain(tap: &mut Tap, heard: &mut Heard) {
    let [client, server] = &mut heard.raw;
    while let Some(tapped) = tap.poll() {
        match tapped {
            Tapped::Did(did) => heard.did.push(did),
            Tapped::Raw { stream: Stream::Stdin, bytes } => client.extend_from_slice(&bytes),
            Tapped::Raw { bytes, .. } => server.extend_from_slice(&bytes),
        }
    }
}

//! What people type while they look at a session: their own below scry's words, or somebody else's.

use crate::overlay::{Piece, Typed};
use crate::viewer;
use model::Tick;
use screen::Paste;

/// Bytes that are looked at: what is longer than a sequence may be depends on how it comes.
const MOST: usize = 4_000;
const ESC: u8 = 0x1b;
/// Ctrl-], the escape key.
const ESCAPE: u8 = 0x1d;

/// Bytes of a keyboard.
///
/// However they come in pieces, they are the same keys. Nothing is lost on the way to the program but the escape key and the
/// word behind it, no paste has such a key in it, and who only looks on types nothing.
pub fn typed(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MOST)];
    own(bytes);
    others(bytes);
}

fn own(bytes: &[u8]) {
    let whole = pieces(bytes, bytes.len());
    for size in [1, 2, 5] {
        assert_eq!(pieces(bytes, size), whole, "in pieces of {size}");
    }
    let (mut paste, mut passed) = (Paste::default(), Vec::new());
    for piece in &whole {
        let (pasted, bytes) = match piece {
            Piece::Pasted(bytes) => (true, bytes),
            Piece::Key(byte, bytes) => {
                assert!(byte.is_ascii() || bytes[..] == [*byte], "{piece:?}");
                (false, bytes)
            }
            Piece::Place((row, col), bytes) => {
                let shortest = format!("\x1b[{row};{col}R");
                assert!(bytes.ends_with(b"R") && bytes.len() >= shortest.len(), "{piece:?}");
                (false, bytes)
            }
            Piece::Escape(bytes) | Piece::Sequence(bytes) | Piece::Answer(bytes) => (false, bytes),
        };
        assert_eq!(paste.is_on(), pasted, "{piece:?}");
        bytes.iter().for_each(|byte| paste.watch(*byte));
        passed.extend_from_slice(bytes);
    }
    assert!(passed == bytes, "what was typed is not what came: {whole:?}");
}

/// What is typed, in pieces of about this size; each paste as one.
fn pieces(bytes: &[u8], size: usize) -> Vec<Piece> {
    let (mut typed, mut all, mut rest) = (Typed::default(), Vec::<Piece>::new(), bytes);
    while !rest.is_empty() {
        let mut end = size.min(rest.len());
        // What ends with it is a person's Escape: terminals send a sequence as one.
        while end < rest.len() && rest[end - 1] == ESC {
            end += 1;
        }
        let (piece, behind) = rest.split_at(end);
        all.extend(typed.take(piece, Tick(0)));
        rest = behind;
    }
    all.extend(typed.handle_timeout(Tick(1_000)));
    assert_eq!(typed.poll_timeout(), None, "something is held back");
    let mut joined = Vec::<Piece>::new();
    for piece in all {
        if let (Some(Piece::Pasted(before)), Piece::Pasted(more)) = (joined.last_mut(), &piece) {
            *before = [&before[..], &more[..]].concat().into();
            continue;
        }
        joined.push(piece);
    }
    joined
}

fn others(bytes: &[u8]) {
    let only_looks = viewer::Keys::new(false).take(bytes);
    assert!(!only_looks.iter().any(|piece| matches!(piece, viewer::Piece::Input(_))), "it types");
    let (mut keys, mut paste) = (viewer::Keys::new(true), Paste::default());
    let mut said = Vec::new();
    for byte in bytes {
        let (escaped, pasting) = (keys.is_escaped(), paste.is_on());
        paste.watch(*byte);
        let now = marked(keys.take(&[*byte]));
        assert!(escaped || now.iter().all(|(word, _)| !word), "a word without the escape key");
        assert!(escaped || !pasting || !keys.is_escaped(), "the escape key counts in a paste");
        said.extend(now);
    }
    assert_eq!(marked(viewer::Keys::new(true).take(bytes)), said, "in pieces of one byte");
    let typed = bytes.iter().filter(|byte| **byte != ESCAPE);
    let passed = said.iter().map(|(_, byte)| byte).filter(|byte| **byte != ESCAPE);
    assert!(passed.eq(typed), "something that was typed is lost");
}

/// Each byte that came through, and whether it is a word to scry.
fn marked(pieces: Vec<viewer::Piece>) -> Vec<(bool, u8)> {
    let mut marked = Vec::new();
    for piece in pieces {
        match piece {
            viewer::Piece::Input(bytes) => {
                marked.extend(bytes.into_iter().map(|byte| (false, byte)))
            }
            viewer::Piece::Word(byte) => marked.push((true, byte)),
        }
    }
    marked
}

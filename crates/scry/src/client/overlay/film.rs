//! The player in front of the session that it shows: its pictures come here, and what is typed goes to it.

use super::typed::Piece;
use crate::play::{Desk, Key, Turn};
use model::Size;
use screen::Canvas;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Keys that the player has not taken yet. Beyond: they are dropped; it is busy, and nobody types so far ahead.
const TURNS: usize = 64;
/// Characters are at most so long in UTF-8.
const CHAR_BYTES: usize = 4;
/// As they are typed: Ctrl-C and Ctrl-D, which leave, Backspace in both of its forms, Escape.
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
const ESC: u8 = 0x1b;

/// The player as the front has it.
#[derive(Debug, Default)]
pub struct Film {
    /// Its last picture; none as long as the recording is being opened.
    pub picture: Option<Canvas>,
    /// The beginning of a character.
    held: Vec<u8>,
}

/// What a piece of what was typed means to the player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// One of its keys.
    Key(Key),
    /// Back to what goes on, whether the player takes keys or not.
    Close,
}

impl Film {
    /// What a piece means, if anything.
    pub fn press(&mut self, piece: &Piece) -> Option<Press> {
        let key = match piece {
            Piece::Escape(_) => return Some(Press::Close),
            Piece::Key(byte, _) => self.key(*byte)?,
            Piece::Sequence(bytes) => sequence(bytes)?,
            Piece::Place(..) | Piece::Answer(_) | Piece::Pasted(_) => return None,
        };
        // Before its first picture the player may be far away.
        let leaves = matches!(key, Key::Char('q') | Key::Escape | Key::Interrupt);
        Some(if leaves && self.picture.is_none() { Press::Close } else { Press::Key(key) })
    }

    fn key(&mut self, byte: u8) -> Option<Key> {
        let key = match byte {
            b'\r' | b'\n' => Key::Enter,
            INTERRUPT | END => Key::Interrupt,
            BACKSPACE | DELETE => Key::Backspace,
            ESC => Key::Escape,
            0x20..0x7f => Key::Char(char::from(byte)),
            0x80.. => return self.character(byte),
            _ => return None,
        };
        self.held.clear();
        Some(key)
    }

    /// The character that ends with this byte.
    fn character(&mut self, byte: u8) -> Option<Key> {
        // Only the first byte of a character begins so.
        if byte >= 0xc0 || self.held.len() >= CHAR_BYTES {
            self.held.clear();
        }
        self.held.push(byte);
        let found = core::str::from_utf8(&self.held).ok().and_then(|text| text.chars().next());
        found.map(|ch| {
            self.held.clear();
            Key::Char(ch)
        })
    }
}

/// The key that a sequence stands for, in the words of xterm, of rxvt and of the Linux console.
fn sequence(bytes: &[u8]) -> Option<Key> {
    let (body, last) = match bytes {
        [ESC, b'[' | b'O', body @ .., last] => (body, last),
        _ => return None,
    };
    let shifted = body == b"1;2";
    Some(match (body, last) {
        (_, b'D') if shifted => Key::ShiftLeft,
        (_, b'C') if shifted => Key::ShiftRight,
        (_, b'A') => Key::Up,
        (_, b'B') => Key::Down,
        (_, b'C') => Key::Right,
        (_, b'D') => Key::Left,
        (_, b'H') | (b"1" | b"7", b'~') => Key::Home,
        (_, b'F') | (b"4" | b"8", b'~') => Key::End,
        (b"5", b'~') => Key::PageUp,
        (b"6", b'~') => Key::PageDown,
        _ => return None,
    })
}

/// What comes from a player.
#[derive(Debug)]
pub enum Shot {
    /// What it shows.
    Picture(Canvas),
    /// It is over; and why, if nobody asked for that.
    Over(Option<String>),
}

/// The number of a player, and what comes from it.
pub type Shots = mpsc::Sender<(u64, Shot)>;

/// The player's side of it. Gone when the other side's [`SyncSender`] is.
pub struct Booth {
    number: u64,
    sizes: watch::Receiver<Size>,
    turns: Receiver<Turn>,
    shots: Shots,
}

impl Booth {
    /// Of the player of this number, and where it is turned.
    pub fn new(
        number: u64,
        sizes: watch::Receiver<Size>,
        shots: Shots,
    ) -> (Self, SyncSender<Turn>) {
        let (turn, turns) = sync_channel(TURNS);
        (Self { number, sizes, turns, shots }, turn)
    }
}

impl Desk for Booth {
    fn size(&self) -> (u16, u16) {
        let size = *self.sizes.borrow();
        (size.cols(), size.rows())
    }

    fn show(&mut self, canvas: Canvas) -> io::Result<()> {
        let sent = self.shots.blocking_send((self.number, Shot::Picture(canvas)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn turn(&mut self, wait: Duration) -> io::Result<Option<Turn>> {
        match self.turns.recv_timeout(wait) {
            Ok(turn) => Ok(Some(turn)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::typed::Typed;
    use super::*;
    use model::Tick;

    /// What the player gets of what is typed.
    fn check(typed: &[u8], expected: &[Press]) {
        let mut film = Film { picture: Some(Canvas::new(1, 1)), ..Film::default() };
        let pieces = Typed::default().take(typed, Tick(0));
        let presses: Vec<_> = pieces.iter().filter_map(|piece| film.press(piece)).collect();
        assert_eq!(presses, expected, "{typed:?}");
    }

    #[test]
    fn what_is_typed_is_the_player_s_keys_in_the_words_of_every_terminal() {
        let chars =
            |text: &str| text.chars().map(|ch| Press::Key(Key::Char(ch))).collect::<Vec<_>>();
        check(b"q f/[]<>", &chars("q f/[]<>"));
        check("grün 漢".as_bytes(), &chars("grün 漢"));
        check(b"\xff\xbcx", &chars("x"));
        for (typed, key) in [
            (&b"\x1b[D"[..], Key::Left),
            (b"\x1bOC", Key::Right),
            (b"\x1b[A", Key::Up),
            (b"\x1b[B", Key::Down),
            (b"\x1b[1;2D", Key::ShiftLeft),
            (b"\x1b[1;2C", Key::ShiftRight),
            (b"\x1b[5~", Key::PageUp),
            (b"\x1b[6~", Key::PageDown),
            (b"\x1b[H", Key::Home),
            (b"\x1bOF", Key::End),
            (b"\x1b[1~", Key::Home),
            (b"\x1b[8~", Key::End),
            (b"\r", Key::Enter),
            (b"\x7f", Key::Backspace),
            (b"\x08", Key::Backspace),
            (b"\x1b", Key::Escape),
            (b"\x03", Key::Interrupt),
        ] {
            check(typed, &[Press::Key(key)]);
        }
        check(b"\x1b[200~q\x1b[201~\x1b[12;34R\x1b[?62c\x1bx\x1b[3~\x01", &[]);
        check(b"\x1d", &[Press::Close]);
    }

    #[test]
    fn before_the_first_picture_the_keys_that_leave_do_so_at_once() {
        for (typed, expected) in [
            (&b"q"[..], Some(Press::Close)),
            (b"\x1b", Some(Press::Close)),
            (b"\x03", Some(Press::Close)),
            (b"h", Some(Press::Key(Key::Char('h')))),
        ] {
            let pieces = Typed::default().take(typed, Tick(0));
            assert_eq!(Film::default().press(&pieces[0]), expected, "{typed:?}");
        }
    }
}

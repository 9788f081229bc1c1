//! Which protocol two streams speak, by their first bytes. Holds no byte back longer than it can still be one of them.

use super::Side;
use super::cursor::Cursor;
use super::scp::line::{Line, line};
use model::limit::{SFTP_PACKET_BYTES, TRANSFER_HELD_BYTES};
use model::transfer::Protocol;

/// The only version that is parsed; servers offer it, and clients that know later ones take it.
const VERSION: u32 = 3;
/// `SSH_FXP_INIT` and `SSH_FXP_VERSION`.
const GREETINGS: (u8, u8) = (1, 2);
/// Bytes of a client's greeting of sftp, its length included; extensions have no place in it that anybody uses.
const INIT_BYTES: usize = 1024;

/// What is known so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    NotYet,
    Neither,
    /// The greetings are this long; what stands behind them is not read yet.
    Sftp {
        client: usize,
        server: usize,
    },
    /// Nothing is read yet.
    Scp(Protocol),
}

/// Both streams so far.
#[derive(Debug, Default)]
pub(super) struct Guess {
    client: Vec<u8>,
    server: Vec<u8>,
}

impl Guess {
    /// Takes more of one stream, and says how much of it. If it is neither, nothing is taken.
    pub fn take(&mut self, side: Side, bytes: &[u8]) -> (Verdict, usize) {
        let held = self.of(side);
        let before = held.len();
        let room = TRANSFER_HELD_BYTES.saturating_sub(before).min(bytes.len());
        held.extend_from_slice(bytes.get(..room).unwrap_or_default());
        match self.verdict() {
            Verdict::Neither => {}
            Verdict::NotYet if room < bytes.len() => {}
            verdict => return (verdict, room),
        }
        self.of(side).truncate(before);
        (Verdict::Neither, 0)
    }

    fn of(&mut self, side: Side) -> &mut Vec<u8> {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Everything that is held.
    pub fn into_held(self) -> (Vec<u8>, Vec<u8>) {
        (self.client, self.server)
    }

    fn verdict(&self) -> Verdict {
        let guesses = [self.sftp(), self.upload(), self.download()];
        let sure =
            guesses.iter().find(|guess| !matches!(guess, Verdict::NotYet | Verdict::Neither));
        match sure {
            Some(sure) => *sure,
            None if guesses.contains(&Verdict::NotYet) => Verdict::NotYet,
            None => Verdict::Neither,
        }
    }

    /// The client greets, the server answers.
    fn sftp(&self) -> Verdict {
        let client = greeting(&self.client, GREETINGS.0, INIT_BYTES, |version| version >= VERSION);
        let server =
            greeting(&self.server, GREETINGS.1, SFTP_PACKET_BYTES, |version| version == VERSION);
        match (client, server) {
            (Greeting::Whole(client), Greeting::Whole(server)) => Verdict::Sftp { client, server },
            (Greeting::Whole(_), Greeting::Begun) => Verdict::NotYet,
            (Greeting::Begun, Greeting::Begun) if self.server.is_empty() => Verdict::NotYet,
            _ => Verdict::Neither,
        }
    }

    /// The server is ready with one zero, the client names a file.
    fn upload(&self) -> Verdict {
        match (self.server.as_slice(), line(&self.client)) {
            ([0, ..], Line::Whole(..)) => Verdict::Scp(Protocol::ScpUpload),
            ([] | [0], Line::Whole(..) | Line::Begun) => Verdict::NotYet,
            _ => Verdict::Neither,
        }
    }

    /// The client is ready with one zero, the server names a file, perhaps after complaints about others.
    fn download(&self) -> Verdict {
        match (self.client.as_slice(), self.server.as_slice()) {
            ([] | [0], []) => Verdict::NotYet,
            ([0], mut server) => loop {
                match line(server) {
                    Line::Whole(what, length) if what.is_complaint() => {
                        server = server.get(length..).unwrap_or_default();
                    }
                    Line::Whole(..) => return Verdict::Scp(Protocol::ScpDownload),
                    Line::Begun => return Verdict::NotYet,
                    Line::No => return Verdict::Neither,
                }
            },
            _ => Verdict::Neither,
        }
    }
}

/// The first packet of one direction.
enum Greeting {
    Whole(usize),
    /// Not contradicted yet.
    Begun,
    No,
}

fn greeting(bytes: &[u8], kind: u8, most: usize, version: impl Fn(u32) -> bool) -> Greeting {
    let mut head = [0; 9];
    let known = bytes.len().min(head.len());
    if let (Some(to), Some(from)) = (head.get_mut(..known), bytes.get(..known)) {
        to.copy_from_slice(from);
    }
    let [a, b, c, d, got_kind, e, f, g, h] = head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let whole = length.saturating_add(4);
    let fits = match known {
        0..4 => length < most,
        _ => length >= 5 && whole <= most,
    };
    if !fits || (known > 4 && got_kind != kind) {
        return Greeting::No;
    }
    if known == 9 && !version(u32::from_be_bytes([e, f, g, h])) {
        return Greeting::No;
    }
    match bytes.get(9..whole) {
        Some(extensions) if extensions_end(extensions) => Greeting::Whole(whole),
        Some(_) => Greeting::No,
        None => Greeting::Begun,
    }
}

/// Whether these are names and values to the end.
fn extensions_end(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    while cursor.end().is_err() {
        if cursor.string().is_err() || cursor.string().is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &[u8] = b"\0\0\0\x05\x01\0\0\0\x03";
    const REPLY: &[u8] = b"\0\0\0\x05\x02\0\0\0\x03";

    /// Client's bytes, then the server's, one by one; the verdict is the last that is not "not yet".
    fn check(client: &[u8], server: &[u8], wanted: Verdict) {
        let mut guess = Guess::default();
        let mut verdict = Verdict::NotYet;
        let all = client.iter().map(|byte| (Side::Client, byte));
        for (side, byte) in all.chain(server.iter().map(|byte| (Side::Server, byte))) {
            if verdict == Verdict::NotYet {
                verdict = guess.take(side, &[*byte]).0;
            }
        }
        assert_eq!(verdict, wanted, "{client:?} {server:?}");
        let mut whole = Guess::default();
        let first =
            if client.is_empty() { Verdict::NotYet } else { whole.take(Side::Client, client).0 };
        let last = match first {
            Verdict::NotYet if !server.is_empty() => whole.take(Side::Server, server).0,
            other => other,
        };
        assert_eq!(last, wanted, "{client:?} {server:?} at once");
    }

    #[test]
    fn streams_are_known_by_their_first_bytes() {
        let sftp = Verdict::Sftp { client: 9, server: 9 };
        check(INIT, REPLY, sftp);
        check(b"\0\0\0\x05\x01\0\0\0\x06", REPLY, sftp);
        check(INIT, b"\0\0\0\x05\x02\0\0\0\x06", Verdict::Neither);
        check(b"\0\0\0\x05\x01\0\0\0\x02", b"", Verdict::Neither);
        check(INIT, b"", Verdict::NotYet);
        check(INIT, b"Welcome", Verdict::Neither);
        check(b"", b"\0\0\0\x05", Verdict::Neither);
        check(b"C0644 5 a\n", b"\0", Verdict::Scp(Protocol::ScpUpload));
        check(b"T1 0 2 0\n", b"\0", Verdict::Scp(Protocol::ScpUpload));
        check(b"C0644 5 a\n", b"\0x", Verdict::Scp(Protocol::ScpUpload));
        check(b"C0644 5 a\n", b"x", Verdict::Neither);
        check(b"", b"C0644 5 a\n", Verdict::Neither);
        check(b"\0", b"C0644 5 a\n", Verdict::Scp(Protocol::ScpDownload));
        check(b"\0", b"\x01scp: no such file\n", Verdict::NotYet);
        check(b"\0", b"\x01scp: no such file\nD0755 0 d\n", Verdict::Scp(Protocol::ScpDownload));
        check(b"\0", b"Total", Verdict::Neither);
        check(b"Cat", b"", Verdict::Neither);
        check(b"ls\n", b"", Verdict::Neither);
        check(b"", b"hello", Verdict::Neither);
        check(b"", b"\0", Verdict::NotYet);
    }
}

//! Conversations of sftp and scp, packet by packet, and what a tap says of them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of tests, shared by several, that may fail loudly"
)]

use model::{Stream, Transfer};
use session::tap::{Elided, Tap, Tapped};

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Client,
    Server,
}

/// Messages in the order in which they pass.
pub type Talk = Vec<(Who, Vec<u8>)>;

/// What came of a conversation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What was done, in order.
    pub did: Vec<Transfer>,
    /// What is recorded as it is, from the client and from the server.
    pub raw: (Vec<u8>, Vec<u8>),
    /// What is counted and hashed.
    pub elided: Vec<Elided>,
}

impl Heard {
    fn drain(&mut self, tap: &mut Tap) {
        self.elided.extend(std::iter::from_fn(|| tap.elided()));
        while let Some(tapped) = tap.poll() {
            match tapped {
                Tapped::Did(transfer) => self.did.push(transfer),
                Tapped::Raw { stream: Stream::Stdin, bytes } => self.raw.0.extend(bytes),
                Tapped::Raw { bytes, .. } => self.raw.1.extend(bytes),
            }
        }
    }

    /// Hands one piece to the tap.
    pub fn pass(&mut self, tap: &mut Tap, who: Who, piece: &[u8]) {
        let taken = match who {
            Who::Client => tap.from_client(piece),
            Who::Server => tap.from_server(piece),
        };
        self.drain(tap);
        match who {
            Who::Client => self.raw.0.extend(&piece[taken..]),
            Who::Server => self.raw.1.extend(&piece[taken..]),
        }
    }

    /// In words, one line for each thing that was done.
    pub fn words(&self) -> String {
        self.did.iter().map(|did| format!("{did}\n")).collect()
    }
}

/// Hears a conversation, each message cut into pieces of the given sizes, again and again from the first.
pub fn hear(talk: &Talk, sizes: &[usize]) -> Heard {
    let (mut tap, mut heard) = (Tap::new(), Heard::default());
    let mut sizes = sizes.iter().cycle();
    for (who, message) in talk {
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            let size = sizes.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
            let (piece, behind) = rest.split_at(size);
            heard.pass(&mut tap, *who, piece);
            rest = behind;
        }
    }
    tap.finish();
    heard.drain(&mut tap);
    heard
}

/// Everything one side said.
pub fn all(talk: &Talk, who: Who) -> Vec<u8> {
    talk.iter().filter(|(by, _)| *by == who).flat_map(|(_, bytes)| bytes.clone()).collect()
}

/// A field of a packet.
#[derive(Clone, Copy)]
pub enum F<'a> {
    U8(u8),
    U32(u32),
    U64(u64),
    S(&'a str),
    B(&'a [u8]),
}

/// A packet of sftp.
pub fn packet(kind: u8, fields: &[F<'_>]) -> Vec<u8> {
    let mut body = vec![kind];
    for field in fields {
        match field {
            F::U8(n) => body.push(*n),
            F::U32(n) => body.extend(n.to_be_bytes()),
            F::U64(n) => body.extend(n.to_be_bytes()),
            F::S(text) => {
                body.extend((text.len() as u32).to_be_bytes());
                body.extend(text.as_bytes());
            }
            F::B(bytes) => {
                body.extend((bytes.len() as u32).to_be_bytes());
                body.extend(*bytes);
            }
        }
    }
    let mut packet = (body.len() as u32).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

/// An sftp conversation in the making.
pub struct Sftp {
    pub talk: Talk,
    id: u32,
}

impl Sftp {
    /// After the greetings.
    pub fn new() -> Self {
        let talk = vec![
            (Who::Client, packet(1, &[F::U32(3)])),
            (Who::Server, packet(2, &[F::U32(3), F::S("posix-rename@openssh.com"), F::S("1")])),
        ];
        Self { talk, id: 0 }
    }

    /// The client asks; the number is put in front.
    pub fn ask(&mut self, kind: u8, fields: &[F<'_>]) -> u32 {
        self.id += 1;
        let fields = [&[F::U32(self.id)], fields].concat();
        self.talk.push((Who::Client, packet(kind, &fields)));
        self.id
    }

    /// The server answers.
    pub fn answer(&mut self, id: u32, kind: u8, fields: &[F<'_>]) {
        let fields = [&[F::U32(id)], fields].concat();
        self.talk.push((Who::Server, packet(kind, &fields)));
    }

    /// The server says how it went.
    pub fn status(&mut self, id: u32, code: u32) {
        let text = ["Success", "End of file", "No such file", "Permission denied", "Failure"];
        let text = text.get(code as usize).copied().unwrap_or("Odd");
        self.answer(id, 101, &[F::U32(code), F::S(text), F::S("")]);
    }

    /// Asks, and is told how it went.
    pub fn call(&mut self, kind: u8, fields: &[F<'_>], code: u32) {
        let id = self.ask(kind, fields);
        self.status(id, code);
    }

    /// Opens a file with flags (draft §6.3) and gets this handle.
    pub fn open(&mut self, path: &str, flags: u32, handle: &str) {
        let id = self.ask(3, &[F::S(path), F::U32(flags), F::U32(0)]);
        self.answer(id, 102, &[F::S(handle)]);
    }

    /// Writes and is told that it went well.
    pub fn write(&mut self, handle: &str, at: u64, bytes: &[u8]) {
        self.call(6, &[F::S(handle), F::U64(at), F::B(bytes)], 0);
    }

    /// Asks for a block.
    pub fn read(&mut self, handle: &str, at: u64, bytes: u32) -> u32 {
        self.ask(5, &[F::S(handle), F::U64(at), F::U32(bytes)])
    }

    /// Closes.
    pub fn close(&mut self, handle: &str) {
        self.call(4, &[F::S(handle)], 0);
    }
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

    /// Bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A conversation that does something of everything.
pub fn everything() -> Talk {
    let mut sftp = Sftp::new();
    let id = sftp.ask(16, &[F::S(".")]);
    sftp.answer(id, 104, &[F::U32(1), F::S("/home/a"), F::S("/home/a"), F::U32(0)]);
    sftp.open("/home/a/up", 26, "\0\0\0\0");
    for block in 0..5u64 {
        sftp.write("\0\0\0\0", block * 1000, &[block as u8; 1000]);
    }
    sftp.call(10, &[F::S("\0\0\0\0"), F::U32(4), F::U32(0o100644)], 0);
    sftp.close("\0\0\0\0");
    sftp.open("/home/a/down", 1, "\0\0\0\0");
    let id = sftp.ask(8, &[F::S("\0\0\0\0")]);
    sftp.answer(id, 105, &[F::U32(1), F::U64(2500)]);
    let asked: Vec<u32> = (0..4).map(|block| sftp.read("\0\0\0\0", block * 1000, 1000)).collect();
    for (block, id) in asked.iter().enumerate() {
        match block {
            0 | 1 => sftp.answer(*id, 103, &[F::B(&[7; 1000])]),
            2 => sftp.answer(*id, 103, &[F::B(&[7; 500])]),
            _ => sftp.status(*id, 1),
        }
    }
    sftp.close("\0\0\0\0");
    let id = sftp.ask(11, &[F::S("/home/a")]);
    sftp.answer(id, 102, &[F::S("dir")]);
    let id = sftp.ask(12, &[F::S("dir")]);
    let entry =
        [F::S("up"), F::S("-rw-r--r-- 1 a a 5000 up"), F::U32(5), F::U64(5000), F::U32(0o100644)];
    sftp.answer(id, 104, &[&[F::U32(2)], &entry[..], &entry[..]].concat());
    sftp.call(12, &[F::S("dir")], 1);
    sftp.close("dir");
    sftp.call(17, &[F::S("/home/a/none")], 2);
    sftp.call(13, &[F::S("/home/a/old")], 0);
    sftp.call(13, &[F::S("/etc/passwd")], 3);
    sftp.call(14, &[F::S("/home/a/d"), F::U32(4), F::U32(0o755)], 0);
    sftp.call(15, &[F::S("/home/a/d")], 4);
    sftp.call(18, &[F::S("a"), F::S("b")], 0);
    sftp.call(20, &[F::S("target"), F::S("link")], 0);
    sftp.call(
        9,
        &[
            F::S("up"),
            F::U32(15),
            F::U64(1),
            F::U32(2),
            F::U32(3),
            F::U32(0o600),
            F::U32(4),
            F::U32(5),
        ],
        0,
    );
    sftp.call(200, &[F::S("posix-rename@openssh.com"), F::S("b"), F::S("c")], 0);
    sftp.call(200, &[F::S("hardlink@openssh.com"), F::S("c"), F::S("d")], 0);
    sftp.call(
        200,
        &[F::S("lsetstat@openssh.com"), F::S("link"), F::U32(2), F::U32(0), F::U32(0)],
        0,
    );
    sftp.call(200, &[F::S("vendor@example.org"), F::S("x")], 8);
    let id = sftp.ask(200, &[F::S("limits@openssh.com")]);
    sftp.answer(id, 201, &[F::U64(1), F::U64(2), F::U64(3), F::U64(4)]);
    let id = sftp.ask(3, &[F::S("/root/secret"), F::U32(1), F::U32(0)]);
    sftp.status(id, 3);
    sftp.open("/left/open", 26, "1");
    sftp.write("1", 0, b"abc");
    sftp.ask(13, &[F::S("/no/answer")]);
    sftp.talk
}

/// scp to the node: a folder with two files, one of which it refuses.
pub fn upload() -> Talk {
    use Who::{Client, Server};
    let to = |text: &str| (Client, text.as_bytes().to_vec());
    let ok = || (Server, vec![0]);
    let mut talk = vec![ok(), to("T1 0 2 0\n"), ok(), to("D0755 0 d\n"), ok()];
    talk.extend([to("T3 0 4 0\n"), ok(), to("C0600 5 a\n"), ok(), to("hello"), to("\0"), ok()]);
    talk.extend([to("C0644 7 b\n"), (Server, b"\x01scp: d/b: Permission denied\n".to_vec())]);
    talk.extend([to("C0644 0 empty\n"), ok(), to("\0"), ok(), to("E\n"), ok()]);
    talk
}

/// scp from the node: one file is missing, one in a folder, one that could not be read whole.
pub fn download() -> Talk {
    use Who::{Client, Server};
    let from = |text: &str| (Server, text.as_bytes().to_vec());
    let ok = || (Client, vec![0]);
    let mut talk = vec![ok(), from("\x01scp: none: No such file or directory\n")];
    talk.extend([from("D0755 0 d\n"), ok(), from("C0644 3 x\n"), ok(), from("xyz"), from("\0")]);
    talk.extend([ok(), from("E\n"), ok(), from("C0644 4 y\n"), ok(), from("ab\0\0")]);
    talk.extend([from("\x01scp: y: Input/output error\n"), ok()]);
    talk
}

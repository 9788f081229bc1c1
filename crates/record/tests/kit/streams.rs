//! Recorded terminal streams, and a recorder driven over them as a node and auth drive it: segments by the clock,
//! keyframes of the real screen made behind the sealed records, receipts behind checkpoints, the seal.

use super::{Dice, heading, node_key, receipt, seal_file, seal_key};
use bytes::Bytes;
use model::entry::{Ending, Entry, Party, Stream};
use model::{Seq, Size, Tick};
use record::picture::draw;
use record::{Keyframe, Sealed, Writer, receipt_record};
use screen::Screen;
use std::collections::VecDeque;

/// Streams recorded from a pty, by name. They are those of the crate `screen`.
pub const STREAMS: [(&str, &[u8]); 12] = [
    ("cmatrix", include_bytes!("../../../screen/tests/streams/cmatrix.rec.zst")),
    ("grep", include_bytes!("../../../screen/tests/streams/grep.rec.zst")),
    ("htop", include_bytes!("../../../screen/tests/streams/htop.rec.zst")),
    ("less", include_bytes!("../../../screen/tests/streams/less.rec.zst")),
    ("listing", include_bytes!("../../../screen/tests/streams/listing.rec.zst")),
    ("mc", include_bytes!("../../../screen/tests/streams/mc.rec.zst")),
    ("shell", include_bytes!("../../../screen/tests/streams/shell.rec.zst")),
    ("tmux", include_bytes!("../../../screen/tests/streams/tmux.rec.zst")),
    ("top", include_bytes!("../../../screen/tests/streams/top.rec.zst")),
    ("uni", include_bytes!("../../../screen/tests/streams/uni.rec.zst")),
    ("vim", include_bytes!("../../../screen/tests/streams/vim.rec.zst")),
    ("vttest", include_bytes!("../../../screen/tests/streams/vttest.rec.zst")),
];

/// Milliseconds since the beginning, and the entry.
pub type Timed = (u64, Entry);

/// Output of a terminal.
pub fn output(bytes: impl Into<Bytes>) -> Entry {
    Entry::Output { stream: Stream::Pty, bytes: bytes.into() }
}

/// What a stream holds. Records of `f64 seconds, u8 kind ('o', 'i', 'r'), u32 length, bytes`, little-endian.
pub fn stream(packed: &[u8]) -> Vec<Timed> {
    let bytes = zstd::decode_all(packed).unwrap();
    let (mut rest, mut entries, mut last) = (&bytes[..], Vec::new(), 0);
    while rest.len() >= 13 {
        let seconds = f64::from_le_bytes(rest[..8].try_into().unwrap());
        let length = u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize;
        let body = &rest[13..13 + length];
        let entry = match rest[8] {
            b'o' => output(body.to_vec()),
            b'i' => Entry::Typed { party: Party::OWNER, count: length as u32, bytes: None },
            _ => {
                let (cols, rows) = std::str::from_utf8(body).unwrap().split_once('x').unwrap();
                Entry::Resize(Size::clamped(cols.parse().unwrap(), rows.parse().unwrap()))
            }
        };
        last = last.max((seconds * 1e3) as u64);
        entries.push((last, entry));
        rest = &rest[13 + length..];
    }
    entries
}

/// A recording that was made, and what was put into it.
pub struct Made {
    pub file: Vec<u8>,
    /// Bytes of output.
    pub payload: u64,
    pub entries: u64,
    /// Bytes of records by type, as `docs/recording.md` numbers them; 0 stands for the headers of all.
    pub bytes_by_kind: [u64; 9],
    pub records_by_kind: [u64; 9],
}

/// Records a session to its end and seals it.
pub fn make(id: u8, session: impl IntoIterator<Item = Timed>) -> Made {
    let heading = heading(id);
    let mut maker = Maker {
        writer: Writer::begin(&heading, node_key(), Tick(0)),
        screen: Screen::new(80, 24),
        size: Size::default(),
        unsealed: VecDeque::new(),
        drawn: (Seq(0), 0),
        made: Made {
            file: Vec::new(),
            payload: 0,
            entries: 0,
            bytes_by_kind: [0; 9],
            records_by_kind: [0; 9],
        },
        heading,
    };
    let mut now = Tick(0);
    for (at, entry) in session {
        let next = Tick(at.max(now.0));
        while let Some(due) = maker.writer.poll_timeout().filter(|due| *due < next) {
            maker.writer.handle_timeout(due);
            maker.drain(due);
        }
        now = next;
        if let Entry::Output { bytes, .. } = &entry {
            maker.made.payload += bytes.len() as u64;
        }
        maker.made.entries += 1;
        let seq = maker.writer.handle(entry.clone(), now);
        maker.unsealed.push_back((seq, maker.writer.time_of(now), entry));
        maker.drain(now);
    }
    maker.writer.end(Ending::Exit { status: 0 }, now.plus_ms(5));
    maker.drain(now);
    let mut made = maker.made;
    let before = made.file.len();
    made.file = seal_file(made.file, &[], &seal_key());
    made.bytes_by_kind[8] += (made.file.len() - before) as u64;
    made
}

struct Maker {
    heading: model::Heading,
    writer: Writer,
    screen: Screen,
    size: Size,
    /// Entries that the screen does not show.
    unsealed: VecDeque<(Seq, u64, Entry)>,
    drawn: (Seq, u64),
    made: Made,
}

impl Maker {
    fn drain(&mut self, now: Tick) {
        loop {
            while let Some(sealed) = self.writer.poll() {
                self.keep(sealed, now);
            }
            let Some(wanted) = self.writer.wants_keyframe() else { return };
            self.catch_up();
            if self.drawn.0 < wanted {
                return;
            }
            let dump = Bytes::from(self.screen.dump());
            let (seq, at) = self.drawn;
            self.writer.keyframe(Keyframe { seq, at, size: self.size, dump }, now);
        }
    }

    fn catch_up(&mut self) {
        let sealed = self.writer.head().seq;
        while let Some((seq, at, entry)) = self.unsealed.pop_front_if(|entry| entry.0 <= sealed) {
            draw(&mut self.screen, &entry);
            if let Entry::Resize(size) = entry {
                self.size = size;
            }
            self.drawn = (seq, at);
        }
    }

    fn keep(&mut self, sealed: Sealed, now: Tick) {
        let first = self.made.file.is_empty();
        let kind = if first { 1 } else { usize::from(sealed.bytes[4]) };
        self.count(kind, sealed.bytes.len());
        self.made.file.extend_from_slice(&sealed.bytes);
        if kind == 5 {
            let receipt = receipt_record(&receipt(&self.heading, sealed.head, now.0 as i64));
            self.count(7, receipt.len());
            self.made.file.extend(receipt);
        }
    }

    fn count(&mut self, kind: usize, bytes: usize) {
        self.made.bytes_by_kind[kind] += bytes as u64 - 24;
        self.made.bytes_by_kind[0] += 24;
        self.made.records_by_kind[kind] += 1;
    }
}

/// A day of work on a server, made of the streams and of logs and builds that nobody needs to keep:
/// typed shell and editors most of the time, monitors, bursts of output, idle stretches. The same seed makes the same day.
pub struct Day {
    dice: Dice,
    scenes: Vec<Vec<Timed>>,
    at: u64,
    payload: u64,
    length_ms: u64,
    bytes: u64,
    ahead: VecDeque<Timed>,
}

/// Ten hours and 220 MB of output.
pub const TEN_HOURS: (u64, u64) = (9 * 3_600_000 + 54 * 60_000, 219_700_000);

impl Day {
    /// A day of so many milliseconds and about so many bytes of output.
    pub fn new((length_ms, bytes): (u64, u64), seed: u64) -> Self {
        let names = ["shell", "vim", "less", "tmux", "mc", "uni", "htop", "top", "listing", "grep"];
        let find = |name| STREAMS.iter().find(|stream| stream.0 == name).unwrap().1;
        let scenes = names.iter().map(|name| stream(find(*name))).collect();
        Self {
            dice: Dice(seed | 1),
            scenes,
            at: 0,
            payload: 0,
            length_ms,
            bytes,
            ahead: VecDeque::new(),
        }
    }

    /// What comes next: half an hour's share of bytes is made up for in bursts.
    fn scene(&mut self) {
        let behind =
            self.bytes as f64 * self.at as f64 / self.length_ms as f64 > self.payload as f64;
        let scene = match (behind, self.dice.below(100)) {
            (true, 0..55) => return self.log(),
            (true, 55..75) => return self.build(),
            (true, 75..86) => 8,
            (true, _) => 9,
            (false, 0..26) => 0,
            (false, 26..50) => 1,
            (false, 50..60) => 2,
            (false, 60..68) => 3,
            (false, 68..72) => 4,
            (false, 72..73) => 5,
            (false, 73..78) => 6,
            (false, 78..84) => 7,
            (false, _) => {
                self.at += 30_000 + self.dice.below(400_000) as u64;
                return;
            }
        };
        self.show(output("\x1b[0m\x1b[?1049l\x1b[r\x1b[H\x1b[2J"), 1_500);
        let began = self.at;
        for (at, entry) in self.scenes[scene].clone() {
            self.show(entry, (began + at).saturating_sub(self.at));
        }
    }

    fn show(&mut self, entry: Entry, ms: u64) {
        self.at += ms;
        if let Entry::Output { bytes, .. } = &entry {
            self.payload += bytes.len() as u64;
        }
        self.ahead.push_back((self.at, entry));
    }

    /// `cat` of some megabytes of a log, in reads of 4 KiB.
    fn log(&mut self) {
        let wanted = 200_000 + self.dice.below(3_000_000);
        let mut text = String::new();
        let (mut clock, mut shown) = (self.dice.below(1 << 30) as u64, 0);
        self.show(output("\x1b[0m\r\nalice@web-01:~$ cat app.log\r\n"), 2_000);
        while shown < wanted {
            while text.len() < 4096 {
                clock += self.dice.below(3_000) as u64;
                text.push_str(&self.log_line(clock));
            }
            let rest = text.split_off(4096);
            let ms = u64::from(self.dice.below(5) == 0);
            shown += text.len();
            self.show(output(std::mem::replace(&mut text, rest)), ms);
        }
    }

    fn log_line(&mut self, ms: u64) -> String {
        let dice = &mut self.dice;
        let mut pick = |list: &[&'static str]| list[dice.below(list.len())];
        let verb = pick(&["GET", "GET", "GET", "POST", "PUT"]);
        let what = pick(&["orders", "users", "invoices", "sessions", "reports", "health"]);
        let level = pick(&["INFO ", "INFO ", "INFO ", "WARN ", "DEBUG"]);
        let part = pick(&["api::http", "api::db::pool", "worker::mail", "cache", "api::auth"]);
        let words = pick(&[
            "request served",
            "query took",
            "cache miss for key",
            "retrying after error",
            "token accepted",
        ]);
        let (hours, minutes, seconds) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1000 % 60);
        let (milli, id) = (ms % 1000, dice.below(1 << 16));
        let (status, took) = ([200, 200, 200, 201, 404, 500][dice.below(6)], dice.below(900));
        format!(
            "2026-11-25T{hours:02}:{minutes:02}:{seconds:02}.{milli:03}Z {level} {part}: {words} method={verb} path=/v1/{what}/{id} status={status} elapsed={took}ms client=10.12.{}.{}\r\n",
            dice.below(4),
            dice.below(256),
        )
    }

    /// A build: lines of crates and a progress bar that is drawn over.
    fn build(&mut self) {
        self.show(output("\x1b[0m\r\nalice@web-01:~/project$ cargo build\r\n"), 2_000);
        let many = 100 + self.dice.below(300);
        for n in 0..many {
            let names = [
                "serde", "tokio", "hyper", "regex", "syn", "bytes", "rand", "http", "tower", "log",
            ];
            let name = names[self.dice.below(names.len())];
            let (major, minor) = (self.dice.below(4), self.dice.below(90));
            let line = format!(
                "\r\x1b[K\x1b[1m\x1b[32m   Compiling\x1b[0m {name}-{} v{major}.{minor}.{}\r\n",
                self.dice.below(400),
                n % 9
            );
            let pause = 40 + self.dice.below(200) as u64;
            self.show(output(line), pause);
            for _ in 0..self.dice.below(4) {
                let done = n * 27 / many;
                let bar = format!(
                    "\x1b[1m\x1b[36m    Building\x1b[0m [{}>{}] {n}/{many}: {name}, {}\r",
                    "=".repeat(done),
                    " ".repeat(27 - done),
                    names[self.dice.below(10)]
                );
                self.show(output(bar), 100);
            }
        }
    }
}

impl Iterator for Day {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        while self.ahead.is_empty() {
            if self.at >= self.length_ms {
                return None;
            }
            self.scene();
        }
        self.ahead.pop_front()
    }
}

/// Bytes of a session as an asciicast v2, and gzipped.
pub fn asciicast_gzip(id: u8, session: impl IntoIterator<Item = Timed>) -> (u64, u64) {
    use flate2::{Compression, write::GzEncoder};
    use record::export::{Asciicast, Export as _};
    use std::io::Write as _;
    let mut cast = Asciicast::v2(&heading(id));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut plain = cast.begin();
    let mut raw = 0;
    for (place, (at, entry)) in session.into_iter().enumerate() {
        plain.push_str(&cast.push(&model::entry::Stamped {
            seq: Seq(place as u64 + 1),
            at,
            entry,
        }));
        raw += plain.len() as u64;
        gzip.write_all(plain.as_bytes()).unwrap();
        plain.clear();
    }
    (raw, gzip.finish().unwrap().len() as u64)
}

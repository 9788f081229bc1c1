//! Recorded streams, a small random source, and what it means that two screens are the same.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers; each test file uses some of them"
)]

use screen::Screen;

/// What stands in a stream: output, or a resize. Typed input is left out.
pub enum Step {
    Output(Vec<u8>),
    Resize(u16, u16),
}

pub const STREAMS: [(&str, &[u8]); 12] = [
    ("cmatrix", include_bytes!("../streams/cmatrix.rec.zst")),
    ("grep", include_bytes!("../streams/grep.rec.zst")),
    ("htop", include_bytes!("../streams/htop.rec.zst")),
    ("less", include_bytes!("../streams/less.rec.zst")),
    ("listing", include_bytes!("../streams/listing.rec.zst")),
    ("mc", include_bytes!("../streams/mc.rec.zst")),
    ("shell", include_bytes!("../streams/shell.rec.zst")),
    ("tmux", include_bytes!("../streams/tmux.rec.zst")),
    ("top", include_bytes!("../streams/top.rec.zst")),
    ("uni", include_bytes!("../streams/uni.rec.zst")),
    ("vim", include_bytes!("../streams/vim.rec.zst")),
    ("vttest", include_bytes!("../streams/vttest.rec.zst")),
];

/// Records of `f64 seconds, u8 kind ('o', 'i', 'r'), u32 length, bytes`, little endian.
pub fn steps(packed: &[u8]) -> Vec<Step> {
    let bytes = zstd::decode_all(packed).unwrap();
    let mut rest = &bytes[..];
    let mut steps = Vec::new();
    while rest.len() >= 13 {
        let kind = rest[8];
        let length = u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize;
        let body = &rest[13..13 + length];
        rest = &rest[13 + length..];
        match kind {
            b'o' => steps.push(Step::Output(body.to_vec())),
            b'r' => {
                let text = std::str::from_utf8(body).unwrap();
                let (cols, rows) = text.split_once('x').unwrap();
                steps.push(Step::Resize(cols.parse().unwrap(), rows.parse().unwrap()));
            }
            _ => {}
        }
    }
    steps
}

pub fn apply(screen: &mut Screen, step: &Step) {
    match step {
        Step::Output(bytes) => screen.feed(bytes),
        Step::Resize(cols, rows) => screen.resize(*cols, *rows),
    }
}

/// A new screen of the same size, fed with the dump.
pub fn rebuilt(screen: &Screen) -> Screen {
    let (cols, rows) = screen.size();
    let mut other = Screen::new(cols, rows);
    other.feed(&screen.dump());
    other
}

/// Panics unless both show the same and would go on alike.
pub fn assert_same(a: &Screen, b: &Screen, what: &str) {
    assert_eq!(a.size(), b.size(), "size: {what}");
    let (cols, rows) = a.size();
    for row in 0..rows {
        for col in 0..cols {
            assert_eq!(a.cell(col, row), b.cell(col, row), "cell {col},{row}: {what}");
        }
    }
    assert_eq!(a.cursor(), b.cursor(), "cursor: {what}");
    assert_eq!(a.caret(), b.caret(), "caret: {what}");
    assert_eq!(a.modes(), b.modes(), "modes: {what}");
    assert_eq!(a.is_alternate(), b.is_alternate(), "screen: {what}");
    let (one, two) = (a.dump(), b.dump());
    if one != two {
        panic!(
            "dump: {what}\n{:?}\n{:?}",
            String::from_utf8_lossy(&one),
            String::from_utf8_lossy(&two)
        );
    }
}

/// Marsaglia's xorshift: the same seed gives the same run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

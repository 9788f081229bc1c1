//! The terminal model: bytes and sizes, in any order.

use crate::feed::Feed;
use screen::Screen;

/// Bytes of a dump that no screen of this size needs.
const DUMP_BYTES: usize = 4 * 1024 * 1024;
/// Cells above which two screens are not compared cell by cell: this looks for faults, not for what is slow.
const CELLS: usize = 200 * 100;

/// Feeds and resizes a screen: a byte 0 and two more make it another size, any other is the length of bytes that follow.
///
/// The emulator stays up, its dump is bounded and rebuilds what it shows, and how the bytes were cut changes nothing.
pub fn screen(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let size = (feed.u8().into(), feed.u8().into());
    let (mut whole, mut cut) = (Screen::new(size.0, size.1), Screen::new(size.0, size.1));
    while let Some(length) = feed.next() {
        if length == 0 {
            // Mostly what people have; at the end of the range, what a client may ask for.
            let side = |byte: u8| if byte < 250 { byte.into() } else { u16::from(byte) << 8 };
            let (cols, rows) = (side(feed.u8()), side(feed.u8()));
            whole.resize(cols, rows);
            cut.resize(cols, rows);
            continue;
        }
        let piece = feed.take(length.into());
        whole.feed(piece);
        for byte in piece {
            cut.feed(std::slice::from_ref(byte));
        }
    }
    assert_eq!(whole.faults(), 0, "the emulator fell over");
    same(&whole, &cut, "in pieces of one byte");
    let dump = whole.dump();
    assert!(dump.len() <= DUMP_BYTES, "{} bytes of dump", dump.len());
    let (cols, rows) = whole.size();
    let mut again = Screen::new(cols, rows);
    again.feed(&dump);
    assert_eq!(again.faults(), 0, "its own dump brought the emulator down");
    same(&whole, &again, "rebuilt from its dump");
}

fn same(a: &Screen, b: &Screen, what: &str) {
    assert_eq!(a.size(), b.size(), "size, {what}");
    let (cols, rows) = a.size();
    if usize::from(cols) * usize::from(rows) <= CELLS {
        for row in 0..rows {
            assert!(
                a.row(row).eq(b.row(row)),
                "row {row}, {what}: {:?} and {:?}",
                a.row_text(row),
                b.row_text(row)
            );
        }
    }
    assert_eq!((a.cursor(), a.caret()), (b.cursor(), b.caret()), "cursor, {what}");
    assert_eq!(a.modes(), b.modes(), "modes, {what}");
    assert_eq!(a.is_alternate(), b.is_alternate(), "alternate screen, {what}");
    assert_eq!(a.title(), b.title(), "title, {what}");
    let (one, two) = (a.dump(), b.dump());
    assert!(
        one == two,
        "dump, {what}:\n{:?}\n{:?}",
        String::from_utf8_lossy(&one),
        String::from_utf8_lossy(&two)
    );
}

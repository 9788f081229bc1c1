//! Words for people and logs that belong to no single noun.

use core::error::Error;

/// Whether a character of a text that somebody else chose does something to what stands around it: one that controls a
/// terminal, cannot be seen, or turns or breaks a line (Unicode's bidirectional controls and separators).
#[must_use]
pub fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error with all its sources: `cannot reach a:1: no connection: …`.
#[must_use]
pub fn words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        words.push_str(": ");
        words.push_str(&one.to_string());
        cause = one.source();
    }
    words
}

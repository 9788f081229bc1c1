//! Whether a program asks the terminal something that only a terminal can answer.

use bytes::Bytes;

const ESC: u8 = 0x1b;
/// ENQ: the answerback message.
const ENQUIRY: u8 = 5;

/// Whether an answer is asked for: status and place of the cursor, attributes, modes, sizes, the keyboard, colours, the
/// clipboard, or anything in a device control string. A sequence that is not whole is not seen.
pub fn asks(bytes: &Bytes) -> bool {
    bytes.contains(&ENQUIRY) || bytes.split(|byte| *byte == ESC).skip(1).any(asks_by)
}

/// The same of what stands behind an `ESC`, up to the next.
fn asks_by(rest: &[u8]) -> bool {
    match rest.split_first() {
        Some((b'[', rest)) => {
            let length = rest.iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
            let (body, rest) = rest.split_at(length);
            match rest.first() {
                Some(b'c' | b'n') => true,
                Some(b'p') => body.ends_with(b"$"),
                Some(b'u') => body == b"?",
                Some(b'w') => body.ends_with(b"$"),
                // XTWINOPS: reports are 11 to 21; 22 and 23 keep titles.
                Some(b't') => matches!(body, [b'1', _, ..] | [b'2', b'0' | b'1', ..]),
                _ => false,
            }
        }
        Some((b']', rest)) => {
            let end = rest.iter().position(|byte| *byte == 7).unwrap_or(rest.len());
            rest.iter().take(end).any(|byte| *byte == b'?')
        }
        Some((b'P' | b'Z', _)) => true,
        // The graphics of kitty.
        Some((b'_', rest)) => rest.first() == Some(&b'G'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_from_what_a_screen_can_draw() {
        for (bytes, expected) in [
            ("plain ? text\r\n", false),
            ("\x1b[31m\x1b[2J\x1b[1;1H?", false),
            ("\x1b[c", true),
            ("x\x1b[>0cx", true),
            ("\x1b[6n", true),
            ("\x1b[?6n", true),
            ("\x1b[?2026$p", true),
            ("\x1b[!p", false),
            ("\x1b[?u", true),
            ("\x1b[>1u\x1b[u", false),
            ("\x1b[18t", true),
            ("\x1b[22;0t", false),
            ("\x1b[23;0t", false),
            ("\x1b[21t", true),
            ("\x1b]0;why?\x07", true),
            ("\x1b]0;title\x07?", false),
            ("\x1b]11;?\x1b\\", true),
            ("\x1b]52;c;?\x07", true),
            ("\x1bP+q544e\x1b\\", true),
            ("\x1bZ", true),
            ("\x05", true),
            ("\x1b[6", false),
            ("\x1b", false),
        ] {
            assert_eq!(asks(&Bytes::from(bytes)), expected, "{bytes:?}");
        }
    }
}

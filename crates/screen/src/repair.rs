//! Sequences put into words that the emulator and the browser's terminal read alike.

/// Most that one REP (`CSI n b`) may repeat. Beyond: cut; eight bytes must not cost a second.
const REPEAT: u32 = 4096;

/// What the emulator should get in place of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repaired {
    /// The sequence as it is.
    Same,
    /// Another one.
    Other(String),
    /// None: it must not see it, or would misread it.
    Nothing,
}

/// What the emulator should get for `CSI body last`.
pub(crate) fn csi(body: &str, last: char) -> Repaired {
    let marked = body.starts_with(['<', '=', '>', '?']);
    match last {
        // Window reports and title stack: the mode tracker's.
        't' => Repaired::Nothing,
        'm' if !marked => sgr(body),
        'b' if body.is_empty() => Repaired::Same,
        'b' => Repaired::Other(format!("\u{1b}[{}b", repeats(body))),
        // The emulator reads these without looking at the private marker.
        'u' | 's' | 'r' if marked => Repaired::Nothing,
        'p' if body.ends_with('!') => Repaired::Other("\u{1b}[!p".to_owned()),
        'h' | 'l' => {
            let Some((private, modes)) = modes(body) else { return Repaired::Nothing };
            // 47 is the oldest name of the other screen.
            let modes = modes.map(|mode| if private && mode == 47 { 1047 } else { mode });
            let modes: Vec<String> = modes.map(|mode| mode.to_string()).collect();
            let mark = if private { "?" } else { "" };
            Repaired::Other(format!("\u{1b}[{mark}{}{last}", modes.join(";")))
        }
        _ => Repaired::Same,
    }
}

/// How often `CSI body b` repeats a character.
pub(crate) fn repeats(body: &str) -> u32 {
    if body.is_empty() { 1 } else { body.parse().map_or(REPEAT, |count: u32| count.min(REPEAT)) }
}

/// The numbers of a mode switch (`CSI … h`), and whether they are DEC's; `None` for any other sequence.
pub(crate) fn modes(body: &str) -> Option<(bool, impl Iterator<Item = u16>)> {
    let (private, list) = body.strip_prefix('?').map_or((false, body), |list| (true, list));
    let plain = |ch: char| ch.is_ascii_digit() || ch == ';' || ch == ':';
    list.chars().all(plain).then(|| {
        let numbers = list.split(';').filter_map(|part| part.split(':').next()?.parse().ok());
        (private, numbers)
    })
}

/// Underlines of any shape become the plain one; underline colours go.
fn sgr(body: &str) -> Repaired {
    if !body.contains(':') && !body.contains("21") && !body.contains("58") {
        return Repaired::Same;
    }
    let mut out: Vec<&str> = Vec::new();
    let mut parts = body.split(';');
    while let Some(part) = parts.next() {
        match part {
            "38" | "48" => out.extend(extended(part, &mut parts)),
            "58" => drop(extended(part, &mut parts)),
            "21" => out.push("4"),
            "4:0" => out.push("24"),
            part if part.starts_with("4:") => out.push("4"),
            part if part.starts_with("58:") => {}
            part => out.push(part),
        }
    }
    // An empty list would mean "reset".
    if out.is_empty() {
        Repaired::Nothing
    } else {
        Repaired::Other(format!("\u{1b}[{}m", out.join(";")))
    }
}

/// `38;5;n` or `38;2;r;g;b`, as far as it is there.
fn extended<'a>(head: &'a str, parts: &mut core::str::Split<'a, char>) -> Vec<&'a str> {
    let mut out = vec![head];
    let Some(kind) = parts.next() else { return out };
    out.push(kind);
    let more = match kind {
        "5" => 1,
        "2" => 3,
        _ => 0,
    };
    out.extend(parts.by_ref().take(more));
    out
}

/// Writes colours as ITU T.416 has them (`38:2::r:g:b`), which xterm.js needs; only inside `CSI … m`.
pub(crate) fn colours(dump: &str) -> String {
    let mut out = String::with_capacity(dump.len() + dump.len() / 8);
    let mut rest = dump;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        out.push_str("\u{1b}[");
        let end = after.find(|ch| !(' '..='?').contains(&ch)).unwrap_or(after.len());
        let (body, tail) = after.split_at(end);
        if tail.starts_with('m') {
            out.push_str(&body.replace("38:2:", "38:2::").replace("48:2:", "48:2::"));
        } else {
            out.push_str(body);
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_put_into_words_that_the_emulator_knows() {
        for ((body, last), expected) in [
            (("1;31", 'm'), Some("\x1b[1;31m")),
            (("21", 'm'), Some("\x1b[4m")),
            (("4:3", 'm'), Some("\x1b[4m")),
            (("4:0;1", 'm'), Some("\x1b[24;1m")),
            (("58;2;255;0;0", 'm'), None),
            (("58;5;21;1", 'm'), Some("\x1b[1m")),
            (("38;5;21", 'm'), Some("\x1b[38;5;21m")),
            (("38;2;58;21;4;21", 'm'), Some("\x1b[38;2;58;21;4;4m")),
            (("38:2::1:2:3", 'm'), Some("\x1b[38:2::1:2:3m")),
            (("", 'm'), Some("\x1b[m")),
            ((">4;1", 'm'), Some("\x1b[>4;1m")),
            (("888888889", 'b'), Some("\x1b[4096b")),
            (("99999999999999999999", 'b'), Some("\x1b[4096b")),
            (("3", 'b'), Some("\x1b[3b")),
            (("?47", 'h'), Some("\x1b[?1047h")),
            (("04:1;4;99999", 'h'), Some("\x1b[4;4h")),
            ((">4", 'h'), None),
            (("?1;47;25", 'l'), Some("\x1b[?1;1047;25l")),
            ((">1", 'u'), None),
            (("8;10;10", 't'), None),
            (("?1;2", 'r'), None),
            (("2;3", 'r'), Some("\x1b[2;3r")),
        ] {
            let got = match csi(body, last) {
                Repaired::Same => Some(format!("\u{1b}[{body}{last}")),
                Repaired::Other(other) => Some(other),
                Repaired::Nothing => None,
            };
            assert_eq!(got.as_deref(), expected, "{body}{last}");
        }
    }

    #[test]
    fn only_colours_inside_a_style_are_rewritten() {
        assert_eq!(
            colours("\x1b[1;38:2:1:2:3;48:2:4:5:6m38:2:x\x1b[2;3H\x1b[48:5:9m"),
            "\x1b[1;38:2::1:2:3;48:2::4:5:6m38:2:x\x1b[2;3H\x1b[48:5:9m"
        );
    }
}

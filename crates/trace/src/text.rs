//! Strings, paths and arguments as the kernel program lays them down.

use model::transfer::text_of;

/// A string, up to its zero.
pub(crate) fn string(bytes: &[u8]) -> String {
    text_of(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// A path from its components, the last first, each ended by a zero; nothing where it could not be walked.
pub(crate) fn walked(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let mut parts: Vec<&[u8]> =
        bytes.split(|byte| *byte == 0).filter(|it| !it.is_empty()).collect();
    // The file of a mount that has no name, such as memfd:x, pipe:[1].
    if let [only] = parts[..]
        && only.contains(&b':')
    {
        return text_of(only);
    }
    parts.reverse();
    let mut path = Vec::with_capacity(bytes.len() + 1);
    for part in parts.into_iter().filter(|part| *part != b"/") {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    if path.is_empty() { "/".to_owned() } else { text_of(&path) }
}

/// Arguments, each with a zero behind it.
pub(crate) fn arguments(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    match bytes.is_empty() {
        true => Vec::new(),
        false => bytes.split(|byte| *byte == 0).map(text_of).collect(),
    }
}

/// Texts in portions of about `most` bytes; and of each portion whether its first text is the rest of the one before.
pub(crate) fn portions(texts: Vec<String>, most: usize) -> Vec<(Vec<String>, bool)> {
    let mut all = vec![(Vec::new(), false)];
    let mut room = most;
    for mut text in texts {
        let mut rest = false;
        while text.len() > room {
            let mut cut = room;
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            let tail = text.split_off(cut);
            // Nothing of it fits in here: then it is not begun here either.
            let begins = !text.is_empty();
            if begins {
                push(&mut all, text);
            }
            rest |= begins;
            all.push((Vec::new(), rest));
            (text, room) = (tail, most);
        }
        room -= text.len();
        push(&mut all, text);
        // Many short ones weigh something too.
        room = room.saturating_sub(8);
    }
    all
}

fn push(all: &mut [(Vec<String>, bool)], text: String) {
    if let Some((portion, _)) = all.last_mut() {
        portion.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_components_from_the_last_to_the_first() {
        for (bytes, path) in [
            (&b"c\0b\0a\0"[..], "/a/b/c"),
            (b"/\0", "/"),
            (b"", ""),
            (b"x\0", "/x"),
            (b"x\0/\0", "/x"),
            (b"memfd:a b\0", "memfd:a b"),
            (b"a:b\0tmp\0", "/tmp/a:b"),
            (b"\xff\0", "/\\xff"),
        ] {
            assert_eq!(walked(bytes), path);
        }
    }

    #[test]
    fn arguments_are_told_apart_empty_ones_too() {
        let check = |bytes: &[u8], wanted: &[&str]| assert_eq!(arguments(bytes), wanted);
        check(b"", &[]);
        check(b"ls\0-l\0", &["ls", "-l"]);
        check(b"a\0\0b\0", &["a", "", "b"]);
        check(b"a\0\0", &["a", ""]);
        check(b"cut", &["cut"]);
    }

    #[test]
    fn portions_joined_are_what_was_divided() {
        for (texts, most) in [
            (vec!["a".repeat(100)], 30),
            (vec!["ü".repeat(50), String::new(), "b".repeat(64)], 31),
            (vec!["x".into(); 90], 16),
            (Vec::new(), 8),
        ] {
            let mut joined: Vec<String> = Vec::new();
            for (portion, rest) in portions(texts.clone(), most) {
                assert!(portion.iter().map(String::len).sum::<usize>() <= most);
                for (place, text) in portion.into_iter().enumerate() {
                    match joined.last_mut() {
                        Some(last) if rest && place == 0 => last.push_str(&text),
                        _ => joined.push(text),
                    }
                }
            }
            assert_eq!(joined, texts);
        }
    }
}

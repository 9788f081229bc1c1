//! Secrets that people and machines carry once: invitation codes, join tokens, view tickets. `store` keeps only their hashes.

/// Random bytes of a secret.
const SECRET_BYTES: usize = 16;
/// Characters of a code that stand together.
const TYPED_GROUP: usize = 4;
/// Crockford's alphabet in small letters: no character is taken for another when read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A secret of 128 random bits as 26 letters and digits.
pub fn fresh() -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::fill(&mut bytes);
    encode(&bytes)
}

/// So many random characters of five bits each, with dashes between groups of four: for people who type them.
pub fn typed(chars: usize) -> String {
    let code: Vec<char> = fresh().chars().rev().take(chars).collect();
    let groups: Vec<String> = code.chunks(TYPED_GROUP).map(|part| part.iter().collect()).collect();
    groups.join("-")
}

/// What was typed as it is kept, however it is typed: the alphabet has no letter that is taken for another.
pub fn written(typed: &str) -> String {
    let plain = typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
    plain
        .map(|c| match c {
            'o' => '0',
            'i' | 'l' => '1',
            c => c,
        })
        .collect()
}

/// A secret of 256 random bits that no person types, as hexadecimal digits.
pub fn long() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    hex(&bytes)
}

/// Small hexadecimal letters, two for a byte.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn encode(bytes: &[u8; SECRET_BYTES]) -> String {
    let mut value = u128::from_be_bytes(*bytes);
    let mut text = [0_u8; 26];
    for place in text.iter_mut().rev() {
        let digit = usize::try_from(value & 31).unwrap_or(0);
        *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
        value >>= 5;
    }
    text.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn secrets_differ_and_are_easy_to_type() {
        let secrets: BTreeSet<_> = (0..1000).map(|_| fresh()).collect();
        assert_eq!(secrets.len(), 1000);
        for secret in &secrets {
            assert_eq!(secret.len(), 26);
            assert!(secret.bytes().all(|byte| ALPHABET.contains(&byte)), "{secret}");
        }
    }

    #[test]
    fn codes_are_read_however_they_are_typed() {
        for chars in [8, 16] {
            let code = typed(chars);
            assert_eq!(code.len(), chars + chars / 4 - 1, "{code}");
            let loud =
                code.to_ascii_uppercase().replace('-', " ").replace('0', "O").replace('1', "l");
            assert_eq!(written(&loud), code.replace('-', ""));
        }
    }

    #[test]
    fn every_bit_of_a_secret_stands_in_its_text() {
        assert_eq!(encode(&[0; 16]), "0".repeat(26));
        assert_eq!(encode(&[255; 16]), format!("7{}", "z".repeat(25)));
        let texts: BTreeSet<_> =
            (0..128).map(|bit| encode(&(1_u128 << bit).to_be_bytes())).collect();
        assert_eq!(texts.len(), 128);
    }
}

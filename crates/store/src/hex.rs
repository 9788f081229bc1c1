//! Bytes as hexadecimal text, for file names, keys and rows.

/// Small letters, two for a byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_two_small_digits_each() {
        assert_eq!(super::encode(&[0, 9, 0xab, 255]), "0009abff");
    }
}

//! Secrets that auth must be able to read again, and that a stolen database shall not tell.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// What the key is for (BLAKE3 §2.3: hard-coded, and of this use alone).
const CONTEXT: &str = "scry 2026-11 secrets of second factors";
/// How a sealed secret begins; no base32 text does.
const SEALED: &str = "v1:";
/// Bytes of a nonce (NIST SP 800-38D §5.2.1.1). One key seals a few secrets a person, far from the bound of random nonces.
const NONCE_BYTES: usize = 12;

/// Seals secrets and opens them, each for one person.
pub struct Safe(Aes256Gcm);

/// What cannot be opened: it was sealed with other keys or for somebody else, or was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shut;

impl Safe {
    /// With a key that follows from another.
    pub fn new(root: &[u8; 32]) -> Self {
        let key = Zeroizing::new(blake3::derive_key(CONTEXT, root));
        Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key)))
    }

    /// Whether a text is sealed.
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(SEALED)
    }

    /// Seals a secret of somebody.
    pub fn seal(&self, whose: &str, secret: &str) -> Result<String, Shut> {
        let mut nonce = [0_u8; NONCE_BYTES];
        rand::fill(&mut nonce);
        let payload = Payload { msg: secret.as_bytes(), aad: whose.as_bytes() };
        let sealed = self.0.encrypt(&Nonce::from(nonce), payload).map_err(|_| Shut)?;
        Ok(format!("{SEALED}{}", STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    /// Opens what was sealed for them.
    pub fn open(&self, whose: &str, sealed: &str) -> Result<Zeroizing<String>, Shut> {
        let bytes = sealed.strip_prefix(SEALED).ok_or(Shut)?;
        let bytes = STANDARD_NO_PAD.decode(bytes).map_err(|_| Shut)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(Shut)?;
        let payload = Payload { msg, aad: whose.as_bytes() };
        let secret = self.0.decrypt(&Nonce::from(*nonce), payload).map_err(|_| Shut)?;
        String::from_utf8(secret).map(Zeroizing::new).map_err(|_| Shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_opened_with_its_key_for_its_person_and_unaltered_only() {
        let (safe, other) = (Safe::new(&[1; 32]), Safe::new(&[2; 32]));
        let sealed = safe.seal("alice", "JBSWY3DP").unwrap();
        assert!(Safe::is_sealed(&sealed) && !sealed.contains("JBSWY3DP"));
        assert_eq!(safe.open("alice", &sealed).unwrap().as_str(), "JBSWY3DP");
        assert_ne!(safe.seal("alice", "JBSWY3DP").unwrap(), sealed, "no two look alike");
        assert_eq!(safe.open("bob", &sealed), Err(Shut));
        assert_eq!(other.open("alice", &sealed), Err(Shut));
        let altered =
            sealed.replacen(&sealed[10..11], if &sealed[10..11] == "A" { "B" } else { "A" }, 1);
        for odd in ["", "v1:", "v1:AAAA", "JBSWY3DP", altered.as_str()] {
            assert_eq!(safe.open("alice", odd), Err(Shut), "{odd}");
        }
    }
}

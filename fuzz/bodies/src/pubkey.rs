//! SSH public keys, as people and machines send them to have them certified.

use model::Time;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{Algorithm, Certificate, PrivateKey, PublicKey};

/// The moment at which keys are certified.
const NOW: Time = Time(1_790_000_000_000);

/// A key as it stands in a file.
///
/// It is an ed25519 key, and cut off it is none; what stands behind it is no part of the key, nor of the certificate for it,
/// which is one line.
pub fn pubkey(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(key) = auth::read_key(text) else { return };
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    let plain = PublicKey::from(key.key_data().clone());
    let line = plain.to_openssh().expect("what was read can be written");
    assert!(text.starts_with(&line) && is_line(&line), "{line:?}");
    let again = auth::read_key(&line).expect("what was written is a key");
    assert_eq!(again.key_data(), key.key_data(), "another key came back");
    assert!(auth::read_key(&line[..line.len() - 1]).is_err(), "cut off, and a key");
    let name = "web-01".parse().expect("a literal name is a name");
    let plan = policy::plan_host_certificate(&name, "home", 7, NOW);
    let authority = PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32]));
    let builder = policy::builder(&plan, &key, [7; 32]).expect("any such key can be certified");
    let signed = builder.sign(&authority).expect("as before");
    let written = signed.to_openssh().expect("a certificate can be written");
    assert!(is_line(&written), "{written:?}");
    let read = Certificate::from_openssh(&written).expect("what was written is a certificate");
    assert_eq!(read.public_key(), key.key_data(), "another key was certified");
}

fn is_line(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

//! What both ends agree to: algorithms, windows, beats. One place, so that server, client and jump host cannot differ.

use model::limit;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Limits, Preferred, Sig, SshId, cipher, compression, kex, mac};
use std::borrow::Cow;
use std::time::Duration;

/// Bytes of the largest packet (RFC 4254 §5.1); what OpenSSH uses.
pub(super) const PACKET_BYTES: u32 = 32 * 1024;
/// Messages between russh's loop and a channel's task. Wait, but that task takes them at once.
pub(super) const CHANNEL_MESSAGES: usize = 64;
/// Messages on their way out of a connection. Wait: the writer of a channel.
pub(super) const OUTGOING_MESSAGES: usize = 16;
/// Silence after which a beat is sent.
pub(super) const BEAT: Duration = Duration::from_millis(limit::SSH_BEAT_MS);
/// Beats without any answer after which a connection counts as lost.
pub(super) const BEATS: usize = limit::SSH_BEATS;
/// Attempts to sign in on one connection. Refuse: closed.
pub(super) const ATTEMPTS: usize = 10;

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const MACS: &[mac::Name] =
    &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// `zlib@openssh.com` only begins after the sign-in; plain `zlib` would let anybody reach the decompressor.
const COMPRESSIONS: &[compression::Name] = &[compression::NONE, compression::ZLIB_LEGACY];

const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Algorithms, best first.
pub(super) fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Borrowed(KEYS),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(COMPRESSIONS),
    }
}

/// What the first line of the protocol says (RFC 4253 §4.2).
pub(super) fn id() -> SshId {
    SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-scry_", env!("CARGO_PKG_VERSION"))))
}

/// Bytes each way after which keys are exchanged anew. RFC 4253 §9 says 1 GiB or an hour, for the ciphers of its day;
/// OpenSSH takes 64 GiB and no time for AES-GCM. It is rare because russh ends a connection on which more than two windows
/// come between its wish for new keys and the peer's, and of each channel one may be on its way.
const REKEY_BYTES: usize = 32 << 30;
/// Bytes of the smallest packet, with chacha20-poly1305.
const LEAST_PACKET_BYTES: usize = 28;
// The sequence number is that cipher's nonce and must not come round (RFC 4344 §3.1).
const _: () = assert!(REKEY_BYTES / LEAST_PACKET_BYTES < 1 << 31);

/// When keys are exchanged anew.
pub(super) fn limits() -> Limits {
    Limits {
        rekey_read_limit: REKEY_BYTES,
        rekey_write_limit: REKEY_BYTES,
        rekey_time_limit: Duration::MAX,
    }
}

/// Receive window of a channel, in bytes.
pub(super) const WINDOW_BYTES: u32 = limit::SSH_WINDOW_BYTES;

/// The name of a signal without `SIG` (RFC 4254 §6.10).
pub(super) fn signal_name(signal: &Sig) -> &str {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    }
}

/// The signal of a name without `SIG`.
pub(super) fn signal(name: &str) -> Sig {
    [
        Sig::ABRT,
        Sig::ALRM,
        Sig::FPE,
        Sig::HUP,
        Sig::ILL,
        Sig::INT,
        Sig::KILL,
        Sig::PIPE,
        Sig::QUIT,
        Sig::SEGV,
        Sig::TERM,
        Sig::USR1,
    ]
    .into_iter()
    .find(|known| signal_name(known) == name)
    .unwrap_or_else(|| Sig::Custom(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_weak_is_offered() {
        let preferred = preferred();
        let names: Vec<&str> = preferred
            .cipher
            .iter()
            .map(AsRef::as_ref)
            .chain(preferred.mac.iter().map(AsRef::as_ref))
            .chain(preferred.kex.iter().map(AsRef::as_ref))
            .chain(preferred.compression.iter().map(AsRef::as_ref))
            .collect();
        for name in names {
            let weak = ["cbc", "3des", "sha1", "group1-", "none@", "clear"]
                .iter()
                .any(|word| name.contains(word))
                || name == "zlib";
            assert!(!weak, "{name} is offered");
        }
        assert_eq!(preferred.cipher.first().map(AsRef::as_ref), Some("aes128-gcm@openssh.com"));
    }

    #[test]
    fn signals_keep_their_names_there_and_back() {
        for name in ["INT", "TERM", "WINCH", "USR1", ""] {
            assert_eq!(signal_name(&signal(name)), name);
        }
    }
}

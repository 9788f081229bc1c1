//! A passkey in software (WebAuthn Level 3 §6): what a browser would answer to what auth asks, or something slightly else.

use super::surf::ORIGIN;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Somebody was there, and was asked who they are.
const VERIFIED: u8 = 0b101;
/// A new key is told of.
const ATTESTED: u8 = 0b100_0000;

pub struct Authenticator {
    key: KeyPair,
    id: [u8; 16],
    handle: String,
    pub counter: u32,
    pub flags: u8,
    pub origin: String,
}

impl Authenticator {
    pub fn new(id: u8) -> Self {
        Self {
            key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            id: [id; 16],
            handle: String::new(),
            counter: 1,
            flags: VERIFIED,
            origin: ORIGIN.into(),
        }
    }

    /// Makes the passkey that was asked for.
    pub fn make(&mut self, asked: &Value) -> Value {
        assert_eq!(asked["authenticatorSelection"]["residentKey"], "required");
        assert_eq!(asked["authenticatorSelection"]["userVerification"], "required");
        self.handle = asked["user"]["id"].as_str().unwrap().to_owned();
        let point = self.key.public_key_raw();
        assert_eq!((point.len(), point[0]), (65, 4));
        let mut data = self.data(asked["rp"]["id"].as_str().unwrap(), self.flags | ATTESTED);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        // RFC 9053: EC2, ES256, P-256.
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 32]);
        data.extend(&point[33..]);
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(data.len().try_into().unwrap());
        object.extend(data);
        let client = self.client("webauthn.create", asked);
        self.answer(json!({
            "attestationObject": BASE64.encode(object),
            "clientDataJSON": BASE64.encode(client),
            "transports": ["internal"],
        }))
    }

    /// Shows the passkey.
    pub fn show(&mut self, asked: &Value) -> Value {
        self.counter += 1;
        let data = self.data(asked["rpId"].as_str().unwrap(), self.flags);
        let client = self.client("webauthn.get", asked);
        let signed = [data.clone(), Sha256::digest(&client).to_vec()].concat();
        let signature = self.key.sign(&signed).unwrap();
        self.answer(json!({
            "authenticatorData": BASE64.encode(data),
            "clientDataJSON": BASE64.encode(client),
            "signature": BASE64.encode(signature),
            "userHandle": self.handle,
        }))
    }

    fn data(&self, host: &str, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(host.as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client(&self, what: &str, asked: &Value) -> Vec<u8> {
        let challenge = asked["challenge"].as_str().unwrap();
        json!({ "type": what, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn answer(&self, response: Value) -> Value {
        let id = BASE64.encode(self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {}, "response": response,
        })
    }
}

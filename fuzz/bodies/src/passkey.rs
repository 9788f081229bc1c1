//! Passkeys: what a browser answers who is asked for a new one, or for one that is known.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::LazyLock;
use webauthn_rs::prelude::{
    CreationChallengeResponse, Passkey, PasskeyAuthentication, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder,
};

/// Where the page is.
const HOST: &str = "scry.example.org";
const ORIGIN: &str = "https://scry.example.org:7000";
/// What every browser is asked here, so that answers to it can lie in the corpus.
const ASKED: &[u8] = b"the challenge of every corpus...";
/// A new passkey, which is then known.
const MADE: &str = include_str!("../../corpus/passkey/new");

/// What browsers are asked.
struct Asking {
    webauthn: Webauthn,
    new: PasskeyRegistration,
    known: PasskeyAuthentication,
}

static ASKING: LazyLock<Asking> = LazyLock::new(|| {
    let origin = Url::parse(ORIGIN).expect("an address");
    let built = WebauthnBuilder::new(HOST, &origin).and_then(WebauthnBuilder::build);
    let webauthn = built.expect("passkeys work at this address");
    let new = fixed(&ask(&webauthn).1, "rs");
    let made = serde_json::from_str(MADE).expect("what a browser answers");
    let made = webauthn.finish_passkey_registration(&made, &new).expect("a passkey");
    let (_, known) = webauthn.start_passkey_authentication(&[made]).expect("it can be asked for");
    Asking { known: fixed(&known, "ast"), webauthn, new }
});

/// An answer in JSON, or, if it is none, what an authenticator says of a key that it has made (WebAuthn §6.5.4).
///
/// What counts answers what was asked, on the own page, and nothing else; and a new passkey is read as it was kept.
pub fn passkey(bytes: &[u8]) {
    let shown = match bytes {
        [b'{', ..] => serde_json::from_slice(bytes).unwrap_or_default(),
        _ => made(bytes),
    };
    if let Ok(credential) = RegisterPublicKeyCredential::deserialize(&shown) {
        new(&credential);
    }
    if let Ok(credential) = PublicKeyCredential::deserialize(&shown) {
        known(&credential);
    }
}

fn new(credential: &RegisterPublicKeyCredential) {
    let Asking { webauthn, new, .. } = &*ASKING;
    let Ok(passkey) = webauthn.finish_passkey_registration(credential, new) else { return };
    answers(&credential.response.client_data_json, "webauthn.create");
    let kept = serde_json::to_string(&passkey).expect("a passkey can be kept");
    let again: Passkey = serde_json::from_str(&kept).expect("what was kept is a passkey");
    assert_eq!(serde_json::to_string(&again).ok(), Some(kept), "another passkey came back");
    let (_, other) = ask(webauthn);
    let twice = webauthn.finish_passkey_registration(credential, &other);
    assert!(twice.is_err(), "it answers what it was not asked");
}

fn known(credential: &PublicKeyCredential) {
    let Asking { webauthn, known, .. } = &*ASKING;
    if let Ok((_, id)) = webauthn.identify_discoverable_authentication(credential) {
        assert_eq!(id, credential.raw_id);
    }
    let Ok(result) = webauthn.finish_passkey_authentication(credential, known) else { return };
    answers(&credential.response.client_data_json, "webauthn.get");
    assert!(result.user_verified(), "it did not ask who it is");
    assert_eq!(*result.cred_id(), credential.raw_id, "another passkey");
}

/// What the browser says that it answers.
fn answers(client: &[u8], what: &str) {
    let client: Value = serde_json::from_slice(client).expect("what counts is JSON");
    let text = |name: &str| client[name].as_str().expect("what counts says so").to_owned();
    assert_eq!(text("type"), what);
    let asked = BASE64.decode(text("challenge").trim_end_matches('=')).expect("what was asked");
    assert_eq!(asked, ASKED);
    let origin = |text: &str| Url::parse(text).expect("an address").origin();
    assert_eq!(origin(&text("origin")), origin(ORIGIN));
}

fn ask(webauthn: &Webauthn) -> (CreationChallengeResponse, PasskeyRegistration) {
    let user = Uuid::from_bytes([7; 16]);
    let asked = webauthn.start_passkey_registration(user, "alice", "alice", None);
    asked.expect("a new passkey can be asked for")
}

/// The same, had [`ASKED`] been asked.
fn fixed<T: Serialize + DeserializeOwned>(asking: &T, part: &str) -> T {
    let mut asking = serde_json::to_value(asking).expect("it can be kept");
    asking[part]["challenge"] = BASE64.encode(ASKED).into();
    serde_json::from_value(asking).expect("it is read as it was kept")
}

/// What a browser says whose authenticator has made a key.
fn made(object: &[u8]) -> Value {
    let client = json!({
        "type": "webauthn.create",
        "challenge": BASE64.encode(ASKED),
        "origin": ORIGIN,
        "crossOrigin": false,
    });
    let response = json!({
        "attestationObject": BASE64.encode(object),
        "clientDataJSON": BASE64.encode(client.to_string()),
    });
    let (id, extensions) = (BASE64.encode([1; 16]), json!({}));
    json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": extensions,
        "response": response,
    })
}

//! What is done with foreign bytes: one function a parser, reached by `cargo fuzz run NAME` and by a plain `cargo test`.
//!
//! A body panics when the bytes break a promise; that is all it says. What it promises stands above it.
//! `tests/replay.rs` gives each body its corpus and small changes of it.

mod acme;
mod certificate;
mod feed;
mod files;
mod front;
mod kernel;
#[path = "../../../crates/record/tests/kit/keys.rs"]
mod keys;
mod lines;
mod local;
mod names;
// No other crate sees this one, which the binary keeps to itself; nor `viewer` below.
#[path = "../../../crates/scry/src/client/overlay/typed.rs"]
mod overlay;
mod passkey;
mod pubkey;
mod recording;
mod roles;
mod screen;
mod tls;
mod transfer;
mod typed;
#[path = "../../../crates/node/src/visitor/keys.rs"]
mod viewer;
mod web;
mod wire;

/// Reads foreign bytes; panics when they break a promise.
pub type Body = fn(&[u8]);

/// Every target by its name: those of `fuzz/fuzz_targets`, `fuzz/corpus` and `fuzz/Cargo.toml`, which the tidy test compares.
pub const ALL: &[(&str, Body)] = &[
    ("acme", acme::acme),
    ("certificate", certificate::certificate),
    ("chain", recording::chain),
    ("files", files::files),
    ("front", front::front),
    ("kernel", kernel::kernel),
    ("lines", lines::lines),
    ("local", local::local),
    ("names", names::names),
    ("passkey", passkey::passkey),
    ("pubkey", pubkey::pubkey),
    ("recording", recording::recording),
    ("recovery", recording::recovery),
    ("roles", roles::roles),
    ("scp", transfer::scp),
    ("screen", screen::screen),
    ("sftp", transfer::sftp),
    ("tls", tls::tls),
    ("typed", typed::typed),
    ("web", web::web),
    ("wire", wire::wire),
];

/// Runs the body of a target.
///
/// # Panics
/// When there is no such target, and when the bytes break one of its promises.
pub fn run(name: &str, bytes: &[u8]) {
    let found = ALL.iter().find(|(own, _)| *own == name);
    let (_, body) = found.expect("a target has a body in ALL");
    body(bytes);
}

//! `cargo fuzz run pubkey`: the body is in `bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::run("pubkey", bytes));

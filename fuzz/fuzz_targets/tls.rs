//! `cargo fuzz run tls`: the body is in `bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::run("tls", bytes));

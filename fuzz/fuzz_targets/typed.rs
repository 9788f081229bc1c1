//! `cargo fuzz run typed`: the body is in `bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::run("typed", bytes));

//! A program that is nothing but `host`'s two processes, for the tests of this room. Not shipped.

use std::process::ExitCode;

fn main() -> ExitCode {
    host::dispatch().unwrap_or(ExitCode::FAILURE)
}

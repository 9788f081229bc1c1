//! Words for people and logs that belong to no single noun.

use core::error::Error;

/// An error with all its sources: `cannot reach a:1: no connection: …`.
#[must_use]
pub fn words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        words.push_str(": ");
        words.push_str(&one.to_string());
        cause = one.source();
    }
    words
}

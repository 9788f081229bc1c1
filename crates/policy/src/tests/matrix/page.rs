//! A page under review: its rows, and the doors of this room that were asked for them.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

/// What a reviewer reads, and where it comes from.
#[derive(Default)]
pub(super) struct Page {
    pub text: String,
    pub asked: BTreeSet<&'static str>,
}

impl Page {
    pub fn line(&mut self, line: impl Display) {
        writeln!(self.text, "{line}").unwrap();
    }

    /// Whether something is allowed.
    pub fn row(&mut self, what: impl Display, allowed: bool) {
        self.line(format_args!("  {what}: {}", if allowed { "yes" } else { "-" }));
    }

    /// What of something is allowed.
    pub fn list(&mut self, what: impl Display, allowed: impl IntoIterator<Item = impl Display>) {
        let names: Vec<_> = allowed.into_iter().map(|name| name.to_string()).collect();
        let names = if names.is_empty() { "-".to_owned() } else { names.join(", ") };
        self.line(format_args!("  {what}: {names}"));
    }
}

/// Asks a door of this room; the page notes that it has it.
macro_rules! ask {
    ($page:ident, $door:ident($($given:expr),* $(,)?)) => {{
        $page.asked.insert(stringify!($door));
        crate::$door($($given),*)
    }};
}
pub(super) use ask;

//! A client's display in a session: what stands in its environment, and the cookie in the user's authority file.

use crate::environment::Environment;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::{self, PipeReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

/// A client's display as a session sees it (RFC 4254 §6.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct X11Plan {
    /// Value of DISPLAY.
    pub(crate) display: String,
    /// Name of the display in the authority file; as sshd writes it, so that a look-up by host name works.
    pub(crate) authority: String,
    pub(crate) protocol: String,
    pub(crate) cookie: String,
}

impl X11Plan {
    /// Display `number` on loopback with the cookie that the client gave; `None` if that is none. Both texts
    /// become words of a command to xauth, so nothing that could end a word may stand in them.
    #[must_use]
    pub fn new(number: u16, screen: u32, protocol: &str, cookie: &str) -> Option<Self> {
        const LONGEST: usize = 512;
        let safe = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:/-_".contains(&byte);
            !text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain)
        };
        (safe(protocol) && safe(cookie) && !protocol.starts_with('-')).then(|| Self {
            display: format!("localhost:{number}.{screen}"),
            authority: format!("unix:{number}.{screen}"),
            protocol: protocol.to_owned(),
            cookie: cookie.to_owned(),
        })
    }
}

/// Has the user's own xauth note the cookie, as sshd does: by its standard input, because arguments can be read by
/// everybody. Called as the user, so that whatever lies at `~/.Xauthority` is the user's own affair.
pub(crate) fn add_cookie(plan: &X11Plan, xauth: &[u8], environment: &Environment) {
    // Without it the session has a display that it cannot open, and programs say so.
    let Ok(told) = written(plan) else { return };
    let mut command = Command::new(OsStr::from_bytes(xauth));
    command.args(["-q", "-"]).env_clear().envs(environment);
    command.stdin(told).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        let _ = child.wait();
    }
}

/// What xauth is told, all of it in a pipe before there is an xauth: one that ends without having read it, such as where the
/// authority file cannot be locked, would end a process that still writes (SIGPIPE has its default action here).
fn written(X11Plan { authority, protocol, cookie, .. }: &X11Plan) -> io::Result<PipeReader> {
    let (told, mut tell) = io::pipe()?;
    let lines = format!("remove {authority}\nadd {authority} {protocol} {cookie}\n");
    // Both texts are bounded, and far below what a pipe holds.
    tell.write_all(lines.as_bytes())?;
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_be_a_second_command_to_xauth_is_taken_for_a_cookie() {
        for (protocol, cookie, good) in [
            ("MIT-MAGIC-COOKIE-1", "0123456789abcdef", true),
            ("XDM-AUTHORIZATION-1", "ab", true),
            ("", "ab", false),
            ("MIT-MAGIC-COOKIE-1", "", false),
            ("MIT-MAGIC-COOKIE-1", "ab\nsource /etc/shadow", false),
            ("MIT MAGIC", "ab", false),
            ("-x", "ab", false),
            ("MIT-MAGIC-COOKIE-1", "ab\0", false),
            ("MIT-MAGIC-COOKIE-1", "\u{e9}", false),
            ("MIT-MAGIC-COOKIE-1", &"a".repeat(513), false),
        ] {
            assert_eq!(
                X11Plan::new(10, 0, protocol, cookie).is_some(),
                good,
                "{protocol} {cookie}"
            );
        }
        let plan = X11Plan::new(12, 1, "MIT-MAGIC-COOKIE-1", "ab").unwrap();
        assert_eq!(
            (plan.display.as_str(), plan.authority.as_str()),
            ("localhost:12.1", "unix:12.1")
        );
    }
}

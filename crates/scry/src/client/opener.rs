//! Opening an address in the browser of whoever sits here, if somebody does.

use std::process::Stdio;
use tokio::process::{Child, Command};

/// A browser that is being opened.
pub struct Opening {
    child: Child,
    program: String,
}

impl Opening {
    /// Completes with why it could not be opened, if it could not.
    pub async fn failed(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) if status.success() => std::future::pending().await,
            Ok(status) => format!("{} opened no browser ({status})", self.program),
            Err(error) => format!("{} opened no browser: {error}", self.program),
        }
    }
}

/// Opens an address, if there is a browser here to open.
pub fn open(address: &str) -> Option<Opening> {
    let here = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    programs(cfg!(target_os = "macos"), here).into_iter().find_map(|program| {
        let mut words = program.split_whitespace();
        let name = words.next()?;
        let mut args: Vec<String> = words.map(|word| word.replace("%s", address)).collect();
        if !program.contains("%s") {
            args.push(address.to_owned());
        }
        let mut command = Command::new(name);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().ok()?;
        Some(Opening { child, program: name.to_owned() })
    })
}

/// Programs that open an address here, the first that is there: what `BROWSER` names, with colons between them and `%s` for the
/// address; else what the desktop has. Somebody who came by ssh sits elsewhere.
fn programs(mac: bool, here: impl Fn(&str) -> Option<String>) -> Vec<String> {
    if let Some(browser) = here("BROWSER") {
        return browser.split(':').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    }
    let remote = ["SSH_CONNECTION", "SSH_TTY"].into_iter().any(|name| here(name).is_some());
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| here(name).is_some());
    match (remote, mac, desktop) {
        (true, _, _) | (false, false, false) => Vec::new(),
        (false, true, _) => vec!["open".to_owned()],
        (false, false, true) => vec!["xdg-open".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_opened_where_somebody_sits_and_the_one_that_they_name() {
        let check = |mac: bool, set: &[(&str, &str)], expected: &[&str]| {
            let here = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(programs(mac, here), expected, "{mac} {set:?}");
        };
        let (display, ssh) = (("DISPLAY", ":0"), ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22"));
        check(false, &[], &[]);
        check(true, &[], &["open"]);
        check(false, &[display], &["xdg-open"]);
        check(false, &[("WAYLAND_DISPLAY", "wayland-0")], &["xdg-open"]);
        check(false, &[display, ssh], &[]);
        check(true, &[ssh], &[]);
        check(true, &[("SSH_TTY", "/dev/pts/1")], &[]);
        check(false, &[ssh, ("BROWSER", "code --open %s:firefox")], &["code --open %s", "firefox"]);
    }
}

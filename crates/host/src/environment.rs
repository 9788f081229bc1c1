//! What stands in a session's environment, and what a client may put there.

use crate::session_process::Spec;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Environment of a program, in the order of its names.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// Variables by which a client may say how it likes its text. Everything else is refused: most of what
/// programs read from their environment (LD_PRELOAD, PATH, BASH_ENV, PS4, PYTHONPATH…) makes them run other code.
const ALLOWED: [&str; 8] = [
    "LANG",
    "LANGUAGE",
    "TZ",
    "COLORTERM",
    "NO_COLOR",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "GIT_PROTOCOL",
];

/// Admin's files of `NAME=value` lines, as pam_env(8) reads them on Debian.
const FILES: [&str; 2] = ["/etc/environment", "/etc/default/locale"];
/// Bytes of such a file that are read. Cut.
const FILE_BYTES: usize = 64 * 1024;

const PATH_OF_USERS: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
const PATH_OF_ROOT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether a client may set this variable (RFC 4254 §6.4).
#[must_use]
pub fn allowed_variable(name: &str) -> bool {
    let locale = name.strip_prefix("LC_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    });
    locale || ALLOWED.contains(&name)
}

/// Whether a pair that the client sent may stand in the environment.
pub(crate) fn allowed(name: &str, value: &str) -> bool {
    allowed_variable(name)
        && !value.contains('\0')
        && name.len() + value.len() <= model::limit::ENVIRONMENT_BYTES
}

/// The whole environment of a session: nothing of the daemon's is in it.
/// `pam` is what PAM's modules set; it counts more than the admin's files, which some of them read too.
pub(crate) fn compose(spec: &Spec, pam: &[(OsString, OsString)]) -> Environment {
    let mut all = Environment::new();
    let path = if spec.rights.uid == 0 { PATH_OF_ROOT } else { PATH_OF_USERS };
    put(&mut all, "PATH", path);
    for file in FILES {
        let text = crate::session_process::read_text(Path::new(file), FILE_BYTES);
        for (name, value) in lines(&text.unwrap_or_default()) {
            put(&mut all, name, value);
        }
    }
    all.extend(pam.iter().cloned());
    for (name, value) in spec.environment.iter().filter(|(name, value)| allowed(name, value)) {
        put(&mut all, name, value);
    }
    all.insert("HOME".into(), OsString::from_vec(spec.home.clone()));
    all.insert("SHELL".into(), OsString::from_vec(spec.shell.clone()));
    put(&mut all, "USER", &spec.login);
    put(&mut all, "LOGNAME", &spec.login);
    put(&mut all, "MAIL", format!("/var/mail/{}", spec.login));
    put(&mut all, crate::hunt::VARIABLE, &spec.session);
    if let Some(addresses) = &spec.addresses {
        let (client, server) = (addresses.client, addresses.server);
        let client = format!("{} {}", client.ip().to_canonical(), client.port());
        put(&mut all, "SSH_CLIENT", format!("{client} {}", server.port()));
        let server = format!("{} {}", server.ip().to_canonical(), server.port());
        put(&mut all, "SSH_CONNECTION", format!("{client} {server}"));
    }
    if let Some(pty) = &spec.pty {
        put(&mut all, "SSH_TTY", &pty.name);
        let named = !pty.term.is_empty() && pty.term.bytes().all(|byte| byte.is_ascii_graphic());
        put(&mut all, "TERM", if named { pty.term.as_str() } else { "dumb" });
    }
    if let Some((display, _)) = &spec.x11 {
        put(&mut all, "DISPLAY", &display.display);
    }
    if let Some(socket) = &spec.agent_socket {
        all.insert("SSH_AUTH_SOCK".into(), OsString::from_vec(socket.clone()));
    }
    all
}

fn put(all: &mut Environment, name: impl Into<OsString>, value: impl Into<OsString>) {
    all.insert(name.into(), value.into());
}

/// The `NAME=value` lines of an admin's file; comments, `export`, quotes and what is no name are left away.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let name = name.trim();
        let is_name = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (is_name && !value.contains('\0')).then(|| (name, unquoted(value.trim())))
    })
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_say_its_language_and_nothing_that_runs_code() {
        for name in ["LANG", "LC_ALL", "LC_TIME", "TZ", "COLORTERM", "GIT_PROTOCOL"] {
            assert!(allowed_variable(name), "{name}");
        }
        for name in [
            "",
            "LC_",
            "LC_all",
            "LC_ALL\0",
            "LC_A=B",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PATH",
            "BASH_ENV",
            "ENV",
            "SHELLOPTS",
            "PS4",
            "IFS",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5LIB",
            "PERL5OPT",
            "BASH_FUNC_ls%%",
            "HOME",
            "SHELL",
            "SSH_AUTH_SOCK",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "LOCPATH",
            "NLSPATH",
            "TERMINFO",
            "lang",
        ] {
            assert!(!allowed_variable(name), "{name:?}");
        }
    }

    #[test]
    fn an_admins_file_is_read_as_pam_env_does_and_hostile_lines_are_passed_over() {
        let text =
            "# no\nLANG=\"de_DE.UTF-8\"\nexport A='b c'\n = x\n1A=2\nB\nC=\n  D = e \nA-B=c\n";
        let read: Vec<_> = lines(text).collect();
        assert_eq!(read, [("LANG", "de_DE.UTF-8"), ("A", "b c"), ("C", ""), ("D", "e")]);
    }
}

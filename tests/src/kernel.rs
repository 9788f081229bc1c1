//! Whether this machine's kernel takes the recorder, and what follows where it does not.

use std::fs;
use std::path::PathBuf;

/// What `scry doctor` says decides: the reason for which tests of the kernel are skipped, if they are.
///
/// # Panics
/// When the kernel takes a program of the recorder's kind and not the recorder, or doctor says neither: that is a fault,
/// and tests that were skipped because of it would hide it.
#[expect(clippy::missing_errors_doc, reason = "said above")]
pub fn can(doctor: &str) -> Result<(), String> {
    const NONE: &str = "It takes no program of this kind at all: ";
    if doctor.contains("The kernel of this machine can tell what runs in sessions.") {
        return Ok(());
    }
    match doctor.split_once(NONE) {
        Some((_, why)) if !why.trim().is_empty() => {
            Err(why.lines().next().unwrap_or_default().to_owned())
        }
        _ => panic!("the recorder is not taken where it could be:\n{doctor}"),
    }
}

/// A control group of version 1, beside those that hold sessions. Removed when dropped.
pub struct Group(PathBuf);

impl Group {
    /// With these settings; `None` where this machine has no such controller of that version.
    pub fn new(controller: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let name = format!("/sys/fs/cgroup/{controller}/scry-test-{}", std::process::id());
        fs::create_dir(&name).ok()?;
        let group = Self(name.into());
        for (file, value) in settings {
            fs::write(group.file(file), value).ok()?;
        }
        Some(group)
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_the_kernel_are_skipped_only_where_it_takes_no_such_program_at_all() {
        let cannot = "The kernel of this machine cannot tell what runs in sessions:\nit refuses.\n";
        assert_eq!(can("The kernel of this machine can tell what runs in sessions.\n…"), Ok(()));
        let none = format!("{cannot}It takes no program of this kind at all: no CAP_BPF\nmore\n");
        assert_eq!(can(&none), Err("no CAP_BPF".to_owned()));
        let faulty = format!("{cannot}It takes a program of the same kind that does nothing, so …");
        let unsaid = format!("{cannot}It takes no program of this kind at all: \n");
        for told in [cannot, &faulty, &unsaid, "", "thread 'main' panicked"] {
            assert!(std::panic::catch_unwind(|| can(told)).is_err(), "{told}");
        }
    }
}

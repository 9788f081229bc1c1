//! `scry doctor` with rights taken away: it says which are missing, what follows, and what would help.

use super::{can_see, has};
use house::{scry_path, text};
use std::process::Command;

/// What doctor says without these rights.
fn told(without: &str) -> String {
    let mut setpriv = Command::new("setpriv");
    setpriv.arg(format!("--bounding-set={without}")).arg(format!("--inh-caps={without}"));
    let out = setpriv.arg(scry_path()).arg("doctor").output().unwrap();
    assert!(out.status.success(), "{out:?}");
    text(&out)
}

#[test]
fn doctor_names_the_rights_that_are_missing_and_no_others() {
    let test = "doctor_names_the_rights";
    if !can_see(test) || !has(test, "setpriv") || !house::is_root() {
        return;
    }
    let (bpf, perfmon) = ("CAP_BPF", "CAP_PERFMON");
    for (without, missing, there) in [
        ("-bpf,-sys_admin", &[bpf][..], &[perfmon][..]),
        ("-perfmon,-sys_admin", &[perfmon], &[bpf]),
        ("-bpf,-perfmon,-sys_admin", &[bpf, perfmon], &[]),
        ("-all", &[bpf, perfmon], &[]),
    ] {
        let told = told(without);
        assert!(told.contains("cannot tell what runs in sessions"), "{without}: {told}");
        let line = told
            .lines()
            .find(|line| line.contains("it has no "))
            .unwrap_or_else(|| panic!("{without}: {told}"));
        for one in missing {
            assert!(line.contains(one), "{without}: {line}");
        }
        for one in there {
            assert!(!line.contains(one), "{without}: {line}");
        }
        for helps in
            ["CapabilityBoundingSet=", "It takes no program of this kind at all", "kernel.require"]
        {
            assert!(told.contains(helps), "{without}: {helps} in {told}");
        }
    }
    // CAP_SYS_ADMIN stands for both.
    let told_all = told("-bpf,-perfmon");
    assert!(told_all.contains("can tell what runs in sessions"), "{told_all}");
    // Nothing of that is missing here, and something else is.
    let slow = told("-sys_nice");
    assert!(
        slow.contains("can tell what runs in sessions") && slow.contains("CAP_SYS_NICE would help"),
        "{slow}"
    );
}

//! In which namespace of mounts a path stands: `/etc/passwd` of another one is another file, and says so.

use crate::text::walked;
use model::transfer::text_of;

/// What stands in place of a namespace's number (`bpf/record.h`).
const NOT_TOLD: u32 = 0;
const IN_NONE: u32 = 1;

/// A path that the kernel walked, as text: that of another namespace of mounts than `own` has its name in front
/// (`mnt:[4026532567]/etc/passwd`), and so has that of a mount in none (`mnt:[none]/x`). Where `own` is not known, no path
/// is told from others.
pub(crate) fn placed(bytes: &[u8], mounts: u32, own: Option<u32>) -> String {
    let Some(own) = own.filter(|_| mounts != NOT_TOLD) else { return walked(bytes) };
    if bytes.is_empty() {
        return String::new();
    }
    format!("{}{}", before(mounts, own), absolute(bytes))
}

/// Where a path begins that was passed as an absolute one: what stands in front of its first slash, or nothing if that is
/// the root of everything.
pub(crate) fn root(bytes: &[u8], mounts: u32, own: Option<u32>) -> String {
    let root = placed(bytes, mounts, own);
    match own {
        Some(own) if root.is_empty() => before(mounts, own),
        _ => root.trim_end_matches('/').to_owned(),
    }
}

fn before(mounts: u32, own: u32) -> String {
    match mounts {
        NOT_TOLD => String::new(),
        IN_NONE => "mnt:[none]".to_owned(),
        mounts if mounts == own => String::new(),
        mounts => format!("mnt:[{mounts}]"),
    }
}

/// Of a file that is in a folder, whatever it is called: `walked` takes a colon for the kernel's own, such as `pipe:[1]`.
fn absolute(bytes: &[u8]) -> String {
    let path = walked(bytes);
    if path.starts_with('/') {
        return path;
    }
    format!("/{}", text_of(bytes.strip_suffix(&[0]).unwrap_or(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_other_mounts_says_whose_it_is_and_one_of_the_machines_own_is_plain() {
        for (bytes, mounts, own, wanted) in [
            (&b"passwd\0etc\0"[..], 7, Some(7), "/etc/passwd"),
            (b"passwd\0etc\0", 8, Some(7), "mnt:[8]/etc/passwd"),
            (b"passwd\0etc\0", IN_NONE, Some(7), "mnt:[none]/etc/passwd"),
            (b"passwd\0etc\0", 8, None, "/etc/passwd"),
            (b"/\0", 8, Some(7), "mnt:[8]/"),
            (b"", 8, Some(7), ""),
            // The kernel's own; and a file that only looks like it.
            (b"memfd:x\0", NOT_TOLD, Some(7), "memfd:x"),
            (b"memfd:x\0", 7, Some(7), "/memfd:x"),
            (b"memfd:x\0", 8, Some(7), "mnt:[8]/memfd:x"),
        ] {
            assert_eq!(placed(bytes, mounts, own), wanted);
        }
    }

    #[test]
    fn an_absolute_path_begins_at_the_root_of_whoever_passed_it() {
        for (bytes, mounts, own, wanted) in [
            (&b""[..], 7, Some(7), ""),
            (b"/\0", 7, Some(7), ""),
            (b"jail\0tmp\0", 7, Some(7), "/tmp/jail"),
            (b"", 8, Some(7), "mnt:[8]"),
            (b"/\0", 8, Some(7), "mnt:[8]"),
            (b"jail\0", 8, Some(7), "mnt:[8]/jail"),
            (b"", NOT_TOLD, Some(7), ""),
            (b"", 8, None, ""),
        ] {
            assert_eq!(root(bytes, mounts, own), wanted);
        }
    }
}

//! Roles that want only some of the files and connections that the kernel sees.

use super::{Seen, can_see, has};
use house::{Cluster, assert_success, text};
use serde_json::{Value, json};
use std::fs;

/// Entries of this kind that say how the watch is bounded.
fn said<'a>(seen: &'a Seen, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    seen.0.iter().map(move |line| &line["entry"]["kernel"][kind]).filter(|it| !it.is_null())
}

fn opened(seen: &Seen, path: &str) -> u64 {
    let of_path = seen.all("opened").filter(|it| it["action"]["opened"]["file"]["path"] == path);
    of_path.map(|it| it["times"].as_u64().unwrap()).sum()
}

#[test]
fn what_roles_leave_out_of_files_and_connections_is_counted_and_the_rest_is_there() {
    let test = "what_roles_leave_out";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let cluster = Cluster::start();
    let folder = cluster.path("wanted");
    fs::create_dir_all(folder.join("cache")).unwrap();
    fs::write(folder.join("a"), "a").unwrap();
    fs::write(folder.join("cache/b"), "b").unwrap();
    let at = folder.display().to_string();
    let files = format!("files = {{ under = ['{at}'], except = ['{at}/cache'] }}");
    let python = "/usr/bin/python3 -c \"import socket as s; [s.socket().connect_ex(('127.0.0.1', 1)) for n in range(7)]\"";
    let command = |mark: &str| {
        format!(
            "cat {at}/a {at}/cache/b /etc/hostname >/dev/null; cd {at}; rm -f made; echo x > made; {python}; : {mark}"
        )
    };
    let role = text(&cluster.scry(&["roles", "show", "admin"]));
    let run = |options: &str| {
        // In place of what was said before.
        cluster.set_role(&role);
        cluster.set_options(options);
        let command = command(&options.len().to_string());
        assert_success(&cluster.ssh(&command));
        Seen::of(&cluster, &command)
    };
    let count = |seen: &Seen, kind: &str| -> u64 {
        seen.all(kind).map(|it| it["times"].as_u64().unwrap()).sum()
    };
    let whole = run("kernel = { files = true, network = true }");
    assert_eq!((said(&whole, "scope").count(), said(&whole, "left_out").count()), (0, 0));
    let some = run(&format!("kernel = {{ {files}, network = {{ except = ['127.0.0.0/8'] }} }}"));
    let [scope] = said(&some, "scope").collect::<Vec<_>>()[..] else { panic!("{:#?}", some.0) };
    assert_eq!(scope["files"][0]["under"], json!([at]));
    let [left_out] = said(&some, "left_out").collect::<Vec<_>>()[..] else {
        panic!("{:#?}", some.0)
    };
    for (path, wanted) in [("a", 1), ("cache/b", 0), ("made", 1)] {
        assert_eq!(opened(&some, &format!("{at}/{path}")), wanted, "{path}");
    }
    assert_eq!((opened(&some, "/etc/hostname"), opened(&whole, "/etc/hostname")), (0, 1));
    let left = |class: &str| left_out[class].as_u64().unwrap();
    // The same was done both times; what it took to do so is the same but for a few files of the shell's own.
    let (all, kept) = (
        count(&whole, "opened") + count(&whole, "changed"),
        count(&some, "opened") + count(&some, "changed"),
    );
    assert!((kept + left("files")).abs_diff(all) <= 4, "{kept} and {} of {all}", left("files"));
    assert!(left("files") > 20 && kept < 20, "{left_out} {kept}");
    assert_eq!(some.all("tcp").count(), 0);
    assert_eq!(left("network"), 7);
    assert_eq!(count(&whole, "tcp"), 7);
    let told = cluster.audit("session.kernel_seen");
    let sum = left("files") + left("network");
    assert!(told.iter().any(|it| it["left_out"] == sum), "{told:#?}");
}

#[test]
fn where_paths_may_mean_something_else_everything_is_recorded() {
    let test = "where_paths_may_mean_something_else";
    if !can_see(test) || !house::is_root() || !has(test, "unshare") {
        return;
    }
    let cluster = Cluster::start();
    let folder = cluster.path("secret");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("key"), "k").unwrap();
    let other = cluster.path("harmless");
    fs::create_dir(&other).unwrap();
    cluster.set_options(&format!("kernel = {{ files = {{ under = ['{}'] }} }}", folder.display()));
    let (secret, harmless) = (folder.display(), other.display());
    let command = format!(
        "cat /etc/hostname; unshare -m sh -c 'mount --bind {secret} {harmless} && cat {harmless}/key && cat /etc/hosts' >/dev/null"
    );
    let out = cluster.ssh(&command);
    if !out.status.success() {
        return println!("skipped: {test}: nothing can be mounted here: {}", text(&out));
    }
    let mut seen = Seen::of(&cluster, &command);
    // Of other mounts than the node's, as each path says.
    for line in &mut seen.0 {
        let path = line.pointer_mut("/entry/kernel/did/action/opened/file/path");
        let Some(Value::String(path)) = path else { continue };
        if let Some((_, plain)) = path.strip_prefix("mnt:[").and_then(|it| it.split_once(']')) {
            *path = plain.to_owned();
        }
    }
    let [why] = said(&seen, "unbound").collect::<Vec<_>>()[..] else { panic!("{:#?}", seen.0) };
    assert_eq!(why["mounts"]["call"], "mount");
    assert_eq!(opened(&seen, &format!("{harmless}/key")), 1, "{:#?}", seen.0);
    assert_eq!((opened(&seen, "/etc/hostname"), opened(&seen, "/etc/hosts")), (0, 1));
}

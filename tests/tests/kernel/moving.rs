//! Programs that run from folders which move meanwhile.

use super::{CLUSTER, Seen, can_see, has, line};
use house::{assert_success, long};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// The deep folder is in `one` only while that bears this name: no path over `two` to the program ever was one.
#[test]
fn a_program_in_folders_that_move_runs_from_a_path_that_was_or_from_none() {
    let test = "a_program_in_folders_that_move";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    // In memory, where renaming takes less time than reading a long path; by somebody whom nobody records.
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let folder = base.path().display().to_string();
    let deep = (0..50).fold(format!("{folder}/one"), |path, n| format!("{path}/{}", n % 10));
    let (inside, out) = (format!("{deep}/in"), format!("{folder}/out"));
    fs::create_dir_all(&inside).unwrap();
    fs::copy("/bin/true", format!("{inside}/runs")).unwrap();
    let place = fs::metadata(format!("{inside}/runs")).unwrap().ino();
    let many: u64 = if long() { 20_000 } else { 2_000 };
    let command = format!(
        "/usr/bin/python3 -c \"import os\nwhile 1:\n try: os.chdir('{inside}'); break\n except OSError: pass\n\
         for n in range({many}): os.waitpid(os.posix_spawn('./runs', ['runs', 'moved'], {{}}), 0)\""
    );
    let over = AtomicBool::new(false);
    let turns = std::thread::scope(|scope| {
        let turner = scope.spawn(|| {
            let (one, two) = (format!("{folder}/one"), format!("{folder}/two"));
            let mut turns = 0;
            while !over.load(Ordering::Relaxed) {
                for (from, to) in [(&inside, &out), (&one, &two), (&two, &one), (&out, &inside)] {
                    fs::rename(from, to).unwrap();
                }
                turns += 1;
            }
            turns
        });
        assert_success(&CLUSTER.ssh(&command));
        over.store(true, Ordering::Relaxed);
        turner.join().unwrap()
    });
    let seen = Seen::of(&CLUSTER, &command);
    let (mut were, mut none) = (0, 0);
    let mut never = BTreeMap::new();
    for event in seen.all("ran").filter(|event| line(event) == "runs moved") {
        let ran = &event["action"]["ran"];
        assert_eq!((&ran["place"]["inode"], &ran["file"]), (&place.into(), &"./runs".into()));
        assert_eq!(ran["deleted"], false);
        let right = |value: &Value, below: &str| {
            let path = value.as_str().unwrap();
            path.is_empty() || [&inside, &out].iter().any(|one| path == format!("{one}{below}"))
        };
        match (right(&ran["program"], "/runs") && right(&ran["folder"], ""), &ran["program"]) {
            (true, program) if program == "" => none += 1,
            (true, _) => were += 1,
            (false, _) => {
                *never.entry(format!("{} in {}", ran["program"], ran["folder"])).or_insert(0) += 1
            }
        }
    }
    let lost = seen.totals()["lost"].as_u64().unwrap();
    println!(
        "{turns} turns, {many} programs: {were} paths that were, {none} without one, {lost} lost"
    );
    assert_eq!(never, BTreeMap::<String, u64>::new(), "paths that never were");
    assert!(turns > many / 10, "the folders moved {turns} times only");
    assert!(were + none <= many && were + none + lost >= many, "{were} and {none} of {many}");
}

//! The pages in a real browser: chromium, driven by playwright, before clusters whose authority it trusts. The scenes stand in
//! `tests/browser/`.

use house::apart::Apart;
use house::browser::{Browser, missing};
use house::{Cluster, wait_for};
use std::fs;

/// Plays `scene`, or says why it cannot be played here.
fn check(scene: impl FnOnce()) {
    match missing() {
        Some(why) => println!("skipped: {why}"),
        None => scene(),
    }
}

#[test]
fn a_terminal_in_a_browser_outlives_a_reload_and_a_proxy_that_is_killed() {
    check(|| {
        let mut apart = Apart::in_three(str::to_owned);
        let browser = Browser::trusting(&apart.cluster);
        browser.play("terminal", |asked| {
            match asked {
                "kill the proxy" => apart.kill_proxy(),
                "start the proxy" => apart.start_proxy(&[]),
                other => panic!("the scene asks for {other:?}"),
            }
            String::new()
        });
        let started = apart.cluster.audit("session.start");
        assert_eq!(started.len(), 1, "it was one session all along: {started:#?}");
    });
}

#[test]
fn the_messages_of_a_terminal_and_files_keep_their_bounds_and_their_words() {
    check(|| {
        let cluster = Cluster::start();
        Browser::trusting(&cluster).play("wire", |asked| {
            let path = asked.strip_prefix("remove ").expect("a file to remove");
            fs::remove_file(path).unwrap();
            String::new()
        });
        // The node tells of a file when its connection has ended, a moment later than the browser has it.
        wait_for("both files are in the ledger", || cluster.audit("session.transfer").len() > 1);
        let moved = cluster.audit("session.transfer");
        assert_eq!(moved.len(), 2, "both ways stand in the ledger: {moved:#?}");
    });
}

//! The pages in a real browser: chromium, driven by playwright, before clusters whose authority it trusts. The scenes stand in
//! `tests/browser/`.

use house::apart::Apart;
use house::browser::{Browser, missing};
use house::{Cluster, assert_success, wait_for};
use std::fs;

/// Plays `scene`, or says why it cannot be played here.
fn check(scene: impl FnOnce()) {
    match missing() {
        Some(why) => println!("skipped: {why}"),
        None => scene(),
    }
}

/// Everything that the kernel can tell.
const WATCHED: &str = "kernel = { commands = true, files = true, network = true }";

/// Plays a scene that needs nothing but a cluster, with these options of roles if there are any.
fn alone(scene: &str, options: &str) {
    check(|| {
        let cluster = Cluster::start();
        if !options.is_empty() {
            cluster.set_options(options);
        }
        Browser::trusting(&cluster).watch(scene);
    });
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
                "kill the node" => apart.kill_node(),
                "start the node" => apart.start_node(&[]),
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

#[test]
fn people_sign_up_with_a_passkey_or_an_app_and_out_everywhere() {
    check(|| {
        let cluster = Cluster::start();
        Browser::trusting(&cluster).watch("signup");
        let signed_up = cluster.audit("user.sign_up");
        assert_eq!(signed_up.len(), 3, "the admin and two more: {signed_up:#?}");
    });
}

#[test]
fn a_terminal_is_signed_in_by_a_passkey_in_a_browser_and_by_nothing_less() {
    alone("login", "");
}

#[test]
fn others_come_by_a_link_and_see_and_do_what_it_says_and_nothing_of_theirs_runs() {
    alone("sharing", "");
}

#[test]
fn a_session_under_four_eyes_waits_begins_stands_still_and_ends_by_the_page() {
    check(|| {
        let Some(cluster) = house::eyes::that_can_freeze("") else { return };
        Browser::trusting(&cluster).watch("moderated");
    });
}

#[test]
fn one_works_in_a_browser_with_the_whole_screen_and_with_files() {
    alone("work", "");
}

#[test]
fn a_recording_is_found_linked_to_and_followed_in_the_player_and_from_the_ledger() {
    alone("player", WATCHED);
}

#[test]
fn a_player_that_nobody_here_wrote_shows_a_recording_at_any_second_and_a_session_as_it_goes_on() {
    alone("embed", "");
}

#[test]
fn the_telepathic_bond_joins_two_people_in_one_terminal() {
    alone("bond", "");
}

#[test]
fn every_page_does_what_it_says_is_in_nobodys_way_and_runs_no_hostile_word() {
    check(|| {
        let cluster = Cluster::start_with(&["--label", "evil=<img src=x onerror=ran=1>"]);
        Browser::trusting(&cluster).watch("axe");
    });
}

#[test]
fn the_cursed_terminal_is_found_by_what_stood_there_and_sent_on_to_the_second() {
    alone("cursed", WATCHED);
}

#[test]
fn a_recording_that_was_altered_in_the_store_says_so_wherever_it_is_read() {
    check(|| {
        let cluster = Cluster::start();
        // More than is read whole for a film, and a word in front and behind.
        let command =
            "echo in-front; head -c 3000000 /dev/urandom | base64 -w 76; echo far-$((1+1))-behind";
        let mut ssh = cluster.ssh_command();
        assert_success(&ssh.args(["-tt", &cluster.host(), command]).output().unwrap());
        let id = cluster.recording_of(command)["id"].as_str().unwrap().to_owned();
        let place = cluster.stored_part(&id);
        let mut file = fs::read(&place).unwrap();
        let middle = file.len() / 2;
        file[middle] ^= 1;
        fs::write(&place, file).unwrap();
        Browser::trusting(&cluster).play("damaged", |_| id.clone());
        for format in ["text", "cast", "jsonl"] {
            let path = cluster.path(&format!("taken.{format}"));
            let to = path.to_str().unwrap();
            let args = ["recordings", "export", &id, "--format", format, "--output", to];
            let said = cluster.scry(&args);
            let words = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(
                !said.status.success() && words.contains("not all of the recording"),
                "{words}"
            );
            let taken = fs::read_to_string(&path).unwrap();
            // The first line has the command.
            let (_, taken) = taken.split_once('\n').unwrap();
            assert!(taken.contains("in-front") && !taken.contains("far-2-behind"), "{format}");
            let last = taken.lines().last().unwrap();
            assert!(last.contains("the chain is broken"), "{last}");
        }
    });
}

//! What a proxy does for browsers, from the outside: what is cut when somebody signs out, and who is told of whoever looks.

use house::browser::{Browser, missing};
use house::person::Person;
use house::surf::Surf;
use house::{Cluster, assert_success, wait_for};

#[test]
fn people_hear_who_looks_at_their_session_and_terminals_and_files_end_with_their_web_session() {
    if let Some(why) = missing() {
        return println!("skipped: {why}");
    }
    let cluster = Cluster::start();
    let bob = Person::invited(&cluster, "bob", &["admin"]);
    let surf = Surf::of(&cluster, "bob");
    Browser::trusting(&cluster).play("signed_out", |asked| {
        let (what, id) = asked.split_once(' ').expect("an id");
        match what {
            "play" => {
                // Its node has to ship something before there is a recording.
                wait_for("the recording", || bob.run(&["recordings", "info", id]).status.success());
                assert_success(&bob.run(&["play", id, "--print"]));
            }
            "own" => assert_success(&cluster.scry(&["play", id, "--print"])),
            "preview" => {
                let call = serde_json::json!({ "ids": [id] });
                let (status, answer) = surf.call("recordings/previews", &call);
                assert_eq!(status, 200, "{answer}");
                assert!(answer.contains(id), "{answer}");
            }
            other => panic!("the scene asks for {other:?}"),
        }
        String::new()
    });
}

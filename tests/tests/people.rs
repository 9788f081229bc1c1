//! People, roles, denials and the ledger, from the outside.

use house::person::{Person, words};
use house::{CLUSTER, Cluster, NODE, assert_success, text, wait_for};

#[test]
fn a_person_without_the_right_is_denied_told_little_and_the_ledger_says_why() {
    let cluster = Cluster::start();
    let bob = Person::invited(&cluster, "bob", &["access"]);
    let out = bob.run(&["ssh", &format!("{}@{NODE}", cluster.login), "id"]);
    assert!(!out.status.success(), "{}", words(&out));
    for args in [
        &["users", "ls"][..],
        &["users", "add", "eve"],
        &["roles", "ls"],
        &["audit", "ls"],
        &["access", "explain", &cluster.login, &format!("root@{NODE}")],
    ] {
        let out = bob.run(args);
        assert!(!out.status.success(), "{args:?}: {}", words(&out));
    }
    wait_for("denials in the ledger", || {
        let denied = cluster.audit("access.denied");
        denied.iter().filter(|event| event["user"] == "bob").count() >= 6
    });
    let out = cluster.scry(&["access", "explain", "bob", &format!("{}@{NODE}", cluster.login)]);
    assert_success(&out);
    assert!(text(&out).contains("denied"), "{}", text(&out));
}

#[test]
fn recordings_of_others_are_neither_listed_nor_played_nor_exported_nor_removed() {
    let cluster = Cluster::start();
    assert_success(&cluster.ssh("echo secret"));
    let id = cluster.recording_of("echo secret")["id"].as_str().unwrap().to_owned();
    let bob = Person::invited(&cluster, "bob", &["access"]);
    let rows = bob.run(&["recordings", "ls", "--json"]);
    assert_success(&rows);
    assert_eq!(text(&rows), "[]");
    for args in [
        &["play", &id, "--print"][..],
        &["recordings", "info", &id],
        &["recordings", "export", &id, "--output", "-"],
        &["recordings", "rm", "--yes", &id],
    ] {
        let out = bob.run(args);
        assert!(
            !out.status.success() && !words(&out).contains("secret"),
            "{args:?}: {}",
            words(&out)
        );
    }
}

#[test]
fn a_view_is_in_the_ledger_and_so_is_a_removal() {
    let cluster = Cluster::start();
    assert_success(&cluster.ssh("echo seen"));
    let id = cluster.recording_of("echo seen")["id"].as_str().unwrap().to_owned();
    let out = cluster.scry(&["play", &id, "--print"]);
    assert_success(&out);
    assert!(text(&out).contains("seen"), "{}", text(&out));
    assert_success(&cluster.scry(&["recordings", "rm", "--yes", &id]));
    let has = |word: &str| cluster.audit(word).iter().any(|event| event["session"] == id.as_str());
    wait_for("both events", || has("recording.view") && has("recording.remove"));
    assert!(!cluster.scry(&["play", &id, "--print"]).status.success());
}

#[test]
fn a_removed_user_is_out_at_once_and_signing_out_forgets_the_keys() {
    let cluster = Cluster::start();
    let bob = Person::invited(&cluster, "bob", &["access"]);
    assert_success(&bob.run(&["nodes"]));
    assert_success(&cluster.scry(&["users", "rm", "bob"]));
    assert!(!bob.run(&["nodes"]).status.success());
    assert_success(&bob.run(&["logout"]));
    assert!(!cluster.path("bob").join("clusters").join(CLUSTER).join("id_ed25519").exists());
    let out = bob.run(&["nodes"]);
    assert!(words(&out).contains("scry login"), "{}", words(&out));
}

#[test]
fn wrong_passwords_used_invitations_and_wrong_pins_are_refused_with_words() {
    let cluster = Cluster::start();
    let out = cluster.scry_with_input(&["login"], "not the password");
    assert!(!out.status.success() && words(&out).contains("password"), "{}", words(&out));
    let invitation = cluster.add_user("carol", &[]);
    let wrong = invitation.replacen(&invitation[28..32], "0000", 1);
    let carol = Person::named(&cluster, "carol");
    let out = carol.sign_up(&wrong);
    assert!(!out.status.success(), "{}", words(&out));
    assert_success(&carol.sign_up(&invitation));
    let out = carol.sign_up(&invitation);
    assert!(!out.status.success() && words(&out).contains("invitation"), "{}", words(&out));
}

#[test]
fn the_ledger_proves_itself_and_knows_what_happened() {
    let cluster = Cluster::start();
    assert_eq!(cluster.ssh("exit 9").status.code(), Some(9));
    wait_for("the session's end in the ledger", || {
        cluster.audit("session.end").iter().any(|event| event["status"] == 9)
    });
    for word in
        ["user.sign_up", "user.sign_in", "certificate.issue", "connection.open", "session.start"]
    {
        assert!(!cluster.audit(word).is_empty(), "{word}");
    }
    let exec = cluster.audit("session.exec");
    assert!(exec.iter().any(|event| event["command"] == "exit 9"), "{exec:#?}");
    let out = cluster.scry(&["audit", "verify"]);
    assert_success(&out);
    let line = text(&out);
    let head = line.rsplit(' ').next().unwrap().to_owned();
    assert_success(&cluster.scry(&["audit", "verify", "--since", &head]));
    let forged = format!("{}0", head.strip_suffix(|_: char| true).unwrap());
    let forged = if forged == head { head.replace('0', "1") } else { forged };
    assert!(!cluster.scry(&["audit", "verify", "--since", &forged]).status.success());
}

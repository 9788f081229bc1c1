//! Links for people with an account, by `scry join CODE` and by plain ssh: whom they let in as what, and whom not, and why.

use crate::links::{by_ssh, field, hospitable, share, stranger};
use house::person::{Person, words};
use house::sharing::{Owner, Way, told};
use house::terminal::Terminal;
use house::{Cluster, assert_success, wait_for};
use serde_json::{Value, json};
use std::process::Command;

/// Wide enough for every line that is said.
const WIDE: (u16, u16) = (220, 20);

/// What became of a link before somebody comes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// `dave` has come by it, and has left.
    Used,
    Expired,
    Revoked,
}
use Before::{Expired, Nothing, Revoked, Used};

/// Flags that a link was made with, what became of it, who comes, and as what they ask to; the seat that they get, or why
/// they get none.
type Case = (
    &'static [&'static str],
    Before,
    &'static str,
    Option<&'static str>,
    Result<&'static str, &'static str>,
);

const OTHER: &str = "this link is for somebody else";
const USED: &str = "this link counted once, and was used: ask for another one";
const EXPIRED: &str = "this link has expired: ask for another one";
const REVOKED: &str = "this link was revoked: ask for another one";
const NO_PEER: &str = "this link lets you in as observer, not as peer: leave that out";
const NO_MODERATOR: &str = "this link lets you in as observer, not as moderator: leave that out";
const NO_OBSERVER: &str = "this link lets you in as peer, not as observer: leave that out";

const CASES: &[Case] = &[
    (&[], Nothing, "bob", None, Ok("observer")),
    (&[], Nothing, "bob", Some("observer"), Ok("observer")),
    (&[], Used, "bob", None, Ok("observer")),
    (&["--as", "peer"], Nothing, "bob", None, Ok("peer")),
    (&["--as", "peer"], Nothing, "dave", Some("peer"), Ok("peer")),
    (&["--to", "bob"], Nothing, "bob", None, Ok("observer")),
    (&["--to", "bob", "--as", "peer", "--once"], Nothing, "bob", None, Ok("peer")),
    (&["--to", "guests"], Nothing, "bob", None, Ok("observer")),
    (&["--once"], Nothing, "bob", None, Ok("observer")),
    (&["--for", "8h"], Nothing, "dave", None, Ok("observer")),
    (&["--to", "bob"], Nothing, "dave", None, Err(OTHER)),
    (&["--to", "bob", "--once"], Nothing, "dave", None, Err(OTHER)),
    (&["--once"], Used, "bob", None, Err(USED)),
    (&["--once"], Used, "dave", None, Err(USED)),
    (&["--for", "1s"], Expired, "bob", None, Err(EXPIRED)),
    (&["--as", "peer", "--for", "1s"], Expired, "dave", None, Err(EXPIRED)),
    (&[], Revoked, "bob", None, Err(REVOKED)),
    (&["--to", "bob"], Revoked, "bob", None, Err(REVOKED)),
    (&[], Nothing, "bob", Some("peer"), Err(NO_PEER)),
    (&["--to", "bob"], Nothing, "bob", Some("moderator"), Err(NO_MODERATOR)),
    (&["--as", "peer"], Nothing, "dave", Some("observer"), Err(NO_OBSERVER)),
    // Whom a link is for stands before what became of it.
    (&["--to", "bob"], Revoked, "dave", None, Err(OTHER)),
];

#[test]
fn a_link_lets_in_by_scry_whom_it_says_as_what_it_says_and_tells_others_why_not() {
    check(Way::Scry);
}

#[test]
fn a_link_lets_in_by_plain_ssh_whom_it_says_as_what_it_says_and_tells_others_why_not() {
    check(Way::Ssh);
}

/// How somebody comes by a code.
fn by(cluster: &Cluster, person: &Person<'_>, code: &str, way: Way, asks: Option<&str>) -> Command {
    let mut command = match way {
        Way::Scry => person.command(),
        Way::Ssh => person.ssh_command(),
    };
    match way {
        Way::Scry => {
            command.args(["join", code]);
            command.args(asks.iter().flat_map(|seat| ["--as", seat]));
        }
        Way::Ssh => {
            command.args(["-tt", "-e", "none", &format!("+{code}@{}", cluster.host())]).args(asks);
        }
    }
    command.env("TERM", "xterm-256color");
    command
}

fn is_of(event: &Value, link: &Value, user: &str, session: &str) -> bool {
    event["link"] == *link && event["user"] == user && event["session"] == session
}

/// As whom people sit there, sorted.
fn seats(owner: &Owner<'_>) -> Vec<(String, String)> {
    let word = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let people = owner.people();
    let mut all: Vec<_> =
        people.iter().skip(1).map(|one| (word(one, "user"), word(one, "seat"))).collect();
    all.sort();
    all
}

fn check(way: Way) {
    let cluster = hospitable();
    cluster.set_role("name = 'nothing'\n");
    let people = ["bob", "dave"].map(|name| (name, Person::invited(&cluster, name, &["nothing"])));
    let person =
        |name: &str| people.iter().find(|(one, _)| *one == name).map(|(_, it)| it).unwrap();
    let owner = Owner::start(&cluster, WIDE);
    let run = |command: &Command| Terminal::run(cluster.folder.path(), WIDE, command);

    let mut links = Vec::new();
    for (made, before, ..) in CASES {
        let link = share(&cluster, made);
        let (code, number) = (field(&link, "code"), link["id"].to_string());
        match before {
            Nothing | Expired => {}
            Used => {
                let uses = run(&by(&cluster, person("dave"), &code, way, None));
                told(&cluster, "share.use", |event| is_of(event, &link["id"], "dave", &owner.id));
                drop(uses);
            }
            // By either name.
            Revoked if way == Way::Scry => {
                assert_success(&cluster.scry(&["share", "--revoke", &number]));
            }
            Revoked => assert_success(&cluster.scry(&["share", "--revoke", &code])),
        }
        links.push(link);
    }
    wait_for("those who were there before to be gone", || owner.people().len() == 1);
    let expired = CASES.iter().filter(|(_, before, ..)| *before == Expired).count();
    wait_for("some links to expire", || {
        let listed = cluster.scry_json(&["share", "--list", "--json"]);
        listed.as_array().unwrap().len() == CASES.len() - expired
    });
    let used_before = cluster.audit("share.use").len();

    let comes = CASES.iter().zip(&links).map(|((_, _, who, asks, _), link)| {
        run(&by(&cluster, person(who), &field(link, "code"), way, *asks))
    });
    let terminals: Vec<_> = comes.collect();
    for (((made, before, who, asks, comes), link), terminal) in
        CASES.iter().zip(&links).zip(&terminals)
    {
        let case = format!("{made:?}, {before:?}, {who}, {asks:?}, {way:?}");
        let fits = |event: &Value| is_of(event, &link["id"], who, &owner.id);
        match comes {
            Ok(seat) => {
                told(&cluster, "share.use", |event| fits(event) && event["seat"] == *seat);
                assert!(!terminal.has_ended(), "{case}: {}", terminal.all());
            }
            Err(why) => {
                let said = terminal.wait_for_end();
                assert!(said.contains(why), "{case}: {said}");
                told(&cluster, "share.refuse", |event| {
                    fits(event) && event["why"] == *why && event["address"] == "127.0.0.1"
                });
            }
        }
    }
    let mut expected: Vec<(String, String)> = CASES
        .iter()
        .filter_map(|(_, _, who, _, comes)| Some(((*who).to_owned(), comes.ok()?.to_owned())))
        .collect();
    expected.sort();
    wait_for("all seats, and no other", || seats(&owner) == expected);
    for (who, seat) in &expected {
        told(&cluster, "seat.taken", |event| {
            event["user"] == who.as_str() && event["seat"] == seat.as_str()
        });
    }
    // Nothing else was used, and nothing else was refused.
    assert_eq!(cluster.audit("share.use").len(), used_before + expected.len());
    assert_eq!(cluster.audit("share.refuse").len(), CASES.len() - expected.len());
    // What was used once is so for its maker, too.
    let listed = cluster.scry_json(&["share", "--list", "--json"]);
    for ((made, before, _, _, comes), link) in CASES.iter().zip(&links) {
        let mut listed = listed.as_array().unwrap().iter();
        let Some(one) = listed.find(|one| one["id"] == link["id"]) else {
            assert_eq!(*before, Expired, "{made:?}");
            continue;
        };
        let times = u64::from(*before == Used) + u64::from(comes.is_ok());
        let state = match before {
            Revoked => "revoked",
            _ if made.contains(&"--once") && times > 0 => "used",
            _ => "open",
        };
        assert_eq!((&one["used"], &one["state"]), (&json!(times), &json!(state)), "{made:?}");
    }
    drop(terminals);
    owner.finish();
}

#[test]
fn a_code_that_nobody_made_and_a_guest_at_a_member_s_link_get_no_further() {
    let cluster = hospitable();
    cluster.set_role("name = 'nothing'\n");
    let bob = Person::invited(&cluster, "bob", &["nothing"]);
    let owner = Owner::start(&cluster, WIDE);
    let run =
        |command: &Command| Terminal::run(cluster.folder.path(), WIDE, command).wait_for_end();
    let none = format!("share-{}", "7".repeat(26));
    for way in [Way::Scry, Way::Ssh] {
        let said = run(&by(&cluster, &bob, &none, way, None));
        assert!(said.contains("no link that leads here has this code"), "{way:?}: {said}");
    }
    told(&cluster, "share.refuse", |event| {
        event["user"] == "bob"
            && event["why"].as_str().is_some_and(|why| why.contains("is it whole"))
    });
    // Cut off while it was copied.
    let made = share(&cluster, &["--once"]);
    let code = field(&made, "code");
    let said = run(&by(&cluster, &bob, &code[..code.len() - 1], Way::Scry, None));
    assert!(said.contains("this is no whole code of a link"), "{said}");

    // The address of a link for people with an account, and its code in the place of a guest's.
    let refusals = || {
        let of_link = |event: &&Value| {
            event["link"] == made["id"]
                && event["why"]
                    .as_str()
                    .is_some_and(|why| why.contains("people who have an account"))
        };
        cluster.audit("share.refuse").iter().filter(of_link).count()
    };
    let said = run(&stranger(&cluster, &[&field(&made, "web")]));
    assert!(said.contains("for people who have an account: sign in first"), "{said}");
    wait_for("the refusal in the ledger", || refusals() == 1);
    let guests = share(&cluster, &["--to", "guests"]);
    let theirs = field(&guests, "code");
    let said = run(&by_ssh(&cluster, &guests, |ssh| ssh.replace(&theirs, &code)));
    assert!(said.contains("prohibited"), "a stranger learns nothing more: {said}");
    wait_for("the refusal in the ledger", || refusals() == 2);
    // As a member, without a certificate.
    let end = format!("{theirs}@{}", cluster.host());
    let member = format!("+{code}@{}", cluster.host());
    let said = run(&by_ssh(&cluster, &guests, |ssh| ssh.replace(&end, &member)));
    assert!(said.contains("Permission denied"), "{said}");

    // Nothing of that has used it up.
    assert!(cluster.audit("share.use").is_empty());
    let viewer = owner.come(&by(&cluster, &bob, &code, Way::Ssh, None), "observer", WIDE);
    told(&cluster, "share.use", |event| is_of(event, &made["id"], "bob", &owner.id));
    drop(viewer);
    let again = by(&cluster, &bob, &code, Way::Scry, None).output().unwrap();
    assert!(words(&again).contains("joined on a terminal"), "{}", words(&again));
    owner.finish();
}

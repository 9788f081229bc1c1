//! What is decided about somebody on a node: logins, forwards, seats, four eyes, files, recordings.

use super::page::{Page, ask};
use super::{every_action, every_forwarding, every_seat};
use crate::tests::joins::{id, session};
use crate::tests::{NOW, account, login, user};
use crate::{Grant, Identity, SessionFacts, TerminalTo};
use model::role::{NodeFacts, RoleSet};
use model::{LinkId, NodeName, SeatRole};

/// Roles of dave, whose sessions others must look at, and whose files others must approve.
const DAVES: [&str; 3] = ["admin", "watched", "guarded"];

pub(super) fn on_node(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, env: &str) {
    let at = format!("{} ({env})", node.name);
    let got = ask!(page, reach(set, who, &node.name, NOW)).is_ok();
    page.row(format_args!("reach {at}"), got);
    logins(page, set, who, node, &at);
    for what in every_forwarding() {
        let alice = login("alice");
        let got = ask!(page, forward(set, who, node, &alice, what, NOW)).is_ok();
        let on = ask!(page, forward_goes_on(set, who, node, &alice, what, NOW)).is_ok();
        assert_eq!(on, got, "what is forwarded goes on as it may begin");
        page.row(format_args!("forward {what:?} as alice on {at}"), got);
    }
    seats(page, set, who, node, &at);
    links(page, set, who, node, &at);
    sharing(page, set, who, node, &at);
    for (owner, as_whom) in [("alice", "alice"), ("alice", "root"), ("bob", "bob")] {
        let theirs = session(owner, &["access"], as_whom);
        let got = ask!(page, speak(set, who, node, &theirs.facts(), NOW)).is_ok();
        page.row(format_args!("speak in {owner}'s, {as_whom}@{at}"), got);
        let got = ask!(page, come_back(set, who, node, &theirs.facts(), NOW)).is_ok();
        page.row(format_args!("come back to {owner}'s, {as_whom}@{at}"), got);
    }
    terminals(page, set, who, node, &at);
    eyes(page, set, who, node, &at);
    for owner in ["alice", "bob"] {
        let (owner, labels) = (user(owner), &node.labels);
        for action in every_action() {
            let got = ask!(page, recording(set, who, action, &owner, labels, NOW)).is_ok();
            let seen = ask!(page, readable(set, who, action, NOW));
            assert_eq!(seen.covers(who.user(), &owner, labels), got, "lists show what may be read");
            page.row(format_args!("{action:?} {owner}'s on {env}"), got);
        }
    }
}

fn logins(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, at: &str) {
    for name in ["alice", "root", "web", "deploy", "bob"] {
        let as_whom = login(name);
        let got = ask!(page, login(set, who, node, &as_whom, NOW));
        let trace = ask!(page, explain(set, who, node, &as_whom, NOW));
        assert_eq!(trace.allowed, got.is_ok(), "what is explained is what is decided");
        assert_eq!(trace.terms.is_some(), got.is_ok());
        let on = ask!(page, go_on(set, who, node, &as_whom, None, NOW)).is_ok();
        assert_eq!(on, got.is_ok(), "what was opened goes on as it may begin");
        let how = match &got {
            Ok(permit) if permit.permits_streams() => "yes",
            Ok(_) => "yes, on a terminal or by sftp",
            Err(_) => "-",
        };
        page.line(format_args!("  login {name}@{at}: {how}"));
        for (what, value) in trace.terms.map(|terms| terms.rows()).unwrap_or_default() {
            // The rest of the terms is the same for every login of the page.
            if name == "alice" || what.starts_with("four eyes") {
                page.line(format_args!("    on terms: {what}: {value}"));
            }
        }
    }
    let seen = ask!(page, logins_on(set, who, node, NOW));
    page.list(format_args!("sees {at} with"), seen);
}

fn seats(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, at: &str) {
    for (owner, held, as_whom) in
        [("alice", "access", "alice"), ("bob", "access", "root"), ("carol", "admin", "carol")]
    {
        let theirs = session(owner, &[held], as_whom);
        let facts = theirs.facts();
        let listed = ask!(page, seats(set, who, node, &facts, NOW));
        for seat in every_seat() {
            let comes = ask!(page, join(set, who, node, &facts, seat, None, NOW)).is_ok();
            let stays = ask!(page, seat_goes_on(set, who, node, &facts, seat, None, NOW)).is_ok();
            let trace = ask!(page, explain_join(set, who, node, &facts, seat, NOW));
            assert_eq!(comes, listed.contains(&seat), "what is listed is what is decided");
            assert_eq!((stays, trace.allowed), (comes, comes));
        }
        page.list(format_args!("join {owner}'s ({held}), {as_whom}@{at}, as"), listed);
    }
}

fn links(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, at: &str) {
    for (owner, held) in [("bob", "access"), ("erin", "helper")] {
        let theirs = session(owner, &[held], owner);
        let facts = theirs.facts();
        for (guests, link) in [(false, "a link"), (true, "a link for guests")] {
            let mut may = Vec::new();
            for seat in every_seat() {
                let (user, expires) = (who.user(), NOW.plus_ms(60_000));
                let grant = Grant { link: LinkId(1), session: id(), seat, user, guests, expires };
                let by = Some(grant);
                let comes = ask!(page, join(set, who, node, &facts, seat, by, NOW)).is_ok();
                let stays = ask!(page, seat_goes_on(set, who, node, &facts, seat, by, NOW)).is_ok();
                assert_eq!(stays, comes, "who came by a link stays as they may come");
                may.extend(comes.then_some(seat));
            }
            page.list(format_args!("come by {link} into {owner}'s ({held}) on {at} as"), may);
        }
    }
}

fn sharing(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, at: &str) {
    let held: Vec<_> = who.roles().iter().cloned().collect();
    let alice = login("alice");
    let own = SessionFacts { id: id(), owner: who.user(), roles: &held, login: &alice };
    for (guests, whom) in [(false, ""), (true, " with guests")] {
        let mut may = Vec::new();
        for seat in every_seat() {
            let shares = ask!(page, share(set, who, node, &own, seat, guests, NOW)).is_ok();
            may.extend(shares.then_some(seat));
        }
        page.list(format_args!("share one's own{whom} on {at} as"), may);
    }
}

/// What a proxy may be given a certificate for, that shows it to whoever is signed in in a browser.
fn terminals(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, at: &str) {
    let (proxy, alice): (NodeName, _) = ("front".parse().unwrap(), login("alice"));
    let bobs = session("bob", &["access"], "root");
    let own = |back_to| TerminalTo::Login { node, login: &alice, back_to };
    let seat = |seat| TerminalTo::Seat { node, session: bobs.facts(), seat, by: None };
    for (what, to) in [
        ("to log in as alice", own(None)),
        ("to come back as alice", own(Some(id()))),
        ("in bob's (access) as observer", seat(SeatRole::Observer)),
        ("in bob's (access) as moderator", seat(SeatRole::Moderator)),
    ] {
        let got = ask!(page, plan_terminal_certificate(set, who, to, &proxy, 1, NOW)).is_ok();
        page.row(format_args!("a browser's terminal {what} on {at}"), got);
    }
}

/// Who counts for four eyes, whose word about a file counts, and what is enough for it.
fn eyes(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, at: &str) {
    let (dave, root) = (account("dave", &DAVES, &[]), login("root"));
    let permit = ask!(page, login(set, &dave, node, &root, NOW)).unwrap();
    let demands = &permit.terms().four_eyes;
    let daves = session("dave", &DAVES, "root");
    let facts = daves.facts();
    let mut counted = Vec::new();
    for seat in every_seat() {
        let counts = ask!(page, counts_for(set, who, demands, dave.user(), seat, NOW));
        let name = |(demand, one): &(usize, usize)| demands[*demand].any_of[*one].name.clone();
        let names: Vec<_> = counts.iter().map(name).collect();
        if !names.is_empty() {
            counted.push(format!("as {seat} for {}", names.join(" and ")));
        }
        let own = ask!(page, counts_for(set, who, demands, who.user(), seat, NOW));
        assert!(own.is_empty(), "nobody counts in a session of their own");
    }
    page.list(format_args!("count in dave's, root@{at}"), counted);
    let carol = account("carol", &["helper"], &[]);
    let helpers = ask!(page, voice(set, &carol, demands, &facts, SeatRole::Moderator, 1, NOW));
    for seat in every_seat() {
        let said = match &ask!(page, voice(set, who, demands, &facts, seat, 1, NOW)) {
            None => "-",
            Some(word) => {
                let alone = ask!(page, file(demands, id(), 1, [word])).is_some();
                let both = helpers.iter().chain([word]);
                let both = ask!(page, file(demands, id(), 1, both)).is_some();
                match (alone, both) {
                    (true, _) => "yes, which is enough",
                    (false, true) => "yes, which is enough beside a helper's",
                    (false, false) => "yes",
                }
            }
        };
        page.line(format_args!("  a word about a file of dave's, root@{at}, as {seat}: {said}"));
    }
}

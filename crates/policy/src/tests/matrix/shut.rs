//! What each kind of lock shuts to an admin, who may do everything without it.

use super::page::{Page, ask};
use crate::tests::decisions::with_certificate;
use crate::tests::joins::{id, session};
use crate::tests::locks::lock;
use crate::tests::{NOW, account, login, node};
use crate::{Demand, Identity, Overview, TerminalTo};
use model::role::{
    AdminRight, FileRule, Forwarding, FourEyes, NodeFacts, RecordingAction, RoleSet,
};
use model::{LockTarget, NodeName, SeatRole};

pub(super) fn of_locks() -> Page {
    let mut page = Page::default();
    let who = with_certificate(&account("alice", &["admin"], &[]), &["root", "alice"], "root");
    let (web, db) = (node("web-01", &[]), node("db-01", &[]));
    for (kind, name) in [
        ("user", "alice"),
        ("user", "bob"),
        ("role", "admin"),
        ("role", "access"),
        ("login", "root"),
        ("node", "web-01"),
        ("session", &id().to_string()),
    ] {
        let mut set = ask!(page, default_roles());
        set.locks.push(lock(1, LockTarget::from_parts(kind, name).unwrap()));
        page.line(format_args!("alice, an admin, with a lock on {kind} {name}"));
        let got = ask!(page, enter(&set, &who, NOW)).is_ok();
        page.row("use the cluster", got);
        for node in [&web, &db] {
            on_node(&mut page, &set, &who, node);
        }
        let (own, play) = (who.user(), RecordingAction::Play);
        let got = ask!(page, recording(&set, &who, play, own, &web.labels, NOW)).is_ok();
        page.row("play one's own recordings", got);
        let got = ask!(page, admin(&set, &who, AdminRight::Locks, NOW)).is_ok();
        page.row("administer locks", got);
        let seen = ask!(page, overview(&set, &who, NOW));
        page.row("see anything in menus", seen != Overview::default());
        let plan = ask!(page, plan_user_certificate(&set, &who, None, 1, NOW));
        page.row("be given a certificate", plan.is_ok());
        let names = plan.map(|plan| plan.principals().join(" ")).unwrap_or_default();
        page.line(format_args!("  principals: {names}"));
    }
    page
}

fn on_node(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts) {
    let got = ask!(page, reach(set, who, &node.name, NOW)).is_ok();
    page.row(format_args!("reach {}", node.name), got);
    for name in ["root", "alice"] {
        as_login(page, set, who, node, name);
    }
    let (seat, bobs) = (SeatRole::Observer, session("bob", &["access"], "root"));
    let (facts, word) = (bobs.facts(), SeatRole::Moderator);
    let what = format!("session 07070707 of bob, an access, root@{}", node.name);
    let got = ask!(page, join(set, who, node, &facts, seat, None, NOW)).is_ok();
    page.row(format_args!("join {what}"), got);
    let got = ask!(page, seat_goes_on(set, who, node, &facts, seat, None, NOW)).is_ok();
    page.row(format_args!("stay in {what}"), got);
    let each = FourEyes { roles: vec!["*".into()], files: FileRule::Each, ..FourEyes::default() };
    let demands = [Demand { role: "access".parse().unwrap(), any_of: vec![each] }];
    let got = ask!(page, counts_for(set, who, &demands, facts.owner, word, NOW));
    page.row(format_args!("count in {what}"), !got.is_empty());
    let got = ask!(page, voice(set, who, &demands, &facts, word, 1, NOW)).is_some();
    page.row(format_args!("a word about a file of {what}"), got);
    let got = ask!(page, runs_on(set, &node.name, facts, NOW)).is_ok();
    page.row(format_args!("what is left running runs on, of {what}"), got);
    let alices = session("alice", &["admin"], "root");
    let (own, what) = (alices.facts(), format!("one's own session 07070707, root@{}", node.name));
    let got = ask!(page, come_back(set, who, node, &own, NOW)).is_ok();
    page.row(format_args!("come back to {what}"), got);
    let got = ask!(page, share(set, who, node, &own, seat, false, NOW)).is_ok();
    page.row(format_args!("share {what}"), got);
    let got = ask!(page, runs_on(set, &node.name, own, NOW)).is_ok();
    page.row(format_args!("what is left running runs on, of {what}"), got);
}

fn as_login(page: &mut Page, set: &RoleSet, who: &Identity, node: &NodeFacts, name: &str) {
    let (as_whom, at) = (login(name), format!("{name}@{}", node.name));
    let got = ask!(page, login(set, who, node, &as_whom, NOW)).is_ok();
    page.row(format_args!("login {at}"), got);
    let local = Forwarding::Local;
    let got = ask!(page, forward(set, who, node, &as_whom, local, NOW)).is_ok();
    page.row(format_args!("forward as {at}"), got);
    let got = ask!(page, forward_goes_on(set, who, node, &as_whom, local, NOW)).is_ok();
    page.row(format_args!("go on forwarding as {at}"), got);
    let got = ask!(page, go_on(set, who, node, &as_whom, None, NOW)).is_ok();
    page.row(format_args!("go on as {at}"), got);
    let got = ask!(page, go_on(set, who, node, &as_whom, Some(id()), NOW)).is_ok();
    page.row(format_args!("go on with session 07070707 as {at}"), got);
    let proxy: NodeName = "front".parse().unwrap();
    let to = TerminalTo::Login { node, login: &as_whom, back_to: None };
    let got = ask!(page, plan_terminal_certificate(set, who, to, &proxy, 1, NOW)).is_ok();
    page.row(format_args!("a browser's terminal as {at}"), got);
}

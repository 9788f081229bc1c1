//! Certificates for one terminal: what they are for, everything that they are not for, and every way to write one wrongly.

use super::certificates::{AUTHORITY, CLIENT, authorities, key, signed_by};
use super::joins::{id, session, web};
use super::locks::lock;
use super::{NOW, account, login, node, roles, user};
use crate::{
    CertificateFault, Denial, Identity, Only, PlanFault, Purpose, SessionFacts, TerminalTo, Why,
    admin, builder, carried, come_back, default_roles, enter, forward, go_on, join,
    plan_terminal_certificate, reach, read_certificate, read_certificate_for_seat, recording,
    seat_goes_on, share, speak,
};
use model::limit::{GRANT_MS, USER_CERTIFICATE_MS};
use model::role::{AdminRight, Forwarding, RecordingAction, RoleSet};
use model::{LockTarget, Login, NodeName, SeatRole, SessionId, Time};
use ssh_key::Certificate;

fn proxy() -> NodeName {
    "front".parse().unwrap()
}

/// As auth signs it and the node gets it.
fn granted(set: &RoleSet, who: &Identity, to: TerminalTo<'_>) -> Result<Certificate, PlanFault> {
    let (plan, before) = plan_terminal_certificate(set, who, to, &proxy(), 42, NOW)?;
    assert_eq!(before, NOW.plus_ms(GRANT_MS));
    assert!(plan.expires() <= who.expires(), "no longer than the web session");
    let builder = builder(&plan, key(CLIENT).public_key(), [7; 32])?;
    let text = builder.sign(&key(AUTHORITY)).unwrap().to_openssh().unwrap();
    Ok(Certificate::from_openssh(&text).unwrap())
}

fn read(certificate: &Certificate, login: &str, now: Time) -> Result<Identity, Denial> {
    read_certificate(certificate, login, &authorities(), None, now)
}

fn seated(certificate: &Certificate) -> Identity {
    read_certificate_for_seat(certificate, &authorities(), None, NOW).unwrap()
}

/// Alice in a browser: signed in for an hour.
fn alice() -> Identity {
    account("alice", &["admin"], &["web", "db"])
}

/// Everything that somebody could ask for with it, and whether it was allowed.
fn all_that_is_allowed(who: &Identity) -> Vec<String> {
    let (set, web, db) = (default_roles(), web(), node("db-01", &[]));
    let own = session("alice", &["admin"], "web");
    let other = SessionFacts { id: SessionId::from_random([8; 16]), ..own.facts() };
    let mut allowed = Vec::new();
    let mut note = |what: &str, got: Result<(), Denial>| match got {
        Ok(()) => allowed.push(what.to_owned()),
        Err(denial) => {
            let public = denial.public();
            assert!(public.contains("does not cover it"), "{what}: {public}");
            assert!(denial.why().contains("the certificate"), "{what}: {denial}");
        }
    };
    for (name, place) in [("web-01", &web), ("db-01", &db)] {
        for login in ["web", "root"].map(login) {
            let may = crate::login(&set, who, place, &login, NOW).map(drop);
            note(&format!("log in as {login} on {name}"), may);
            let goes = go_on(&set, who, place, &login, None, NOW);
            note(&format!("go on as {login} on {name}"), goes);
        }
        for (number, facts) in [(7, own.facts()), (8, other)] {
            let seat = SeatRole::Peer;
            let comes = join(&set, who, place, &facts, seat, None, NOW).map(drop);
            note(&format!("join {number} on {name}"), comes);
            let stays = seat_goes_on(&set, who, place, &facts, seat, None, NOW);
            note(&format!("stay in {number} on {name}"), stays);
            let speaks = speak(&set, who, place, &facts, NOW);
            note(&format!("speak in {number} on {name}"), speaks);
            let back = come_back(&set, who, place, &facts, NOW).map(drop);
            note(&format!("come back to {number} on {name}"), back);
            let shares = share(&set, who, place, &facts, seat, false, NOW).map(drop);
            note(&format!("share {number} on {name}"), shares);
        }
        for what in Forwarding::ALL {
            let may = forward(&set, who, place, &login("web"), what, NOW).map(drop);
            note(&format!("forward {} on {name}", what.word()), may);
        }
        note(&format!("reach {name}"), reach(&set, who, &place.name, NOW));
    }
    note("enter", enter(&set, who, NOW));
    note("audit", admin(&set, who, AdminRight::Audit, NOW).map(drop));
    let play = recording(&set, who, RecordingAction::Play, who.user(), &web.labels, NOW);
    note("play", play.map(drop));
    allowed
}

#[test]
fn a_certificate_to_log_in_is_for_that_login_on_that_node_and_nothing_else() {
    let (web, as_web) = (web(), login("web"));
    let to = TerminalTo::Login { node: &web, login: &as_web, back_to: None };
    let certificate = granted(&default_roles(), &alice(), to).unwrap();
    assert_eq!(certificate.valid_principals(), ["web"]);
    let options: Vec<_> = certificate.critical_options().iter().collect();
    let only = format!("node=web-01,login=web,proxy=front,before={}", NOW.0 + GRANT_MS);
    assert_eq!(options, [(&"only@scry".to_owned(), &only)]);
    let names: Vec<_> = certificate.extensions().keys().collect();
    assert_eq!(names, ["logins@scry", "permit-pty", "roles@scry"]);
    let who = read(&certificate, "web", NOW).unwrap();
    assert_eq!((who.user(), who.serial()), (&user("alice"), 42));
    assert_eq!(who.only().unwrap().proxy, proxy());
    assert!(read(&certificate, "root", NOW).is_err());
    let allowed = all_that_is_allowed(&who);
    assert_eq!(
        allowed,
        ["log in as web on web-01", "go on as web on web-01", "reach web-01", "enter"]
    );
    // It must be shown soon; what was opened goes on as long as she is signed in.
    let before = NOW.plus_ms(GRANT_MS);
    read(&certificate, "web", before.plus_ms(-1)).unwrap();
    let late = read(&certificate, "web", before).unwrap_err();
    let fault = CertificateFault::Late { before: before.0 };
    assert_eq!(late.reason(), &Why::Certificate(fault));
    assert!(late.public().contains("open it again"), "{}", late.public());
    let end = who.expires();
    assert_eq!(end, NOW.plus_ms(3_600_000));
    go_on(&default_roles(), &who, &web, &as_web, None, end.plus_ms(-1)).unwrap();
    assert!(go_on(&default_roles(), &who, &web, &as_web, None, end).is_err());
}

#[test]
fn a_certificate_for_a_terminal_counts_by_the_proxy_only_that_it_was_signed_for() {
    let (web, as_web, own) = (web(), login("web"), session("alice", &["admin"], "web"));
    let to = TerminalTo::Login { node: &web, login: &as_web, back_to: None };
    let seat =
        TerminalTo::Seat { node: &web, session: own.facts(), seat: SeatRole::Peer, by: None };
    let log_in = read(&granted(&default_roles(), &alice(), to).unwrap(), "web", NOW).unwrap();
    let other = "back-door".parse().unwrap();
    for who in [log_in, seated(&granted(&default_roles(), &alice(), seat).unwrap())] {
        assert_eq!(carried(&who, Some(&proxy())), Ok(()));
        for (by, named) in [(Some(&other), "proxy back-door"), (None, "none")] {
            let denial = carried(&who, by).unwrap_err();
            assert_eq!(denial.user(), Some(who.user()));
            let why = denial.why();
            assert!(why.contains("proxy front") && why.contains(named), "{why}");
        }
    }
    assert_eq!(carried(&alice(), None), Ok(()), "all others come as they like");
}

#[test]
fn a_certificate_for_a_session_is_for_that_session_on_that_node_and_nothing_else() {
    let (web, as_web, own) = (web(), login("web"), session("alice", &["admin"], "web"));
    let facts = own.facts();
    let back = TerminalTo::Login { node: &web, login: &as_web, back_to: Some(id()) };
    let seat = TerminalTo::Seat { node: &web, session: facts, seat: SeatRole::Peer, by: None };
    for (to, principal) in [(back, "web"), (seat, "-scry-no-login")] {
        let certificate = granted(&default_roles(), &alice(), to).unwrap();
        assert_eq!(certificate.valid_principals(), [principal]);
        let who = seated(&certificate);
        assert_eq!(who.only().unwrap().purpose, Purpose::Session(id()));
        let allowed = all_that_is_allowed(&who);
        let back = (principal == "web").then_some("come back to 7 on web-01");
        let expected = ["join 7 on web-01", "stay in 7 on web-01", "speak in 7 on web-01"];
        let expected = expected.into_iter().chain(back);
        assert_eq!(allowed, expected.chain(["reach web-01", "enter"]).collect::<Vec<_>>());
        let goes = go_on(&default_roles(), &who, &web, &as_web, Some(id()), NOW);
        assert_eq!(goes.is_ok(), principal == "web", "typing needs the login");
    }
}

#[test]
fn nobody_is_given_a_terminal_that_they_may_not_have() {
    let (set, web, own) = (default_roles(), web(), session("alice", &["admin"], "web"));
    let facts = own.facts();
    let (root, as_web, as_bob) = (login("root"), login("web"), login("bob"));
    let plain = account("bob", &["access"], &["web"]);
    let to = |login| TerminalTo::Login { node: &web, login, back_to: None };
    let seat = TerminalTo::Seat { node: &web, session: facts, seat: SeatRole::Observer, by: None };
    let denied = |set: &RoleSet, who: &Identity, to, word: &str| {
        let Err(PlanFault::Denied(denial)) = granted(set, who, to) else { panic!("{word}") };
        assert!(denial.to_string().contains(word), "{denial}");
        assert!(!denial.public().contains("allow."), "{}", denial.public());
    };
    denied(&set, &plain, to(&root), "allow.logins");
    denied(&set, &plain, seat, "allow.join");
    granted(&set, &plain, to(&as_web)).unwrap();
    let mut shut = set.clone();
    shut.locks.push(lock(3, LockTarget::Node("web-01".parse().unwrap())));
    denied(&shut, &plain, to(&as_web), "lock 3");
    let gone = Identity::of_account(user("bob"), ["access".parse().unwrap()], [], NOW);
    denied(&set, &gone, to(&as_bob), "has expired");
    let none = account("carol", &[], &[]);
    denied(&set, &none, to(&as_web), "allow.logins");
    // A role that shortens certificates shortens this one too.
    let mut brief = roles(&["name = 'brief'\noptions.certificate_minutes = 5"]);
    brief.roles.extend(default_roles().roles);
    let who = account("alice", &["admin", "brief"], &["web"]);
    let certificate = granted(&brief, &who, to(&as_web)).unwrap();
    let life = certificate.valid_before() - u64::try_from(NOW.seconds()).unwrap();
    assert_eq!(life, 300);
    let long = Identity { expires: NOW.plus_ms(10 * USER_CERTIFICATE_MS), ..alice() };
    let certificate = granted(&set, &long, to(&as_web)).unwrap();
    let life = certificate.valid_before() - u64::try_from(NOW.seconds()).unwrap();
    assert_eq!(life, u64::try_from(USER_CERTIFICATE_MS / 1000).unwrap());
}

#[test]
fn what_it_is_for_is_written_in_one_way_and_read_back() {
    let only = |purpose| Only { node: web().name, purpose, proxy: proxy(), before: NOW };
    for purpose in [Purpose::Login(login("a$b")), Purpose::Session(id())] {
        let only = only(purpose);
        assert_eq!(only.to_string().parse(), Ok(only));
    }
    let good = only(Purpose::Login(login("web"))).to_string();
    assert_eq!(good, "node=web-01,login=web,proxy=front,before=1790000000000");
    let changes = [
        ("", ""),
        (",before=1790000000000", ""),
        (",before=1790000000000", ",before="),
        ("before=1790000000000", "before=+1790000000000"),
        ("before=1790000000000", "before=01790000000000"),
        ("before=1790000000000", "before=1790000000000,"),
        ("before=1790000000000", "before=1790000000000,node=db-01"),
        ("before=1790000000000", "before=99999999999999999999"),
        ("node=web-01", "node=*"),
        ("node=web-01", "node="),
        ("node=web-01,", ""),
        ("node=web-01,", "node=web-01,node=db-01,"),
        ("login=web", "login=web,root"),
        ("login=web", "login="),
        ("login=web", "session=web"),
        ("login=web", "anything=web"),
        ("login=web", "Login=web"),
        (",", ", "),
        ("proxy=front", "proxy=front\0"),
    ];
    for (from, to) in changes {
        let text = if from.is_empty() { String::new() } else { good.replacen(from, to, 1) };
        let certificate = signed_by(AUTHORITY, |builder| {
            builder.valid_principal("web").unwrap();
            builder.critical_option("only@scry", text.as_str()).unwrap();
        });
        let fault = CertificateFault::Only { found: text.clone() };
        for read in [read(&certificate, "web", NOW), {
            read_certificate_for_seat(&certificate, &authorities(), None, NOW)
        }] {
            assert_eq!(read.unwrap_err().reason(), &Why::Certificate(fault.clone()), "{text:?}");
        }
    }
}

#[test]
fn a_certificate_for_one_terminal_keeps_all_other_bounds() {
    let who: Login = login("web");
    let certificate = signed_by(AUTHORITY, |builder| {
        builder.valid_principal("web").unwrap();
        let only = format!("node=web-01,login=web,proxy=front,before={}", NOW.0 + 1);
        builder.critical_option("only@scry", only).unwrap();
        builder.critical_option("source-address", "192.0.2.0/24").unwrap();
    });
    let from = |address: &str| {
        let client = address.parse().ok();
        read_certificate(&certificate, who.as_str(), &authorities(), client, NOW)
    };
    from("192.0.2.9").unwrap();
    let denial = from("198.51.100.1").unwrap_err();
    assert!(denial.why().contains("source-address"), "{denial}");
}

//! Links into running sessions: who may make them, what they give, and what attacks with them come to.

use super::decisions::{node_labels, person, role_set, with_certificate};
use super::joins::{Session, id, session, web};
use super::locks::{corrections, lock, locks};
use super::{NOW, account, node, oracle, roles, user};
use crate::{
    Action, Denial, Grant, Identity, LinkFault, Why, default_roles, join, seat_goes_on, share,
};
use model::lock::Account;
use model::role::RoleSet;
use model::{Correction, LinkId, LockTarget, RoleName, SeatRole, SessionId, Time, UserName};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use SeatRole::{Moderator, Observer, Peer};

const LINK: LinkId = LinkId(7);

/// What a link into the session of these tests gives for an hour.
fn grant(to: &UserName, seat: SeatRole) -> Grant<'_> {
    Grant {
        link: LINK,
        session: id(),
        seat,
        user: to,
        guests: false,
        expires: NOW.plus_ms(3_600_000),
    }
}

/// As what this person may share the session, in words.
fn shares(set: &RoleSet, who: &Identity, session: &Session, now: Time) -> String {
    let may =
        |seat: &SeatRole| share(set, who, &web(), &session.facts(), *seat, false, now).is_ok();
    let seats = SeatRole::ALL.into_iter().filter(may).map(SeatRole::word);
    seats.collect::<Vec<_>>().join(" ")
}

/// Comes by the link, and stays: both doors must agree.
fn comes(
    set: &RoleSet,
    who: &Identity,
    session: &Session,
    grant: Grant<'_>,
    seat: SeatRole,
    now: Time,
) -> Result<(), Denial> {
    let comes = join(set, who, &web(), &session.facts(), seat, Some(grant), now);
    let stays = seat_goes_on(set, who, &web(), &session.facts(), seat, Some(grant), now);
    match (&comes, &stays) {
        (Ok(_), Ok(())) => {}
        (Err(comes), Err(stays)) => assert_eq!(comes.reason(), stays.reason()),
        both => panic!("{both:?}"),
    }
    comes.map(drop)
}

fn fault(got: Result<(), Denial>) -> Option<LinkFault> {
    match got.err()?.reason() {
        Why::Link { link, fault } => {
            assert_eq!(*link, LINK);
            Some(*fault)
        }
        other => panic!("denied, but not because of the link: {other}"),
    }
}

fn holds(roles: &[&str]) -> Option<Account> {
    let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    Some(Account { roles, logins: Vec::new() })
}

#[test]
fn an_owner_shares_what_a_role_that_counts_there_names() {
    for (role, want) in [
        ("", ""),
        ("allow.share = []", ""),
        ("allow.share = ['observer']", "observer"),
        ("allow.share = ['moderator', 'peer']", "peer moderator"),
        ("allow = { share = ['peer'], nodes = { env = ['prod'] } }", "peer"),
        ("allow = { share = ['peer'], nodes = { env = ['dev'] } }", ""),
        ("allow = { share = ['peer'], nodes = { '*' = ['*'] } }", "peer"),
        // What others may be is not what the owner may.
        ("allow.join = [{ roles = ['*'], seats = ['peer'] }]", ""),
        ("allow.share = ['peer']\ndeny.join = ['peer']", "peer"),
    ] {
        let set = roles(&[&format!("name = 'r'\n{role}")]);
        let (alice, alices) =
            (account("alice", &["r", "ghost"], &[]), session("alice", &["r"], "root"));
        assert_eq!(shares(&set, &alice, &alices, NOW), want, "{role}");
        let idle = account("alice", &[], &[]);
        assert_eq!(shares(&set, &idle, &alices, NOW), "", "what the owner holds now counts");
    }
    let set =
        roles(&["name = 'a'\nallow.share = ['peer']", "name = 'b'\nallow.share = ['observer']"]);
    let alice = account("alice", &["a", "b"], &[]);
    assert_eq!(shares(&set, &alice, &session("alice", &["a"], "root"), NOW), "observer peer");
}

#[test]
fn nobody_but_its_owner_shares_a_session_and_nobody_from_behind_a_lock() {
    let (bobs, alices) = (session("bob", &["admin"], "root"), session("alice", &["admin"], "root"));
    let admin = account("alice", &["admin"], &[]);
    assert_eq!(shares(&default_roles(), &admin, &alices, NOW), "observer peer");
    assert_eq!(shares(&default_roles(), &admin, &bobs, NOW), "");
    assert_eq!(shares(&default_roles(), &admin, &alices, admin.expires()), "");
    let web = web();
    let denial =
        share(&default_roles(), &admin, &web, &bobs.facts(), Observer, false, NOW).unwrap_err();
    assert_eq!(
        denial.to_string(),
        format!(
            "alice may not let others into session {} on web-01 as observer: own session forbids \
             it: it is bob's, and only its owner shares it",
            id()
        )
    );
    assert!(!denial.public().contains("bob"), "{}", denial.public());
    for (kind, name, shut) in [
        ("user", "alice", true),
        ("role", "admin", true),
        ("node", "web-01", true),
        ("login", "root", true),
        ("session", id().to_string().as_str(), true),
        ("user", "bob", false),
        ("role", "access", false),
        ("login", "alice", false),
    ] {
        let mut set = default_roles();
        set.locks.push(lock(3, LockTarget::from_parts(kind, name).unwrap()));
        let want = if shut { "" } else { "observer peer" };
        assert_eq!(shares(&set, &admin, &alices, NOW), want, "{kind} {name}");
    }
    let denial = share(&default_roles(), &admin, &web, &alices.facts(), Moderator, false, NOW);
    let denial = denial.unwrap_err();
    assert!(denial.why().contains("missing is allow.share with `moderator`"), "{}", denial.why());
    assert!(matches!(denial.asked(), Action::Share { .. }));
}

#[test]
fn a_link_gives_what_no_rule_gives_and_nothing_else() {
    let (alices, bob) = (session("alice", &["access"], "alice"), user("bob"));
    let plain = with_certificate(&account("bob", &[], &[]), &[], "bob");
    let set = default_roles();
    for seat in [Observer, Peer] {
        assert_eq!(fault(comes(&set, &plain, &alices, grant(&bob, seat), seat, NOW)), None);
    }
    // Of the default roles none shares the moderator's seat, whatever auth may say.
    let moderator = grant(&bob, Moderator);
    let got = comes(&set, &plain, &alices, moderator, Moderator, NOW);
    assert_eq!(fault(got), Some(LinkFault::NotShared));
    let (peer, observer) = (grant(&bob, Peer), grant(&bob, Observer));
    let (carol, other) = (user("carol"), SessionId::from_random([8; 16]));
    for (what, link, seat, now, want) in [
        ("another seat than granted", observer, Peer, NOW, LinkFault::OtherSeat),
        ("another seat than granted", peer, Moderator, NOW, LinkFault::OtherSeat),
        ("a lower one", peer, Observer, NOW, LinkFault::OtherSeat),
        ("taken for carol", grant(&carol, Peer), Peer, NOW, LinkFault::OtherUser),
        ("another session", Grant { session: other, ..peer }, Peer, NOW, LinkFault::OtherSession),
        ("expired", Grant { expires: NOW, ..peer }, Peer, NOW, LinkFault::Expired),
        ("expired since", peer, Peer, peer.expires, LinkFault::Expired),
    ] {
        // A certificate that lives longer than the link.
        let plain = Identity { expires: NOW.plus_ms(7_200_000), ..plain.clone() };
        assert_eq!(fault(comes(&set, &plain, &alices, link, seat, now)), Some(want), "{what}");
    }
    let last = Grant { expires: NOW.plus_ms(1), ..peer };
    assert_eq!(fault(comes(&set, &plain, &alices, last, Peer, NOW)), None);
}

#[test]
fn a_revoked_link_gives_nothing_also_to_who_may_join_by_a_rule() {
    let (alices, bob) = (session("alice", &["access"], "alice"), user("bob"));
    let mut set = default_roles();
    for (revoked, want) in
        [(8, None), (6, None), (7, Some(LinkFault::Revoked)), (70, Some(LinkFault::Revoked))]
    {
        set.revoked.insert(LinkId(revoked));
        for held in [&["access"][..], &["admin"], &[]] {
            let who = account("bob", held, &[]);
            let got = comes(&set, &who, &alices, grant(&bob, Peer), Peer, NOW);
            assert_eq!(fault(got), want, "{held:?} and {revoked}");
        }
    }
}

#[test]
fn what_is_forbidden_to_who_comes_by_a_link_stays_forbidden() {
    let (alices, bob) = (session("alice", &["sharer"], "root"), user("bob"));
    let sharer = "name = 'sharer'\nallow.share = ['observer', 'peer', 'moderator']";
    for (deny, want) in [
        ("", "observer peer moderator"),
        ("deny.join = ['peer']", "observer moderator"),
        ("deny.join = ['observer', 'peer', 'moderator']", ""),
        ("deny.nodes = { env = ['prod'] }", ""),
        ("deny.nodes = { env = ['dev'] }", "observer peer moderator"),
        ("deny.logins = ['root']", "observer moderator"),
    ] {
        let set = roles(&[sharer, &format!("name = 'no'\n{deny}")]);
        let who = account("bob", &["no"], &[]);
        let may =
            |seat: &SeatRole| comes(&set, &who, &alices, grant(&bob, *seat), *seat, NOW).is_ok();
        let seats = SeatRole::ALL.into_iter().filter(may).map(SeatRole::word);
        assert_eq!(seats.collect::<Vec<_>>().join(" "), want, "{deny}");
    }
    // One's own session has no moderator, by a link of one's own either.
    let (set, alice) = (roles(&[sharer]), user("alice"));
    let own = account("alice", &["sharer"], &[]);
    assert!(comes(&set, &own, &alices, grant(&alice, Peer), Peer, NOW).is_ok());
    assert!(comes(&set, &own, &alices, grant(&alice, Moderator), Moderator, NOW).is_err());
}

#[test]
fn locks_certificates_and_removed_accounts_count_whatever_the_link_says() {
    let (alices, bob) = (session("alice", &["access"], "root"), user("bob"));
    let who = with_certificate(&account("bob", &["helper"], &[]), &["bob"], "bob");
    let got = |set: &RoleSet, who: &Identity, now| {
        comes(set, who, &alices, grant(&bob, Peer), Peer, now).map_err(|it| it.reason().clone())
    };
    assert_eq!(got(&default_roles(), &who, NOW), Ok(()));
    for (kind, name, shut) in [
        ("user", "bob", true),
        ("user", "alice", true),
        ("role", "helper", true),
        ("role", "access", true),
        ("node", "web-01", true),
        ("login", "root", true),
        ("session", id().to_string().as_str(), true),
        ("user", "carol", false),
        ("role", "admin", false),
        ("login", "bob", false),
    ] {
        let mut set = default_roles();
        set.locks.push(lock(3, LockTarget::from_parts(kind, name).unwrap()));
        let got = got(&set, &who, NOW);
        assert_eq!(matches!(got, Err(Why::Locked(_))), shut, "{kind} {name}: {got:?}");
        assert_eq!(got.is_err(), shut, "{kind} {name}");
    }
    // The certificate is over before the link.
    let early = Identity { expires: NOW.plus_ms(-1), ..who.clone() };
    assert!(matches!(got(&default_roles(), &early, NOW), Err(Why::Bounded { .. })));
    let mut quiet = who.clone();
    quiet.certificate.as_mut().unwrap().permits_pty = false;
    assert!(matches!(got(&default_roles(), &quiet, NOW), Err(Why::Bounded { .. })));
    for (account, void) in [(None, 0), (holds(&["helper"]), 1)] {
        let mut set = default_roles();
        set.corrections.insert(bob.clone(), Correction { account, void });
        assert_eq!(got(&set, &who, NOW), Err(Why::Removed));
    }
}

#[test]
fn an_owner_who_may_share_no_more_has_shared_for_nobody() {
    let (alices, bob, alice) = (session("alice", &["access"], "root"), user("bob"), user("alice"));
    let who = account("bob", &["admin"], &[]);
    let access = || "access".parse::<RoleName>().unwrap();
    let check = |what: &str, want: Option<LinkFault>, change: &dyn Fn(&mut RoleSet)| {
        let mut set = default_roles();
        change(&mut set);
        let got = comes(&set, &who, &alices, grant(&bob, Peer), Peer, NOW);
        assert_eq!(fault(got), want, "{what}");
    };
    let not = Some(LinkFault::NotShared);
    check("as it was", None, &|_| ());
    check("the role was removed", not, &|set| drop(set.roles.remove(&access())));
    check("the role shares no more", not, &|set| {
        set.roles.get_mut(&access()).unwrap().allow.share = vec![Observer];
    });
    check("the role counts here no more", not, &|set| {
        let dev = [("env".to_owned(), vec!["dev".to_owned()])];
        set.roles.get_mut(&access()).unwrap().allow.nodes = dev.into();
    });
    for (account, want) in [
        (holds(&["access"]), None),
        (holds(&["admin"]), None),
        (holds(&["ghost"]), not),
        (holds(&[]), not),
        (None, not),
    ] {
        check("the account was changed", want, &|set| {
            let account = account.clone();
            set.corrections.insert(alice.clone(), Correction { account, void: 0 });
        });
    }
}

#[test]
fn a_seat_by_a_link_ends_with_whatever_ends_first() {
    let (alices, bob) = (session("alice", &["access"], "root"), user("bob"));
    let who = account("bob", &[], &[]);
    for (link, want) in [(1, NOW.plus_ms(1)), (i64::MAX - NOW.0, who.expires())] {
        let link = Grant { expires: NOW.plus_ms(link), ..grant(&bob, Observer) };
        let (set, web) = (default_roles(), web());
        let permit = join(&set, &who, &web, &alices.facts(), Observer, Some(link), NOW).unwrap();
        assert_eq!((permit.user(), permit.session()), (&bob, id()));
        assert_eq!((permit.seat(), permit.expires()), (Observer, want));
    }
}

#[test]
fn whoever_came_by_a_link_is_told_what_became_of_it() {
    let (alices, bob) = (session("alice", &["access"], "root"), user("bob"));
    let who = account("bob", &[], &[]);
    let mut set = default_roles();
    let stays = |set: &RoleSet, link, seat| {
        let (web, facts) = (web(), alices.facts());
        seat_goes_on(set, &who, &web, &facts, seat, Some(link), NOW).unwrap_err()
    };
    let link = grant(&bob, Peer);
    let over = stays(&set, Grant { expires: NOW, ..link }, Peer);
    assert_eq!(over.farewell(), "the link that you came by has expired");
    assert_eq!(
        over.to_string(),
        format!(
            "bob may not stay in session {} on web-01 as peer: link 7 does not give it: it has expired",
            id()
        )
    );
    let other = stays(&set, link, Observer);
    assert_eq!(other.farewell(), "the link that you came by does not give you this seat");
    set.revoked.insert(LINK);
    assert_eq!(stays(&set, link, Peer).farewell(), "the link that you came by was revoked");
    let comes = join(&set, &who, &web(), &alices.facts(), Peer, Some(link), NOW).unwrap_err();
    assert_eq!(
        comes.public(),
        format!(
            "access denied: bob may not join session {} on web-01 as peer; of the link: it was \
             revoked; ask whoever gave it to you for another one",
            id()
        )
    );
    set.revoked.clear();
    set.roles.clear();
    assert_eq!(
        stays(&set, link, Peer).farewell(),
        "whose session this is may not share it any more"
    );
}

// At random, beside the oracle

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn links_agree_with_the_oracle(
        set in role_set(),
        who in person(),
        pairs in node_labels(),
        owner in select(vec!["alice", "bob"]),
        held in subsequence(vec!["a", "b", "c", "ghost"], 0..=3),
        name in select(vec!["root", "alice", "deploy"]),
        to in select(vec!["alice", "bob"]),
        given in select(SeatRole::ALL.to_vec()),
        life in select(vec![-1, 0, 1, 5000]),
        guests in any::<bool>(),
        gone in prop::bool::weighted(0.2),
        locks in locks(),
        corrections in corrections(),
    ) {
        let corrections = corrections.into_iter().map(|(name, one)| (name.parse().unwrap(), one));
        let revoked = if gone { [LINK].into() } else { [LinkId(8)].into() };
        let set = RoleSet { locks, corrections: corrections.collect(), revoked, ..set };
        let node = node("n", &pairs);
        let bench = session(owner, &held, name);
        let corrected = set.corrections.get(&user(owner)).map(|it| {
            let account = it.account.clone().unwrap_or_default();
            account.roles.iter().map(ToString::to_string).collect::<Vec<_>>()
        });
        let theirs = account(owner, &held, &[]);
        let as_was: Vec<_> = held.iter().map(ToString::to_string).collect();
        let stands = corrected.unwrap_or(as_was);
        let stands: Vec<_> = stands.iter().map(String::as_str).collect();
        let owns = account(owner, &stands, &[]);
        let (to, expires) = (user(to), NOW.plus_ms(life));
        let link = Grant { link: LINK, session: id(), seat: given, user: &to, guests, expires };
        for who in [who.clone(), with_certificate(&who, &["web"], "web")] {
            for seat in SeatRole::ALL {
                let want = !gone && life > 0 && seat == given && to == *who.user()
                    && oracle::may_share(&set, &stands, &node.labels, seat)
                    && oracle::as_of(&set, &who).is_some_and(|now| {
                        !oracle::is_locked(&set, &now, Some(name), Some("n"), NOW)
                            && !oracle::is_locked(&set, &owns, None, None, NOW)
                            && oracle::nothing_forbids(&set, &now, &node.labels, (owner, name), seat)
                    });
                let facts = bench.facts();
                let got = join(&set, &who, &node, &facts, seat, Some(link), NOW);
                prop_assert_eq!(got.is_ok(), want, "{} as {}", owner, seat);
                let stays = seat_goes_on(&set, &who, &node, &facts, seat, Some(link), NOW);
                prop_assert_eq!(stays.is_ok(), want);
            }
        }
        let guest = Identity::guest("zoe", NOW.plus_ms(60_000));
        for seat in SeatRole::ALL {
            let want = !gone && life > 0 && seat == given && guests
                && oracle::may_share(&set, &stands, &node.labels, seat)
                && oracle::may_share_with_guests(&set, &stands, &node.labels, seat)
                && !oracle::is_locked(&set, &guest, Some(name), Some("n"), NOW)
                && !oracle::is_locked(&set, &owns, None, None, NOW);
            let (facts, link) = (bench.facts(), Grant { user: guest.user(), ..link });
            let got = join(&set, &guest, &node, &facts, seat, Some(link), NOW);
            prop_assert_eq!(got.is_ok(), want, "a guest as {}", seat);
            let stays = seat_goes_on(&set, &guest, &node, &facts, seat, Some(link), NOW);
            prop_assert_eq!(stays.is_ok(), want);
        }
        // Whom auth knows from its own tables is as the account says.
        for seat in SeatRole::ALL {
            let want = oracle::as_of(&set, &theirs).is_some_and(|now| {
                let held: Vec<_> = now.roles().iter().map(RoleName::as_str).collect();
                oracle::may_share(&set, &held, &node.labels, seat)
                    && !oracle::is_locked(&set, &now, Some(name), Some("n"), NOW)
                    && !oracle::is_locked(&set, &owns, None, None, NOW)
            });
            let got = share(&set, &theirs, &node, &bench.facts(), seat, false, NOW);
            prop_assert_eq!(got.is_ok(), want, "{} shares as {}", owner, seat);
            let want = want && oracle::as_of(&set, &theirs).is_some_and(|now| {
                let held: Vec<_> = now.roles().iter().map(RoleName::as_str).collect();
                oracle::may_share_with_guests(&set, &held, &node.labels, seat)
            });
            let got = share(&set, &theirs, &node, &bench.facts(), seat, true, NOW);
            prop_assert_eq!(got.is_ok(), want, "{} shares with guests as {}", owner, seat);
            let other = account(if owner == "bob" { "alice" } else { "bob" }, &held, &[]);
            prop_assert!(share(&set, &other, &node, &bench.facts(), seat, false, NOW).is_err());
        }
    }
}

//! Guests: people without an account, who may come where a link lets them and nowhere else.

use super::joins::{id, session, web};
use super::locks::lock;
use super::{NOW, account, roles, user};
use crate::{
    Denial, Grant, Identity, LinkFault, Why, admin, counts_for, default_roles, enter, forward,
    join, login, reach, recording, seat_goes_on, share,
};
use model::role::{AdminRight, Forwarding, Labels, RecordingAction, RoleSet};
use model::{LinkId, LockTarget, SeatRole, UserName};

use SeatRole::{Moderator, Observer, Peer};

/// The owner of the session holds it.
const HOST: &str = "name = 'host'\nallow = { share = ['observer', 'peer'], guests = ['observer'] }";

fn zoe() -> Identity {
    Identity::guest("zoe", NOW.plus_ms(60_000))
}

fn grant(to: &UserName, seat: SeatRole, guests: bool) -> Grant<'_> {
    let expires = NOW.plus_ms(3_600_000);
    Grant { link: LinkId(7), session: id(), seat, user: to, guests, expires }
}

/// Comes by a link, and stays: both doors must agree.
fn comes(set: &RoleSet, who: &Identity, seat: SeatRole, guests: bool) -> Result<(), Denial> {
    let (alices, link) = (session("alice", &["host"], "root"), grant(who.user(), seat, guests));
    let comes = join(set, who, &web(), &alices.facts(), seat, Some(link), NOW).map(drop);
    let stays = seat_goes_on(set, who, &web(), &alices.facts(), seat, Some(link), NOW);
    assert_eq!(comes.is_ok(), stays.is_ok());
    comes
}

#[test]
fn a_guest_comes_as_what_link_and_role_say() {
    for (role, seat, guests, fault) in [
        (HOST, Observer, true, None),
        (HOST, Observer, false, Some(LinkFault::NotForGuests)),
        (HOST, Peer, true, Some(LinkFault::NotForGuests)),
        (HOST, Moderator, true, Some(LinkFault::NotShared)),
        ("name = 'host'\nallow.guests = ['observer']", Observer, true, Some(LinkFault::NotShared)),
        (
            "name = 'host'\nallow.share = ['observer']",
            Observer,
            true,
            Some(LinkFault::NotForGuests),
        ),
        (
            "name = 'host'\nallow = { share = ['peer'], guests = ['peer'], nodes = { env = ['dev'] } }",
            Peer,
            true,
            Some(LinkFault::NotShared),
        ),
        ("name = 'host'\nallow = { share = ['peer'], guests = ['peer'] }", Peer, true, None),
    ] {
        let got = comes(&roles(&[role]), &zoe(), seat, guests);
        let got = got.err().map(|denial| match denial.reason() {
            Why::Link { fault, .. } => *fault,
            other => panic!("denied, but not because of the link: {other}"),
        });
        assert_eq!(got, fault, "{role} {seat} {guests}");
    }
}

#[test]
fn who_has_an_account_comes_by_a_link_for_guests_too() {
    let bob = account("bob", &[], &[]);
    for guests in [true, false] {
        assert_eq!(comes(&roles(&[HOST]), &bob, Observer, guests), Ok(()));
    }
}

#[test]
fn a_guest_has_no_other_door() {
    let mut set = default_roles();
    set.roles.extend(roles(&[HOST]).roles);
    let (zoe, web, alices) = (zoe(), web(), session("alice", &["host"], "root"));
    let (root, none) = ("root".parse().unwrap(), Labels::new());
    let denials = [
        login(&set, &zoe, &web, &root, NOW).err(),
        forward(&set, &zoe, &web, &root, Forwarding::Local, NOW).err(),
        join(&set, &zoe, &web, &alices.facts(), Observer, None, NOW).err(),
        seat_goes_on(&set, &zoe, &web, &alices.facts(), Observer, None, NOW).err(),
        share(&set, &zoe, &web, &alices.facts(), Observer, true, NOW).err(),
        recording(&set, &zoe, RecordingAction::Play, zoe.user(), &none, NOW).err(),
        admin(&set, &zoe, AdminRight::Audit, NOW).err(),
    ];
    for (n, denial) in denials.into_iter().enumerate() {
        let why = denial.unwrap_or_else(|| panic!("door {n} is open")).why();
        assert!(why.contains("who has no account may only come by a link"), "door {n}: {why}");
    }
    // To where the session is.
    assert_eq!(enter(&set, &zoe, NOW), Ok(()));
    assert_eq!(reach(&set, &zoe, &web.name, NOW), Ok(()));
}

#[test]
fn a_guest_is_nobodys_second_pair_of_eyes() {
    let watched = "name = 'watched'\noptions.four_eyes = [{ name = 'anybody', roles = ['*'] }]";
    let set = roles(&[watched]);
    let alice = account("alice", &["watched"], &[]);
    let demands =
        crate::terms::terms(&set, &alice, Some((&web().labels, &"root".parse().unwrap())))
            .four_eyes;
    assert_eq!(demands.len(), 1);
    let counts =
        |who: &Identity| !counts_for(&set, who, &demands, alice.user(), Moderator, NOW).is_empty();
    assert!(counts(&account("bob", &[], &[])));
    assert!(!counts(&zoe()));
}

#[test]
fn a_lock_shuts_a_guest_by_their_name() {
    let mut set = roles(&[HOST]);
    set.locks.push(lock(1, LockTarget::User(user("guest:zoe"))));
    assert!(matches!(comes(&set, &zoe(), Observer, true).unwrap_err().reason(), Why::Locked(_)));
    assert_eq!(comes(&set, &Identity::guest("yan", NOW.plus_ms(1)), Observer, true), Ok(()));
}

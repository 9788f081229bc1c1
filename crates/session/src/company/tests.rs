//! A company told as short scripts: what somebody does at which millisecond, and what is told then.

use super::kit::{Answer, COMER, Replay, act, drain, parse, party, say};
use super::{Alternative, Comer, Company, Demand, EndCause, Full, Refused};
use model::entry::Party;
use model::limit::{COMINGS, SEATS, SEATS_KEPT};
use model::role::OnLeave::{self, End, Freeze};
use model::role::SeatRole;
use model::{LinkId, Tick};

fn way(count: u8, on_leave: OnLeave) -> Alternative {
    Alternative { name: "watched".to_owned(), count, on_leave, confirm_ms: None, beat: false }
}

fn one(any_of: &[Alternative]) -> Demand {
    Demand { any_of: any_of.to_vec() }
}

fn eyes(on_leave: OnLeave) -> Demand {
    one(&[way(1, on_leave)])
}

/// Each step is a moment, a verb and numbers; `moderator 0.1` enters and counts for demand 0, alternative 1.
fn check(demands: &[Demand], steps: &[(&str, &str)]) {
    let mut company = Company::new(demands.to_vec(), Tick(0));
    let mut replay = Replay::new();
    let first = drain(&mut company);
    assert_eq!(first.is_empty(), !demands.is_empty(), "without demands it begins at once");
    first.into_iter().for_each(|change| replay.take(change));
    for (step, wanted) in steps {
        let words: Vec<&str> = step.split_whitespace().collect();
        let now = Tick(words[0].parse().unwrap());
        let mut told = Vec::new();
        if words[1] == "type" {
            company.handle_timeout(now);
            told.push(format!("{:?}", company.may_type(party(words[2]))));
        } else {
            match act(&mut company, &parse(&words[1..]), now) {
                Answer::Done | Answer::Came(_) => {}
                Answer::Full(full) => told.push(format!("{full:?}")),
                Answer::Refused(refused) => told.push(format!("{refused:?}")),
            }
        }
        for change in drain(&mut company) {
            replay.take(change);
            told.push(say(change));
        }
        assert_eq!(told.join(", "), *wanted, "{step}, of {steps:?}");
        replay.agree(&company);
    }
}

#[test]
fn who_comes_and_who_goes_is_told_once() {
    check(
        &[],
        &[
            ("0 observer", "came 1"),
            ("0 peer", "came 2"),
            ("5 leave 1", "left 1"),
            ("6 leave 1", ""),
            ("7 leave 9", ""),
            ("8 moderator", "came 3"),
            ("9 out 0 2", "out 2 by 0"),
            ("9 leave 2", ""),
            ("9 ownerleft", "left 0, over: OwnerLeft"),
            ("9 ownerleft", ""),
            ("9 leave 3", "left 3"),
        ],
    );
    check(&[], &[("1 leave 0", "left 0, over: OwnerLeft")]);
}

#[test]
fn the_owner_and_peers_type_and_nobody_else() {
    check(
        &[],
        &[
            ("0 observer", "came 1"),
            ("0 peer", "came 2"),
            ("0 moderator", "came 3"),
            ("0 type 0", "Ok(())"),
            ("0 type 1", "Err(Observer)"),
            ("0 type 2", "Ok(())"),
            ("0 type 3", "Err(Observer)"),
            ("0 type 4", "Err(Stranger)"),
            ("0 hand 0 2", "keyboard 2"),
            ("0 type 0", "Err(Held { by: Party(2) })"),
            ("0 type 1", "Err(Observer)"),
            ("0 type 2", "Ok(())"),
            ("0 freeze 3", "freeze by 3"),
            ("0 type 2", "Err(Frozen)"),
            ("0 type 3", "Err(Observer)"),
            ("0 end 3", "over: Ended { by: Party(3) }"),
            ("0 type 2", "Err(Over)"),
            ("0 type 4", "Err(Over)"),
        ],
    );
    check(
        &[eyes(Freeze)],
        &[("0 type 0", "Err(Waiting)"), ("0 observer", "came 1"), ("0 type 1", "Err(Observer)")],
    );
}

#[test]
fn nobody_types_while_the_owner_is_lost_and_everything_else_stays_as_it_was() {
    check(
        &[eyes(Freeze)],
        &[
            ("0 moderator 0.0", "came 1, begin"),
            ("0 peer", "came 2"),
            ("0 hand 0 2", "keyboard 2"),
            ("1 ownerback", ""),
            ("1 ownerlost", "owner lost"),
            ("1 ownerlost", ""),
            ("1 type 2", "Err(Lost)"),
            ("1 type 0", "Err(Lost)"),
            ("1 type 1", "Err(Observer)"),
            ("2 freeze 1", "freeze by 1"),
            ("2 type 2", "Err(Frozen)"),
            ("3 ownerback", "owner back"),
            ("3 type 2", "Err(Frozen)"),
            ("3 ownerlost", "owner lost"),
            ("4 thaw 1", "thaw by 1"),
            ("5 leave 1", "left 1, freeze"),
            ("5 moderator 0.0", "came 3, thaw"),
            // It is theirs still, also from another terminal.
            ("5 back 0", "keyboard 0"),
            ("6 ownerback", "owner back"),
            ("6 type 0", "Ok(())"),
            ("6 type 2", "Err(Held { by: Party(0) })"),
            ("7 ownerlost", "owner lost"),
            ("8 end 3", "over: Ended { by: Party(3) }"),
            ("8 ownerback", ""),
        ],
    );
    check(
        &[],
        &[
            ("0 ownerlost", "owner lost"),
            ("9 ownerleft", "left 0, over: OwnerLeft"),
            ("9 ownerback", ""),
        ],
    );
}

#[test]
fn the_keyboard_goes_from_hand_to_hand_and_home_when_its_holder_is_gone() {
    check(
        &[],
        &[
            ("0 peer", "came 1"),
            ("0 peer", "came 2"),
            ("0 observer", "came 3"),
            ("0 moderator", "came 4"),
            ("1 hand 1 2", "NotAllowed"),
            ("1 hand 4 2", "NotAllowed"),
            ("1 hand 7 2", "Stranger"),
            ("1 back 1", "NotAllowed"),
            ("1 together 1", "NotAllowed"),
            ("1 hand 0 3", "NoTypist"),
            ("1 hand 0 4", "NoTypist"),
            ("1 hand 0 7", "Nobody"),
            ("2 hand 0 1", "keyboard 1"),
            ("2 hand 0 1", ""),
            ("2 hand 2 2", "NotAllowed"),
            ("2 together 1", "NotAllowed"),
            ("3 hand 1 2", "keyboard 2"),
            ("3 hand 1 1", "NotAllowed"),
            ("4 back 2", "keyboard 0"),
            ("4 hand 2 2", "NotAllowed"),
            ("4 hand 0 2", "keyboard 2"),
            ("4 back 0", "keyboard 0"),
            ("4 together 0", "keyboard all"),
            ("4 together 0", ""),
            ("5 hand 0 1", "keyboard 1"),
            ("5 leave 1", "left 1, keyboard 0"),
            ("5 hand 0 2", "keyboard 2"),
            ("5 out 4 2", "out 2 by 4, keyboard 0"),
            ("6 peer", "came 5"),
            ("6 hand 0 5", "keyboard 5"),
            ("6 leave 3", "left 3"),
            ("6 ownerleft", "left 0, over: OwnerLeft"),
        ],
    );
}

#[test]
fn the_terminal_has_the_size_of_whom_the_owner_says_until_they_are_gone() {
    check(
        &[],
        &[
            ("0 observer", "came 1"),
            ("0 peer", "came 2"),
            ("0 moderator", "came 3"),
            ("1 adopt 0 0", ""),
            ("1 adopt 0 9", "Nobody"),
            ("1 adopt 0 1", "size 1"),
            ("1 adopt 0 1", ""),
            ("1 adopt 1 1", "NotAllowed"),
            ("1 adopt 2 0", "NotAllowed"),
            ("1 adopt 3 3", "NotAllowed"),
            ("1 adopt 9 1", "Stranger"),
            ("2 adopt 0 2", "size 2"),
            ("2 leave 1", "left 1"),
            ("3 hand 0 2", "keyboard 2"),
            // The keyboard is another thing.
            ("3 adopt 2 2", "NotAllowed"),
            ("3 leave 2", "left 2, keyboard 0, size 0"),
            ("4 adopt 0 3", "size 3"),
            ("5 freeze 3", "freeze by 3"),
            ("5 adopt 0 3", "Frozen"),
            ("5 adopt 0 0", "size 0"),
            ("5 thaw 3", "thaw by 3"),
            ("6 adopt 0 3", "size 3"),
            ("6 ownerlost", "owner lost"),
            ("6 adopt 0 3", "Lost"),
            ("6 adopt 0 0", "size 0"),
            ("7 ownerback", "owner back"),
            ("7 adopt 0 3", "size 3"),
            ("8 out 0 3", "out 3 by 0, size 0"),
            ("9 peer", "came 4"),
            ("9 adopt 0 4", "size 4"),
            ("9 end 0", "over: Ended { by: Party(0) }"),
            ("9 adopt 0 0", "Over"),
            ("9 leave 4", "left 4"),
        ],
    );
    check(
        &[eyes(Freeze)],
        &[
            ("0 observer", "came 1"),
            ("0 adopt 0 1", "Waiting"),
            ("1 moderator 0.0", "came 2, begin"),
            ("1 adopt 0 2", "size 2"),
            ("2 leave 2", "left 2, size 0, freeze"),
        ],
    );
    let mut none = Company::new(Vec::new(), Tick(0)).without_terminal();
    let party = none.enter(COMER, SeatRole::Peer, Vec::new(), None, Tick(0)).unwrap();
    assert_eq!(none.adopt(Party::OWNER, party), Err(Refused::NoTerminal));
    assert_eq!(none.adopt(party, party), Err(Refused::NotAllowed));
    assert_eq!(none.adopted(), None);
}

#[test]
fn the_owner_shows_out_anybody_and_a_moderator_observers_and_peers() {
    for (by, whom, wanted) in [
        (0, 0, "NotAllowed"),
        (0, 1, "out 1 by 0"),
        (0, 2, "out 2 by 0"),
        (0, 3, "out 3 by 0"),
        (0, 9, "Nobody"),
        (1, 0, "NotAllowed"),
        (1, 2, "NotAllowed"),
        (1, 1, "NotAllowed"),
        (1, 9, "NotAllowed"),
        (2, 1, "NotAllowed"),
        (3, 0, "NotAllowed"),
        (3, 1, "out 1 by 3"),
        (3, 2, "out 2 by 3"),
        (3, 3, "NotAllowed"),
        (3, 4, "NotAllowed"),
        (3, 9, "Nobody"),
        (9, 1, "Stranger"),
    ] {
        check(
            &[],
            &[
                ("0 observer", "came 1"),
                ("0 peer", "came 2"),
                ("0 moderator", "came 3"),
                ("0 moderator", "came 4"),
                (&format!("1 out {by} {whom}"), wanted),
            ],
        );
    }
}

#[test]
fn nothing_begins_before_every_demand_is_met() {
    let two_ways = one(&[way(2, Freeze), way(1, Freeze)]);
    check(
        &[two_ways, eyes(Freeze)],
        &[
            ("0 observer 0.0", "came 1"),
            ("0 observer 1.0", "came 2"),
            ("1 type 0", "Err(Waiting)"),
            ("1 observer 0.0 0.0", "came 3, begin"),
            ("2 type 0", "Ok(())"),
            ("3 leave 1", "left 1, freeze"),
            ("4 type 0", "Err(Frozen)"),
            ("5 moderator 0.1", "came 4, thaw"),
            ("6 leave 3", "left 3"),
            ("7 out 0 2", "out 2 by 0, freeze"),
            ("8 peer 1.0 0.0 0.1", "came 5, thaw"),
            ("9 leave 4", "left 4"),
        ],
    );
}

#[test]
fn nobody_counts_for_what_is_not_demanded_or_twice_for_the_same() {
    check(
        &[one(&[way(2, Freeze)]), one(&[way(0, Freeze)])],
        &[
            ("0 moderator 0.0 0.0", "came 1"),
            ("0 moderator 0.1 1.1 2.0 7.7", "came 2"),
            ("0 moderator", "came 3"),
            ("0 moderator 0.0", "came 4"),
            ("0 moderator 1.0", "came 5, begin"),
            ("0 leave 1", "left 1, freeze"),
        ],
    );
    check(&[one(&[])], &[("0 moderator 0.0", "came 1"), ("0 type 0", "Err(Waiting)")]);
}

#[test]
fn one_person_is_one_pair_of_eyes_in_however_many_seats() {
    check(
        &[one(&[way(2, Freeze)])],
        &[
            ("0 moderator 0.0", "came 1"),
            ("1 again 1 0.0", "came 2"),
            ("2 moderator 0.0", "came 3, begin"),
            ("3 leave 1", "left 1"),
            ("4 leave 2", "left 2, freeze"),
            ("5 observer", "came 4"),
            ("6 again 4 0.0", "came 5, thaw"),
        ],
    );
}

#[test]
fn what_somebody_counts_for_can_become_something_else() {
    check(
        &[one(&[way(1, Freeze)])],
        &[
            ("0 moderator 0.0", "came 1, begin"),
            ("1 recount 1", "freeze"),
            ("2 recount 1 0.0", "thaw"),
            ("3 recount 7 0.0", ""),
        ],
    );
}

#[test]
fn whoever_leaves_before_it_begins_ends_nothing() {
    check(
        &[eyes(End), eyes(End)],
        &[
            ("0 moderator 0.0", "came 1"),
            ("1 leave 1", "left 1"),
            ("2 moderator 0.0", "came 2"),
            ("3 moderator 1.0", "came 3, begin"),
            ("4 leave 2", "left 2, over: EyesLeft { demand: 0 }"),
        ],
    );
}

#[test]
fn the_strictest_rule_of_the_ways_that_were_met_counts() {
    let ways = one(&[way(1, Freeze), way(1, End)]);
    for (first, second, wanted) in [
        ("0.0", "0.0", "left 2, freeze"),
        ("0.0", "0.1", "left 2, over: EyesLeft { demand: 0 }"),
        ("0.1", "0.0", "left 2, freeze"),
        ("0.0 0.1", "0.0", "left 2, freeze"),
        ("0.0", "0.0 0.1", "left 2, over: EyesLeft { demand: 0 }"),
    ] {
        check(
            std::slice::from_ref(&ways),
            &[
                (&format!("0 moderator {first}"), "came 1, begin"),
                (&format!("1 moderator {second}"), "came 2"),
                ("2 leave 1", "left 1"),
                ("3 leave 2", wanted),
            ],
        );
    }
    // One that froze does not soften another that ends.
    check(
        &[eyes(Freeze), eyes(End)],
        &[
            ("0 moderator 0.0", "came 1"),
            ("0 moderator 1.0", "came 2, begin"),
            ("1 leave 1", "left 1, freeze"),
            ("2 leave 2", "left 2, over: EyesLeft { demand: 1 }"),
        ],
    );
}

#[test]
fn who_does_not_confirm_in_time_does_not_count_until_they_do() {
    let asked = one(&[Alternative { confirm_ms: Some(60_000), ..way(1, Freeze) }]);
    let script = [
        ("1000 moderator 0.0", "came 1, begin"),
        ("60999 wait", ""),
        ("61000 wait", "ask 1 until 76000"),
        ("61001 wait", ""),
        ("75999 confirm 1", ""),
        ("135999 wait", "ask 1 until 150999"),
        ("150998 wait", ""),
        ("150999 wait", "absent 1, freeze"),
        ("160000 heard 1", ""),
        ("170000 type 0", "Err(Frozen)"),
        ("170000 confirm 1", "back 1, thaw"),
        ("170001 confirm 1", ""),
        ("245001 confirm 1", "ask 1 until 245001, absent 1, freeze, back 1, thaw"),
        ("245002 leave 1", "left 1, freeze"),
        ("999999 confirm 1", ""),
    ];
    check(&[asked], &script);
    let ends = one(&[Alternative { confirm_ms: Some(60_000), ..way(1, End) }]);
    check(
        &[ends],
        &[
            ("0 moderator 0.0", "came 1, begin"),
            ("75000 confirm 1", "ask 1 until 75000, absent 1, over: EyesLeft { demand: 0 }"),
            ("75001 confirm 1", ""),
            ("999999 wait", ""),
        ],
    );
}

#[test]
fn who_is_silent_for_three_seconds_does_not_count_until_they_are_heard() {
    let watched = one(&[Alternative { beat: true, ..way(1, Freeze) }]);
    check(
        &[watched],
        &[
            ("0 moderator 0.0", "came 1, begin"),
            ("0 moderator", "came 2"),
            ("2999 heard 1", ""),
            ("5998 wait", ""),
            ("5999 wait", "absent 1, freeze"),
            ("6000 heard 2", ""),
            ("7000 heard 1", "back 1, thaw"),
            ("6500 heard 1", ""),
            ("9999 wait", ""),
            ("10000 heard 1", "absent 1, freeze, back 1, thaw"),
            ("11000 confirm 1", ""),
            ("13999 wait", ""),
            ("14000 leave 1", "absent 1, freeze, left 1"),
            ("90000 wait", ""),
        ],
    );
}

#[test]
fn of_what_somebody_counts_for_the_strictest_is_asked_of_them() {
    let ways = [
        Alternative { confirm_ms: Some(60_000), ..way(1, Freeze) },
        Alternative { confirm_ms: Some(30_000), ..way(1, Freeze) },
        Alternative { beat: true, ..way(1, Freeze) },
        way(1, Freeze),
    ];
    check(
        &[one(&ways)],
        &[
            ("0 moderator 0.0 0.1 0.3", "came 1, begin"),
            ("0 observer 0.2 0.3", "came 2"),
            ("30000 heard 2", "absent 2, ask 1 until 45000, back 2"),
            ("33000 wait", "absent 2"),
            ("45000 wait", "absent 1, freeze"),
            ("45001 heard 2", "back 2, thaw"),
        ],
    );
}

#[test]
fn a_late_timer_decides_as_one_in_time() {
    let ways = one(&[
        Alternative { confirm_ms: Some(5_000), ..way(1, End) },
        Alternative { beat: true, ..way(1, Freeze) },
    ]);
    // Who met the demand to the last is who may only be frozen for, whenever the timer comes.
    for after in [
        &[("20000 wait", "absent 1"), ("22000 wait", "absent 2, freeze"), ("90000 wait", "")][..],
        &[("21999 wait", "absent 1"), ("22001 wait", "absent 2, freeze")],
        &[("90000 wait", "absent 1, absent 2, freeze")],
    ] {
        let before = [
            ("0 moderator 0.0", "came 1, begin"),
            ("0 moderator 0.1", "came 2"),
            ("19000 heard 2", "absent 2, ask 1 until 20000, back 2"),
        ];
        check(std::slice::from_ref(&ways), &[&before[..], after].concat());
    }
}

#[test]
fn a_freeze_by_hand_stays_until_a_moderator_thaws_it_or_the_last_one_leaves() {
    check(
        &[eyes(Freeze)],
        &[
            ("0 moderator 0.0", "came 1, begin"),
            ("0 moderator", "came 2"),
            ("0 peer", "came 3"),
            ("1 freeze 0", "NotAllowed"),
            ("1 freeze 3", "NotAllowed"),
            ("1 freeze 9", "Stranger"),
            ("1 thaw 1", "NotByHand"),
            ("2 freeze 1", "freeze by 1"),
            ("2 freeze 2", ""),
            ("2 thaw 0", "NotAllowed"),
            ("2 thaw 3", "NotAllowed"),
            ("3 leave 1", "left 1"),
            ("4 moderator 0.0", "came 4"),
            ("5 thaw 2", "thaw by 2"),
            ("6 freeze 2", "freeze by 2"),
            ("7 leave 4", "left 4"),
            ("7 thaw 2", ""),
            ("7 observer 0.0", "came 5, thaw"),
            ("8 freeze 2", "freeze by 2"),
            ("8 leave 2", "left 2, thaw"),
        ],
    );
    // The owner gets nothing by showing the moderator out; the next one may thaw, or leave.
    check(
        &[],
        &[
            ("0 moderator", "came 1"),
            ("0 freeze 1", "freeze by 1"),
            ("0 out 0 1", "out 1 by 0"),
            ("0 peer", "came 2"),
            ("0 leave 2", "left 2"),
            ("0 type 0", "Err(Frozen)"),
            ("0 moderator", "came 3"),
            ("0 leave 3", "left 3, thaw"),
        ],
    );
    // What has not begun does not begin so long.
    check(
        &[eyes(End)],
        &[
            ("0 moderator", "came 1"),
            ("0 freeze 1", ""),
            ("0 observer 0.0", "came 2"),
            ("0 type 0", "Err(Waiting)"),
            ("0 leave 2", "left 2"),
            ("0 observer 0.0", "came 3"),
            ("0 thaw 1", "begin"),
        ],
    );
}

#[test]
fn the_owner_and_moderators_end_it_and_once_over_it_is_over() {
    for (by, wanted) in [
        (0, "over: Ended { by: Party(0) }"),
        (1, "NotAllowed"),
        (2, "NotAllowed"),
        (3, "over: Ended { by: Party(3) }"),
        (9, "Stranger"),
    ] {
        let end = format!("1 end {by}");
        let start = [("0 observer", "came 1"), ("0 peer", "came 2"), ("0 moderator", "came 3")];
        let mut steps = [&start[..], &[(end.as_str(), wanted)]].concat();
        if wanted.starts_with("over") {
            steps.extend([
                ("2 end 0", "Over"),
                ("2 hand 0 2", "Over"),
                ("2 back 0", "Over"),
                ("2 together 0", "Over"),
                ("2 freeze 3", "Over"),
                ("2 thaw 3", "Over"),
                ("2 out 0 1", "Over"),
                ("2 peer", "Over"),
                ("3 leave 2", "left 2"),
                ("3 leave 0", "left 0"),
                ("3 type 0", "Err(Over)"),
            ]);
        }
        check(&[], &steps);
    }
}

#[test]
fn who_is_missing_and_who_counts_can_be_asked() {
    let watched = one(&[Alternative { beat: true, ..way(1, Freeze) }]);
    let mut company = Company::new(vec![eyes(Freeze), watched], Tick(0));
    let unmet = |company: &Company| company.unmet().map(|(at, _)| at).collect::<Vec<_>>();
    let counts = |company: &Company| company.who().map(|who| who.counts).collect::<Vec<_>>();
    assert_eq!(unmet(&company), [0, 1]);
    let mut enter =
        |counts| company.enter(COMER, SeatRole::Moderator, counts, None, Tick(0)).unwrap();
    let (moderator, other) = (enter(vec![(1, 0)]), enter(vec![(0, 7), (7, 0)]));
    assert_eq!((unmet(&company), counts(&company)), (vec![0], vec![true, false]));
    assert_eq!(company.poll_timeout(), Some(Tick(3_000)));
    company.handle_timeout(Tick(3_000));
    assert_eq!((unmet(&company), counts(&company)), (vec![0, 1], vec![false, false]));
    assert_eq!((company.poll_timeout(), company.frozen_by()), (None, None));
    company.freeze(moderator).unwrap();
    company.freeze(other).unwrap();
    assert_eq!(company.frozen_by(), Some(moderator));
}

#[test]
fn seats_are_counted_and_no_number_is_used_twice() {
    let mut company = Company::new(Vec::new(), Tick(0));
    let mut links = (0..).map(|times: u64| LinkId(times / 1_000));
    let mut enter = |leaves: Option<u16>| {
        if let Some(party) = leaves {
            company.leave(Party(party), Tick(0));
        }
        drain(&mut company);
        let comer = Comer::Guest(links.next().unwrap());
        company.enter(comer, SeatRole::Moderator, Vec::new(), None, Tick(0))
    };
    for number in 1..=SEATS as u16 {
        assert_eq!(enter(None), Ok(Party(number)));
    }
    assert_eq!(enter(None), Err(Full::Seats));
    for number in SEATS as u16 + 1..=u16::MAX {
        assert_eq!(enter(Some(number - SEATS as u16)), Ok(Party(number)));
    }
    assert_eq!(enter(Some(u16::MAX)), Err(Full::Numbers));
}

#[test]
fn seats_are_kept_for_moderators_and_for_whoever_must_be_there() {
    use SeatRole::{Moderator, Observer, Peer};
    let mut company = Company::new(vec![eyes(Freeze)], Tick(0));
    let mut enter = |seat, counts: &[(usize, usize)]| {
        company.enter(COMER, seat, counts.to_vec(), None, Tick(0)).map(|_| ())
    };
    for place in 0..SEATS - SEATS_KEPT {
        assert_eq!(enter([Observer, Peer][place % 2], &[]), Ok(()));
    }
    for seat in [Observer, Peer] {
        assert_eq!(enter(seat, &[]), Err(Full::Seats));
        // Nobody must be there for what is not demanded.
        assert_eq!(enter(seat, &[(0, 7)]), Err(Full::Seats));
    }
    for place in 0..SEATS_KEPT {
        let is_even = place % 2 == 0;
        let entered = if is_even { enter(Moderator, &[]) } else { enter(Observer, &[(0, 0)]) };
        assert_eq!(entered, Ok(()));
    }
    assert_eq!(enter(Moderator, &[(0, 0)]), Err(Full::Seats));
}

#[test]
fn who_comes_and_goes_without_end_is_refused_and_nobody_else_is() {
    let mut company = Company::new(Vec::new(), Tick(0));
    let mut comes = |comer: &Comer| -> Result<(), Full> {
        let entered = company.enter(comer.clone(), SeatRole::Observer, Vec::new(), None, Tick(0));
        company.leave(entered?, Tick(0));
        drain(&mut company);
        Ok(())
    };
    let person = |name: &str| Comer::Person(name.parse().unwrap());
    let guest = |link| Comer::Guest(LinkId(link));
    for (comer, refused) in [(person("bob"), Full::Person), (guest(1), Full::Link)] {
        for _ in 0..COMINGS {
            assert_eq!(comes(&comer), Ok(()));
        }
        assert_eq!(comes(&comer), Err(refused));
    }
    for other in [person("carol"), guest(2)] {
        assert_eq!(comes(&other), Ok(()));
    }
    assert_eq!(comes(&person("bob")), Err(Full::Person));
    // However often they are refused, it costs no number.
    let mut last = None;
    for _ in 0..u16::MAX {
        last = Some(comes(&guest(1)));
    }
    assert_eq!((last, comes(&person("dave"))), (Some(Err(Full::Link)), Ok(())));
}

#[test]
fn every_answer_has_its_words() {
    let refused = [Refused::Stranger, Refused::NotAllowed, Refused::Nobody, Refused::NoTypist];
    let ends = [EndCause::OwnerLeft, EndCause::Ended { by: Party(1) }];
    let full = [Full::Seats, Full::Person, Full::Link, Full::Numbers, Full::Over];
    let words = refused.map(Refused::words).into_iter().chain(full.map(Full::words));
    let words: Vec<_> = words.chain(ends.map(EndCause::words)).collect();
    assert!(words.iter().all(|words| !words.ends_with('.')));
    assert!(words.iter().enumerate().all(|(at, words_at)| !words[..at].contains(words_at)));
}

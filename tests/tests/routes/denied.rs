//! What can be asked by another way than a route, and the test that sees it refused: a new request does not compile here until
//! it has one. The requests of SSH itself stand in `crates/link/src/ssh/tests/requests.rs`, the routes in [`super::table`], and
//! what a node may be asked through its tunnel in [`super::tunnel`].

use link::front::Arrival;
use link::ssh::server::{Asked, Wish};
use wire::company::Ask;
use wire::web::{FromPage, TerminalTo};

/// Where the tests stand that are named below.
const TESTS: &[&str] = &[
    include_str!("../attacks.rs"),
    include_str!("../four_eyes/files.rs"),
    include_str!("../routes.rs"),
    include_str!("../sharing/company.rs"),
    include_str!("../sharing/rights.rs"),
    include_str!("../../../crates/auth/src/tests/terminals.rs"),
    include_str!("../../../crates/link/src/ssh/tests.rs"),
    include_str!("../../../crates/proxy/tests/loopback.rs"),
];

const COMPANY: &str = "what_is_not_ones_own_to_ask_is_refused_on_every_line_and_changes_nothing";
const DOORS: &str = "each_door_lets_in_its_own_kind_and_every_other_stands_in_the_ledger";
const FORWARDS: &str = "forwards_that_no_role_allows_are_refused_and_stand_in_the_ledger";
const GRANTS: &str = "a_terminal_is_granted_to_nobody_else";
const JUMPS: &str = "the_jump_host_leads_to_nodes_and_nowhere_else";
const NEVER: &str = "requests_that_are_never_granted_are_refused_and_stand_in_the_ledger";
const ROUTES: &str = "every_route_answers_everybody_in_every_way_as_the_table_says_and_nothing_is_changed_by_who_may_not";
const SEATS: &str = "who_comes_to_a_session_gets_a_seat_and_nothing_else";
const STREAMS: &str = "without_a_terminal_nothing_runs_but_sftp_and_the_line_says_what_to_use";
const WORDS: &str = "only_who_counts_says_a_word_and_not_the_owner";

/// Each request that can come there, and the test in which it is refused; or why there is nothing to refuse.
type Requests = Vec<(&'static str, Result<&'static str, &'static str>)>;

macro_rules! requests {
    ($type:ident: $($variant:ident => $seen:expr),* $(,)?) => {{
        // Nobody calls it: that it compiles says that no variant is missing.
        let _: fn(&$type) = |one| match one { $($type::$variant { .. } => {})* };
        vec![$((stringify!($variant), $seen)),*]
    }};
}

fn doors() -> [(&'static str, Requests); 9] {
    [
        (
            "the one port",
            requests!(Arrival:
                Auth => Ok(ROUTES),
                Tunnel => Ok(DOORS),
                Http => Ok(DOORS),
                Ssh => Ok("a_certificate_that_does_not_count_does_not_sign_in_to_the_jump_host"),
            ),
        ),
        (
            "the jump host",
            requests!(Asked:
                Session => Ok(JUMPS),
                Direct => Ok(JUMPS),
                Listen => Ok(JUMPS),
                Unlisten => Err("it never listens"),
                Refused => Ok("the_jump_host_reaches_nodes_and_nothing_else"),
            ),
        ),
        (
            "a node, of who logs in",
            requests!(Asked:
                Session => Ok(STREAMS),
                Direct => Ok(FORWARDS),
                Listen => Ok(FORWARDS),
                Unlisten => Err("ends a forward of the same connection only"),
                Refused => Ok(NEVER),
            ),
        ),
        (
            "a session, of who logs in",
            requests!(Wish: Shell => Ok(STREAMS), Exec => Ok(STREAMS), Subsystem => Ok(NEVER)),
        ),
        (
            "a node, of who comes to a session",
            requests!(Asked:
                Session => Ok(SEATS),
                Direct => Ok(SEATS),
                Listen => Ok(SEATS),
                Unlisten => Err("it never listens for them"),
                Refused => Ok(SEATS),
            ),
        ),
        (
            "a session, of who comes to it",
            requests!(Wish: Shell => Ok(SEATS), Exec => Ok(SEATS), Subsystem => Ok(COMPANY)),
        ),
        (
            "the company of a session",
            requests!(Ask:
                Who => Ok(COMPANY),
                Say => Ok(COMPANY),
                HandOver => Ok(COMPANY),
                TakeBack => Ok(COMPANY),
                Together => Ok(COMPANY),
                Adopt => Ok(COMPANY),
                OwnSize => Ok(COMPANY),
                ShowOut => Ok(COMPANY),
                Freeze => Ok(COMPANY),
                Thaw => Ok(COMPANY),
                End => Ok(COMPANY),
                Confirm => Ok(COMPANY),
                Approve => Ok(WORDS),
                Refuse => Ok(WORDS),
            ),
        ),
        (
            "a page's terminal",
            requests!(FromPage:
                Open => Ok(ROUTES),
                Attach => Ok(ROUTES),
                Join => Ok(ROUTES),
                Link => Ok(ROUTES),
                Ask => Ok(ROUTES),
                Resize => Ok(ROUTES),
                Read => Ok(ROUTES),
                Leave => Ok(ROUTES),
            ),
        ),
        (
            "auth, of a proxy for a page",
            requests!(TerminalTo:
                Login => Ok(GRANTS),
                Attach => Ok(GRANTS),
                Join => Ok(GRANTS),
                Link => Ok(GRANTS),
            ),
        ),
    ]
}

#[test]
fn everything_that_can_be_asked_by_another_way_than_a_route_has_a_test_that_sees_it_refused() {
    for (door, requests) in doors() {
        for (request, seen) in requests {
            let Ok(test) = seen else { continue };
            let declared = format!("fn {test}()");
            let there = TESTS.iter().any(|text| text.contains(&declared));
            assert!(there, "{request} at {door}: no test {test}");
        }
    }
}

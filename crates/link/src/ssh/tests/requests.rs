//! Every request and channel that russh can call us for, and the test that sees it refused: a new one fails here until it
//! has such a test. And what we leave to russh, which is read anew with every version of it.

use crate::ssh::terms;
use std::collections::BTreeMap;

const CALLBACKS: &str = include_str!("../server/callbacks.rs");
/// Says which russh is built.
const LOCK: &str = include_str!("../../../../../Cargo.lock");
/// Where the tests named below stand.
const TESTS: &[&str] = &[
    include_str!("../tests.rs"),
    include_str!("../../../../../tests/tests/attacks.rs"),
    include_str!("../../../../../tests/tests/doors.rs"),
    include_str!("../../../../policy/src/tests/matrix.rs"),
    include_str!("../../../../policy/src/tests/attacks.rs"),
];

/// What is called, and the test in which it is refused; or why nothing can be refused about it.
const REFUSED: &[(&str, Result<&str, &str>)] = &[
    ("auth_none", Ok("nothing_but_a_certificate_lets_one_in")),
    ("auth_password", Ok("nothing_but_a_certificate_lets_one_in")),
    ("auth_keyboard_interactive", Ok("nothing_but_a_certificate_lets_one_in")),
    ("auth_publickey_offered", Ok("a_key_that_is_offered_and_not_signed_for_lets_nobody_in")),
    (
        "auth_openssh_certificate",
        Ok("certificates_that_do_not_count_let_nobody_in_and_stand_in_the_ledger"),
    ),
    ("auth_succeeded", Ok("a_user_who_changes_during_the_sign_in_is_judged_anew")),
    ("channel_open_session", Ok("more_sessions_than_the_limit_are_refused_until_one_ends")),
    ("channel_open_x11", Ok("requests_that_are_never_granted_are_refused_and_stand_in_the_ledger")),
    (
        "channel_open_forwarded_tcpip",
        Ok("requests_that_are_never_granted_are_refused_and_stand_in_the_ledger"),
    ),
    (
        "channel_open_direct_tcpip",
        Ok("forwards_that_no_role_allows_are_refused_and_stand_in_the_ledger"),
    ),
    (
        "channel_open_direct_streamlocal",
        Ok("forwards_that_no_role_allows_are_refused_and_stand_in_the_ledger"),
    ),
    ("data", Ok("a_packet_that_is_longer_than_was_agreed_ends_its_connection")),
    ("extended_data", Ok("a_packet_that_is_longer_than_was_agreed_ends_its_connection")),
    ("channel_close", Err("gives up what is one's own")),
    ("pty_request", Ok("requests_that_are_never_granted_are_refused_and_stand_in_the_ledger")),
    ("x11_request", Ok("windows_of_the_node_show_on_the_clients_display_and_are_recorded")),
    ("env_request", Ok("variables_that_run_code_do_not_reach_the_program_and_stand_in_the_ledger")),
    ("shell_request", Ok("requests_that_are_never_granted_are_refused_and_stand_in_the_ledger")),
    ("exec_request", Ok("requests_that_are_never_granted_are_refused_and_stand_in_the_ledger")),
    (
        "subsystem_request",
        Ok("requests_that_are_never_granted_are_refused_and_stand_in_the_ledger"),
    ),
    ("window_change_request", Err("reaches the terminal of one's own session only")),
    ("agent_request", Ok("forwards_that_no_role_allows_are_refused_and_stand_in_the_ledger")),
    ("signal", Err("reaches one's own program only")),
    ("tcpip_forward", Ok("forwards_that_no_role_allows_are_refused_and_stand_in_the_ledger")),
    ("cancel_tcpip_forward", Err("ends a forward of the same connection only")),
    ("streamlocal_forward", Ok("forwards_that_no_role_allows_are_refused_and_stand_in_the_ledger")),
    ("cancel_streamlocal_forward", Err("ends a forward of the same connection only")),
];

/// The russh whose `server::Handler` was read for the list below, and how many methods that has: a new one of another
/// version may allow by itself what nobody here has heard of.
const READ: (&str, usize) = ("0.65.1", 34);
/// The methods of it that are left to russh, and why what they do by themselves gives nobody anything.
const LEFT: &[(&str, &str)] = &[
    ("auth_publickey", "rejects: a key without a certificate signs nobody in"),
    ("authentication_banner", "says nothing to those who have not signed in"),
    ("channel_eof", "does nothing: the channel's task has heard of it"),
    ("channel_open_confirmation", "does nothing: the channel's task has heard of it"),
    ("window_adjusted", "does nothing: it is how much more the client takes of its own channel"),
    ("adjust_window", "leaves the window as large as it is"),
    ("lookup_dh_gex_group", "picks a good group, in a key exchange that is not offered"),
];

#[test]
fn every_request_that_can_come_has_a_test_that_sees_it_refused() {
    let (_, handler) = CALLBACKS.split_once("Handler for Callbacks<T> {").unwrap();
    let mut expected: BTreeMap<_, _> = REFUSED.iter().copied().collect();
    for line in handler.lines() {
        let rest = line.strip_prefix("    async fn ").or_else(|| line.strip_prefix("    fn "));
        let Some(rest) = rest else { continue };
        let name = rest.split(['(', '<']).next().unwrap();
        let refused = expected.remove(name);
        let refused = refused.unwrap_or_else(|| panic!("say here which test sees {name} refused"));
        if let Ok(test) = refused {
            let declared = format!("fn {test}()");
            assert!(TESTS.iter().any(|text| text.contains(&declared)), "{name}: no test {test}");
        }
    }
    assert!(expected.is_empty(), "no such request any more: {expected:?}");
}

#[test]
fn what_is_left_to_russh_was_read_in_the_version_that_is_built() {
    let (version, methods) = READ;
    let packages = LOCK.split("name = \"russh\"\nversion = \"").skip(1);
    let built: Vec<_> = packages.filter_map(|behind| behind.split('"').next()).collect();
    assert_eq!(built, [version], "read its `server::Handler` anew, and bring the list up to date");
    for (name, why) in LEFT {
        let ours = REFUSED.iter().any(|(refused, _)| refused == name);
        assert!(!ours, "{name} is not left to russh, which {why}");
    }
    assert_eq!(REFUSED.len() + LEFT.len(), methods, "each method stands in one of the lists");
    for name in terms::preferred().kex.iter() {
        let name: &str = name.as_ref();
        assert!(!name.contains("group-exchange"), "{name} asks for a group");
    }
}

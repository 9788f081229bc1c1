//! Attacks on certificates, decisions against a naive oracle, and the matrix of roles, actions and objects.

use crate::*;
use model::role::{AdminRight, Forwarding, NodeFacts, RecordingAction, RoleSet};
use model::{Login, NodeName, Time, UserName};
use proptest::prelude::*;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{Ed25519Keypair, KeypairData, PrivateKey};
use std::net::IpAddr;

const NOW: Time = Time(1_800_000_000_000);

fn key(seed: u8) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "test").unwrap()
}

fn alice(roles: &[&str]) -> Identity {
    let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    Identity::of_account("alice".parse().unwrap(), roles, vec!["deploy".parse().unwrap()], Time(i64::MAX))
}

fn node(labels: &[(&str, &str)]) -> NodeFacts {
    let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    NodeFacts { name: "web-01".parse().unwrap(), labels }
}

fn certified(roles: &[&str]) -> Identity {
    let plan = plan_user_certificate(&default_roles(), &alice(roles), 7, None, NOW).unwrap();
    let signed = plan.builder(key(2).public_key().key_data(), &[0; 16]).unwrap().sign(&key(1)).unwrap();
    read_certificate(&signed, "alice", &[key(1).public_key().clone()], None, NOW).unwrap()
}

#[test]
fn a_certificate_that_was_planned_is_read_back() {
    let who = certified(&["access"]);
    assert_eq!((who.user().as_str(), who.serial()), ("alice", 7));
    assert_eq!(who.roles(), alice(&["access"]).roles());
    let logins: Vec<_> = who.logins().iter().map(Login::as_str).collect();
    assert_eq!(logins, ["alice", "deploy"]);
    assert_eq!(who.expires(), NOW.plus_ms(model::limit::USER_CERTIFICATE_MS));
}

/// Builds a good certificate, lets `change` spoil it, and reads it as `alice` from 10.0.0.1.
fn spoiled(signer: u8, change: impl FnOnce(&mut Builder)) -> Result<Identity, String> {
    spoiled_base(signer, -10..10, CertType::User, "alice", change)
}

/// `life` is in seconds from now. A builder takes type and key id only once.
fn spoiled_base(
    signer: u8,
    life: std::ops::Range<i64>,
    kind: CertType,
    key_id: &str,
    change: impl FnOnce(&mut Builder),
) -> Result<Identity, String> {
    let public = key(2).public_key().key_data().clone();
    let at = |seconds: i64| u64::try_from(NOW.seconds() + seconds).unwrap();
    let mut builder = Builder::new(vec![0; 16], public, at(life.start), at(life.end)).unwrap();
    builder.cert_type(kind).unwrap().key_id(key_id).unwrap();
    builder.valid_principal("alice").unwrap();
    change(&mut builder);
    let certificate = builder.sign(&key(signer)).unwrap();
    let client: IpAddr = "10.0.0.1".parse().unwrap();
    read_certificate(&certificate, "alice", &[key(1).public_key().clone()], Some(client), NOW)
        .map_err(|denial| denial.why().to_owned())
}

#[test]
fn a_certificate_with_anything_wrong_is_refused_for_that_reason() {
    assert!(spoiled(1, |_| ()).is_ok());
    assert!(spoiled(1, |b| drop(b.critical_option("source-address", "10.0.0.0/8").unwrap())).is_ok());
    let user = CertType::User;
    let cases: Vec<(&str, Result<Identity, String>)> = vec![
        ("another authority", spoiled(3, |_| ())),
        ("of type", spoiled_base(1, -1..1, CertType::Host, "alice", |_| ())),
        ("not valid yet", spoiled_base(1, 1..2, user, "alice", |_| ())),
        ("expired", spoiled_base(1, -2..0, user, "alice", |_| ())),
        ("key id", spoiled_base(1, -1..1, user, "not a name", |_| ())),
        ("principals are not usable", spoiled(1, |b| drop(b.valid_principal("root,admin").unwrap()))),
        ("principals are not usable", spoiled(1, |b| drop(b.valid_principal("a\nb").unwrap()))),
        ("not supported", spoiled(1, |b| drop(b.critical_option("force-command", "id").unwrap()))),
        ("not supported", spoiled(1, |b| drop(b.critical_option("verify-required", "").unwrap()))),
        ("not supported", spoiled(1, |b| drop(b.critical_option("new@example.org", "").unwrap()))),
        ("does not count from", spoiled(1, |b| {
            drop(b.critical_option("source-address", "192.168.0.0/16").unwrap());
        })),
        ("roles are not usable", spoiled(1, |b| drop(b.extension("roles@scry", "admin,A B").unwrap()))),
    ];
    for (expected, got) in cases {
        let why = got.expect_err(expected);
        assert!(why.contains(expected), "{why:?} should say {expected:?}");
    }
}

#[test]
fn a_certificate_without_principals_stands_for_nobody() {
    let public = key(2).public_key().key_data().clone();
    let seconds = u64::try_from(NOW.seconds()).unwrap();
    let mut builder = Builder::new(vec![0; 16], public, seconds - 1, seconds + 1).unwrap();
    builder.cert_type(CertType::User).unwrap().key_id("alice").unwrap();
    builder.all_principals_valid().unwrap();
    let certificate = builder.sign(&key(1)).unwrap();
    let got = read_certificate(&certificate, "alice", &[key(1).public_key().clone()], None, NOW);
    assert!(got.unwrap_err().why().contains("no principal"));
}

#[test]
fn a_flipped_bit_anywhere_in_a_certificate_is_refused() {
    let plan = plan_user_certificate(&default_roles(), &alice(&["access"]), 7, None, NOW).unwrap();
    let signed = plan.builder(key(2).public_key().key_data(), &[0; 16]).unwrap().sign(&key(1)).unwrap();
    let bytes = signed.to_bytes().unwrap();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let Ok(certificate) = ssh_key::Certificate::from_bytes(&bytes) else { continue };
        let got = read_certificate(&certificate, "alice", &[key(1).public_key().clone()], None, NOW);
        assert!(got.is_err(), "byte {at}");
    }
}

#[test]
fn a_login_needs_a_principal_and_a_role_both() {
    let roles = default_roles();
    let try_login = |who: &Identity, name: &str| {
        login(&roles, who, &node(&[]), &name.parse().unwrap(), NOW).map(|_| ()).map_err(|d| d.why().to_owned())
    };
    let who = certified(&["access"]);
    assert_eq!(try_login(&who, "alice"), Ok(()));
    assert_eq!(try_login(&who, "deploy"), Ok(()));
    assert!(try_login(&who, "root").unwrap_err().contains("principals"));
    assert!(try_login(&alice(&["access"]), "root").unwrap_err().contains("allow.logins"));
    assert!(try_login(&alice(&[]), "alice").unwrap_err().contains("no role"));
    assert!(try_login(&alice(&["gone"]), "alice").unwrap_err().contains("does not exist"));
    assert_eq!(try_login(&alice(&["gone", "admin"]), "root"), Ok(()));
}

#[test]
fn an_expired_identity_gets_nothing() {
    let who = Identity::of_account("alice".parse().unwrap(), vec!["admin".parse().unwrap()], vec![], NOW);
    let got = login(&default_roles(), &who, &node(&[]), &"root".parse().unwrap(), NOW);
    assert!(got.unwrap_err().why().contains("expired"));
}

#[test]
fn the_person_refused_reads_no_rules_and_the_ledger_reads_all() {
    let who = alice(&["access"]);
    let denial = login(&default_roles(), &who, &node(&[]), &"root".parse().unwrap(), NOW).unwrap_err();
    assert!(!denial.public().contains("allow.logins"), "{}", denial.public());
    assert!(denial.public().contains("scry access explain alice root@web-01"));
    assert!(denial.to_string().contains("role access: allow.logins does not hold root"));
}

fn with_role(text: &str) -> RoleSet {
    let mut roles = default_roles();
    let role: model::role::Role = toml::from_str(text).unwrap();
    validate_role(&role).unwrap();
    roles.roles.insert(role.name.clone(), role);
    roles
}

#[test]
fn deny_beats_allow_and_the_strictest_term_counts() {
    let roles = with_role(
        "name = \"careful\"\n[deny]\nlogins = [\"root\"]\nnodes = { env = [\"prod\"] }\n\
         [options]\nrecord = \"strict\"\nidle_minutes = 5\nsession_minutes = 60\n",
    );
    let who = alice(&["admin", "careful"]);
    let root: Login = "root".parse().unwrap();
    let prod = node(&[("env", "prod")]);
    assert!(login(&roles, &who, &prod, &root, NOW).unwrap_err().why().contains("careful: deny"));
    let permit = login(&roles, &who, &node(&[("env", "dev")]), &root, NOW).unwrap();
    assert_eq!(permit.terms().record, model::role::RecordingPolicy::Strict);
    assert_eq!((permit.terms().idle_ms, permit.terms().session_ms), (Some(300_000), Some(3_600_000)));
}

#[test]
fn a_host_certificate_counts_for_its_names_only() {
    let name: NodeName = "web-01".parse().unwrap();
    let plan = plan_host_certificate(&name, &"home".parse().unwrap(), &[], 1, NOW);
    let signed = plan.builder(key(2).public_key().key_data(), &[0; 16]).unwrap().sign(&key(1)).unwrap();
    let authority = [key(1).public_key().clone()];
    for (typed, good) in [("web-01", true), ("web-01.home", true), ("db-01", false), ("", false)] {
        assert_eq!(read_host_certificate(&signed, typed, &authority, NOW).is_ok(), good, "{typed}");
    }
    assert!(read_host_certificate(&signed, "web-01", &[key(3).public_key().clone()], NOW).is_err());
    assert!(read_certificate(&signed, "web-01", &authority, None, NOW).is_err());
}

#[test]
fn the_matrix_of_roles_actions_and_objects_is_as_reviewed() {
    let mut text = String::new();
    let own: UserName = "alice".parse().unwrap();
    let other: UserName = "bob".parse().unwrap();
    let roles = with_role("name = \"reader\"\n[allow.recordings]\nlist = { nodes = { env = [\"prod\"] } }\n");
    for held in [&[][..], &["access"], &["admin"], &["reader"], &["access", "reader"]] {
        let who = alice(held);
        let mut row = |what: String, allowed: bool| {
            let word = if allowed { "yes" } else { "–" };
            text.push_str(&format!("{:16} {what:44} {word}\n", held.join("+")));
        };
        for (place, labels) in [("dev", &[("env", "dev")]), ("prod", &[("env", "prod")])] {
            for name in ["alice", "deploy", "root", "bob"] {
                let got = login(&roles, &who, &node(labels), &name.parse().unwrap(), NOW);
                row(format!("log in as {name} on {place}"), got.is_ok());
            }
            for what in [Forwarding::Agent, Forwarding::Local, Forwarding::Remote] {
                let got = forward(&roles, &who, &node(labels), &"alice".parse().unwrap(), what, NOW);
                row(format!("forward {what:?} on {place}").to_lowercase(), got.is_ok());
            }
            use RecordingAction::{Export, List, Play, Remove};
            for action in [List, Play, Export, Remove] {
                for owner in [&own, &other] {
                    let got = recording(&roles, &who, action, owner, &node(labels).labels);
                    row(format!("{action:?} recording of {owner} on {place}").to_lowercase(), got.is_ok());
                }
            }
        }
        for right in [AdminRight::Users, AdminRight::Roles, AdminRight::Nodes, AdminRight::Audit] {
            row(format!("administer {right:?}").to_lowercase(), admin(&roles, &who, right).is_ok());
        }
    }
    insta::assert_snapshot!(text);
}

proptest! {
    /// Beside a naive reading of the rules: any of the roles allows, none denies.
    #[test]
    fn decisions_equal_a_naive_reading(
        held in proptest::collection::vec(0usize..4, 0..4),
        login_number in 0usize..4,
        prod in any::<bool>(),
    ) {
        let mut roles = with_role("name = \"no-root\"\n[deny]\nlogins = [\"root\"]\n");
        let dev = "name = \"dev\"\n[allow]\nlogins = [\"root\", \"bob\"]\nnodes = { env = [\"dev\"] }\n";
        roles.roles.extend(with_role(dev).roles);
        let names = ["admin", "access", "no-root", "dev"];
        let held: Vec<_> = held.into_iter().map(|n| names[n]).collect();
        let asked = ["alice", "deploy", "root", "bob"][login_number];
        let env = if prod { "prod" } else { "dev" };
        let allowed = held.iter().any(|role| match *role {
            "admin" => asked != "bob",
            "access" => asked == "alice" || asked == "deploy",
            "dev" => !prod && (asked == "root" || asked == "bob"),
            _ => false,
        });
        let denied = asked == "root" && held.contains(&"no-root");
        let who = alice(&held);
        let place = node(&[("env", env)]);
        let name: Login = asked.parse().unwrap();
        let got = login(&roles, &who, &place, &name, NOW).is_ok();
        prop_assert_eq!(got, allowed && !denied);
        prop_assert_eq!(got, explain(&roles, &who, &place, &name, NOW).allowed);
        prop_assert_eq!(got, logins_on(&roles, &who, &place, NOW).contains(&name) || (got && asked == "bob" && !held.contains(&"dev")));
    }
}

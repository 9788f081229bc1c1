//! Certificates that were planned here, signed by a fixed key and read back; and the makers of others for the attacks.

use super::{NOW, account, login, node, roles};
use crate::{
    CertificateFault, Denial, Identity, PlanFault, Why, builder, default_roles, login_names,
    plan_host_certificate, plan_user_certificate, read_certificate, read_certificate_for_seat,
    read_host_certificate,
};
use model::Time;
use model::limit::{CLOCK_SKEW_MS, USER_CERTIFICATE_MS};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{Certificate, PrivateKey, PublicKey};

/// A key made from a fixed seed.
pub(super) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub(super) const AUTHORITY: u8 = 1;
pub(super) const CLIENT: u8 = 2;
pub(super) const STRANGER: u8 = 3;

pub(super) fn authorities() -> Vec<PublicKey> {
    vec![key(9).public_key().clone(), key(AUTHORITY).public_key().clone()]
}

/// A builder for alice as auth would fill it, but for what `change` does; signed by the key of `seed`.
pub(super) fn signed_by(seed: u8, change: impl FnOnce(&mut Builder)) -> Certificate {
    let (from, until) = ((NOW.seconds() - 60) as u64, (NOW.seconds() + 3600) as u64);
    lived(seed, from, until, |builder| {
        builder.key_id("alice").unwrap();
        change(builder);
    })
}

/// As [`signed_by`], with the life given and nothing else filled in.
pub(super) fn lived(
    seed: u8,
    from: u64,
    until: u64,
    change: impl FnOnce(&mut Builder),
) -> Certificate {
    let subject = key(CLIENT).public_key().clone();
    let mut builder = Builder::new([7; 32], subject, from, until).unwrap();
    change(&mut builder);
    builder.sign(&key(seed)).unwrap()
}

fn planned(who: &Identity, roles: &model::role::RoleSet) -> Certificate {
    let plan = plan_user_certificate(roles, who, None, 42, NOW).unwrap();
    let builder = builder(&plan, key(CLIENT).public_key(), [7; 32]).unwrap();
    let text = builder.sign(&key(AUTHORITY)).unwrap().to_openssh().unwrap();
    Certificate::from_openssh(&text).unwrap()
}

fn read(certificate: &Certificate, login: &str, now: Time) -> Result<Identity, Denial> {
    read_certificate(certificate, login, &authorities(), None, now)
}

#[test]
fn a_planned_certificate_is_read_back_as_the_same_person() {
    let who = account("alice", &["access", "admin"], &["deploy"]);
    let certificate = planned(&who, &default_roles());
    assert_eq!(certificate.valid_principals(), ["alice", "deploy", "root"]);
    assert_eq!(certificate.valid_after(), ((NOW.0 - CLOCK_SKEW_MS) / 1000) as u64);
    let got = read(&certificate, "root", NOW).unwrap();
    assert_eq!((got.user(), got.roles(), got.logins()), (who.user(), who.roles(), who.logins()));
    assert_eq!((got.serial(), got.login()), (42, Some(&login("root"))));
    assert_eq!(got.expires(), NOW.plus_ms(USER_CERTIFICATE_MS));
    assert!(got.permits_pty());
}

#[test]
fn a_certificate_lives_as_long_as_the_strictest_role_or_the_wish_allows() {
    let short = "name = 'short'\noptions.certificate_minutes = 30";
    let mut set = roles(&[short]);
    set.roles.extend(default_roles().roles);
    for (held, wanted_ms, life_ms) in [
        (&["access"][..], None, USER_CERTIFICATE_MS),
        (&["access"], Some(600_000), 600_000),
        (&["access"], Some(i64::MAX), USER_CERTIFICATE_MS),
        (&["access"], Some(-5), 60_000),
        (&["access", "short"], None, 1_800_000),
        (&["access", "short"], Some(i64::MAX), 1_800_000),
    ] {
        let who = account("alice", held, &[]);
        let plan = plan_user_certificate(&set, &who, wanted_ms, 1, NOW).unwrap();
        assert_eq!(plan.expires(), NOW.plus_ms(life_ms), "{held:?} {wanted_ms:?}");
    }
}

#[test]
fn a_certificate_counts_from_its_first_moment_to_just_before_its_last() {
    let certificate = planned(&account("alice", &["access"], &[]), &default_roles());
    let (from, until) = (NOW.plus_ms(-CLOCK_SKEW_MS), NOW.plus_ms(USER_CERTIFICATE_MS));
    for (now, counts) in
        [(from.plus_ms(-1), false), (from, true), (until.plus_ms(-1), true), (until, false)]
    {
        assert_eq!(read(&certificate, "alice", now).is_ok(), counts, "at {now:?}");
    }
}

#[test]
fn a_person_whose_roles_allow_no_login_gets_a_certificate_that_lets_nobody_in() {
    let set = roles(&["name = 'auditor'\nallow.admin = ['audit']"]);
    let who = account("alice", &["auditor"], &["alice"]);
    assert!(login_names(&set, &who, NOW).is_empty());
    let certificate = planned(&who, &set);
    assert_eq!(certificate.valid_principals(), ["-scry-no-login"]);
    for asked in ["alice", "-scry-no-login", ""] {
        let denial = read(&certificate, asked, NOW).unwrap_err();
        assert_eq!(denial.reason(), &Why::Certificate(CertificateFault::NoLogin));
    }
    // It lets them join a session, and still nobody log in: not even with a role that they were given since.
    let seated = read_certificate_for_seat(&certificate, &authorities(), None, NOW).unwrap();
    assert_eq!((seated.user(), seated.roles()), (who.user(), who.roles()));
    assert_eq!((seated.login(), seated.serial()), (None, 42));
    let set =
        roles(&["name = 'auditor'\nallow = { logins = ['{user}'], nodes = { '*' = ['*'] } }"]);
    let denial = crate::login(&set, &seated, &node("n", &[]), &login("alice"), NOW).unwrap_err();
    assert!(denial.why().contains("the certificate names no login"), "{denial}");
}

#[test]
fn a_user_name_that_is_no_login_becomes_no_principal() {
    let who = account("alice@example.org", &["access"], &["deploy"]);
    assert_eq!(login_names(&default_roles(), &who, NOW), [login("deploy")]);
}

#[test]
fn forwards_are_permitted_in_the_certificate_only_where_a_role_allows_them() {
    let only = |what: &str| format!("name = 'only'\nallow.forward = [{what}]");
    for (what, ports, agent) in [
        ("", false, false),
        ("'agent'", false, true),
        ("'local'", true, false),
        ("'remote'", true, false),
        ("'agent', 'remote'", true, true),
    ] {
        let set = roles(&[&only(what)]);
        let certificate = planned(&account("alice", &["only"], &[]), &set);
        let has = |name: &str| certificate.extensions().contains_key(name);
        let got = (has("permit-port-forwarding"), has("permit-agent-forwarding"));
        assert_eq!((got, has("permit-pty")), ((ports, agent), true), "{what}");
        assert!(!has("permit-X11-forwarding") && !has("permit-user-rc"));
    }
}

#[test]
fn roles_do_not_lend_each_other_their_logins_through_the_principals() {
    // `dev` allows the account's own logins; `ops` allows root, elsewhere. Root is a principal, but not `dev`'s to give.
    let set = roles(&[
        "name = 'dev'\nallow.logins = ['{logins}']\nallow.nodes = { env = ['dev'] }",
        "name = 'ops'\nallow.logins = ['root']\nallow.nodes = { env = ['ops'] }",
    ]);
    let certificate = planned(&account("alice", &["dev", "ops"], &["deploy"]), &set);
    let who = read(&certificate, "root", NOW).unwrap();
    let (dev, ops) = (node("dev-1", &[("env", "dev")]), node("ops-1", &[("env", "ops")]));
    assert!(crate::login(&set, &who, &dev, &login("root"), NOW).is_err());
    assert!(crate::login(&set, &who, &dev, &login("deploy"), NOW).is_ok());
    assert!(crate::login(&set, &who, &ops, &login("root"), NOW).is_ok());
}

#[test]
fn more_names_than_fit_are_refused_when_it_is_planned() {
    let many: Vec<String> = (0..129).map(|n| format!("login{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let plan = plan_user_certificate(&default_roles(), &account("a", &[], &many), None, 1, NOW);
    assert_eq!(plan, Err(PlanFault::TooManyNames { what: "logins" }));
    let listed: Vec<String> = (0..257).map(|n| format!("'login{n}'")).collect();
    let set = roles(&[&format!("name = 'many'\nallow.logins = [{}]", listed.join(","))]);
    let plan = plan_user_certificate(&set, &account("a", &["many"], &[]), None, 1, NOW);
    assert_eq!(plan, Err(PlanFault::TooManyPrincipals { count: 257 }));
}

#[test]
fn a_host_certificate_is_believed_under_its_names_and_no_other() {
    let plan = plan_host_certificate(&"web-01".parse().unwrap(), "home", 5, NOW);
    assert_eq!(plan.principals(), ["web-01", "web-01.home"]);
    let certificate = builder(&plan, key(CLIENT).public_key(), [7; 32]).unwrap();
    let certificate = certificate.sign(&key(AUTHORITY)).unwrap();
    for (name, believed) in [
        ("web-01", true),
        ("WEB-01", true),
        ("web-01.home", true),
        ("web-02", false),
        ("web-02.home", false),
        ("*", false),
        ("", false),
    ] {
        let got = read_host_certificate(&certificate, name, &authorities(), NOW);
        assert_eq!(got.is_ok(), believed, "{name:?}");
    }
    let got = read_host_certificate(&certificate, "web-01", &authorities(), NOW).unwrap();
    assert_eq!((got.key_id.as_str(), got.expires), ("web-01", plan.expires()));
    let late = read_host_certificate(&certificate, "web-01", &authorities(), plan.expires());
    assert!(late.is_err());
}

#[test]
fn a_certificate_is_not_certified() {
    let certificate = signed_by(AUTHORITY, |builder| {
        builder.valid_principal("alice").unwrap();
    });
    let subject = PublicKey::from(ssh_key::public::KeyData::Certificate(Box::new(certificate)));
    let who = account("alice", &["access"], &[]);
    let plan = plan_user_certificate(&default_roles(), &who, None, 1, NOW).unwrap();
    assert!(matches!(builder(&plan, &subject, [7; 32]), Err(PlanFault::Key)));
}

#[test]
fn a_host_certificate_with_a_fault_is_not_believed() {
    let host = |builder: &mut Builder| {
        builder.cert_type(CertType::Host).unwrap().valid_principal("web-01").unwrap();
    };
    for (why, certificate) in [
        ("another authority", signed_by(STRANGER, host)),
        (
            "a user's",
            signed_by(AUTHORITY, |builder| {
                builder.valid_principal("web-01").unwrap();
            }),
        ),
        (
            "without principals",
            signed_by(AUTHORITY, |builder| {
                builder.cert_type(CertType::Host).unwrap().all_principals_valid().unwrap();
            }),
        ),
        (
            "a critical option",
            signed_by(AUTHORITY, |builder| {
                host(builder);
                builder.critical_option("source-address", "0.0.0.0/0").unwrap();
            }),
        ),
    ] {
        let got = read_host_certificate(&certificate, "web-01", &authorities(), NOW);
        assert!(got.is_err(), "{why}");
    }
    let good = signed_by(AUTHORITY, host);
    assert!(read_host_certificate(&good, "web-01", &authorities(), NOW).is_ok());
}

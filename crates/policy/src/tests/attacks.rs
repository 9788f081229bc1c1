//! User certificates as an attacker would make them: each is refused, and for the right reason.

use super::NOW;
use super::certificates::{AUTHORITY, CLIENT, STRANGER, authorities, key, lived, signed_by};
use crate::{
    CertificateFault, Denial, Identity, LOGINS_EXTENSION, ROLES_EXTENSION, Why, read_certificate,
    read_certificate_for_seat,
};
use core::net::IpAddr;
use ed25519_dalek::{Signer, SigningKey};
use model::Time;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::{Certificate, HashAlg, PublicKey};

type Door = fn(&Certificate, &[PublicKey], Option<IpAddr>, Time) -> Result<Identity, Denial>;

/// Every way in with a user certificate; what is refused at one is refused at all, and for the same reason.
const DOORS: [(&str, Door); 2] = [
    ("to log in as alice", |certificate, authorities, client, now| {
        read_certificate(certificate, "alice", authorities, client, now)
    }),
    ("to join a session", read_certificate_for_seat),
];

/// Asks at every door from 10.0.0.1 and compares the fault.
fn check(name: &str, certificate: &Certificate, want: Option<CertificateFault>) {
    check_from(name, certificate, Some([10, 0, 0, 1].into()), want);
}

fn check_from(
    name: &str,
    certificate: &Certificate,
    client: Option<IpAddr>,
    want: Option<CertificateFault>,
) {
    for (door, read) in DOORS {
        match (read(certificate, &authorities(), client, NOW), &want) {
            (Ok(_), None) => {}
            (Err(denial), Some(want)) => {
                assert_eq!(denial.reason(), &Why::Certificate(want.clone()), "{name} {door}");
                assert!(denial.public().starts_with("access denied: "), "{name} {door}");
            }
            (got, want) => panic!("{name} {door}: got {got:?}, want {want:?}"),
        }
    }
}

fn alice(builder: &mut Builder) {
    builder.valid_principal("alice").unwrap();
}

fn with_principal(principal: &str) -> Certificate {
    signed_by(AUTHORITY, |builder| {
        builder.valid_principal("alice").unwrap().valid_principal(principal).unwrap();
    })
}

fn with_option(name: &str, value: &str) -> Certificate {
    signed_by(AUTHORITY, |builder| {
        alice(builder);
        builder.critical_option(name, value).unwrap();
    })
}

fn with_extension(name: &str, value: &str) -> Certificate {
    signed_by(AUTHORITY, |builder| {
        alice(builder);
        builder.extension(name, value).unwrap();
    })
}

#[test]
fn the_good_certificate_that_the_attacks_are_made_from_counts() {
    check("good", &signed_by(AUTHORITY, alice), None);
    check("an unknown extension is ignored", &with_extension("x@example.org", "y"), None);
}

#[test]
fn a_certificate_of_another_authority_does_not_count() {
    let fingerprint = key(STRANGER).public_key().fingerprint(HashAlg::Sha256).to_string();
    let want = CertificateFault::Authority { fingerprint };
    check("another authority", &signed_by(STRANGER, alice), Some(want));
    for (door, read) in DOORS {
        let nobody = read(&signed_by(AUTHORITY, alice), &[], None, NOW);
        assert!(nobody.is_err(), "an empty set of authorities trusts nobody {door}");
    }
}

#[test]
fn a_certificate_of_the_wrong_type_does_not_count() {
    let host = signed_by(AUTHORITY, |builder| {
        alice(builder);
        builder.cert_type(CertType::Host).unwrap();
    });
    check("host", &host, Some(CertificateFault::Type { wanted: "user" }));
}

#[test]
fn a_certificate_outside_its_life_does_not_count() {
    let now = NOW.seconds() as u64;
    let fill = |builder: &mut Builder| {
        alice(builder);
        builder.key_id("alice").unwrap();
    };
    for (name, from, until, want) in [
        ("expired", 0, now, Some(CertificateFault::Expired { until: now })),
        ("not yet", now + 1, now + 9, Some(CertificateFault::NotYet { from: now + 1 })),
        ("first second", now, now + 1, None),
        ("never", u64::MAX - 1, u64::MAX, Some(CertificateFault::NotYet { from: u64::MAX - 1 })),
        ("for ever", 0, u64::MAX, None),
    ] {
        check(name, &lived(AUTHORITY, from, until, fill), want);
    }
}

#[test]
fn a_certificate_without_principals_is_for_nobody() {
    let golden = signed_by(AUTHORITY, |builder| {
        builder.all_principals_valid().unwrap();
    });
    check("no principals", &golden, Some(CertificateFault::NoPrincipals));
}

#[test]
fn a_principal_that_is_no_login_spoils_the_certificate() {
    for bad in ["root,alice", "alice\n", "al\0ice", "", " alice", "-alice", "a/b", "älice", "*"] {
        let want = CertificateFault::Principal { found: bad.to_owned() };
        check(bad, &with_principal(bad), Some(want));
    }
    let many = signed_by(AUTHORITY, |builder| {
        for n in 0..257 {
            builder.valid_principal(format!("login{n}")).unwrap();
        }
    });
    check("many", &many, Some(CertificateFault::TooManyPrincipals { count: 257 }));
}

#[test]
fn only_a_named_login_is_let_in() {
    let certificate = with_principal("deploy");
    for (asked, counts) in [
        ("alice", true),
        ("deploy", true),
        ("root", false),
        ("", false),
        ("Alice", false),
        ("alice,deploy", false),
        ("alice\0", false),
    ] {
        let got = read_certificate(&certificate, asked, &authorities(), None, NOW);
        assert_eq!(got.is_ok(), counts, "{asked:?}");
    }
    let seated = read_certificate_for_seat(&certificate, &authorities(), None, NOW).unwrap();
    assert_eq!(seated.login(), None, "who only joins has opened nothing as anybody");
}

#[test]
fn an_unknown_critical_option_is_refused_by_name() {
    for name in ["force-command", "verify-required", "x@example.org", "Source-Address", ""] {
        let want = CertificateFault::CriticalOption { name: name.to_owned() };
        check(name, &with_option(name, "true"), Some(want));
    }
}

#[test]
fn a_source_address_holds_the_client_or_nobody() {
    let ip = |text: &str| Some(text.parse().unwrap());
    for (allowed, client, counts) in [
        ("10.0.0.0/8", ip("10.0.0.1"), true),
        ("10.0.0.0/8", ip("::ffff:10.0.0.1"), true),
        ("10.0.0.0/8", ip("192.168.0.1"), false),
        ("10.0.0.0/8", None, false),
        ("0.0.0.0/0,::/0", None, false),
        ("", ip("10.0.0.1"), false),
        ("10.0.0.0/8,nonsense", ip("10.0.0.1"), false),
    ] {
        let shown = client.map_or("an unknown address".to_owned(), |ip: IpAddr| ip.to_string());
        let fault = CertificateFault::SourceAddress { allowed: allowed.to_owned(), client: shown };
        let certificate = with_option("source-address", allowed);
        check_from(allowed, &certificate, client, (!counts).then_some(fault));
    }
}

#[test]
fn a_key_id_that_is_no_user_name_does_not_count() {
    let (from, until) = ((NOW.seconds() - 1) as u64, (NOW.seconds() + 9) as u64);
    for bad in ["", "alice,bob", "alice\n", "-alice", "a b"] {
        let certificate = lived(AUTHORITY, from, until, |builder| {
            alice(builder);
            builder.key_id(bad).unwrap();
        });
        check(bad, &certificate, Some(CertificateFault::KeyId { found: bad.to_owned() }));
    }
}

#[test]
fn names_in_an_extension_are_names_and_not_too_many() {
    let long = vec!["r"; 129].join(",");
    let wide = "r".repeat(8193);
    for (name, bad) in [
        (ROLES_EXTENSION, "access,Admin"),
        (ROLES_EXTENSION, "access,"),
        (ROLES_EXTENSION, ",access"),
        (ROLES_EXTENSION, "access, admin"),
        (ROLES_EXTENSION, "admin\n"),
        (ROLES_EXTENSION, &long),
        (ROLES_EXTENSION, &wide),
        (LOGINS_EXTENSION, "root,a/b"),
    ] {
        for (door, read) in DOORS {
            let got = read(&with_extension(name, bad), &authorities(), None, NOW);
            let denial = got.expect_err(bad);
            let refused = matches!(
                denial.reason(),
                Why::Certificate(CertificateFault::Extension { name: found, .. }) if *found == name
            );
            assert!(refused, "{name} {bad:?} {door}: {denial}");
        }
    }
    check("none", &with_extension(ROLES_EXTENSION, ""), None);
}

#[test]
fn no_byte_of_a_certificate_can_be_changed() {
    let good = signed_by(AUTHORITY, alice).to_bytes().unwrap();
    let mut read = 0;
    for at in 0..good.len() {
        for bit in [0, 7] {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let Ok(certificate) = Certificate::from_bytes(&bytes) else { continue };
            read += 1;
            for (door, read) in DOORS {
                let got = read(&certificate, &authorities(), None, NOW);
                assert!(got.is_err(), "byte {at}, bit {bit} {door}");
            }
        }
    }
    assert!(read > 100, "too few of the changed certificates could be read: {read}");
}

#[test]
fn a_certificate_that_is_signed_by_a_certificate_does_not_count() {
    // CVE-2025-49825: the inner certificate is the cluster's own for a client, who signs the outer one with its key.
    let inner = signed_by(AUTHORITY, alice);
    let outer = signed_with_certificate(&inner, CLIENT);
    let parsed = Certificate::from_bytes(&outer).unwrap();
    assert!(parsed.signature_key().is_certificate());
    check("signed by a certificate", &parsed, Some(CertificateFault::SignedByCertificate));
    // Not even when somebody put the certificate among the authorities.
    let authority = PublicKey::from(parsed.signature_key().clone());
    for (door, read) in DOORS {
        let got = read(&parsed, std::slice::from_ref(&authority), None, NOW).unwrap_err();
        let want = Why::Certificate(CertificateFault::SignedByCertificate);
        assert_eq!(got.reason(), &want, "{door}");
    }
}

/// A certificate for alice whose signing key is `inner`, signed by the key of `seed`; by hand, because no library makes one.
fn signed_with_certificate(inner: &Certificate, seed: u8) -> Vec<u8> {
    let good = signed_by(AUTHORITY, alice).to_bytes().unwrap();
    let string = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length, bytes].concat()
    };
    let plain_key = 4 + key(AUTHORITY).public_key().to_bytes().unwrap().len();
    let signature = 4 + (4 + 11) + (4 + 64);
    let mut bytes = good[..good.len() - signature - plain_key].to_vec();
    bytes.extend(string(&inner.to_bytes().unwrap()));
    let signed = SigningKey::from_bytes(&[seed; 32]).sign(&bytes).to_bytes();
    bytes.extend(string(&[string(b"ssh-ed25519"), string(&signed)].concat()));
    bytes
}

#[test]
fn the_hand_made_certificate_would_count_if_its_signing_key_were_plain() {
    let good = signed_by(AUTHORITY, alice).to_bytes().unwrap();
    let signature = 4 + (4 + 11) + (4 + 64);
    let (statement, tail) = good.split_at(good.len() - signature);
    let signed = SigningKey::from_bytes(&[AUTHORITY; 32]).sign(statement).to_bytes();
    assert_eq!(&tail[tail.len() - 64..], signed, "the hand-made signature is made the right way");
}

//! The settings of a certificate for browsers that the proxy gets by itself, from an ACME server.

use super::{Shape, read_as_text};
use miette::Diagnostic;
use model::NodeName;
use model::limit::ACME_NAMES;
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;
use wire::name::INTERNAL;

/// Whom to ask if nothing else is said.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Certificates to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// By which names browsers come; each has a certificate of its own.
    pub names: Vec<WebName>,
    /// Whom the server may write to.
    pub contact: Option<Contact>,
    /// The server.
    pub directory: Directory,
    /// PEM file of the authority that signed the server's own certificate, if machines do not know it.
    pub authority: Option<PathBuf>,
}

/// As flags and file say it.
#[derive(Debug, Default)]
pub struct Given {
    pub names: Option<Vec<WebName>>,
    pub contact: Option<Contact>,
    pub agree: Option<bool>,
    pub directory: Option<Directory>,
    pub authority: Option<PathBuf>,
}

/// Why they cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum AcmeError {
    /// Nobody would see it.
    #[error("--web-acme is for a proxy, and none runs in this process")]
    NoProxy,
    /// Without names the others say nothing.
    #[error("{0} is for --web-acme, which names nobody")]
    #[diagnostic(help("say for which names to ask: --web-acme scry.example.org"))]
    Nothing(&'static str),
    /// Nobody has agreed.
    #[error(
        "an ACME server gives certificates to whoever agrees to its terms of service, and nobody has"
    )]
    #[diagnostic(help(
        "read them (Let's Encrypt: https://letsencrypt.org/repository/), then add --web-acme-agree-tos, or \
         web_acme_agree_tos = true"
    ))]
    Terms,
    /// More than a proxy asks for.
    #[error("--web-acme has {0} names, and a proxy asks for {ACME_NAMES} at most")]
    #[diagnostic(help("one certificate for all of them comes from another program: --web-cert"))]
    TooMany(usize),
}

impl Given {
    /// What to do; nothing if no names are said.
    pub fn gather(self, roles: Shape) -> Result<Option<Acme>, AcmeError> {
        let mut names = self.names.unwrap_or_default();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            let said = [
                (self.contact.is_some(), "--web-acme-contact"),
                (self.directory.is_some(), "--web-acme-directory"),
                (self.authority.is_some(), "--web-acme-ca"),
            ];
            return match said.iter().find(|(said, _)| *said) {
                Some((_, flag)) => Err(AcmeError::Nothing(flag)),
                None => Ok(None),
            };
        }
        if matches!(roles, Shape::Auth | Shape::Node) {
            return Err(AcmeError::NoProxy);
        }
        if names.len() > ACME_NAMES {
            return Err(AcmeError::TooMany(names.len()));
        }
        if self.agree != Some(true) {
            return Err(AcmeError::Terms);
        }
        let (contact, authority) = (self.contact, self.authority);
        let directory = self.directory.unwrap_or_else(|| Directory(LETS_ENCRYPT.to_owned()));
        Ok(Some(Acme { names, contact, directory, authority }))
    }
}

/// A DNS name that an ACME server can look at, in small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebName(String);

impl WebName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
        if name.starts_with("*.") {
            let why = "it has a star, and nobody can look at all names of a domain over one port: name each, or take \
                       another program that proves it by DNS, and --web-cert";
            return Err(why.to_owned());
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<IpAddr>().is_ok() {
            return Err("it is an address, and certificates are asked for names".to_owned());
        }
        if name == INTERNAL || name.ends_with(&format!(".{INTERNAL}")) {
            return Err(format!("names below {INTERNAL} are the cluster's own"));
        }
        // RFC 1035 §2.3.4, and what the name of a file has room for.
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        match name.parse::<NodeName>() {
            Ok(_) if name.split('.').all(label) => Ok(Self(name)),
            _ => Err("it is no DNS name: letters, digits, dashes and dots, 128 at most; others are written as xn--…"
                .to_owned()),
        }
    }
}

impl fmt::Display for WebName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One address of mail, as `mailto:` URL (RFC 8555 §7.3: without fields behind it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(String);

impl Contact {
    /// As URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Contact {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.trim();
        let address = address.strip_prefix("mailto:").unwrap_or(address);
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '?' | ':');
        match address.split_once('@') {
            Some((who, host))
                if !who.is_empty()
                    && !host.is_empty()
                    && !host.contains('@')
                    && !address.contains(odd) =>
            {
                Ok(Self(format!("mailto:{address}")))
            }
            _ => Err("it is one address of mail, such as admin@example.org"),
        }
    }
}

/// Where an ACME server begins (RFC 8555 §7.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(String);

impl Directory {
    /// As URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Directory {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = text.trim().parse::<axum::http::Uri>().ok();
        let good = url.as_ref().is_some_and(|url| {
            url.scheme_str() == Some("https")
                && url.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        });
        match good {
            true => Ok(Self(text.trim().to_owned())),
            false => Err("it is the https:// address of an ACME server's directory"),
        }
    }
}

read_as_text!(WebName, Contact, Directory);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_can_be_looked_at_or_the_reason_is_told() {
        for (text, expected) in [
            ("scry.example.org", Ok("scry.example.org")),
            ("Scry.Example.ORG.", Ok("scry.example.org")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("localhost", Ok("localhost")),
            ("*.example.org", Err("has a star")),
            ("192.0.2.1", Err("is an address")),
            ("[2001:db8::1]", Err("is an address")),
            ("proxy.scry.internal", Err("the cluster's own")),
            ("scry.internal", Err("the cluster's own")),
            ("", Err("no DNS name")),
            ("bücher.example", Err("xn--")),
            ("a..b", Err("no DNS name")),
            ("a.-b", Err("no DNS name")),
            ("../../etc", Err("no DNS name")),
            (&"a.".repeat(99), Err("no DNS name")),
            (&"a".repeat(64), Err("no DNS name")),
        ] {
            match (text.parse::<WebName>(), expected) {
                (Ok(name), Ok(expected)) => assert_eq!(name.as_str(), expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
    }

    #[test]
    fn a_contact_is_one_address_and_a_directory_is_https() {
        for (text, good) in [
            ("admin@example.org", true),
            ("mailto:admin@example.org", true),
            ("admin", false),
            ("a@b@c", false),
            ("a@b, c@d", false),
            ("mailto:a@b?subject=x", false),
            ("tel:1@2", false),
        ] {
            let read = text.parse::<Contact>();
            assert_eq!(read.is_ok(), good, "{text}");
            assert!(read.is_err() || read.unwrap().as_str().starts_with("mailto:"));
        }
        for (text, good) in [
            (LETS_ENCRYPT, true),
            ("https://ca.lan:14000/dir", true),
            ("http://ca.lan/dir", false),
            ("https://user:password@ca.lan/dir", false),
            ("ca.lan/dir", false),
            ("https://", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Directory>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn names_need_a_proxy_and_somebody_who_agrees_and_the_rest_needs_names() {
        let names = |names: &[&str]| {
            let names = names.iter().map(|name| name.parse().unwrap());
            Given { names: Some(names.collect()), agree: Some(true), ..Given::default() }
        };
        let check = |given: Given, roles: Shape, why: &str| {
            let error = given.gather(roles).unwrap_err().to_string();
            assert!(error.contains(why), "{error} should say {why}");
        };
        check(names(&["a.example"]), Shape::Node, "none runs in this process");
        check(names(&["a.example"]), Shape::Auth, "none runs in this process");
        for agree in [None, Some(false)] {
            check(Given { agree, ..names(&["a.example"]) }, Shape::All, "agrees to its terms");
        }
        let many: Vec<_> = (0..=ACME_NAMES).map(|number| format!("a{number}.example")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        check(names(&many), Shape::All, "33 names");
        let contact = "a@b.example".parse().ok();
        check(Given { contact, ..names(&[]) }, Shape::All, "--web-acme-contact is for --web-acme");
        let alone = Given { directory: LETS_ENCRYPT.parse().ok(), ..Given::default() };
        check(alone, Shape::All, "--web-acme-directory is for --web-acme");
        assert_eq!(Given::default().gather(Shape::Node).unwrap(), None);
        let got = names(&["b.example", "a.example", "b.example"]).gather(Shape::Proxy).unwrap();
        let got = got.unwrap();
        assert_eq!(
            got.names.iter().map(WebName::as_str).collect::<Vec<_>>(),
            ["a.example", "b.example"]
        );
        assert_eq!(got.directory.as_str(), LETS_ENCRYPT);
    }
}

//! Which of the files and connections that the kernel sees are recorded: all, or those that roles name.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::marker::PhantomData;
use thiserror::Error;

use crate::limit::{KERNEL_FOLDER_BYTES, KERNEL_SCOPE};

/// What a role wants of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish<F> {
    /// All of it, or nothing.
    Said(bool),
    /// Some of it.
    Only(F),
}

impl<F: Serialize> Serialize for Wish<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Said(said) => to.serialize_bool(*said),
            Self::Only(filter) => filter.serialize(to),
        }
    }
}

impl<F: JsonSchema> JsonSchema for Wish<F> {
    fn schema_name() -> Cow<'static, str> {
        format!("BoolOr{}", F::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let filter = generator.subschema_for::<F>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, filter] })
    }
}

/// By hand, so that what is wrong inside of a filter is said, and not that it is neither of the two.
impl<'de, F: Deserialize<'de>> Deserialize<'de> for Wish<F> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<F>(PhantomData<F>);
        impl<'de, F: Deserialize<'de>> Visitor<'de> for Either<F> {
            type Value = Wish<F>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("true, false, or a table that says which")
            }

            fn visit_bool<E>(self, said: bool) -> Result<Self::Value, E> {
                Ok(Wish::Said(said))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                F::deserialize(MapAccessDeserializer::new(map)).map(Wish::Only)
            }
        }
        from.deserialize_any(Either(PhantomData))
    }
}

/// Files at and below some folders.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields, default)]
pub struct FileFilter {
    /// Below which; below any if none is named.
    pub under: Vec<Folder>,
    /// But not below these.
    pub except: Vec<Folder>,
}

/// Connections to some networks.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkFilter {
    /// To which; to any if none is named.
    pub to: Vec<Network>,
    /// But not to these.
    pub except: Vec<Network>,
}

impl FileFilter {
    /// Whether it wants what has this absolute path.
    #[must_use]
    pub fn wants(&self, path: &str) -> bool {
        let below = |all: &[Folder]| all.iter().any(|folder| folder.holds(path));
        (self.under.is_empty() || below(&self.under)) && !below(&self.except)
    }

    /// How many folders it names.
    #[must_use]
    pub fn names(&self) -> usize {
        self.under.len() + self.except.len()
    }
}

impl NetworkFilter {
    /// Whether it wants what goes there, or comes from there.
    #[must_use]
    pub fn wants(&self, address: IpAddr) -> bool {
        let within = |all: &[Network]| all.iter().any(|network| network.holds(address));
        (self.to.is_empty() || within(&self.to)) && !within(&self.except)
    }

    /// How many networks it names.
    #[must_use]
    pub fn names(&self) -> usize {
        self.to.len() + self.except.len()
    }
}

/// What of the watched classes is recorded: what any of the filters wants. All of a class that has none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Of files.
    pub files: Vec<FileFilter>,
    /// Of connections.
    pub network: Vec<NetworkFilter>,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self { files: Vec::new(), network: Vec::new() };

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// A scope that is within [`KERNEL_SCOPE`]; of more filters than that everything is wanted.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        if self.files.iter().map(FileFilter::names).sum::<usize>() > KERNEL_SCOPE {
            self.files.clear();
        }
        if self.network.iter().map(NetworkFilter::names).sum::<usize>() > KERNEL_SCOPE {
            self.network.clear();
        }
        self
    }

    /// Whether a file of this absolute path is recorded.
    #[must_use]
    pub fn wants_file(&self, path: &str) -> bool {
        self.files.is_empty() || self.files.iter().any(|filter| filter.wants(path))
    }

    /// Whether a connection with this other end is recorded.
    #[must_use]
    pub fn wants_address(&self, address: IpAddr) -> bool {
        self.network.is_empty() || self.network.iter().any(|filter| filter.wants(address))
    }
}

/// What wishes of several roles for one class come to: what any of them wants. `None` if none wants anything of it; no
/// filter is all of it.
#[must_use]
pub fn union<'w, F: Clone + Ord + 'w>(wishes: impl Iterator<Item = &'w Wish<F>>) -> Option<Vec<F>> {
    let (mut filters, mut all) = (Vec::new(), false);
    for wish in wishes {
        match wish {
            Wish::Said(said) => all |= said,
            Wish::Only(filter) => filters.push(filter.clone()),
        }
    }
    if all {
        return Some(Vec::new());
    }
    filters.sort();
    filters.dedup();
    (!filters.is_empty()).then_some(filters)
}

fn list<T: fmt::Display>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn words(first: &str, some: String, except: String) -> String {
    match (some.is_empty(), except.is_empty()) {
        (true, true) => "all".to_owned(),
        (true, false) => format!("all but {first} {except}"),
        (false, true) => format!("{first} {some}"),
        (false, false) => format!("{first} {some} but not {except}"),
    }
}

impl fmt::Display for FileFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&words("under", list(&self.under), list(&self.except)))
    }
}

impl fmt::Display for NetworkFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&words("to", list(&self.to), list(&self.except)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |class: &str, filters: Vec<String>| match filters.is_empty() {
            true => None,
            false => Some(format!("{class} {}", filters.join(", and also "))),
        };
        let files = self.files.iter().map(ToString::to_string).collect();
        let network = self.network.iter().map(ToString::to_string).collect();
        let all = [one("files", files), one("connections", network)];
        out.write_str(&all.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

/// An absolute path without detours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Folder(String);

/// Why a text is no folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FolderError {
    /// Relative.
    #[error("a folder begins with a slash")]
    Relative,
    /// With a dot, two dots, nothing between two slashes, or a slash at its end.
    #[error("a folder has no `.`, no `..`, no empty part and no slash at its end")]
    Detour,
    /// Too long.
    #[error("a folder has at most {KERNEL_FOLDER_BYTES} bytes")]
    TooLong,
    /// Control characters.
    #[error("a folder holds no control characters")]
    Control,
}

impl Folder {
    /// Whether a path is it, or is below it.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        let own = if self.0 == "/" { "" } else { &self.0 };
        path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl JsonSchema for Folder {
    fn schema_name() -> Cow<'static, str> {
        "Folder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl FromStr for Folder {
    type Err = FolderError;

    fn from_str(text: &str) -> Result<Self, FolderError> {
        let Some(parts) = text.strip_prefix('/') else { return Err(FolderError::Relative) };
        if text.len() > KERNEL_FOLDER_BYTES {
            return Err(FolderError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(FolderError::Control);
        }
        let detour = |part: &str| matches!(part, "" | "." | "..");
        if !parts.is_empty() && parts.split('/').any(detour) {
            return Err(FolderError::Detour);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Folder {
    type Error = FolderError;

    fn try_from(text: String) -> Result<Self, FolderError> {
        text.parse()
    }
}

impl From<Folder> for String {
    fn from(folder: Folder) -> Self {
        folder.0
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// An address, or a block of addresses (RFC 4632, RFC 4291 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    /// Bits that count.
    length: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Neither of the two kinds of addresses.
    #[error(
        "a network is an address, or an address, a slash and a number of bits, such as 10.0.0.0/8"
    )]
    Form,
    /// Bits of the address behind the length.
    #[error("the address of a network has no bits behind its length")]
    Bits,
}

impl Network {
    /// Whether an address is in it. One of version 4 that is written as one of version 6 is the former.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.address.is_ipv4() != address.is_ipv4() {
            return false;
        }
        let ((own, width), (other, _)) = (number(self.address), number(address));
        let bits = width - u32::from(self.length);
        bits >= 128 || own >> bits == other >> bits
    }
}

/// An address as a number, and how many bits that has.
fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let (own, width) = number(address);
        let digits = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        let length = length.map_or(Some(width), digits).filter(|length| *length <= width);
        let length = length.ok_or(NetworkError::Form)?;
        let bits = width - length;
        if bits < 128 && own & !(u128::MAX << bits) != 0 || bits == 128 && own != 0 {
            return Err(NetworkError::Bits);
        }
        Ok(Self { address, length: u8::try_from(length).map_err(|_| NetworkError::Form)? })
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, length } = self;
        match number(*address).1 == u32::from(*length) {
            true => write!(out, "{address}"),
            false => write!(out, "{address}/{length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(all: &[&str]) -> Vec<Folder> {
        all.iter().map(|one| one.parse().unwrap()).collect()
    }

    #[test]
    fn a_folder_is_an_absolute_path_without_detours_and_holds_what_is_below_it() {
        use FolderError::{Control, Detour, Relative, TooLong};
        for (text, wrong) in [
            ("", Relative),
            ("etc", Relative),
            ("./etc", Relative),
            ("/etc/", Detour),
            ("//etc", Detour),
            ("/etc/../root", Detour),
            ("/./etc", Detour),
            ("/a\nb", Control),
            (&format!("/{}", "a".repeat(KERNEL_FOLDER_BYTES)), TooLong),
        ] {
            assert_eq!(text.parse::<Folder>(), Err(wrong), "{text:?}");
        }
        for (folder, path, holds) in [
            ("/etc", "/etc", true),
            ("/etc", "/etc/shadow", true),
            ("/etc", "/etcetera", false),
            ("/etc", "/", false),
            ("/etc", "memfd:/etc", false),
            ("/", "/x", true),
            ("/", "/", true),
            ("/", "pipe:[1]", false),
        ] {
            assert_eq!(folder.parse::<Folder>().unwrap().holds(path), holds, "{folder} {path}");
        }
    }

    #[test]
    fn a_filter_wants_what_is_named_but_for_the_exceptions() {
        let filter =
            FileFilter { under: folders(&["/etc", "/srv"]), except: folders(&["/srv/cache"]) };
        for (path, wants) in [
            ("/etc/passwd", true),
            ("/srv/x", true),
            ("/srv/cache", false),
            ("/srv/cache/x", false),
            ("/srv/cached", true),
            ("/usr/lib/x", false),
        ] {
            assert_eq!(filter.wants(path), wants, "{path}");
        }
        let but = FileFilter { under: Vec::new(), except: folders(&["/usr"]) };
        assert!(but.wants("/etc/x") && !but.wants("/usr/lib/x"));
        let network = |text: &str| text.parse::<Network>().unwrap();
        let filter = NetworkFilter {
            to: vec![network("10.0.0.0/8"), network("::/0")],
            except: vec![network("10.1.0.0/16")],
        };
        for (address, wants) in [
            ("10.2.3.4", true),
            ("::ffff:10.2.3.4", true),
            ("10.1.3.4", false),
            ("::ffff:10.1.3.4", false),
            ("8.8.8.8", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(filter.wants(address.parse().unwrap()), wants, "{address}");
        }
    }

    #[test]
    fn a_network_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in ["10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.7/32".parse::<Network>().unwrap().to_string(), "192.0.2.7");
        for (text, wrong) in [
            ("", NetworkError::Form),
            ("10.0.0.0/33", NetworkError::Form),
            ("10.0.0.0/+8", NetworkError::Form),
            ("10.0.0.0/", NetworkError::Form),
            ("web-01", NetworkError::Form),
            ("10.0.0.1/8", NetworkError::Bits),
            ("::1/0", NetworkError::Bits),
        ] {
            assert_eq!(text.parse::<Network>(), Err(wrong), "{text:?}");
        }
    }

    #[test]
    fn what_any_role_wants_is_wanted() {
        let only = |under: &str| {
            Wish::Only(FileFilter { under: folders(&[under]), ..FileFilter::default() })
        };
        let check = |wishes: &[Wish<FileFilter>], wanted: Option<&str>| {
            let got = union(wishes.iter());
            let scope = got.map(|files| Scope { files, network: Vec::new() }.to_string());
            assert_eq!(scope.as_deref(), wanted);
        };
        check(&[], None);
        check(&[Wish::Said(false)], None);
        check(&[Wish::Said(false), only("/etc")], Some("files under /etc"));
        check(
            &[only("/srv"), only("/etc"), only("/srv")],
            Some("files under /etc, and also under /srv"),
        );
        check(&[only("/etc"), Wish::Said(true)], Some(""));
    }

    #[test]
    fn more_filters_than_a_session_may_have_leave_nothing_out() {
        let many = |count| FileFilter {
            under: vec!["/x".parse().unwrap(); count],
            ..FileFilter::default()
        };
        let scope = |count| Scope { files: vec![many(count)], network: Vec::new() }.bounded();
        assert!(!scope(KERNEL_SCOPE).is_all() && scope(KERNEL_SCOPE + 1).is_all());
    }

    #[test]
    fn a_wish_is_a_word_or_a_filter_and_what_is_wrong_in_it_is_said() {
        let read = |text: &str| serde_json::from_str::<Wish<FileFilter>>(text);
        assert_eq!(read("true").unwrap(), Wish::Said(true));
        let filter = r#"{"under":["/etc"],"except":[]}"#;
        let wish = read(filter).unwrap();
        assert_eq!(serde_json::to_string(&wish).unwrap(), filter);
        for (text, wrong) in [
            (r#"{"under":["etc"]}"#, "begins with a slash"),
            (r#"{"below":["/etc"]}"#, "unknown field"),
            (r#""yes""#, "true, false, or a table"),
            ("7", "true, false, or a table"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wrong), "{text}: {error}");
        }
        let scope = Scope {
            files: vec![FileFilter { under: folders(&["/etc"]), ..FileFilter::default() }],
            ..Scope::ALL
        };
        let bytes = postcard::to_allocvec(&scope).unwrap();
        assert_eq!(postcard::from_bytes::<Scope>(&bytes).unwrap(), scope);
    }
}

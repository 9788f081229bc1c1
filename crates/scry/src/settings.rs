//! Settings of `scry start`: flags, then environment, then the TOML file, then defaults; parsed once into a total `Settings`.

mod acme;

pub use acme::Acme;

use crate::cli::{Invitation, label};
use crate::web_certificate::Files;
use acme::{AcmeError, Contact, Directory, Given, WebName};
use clap::Args;
use miette::{Diagnostic, NamedSource, SourceSpan};
use model::role::Labels;
use model::{NodeName, UserName};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;
use wire::node::Part;

/// Port that people and nodes reach.
pub const PORT: u16 = 4422;

/// Flags of `scry start`; each has an environment variable and a key in the file.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// TOML file with settings
    #[arg(long, env = "SCRY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Parts of scry that this process runs; all of them if not said
    #[arg(long, env = "SCRY_ROLES", value_name = "ROLE,…", value_delimiter = ',')]
    pub roles: Option<Vec<Role>>,
    /// Invitation of a machine, as `scry nodes invite` prints it, or `file:PATH` of one; needed once
    #[arg(long, env = "SCRY_JOIN", value_name = "INVITATION", hide_env_values = true)]
    pub join: Option<Joining>,
    /// Proxies of the cluster that a node dials, when they have moved since it joined
    #[arg(long, env = "SCRY_PROXY", value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub proxy: Option<Vec<String>>,
    /// Folder for keys, database, recordings and spool
    #[arg(long, env = "SCRY_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Name of the cluster, also the domain of its nodes: `ssh web-01.NAME`
    #[arg(long, env = "SCRY_CLUSTER", value_name = "NAME")]
    pub cluster: Option<NodeName>,
    /// The one address that people and nodes connect to
    #[arg(long, env = "SCRY_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// A port of the node's own, for clients that reach the machine without the proxy; none if not said
    #[arg(long, env = "SCRY_SSH_LISTEN", value_name = "ADDRESS:PORT")]
    pub ssh_listen: Option<SocketAddr>,
    /// Address by which others reach `listen`, as invitations name it
    #[arg(long, env = "SCRY_PUBLIC_ADDRESS", value_name = "HOST:PORT")]
    pub public_address: Option<String>,
    /// A certificate for browsers that somebody else signed, PEM, the leaf first; read again when it changes, or on SIGHUP
    #[arg(long, env = "SCRY_WEB_CERT", value_name = "FILE")]
    pub web_cert: Option<PathBuf>,
    /// Its key, PEM, without a password
    #[arg(long, env = "SCRY_WEB_KEY", value_name = "FILE")]
    pub web_key: Option<PathBuf>,
    /// Names for which to get certificates for browsers from an ACME server, such as Let's Encrypt; port 443 of them must lead to `listen`
    #[arg(long, env = "SCRY_WEB_ACME", value_name = "NAME,…", value_delimiter = ',')]
    pub web_acme: Option<Vec<WebName>>,
    /// You agree to the ACME server's terms of service; it gives nothing to whoever does not
    #[arg(
        long,
        env = "SCRY_WEB_ACME_AGREE_TOS",
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub web_acme_agree_tos: Option<bool>,
    /// Address of mail that the ACME server may write to; it is told none if not said
    #[arg(long, env = "SCRY_WEB_ACME_CONTACT", value_name = "ADDRESS")]
    pub web_acme_contact: Option<Contact>,
    /// The ACME server's directory; Let's Encrypt's if not said
    #[arg(long, env = "SCRY_WEB_ACME_DIRECTORY", value_name = "URL")]
    pub web_acme_directory: Option<Directory>,
    /// Authority of the ACME server's own certificate, PEM, if machines do not trust it anyway
    #[arg(long, env = "SCRY_WEB_ACME_CA", value_name = "FILE")]
    pub web_acme_ca: Option<PathBuf>,
    /// Where auth listens for the proxy
    #[arg(long, env = "SCRY_AUTH_LISTEN", value_name = "ADDRESS:PORT")]
    pub auth_listen: Option<SocketAddr>,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, env = "SCRY_DIAGNOSTICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub diagnostics_listen: Option<SocketAddr>,
    /// Space of auth's disk that is kept free: 2GiB, or 10%; below it each node has its reserve only
    #[arg(long, env = "SCRY_KEEP_FREE", value_name = "SIZE|PERCENT")]
    pub keep_free: Option<Amount>,
    /// Space of auth's disk that the recordings of one node may take: 100GiB, or 80%
    #[arg(long, env = "SCRY_NODE_QUOTA", value_name = "SIZE|PERCENT")]
    pub node_quota: Option<Amount>,
    /// What auth takes from each node when its disk is low, of what it keeps free: 16MiB
    #[arg(long, env = "SCRY_NODE_RESERVE", value_name = "SIZE")]
    pub node_reserve: Option<Size>,
    /// Who the first invitation is for
    #[arg(long, env = "SCRY_ADMIN", value_name = "USER")]
    pub admin: Option<UserName>,
    /// Name of this machine's node
    #[arg(long, env = "SCRY_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<NodeName>,
    /// A label of this machine's node; several are given one by one, or with commas
    #[arg(long = "label", env = "SCRY_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub labels: Option<Vec<(String, String)>>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,node=debug`
    #[arg(long, env = "SCRY_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged
    #[arg(long, env = "SCRY_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

/// A part of scry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Certificate authority, people, roles, recordings, ledger
    Auth,
    /// The one port that people and nodes reach
    Proxy,
    /// This machine's SSH server and recorder
    Node,
}

/// How a machine is let in: the invitation, or a file that holds it, so that it does not stand in the list of processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// The invitation itself.
    Invitation(Invitation),
    /// A file.
    File(PathBuf),
}

impl FromStr for Joining {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(path.into()));
        }
        let invitation: Invitation = text.parse()?;
        match Part::of_token(&invitation.code) {
            Some(_) => Ok(Self::Invitation(invitation)),
            None => {
                Err("this invites a person (`scry signup`); `scry nodes invite` invites a machine")
            }
        }
    }
}

/// A number of bytes, written as `512MiB`, `2GB` or `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// A number of bytes, or a part of the disk, written as `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub auth::Share);

/// Units of [`Size`], the longest first.
const UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("TB", 1000 * 1000 * 1000 * 1000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
        let (number, unit) = unit.unwrap_or((text, 1));
        let number = number.trim().parse::<u64>().ok();
        let bytes = number.and_then(|number| number.checked_mul(unit));
        bytes.map(Self).ok_or("a size is a whole number with a unit, such as 512MiB or 2GB")
    }
}

impl FromStr for Amount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(percent) = text.strip_suffix('%') else {
            return Ok(Self(auth::Share::Bytes(text.parse::<Size>()?.0)));
        };
        let percent = percent.trim().parse().ok().filter(|percent| *percent <= 100);
        percent
            .map(|percent| Self(auth::Share::Percent(percent)))
            .ok_or("a part of the disk is 0% to 100%")
    }
}

/// Reads settings of these types from a file as from a flag.
macro_rules! read_as_text {
    ($($setting:ty),*) => {$(
        impl<'de> Deserialize<'de> for $setting {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

use read_as_text;
read_as_text!(Joining, Size, Amount);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The file, as written. Keys are listed once more in [`KEYS`]; a test holds the two together.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    roles: Option<Vec<Role>>,
    join: Option<Joining>,
    proxy: Option<Vec<String>>,
    data_dir: Option<PathBuf>,
    cluster: Option<NodeName>,
    listen: Option<SocketAddr>,
    ssh_listen: Option<SocketAddr>,
    public_address: Option<String>,
    web_cert: Option<PathBuf>,
    web_key: Option<PathBuf>,
    web_acme: Option<Vec<WebName>>,
    web_acme_agree_tos: Option<bool>,
    web_acme_contact: Option<Contact>,
    web_acme_directory: Option<Directory>,
    web_acme_ca: Option<PathBuf>,
    auth_listen: Option<SocketAddr>,
    diagnostics_listen: Option<SocketAddr>,
    keep_free: Option<Amount>,
    node_quota: Option<Amount>,
    node_reserve: Option<Size>,
    admin: Option<UserName>,
    node_name: Option<NodeName>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    labels: Labels,
}

/// Every key of the file. Below `labels` any key is a label.
const KEYS: &[&str] = &[
    "roles",
    "join",
    "proxy",
    "data_dir",
    "cluster",
    "listen",
    "ssh_listen",
    "public_address",
    "web_cert",
    "web_key",
    "web_acme",
    "web_acme_agree_tos",
    "web_acme_contact",
    "web_acme_directory",
    "web_acme_ca",
    "auth_listen",
    "diagnostics_listen",
    "keep_free",
    "node_quota",
    "node_reserve",
    "admin",
    "node_name",
    "log",
    "log_format",
    "labels",
];

/// Everything `scry start` needs to know; nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What this process runs.
    pub roles: Shape,
    /// How this machine is let in, if it has not joined yet.
    pub join: Option<Invitation>,
    /// Proxies to dial; those of the invitation, or of the last start, if none.
    pub proxies: Vec<String>,
    /// Folder for keys, database, recordings and spool.
    pub data_dir: PathBuf,
    /// Name of the cluster.
    pub cluster: NodeName,
    /// The one address that people and nodes connect to.
    pub listen: SocketAddr,
    /// A port of the node's own, if it is to have one.
    pub ssh_listen: Option<SocketAddr>,
    /// Address by which others reach `listen`; `None` takes the address that was bound.
    pub public_address: Option<String>,
    /// A certificate for browsers, if there is one beside the cluster's.
    pub web_certificate: Option<Files>,
    /// Certificates for browsers that an ACME server gives.
    pub acme: Option<Acme>,
    /// Where auth listens for the proxy.
    pub auth_listen: SocketAddr,
    /// Where health and metrics are served.
    pub diagnostics_listen: SocketAddr,
    /// Who may put how much on auth's disk.
    pub bounds: auth::Bounds,
    /// Who the first invitation is for.
    pub admin: UserName,
    /// Name of this machine's node, if said.
    pub node_name: Option<NodeName>,
    /// Name of the machine, for a node without another.
    pub host_name: NodeName,
    /// Labels of this machine's node.
    pub labels: Labels,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
}

/// What one process runs. Other combinations have no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Auth, proxy and node.
    All,
    /// Auth and proxy, for nodes elsewhere.
    Cluster,
    /// A node of a cluster elsewhere.
    Node,
    /// Auth, for a proxy in another process of this machine.
    Auth,
    /// A proxy beside auth.
    Proxy,
}

impl Shape {
    fn of(roles: Option<Vec<Role>>) -> Result<Self, SettingsError> {
        let Some(roles) = roles else { return Ok(Self::All) };
        let has = |role| roles.contains(&role);
        match (has(Role::Auth), has(Role::Proxy), has(Role::Node)) {
            (true, true, true) => Ok(Self::All),
            (true, true, false) => Ok(Self::Cluster),
            (false, false, true) => Ok(Self::Node),
            (true, false, false) => Ok(Self::Auth),
            (false, true, false) => Ok(Self::Proxy),
            _ => Err(SettingsError::Roles),
        }
    }
}

/// Why settings could not be made. Shown with the place in the file.
#[derive(Debug, Error, Diagnostic)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}`")]
    #[diagnostic(help("{help}"))]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest right one, or all.
        help: String,
        /// The file.
        #[source_code]
        file: Arc<NamedSource<String>>,
        /// Where it stands.
        #[label("here")]
        at: SourceSpan,
    },
    /// A value of the wrong kind, or no TOML at all.
    #[error("{message}")]
    Wrong {
        /// What is wrong.
        message: String,
        /// The file.
        #[source_code]
        file: Arc<NamedSource<String>>,
        /// Where it stands.
        #[label("here")]
        at: SourceSpan,
    },
    /// Roles that do not go together.
    #[error("these roles cannot run in one process")]
    #[diagnostic(help(
        "what goes together is `auth,proxy,node` (everything, the default), `auth,proxy` (the cluster, for nodes \
         elsewhere), `node` (a machine of a cluster elsewhere), and `auth` and `proxy` in two processes of one machine"
    ))]
    Roles,
    /// A cluster cannot join itself.
    #[error("--join is for a node or a proxy alone")]
    #[diagnostic(help("add `--roles node` or `--roles proxy`, or leave --join out"))]
    JoinsItself,
    /// An invitation of another part.
    #[error("this invitation is for a {for_}: start with `--roles {for_}`")]
    OtherPart {
        /// What it is for.
        for_: &'static str,
    },
    /// The file of an invitation.
    #[error("the invitation in {path} cannot be used: {why}")]
    Joining {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// One of two.
    #[error("--web-cert and --web-key go together")]
    HalfCertificate,
    /// Nobody calls it.
    #[error("--web-cert is for a proxy, and none runs in this process")]
    NoProxy,
    /// What an ACME server is to give.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Acme(#[from] AcmeError),
    /// There is no folder to keep anything in.
    #[error("no home folder is known for this user")]
    #[diagnostic(help("say where to keep data: --data-dir FOLDER"))]
    NoHome,
}

/// What the machine says of itself; the defaults come from it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Whether the process is root.
    pub root: bool,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// Name of the user.
    pub user: Option<String>,
    /// Name of the machine.
    pub host: Option<String>,
}

impl Settings {
    /// Puts flags, file and defaults together. (Environment variables have become flags already.)
    pub fn gather(flags: Flags, around: &Surroundings) -> Result<Self, SettingsError> {
        let file = flags.config.as_deref().map_or_else(|| Ok(File::default()), read)?;
        let roles = Shape::of(flags.roles.or(file.roles))?;
        let join = flags.join.or(file.join).map(invitation).transpose()?;
        let invited = join.as_ref().and_then(|join| Part::of_token(&join.code));
        match (invited, roles) {
            (None, _) | (Some(Part::Node), Shape::Node) | (Some(Part::Proxy), Shape::Proxy) => {}
            (Some(part), Shape::Node | Shape::Proxy) => {
                return Err(SettingsError::OtherPart { for_: part.word() });
            }
            (Some(_), _) => return Err(SettingsError::JoinsItself),
        }
        let data_dir = match flags.data_dir.or(file.data_dir) {
            Some(folder) => folder,
            None if around.root => PathBuf::from("/var/lib/scry"),
            None => around.home.as_ref().ok_or(SettingsError::NoHome)?.join(".local/share/scry"),
        };
        let web_certificate =
            match (flags.web_cert.or(file.web_cert), flags.web_key.or(file.web_key)) {
                (None, None) => None,
                (Some(_), Some(_)) if matches!(roles, Shape::Auth | Shape::Node) => {
                    return Err(SettingsError::NoProxy);
                }
                (Some(chain), Some(key)) => Some(Files { chain, key }),
                _ => return Err(SettingsError::HalfCertificate),
            };
        let acme = Given {
            names: flags.web_acme.or(file.web_acme),
            contact: flags.web_acme_contact.or(file.web_acme_contact),
            agree: flags.web_acme_agree_tos.or(file.web_acme_agree_tos),
            directory: flags.web_acme_directory.or(file.web_acme_directory),
            authority: flags.web_acme_ca.or(file.web_acme_ca),
        };
        let acme = acme.gather(roles)?;
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let mut labels = file.labels;
        labels.extend(flags.labels.unwrap_or_default());
        Ok(Self {
            roles,
            join,
            proxies: flags.proxy.or(file.proxy).unwrap_or_default(),
            data_dir,
            cluster: flags.cluster.or(file.cluster).unwrap_or_else(|| named("scry")),
            listen: flags
                .listen
                .or(file.listen)
                .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)),
            ssh_listen: flags.ssh_listen.or(file.ssh_listen),
            public_address: flags.public_address.or(file.public_address),
            web_certificate,
            acme,
            // A proxy in a process of its own must find it again.
            auth_listen: flags.auth_listen.or(file.auth_listen).unwrap_or(loopback(match roles {
                Shape::Auth => PORT + 2,
                _ => 0,
            })),
            diagnostics_listen: flags
                .diagnostics_listen
                .or(file.diagnostics_listen)
                .unwrap_or(loopback(PORT + 1)),
            bounds: bounds(
                flags.keep_free.or(file.keep_free),
                flags.node_quota.or(file.node_quota),
                flags.node_reserve.or(file.node_reserve),
            ),
            admin: flags.admin.or(file.admin).unwrap_or_else(|| first_admin(around)),
            node_name: flags.node_name.or(file.node_name),
            host_name: host_name(around),
            labels,
            log: flags.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

fn bounds(
    keep_free: Option<Amount>,
    node_quota: Option<Amount>,
    node_reserve: Option<Size>,
) -> auth::Bounds {
    let usual = auth::Bounds::default();
    auth::Bounds {
        keep_free: keep_free.map(|amount| amount.0).or(usual.keep_free),
        node_quota: node_quota.map_or(usual.node_quota, |amount| amount.0),
        node_reserve: node_reserve.map_or(usual.node_reserve, |size| size.0),
    }
}

/// Reads the file of an invitation, if that is what was given.
fn invitation(joining: Joining) -> Result<Invitation, SettingsError> {
    let path = match joining {
        Joining::Invitation(invitation) => return Ok(invitation),
        Joining::File(path) => path,
    };
    let wrong = |why: String| SettingsError::Joining { path: path.display().to_string(), why };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    match text.trim().parse::<Joining>() {
        Ok(Joining::Invitation(invitation)) => Ok(invitation),
        Ok(Joining::File(_)) => Err(wrong("it names another file".to_owned())),
        Err(why) => Err(wrong(why.to_owned())),
    }
}

/// The user who starts a cluster for themselves; `admin` where root does it for others.
fn first_admin(around: &Surroundings) -> UserName {
    let own = around.user.as_deref().filter(|user| *user != "root");
    own.and_then(|user| user.parse().ok()).unwrap_or_else(|| named("admin"))
}

fn host_name(around: &Surroundings) -> NodeName {
    let short = around.host.as_deref().and_then(|host| host.split('.').next());
    short.and_then(|name| name.to_ascii_lowercase().parse().ok()).unwrap_or_else(|| named("node"))
}

#[expect(clippy::expect_used, reason = "called with literals, which the tests parse")]
fn named<N: std::str::FromStr<Err = model::NameError>>(literal: &str) -> N {
    literal.parse().expect("a literal name is a name")
}

fn read(path: &Path) -> Result<File, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: path.display().to_string(), source })?;
    parse(&path.display().to_string(), &text)
}

fn parse(name: &str, text: &str) -> Result<File, SettingsError> {
    let source = || Arc::new(NamedSource::new(name, text.to_owned()).with_language("TOML"));
    let wrong = |error: toml::de::Error| SettingsError::Wrong {
        message: error.message().to_owned(),
        file: source(),
        at: error.span().unwrap_or(0..0).into(),
    };
    let table: toml::Table = toml::from_str(text).map_err(wrong)?;
    for key in table.keys() {
        if !KEYS.contains(&key.as_str()) {
            let at = text.find(key.as_str()).unwrap_or(0);
            let (key, at) = (key.clone(), (at, key.len()).into());
            return Err(SettingsError::UnknownKey { help: nearest(&key), key, file: source(), at });
        }
    }
    toml::from_str(text).map_err(wrong)
}

fn nearest(key: &str) -> String {
    let best = KEYS
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    match best {
        Some(best) if strsim::jaro_winkler(key, best) > 0.75 => format!("did you mean `{best}`?"),
        _ => format!("the keys are {}", KEYS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings {
            root: false,
            home: Some("/home/alice".into()),
            user: Some("alice".into()),
            host: Some("Web-01.example.org".into()),
        }
    }

    #[test]
    fn without_any_setting_everything_has_a_value() {
        let settings = Settings::gather(Flags::default(), &around()).unwrap();
        assert_eq!(settings.data_dir, PathBuf::from("/home/alice/.local/share/scry"));
        assert_eq!(settings.listen.port(), PORT);
        assert_eq!(settings.admin.as_str(), "alice");
        assert_eq!((settings.node_name, settings.host_name.as_str()), (None, "web-01"));
        assert_eq!((settings.roles, settings.join), (Shape::All, None));
    }

    fn roles(given: &[Role]) -> Result<Settings, SettingsError> {
        let flags = Flags { roles: Some(given.to_vec()), ..Flags::default() };
        Settings::gather(flags, &around())
    }

    #[test]
    fn roles_that_have_no_use_together_are_refused_with_those_that_have() {
        use Role::{Auth, Node, Proxy};
        for (given, expected) in [
            (&[Node, Proxy, Auth][..], Shape::All),
            (&[Auth, Proxy], Shape::Cluster),
            (&[Node], Shape::Node),
            (&[Auth], Shape::Auth),
            (&[Proxy], Shape::Proxy),
        ] {
            assert_eq!(roles(given).unwrap().roles, expected, "{given:?}");
        }
        for given in [&[][..], &[Auth, Node], &[Proxy, Node]] {
            assert!(matches!(roles(given), Err(SettingsError::Roles)), "{given:?}");
        }
    }

    #[test]
    fn an_invitation_comes_from_the_flag_the_settings_or_a_file_and_must_be_a_machines() {
        let (pin, folder) = ("0".repeat(64), tempfile::tempdir().unwrap());
        let machine = format!("scry://a:1/{pin}/node-abc");
        let person = format!("scry://a:1/{pin}/abc");
        assert!(person.parse::<Joining>().unwrap_err().contains("invites a person"));
        let toml = format!("roles = [\"node\"]\njoin = \"{machine}\"\n");
        assert!(matches!(parse("t", &toml).unwrap().join, Some(Joining::Invitation(_))));
        assert!(parse("t", &toml.replace("node-", "")).is_err());
        let path = folder.path().join("invitation");
        let given = |roles: Role| Flags {
            roles: Some(vec![roles]),
            join: format!("file:{}", path.display()).parse().ok(),
            ..Flags::default()
        };
        let gather = || Settings::gather(given(Role::Node), &around());
        assert!(matches!(gather(), Err(SettingsError::Joining { .. })), "no such file");
        std::fs::write(&path, &person).unwrap();
        assert!(matches!(gather(), Err(SettingsError::Joining { .. })), "a person's");
        std::fs::write(&path, format!("{machine}\n")).unwrap();
        assert_eq!(gather().unwrap().join.unwrap().to_string(), machine);
        let proxy = Settings::gather(given(Role::Proxy), &around());
        assert!(matches!(proxy, Err(SettingsError::OtherPart { for_: "node" })));
        let mut all = given(Role::Node);
        all.roles = None;
        assert!(matches!(Settings::gather(all, &around()), Err(SettingsError::JoinsItself)));
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scry.toml");
        std::fs::write(&path, "cluster = \"file\"\nlog = \"debug\"\n[labels]\nenv = \"prod\"\n")
            .unwrap();
        let flags = Flags {
            config: Some(path),
            cluster: Some("flag".parse().unwrap()),
            labels: Some(vec![("zone".into(), "a".into())]),
            ..Flags::default()
        };
        let settings = Settings::gather(flags, &around()).unwrap();
        assert_eq!(settings.cluster.as_str(), "flag");
        assert_eq!(settings.log, "debug");
        let labels: Vec<_> = settings.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(labels, ["env=prod", "zone=a"]);
    }

    #[test]
    fn sizes_and_parts_of_the_disk_are_read_and_nothing_else() {
        use auth::Share::{Bytes, Percent};
        for (text, expected) in [
            ("4096", Some(Bytes(4096))),
            ("512MiB", Some(Bytes(512 << 20))),
            ("2 GB", Some(Bytes(2_000_000_000))),
            ("7B", Some(Bytes(7))),
            ("80%", Some(Percent(80))),
            ("101%", None),
            ("-1%", None),
            ("1.5GiB", None),
            ("99999999TiB", None),
            ("", None),
            ("lots", None),
        ] {
            assert_eq!(text.parse::<Amount>().ok().map(|amount| amount.0), expected, "{text}");
        }
        assert!("80%".parse::<Size>().is_err(), "a reserve is a number of bytes");
        let file = parse("t", "keep_free = \"5GiB\"\nnode_quota = \"10%\"").unwrap();
        let bounds = bounds(file.keep_free, file.node_quota, Some(Size(3)));
        assert_eq!((bounds.keep_free, bounds.node_quota), (Some(Bytes(5 << 30)), Percent(10)));
        assert_eq!(bounds.node_reserve, 3);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_right_one() {
        for (text, expected) in [
            ("listne = \"0.0.0.0:1\"", "did you mean `listen`?"),
            ("data-dir = \"/x\"", "did you mean `data_dir`?"),
            ("qqq = 1", "the keys are roles"),
        ] {
            match parse("scry.toml", text) {
                Err(SettingsError::UnknownKey { help, .. }) => {
                    assert!(help.starts_with(expected), "{text}: {help}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_shown_where_it_stands() {
        match parse("scry.toml", "listen = \"nowhere\"") {
            Err(SettingsError::Wrong { at, .. }) => assert_eq!(at.offset(), 9),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_list_of_keys_is_the_list_of_fields() {
        let error = toml::from_str::<File>("no_such_key = 1").unwrap_err().to_string();
        for key in KEYS {
            assert!(error.contains(&format!("`{key}`")), "{key} is no field: {error}");
        }
        assert_eq!(error.matches('`').count() / 2, KEYS.len() + 1, "{error}");
    }
}

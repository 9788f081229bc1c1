//! Settings of `scry start`: flags, then environment, then the TOML file, then defaults; parsed once into a total `Settings`.

use clap::Args;
use miette::{Diagnostic, NamedSource, SourceSpan};
use model::role::Labels;
use model::{NodeName, UserName};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Port that people and nodes reach.
pub const PORT: u16 = 4422;

/// Flags of `scry start`; each has an environment variable and a key in the file.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// TOML file with settings
    #[arg(long, env = "SCRY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for keys, database, recordings and spool
    #[arg(long, env = "SCRY_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Name of the cluster, also the domain of its nodes: `ssh web-01.NAME`
    #[arg(long, env = "SCRY_CLUSTER", value_name = "NAME")]
    pub cluster: Option<NodeName>,
    /// The one address that people and nodes connect to
    #[arg(long, env = "SCRY_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Address by which others reach `listen`, as invitations name it
    #[arg(long, env = "SCRY_PUBLIC_ADDRESS", value_name = "HOST:PORT")]
    pub public_address: Option<String>,
    /// Where auth listens for the proxy
    #[arg(long, env = "SCRY_AUTH_LISTEN", value_name = "ADDRESS:PORT")]
    pub auth_listen: Option<SocketAddr>,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, env = "SCRY_DIAGNOSTICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub diagnostics_listen: Option<SocketAddr>,
    /// Who the first invitation is for
    #[arg(long, env = "SCRY_ADMIN", value_name = "USER")]
    pub admin: Option<UserName>,
    /// Name of this machine's node
    #[arg(long, env = "SCRY_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<NodeName>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,node=debug`
    #[arg(long, env = "SCRY_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged
    #[arg(long, env = "SCRY_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

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
    data_dir: Option<PathBuf>,
    cluster: Option<NodeName>,
    listen: Option<SocketAddr>,
    public_address: Option<String>,
    auth_listen: Option<SocketAddr>,
    diagnostics_listen: Option<SocketAddr>,
    admin: Option<UserName>,
    node_name: Option<NodeName>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    labels: Labels,
}

/// Every key of the file. Below `labels` any key is a label.
const KEYS: &[&str] = &[
    "data_dir",
    "cluster",
    "listen",
    "public_address",
    "auth_listen",
    "diagnostics_listen",
    "admin",
    "node_name",
    "log",
    "log_format",
    "labels",
];

/// Everything `scry start` needs to know; nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder for keys, database, recordings and spool.
    pub data_dir: PathBuf,
    /// Name of the cluster.
    pub cluster: NodeName,
    /// The one address that people and nodes connect to.
    pub listen: SocketAddr,
    /// Address by which others reach it; `None` takes the address that was bound.
    pub public_address: Option<String>,
    /// Where auth listens for the proxy.
    pub auth_listen: SocketAddr,
    /// Where health and metrics are served.
    pub diagnostics_listen: SocketAddr,
    /// Who the first invitation is for.
    pub admin: UserName,
    /// Name of this machine's node.
    pub node_name: NodeName,
    /// Labels of this machine's node.
    pub labels: Labels,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
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
        let data_dir = match flags.data_dir.or(file.data_dir) {
            Some(folder) => folder,
            None if around.root => PathBuf::from("/var/lib/scry"),
            None => around.home.as_ref().ok_or(SettingsError::NoHome)?.join(".local/share/scry"),
        };
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Ok(Self {
            data_dir,
            cluster: flags.cluster.or(file.cluster).unwrap_or_else(|| named("scry")),
            listen: flags
                .listen
                .or(file.listen)
                .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)),
            public_address: flags.public_address.or(file.public_address),
            auth_listen: flags.auth_listen.or(file.auth_listen).unwrap_or(loopback(0)),
            diagnostics_listen: flags
                .diagnostics_listen
                .or(file.diagnostics_listen)
                .unwrap_or(loopback(PORT + 1)),
            admin: flags.admin.or(file.admin).unwrap_or_else(|| first_admin(around)),
            node_name: flags.node_name.or(file.node_name).unwrap_or_else(|| host_name(around)),
            labels: file.labels,
            log: flags.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
        })
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
        assert_eq!(settings.node_name.as_str(), "web-01");
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
            ..Flags::default()
        };
        let settings = Settings::gather(flags, &around()).unwrap();
        assert_eq!(settings.cluster.as_str(), "flag");
        assert_eq!(settings.log, "debug");
        assert_eq!(settings.labels.get("env").map(String::as_str), Some("prod"));
    }

    #[test]
    fn an_unknown_key_names_the_nearest_right_one() {
        for (text, expected) in [
            ("listne = \"0.0.0.0:1\"", "did you mean `listen`?"),
            ("data-dir = \"/x\"", "did you mean `data_dir`?"),
            ("qqq = 1", "the keys are data_dir"),
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

//! The command line, as data: help, completion and man pages all come from here.

mod search;
mod share;
mod words;

pub use search::{Search, Where as SearchIn};
pub use share::{Recipient, Share, WebLink};
pub use words::{Invitation, label, span};

use crate::settings::Flags;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use model::lock::Reason;
use model::{LockId, Login, NodeName, RoleName, SeatRole, UserName};
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

/// Reach your servers by SSH, see afterwards exactly what happened, work in one terminal together.
#[derive(Debug, Parser)]
#[command(name = "scry", version, max_term_width = 100, propagate_version = false)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What scry can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try scry out: a recorded shell on this machine, played back and verified, leaving nothing behind
    Try(Try),
    /// Serve: auth, proxy and node in one process, or some of them with --roles
    Start(Box<Flags>),

    /// Take up an invitation: set a password and sign in
    Signup(Signup),
    /// Sign in: certificates for some hours, also put into ssh-agent
    Login(Login_),
    /// Sign out: forget keys and certificates
    Logout(Where),
    /// Show who is signed in, where, and for how long
    Status(Show),

    /// Open a recorded session on a node
    Ssh(Ssh),
    /// Print settings for plain ssh, scp, sftp, rsync, git and Ansible: `scry config >> ~/.ssh/config`
    Config(Where),
    /// List the nodes you may reach; invite machines, remove nodes
    #[command(visible_alias = "ls")]
    Nodes(Nodes),

    /// List the sessions that go on: your own, and those you may join
    Sessions(Show),
    /// Join a session that goes on, to look, to type too, or to keep an eye on it
    Join(Join),
    /// Watch a session that goes on: join it as observer
    Watch(Watch),
    /// Let others into a session of yours by a link; list links, revoke them
    Share(Share),
    /// See who is in a session, speak to them, hand the keyboard over, use somebody's size, show somebody out, freeze or end it
    Company(Company),

    /// List, inspect, export and remove recordings
    #[command(subcommand)]
    Recordings(Recordings),
    /// Find an error text, a command, a file or an address in all recordings
    Search(Search),
    /// Play a recording, or follow a session that goes on
    Play(Play),
    /// Check offline that a recording file is complete and unaltered
    Verify(Verify),

    /// Manage people
    #[command(subcommand)]
    Users(Users),
    /// Manage roles
    #[command(subcommand)]
    Roles(Roles),
    /// Ask what the roles allow
    #[command(subcommand)]
    Access(Access),
    /// Lock a user, a login, a node, a role or a session: what runs there ends, processes and all, and nothing new begins
    Lock(Lock),
    /// List locks
    Locks(Show),
    /// Lift locks
    Unlock(Unlock),
    /// Read and verify the audit ledger
    #[command(subcommand)]
    Audit(Audit),

    /// See what this machine can record, and what would help where it cannot; run it as root
    Doctor,
    /// Print a completion script for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder
    Man {
        /// Where to
        folder: PathBuf,
    },
    /// Carry an SSH connection to a node, as ProxyCommand
    #[command(hide = true)]
    Connect(Connect),
}

/// `scry try`.
#[derive(Debug, Args)]
pub struct Try {
    /// Keep the cluster's folder and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// Which cluster a client command is about.
#[derive(Debug, Clone, Default, Args)]
pub struct Where {
    /// Cluster to use, if you are signed in to several
    #[arg(long, env = "SCRY_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
}

/// A command that shows something.
#[derive(Debug, Clone, Default, Args)]
pub struct Show {
    #[command(flatten)]
    pub place: Where,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `scry signup`.
#[derive(Debug, Args)]
pub struct Signup {
    /// The invitation: `scry://ADDRESS/PIN/CODE`
    pub invitation: Invitation,
}

/// `scry login`.
#[derive(Debug, Args)]
#[command(name = "login")]
pub struct Login_ {
    /// Address of the cluster; the last one if not given
    #[arg(value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Pin of the cluster's authority, on a machine that has not seen the cluster
    #[arg(long, value_name = "HEX")]
    pub pin: Option<String>,
    /// Who you are
    #[arg(long, short)]
    pub user: Option<UserName>,
    /// How long to stay signed in, such as 8h or 30m; roles may give less
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub life_ms: Option<u64>,
    /// Show who you are in a browser instead, where passkeys work: on this machine, or on any other
    #[arg(long)]
    pub browser: bool,
    /// Only print the address for the browser; do not open one here
    #[arg(long, requires = "browser")]
    pub no_open: bool,
    /// Do not put the key into a running ssh-agent
    #[arg(long)]
    pub no_agent: bool,
    /// Print JSON: first the address for the browser, if one is wanted, on a line of its own; in the end who is signed in
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: Where,
}

/// What is told of the keys of `scry ssh`.
const SSH_KEYS: &str = "Keys at the beginning of a line, on a terminal:
  ~.  leave    ~?  who is here and what else can be done    ~~  type one ~
At any time ctrl-] is such a key as well: ctrl-] ? shows the keys, ctrl-] r goes back to any earlier moment, ctrl-] ctrl-] types it.";

/// `scry ssh`.
#[derive(Debug, Args)]
#[command(after_help = SSH_KEYS)]
pub struct Ssh {
    /// Where to: LOGIN@NODE, or NODE with your own name as login
    #[arg(value_name = "[LOGIN@]NODE")]
    pub target: Target,
    /// Command to run instead of a shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
    /// Ask for a terminal even with a command (`-tt` is the same)
    #[arg(short = 't', action = clap::ArgAction::Count)]
    pub terminal: u8,
    /// Never ask for a terminal
    #[arg(short = 'T', conflicts_with = "terminal")]
    pub no_terminal: bool,
    /// Forward your ssh-agent
    #[arg(short = 'A')]
    pub agent: bool,
    /// Forward a port from here: [ADDRESS:]PORT:HOST:PORT
    #[arg(short = 'L', value_name = "SPEC")]
    pub local: Vec<String>,
    /// Forward a port from the node: [ADDRESS:]PORT:HOST:PORT
    #[arg(short = 'R', value_name = "SPEC")]
    pub remote: Vec<String>,
    /// SOCKS proxy here: [ADDRESS:]PORT
    #[arg(short = 'D', value_name = "SPEC")]
    pub dynamic: Vec<String>,
    /// Run no command; only forward
    #[arg(short = 'N')]
    pub no_command: bool,
    #[command(flatten)]
    pub place: Where,
}

/// `scry connect`.
#[derive(Debug, Args)]
pub struct Connect {
    /// The node
    pub node: String,
    /// Folder with the cluster's keys, as `scry config` found it
    #[arg(long, value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// `scry company`.
#[derive(Debug, Args)]
pub struct Company {
    /// Session: its id, the beginning of it, or USER or USER@NODE if they have just one
    pub session: String,
    /// What to do; shows who is there if nothing is said
    #[command(subcommand)]
    pub command: Option<CompanyCommand>,
    #[command(flatten)]
    pub show: Show,
}

/// What can be done with the people in a session. PERSON is a user or the number that `scry company` shows.
#[derive(Debug, Subcommand)]
pub enum CompanyCommand {
    /// Show what happens among them, until the session is over
    Follow,
    /// Say something to all
    Say {
        /// What
        #[arg(required = true, trailing_var_arg = true)]
        text: Vec<String>,
    },
    /// From now on only PERSON types
    HandOver {
        /// A peer, or the owner
        person: String,
    },
    /// From now on only the owner types
    TakeBack,
    /// From now on the owner and all peers type
    Together,
    /// From now on the terminal is as large as PERSON's: they see all of it, and you what fits on yours; for the owner
    Adopt {
        /// Somebody who looks on
        person: String,
    },
    /// From now on the terminal is as large as the owner's again
    OwnSize,
    /// PERSON has to go
    ShowOut {
        /// Who
        person: String,
    },
    /// Nothing passes and nothing runs until it is thawed; for moderators
    Freeze,
    /// It goes on; for moderators
    Thaw,
    /// End the session and everything in it; for moderators and the owner
    End,
    /// Let one file be moved, once, where a role has each approved; for those who must be there
    Approve {
        /// Its number, as `scry company` shows it with where its path leads
        #[arg(value_name = "FILE")]
        number: u32,
    },
    /// Have one file not be moved
    Refuse {
        /// Its number
        #[arg(value_name = "FILE")]
        number: u32,
    },
}

/// What is told of the keys of `scry join` and `scry watch`.
const SEAT_KEYS: &str = "Keys: ? shows them (for a peer, who types: ctrl-] ?).
ctrl-] r goes back to any earlier moment, for those who may play the recording; q there leads back to now.";

/// `scry join`.
#[derive(Debug, Args)]
#[command(after_help = SEAT_KEYS)]
pub struct Join {
    /// Session: its id, the beginning of it, USER or USER@NODE if they have just one, or the code or address of a link into it
    pub session: String,
    /// As what: an observer looks, a peer types too, a moderator can freeze and end it; observer if not given, or what a link
    /// says
    #[arg(long = "as", value_name = "observer|peer|moderator")]
    pub seat: Option<SeatRole>,
    /// What the others see you as, if you come by the address of a link and have no account; your local account's name if not
    /// given
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub place: Where,
}

/// `scry watch`.
#[derive(Debug, Args)]
#[command(after_help = SEAT_KEYS)]
pub struct Watch {
    /// Session: its id, the beginning of it, or USER or USER@NODE if they have just one
    pub session: String,
    #[command(flatten)]
    pub place: Where,
}

/// `scry nodes`; lists them if nothing else is said.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Nodes {
    /// What to do
    #[command(subcommand)]
    pub command: Option<NodesCommand>,
    #[command(flatten)]
    pub show: Show,
}

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
pub enum NodesCommand {
    /// List the nodes you may reach
    Ls(Show),
    /// Invite a machine: print the command that makes it a node
    Invite(Invite),
    /// Remove nodes: their certificates count no more, sessions on them are cut; recordings stay
    Rm {
        /// Which
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<NodeName>,
        #[command(flatten)]
        place: Where,
    },
}

/// `scry nodes invite`.
#[derive(Debug, Args)]
pub struct Invite {
    /// The one name the machine may have; else its own host name, if it is free
    #[arg(long, value_name = "NAME")]
    pub name: Option<NodeName>,
    /// A label the machine gets, whatever its own settings say; several are given one by one
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// How long the invitation counts, such as 30m, 8h or 7d
    #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "1h")]
    pub life_ms: u64,
    #[command(flatten)]
    pub show: Show,
}

/// `scry recordings`.
#[derive(Debug, Subcommand)]
pub enum Recordings {
    /// List recordings, newest first
    Ls(RecordingsLs),
    /// Show everything known about a recording
    Info {
        /// Recording: its id, or the beginning of it
        id: String,
        #[command(flatten)]
        show: Show,
    },
    /// Write a recording to a file in one of several formats
    Export(Export),
    /// Show what the kernel saw: programs that ran, files, connections
    Events(Events),
    /// Remove a recording for ever; the ledger keeps its tombstone
    Rm {
        /// Recordings: ids, or beginnings of them
        #[arg(required = true)]
        ids: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        place: Where,
    },
}

/// Which recordings are meant; all conditions must hold.
#[derive(Debug, Args)]
pub struct Which {
    /// Only recordings of this user
    #[arg(long, short)]
    pub user: Option<UserName>,
    /// Only those on this node
    #[arg(long, short)]
    pub node: Option<NodeName>,
    /// Only those on this account
    #[arg(long)]
    pub login: Option<Login>,
    /// Only those begun since: 2h, 7d, 2026-11-23, 2026-11-23T14:00
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only those begun before
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `scry recordings ls`.
#[derive(Debug, Args)]
pub struct RecordingsLs {
    #[command(flatten)]
    pub which: Which,
    /// Only sessions that go on
    #[arg(long)]
    pub live: bool,
    /// Only sessions, not what belongs to connections
    #[arg(long, conflicts_with = "connections")]
    pub sessions: bool,
    /// Only what belongs to connections: forwards, agent, X11
    #[arg(long)]
    pub connections: bool,
    /// At most so many of the newest
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    pub limit: u32,
    #[command(flatten)]
    pub show: Show,
}

/// `scry recordings events`.
#[derive(Debug, Clone, Args)]
pub struct Events {
    /// Recording: its id, the beginning of it, or a file
    pub id: String,
    /// Show the processes as a tree, each below who began it
    #[arg(long, conflicts_with = "json")]
    pub tree: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// Only programs and how they ended (and files or connections, if those are named too)
    #[arg(long)]
    pub commands: bool,
    /// Only files
    #[arg(long)]
    pub files: bool,
    /// Only connections
    #[arg(long)]
    pub network: bool,
    #[command(flatten)]
    pub place: Where,
}

/// `scry recordings export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Recording: its id, the beginning of it, or a file
    pub id: String,
    /// Format
    #[arg(long, short, value_enum, default_value_t = Format::Scry)]
    pub format: Format,
    /// Where to; the id and the format's suffix if not given, `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub place: Where,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The recording itself, for `scry verify` and `scry play`
    Scry,
    /// asciicast v2
    Cast2,
    /// asciicast v3, for asciinema 3
    Cast,
    /// What was on the screen, as text
    Text,
    /// Every entry as a JSON line
    Jsonl,
    /// What the kernel saw, as OCSF 1.3 events, one a line
    Ocsf,
}

/// `scry play`.
#[derive(Debug, Args)]
pub struct Play {
    /// Recording: its id, the beginning of it, or a file
    pub id: String,
    /// Begin there: 90, 1:30, 1h2m3s, or 50%
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Speed, 0.25 to 16
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Shorten pauses to two seconds
    #[arg(long)]
    pub skip_idle: bool,
    /// Begin paused
    #[arg(long)]
    pub paused: bool,
    /// Follow a session that goes on
    #[arg(long, short)]
    pub follow: bool,
    /// Print the screen at `--at` (or the end) as text, and end
    #[arg(long)]
    pub print: bool,
    #[command(flatten)]
    pub place: Where,
}

/// `scry verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The recording file
    pub file: PathBuf,
    /// The cluster's seal key: `scry-seal:…`, or a file that holds it; `scry status --json` shows it
    #[arg(long, value_name = "KEY|FILE")]
    pub key: Vec<String>,
    /// The session that it must be of: the whole id
    #[arg(long)]
    pub id: Option<model::SessionId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `scry users`.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Invite someone, or give someone a new password invitation
    Add {
        /// Their name
        user: UserName,
        /// A role they get; `access` if none is given
        #[arg(long = "role", short)]
        roles: Vec<RoleName>,
        /// An account on nodes that they may use, besides the one with their own name
        #[arg(long = "login")]
        logins: Vec<Login>,
        #[command(flatten)]
        show: Show,
    },
    /// List users
    Ls(Show),
    /// Remove users; their recordings stay
    Rm {
        /// Who
        #[arg(required = true)]
        users: Vec<UserName>,
        #[command(flatten)]
        place: Where,
    },
    /// Take all second factors from someone who has lost them, and sign them out of all browsers
    ResetFactors {
        /// Who
        user: UserName,
        #[command(flatten)]
        place: Where,
    },
}

/// `scry roles`.
#[derive(Debug, Subcommand)]
pub enum Roles {
    /// List roles
    Ls(Show),
    /// Print a role as TOML, to be changed and set again
    #[command(name = "show")]
    Print {
        /// Which
        role: RoleName,
        #[command(flatten)]
        show: Show,
    },
    /// Make or replace a role from a TOML file
    Set {
        /// The file; `-` for standard input
        file: PathBuf,
        #[command(flatten)]
        place: Where,
    },
    /// Remove a role
    Rm {
        /// Which
        role: RoleName,
        #[command(flatten)]
        place: Where,
    },
}

/// `scry access`.
#[derive(Debug, Subcommand)]
pub enum Access {
    /// Show whether USER gets in as LOGIN on NODE, and every rule that was looked at
    Explain {
        /// Who
        user: UserName,
        /// Where to
        #[arg(value_name = "LOGIN@NODE")]
        target: Target,
        /// Whether they may join a session there, as what
        #[arg(long, value_name = "SEAT", requires = "of")]
        join: Option<SeatRole>,
        /// Whose session
        #[arg(long, value_name = "USER", requires = "join")]
        of: Option<UserName>,
        /// As if this role were saved and they held it: a TOML file, or - for standard input
        #[arg(long, value_name = "FILE")]
        with_role: Option<PathBuf>,
        #[command(flatten)]
        show: Show,
    },
}

/// `scry lock`.
#[derive(Debug, Args)]
pub struct Lock {
    #[command(flatten)]
    pub on: LockOn,
    /// How long, such as 2h or 7d; until it is lifted if not given
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub life_ms: Option<u64>,
    /// Why: for other admins, the ledger, and the recordings of what it ends
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: Reason,
    /// Lock even if it shuts out yourself; another admin can lift it
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub show: Show,
}

/// What a lock is on; one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct LockOn {
    /// Everything of this user
    #[arg(long, short, value_name = "USER")]
    pub user: Option<UserName>,
    /// This account, on every node
    #[arg(long, short, value_name = "LOGIN")]
    pub login: Option<Login>,
    /// This node, for everybody
    #[arg(long, short, value_name = "NODE")]
    pub node: Option<NodeName>,
    /// Everybody who holds this role
    #[arg(long, short, value_name = "ROLE")]
    pub role: Option<RoleName>,
    /// This one session: its id, or the beginning of it; a connection's own recording is the whole connection
    #[arg(long, short, value_name = "ID")]
    pub session: Option<String>,
}

/// `scry unlock`.
#[derive(Debug, Args)]
pub struct Unlock {
    /// Numbers of locks, as `scry locks` shows them
    #[arg(required = true, value_name = "LOCK")]
    pub locks: Vec<LockId>,
    #[command(flatten)]
    pub place: Where,
}

/// `scry audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List events, newest last
    Ls(AuditLs),
    /// Print events as they happen
    Follow(Show),
    /// Prove that nothing was taken from the ledger or changed in it
    Verify {
        /// A head kept from an earlier `scry audit verify`: NUMBER:HASH
        #[arg(long, value_name = "NUMBER:HASH")]
        since: Option<String>,
        #[command(flatten)]
        show: Show,
    },
}

/// `scry audit ls`.
#[derive(Debug, Args)]
pub struct AuditLs {
    /// Only by this user
    #[arg(long, short)]
    pub user: Option<UserName>,
    /// Only on this node
    #[arg(long, short)]
    pub node: Option<NodeName>,
    /// Only of this session
    #[arg(long)]
    pub session: Option<model::SessionId>,
    /// Only events whose word begins so, such as `session.`
    #[arg(long, value_name = "WORD")]
    pub event: Option<String>,
    /// Only since: 2h, 7d, 2026-11-23
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// At most so many of the newest
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    pub limit: u32,
    #[command(flatten)]
    pub show: Show,
}

/// `LOGIN@NODE`, or `NODE` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The account, if said.
    pub login: Option<Login>,
    /// The node, possibly with the cluster's name behind it.
    pub node: NodeName,
}

impl FromStr for Target {
    type Err = model::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('@') {
            Some((login, node)) => Ok(Self { login: Some(login.parse()?), node: node.parse()? }),
            None => Ok(Self { login: None, node: text.parse()? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_invitation_is_read_back_and_half_of_one_is_refused() {
        let text = format!("scry://127.0.0.1:4422/{}/abc", "0".repeat(64));
        assert_eq!(text.parse::<Invitation>().map(|i| i.to_string()), Ok(text));
        for bad in ["", "abc", "scry://", "scry://a/b/c", "scry://a:1/"] {
            assert!(bad.parse::<Invitation>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_target_is_a_node_with_or_without_a_login() {
        let target: Target = "root@web-01".parse().unwrap();
        assert_eq!(target.login.unwrap().as_str(), "root");
        assert!("web-01".parse::<Target>().unwrap().login.is_none());
        assert!("a,b@web".parse::<Target>().is_err());
    }

    #[test]
    fn a_session_is_joined_as_what_is_said_and_watched_as_nothing_else() {
        let check = |words: &[&str], expected: Option<Option<SeatRole>>| {
            let words = ["scry"].iter().chain(words);
            let seat = Cli::try_parse_from(words).ok().map(|cli| match cli.command {
                Command::Join(Join { session, seat, .. }) => (session, seat),
                Command::Watch(Watch { session, .. }) => (session, None),
                other => panic!("{other:?}"),
            });
            assert_eq!(seat, expected.map(|seat| ("alice@web-01".to_owned(), seat)));
        };
        check(&["join", "alice@web-01"], Some(None));
        check(&["watch", "alice@web-01"], Some(None));
        for seat in SeatRole::ALL {
            check(&["join", "alice@web-01", "--as", seat.word()], Some(Some(seat)));
        }
        check(&["join", "alice@web-01", "--as", "owner"], None);
        check(&["watch", "alice@web-01", "--as", "peer"], None);
        check(&["join"], None);
    }

    #[test]
    fn a_label_is_a_key_and_a_value() {
        assert_eq!(label("env=prod=1"), Ok(("env".into(), "prod=1".into())));
        for bad in ["", "env", "=prod", " =x"] {
            assert!(label(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spans_of_time_are_read_as_people_write_them() {
        assert_eq!(span("30m"), Ok(1_800_000));
        for bad in ["", "m", "3", "3x", "-1h", "99999999999999999999d"] {
            assert!(span(bad).is_err(), "{bad:?}");
        }
    }
}

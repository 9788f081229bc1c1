//! `scry search`, as data.

use super::{Show, Which};
use clap::{Args, ValueEnum};

/// What is told of `scry search`.
const EXAMPLES: &str = "Examples:
  scry search 'No such file or directory'                  what stood on a screen, or was run, in the last 30 days
  scry search --node web-01 --since 7d --what files /etc/passwd
  scry search --regex --what connections '10\\.0\\.0\\.[0-9]+:22' --since 2026-11-01 --until 2026-11-08

Only recordings that you may play are searched, newest first. The ledger hears of each search, and of each recording of somebody
else in which something is found.";

/// `scry search`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Search {
    /// What to find: an error text, a command, the path of a file, an address
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,
    /// Capitals matter
    #[arg(long)]
    pub case: bool,
    /// TEXT is a regular expression
    #[arg(long)]
    pub regex: bool,
    /// Where to look; everywhere if not given
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT,…")]
    pub what: Vec<Where>,
    #[command(flatten)]
    pub which: Which,
    /// All recordings, however old; those of the last 30 days if nothing is said of the time
    #[arg(long, conflicts_with = "since")]
    pub all: bool,
    /// At most about so many moments
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    #[command(flatten)]
    pub show: Show,
}

/// Where something can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Where {
    /// What came onto the screen
    Screen,
    /// What was run, with its arguments
    Commands,
    /// What was done to files, by programs and file transfers
    Files,
    /// Where programs and forwards connected to
    Connections,
}

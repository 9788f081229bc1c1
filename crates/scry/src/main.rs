//! The binary: reads the command line, starts what was asked for, waits, exits.

mod cli;
mod client;
mod front_door;
mod observe;
mod play;
mod settings;
mod show;
mod shown;
mod start;
mod try_out;
mod web_acme;
mod web_certificate;

use anyhow::Result;
use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command};
use settings::{Settings, SettingsError, Surroundings};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Session processes come first: they run as somebody's first program and must stay small and single-threaded.
    if let Some(code) = host::dispatch() {
        return code;
    }
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            match error.downcast::<SettingsError>() {
                Ok(settings) => show::styled_remark(format!("{:?}", miette::Report::new(settings))),
                Err(error) => show::remark(format!("scry: {error:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "scry", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            std::fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(Cli::command(), &folder)?;
            show::remark(format!("Wrote man pages into {}.", folder.display()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify(args) => client::verify::run(&args),
        command => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let code = runtime.block_on(run_async(command));
            // A thread that waits for a key press or a slow disk must not keep a finished command.
            runtime.shutdown_background();
            code
        }
    }
}

async fn run_async(command: Command) -> Result<ExitCode> {
    match command {
        Command::Start(flags) => start::run(Settings::gather(*flags, &surroundings())?).await?,
        Command::Try(args) => return try_out::run(&args, surroundings()).await,
        Command::Signup(args) => client::login::signup(&args.invitation).await?,
        Command::Login(args) => client::login::login(&args).await?,
        Command::Logout(place) => client::login::logout(&place)?,
        Command::Status(show) => client::login::status(&show)?,
        Command::Ssh(args) => return client::ssh::run(&args).await,
        Command::Connect(args) => client::ssh::connect(&args).await?,
        Command::Config(place) => client::config::run(&place)?,
        Command::Nodes(nodes) => client::nodes::run(&nodes).await?,
        Command::Sessions(show) => client::sessions::ls(&show).await?,
        Command::Join(args) => return client::join::run(&args).await,
        Command::Company(args) => return client::company::run(&args).await,
        Command::Watch(args) => return client::join::watch(&args).await,
        Command::Share(args) => client::share::run(&args).await?,
        Command::Recordings(command) => client::recordings::run(&command).await?,
        Command::Search(args) => client::search::run(&args).await?,
        Command::Play(args) => client::recordings::play(&args).await?,
        Command::Users(command) => client::users::run(&command).await?,
        Command::Roles(command) => client::roles::run(&command).await?,
        Command::Access(command) => client::access::run(&command).await?,
        Command::Lock(args) => client::locks::lock(&args).await?,
        Command::Locks(show) => client::locks::ls(&show).await?,
        Command::Unlock(args) => client::locks::unlock(&args).await?,
        Command::Audit(command) => return client::audit::run(&command).await,
        Command::Doctor => client::events::doctor(),
        Command::Completion { .. } | Command::Man { .. } | Command::Verify(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What this machine says of itself.
fn surroundings() -> Surroundings {
    let account = host::account::own();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    Surroundings {
        root: account.as_ref().is_some_and(|account| account.uid == 0),
        home: account.as_ref().map(|account| account.home.clone()),
        user: account.map(|account| account.name.to_string()),
        host: host.map(|name| name.trim().to_owned()),
    }
}

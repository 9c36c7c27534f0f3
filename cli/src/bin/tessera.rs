//! `cargo tessera`: the operator's tool.

#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tessera_cli::{keys, migrate};

/// Looks after a Tessera installation.
///
/// The database is that of `DATABASE_URL`; `migrate` prefers `DIRECT_URL`, past the pooler.
/// Exit codes: 0 done, 1 failed, 2 not understood.
#[derive(Parser)]
#[command(name = "cargo tessera", bin_name = "cargo tessera", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the database's schema up to date, or back
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Make, list and revoke callers' keys
    #[command(subcommand)]
    Keys(keys::Command),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Migrate(command) => migrate::run(command).await,
        Command::Keys(command) => keys::run(command).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

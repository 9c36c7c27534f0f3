//! `cargo tessera`: the operator's tool.

#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tessera_cli::{alerts, doctor, jobs, keys, migrate, smoke};

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
    /// List, show and redrive the jobs that forward webhooks
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// List and resolve alerts
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Say what is wrong with the database and the way to it, why it matters and what to do
    ///
    /// Exit codes: 0 fine, 1 warnings, 2 failures.
    Doctor(doctor::Options),
    /// Try a deployment: create, list, scan, edit, replay, refuse; then clean up
    ///
    /// Exit codes: 0 fine, 1 warnings or slower than the bars, 2 failures.
    Smoke(smoke::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Migrate(command) => migrate::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Keys(command) => keys::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Jobs(command) => jobs::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Alerts(command) => alerts::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Doctor(options) => doctor::run(options).await,
        Command::Smoke(options) => smoke::run(options).await,
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

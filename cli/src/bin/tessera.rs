//! `cargo tessera`: the operator's tool.

#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tessera_cli::{alerts, doctor, jobs, keys, migrate, roles, smoke, warnings};

/// Operates a Tessera installation: its schema, its keys, jobs and alerts, and what may be wrong with it
///
/// Finds the database as the functions do: by `DATABASE_URL` or `DATABASE_SECRET_ARN`. `migrate` prefers `DIRECT_URL` or
/// `DIRECT_URL_SECRET_ARN`, which lead past the pooler.
///
/// Exit codes: 0 success, 1 failure, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo tessera", bin_name = "cargo tessera", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Apply, revert and list the migrations of the database's schema
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Print the SQL that makes one role of the database a function
    #[command(subcommand)]
    Roles(roles::Command),
    /// Create, list and revoke the API keys of callers
    #[command(subcommand)]
    Keys(keys::Command),
    /// List, show and redrive the jobs that forward webhook events
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// List and resolve alerts, which tell of failures that need attention
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Check the database and the connection to it: what is wrong, why it matters and what to do
    ///
    /// Exit codes: 0 no problem, 1 warnings, 2 failures.
    Doctor(doctor::Options),
    /// Test a deployment from outside: create, list, scan and edit codes, then delete them
    ///
    /// Also tests that a request sent twice takes effect once, and that a bad one is refused.
    ///
    /// Exit codes: 0 no problem, 1 warnings or answers that were too slow, 2 failures.
    Smoke(smoke::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    warnings::print_to_stderr();
    let outcome = match Cli::parse().command {
        Command::Migrate(command) => migrate::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Roles(command) => {
            roles::run(&command);
            Ok(ExitCode::SUCCESS)
        }
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

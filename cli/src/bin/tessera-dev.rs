//! `cargo dev`: runs Tessera on this machine.

#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::{env, process::ExitCode};

use clap::{Parser, Subcommand};
use tessera_cli::{dev, warnings};

/// Runs Tessera on this machine: a database, every function, and a URL to try them at
///
/// Uses the database of `DATABASE_URL`, else a private one under target/dev that is there again next time.
/// Ctrl-C stops everything.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: dev::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Run the benchmarks, each beside its peers; takes minutes
    Bench {
        /// The benchmarks to run; all of them if none is named
        #[arg(value_parser = dev::bench::ALL)]
        names: Vec<String>,
    },
    /// Install what the tests need and the machine lacks, then run every test
    Test {
        /// Arguments for `cargo test`, `--` included
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    warnings::print_to_stderr();
    let outcome = if env::args().nth(1).as_deref() == Some(dev::SUPERVISOR) {
        local::supervisor::serve()
    } else {
        let cli = Cli::parse();
        match cli.command {
            None => dev::run(cli.options),
            Some(Command::Bench { names }) => dev::bench::run(&names),
            // Not as parsed: clap takes the `--` away that `cargo test` needs.
            Some(Command::Test { arguments: _ }) => dev::tests::run(&env::args().skip(2).collect::<Vec<_>>()),
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `cargo tessera roles`: the roles of the database, one a function.

use clap::Subcommand;
use shared::grants;

/// The subcommands of `cargo tessera roles`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Print the SQL that makes them, with their rights and settings and without passwords, for psql
    Sql,
}

/// Runs one subcommand, which needs no database.
pub fn run(command: &Command) {
    match command {
        Command::Sql => print!("{}", grants::script()),
    }
}

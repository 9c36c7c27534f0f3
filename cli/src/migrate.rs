//! `cargo tessera migrate`: the database's schema, up, down, and where it stands.

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use shared::migrations::{self, Migration, State};

use crate::{connect, table};

/// Past the pooler where there is one: a long migration would hold one of its few connections.
const VARIABLES: [&str; 2] = ["DIRECT_URL", "DATABASE_URL"];

/// What to do with the schema.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Apply every pending migration, oldest first
    Up,
    /// Revert the newest applied migrations. What they added is lost, with the data in it
    Down {
        /// How many
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        steps: u16,
    },
    /// List the migrations: applied, pending, unknown to this release, or changed since they were applied
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub async fn run(command: Command) -> Result<()> {
    let client = connect::open_from(&VARIABLES).await?;
    match command {
        Command::Up => report("Applied", &migrations::up(&client).await?, "Nothing to apply"),
        Command::Down { steps } => {
            report("Reverted", &migrations::down(&client, steps.into()).await?, "Nothing to revert");
        }
        Command::Status { json } => status(&migrations::status(&client).await?, json)?,
    }
    Ok(())
}

fn report(what: &str, migrations: &[Migration], nothing: &str) {
    if migrations.is_empty() {
        println!("{nothing}");
    }
    for migration in migrations {
        println!("{what} {}", migration.name);
    }
}

fn status(migrations: &[migrations::Status], json: bool) -> Result<()> {
    let mut table = table::Table::new(&["MIGRATION", "STATE", "APPLIED AT"]);
    let mut items = Vec::new();
    for migration in migrations {
        let state = match migration.state {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Unknown => "unknown",
            State::Changed => "changed",
        };
        let applied_at = migration.applied_at.map(|at| at.to_string());
        items.push(json!({
            "version": migration.version,
            "name": migration.name,
            "state": state,
            "appliedAt": applied_at,
        }));
        table.row(vec![migration.name.clone(), state.to_owned(), applied_at.unwrap_or_default()]);
    }
    table::print(json, &items, &table)
}

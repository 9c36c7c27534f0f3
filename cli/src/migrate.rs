//! `cargo tessera migrate`: applies, reverts and lists the migrations of the database's schema.

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use shared::migrations::{Migration, State};
use shared::schema::{self, SchemaStatus};
use tessera_postgres::Deadline;
use tessera_postgres::plans::PlanState;

use crate::connect;
use crate::table::Table;

/// How long a migration may be tried again, and an index may take to be built. An operator who has waited enough ends it.
pub(crate) const PATIENCE: Duration = Duration::from_hours(1);

/// The subcommands of `cargo tessera migrate`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Apply every pending migration, oldest first
    ///
    /// While others hold what a migration needs, it is tried again, for an hour at most; an index that is still being
    /// built then is given up.
    Up,
    /// Revert the newest applied migrations; what they added is dropped, with the data in it
    Down {
        /// How many migrations to revert
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        steps: u16,
    },
    /// List the migrations (applied, pending, unfinished, unknown to this release, or changed since) and the statements whose plans
    /// the database keeps (kept, missing, or changed)
    Status {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Runs one subcommand against the database that the functions use, past its pooler where `DIRECT_URL` leads there.
pub async fn run(command: Command) -> Result<()> {
    let client = connect::direct().await?;
    match command {
        Command::Up => {
            let up = schema::up(&client, Deadline::after(PATIENCE)).await?;
            report("Applied", &up.applied, "Nothing to apply");
            if !up.plans.is_empty() {
                println!("Kept the plans of {} statements", up.plans.len());
            }
        }
        Command::Down { steps } => {
            let reverted = schema::down(&client, steps.into(), Deadline::after(PATIENCE)).await?;
            report("Reverted", &reverted, "Nothing to revert");
        }
        Command::Status { json } => status(&schema::status(&client).await?, json)?,
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

fn status(status: &SchemaStatus, json: bool) -> Result<()> {
    if json {
        let migrations = status.migrations.iter().map(|line| json!(line));
        let items: Vec<_> = migrations.chain(status.plans.iter().map(|line| json!(line))).collect();
        println!("{}", serde_json::to_string_pretty(&items)?);
        return Ok(());
    }
    let mut migrations = Table::new(&["MIGRATION", "STATE", "APPLIED AT"]);
    for migration in &status.migrations {
        let state = match migration.state {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Unfinished => "unfinished",
            State::Unknown => "unknown",
            State::Changed => "changed",
        };
        let applied_at = migration.applied_at.map(|at| at.to_string()).unwrap_or_default();
        migrations.row(vec![migration.name.clone(), state.to_owned(), applied_at]);
    }
    let mut plans = Table::new(&["STATEMENT", "PLAN", "FUNCTION"]);
    for plan in &status.plans {
        let state = match plan.state {
            PlanState::Kept => "kept",
            PlanState::Missing => "missing",
            PlanState::Changed => "changed",
        };
        plans.row(vec![plan.statement.to_owned(), state.to_owned(), plan.function.clone()]);
    }
    print!("{migrations}\n{plans}");
    Ok(())
}

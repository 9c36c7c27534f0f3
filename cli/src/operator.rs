//! What the commands that work on the database share: which rows they are for, running a statement, and times as text.

use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use tessera_postgres::{Diagnosis, Phase, Statement};
use tokio_postgres::{Client, Row, types::ToSql};

/// The rows that a command changes: one by its id, those of one webhook source, or all.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Selection {
    /// Only the one with this number, as in the list
    pub(crate) id: Option<i64>,
    /// All of this webhook source
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

/// Runs a declared statement once, without preparing it: a transaction pooler would lose a named one.
pub(crate) async fn run_statement(
    client: &Client,
    statement: &Statement,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let typed: Vec<_> = values.iter().copied().zip(statement.parameters.iter().cloned()).collect();
    client.query_typed(statement.sql, &typed).await
}

/// Does the same as [`run_statement`]; if a table is missing, the error says how to create it.
pub(crate) async fn query(
    client: &Client,
    statement: &Statement,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>> {
    match run_statement(client, statement, values).await {
        Ok(rows) => Ok(rows),
        Err(error) if Diagnosis::from_driver(&error, Phase::Run) == Diagnosis::Schema => {
            bail!("the database lacks a table: run `cargo tessera migrate up`")
        }
        Err(error) => Err(error.into()),
    }
}

/// The time in a column as text, to the second, or nothing if it is null.
pub(crate) fn format_time(row: &Row, column: &str) -> Option<String> {
    row.get::<_, Option<Timestamp>>(column).map(|time| format!("{time:.0}"))
}

//! What the operator's commands have in common: which rows are meant, a statement that is run once, and times as text.

use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use tessera_postgres::{Diagnosis, Phase, Statement};
use tokio_postgres::{Client, Row, types::ToSql};

/// Selection rows a command is for.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Selection {
    /// This one
    pub(crate) id: Option<i64>,
    /// All of this source
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// All
    #[arg(long)]
    all: bool,
}

/// Runs a statement, unnamed.
pub(crate) async fn run_statement(
    client: &Client,
    statement: &Statement,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let typed: Vec<_> = values.iter().copied().zip(statement.parameters.iter().cloned()).collect();
    client.query_typed(statement.sql, &typed).await
}

/// As [`run_statement`], with the advice that an operator needs most.
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

/// A time, to the second; nothing for none.
pub(crate) fn time(row: &Row, column: &str) -> Option<String> {
    row.get::<_, Option<Timestamp>>(column).map(|time| format!("{time:.0}"))
}

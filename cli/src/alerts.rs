//! `cargo tessera alerts`: lists the failures that need somebody's attention, and marks them as resolved.

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use shared::alerts::Alert;
use tessera_postgres::{IdempotentBy, Plan, Statement};
use tokio_postgres::types::Type;

use crate::operator::{Selection, query};
use crate::{connect, table};

const LIST: Statement = Statement {
    name: "alerts.list",
    sql:
        "SELECT id, code, source, event, count, first_at, last_at, resolved_at FROM alerts
          WHERE $1 OR resolved_at IS NULL ORDER BY resolved_at IS NULL DESC, last_at DESC, id DESC LIMIT 1000",
    parameters: &[Type::BOOL],
    columns: &[
        ("id", Type::INT8),
        ("code", Type::TEXT),
        ("source", Type::TEXT),
        ("event", Type::INT8),
        ("count", Type::INT8),
        ("first_at", Type::TIMESTAMPTZ),
        ("last_at", Type::TIMESTAMPTZ),
        ("resolved_at", Type::TIMESTAMPTZ),
    ],
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

const RESOLVE: Statement = Statement {
    name: "alerts.resolve",
    sql: "UPDATE alerts SET resolved_at = now(), resolved_by = 'operator'
          WHERE resolved_at IS NULL AND ($1 IS NULL OR id = $1) AND ($2 IS NULL OR source = $2)
          RETURNING id",
    parameters: &[Type::INT8, Type::TEXT],
    columns: &[("id", Type::INT8)],
    plan: Plan::EachTime,
    may_take_long: false,
    // A second run finds none that is open.
    idempotent_by: IdempotentBy::RequestId("alerts.resolved_at"),
};

/// The subcommands of `cargo tessera alerts`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// List open alerts, latest first
    List {
        /// Include resolved alerts
        #[arg(long)]
        all: bool,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Mark alerts as resolved; if the same failure happens again, it raises a new alert
    Resolve(Selection),
}

/// Runs one subcommand against the database that the functions use.
pub async fn run(command: Command) -> Result<()> {
    let client = connect::pooled().await?;
    match command {
        Command::List { all, json } => {
            let rows = query(&client, &LIST, &[&all]).await?;
            list(&rows.iter().filter_map(Alert::from_row).collect::<Vec<_>>(), json)
        }
        Command::Resolve(selection) => {
            let resolved = query(&client, &RESOLVE, &[&selection.id, &selection.source]).await?;
            if let (Some(id), true) = (selection.id, resolved.is_empty()) {
                bail!("there is no open alert {id}");
            }
            println!("Resolved: {}", resolved.len());
            Ok(())
        }
    }
}

fn list(alerts: &[Alert], json: bool) -> Result<()> {
    let mut table = table::Table::new(&["ALERT", "CODE", "SOURCE", "COUNT", "LAST AT", "STATE", "ADVICE"]);
    for alert in alerts {
        table.row(vec![
            alert.id.to_string(),
            alert.code.as_str().to_owned(),
            alert.source.as_str().to_owned(),
            alert.count.to_string(),
            format!("{:.0}", alert.last_at),
            if alert.resolved_at.is_some() { "resolved" } else { "open" }.to_owned(),
            alert.code.advice().to_owned(),
        ]);
    }
    table::print(json, &alerts.iter().map(as_json).collect::<Vec<_>>(), &table)
}

fn as_json(alert: &Alert) -> Value {
    json!({
        "id": alert.id,
        "code": alert.code.as_str(),
        "source": alert.source.as_str(),
        "event": alert.event,
        "count": alert.count,
        "firstAt": format!("{:.0}", alert.first_at),
        "lastAt": format!("{:.0}", alert.last_at),
        "resolvedAt": alert.resolved_at.map(|time| format!("{time:.0}")),
        "advice": alert.code.advice(),
    })
}

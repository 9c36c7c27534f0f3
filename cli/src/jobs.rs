//! `cargo tessera jobs`: lists and shows the jobs that forward webhook events, and redrives dead ones.

use std::io::Write as _;

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use shared::jobs::schedule::ATTEMPTS;
use tessera_postgres::{IdempotentBy, Plan, Statement};
use tokio_postgres::{Row, types::Type};

use crate::operator::{Selection, format_time, query};
use crate::{connect, table};

/// A job that is claimed, and whose lease has not ended, counts as running.
const LIST: Statement = Statement {
    name: "jobs.list",
    sql: "SELECT jobs.id, jobs.source, event_id, event_type, attempt, last_attempt, outcome, status, run_at, ended_at,
                 CASE WHEN claim IS NOT NULL AND run_at > now() THEN 'running' ELSE jobs.state END AS state
          FROM jobs JOIN events ON events.id = jobs.event
          WHERE jobs.state = ANY ($1) AND ($2 IS NULL OR jobs.source = $2)
          ORDER BY jobs.id DESC LIMIT $3",
    parameters: &[Type::TEXT_ARRAY, Type::TEXT, Type::INT8],
    columns: &[("id", Type::INT8), ("source", Type::TEXT), ("event_id", Type::TEXT), ("event_type", Type::TEXT), ("attempt", Type::INT4), ("last_attempt", Type::INT4), ("outcome", Type::TEXT), ("status", Type::INT2), ("run_at", Type::TIMESTAMPTZ), ("ended_at", Type::TIMESTAMPTZ), ("state", Type::TEXT)],
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

const SHOW: Statement = Statement {
    name: "jobs.show",
    sql: "SELECT jobs.id, jobs.source, event_id, event_type, attempt, last_attempt, outcome, jobs.status, run_at, ended_at,
                 CASE WHEN claim IS NOT NULL AND run_at > now() THEN 'running' ELSE jobs.state END AS state,
                 answer_head, failure, occurred_at, received_at, created_at, length(raw) AS bytes,
                 CASE WHEN $2 THEN raw END AS raw
          FROM jobs JOIN events ON events.id = jobs.event WHERE jobs.id = $1",
    parameters: &[Type::INT8, Type::BOOL],
    columns: &[("id", Type::INT8), ("source", Type::TEXT), ("event_id", Type::TEXT), ("event_type", Type::TEXT), ("attempt", Type::INT4), ("last_attempt", Type::INT4), ("outcome", Type::TEXT), ("status", Type::INT2), ("run_at", Type::TIMESTAMPTZ), ("ended_at", Type::TIMESTAMPTZ), ("state", Type::TEXT), ("answer_head", Type::TEXT), ("failure", Type::TEXT), ("occurred_at", Type::TIMESTAMPTZ), ("received_at", Type::TIMESTAMPTZ), ("created_at", Type::TIMESTAMPTZ), ("bytes", Type::INT4), ("raw", Type::BYTEA)],
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

/// The attempt number goes on from where it was, so that the result of a worker that claimed the job before the redrive
/// is still refused as outdated.
const REDRIVE: Statement = Statement {
    name: "jobs.redrive",
    sql: "UPDATE jobs SET state = 'waiting', run_at = now(), last_attempt = attempt + $3, claim = NULL, ended_at = NULL
          FROM events
          WHERE jobs.state = 'dead' AND ($1 IS NULL OR jobs.id = $1) AND ($2 IS NULL OR jobs.source = $2)
              AND events.id = jobs.event AND events.raw IS NOT NULL
          RETURNING jobs.id",
    parameters: &[Type::INT8, Type::TEXT, Type::INT4],
    columns: &[("id", Type::INT8)],
    plan: Plan::EachTime,
    may_take_long: false,
    // A second run finds none that is dead.
    idempotent_by: IdempotentBy::RequestId("jobs.state"),
};

/// The subcommands of `cargo tessera jobs`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// List jobs, newest first; without --state, the waiting and the dead ones
    List {
        /// Only jobs in this state
        #[arg(long, value_parser = ["waiting", "done", "dead"])]
        state: Option<String>,
        /// Only jobs of this webhook source
        #[arg(long)]
        source: Option<String>,
        /// List at most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one job with its event
    Show {
        /// The job's number, as in the list
        id: i64,
        /// Print JSON instead of lines
        #[arg(long, conflicts_with = "payload")]
        json: bool,
        /// Print only the event's body, byte for byte as it was received
        #[arg(long)]
        payload: bool,
    },
    /// Give dead jobs five more attempts, the first of them at once
    Redrive(Selection),
}

/// Runs one subcommand against the database that the functions use.
pub async fn run(command: Command) -> Result<()> {
    let client = connect::pooled().await?;
    match command {
        Command::List { state, source, limit, json } => {
            let states =
                state.map_or_else(|| vec!["waiting".to_owned(), "dead".to_owned()], |state| vec![state]);
            list(&query(&client, &LIST, &[&states, &source, &limit]).await?, json)
        }
        Command::Show { id, json, payload } => {
            let rows = query(&client, &SHOW, &[&id, &payload]).await?;
            let Some(row) = rows.first() else { bail!("there is no job {id}") };
            if payload {
                let Some(raw) = row.get::<_, Option<Vec<u8>>>("raw") else {
                    bail!("retention has taken the payload")
                };
                std::io::stdout().write_all(&raw)?;
                return Ok(());
            }
            show(row, json)
        }
        Command::Redrive(selection) => {
            let redriven = query(&client, &REDRIVE, &[&selection.id, &selection.source, &ATTEMPTS]).await?;
            if let (Some(id), true) = (selection.id, redriven.is_empty()) {
                bail!("job {id} is not dead, or retention has taken its payload");
            }
            println!("Redriven: {}", redriven.len());
            Ok(())
        }
    }
}

fn list(rows: &[Row], json: bool) -> Result<()> {
    let mut table =
        table::Table::new(&["JOB", "SOURCE", "EVENT", "TYPE", "STATE", "ATTEMPT", "OUTCOME", "DUE OR ENDED"]);
    for row in rows {
        table.row(vec![
            row.get::<_, i64>("id").to_string(),
            row.get("source"),
            replace_control_characters(row.get("event_id")),
            replace_control_characters(row.get::<_, Option<&str>>("event_type").unwrap_or_default()),
            row.get("state"),
            format!("{} of {}", row.get::<_, i32>("attempt"), row.get::<_, i32>("last_attempt")),
            outcome(row),
            format_time(row, "ended_at").or_else(|| format_time(row, "run_at")).unwrap_or_default(),
        ]);
    }
    table::print(json, &rows.iter().map(as_json).collect::<Vec<_>>(), &table)
}

fn show(row: &Row, json: bool) -> Result<()> {
    let mut job = as_json(row);
    job["answerHead"] = json!(row.get::<_, Option<&str>>("answer_head"));
    job["failure"] = json!(row.get::<_, Option<&str>>("failure"));
    job["occurredAt"] = json!(format_time(row, "occurred_at"));
    job["receivedAt"] = json!(format_time(row, "received_at"));
    job["createdAt"] = json!(format_time(row, "created_at"));
    job["bytes"] = json!(row.get::<_, Option<i32>>("bytes"));
    if json {
        println!("{}", serde_json::to_string_pretty(&job)?);
        return Ok(());
    }
    for (name, value) in job.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let value = value.as_str().map_or_else(|| value.to_string(), replace_control_characters);
        println!("{name:12} {value}");
    }
    Ok(())
}

fn outcome(row: &Row) -> String {
    let outcome: Option<&str> = row.get("outcome");
    let status: Option<i16> = row.get("status");
    [outcome.map(str::to_owned), status.map(|status| status.to_string())]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Replaces control characters in what a sender wrote: a terminal would obey its escape sequences.
fn replace_control_characters(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn as_json(row: &Row) -> Value {
    json!({
        "id": row.get::<_, i64>("id"),
        "source": row.get::<_, &str>("source"),
        "eventId": row.get::<_, &str>("event_id"),
        "eventType": row.get::<_, Option<&str>>("event_type"),
        "state": row.get::<_, &str>("state"),
        "attempt": row.get::<_, i32>("attempt"),
        "lastAttempt": row.get::<_, i32>("last_attempt"),
        "outcome": row.get::<_, Option<&str>>("outcome"),
        "status": row.get::<_, Option<i16>>("status"),
        "runAt": format_time(row, "run_at"),
        "endedAt": format_time(row, "ended_at"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_sender_do_not_reach_the_terminal() {
        assert_eq!(replace_control_characters("evt_1\u{1b}[2Jä\n"), "evt_1\u{fffd}[2Jä\u{fffd}");
    }
}

//! Benchmarks what a report of `health` costs a database with 10 million scans and a million events. `health.sh` runs
//! this.
//!
//! It runs a detailed report and a deep one, planned anew each time as the functions' unnamed statements are. It prints
//! the time that the database takes, planning included, and the pages of 8 kB that it touches, which do not depend on
//! the load of the machine.

#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use anyhow::{Context as _, Result};
use harness::Postgres;
use serde_json::Value;
use shared::health::{REPORT, TABLES};
use tokio_postgres::Client;

const RUNS: usize = 20;

/// The cost of one run, in the database.
struct Run {
    ms: f64,
    pages: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let postgres = Postgres::builder().settings([("log_statement", "none")]).start().await?;
    let database = postgres.database().await?;
    let client = database.client().await?;
    // One by one: VACUUM runs in no transaction, and several statements in one message are one.
    for statement in include_str!("health.sql").split_inclusive(";\n") {
        client.batch_execute(statement).await?;
    }
    let size = "SELECT pg_size_pretty(pg_database_size(current_database()))";
    let size: String = client.query_typed_one(size, &[]).await?.get(0);
    println!("PostgreSQL {}, {size}, {RUNS} runs each", version(&client).await?);
    println!("| | best ms | median ms | worst ms | pages |\n|---|---|---|---|---|");
    prepare(&client).await?;
    for (form, key, is_full) in [("detailed", "sha256('7')", true), ("deep", "NULL", false)] {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(run(&client, key, is_full).await?);
        }
        runs.sort_by(|a, b| a.ms.total_cmp(&b.ms));
        let pages = runs.iter().map(|run| run.pages).max().unwrap_or_default();
        let [best, median, worst] = [0, RUNS / 2, RUNS - 1].map(|n| runs[n].ms);
        println!("| {form} | {best:.1} | {median:.1} | {worst:.1} | {pages} |");
    }
    Ok(())
}

async fn version(client: &Client) -> Result<String> {
    Ok(client.query_typed_one("SELECT current_setting('server_version')", &[]).await?.get(0))
}

async fn prepare(client: &Client) -> Result<()> {
    let statement = format!("PREPARE report (bytea, boolean, text[]) AS {}", REPORT.sql);
    client.batch_execute("SET plan_cache_mode = force_custom_plan").await?;
    Ok(client.batch_execute(&statement).await?)
}

async fn run(client: &Client, key: &str, is_full: bool) -> Result<Run> {
    let tables = TABLES.join(",");
    let explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE report ({key}, {is_full}, '{{{tables}}}')"
    );
    let plan: Value = client.query_typed_one(&explain, &[]).await?.get(0);
    let plan = &plan[0];
    let time = |name| plan[name].as_f64().with_context(|| format!("no {name}"));
    let pages = |of: &Value| {
        ["Shared Hit Blocks", "Shared Read Blocks"]
            .map(|name| of[name].as_u64().unwrap_or_default())
            .iter()
            .sum::<u64>()
    };
    Ok(Run {
        ms: time("Planning Time")? + time("Execution Time")?,
        pages: pages(&plan["Plan"]) + pages(&plan["Planning"]),
    })
}

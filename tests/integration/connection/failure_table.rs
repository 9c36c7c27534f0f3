//! What a database's refusal means is said by one table. Each row is tested with everything that is built on it: the
//! retry, the metrics, health and doctor.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use harness::{Lambda, RefusingServer};
use serde_json::Value;
use shared::health;
use tessera_postgres::FailureKind;
use tessera_postgres::failure::{ListedError, listed_errors};

use crate::operator::doctor::examine;

/// How many rows are tested at the same time: a test mostly waits.
const AT_ONCE: usize = 8;
/// The time of each request, which is enough for a retry or two.
const DEADLINE: Duration = Duration::from_millis(800);

/// The rows to be tested: every phrase under one of its codes, and every code without a phrase.
fn rows() -> Vec<ListedError> {
    let mut seen = BTreeSet::new();
    listed_errors().filter(|row| row.message == "refused" || seen.insert(row.message)).collect()
}

#[tokio::test]
async fn every_known_refusal_is_retried_counted_and_told_as_its_row_says() -> Result<()> {
    let rows = rows();
    ensure!(rows.len() > 40, "{} rows", rows.len());
    stream::iter(rows).map(Ok).try_for_each_concurrent(AT_ONCE, test_row).await
}

async fn test_row(row: ListedError) -> Result<()> {
    let server = RefusingServer::start(row.sqlstate, &format!("{} (by the test)", row.message)).await?;
    let expected = format!("{}: {}", row.diagnosis.name(), row.diagnosis.summary());
    let advice = health::advice(row.diagnosis);

    let function = Lambda::builder("health").env("DATABASE_URL", server.url()).start().await?;
    let answer = function.get("/health?deep=true").deadline(DEADLINE).send().await?;
    let body = answer.json()?;
    ensure!(answer.status == 503, "{row:?}: {}", answer.status);
    ensure!(body["observed"] == expected && body["advice"] == advice, "health: {row:?}: {body}");

    let counts = metrics(&function).await.with_context(|| format!("{row:?}"))?;
    // Given credentials stay what they are.
    let is_retried = row.kind.is_transient() && row.kind != FailureKind::Credentials;
    ensure!(counts.get("Retries").is_some() == is_retried, "retry: {row:?}: {counts}");
    let is_wait = row.diagnosis.is_lack_of_connections();
    ensure!(counts.get("PoolWaits").is_some() == is_wait, "wait: {row:?}: {counts}");
    let is_conflict = row.kind == FailureKind::NamedStatement;
    ensure!(counts.get("PreparedStatementConflicts").is_some() == is_conflict, "conflict: {row:?}: {counts}");

    let examined = examine(server.url()).await?;
    let check = examined.check("connect")?;
    let observed = check["observed"].as_str().unwrap_or_default();
    ensure!(observed.starts_with(row.diagnosis.name()), "doctor: {row:?}: {observed}");
    ensure!(
        observed.contains(row.diagnosis.summary()) && check["advice"] == advice,
        "doctor: {row:?}: {check}"
    );
    Ok(())
}

/// The metrics of the only invocation, which may be logged after its answer; null if it counted nothing.
async fn metrics(function: &Lambda) -> Result<Value> {
    let written = async {
        loop {
            let lines = function.json_logs();
            let answered = lines.iter().any(|line| line["message"] == "answered");
            if let Some(line) = lines.into_iter().find(|line| line.get("_aws").is_some())
                && answered
            {
                return line;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), written).await.context("no line of metrics")
}

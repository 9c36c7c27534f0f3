//! Requests to `qr-generate` and `qr-redirect` under faults, what must be in the database afterwards, and conditions to
//! wait for.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Database, Lambda, Postgres, Response};
use serde_json::json;
use tokio_postgres::Client;

pub(crate) use crate::api::functions::{generate, redirect};

/// Inserts a code by SQL, so that a redirect has one to follow, and returns its id.
pub(crate) async fn insert_code(database: &Database) -> Result<&'static str> {
    let insert = "INSERT INTO codes (id_key, short_id, owner, target_url, created_by, last_edit)
        VALUES ('C0DE', 'CODE', 'anonymous', 'https://example.com', gen_random_uuid(), gen_random_uuid())";
    database.client().await?.batch_execute(insert).await?;
    Ok("CODE")
}

/// Sends a request to create a code.
pub(crate) async fn create(lambda: &Lambda) -> Result<Response> {
    create_within(lambda, None).await
}

/// Sends a request to create a code, which has this time instead of the function's limit.
pub(crate) async fn create_within(lambda: &Lambda, limit: Option<Duration>) -> Result<Response> {
    let request = lambda.post("/qr").json(&json!({"targetUrl": "https://example.com"}));
    if let Some(limit) = limit { request.deadline(limit) } else { request }.send().await
}

/// Creates a code; any answer but 201 is an error.
pub(crate) async fn create_ok(lambda: &Lambda) -> Result<Response> {
    let response = create(lambda).await?;
    ensure!(response.status == 201, "{}: {}\n{}", response.status, response.text(), lambda.logs().join("\n"));
    Ok(response)
}

/// Follows the code `id`; any answer but 302 is an error.
pub(crate) async fn follow_ok(lambda: &Lambda, id: &str) -> Result<Response> {
    let response = lambda.get(&format!("/r/{id}")).send().await?;
    ensure!(response.status == 302, "{}: {}\n{}", response.status, response.text(), lambda.logs().join("\n"));
    Ok(response)
}

/// Counts codes and scans. Scans are counted in two tables, which must agree.
pub(crate) async fn count_codes_and_scans(database: &Database) -> Result<(i64, i64)> {
    count_codes_and_scans_on(&database.client().await?).await
}

/// Does the same as [`count_codes_and_scans`], on the server of `client`.
pub(crate) async fn count_codes_and_scans_on(client: &Client) -> Result<(i64, i64)> {
    let count = "SELECT (SELECT count(*) FROM codes), (SELECT count(*) FROM scans),
        (SELECT coalesce(sum(total + bots), 0)::bigint FROM scan_totals)";
    let row = client.query_typed_one(count, &[]).await?;
    let (codes, scans, total): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    ensure!(scans == total, "{scans} scans, counted as {total}");
    Ok((codes, scans))
}

/// Waits until the function has sent statements again `times` times.
pub(crate) async fn wait_for_retries(lambda: &Lambda, times: usize) -> Result<()> {
    let tries =
        || lambda.json_logs().iter().filter(|line| line["message"] == "database: trying again").count();
    wait_until("the function tries again", async || Ok(tries() >= times)).await
}

/// Waits until the function's log has this text, which may arrive later than the answer.
pub(crate) async fn wait_for_log(lambda: &Lambda, text: &str) -> Result<()> {
    wait_until(text, async || Ok(lambda.logs().iter().any(|line| line.contains(text)))).await
}

/// Waits until a statement of a function is blocked by a lock.
pub(crate) async fn wait_for_blocked_statement(database: &Database) -> Result<()> {
    let waiting = "SELECT 1 FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND application_name <> 'harness' AND datname = current_database()";
    let admin = database.postgres().admin(&database.name).await?;
    wait_until("a statement is stuck", async || Ok(!admin.query_typed(waiting, &[]).await?.is_empty())).await
}

/// Waits until the server's log has an entry with this SQLSTATE.
pub(crate) async fn wait_for_sqlstate(postgres: &Postgres, sqlstate: &str) -> Result<()> {
    wait_until(sqlstate, async || Ok(postgres.log()?.iter().any(|entry| entry.sqlstate == sqlstate))).await
}

/// Waits for `condition`, 20 s at most.
pub(crate) async fn wait_until(what: &str, condition: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let wait = async {
        while !condition().await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(Duration::from_secs(20), wait).await {
        Ok(waited) => waited.with_context(|| what.to_owned()),
        Err(_) => bail!("waited in vain until {what}"),
    }
}

//! The main job's two functions, what their callers do, and what must then be in the database.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Database, Lambda, LambdaBuilder, Postgres, Response};
use serde_json::json;
use tokio_postgres::Client;

/// `qr-generate` for callers without a key.
pub(crate) fn generate(url: impl Into<String>) -> LambdaBuilder {
    Lambda::builder("qr-generate")
        .env("DATABASE_URL", url)
        .env("PUBLIC_BASE_URL", "https://q.example")
        .env("ANONYMOUS_OWNER", "anonymous")
}

/// `qr-redirect`.
pub(crate) fn redirect(url: impl Into<String>) -> LambdaBuilder {
    Lambda::builder("qr-redirect").env("DATABASE_URL", url)
}

/// A code made past the functions, so that a redirect has one to follow.
pub(crate) async fn code(database: &Database) -> Result<&'static str> {
    let insert = "INSERT INTO codes (id_key, short_id, owner, target_url, created_by, last_edit)
        VALUES ('C0DE', 'CODE', 'anonymous', 'https://example.com', gen_random_uuid(), gen_random_uuid())";
    database.client().await?.batch_execute(insert).await?;
    Ok("CODE")
}

/// Makes a code.
pub(crate) async fn create(lambda: &Lambda) -> Result<Response> {
    lambda.post("/qr").json(&json!({"targetUrl": "https://example.com"})).send().await
}

/// Makes a code, and says so if that did not work.
pub(crate) async fn created(lambda: &Lambda) -> Result<Response> {
    let response = create(lambda).await?;
    ensure!(response.status == 201, "{}: {}\n{}", response.status, response.text(), lambda.logs().join("\n"));
    Ok(response)
}

/// Follows the code `id`, and says so if that did not work.
pub(crate) async fn followed(lambda: &Lambda, id: &str) -> Result<Response> {
    let response = lambda.get(&format!("/r/{id}")).send().await?;
    ensure!(response.status == 302, "{}: {}\n{}", response.status, response.text(), lambda.logs().join("\n"));
    Ok(response)
}

/// How many codes there are, and how many scans, which are counted in two places.
pub(crate) async fn effects(database: &Database) -> Result<(i64, i64)> {
    effects_seen_by(&database.client().await?).await
}

/// The same, on another server.
pub(crate) async fn effects_seen_by(client: &Client) -> Result<(i64, i64)> {
    let count = "SELECT (SELECT count(*) FROM codes), (SELECT count(*) FROM scans),
        (SELECT coalesce(sum(total + bots), 0)::bigint FROM scan_totals)";
    let row = client.query_typed_one(count, &[]).await?;
    let (codes, scans, total): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    ensure!(scans == total, "{scans} scans, counted as {total}");
    Ok((codes, scans))
}

/// Waits until the function has tried again `times` times.
pub(crate) async fn tried_again(lambda: &Lambda, times: usize) -> Result<()> {
    let tries =
        || lambda.json_logs().iter().filter(|line| line["message"] == "database: trying again").count();
    until("the function tries again", async || Ok(tries() >= times)).await
}

/// Waits until the function's log has this text. It is collected apart from the answers.
pub(crate) async fn says(lambda: &Lambda, text: &str) -> Result<()> {
    until(text, async || Ok(lambda.logs().iter().any(|line| line.contains(text)))).await
}

/// Waits until a statement of a function waits for a lock.
pub(crate) async fn stuck(database: &Database) -> Result<()> {
    let waiting = "SELECT 1 FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND application_name <> 'harness' AND datname = current_database()";
    let admin = database.postgres().admin(&database.name).await?;
    until("a statement is stuck", async || Ok(!admin.query_typed(waiting, &[]).await?.is_empty())).await
}

/// Waits until the server's log has an entry with this SQLSTATE.
pub(crate) async fn logged(postgres: &Postgres, sqlstate: &str) -> Result<()> {
    until(sqlstate, async || Ok(postgres.log()?.iter().any(|entry| entry.sqlstate == sqlstate))).await
}

/// Waits for `condition`, 20 s at most.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> Result<bool>) -> Result<()> {
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

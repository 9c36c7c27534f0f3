//! The metrics that each invocation logs as one line for CloudWatch.

use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::{Lambda, Postgres, Proxy};
use serde_json::{Value, json};
use shared::metrics::{MAX_LINE, Metric};

/// The lines of metrics that a function has logged so far, oldest first.
fn lines(function: &Lambda) -> Vec<Value> {
    function.json_logs().into_iter().filter(|line| line.get("_aws").is_some()).collect()
}

/// Waits for the `count`th line, that of the newest invocation: it may be logged after the answer.
pub(crate) async fn line_number(function: &Lambda, count: usize) -> Result<Value> {
    let written = async {
        loop {
            if let Some(line) = lines(function).get(count - 1) {
                return line.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), written).await.with_context(|| function.logs().join("\n"))
}

#[tokio::test]
async fn each_invocation_says_what_it_did_once() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = Lambda::builder("qr-generate")
        .env("DATABASE_URL", database.url())
        .env("PUBLIC_BASE_URL", "https://q.example")
        .env("ANONYMOUS_OWNER", "anonymous")
        .env("TESSERA_STAGE", "test")
        .start()
        .await?;
    let body = json!({"targetUrl": "https://example.com"});
    let made = codes.post("/qr").header("idempotency-key", "k").json(&body).send().await?.json()?;
    let cold = line_number(&codes, 1).await?;
    assert_eq!((&cold["Function"], &cold["Stage"]), (&json!("qr-generate"), &json!("test")));
    assert_eq!((&cold["Creates"], &cold["RoundTrips"]), (&json!(1), &json!(1)), "{cold}");
    assert_eq!(cold["ConnectionsOpened"], 1, "{cold}");
    let memory = cold["PeakMemory"].as_f64().context("no memory")?;
    assert!((1.0..512.0).contains(&memory), "{memory} MB");
    assert!(cold["ConnectTime"].is_number() && cold["StatementTime"].is_number(), "{cold}");

    codes.post("/qr").header("idempotency-key", "k").json(&body).send().await?;
    let replay = line_number(&codes, 2).await?;
    assert!(replay.get("Creates").is_none() && replay.get("ConnectionsOpened").is_none(), "{replay}");

    // What asks no database has nothing to say.
    let before = lines(&codes).len();
    codes.get("/qr/!").send().await?;
    assert_eq!(lines(&codes).len(), before);

    let redirects = Lambda::builder("qr-redirect").env("DATABASE_URL", database.url()).start().await?;
    let path = format!("/r/{}", made["shortId"].as_str().context("no id")?);
    redirects.get(&path).header("user-agent", "Mozilla/5.0").send().await?;
    assert_eq!(line_number(&redirects, 1).await?["Scans"], 1);
    redirects.head(&path).header("user-agent", "Mozilla/5.0").send().await?;
    assert!(line_number(&redirects, 2).await?.get("Scans").is_none(), "HEAD is no scan");

    for line in lines(&codes).into_iter().chain(lines(&redirects)) {
        assert!(line.to_string().len() < MAX_LINE, "{line}");
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().context("no metrics")? {
            let name = metric["Name"].as_str().context("no name")?;
            assert!(Metric::ALL.iter().any(|metric| metric.name() == name), "{name}");
            assert!(line[name].is_number(), "{name} in {line}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_outage_is_counted_as_a_server_error() -> Result<()> {
    let redirects =
        Lambda::builder("qr-redirect").env("DATABASE_URL", "postgres://u:p@127.0.0.1:1/d").start().await?;
    let deadline = Duration::from_secs(2);
    assert_eq!(redirects.get("/r/ABC").deadline(deadline).send().await?.status, 503);
    let line = line_number(&redirects, 1).await?;
    assert_eq!(line["ServerErrors"], 1, "{line}");
    assert!(line["Retries"].as_f64().is_some_and(|retries| retries >= 1.0), "{line}");
    assert_eq!(line["RetriesNeverRan"], line["Retries"], "{line}");
    Ok(())
}

#[tokio::test]
async fn waits_for_a_free_connection_are_counted() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let only_one = format!("ALTER DATABASE {} CONNECTION LIMIT 1", database.name);
    let held = database.client().await?;
    held.batch_execute(&only_one).await?;
    let redirects = Lambda::builder("qr-redirect").env("DATABASE_URL", database.url()).start().await?;
    let deadline = Duration::from_secs(2);
    assert_eq!(redirects.get("/r/ABC").deadline(deadline).send().await?.status, 503);
    let full = line_number(&redirects, 1).await?;
    assert_eq!(full["RetriesBusy"], full["Retries"], "{full}");
    // Each retry follows a refusal, and so does giving up.
    assert_eq!(full["PoolWaits"].as_f64(), full["Retries"].as_f64().map(|retries| retries + 1.0), "{full}");
    assert!(full["PoolWaitTime"].is_number(), "{full}");
    Ok(())
}

#[tokio::test]
async fn requests_that_wait_for_another_to_connect_are_counted() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let redirects = Lambda::builder("qr-redirect")
        .env("DATABASE_URL", proxy.url(&database))
        .concurrency(2)
        .start()
        .await?;
    // Whoever comes first connects for both, as long as its time lasts.
    proxy.black_hole();
    let request = || redirects.get("/r/ABC").deadline(Duration::from_secs(2)).send();
    let (first, second) = tokio::try_join!(request(), request())?;
    assert_eq!((first.status, second.status), (503, 503));
    let lines = [line_number(&redirects, 1).await?, line_number(&redirects, 2).await?];
    let waited = |line: &&Value| line["PoolWaits"].is_number() && line["PoolWaitTime"].is_number();
    assert_eq!(lines.iter().filter(waited).count(), 1, "{lines:?}");
    Ok(())
}

#[tokio::test]
async fn no_metrics_are_logged_in_the_format_for_people() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let redirects = Lambda::builder("qr-redirect")
        .env("DATABASE_URL", database.url())
        .env("TESSERA_LOG_FORMAT", "pretty")
        .start()
        .await?;
    assert_eq!(redirects.get("/r/ABC").send().await?.status, 404);
    assert!(!redirects.logs().iter().any(|line| line.contains("_aws")), "{:?}", redirects.logs());
    Ok(())
}

#[tokio::test]
async fn webhooks_and_the_worker_say_what_they_did() -> Result<()> {
    const SECRET: &str = "It's a Secret to Everybody";
    let database = Postgres::plain().await?.database().await?;
    let sources = format!(r#"{{"hub":{{"scheme":"github","secrets":["{SECRET}"]}}}}"#);
    let webhooks = Lambda::builder("webhook")
        .env("DATABASE_URL", database.url())
        .env("WEBHOOK_SOURCES", &sources)
        .start()
        .await?;
    // GitHub's own example: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let forged =
        webhooks.post("/webhooks/hub").header("x-hub-signature-256", signature).body("Hello, Mallory!");
    assert_eq!(forged.send().await?.status, 401);
    assert_eq!(line_number(&webhooks, 1).await?["RejectedSignatures"], 1);

    database
        .client()
        .await?
        .batch_execute(
            "INSERT INTO events (source, event_id, request, state) VALUES ('hub', '1', gen_random_uuid(), 'applied');
             INSERT INTO jobs (event, source, attempt, last_attempt) SELECT id, 'hub', 5, 5 FROM events",
        )
        .await?;
    let worker = Lambda::builder("worker")
        .env("DATABASE_URL", database.url())
        .env("WEBHOOK_SOURCES", &sources)
        .start()
        .await?;
    worker.invoke(&json!({}), Some(Duration::from_mins(1))).await?;
    let line = line_number(&worker, 1).await?;
    assert_eq!((&line["JobsDead"], &line["RoundTrips"]), (&json!(1), &json!(1)), "{line}");
    assert!(line["ConnectionsUsedPercent"].is_number(), "{line}");
    assert_eq!(line["QueueDepth"], 1, "{line}");

    worker.invoke(&json!({}), Some(Duration::from_mins(1))).await?;
    let empty = line_number(&worker, 2).await?;
    assert_eq!(empty["QueueDepth"], 0, "an alarm must see that the queue has become empty: {empty}");
    Ok(())
}

//! The line that each invocation writes for CloudWatch.

use anyhow::{Context as _, Result};
use harness::{Lambda, Postgres};
use serde_json::{Value, json};
use shared::metrics::{LONGEST_LINE, Metric};

/// The lines so far, oldest first.
fn lines(function: &Lambda) -> Vec<Value> {
    function.json_logs().into_iter().filter(|line| line.get("_aws").is_some()).collect()
}

/// The values of the newest line.
fn newest(function: &Lambda) -> Result<Value> {
    lines(function).pop().context("no line")
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
    let cold = newest(&codes)?;
    assert_eq!((&cold["Function"], &cold["Stage"]), (&json!("qr-generate"), &json!("test")));
    assert_eq!((&cold["Creates"], &cold["RoundTrips"]), (&json!(1), &json!(1)), "{cold}");
    assert_eq!(cold["ConnectionsOpened"], 1, "{cold}");
    assert!(cold["ConnectTime"].is_number() && cold["StatementTime"].is_number(), "{cold}");

    codes.post("/qr").header("idempotency-key", "k").json(&body).send().await?;
    let replay = newest(&codes)?;
    assert!(replay.get("Creates").is_none() && replay.get("ConnectionsOpened").is_none(), "{replay}");

    // What asks no database has nothing to say.
    let before = lines(&codes).len();
    codes.get("/qr/!").send().await?;
    assert_eq!(lines(&codes).len(), before);

    let redirects = Lambda::builder("qr-redirect").env("DATABASE_URL", database.url()).start().await?;
    let path = format!("/r/{}", made["shortId"].as_str().context("no id")?);
    redirects.get(&path).header("user-agent", "Mozilla/5.0").send().await?;
    assert_eq!(newest(&redirects)?["Scans"], 1);
    redirects.head(&path).header("user-agent", "Mozilla/5.0").send().await?;
    assert!(newest(&redirects)?.get("Scans").is_none(), "HEAD is no scan");

    for line in lines(&codes).into_iter().chain(lines(&redirects)) {
        assert!(line.to_string().len() < LONGEST_LINE, "{line}");
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
    let deadline = std::time::Duration::from_secs(2);
    assert_eq!(redirects.get("/r/ABC").deadline(deadline).send().await?.status, 503);
    let line = newest(&redirects)?;
    assert_eq!(line["ServerErrors"], 1, "{line}");
    assert!(line["Retries"].as_f64().is_some_and(|retries| retries >= 1.0), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_person_who_develops_is_spared_the_lines() -> Result<()> {
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

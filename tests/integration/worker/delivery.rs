//! The worker delivers events, tries failed deliveries again on schedule, and gives up with an alert.

use anyhow::Result;
use harness::{Database, Lambda, LambdaBuilder, Postgres, Proxy};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::endpoint::{Behaviour, Endpoint};
use crate::webhook::sender::{account, now, send, shopify, sources, standard_signature, webhook};

/// Configures `worker` with these sources; it may deliver to this machine.
pub(crate) fn worker(url: String, sources: String) -> LambdaBuilder {
    Lambda::builder("worker")
        .env("DATABASE_URL", url)
        .env("WEBHOOK_SOURCES", sources)
        .env("WORKER_ALLOW_LOOPBACK", "true")
        .env("WORKER_TIMEOUT_SECONDS", "1")
}

/// Invokes the worker once, as its schedule does, and returns its report.
pub(crate) async fn run(worker: &Lambda) -> Result<Value> {
    Ok(worker.invoke(&json!({"source": "aws.events"}), None).await?.payload)
}

/// A source that forwards to an endpoint, and a worker.
pub(crate) struct Setup {
    pub(crate) database: Database,
    pub(crate) endpoint: Endpoint,
    pub(crate) webhook: Lambda,
    pub(crate) worker: Lambda,
}

impl Setup {
    pub(crate) async fn start(behaviour: Behaviour) -> Result<Self> {
        let database = Postgres::plain().await?.database().await?;
        let endpoint = Endpoint::start(move |_| behaviour.clone()).await?;
        let sources = sources(&json!({"forwardUrl": endpoint.url}));
        let webhook = webhook(database.url(), sources.clone()).start().await?;
        let worker = worker(database.url(), sources).start().await?;
        Ok(Self { database, endpoint, webhook, worker })
    }

    pub(crate) async fn event(&self, id: &str) -> Result<()> {
        let answer = send(&self.webhook, id, &account(id, "a", "active", "2026-01-01T00:00:00Z")).await?;
        assert_eq!(answer.status, 202);
        Ok(())
    }

    pub(crate) async fn run(&self) -> Result<Value> {
        run(&self.worker).await
    }

    /// Runs a query that returns one row, and returns that as text.
    pub(crate) async fn one(&self, sql: &str) -> Result<String> {
        let row =
            self.database.client().await?.query_typed_one(&format!("SELECT ({sql})::text"), &[]).await?;
        Ok(row.try_get::<_, Option<String>>(0)?.unwrap_or_default())
    }

    /// Makes all waiting jobs due, as if their time had come.
    pub(crate) async fn make_jobs_due(&self) -> Result<()> {
        let due = "UPDATE jobs SET run_at = now() WHERE state = 'waiting'";
        Ok(self.database.client().await?.batch_execute(due).await?)
    }

    /// How many minutes it takes until the only job is due.
    pub(crate) async fn minutes_until_due(&self) -> Result<f64> {
        Ok(self.one("SELECT round(extract(epoch FROM run_at - now()) / 60, 1) FROM jobs").await?.parse()?)
    }

    pub(crate) async fn alerts(&self) -> Result<String> {
        self.one("SELECT string_agg(code || ' ' || source || ' ' || count, ',' ORDER BY code) FROM alerts WHERE resolved_at IS NULL").await
    }
}

#[tokio::test]
async fn an_event_is_delivered_as_it_came_and_signed() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(204)).await?;
    setup.event("evt_1").await?;
    let report = setup.run().await?;
    assert_eq!(report, json!({"claimed": 1, "delivered": 1, "toRetry": 0, "dead": 0, "late": 0}));
    let deliveries = setup.endpoint.deliveries();
    let [delivery] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    let event = account("evt_1", "a", "active", "2026-01-01T00:00:00Z");
    assert_eq!(delivery.body, event.to_string().as_bytes());
    assert_eq!(delivery.header("content-type"), "application/json");
    assert_eq!(delivery.id(), "evt_1");
    assert_eq!(delivery.header("tessera-event-type"), "account.updated");
    assert_eq!(delivery.header("tessera-attempt"), "1");
    let seconds: i64 = delivery.header("webhook-timestamp").parse()?;
    assert!((now() - seconds).abs() < 60);
    let expected = standard_signature("evt_1", seconds, event.to_string().as_bytes());
    assert_eq!(delivery.header("webhook-signature"), expected);
    assert_eq!(
        setup.one("SELECT state || ' ' || outcome || ' ' || status FROM jobs").await?,
        "done delivered 204"
    );
    assert_eq!(setup.run().await?["claimed"], 0, "and only once");
    Ok(())
}

#[tokio::test]
async fn odd_bytes_are_delivered_and_nothing_unsigned_as_if_it_were_signed() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(200)).await?;
    let odd = r#"{"id": 7, "note": "\u0000", "x": "\ud800"}"#;
    for topic in ["orders/create", "orders/paid"] {
        shopify(&setup.webhook, "s1", topic, odd.as_bytes()).send().await?;
    }
    setup.run().await?;
    let deliveries = setup.endpoint.deliveries();
    let [delivery] = deliveries.as_slice() else { panic!("one signed body is one event: {deliveries:?}") };
    assert_eq!(delivery.body, odd.as_bytes());
    let digest = hex::encode(Sha256::digest([b"shopify\0", odd.as_bytes()].concat()));
    assert_eq!(delivery.id(), format!("sha256:{digest}"));
    assert_eq!(delivery.header("tessera-event-type"), "");
    assert_eq!(delivery.header("tessera-unsigned-event-type"), "orders/create");
    Ok(())
}

#[tokio::test]
async fn a_run_is_a_claim_and_a_finish_and_an_idle_one_is_a_claim() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(200)).await?;
    let proxy = Proxy::recording(setup.database.postgres().address()).await?;
    let sources = sources(&json!({"forwardUrl": setup.endpoint.url}));
    let worker = worker(proxy.url(&setup.database), sources).start().await?;
    run(&worker).await?;
    proxy.reset();
    run(&worker).await?;
    assert_eq!(proxy.round_trips(), 1, "idle");
    for n in 0..7 {
        setup.event(&format!("e{n}")).await?;
    }
    proxy.reset();
    assert_eq!(run(&worker).await?["delivered"], 7);
    assert_eq!(proxy.round_trips(), 3, "claim, finish, and a claim that finds nothing more");
    assert_eq!(proxy.named_statements(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn failures_are_tried_again_on_schedule_and_then_given_up() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(500)).await?;
    setup.event("e").await?;
    for minutes in [1.0, 5.0, 15.0, 60.0] {
        assert_eq!(setup.run().await?["toRetry"], 1);
        let wait = setup.minutes_until_due().await?;
        assert!((minutes * 1.05..=minutes * 1.25).contains(&wait), "{wait} for {minutes} minutes");
        assert_eq!(setup.run().await?["claimed"], 0, "not before its time");
        setup.make_jobs_due().await?;
    }
    assert_eq!(setup.run().await?["dead"], 1);
    assert_eq!(setup.one("SELECT state || ' ' || attempt || ' ' || status FROM jobs").await?, "dead 5 500");
    assert_eq!(setup.alerts().await?, "job_dead standard 1");
    let ids: Vec<_> = setup.endpoint.deliveries().iter().map(|delivery| delivery.id().to_owned()).collect();
    assert_eq!(ids, ["e"; 5]);
    Ok(())
}

#[tokio::test]
async fn what_an_endpoint_asks_for_is_obeyed() -> Result<()> {
    let after = |value: &str| Behaviour::With(429, "retry-after", value.to_owned(), String::new());
    let setup = Setup::start(after("600")).await?;
    setup.event("e").await?;
    setup.run().await?;
    let wait = setup.minutes_until_due().await?;
    assert!((10.9..=12.1).contains(&wait), "{wait}");

    setup.make_jobs_due().await?;
    setup.endpoint.behave(|_| Behaviour::Answer(410));
    assert_eq!(setup.run().await?["dead"], 1);
    assert_eq!(setup.alerts().await?, "endpoint_gone standard 1");
    Ok(())
}

#[tokio::test]
async fn hangs_redirects_and_dead_hosts_are_failures() -> Result<()> {
    let setup = Setup::start(Behaviour::Hang).await?;
    setup.event("e").await?;
    let elsewhere = Endpoint::start(|_| Behaviour::Answer(200)).await?;
    let location = elsewhere.url.clone();
    let outcome = "SELECT outcome || coalesce(' ' || status, '') FROM jobs";
    setup.run().await?;
    assert_eq!(setup.one(outcome).await?, "timeout");

    setup.endpoint.behave(move |_| Behaviour::With(307, "location", location.clone(), String::new()));
    setup.make_jobs_due().await?;
    setup.run().await?;
    assert_eq!(setup.one(outcome).await?, "refused 307");
    assert!(elsewhere.deliveries().is_empty(), "redirects are not followed");

    setup.make_jobs_due().await?;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let sources = sources(&json!({"forwardUrl": format!("http://{closed}/")}));
    run(&worker(setup.database.url(), sources).start().await?).await?;
    assert_eq!(setup.one(outcome).await?, "unreachable");
    Ok(())
}

#[tokio::test]
async fn private_addresses_are_not_delivered_to() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(200)).await?;
    setup.event("e").await?;
    let by_name = setup.endpoint.url.replace("127.0.0.1", "localhost");
    for (url, loopback) in [
        (setup.endpoint.url.as_str(), "false"),
        (by_name.as_str(), "false"),
        ("https://169.254.169.254/latest/meta-data", "true"),
        ("https://10.0.0.1/", "true"),
    ] {
        let sources = sources(&json!({"forwardUrl": url}));
        let worker =
            worker(setup.database.url(), sources).env("WORKER_ALLOW_LOOPBACK", loopback).start().await?;
        assert_eq!(run(&worker).await?["toRetry"], 1, "{url}");
        assert_eq!(setup.one("SELECT outcome FROM jobs").await?, "forbidden_address", "{url}");
        setup.make_jobs_due().await?;
    }
    assert!(setup.endpoint.deliveries().is_empty());
    Ok(())
}

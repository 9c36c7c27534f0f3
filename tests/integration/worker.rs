//! The worker: what is delivered, how, when again, and what is left of a failure.

use std::time::Duration;

use anyhow::Result;
use harness::{Database, Lambda, LambdaBuilder, Postgres, Proxy};
use serde_json::{Value, json};

use super::webhook_sender::{SECRET, account, now, send, shopify, sources, standard_signature, webhook};
use super::worker_endpoint::{Behaviour, Endpoint};

/// `worker` that may deliver to this machine, with these sources.
pub(crate) fn worker(url: String, sources: String) -> LambdaBuilder {
    Lambda::builder("worker")
        .env("DATABASE_URL", url)
        .env("WEBHOOK_SOURCES", sources)
        .env("WORKER_ALLOW_LOOPBACK", "true")
        .env("WORKER_TIMEOUT_SECONDS", "1")
}

/// Starts one run and waits for its report.
pub(crate) async fn run(worker: &Lambda) -> Result<Value> {
    Ok(worker.invoke(&json!({"source": "aws.events"}), None).await?.payload)
}

struct Setup {
    database: Database,
    endpoint: Endpoint,
    webhook: Lambda,
    worker: Lambda,
}

impl Setup {
    async fn start(behaviour: Behaviour) -> Result<Self> {
        let database = Postgres::plain().await?.database().await?;
        let endpoint = Endpoint::start(move |_| behaviour.clone()).await?;
        let sources = sources(&json!({"forwardUrl": endpoint.url}));
        let webhook = webhook(database.url(), sources.clone()).start().await?;
        let worker = worker(database.url(), sources).start().await?;
        Ok(Self { database, endpoint, webhook, worker })
    }

    async fn event(&self, id: &str) -> Result<()> {
        let answer = send(&self.webhook, id, &account(id, "a", "active", "2026-01-01T00:00:00Z")).await?;
        assert_eq!(answer.status, 202);
        Ok(())
    }

    async fn run(&self) -> Result<Value> {
        run(&self.worker).await
    }

    /// The one row that a statement gives, as text.
    async fn one(&self, sql: &str) -> Result<String> {
        let row =
            self.database.client().await?.query_typed_one(&format!("SELECT ({sql})::text"), &[]).await?;
        Ok(row.try_get::<_, Option<String>>(0)?.unwrap_or_default())
    }

    /// What waits becomes due, as if its time had passed.
    async fn pass_time(&self) -> Result<()> {
        let due = "UPDATE jobs SET run_at = now() WHERE state = 'waiting'";
        Ok(self.database.client().await?.batch_execute(due).await?)
    }

    /// Minutes until the only job is due.
    async fn wait(&self) -> Result<f64> {
        Ok(self.one("SELECT round(extract(epoch FROM run_at - now()) / 60, 1) FROM jobs").await?.parse()?)
    }

    async fn alerts(&self) -> Result<String> {
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
async fn odd_bytes_and_several_webhooks_of_one_id_are_delivered() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(200)).await?;
    let odd = r#"{"id": 7, "note": "\u0000", "x": "\ud800"}"#;
    for topic in ["orders/create", "orders/paid"] {
        assert_eq!(shopify(&setup.webhook, "s1", topic, odd.as_bytes()).send().await?.status, 202);
    }
    setup.run().await?;
    let mut deliveries = setup.endpoint.deliveries();
    deliveries.sort_by_key(|delivery| delivery.id().to_owned());
    let ids: Vec<_> = deliveries.iter().map(|delivery| (delivery.id(), delivery.body.as_ref())).collect();
    assert_eq!(ids, [("s1:orders/create", odd.as_bytes()), ("s1:orders/paid", odd.as_bytes())]);
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
        let wait = setup.wait().await?;
        assert!((minutes * 1.05..=minutes * 1.25).contains(&wait), "{wait} for {minutes} minutes");
        assert_eq!(setup.run().await?["claimed"], 0, "not before its time");
        setup.pass_time().await?;
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
    let wait = setup.wait().await?;
    assert!((10.9..=12.1).contains(&wait), "{wait}");

    setup.pass_time().await?;
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
    setup.pass_time().await?;
    setup.run().await?;
    assert_eq!(setup.one(outcome).await?, "refused 307");
    assert!(elsewhere.deliveries().is_empty(), "redirects are not followed");

    setup.pass_time().await?;
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
        setup.pass_time().await?;
    }
    assert!(setup.endpoint.deliveries().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_late_word_does_not_count() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(500)).await?;
    setup.event("e").await?;
    // Somebody else takes the job while this worker delivers it.
    let url = setup.database.url();
    setup.endpoint.behave(move |_| {
        let url = url.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) =
                    tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                let take = "UPDATE jobs SET attempt = attempt + 1, claim = gen_random_uuid()";
                client.batch_execute(take).await.unwrap();
            });
        })
        .join()
        .unwrap();
        Behaviour::Answer(200)
    });
    let report = setup.run().await?;
    assert_eq!((&report["late"], &report["claimed"]), (&json!(1), &json!(1)));
    assert_eq!(setup.one("SELECT state || ' ' || attempt FROM jobs").await?, "waiting 2");
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_to_a_claim_or_a_finish_changes_nothing() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(200)).await?;
    let proxy = Proxy::of(setup.database.postgres()).await?;
    let sources = sources(&json!({"forwardUrl": setup.endpoint.url}));
    let worker = worker(proxy.url(&setup.database), sources).start().await?;
    run(&worker).await?;
    for (lost, id) in [(0, "claim"), (1, "finish")] {
        setup.event(id).await?;
        proxy.set_trap(harness::Trap::Answer(lost));
        let report = run(&worker).await?;
        assert!(!proxy.trap_is_set(), "{id}");
        assert_eq!(report["claimed"], 1, "{id}");
    }
    assert_eq!(setup.one("SELECT string_agg(state || attempt, ' ') FROM jobs").await?, "done1 done1");
    assert_eq!(setup.endpoint.deliveries().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_killed_worker_loses_nothing() -> Result<()> {
    let setup = Setup::start(Behaviour::Hang).await?;
    setup.event("e").await?;
    let killed_while_delivering = async {
        while setup.endpoint.deliveries().is_empty() {
            tokio::task::yield_now().await;
        }
        setup.worker.kill()
    };
    let (run_of_the_first, kill) = tokio::join!(setup.run(), killed_while_delivering);
    assert!(kill.is_ok() && run_of_the_first.is_err());
    setup.endpoint.behave(|_| Behaviour::Answer(200));
    let sources = sources(&json!({"forwardUrl": setup.endpoint.url}));
    let other = worker(setup.database.url(), sources).start().await?;
    assert_eq!(run(&other).await?["claimed"], 0, "its lease holds");
    setup.pass_time().await?;
    assert_eq!(run(&other).await?["delivered"], 1);
    assert_eq!(setup.one("SELECT state || attempt FROM jobs").await?, "done2");

    // One that is lost in its last attempt is dead, and says so.
    setup.event("f").await?;
    let lost =
        "UPDATE jobs SET attempt = 5, claim = gen_random_uuid(), run_at = now() WHERE state = 'waiting'";
    setup.database.client().await?.batch_execute(lost).await?;
    assert_eq!(run(&other).await?["dead"], 1);
    assert_eq!(setup.alerts().await?, "job_dead standard 1");
    Ok(())
}

#[tokio::test]
async fn nothing_is_claimed_that_could_not_be_delivered_in_time() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(200)).await?;
    setup.event("e").await?;
    let report = setup.worker.invoke(&json!({}), Some(Duration::from_millis(800))).await?.payload;
    assert_eq!(report["claimed"], 0);
    assert_eq!(setup.one("SELECT attempt FROM jobs").await?, "0");
    let logs = setup.worker.logs().join("\n");
    assert!(logs.contains("WORKER_TIMEOUT_SECONDS"), "{logs}");
    Ok(())
}

#[tokio::test]
async fn retention_takes_what_has_served_its_time() -> Result<()> {
    let setup = Setup::start(Behaviour::Answer(200)).await?;
    setup.event("old").await?;
    setup.run().await?;
    setup.event("new").await?;
    let age = "UPDATE upkeep SET cleaned_at = now() - interval '2 hours';
        UPDATE events SET received_at = now() - interval '31 days';
        UPDATE jobs SET ended_at = now() - interval '31 days' WHERE state = 'done';
        INSERT INTO idempotency_keys VALUES ('o', 'k', '', gen_random_uuid(), '{}', now() - interval '1 s'),
            ('o', 'l', '', gen_random_uuid(), '{}', now() + interval '1 h');
        INSERT INTO visitors VALUES (1, current_date - 2, ''), (1, current_date, '');
        INSERT INTO alerts (code, source, resolved_at) VALUES ('job_dead', 's', now() - interval '91 days')";
    setup.database.client().await?.batch_execute(age).await?;
    // The new event's job fails, so that its payload is needed still.
    setup.endpoint.behave(|_| Behaviour::Answer(500));
    setup.run().await?;
    assert_eq!(
        setup.one("SELECT string_agg(event_id || (raw IS NULL), ' ' ORDER BY id) FROM events").await?,
        "oldtrue newfalse"
    );
    for (table, left) in [("jobs", "1"), ("idempotency_keys", "1"), ("visitors", "1"), ("alerts", "0")] {
        assert_eq!(setup.one(&format!("SELECT count(*) FROM {table}")).await?, left, "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn no_payload_and_no_secret_is_seen_but_in_the_event() -> Result<()> {
    let setup = Setup::start(Behaviour::Echo(500)).await?;
    let canary = "Canaryword";
    let event = json!({"id": format!("{canary}-id"), "type": format!("account.{canary}"), "timestamp": "2026-01-01T00:00:00Z",
                       "data": {"accountId": "a", "status": 5, canary: canary}});
    assert_eq!(send(&setup.webhook, "m", &event).await?.status, 202);
    let wrong = setup
        .webhook
        .post("/webhooks/standard")
        .header("webhook-id", canary)
        .header("webhook-signature", canary);
    assert_eq!(wrong.body(format!("\"{canary}\"")).send().await?.status, 401);
    for _ in 0..5 {
        setup.run().await?;
        setup.pass_time().await?;
    }
    assert_eq!(setup.alerts().await?, "event_failed standard 1,job_dead standard 1");
    let mut output = [setup.webhook.logs(), setup.worker.logs()].concat();
    assert!(!setup.one("SELECT answer_head FROM jobs").await?.is_empty(), "there was something to redact");
    for table in ["jobs", "alerts", "accounts", "transactions"] {
        output.push(setup.one(&format!("SELECT string_agg(t::text, ' ') FROM {table} t")).await?);
    }
    let deliveries = setup.endpoint.deliveries();
    let signatures = deliveries.iter().map(|delivery| delivery.header("webhook-signature").to_owned());
    for secret in
        signatures.chain([canary.to_owned(), SECRET.to_owned(), super::webhook_sender::standard_secret()])
    {
        let secret = secret.to_lowercase();
        let seen: Vec<_> = output.iter().filter(|line| line.to_lowercase().contains(&secret)).collect();
        assert!(seen.is_empty(), "{secret}: {seen:?}");
    }
    Ok(())
}

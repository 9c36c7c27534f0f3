//! Workers that die, answers that are lost and endpoints that echo: no job is lost or done twice, and no payload is
//! shown.

use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::{CutPoint, Proxy};
use serde_json::json;

use super::delivery::{Setup, run, worker};
use super::endpoint::{Behaviour, Delivery};
use crate::connection::containers::wait_for_log;
use crate::webhook::sender::{SECRET, send, sources, standard_secret};

#[tokio::test]
async fn a_result_that_comes_after_the_lease_does_not_count() -> Result<()> {
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
        proxy.cut_at(CutPoint::Answer(lost));
        let report = run(&worker).await?;
        assert!(!proxy.cut_is_pending(), "{id}");
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
    setup.make_jobs_due().await?;
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
    wait_for_log(&setup.worker, "WORKER_TIMEOUT_SECONDS").await
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
        setup.make_jobs_due().await?;
    }
    assert_eq!(setup.alerts().await?, "event_failed standard 1,job_dead standard 1");
    let mut output = [setup.webhook.logs(), setup.worker.logs()].concat();
    assert!(!setup.one("SELECT answer_head FROM jobs").await?.is_empty(), "there was something to redact");
    for table in ["jobs", "alerts", "accounts", "transactions"] {
        output.push(setup.one(&format!("SELECT string_agg(t::text, ' ') FROM {table} t")).await?);
    }
    let deliveries = setup.endpoint.deliveries();
    let signatures = deliveries.iter().map(|delivery| delivery.header("webhook-signature").to_owned());
    for secret in signatures.chain([canary.to_owned(), SECRET.to_owned(), standard_secret()]) {
        let secret = secret.to_lowercase();
        let seen: Vec<_> = output.iter().filter(|line| line.to_lowercase().contains(&secret)).collect();
        assert!(seen.is_empty(), "{secret}: {seen:?}");
    }
    Ok(())
}

/// The largest bodies that intake takes, fifteen of them, at the smallest memory that the template allows.
#[tokio::test]
async fn large_payloads_are_all_delivered_within_the_smallest_memory_and_hold_up_no_small_ones() -> Result<()>
{
    let setup = Setup::start(Behaviour::Answer(204)).await?;
    let sql = "WITH large AS (
                   INSERT INTO events (source, event_id, request, state, raw)
                   SELECT 'standard', 'large' || n, gen_random_uuid(), 'applied', convert_to(repeat('x', 4000000), 'UTF8')
                   FROM generate_series(1, 15) n RETURNING id, source, length(raw) AS bytes
               ), small AS (
                   INSERT INTO events (source, event_id, request, state, raw)
                   SELECT 'stripe', 'small' || n, gen_random_uuid(), 'applied', '{}' FROM generate_series(1, 15) n
                   RETURNING id, source, length(raw) AS bytes
               )
               INSERT INTO jobs (event, source, bytes, run_at)
               SELECT id, source, bytes, now() - interval '1 hour' FROM large
               UNION ALL SELECT id, source, bytes, now() FROM small";
    setup.database.client().await?.batch_execute(sql).await?;
    let worker = worker(setup.database.url(), sources(&json!({"forwardUrl": setup.endpoint.url})))
        .env("WORKER_TIMEOUT_SECONDS", "5")
        .memory(128)
        .start()
        .await?;
    while run(&worker).await?["claimed"] != 0 {}
    assert_eq!(setup.one("SELECT count(*) FROM jobs WHERE state = 'done' AND attempt = 1").await?, "30");
    let deliveries = setup.endpoint.deliveries();
    let is_small = |delivery: &Delivery| delivery.id().starts_with("small");
    let last_small = deliveries.iter().rposition(is_small).unwrap_or_default();
    assert!(last_small < deliveries.len() - 5, "the small ones came after the large");
    let peak_kb = peak_memory_kb(&worker)?;
    assert!(peak_kb < 128 * 1024, "{peak_kb} kB");
    Ok(())
}

/// The peak of the function's resident memory, as Linux counts it.
fn peak_memory_kb(function: &harness::Lambda) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", function.pid()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("Linux tells it")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}

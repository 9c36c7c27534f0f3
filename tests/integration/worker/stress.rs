//! Three workers, an endpoint that fails and hangs, and workers killed at random: every job is delivered.
//!
//! `TESSERA_FULL=1` delivers 5,000 jobs instead of 300.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use anyhow::Result;
use harness::{Database, Lambda, Postgres};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::delivery::{run, worker};
use super::endpoint::{Behaviour, Delivery, Endpoint};
use crate::operator::jobs_and_alerts::tessera;
use crate::webhook::sender::{send, sources, webhook};
use crate::webhook::stress::{Random, size};

/// Makes jobs in the database by sending events.
async fn jobs(database: &Database, endpoint: &Endpoint, count: usize) -> Result<String> {
    let sources = sources(&json!({"forwardUrl": endpoint.url}));
    let webhook = webhook(database.url(), sources.clone()).start().await?;
    let events: Vec<Value> =
        (0..count).map(|n| json!({"id": format!("evt_{n}"), "type": "order.paid"})).collect();
    for batch in events.chunks(1000) {
        assert_eq!(send(&webhook, "batch", &json!(batch)).await?.json()?["accepted"], batch.len());
    }
    Ok(sources)
}

/// Makes all waiting jobs due, as if their time had come.
async fn make_jobs_due(database: &Database) -> Result<()> {
    let due = "UPDATE jobs SET run_at = now() WHERE state = 'waiting'";
    Ok(database.client().await?.batch_execute(due).await?)
}

async fn count(database: &Database, state: &str) -> Result<i64> {
    let count = format!("SELECT count(*) FROM jobs WHERE state = '{state}'");
    Ok(database.client().await?.query_typed_one(&count, &[]).await?.get(0))
}

/// Fails 20 % and hangs 5 % of all attempts, the same ones each time.
fn unreliable(delivery: &Delivery) -> Behaviour {
    let mut hasher = DefaultHasher::new();
    (delivery.id(), delivery.header("tessera-attempt")).hash(&mut hasher);
    match hasher.finish() % 100 {
        0..20 => Behaviour::Answer(500),
        20..25 => Behaviour::Hang,
        _ => Behaviour::Answer(200),
    }
}

/// Invokes a worker until nothing is due. A worker that was killed is replaced.
async fn run_until_idle(slot: &RwLock<Lambda>, start: &impl AsyncFn() -> Result<Lambda>) -> Result<()> {
    loop {
        let worker = slot.read().await;
        let report = run(&worker).await;
        let died = worker.exit().is_some();
        drop(worker);
        match report {
            Ok(report) if report["claimed"] == 0 => return Ok(()),
            Ok(_) => {}
            Err(_) if died => *slot.write().await = start().await?,
            Err(error) => return Err(error),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_delivered_though_endpoint_and_workers_fail() -> Result<()> {
    let total = size(300, 5_000);
    let database = Postgres::plain().await?.database().await?;
    let endpoint = Endpoint::start(unreliable).await?;
    let sources = jobs(&database, &endpoint, total).await?;
    let start = async || {
        let worker = worker(database.url(), sources.clone()).env("WORKER_TIMEOUT_SECONDS", "0.2");
        worker.timeout(Duration::from_secs(10)).start().await
    };
    let workers = [start().await?, start().await?, start().await?].map(RwLock::new);
    let mut random = Random(0x5EED);
    let mut next_kill = total / 10;
    let mut kills = 0;
    while count(&database, "done").await? < i64::try_from(total)? {
        let all = async {
            let [one, two, three] = &workers;
            tokio::try_join!(
                run_until_idle(one, &start),
                run_until_idle(two, &start),
                run_until_idle(three, &start)
            )
        };
        let killer = async {
            loop {
                if endpoint.count() >= next_kill {
                    next_kill += total / 10;
                    kills += 1;
                    // Whoever replaces it holds the lock: it is dead already.
                    if let Ok(worker) = workers[random.below(3)].try_read() {
                        let _ = worker.kill();
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            worked = all => { worked?; }
            () = killer => {}
        }
        // Nobody runs: the leases of the dead end, and the waits of the failed.
        make_jobs_due(&database).await?;
        if count(&database, "waiting").await? == 0 {
            tessera(&database, &["jobs", "redrive", "--all"]).await?;
        }
    }
    assert!(kills >= 10, "{kills} kills");
    check(&database, &endpoint, total).await
}

async fn check(database: &Database, endpoint: &Endpoint, total: usize) -> Result<()> {
    let sql = "SELECT event_id, attempt, outcome FROM jobs JOIN events ON events.id = jobs.event";
    let rows = database.client().await?.query_typed(sql, &[]).await?;
    assert_eq!(rows.len(), total);
    let mut arrived: HashMap<String, Vec<(i32, bool)>> = HashMap::new();
    for delivery in endpoint.deliveries() {
        let attempt = delivery.header("tessera-attempt").parse()?;
        arrived.entry(delivery.id().to_owned()).or_default().push((attempt, delivery.taken));
    }
    for row in rows {
        let (id, attempt, outcome): (String, i32, String) = (row.get(0), row.get(1), row.get(2));
        let mut attempts = arrived.remove(&id).unwrap_or_default();
        assert_eq!(outcome, "delivered", "{id}");
        // The attempt that the job ended with is one that the endpoint took: no other worker's word ended it.
        assert!(attempts.contains(&(attempt, true)), "{id}: {attempt} of {attempts:?}");
        assert!(attempts.iter().all(|(number, _)| (1..=attempt).contains(number)), "{id}: {attempts:?}");
        let made = attempts.len();
        attempts.sort_unstable();
        attempts.dedup_by_key(|(number, _)| *number);
        assert_eq!(attempts.len(), made, "{id}: an attempt is one delivery");
    }
    assert!(arrived.is_empty(), "deliveries of nothing: {arrived:?}");
    Ok(())
}

#[tokio::test]
async fn jobs_that_died_in_an_outage_of_two_hours_are_delivered_after_a_redrive() -> Result<()> {
    let total = size(20, 500);
    let database = Postgres::plain().await?.database().await?;
    let endpoint = Endpoint::start(|_| Behaviour::Answer(503)).await?;
    let sources = jobs(&database, &endpoint, total).await?;
    let worker = worker(database.url(), sources).start().await?;
    let client = database.client().await?;
    let pass = "UPDATE jobs SET run_at = run_at - interval '1 minute' WHERE state = 'waiting'";
    for _ in 0..120 {
        while run(&worker).await?["claimed"] != 0 {}
        client.batch_execute(pass).await?;
    }
    assert_eq!(count(&database, "dead").await?, i64::try_from(total)?);
    assert_eq!(endpoint.count(), 5 * total, "after 0, 1, 5, 15 and 60 minutes");
    let alerts = tessera(&database, &["alerts", "list"]).await?;
    assert!(alerts.contains("job_dead") && alerts.contains(&format!("  {total}  ")), "{alerts}");

    endpoint.behave(|_| Behaviour::Answer(200));
    assert_eq!(tessera(&database, &["jobs", "redrive", "--all"]).await?, format!("Redriven: {total}\n"));
    while run(&worker).await?["claimed"] != 0 {}
    assert_eq!(count(&database, "done").await?, i64::try_from(total)?);
    let open = tessera(&database, &["alerts", "list", "--json"]).await?;
    assert_eq!(open.trim(), "[]", "closed by success");
    Ok(())
}

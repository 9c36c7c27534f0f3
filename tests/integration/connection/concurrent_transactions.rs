//! What one transaction does while another one waits for it, or has just ended: each test holds one open.

use anyhow::{Context as _, Result};
use harness::{Database, Postgres};
use serde_json::{Value, json};
use shared::jobs::{claim::CLAIM, finish::FINISH};
use shared::qr::{create::CREATE, edit::DELETE, edit::EDIT, scan::REDIRECT};
use shared::webhook::accept::ACCEPT;
use tessera_postgres::{Json, Parameters, Row, Statement};
use tokio_postgres::Client;
use uuid::Uuid;

async fn run(client: &Client, statement: &Statement, parameters: Parameters<'_>) -> Result<Vec<Row>> {
    let typed: Vec<_> = parameters.iter().copied().zip(statement.parameters.iter().cloned()).collect();
    client.query_typed(statement.sql, &typed).await.with_context(|| statement.name)
}

/// Runs `waiting` until it waits for a lock, then ends the transaction of `holder`, and returns what came of `waiting`.
async fn commit_while_waits<T>(
    database: &Database,
    holder: &Client,
    waiting: impl Future<Output = Result<T>>,
) -> Result<T> {
    let watcher = database.client().await?;
    let waits = async {
        let sql =
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while watcher.query_typed(sql, &[]).await?.is_empty() {}
        anyhow::Ok(())
    };
    let mut waiting = std::pin::pin!(waiting);
    tokio::select! {
        ended = &mut waiting => {
            ended?;
            anyhow::bail!("it did not wait");
        }
        waits = waits => waits?,
    }
    holder.batch_execute("COMMIT").await?;
    waiting.await
}

async fn count(client: &Client, sql: &str) -> Result<i64> {
    Ok(client.query_typed_one(sql, &[]).await?.get(0))
}

/// A job of each source, in that order; all are taken under one claim.
async fn taken_jobs(client: &Client, sources: &[&str]) -> Result<Vec<i64>> {
    for (n, source) in sources.iter().enumerate() {
        let sql = format!(
            "WITH e AS (INSERT INTO events (source, event_id, request, state) VALUES ('{source}', '{n}-' || gen_random_uuid(), gen_random_uuid(), 'applied') RETURNING id)
             INSERT INTO jobs (event, source, attempt, claim, run_at) SELECT id, '{source}', 1, gen_random_uuid(), now() + interval '1 hour' FROM e"
        );
        client.batch_execute(&sql).await?;
    }
    let sql = format!(
        "SELECT id FROM (SELECT id FROM jobs ORDER BY id DESC LIMIT {}) newest ORDER BY id",
        sources.len()
    );
    Ok(client.query_typed(&sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Ends the first attempt of each job in this state.
async fn finish(client: &Client, ended: &[(i64, &str)]) -> Result<i64> {
    let jobs: Vec<i64> = ended.iter().map(|(job, _)| *job).collect();
    let states: Vec<&str> = ended.iter().map(|(_, state)| *state).collect();
    let outcomes: Vec<&str> = ended.iter().map(|_| "refused").collect();
    let none: Vec<Option<&str>> = ended.iter().map(|_| None).collect();
    let statuses: Vec<Option<i16>> = ended.iter().map(|_| None).collect();
    let (attempts, waits) = (vec![1_i32; ended.len()], vec![0_f64; ended.len()]);
    let rows =
        run(client, &FINISH, &[&jobs, &attempts, &states, &outcomes, &statuses, &none, &waits]).await?;
    Ok(rows[0].get("ended"))
}

#[tokio::test]
async fn a_success_leaves_the_alert_of_a_job_open_that_dies_at_the_same_moment() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (dying, succeeding) = (database.client().await?, database.client().await?);
    let jobs = taken_jobs(&dying, &["shop", "shop"]).await?;
    dying.batch_execute("INSERT INTO alerts (code, source) VALUES ('job_dead', 'shop')").await?;
    dying.batch_execute("BEGIN").await?;
    assert_eq!(finish(&dying, &[(jobs[0], "dead")]).await?, 1);
    let ended = commit_while_waits(&database, &dying, finish(&succeeding, &[(jobs[1], "done")])).await?;
    assert_eq!(ended, 1);
    assert_eq!(
        count(&dying, "SELECT count(*) FROM alerts WHERE resolved_at IS NULL AND count = 2").await?,
        1
    );
    Ok(())
}

#[tokio::test]
async fn finishes_over_two_sources_alerts_never_wait_in_a_circle() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (one, other) = (database.client().await?, database.client().await?);
    for _ in 0..50 {
        let sources = ["a", "b"];
        let sql = "INSERT INTO alerts (code, source) VALUES ('job_dead', 'a'), ('job_dead', 'b') ON CONFLICT DO NOTHING";
        one.batch_execute(&format!("UPDATE jobs SET state = 'done', claim = NULL, ended_at = now(); {sql}"))
            .await?;
        let jobs = taken_jobs(&one, &[sources, sources].concat()).await?;
        let (first, second) =
            ([(jobs[0], "dead"), (jobs[1], "done")], [(jobs[2], "done"), (jobs[3], "dead")]);
        tokio::try_join!(finish(&one, &first), finish(&other, &second))?;
    }
    Ok(())
}

async fn claim(client: &Client, id: Uuid, jobs: i64, bytes: i64) -> Result<(bool, Vec<i64>)> {
    let rows = run(client, &CLAIM, &[&jobs, &60_f64, &id, &bytes]).await?;
    Ok((rows[0].get("again"), rows.iter().filter_map(|row| row.get("id")).collect()))
}

/// Jobs that are due, an hour ago and each a second later than the one before, with payloads of this size.
async fn due_jobs(client: &Client, source: &str, number: i32, bytes: i32) -> Result<()> {
    let sql = format!(
        "WITH e AS (INSERT INTO events (source, event_id, request, state)
                    SELECT '{source}', n, gen_random_uuid(), 'applied' FROM generate_series(1, {number}) n RETURNING id)
         INSERT INTO jobs (event, source, bytes, run_at)
         SELECT id, '{source}', {bytes}, now() - interval '1 hour' + id * interval '1 second' FROM e"
    );
    Ok(client.batch_execute(&sql).await?)
}

#[tokio::test]
async fn a_claim_that_is_sent_again_while_the_first_runs_takes_nothing_more() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (first, second) = (database.client().await?, database.client().await?);
    due_jobs(&first, "shop", 4, 10).await?;
    let id = Uuid::new_v4();
    first.batch_execute("BEGIN").await?;
    let (again, taken) = claim(&first, id, 2, 1000).await?;
    assert_eq!((again, taken.len()), (false, 2));
    let waited = commit_while_waits(&database, &first, claim(&second, id, 2, 1000)).await?;
    assert_eq!(waited, (true, vec![]), "it cannot see what the first took");
    assert_eq!(claim(&second, id, 2, 1000).await?, (false, taken));
    assert_eq!(count(&second, "SELECT count(*) FROM jobs WHERE claim IS NULL AND attempt = 0").await?, 2);
    Ok(())
}

#[tokio::test]
async fn one_source_with_a_long_queue_leaves_each_other_its_share_of_a_claim() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    due_jobs(&client, "slow", 50, 10).await?;
    due_jobs(&client, "quick", 2, 10).await?;
    let (_, taken) = claim(&client, Uuid::new_v4(), 10, 1_000_000).await?;
    let of = |source| format!("SELECT count(*) FROM jobs WHERE claim IS NOT NULL AND source = '{source}'");
    assert_eq!((count(&client, &of("slow")).await?, count(&client, &of("quick")).await?), (8, 2));
    assert_eq!(taken.len(), 10);
    Ok(())
}

#[tokio::test]
async fn a_claim_is_bounded_by_bytes_and_takes_at_least_one_job() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    due_jobs(&client, "large", 15, 4_000_000).await?;
    let mut sizes = Vec::new();
    for _ in 0..4 {
        sizes.push(claim(&client, Uuid::new_v4(), 15, 8_000_000).await?.1.len());
    }
    assert_eq!(sizes, [2, 2, 2, 2]);
    due_jobs(&client, "small", 10, 1_000).await?;
    let of = "SELECT source, count(*) FROM jobs WHERE claim = $1 GROUP BY source ORDER BY source";
    let id = Uuid::new_v4();
    claim(&client, id, 20, 3_000_000).await?;
    let taken = client.query_typed(of, &[(&id, tessera_postgres::Type::UUID)]).await?;
    let taken: Vec<(String, i64)> = taken.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(taken, [("large".to_owned(), 1), ("small".to_owned(), 10)]);
    Ok(())
}

/// An event without an effect, with this digest of what was signed.
async fn accept(client: &Client, request: Uuid, events: &[(&str, Option<&str>)]) -> Result<(bool, Vec<i64>)> {
    let ids: Vec<&str> = events.iter().map(|(id, _)| *id).collect();
    let digests: Vec<Option<&str>> = events.iter().map(|(_, digest)| *digest).collect();
    let none: Vec<Option<&str>> = events.iter().map(|_| None).collect();
    let topics = vec![""; events.len()];
    let times: Vec<Option<jiff::Timestamp>> = events.iter().map(|_| None).collect();
    let raw: Vec<&[u8]> = events.iter().map(|_| b"{}".as_slice()).collect();
    let parameters: Parameters<'_> =
        &[&"shop", &request, &true, &ids, &topics, &none, &times, &digests, &none, &raw, &Json(json!([]))];
    let rows = run(client, &ACCEPT, parameters).await?;
    Ok((rows[0].get("again"), rows[0].get("accepted")))
}

#[tokio::test]
async fn an_event_that_is_sent_again_while_the_first_is_stored_is_its_own_and_no_duplicate() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (first, second) = (database.client().await?, database.client().await?);
    let request = Uuid::new_v4();
    first.batch_execute("BEGIN").await?;
    assert_eq!(accept(&first, request, &[("e1", None)]).await?, (false, vec![1]));
    let waited = commit_while_waits(&database, &first, accept(&second, request, &[("e1", None)])).await?;
    assert_eq!(waited, (true, vec![]));
    assert_eq!(accept(&second, request, &[("e1", None)]).await?, (false, vec![1]));
    assert_eq!(
        accept(&second, Uuid::new_v4(), &[("e1", None)]).await?,
        (false, vec![]),
        "another one's duplicate"
    );
    assert_eq!(count(&second, "SELECT count(*) FROM jobs").await?, 1);
    Ok(())
}

/// As GitHub's and Shopify's come, whose ids are not signed.
#[tokio::test]
async fn batches_of_the_same_events_in_opposite_orders_never_wait_in_a_circle() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (one, other) = (database.client().await?, database.client().await?);
    for round in 0..50 {
        let digests: Vec<String> = (0..20).map(|n| format!("{round}-{n}")).collect();
        let ids: Vec<[String; 2]> =
            (0..20).map(|n| ["a", "b"].map(|way| format!("{way}{round}#{n:02}"))).collect();
        let forth: Vec<_> =
            ids.iter().zip(&digests).map(|([id, _], digest)| (id.as_str(), Some(digest.as_str()))).collect();
        let back: Vec<_> = ids
            .iter()
            .zip(digests.iter().rev())
            .map(|([_, id], digest)| (id.as_str(), Some(digest.as_str())))
            .collect();
        tokio::try_join!(accept(&one, Uuid::new_v4(), &forth), accept(&other, Uuid::new_v4(), &back))?;
    }
    assert_eq!(count(&one, "SELECT count(*) FROM events").await?, 50 * 20);
    Ok(())
}

async fn create(client: &Client, id: &str, columns: Value) -> Result<()> {
    let mut fields = json!({"target_url": "https://example.com/", "tags": [], "redirect_status": 302, "forward_query": false});
    fields.as_object_mut().context("an object")?.extend(columns.as_object().context("an object")?.clone());
    let (none, key): (Option<&str>, Option<&[u8]>) = (None, None);
    let parameters: Parameters<'_> = &[
        &key,
        &"me",
        &none,
        &Uuid::new_v4(),
        &Json(fields),
        &none,
        &b"fingerprint".as_slice(),
        &vec![id],
        &vec![id],
    ];
    let rows = run(client, &CREATE, parameters).await?;
    assert_eq!(rows[0].get::<_, &str>("verdict"), "created");
    Ok(())
}

async fn edit(client: &Client, id: &str, request: Uuid, changes: Value) -> Result<(String, Option<Value>)> {
    let (key, versions): (Option<&[u8]>, Option<&[i32]>) = (None, None);
    let rows = run(client, &EDIT, &[&key, &"me", &id, &request, &versions, &Json(changes)]).await?;
    let code: Option<Json<Value>> = rows[0].get("code");
    Ok((rows[0].get("verdict"), code.map(|Json(code)| code)))
}

async fn scan(client: &Client, id: &str, scan: Uuid) -> Result<String> {
    scan_by(client, id, scan, "person").await
}

async fn scan_by(client: &Client, id: &str, scan: Uuid, kind: &str) -> Result<String> {
    let none: Option<&str> = None;
    let visitor = scan.as_bytes().as_slice();
    let rows = run(client, &REDIRECT, &[&id, &scan, &kind, &visitor, &none, &none, &none]).await?;
    Ok(rows[0].get("state"))
}

#[tokio::test]
async fn a_scan_that_was_granted_is_granted_again_and_counted_once_however_many_came_since() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    create(&client, "LIMITED", json!({"max_scans": 80})).await?;
    let first = Uuid::now_v7();
    assert_eq!(scan(&client, "LIMITED", first).await?, "live");
    for _ in 0..79 {
        assert_eq!(scan(&client, "LIMITED", Uuid::now_v7()).await?, "live");
    }
    assert_eq!(scan(&client, "LIMITED", first).await?, "live", "its answer was lost");
    assert_eq!(scan(&client, "LIMITED", Uuid::now_v7()).await?, "used_up");
    assert_eq!(count(&client, "SELECT used FROM scan_quotas").await?, 80);
    Ok(())
}

#[tokio::test]
async fn a_scan_under_way_while_a_limit_is_set_uses_up_its_place() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (scanning, editing) = (database.client().await?, database.client().await?);
    create(&editing, "OPEN", json!({})).await?;
    scanning.batch_execute("BEGIN").await?;
    assert_eq!(scan(&scanning, "OPEN", Uuid::now_v7()).await?, "live");
    assert_eq!(edit(&editing, "OPEN", Uuid::new_v4(), json!({"max_scans": 1})).await?.0, "ok");
    scanning.batch_execute("COMMIT").await?;
    for kind in ["bot", "none", "person"] {
        assert_eq!(scan_by(&editing, "OPEN", Uuid::now_v7(), kind).await?, "used_up", "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_change_that_is_sent_again_answers_as_the_first_time_whatever_came_since() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    create(&client, "EDITED", json!({})).await?;
    let request = Uuid::new_v4();
    let first = edit(&client, "EDITED", request, json!({"name": "first"})).await?;
    let second = edit(&client, "EDITED", Uuid::new_v4(), json!({"name": "second"})).await?;
    assert_eq!(first.1.as_ref().context("an answer")?["name"], "first");
    assert_eq!(edit(&client, "EDITED", request, json!({"name": "first"})).await?, first);
    assert_eq!(second.1.context("an answer")?["version"], 3);
    let (key, versions): (Option<&[u8]>, Option<&[i32]>) = (None, None);
    run(&client, &DELETE, &[&key, &"me", &"EDITED", &Uuid::new_v4(), &versions]).await?;
    assert_eq!(edit(&client, "EDITED", request, json!({"name": "first"})).await?, first);
    assert_eq!(count(&client, "SELECT count(*) FROM codes WHERE name = 'second' AND version = 4").await?, 1);
    Ok(())
}

//! The connection is cut while a statement is on its way. Every declared statement is sent again, and leaves the same
//! answer and the same tables as if nothing had happened. A statement that is declared and has no sample here fails.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::{CutPoint, Database as TestDatabase, PgBouncer, Postgres, Proxy};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::config::Environment;
use tessera_postgres::{Database, Deadline, Row, Statement, ToSql, TrustStore};
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

type Parameters = Vec<Box<dyn ToSql + Sync + Send>>;

/// What the samples work on: a limited code with two versions and a scan.
pub(crate) const SETUP: &str = "
    INSERT INTO codes (id_key, short_id, owner, target_url, max_scans, version, created_by, last_edit)
        VALUES ('C0DE', 'CODE', 'anonymous', 'https://example.com/2', 5, 2, gen_random_uuid(), gen_random_uuid());
    INSERT INTO code_versions (code_id, version, target_url, edit)
        SELECT id, v, 'https://example.com/' || v, gen_random_uuid() FROM codes, generate_series(1, 2) v;
    INSERT INTO scan_quotas (code_id, used) SELECT id, 0 FROM codes;
    INSERT INTO events (source, event_id, topic, request, state, raw)
        SELECT 'stripe', 'evt_' || n, '', gen_random_uuid(), 'applied', '{}' FROM generate_series(1, 2) n;
    INSERT INTO jobs (event, source, run_at, attempt, claim)
        VALUES (1, 'stripe', now() - interval '1 hour', 0, NULL), (2, 'stripe', now() + interval '1 hour', 1, gen_random_uuid());
    INSERT INTO idempotency_keys (owner, key, fingerprint, request, answer, expires_at)
        VALUES ('anonymous', 'old', '', gen_random_uuid(), '{}', now() - interval '1 day');
    UPDATE upkeep SET cleaned_at = now() - interval '1 day';
";

macro_rules! parameters {
    ($($value:expr),* $(,)?) => { Some(vec![$(Box::new($value) as Box<dyn ToSql + Sync + Send>),*]) };
}

/// Parameters with which the statement does what it is for.
fn sample(statement: &Statement) -> Option<Parameters> {
    let no_key = None::<Vec<u8>>;
    let (owner, id) = (Some("anonymous"), "C0DE");
    // No token of an earlier write.
    let (no_code, no_edit) = (None::<i64>, None::<Uuid>);
    let request = Uuid::from_u128(7);
    match statement.name {
        "qr.create" => parameters![
            no_key,
            owner,
            None::<&str>,
            request,
            Json(json!({
                "target_url": "https://example.com/new", "tags": ["a"], "redirect_status": 302,
                "forward_query": false, "max_scans": 3,
            })),
            Some("an idempotency key"),
            vec![1_u8; 32],
            vec!["NEW"],
            vec!["NEW"],
        ],
        "qr.get" => parameters![no_key, owner, id, no_code, no_edit],
        "qr.history" => parameters![no_key, owner, id, no_code, no_edit, 50_i64, None::<i32>],
        "qr.list" => parameters![
            no_key,
            owner,
            None::<&str>,
            50_i64,
            None::<Timestamp>,
            None::<i64>,
            None::<&str>,
            None::<&str>,
            no_code,
            no_edit,
        ],
        "qr.image" => parameters![id],
        "qr.edit" => {
            parameters![
                no_key,
                owner,
                id,
                request,
                Some(vec![2]),
                Json(json!({"name": "edited", "max_scans": 9}))
            ]
        }
        "qr.rollback" => parameters![no_key, owner, id, request, Some(vec![2]), 1],
        "qr.delete" => parameters![no_key, owner, id, request, Some(vec![2])],
        "qr.scan_stats" => parameters![
            no_key,
            owner,
            id,
            no_code,
            no_edit,
            Timestamp::from_second(1_700_000_000).ok()?,
            Timestamp::from_second(1_700_086_400).ok()?,
            "day",
        ],
        "qr.redirect" => {
            parameters![id, request, "person", vec![2_u8; 32], Some("DE"), "mobile", None::<&str>]
        }
        "qr.resolve" => parameters![id, "bot"],
        "webhook.accept" => parameters![
            "stripe",
            request,
            true,
            vec!["evt_9"],
            vec![""],
            vec![Some("account.updated")],
            vec![Timestamp::from_second(1_700_000_000).ok()],
            vec![None::<&str>],
            vec![None::<&str>],
            vec![b"{}".to_vec()],
            Json(json!([])),
        ],
        "jobs.claim" => parameters![10_i64, 60.0_f64, request, 1_000_000_i64],
        "jobs.finish" => parameters![
            vec![2_i64],
            vec![1],
            vec!["done"],
            vec!["delivered"],
            vec![Some(200_i16)],
            vec![None::<&str>],
            vec![0.0_f64],
        ],
        "jobs.clean" => parameters![30, 30, 30, 1000_i64],
        "health.report" => parameters![no_key, false, vec!["codes"]],
        "health.replica" => Some(Vec::new()),
        _ => None,
    }
}

/// Whether the answer to a statement that is sent again must be that of the first: not where it tells what this run
/// did, for the log alone, or how the server fares.
fn answers_the_same(statement: &Statement) -> bool {
    !matches!(statement.name, "jobs.finish" | "jobs.clean" | "health.report" | "health.replica")
}

pub(crate) fn connect(url: &str) -> Result<Database> {
    let config = Environment::from([("DATABASE_URL", url)]).database()?;
    Ok(Database::new(config, &Arc::new(TrustStore::prepare()))?)
}

/// Runs the statement with its sample, and returns what must be the same when it is sent again.
pub(crate) async fn run(database: &Database, statement: &Statement) -> Result<Vec<Value>> {
    let sample = sample(statement).with_context(|| format!("{} has no sample", statement.name))?;
    let parameters: Vec<&(dyn ToSql + Sync)> = sample.iter().map(|value| value.as_ref() as _).collect();
    let mut rows = database.query(statement, &parameters, Deadline::after(Duration::from_secs(9))).await?;
    // Sent again while the first was still running: only a new look can tell what that one did.
    let is_again = |row: &Row| row.try_get("again").unwrap_or(false);
    if rows.first().is_some_and(is_again) {
        rows = database.query(statement, &parameters, Deadline::after(Duration::from_secs(9))).await?;
    }
    if answers_the_same(statement) { rows.iter().map(row_to_json).collect() } else { Ok(Vec::new()) }
}

/// What a claim found for the alarms: how the server fares, which a second sending finds otherwise.
const GAUGES: [&str; 2] = ["queue_depth", "connections_used_percent"];

/// A row as JSON, without the times and gauges in it.
fn row_to_json(row: &Row) -> Result<Value> {
    let column = |(at, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            _ if GAUGES.contains(&column.name()) => json!("a gauge"),
            Type::TEXT => json!(row.try_get::<_, Option<&str>>(at)?),
            Type::BOOL => json!(row.try_get::<_, Option<bool>>(at)?),
            Type::INT2 => json!(row.try_get::<_, Option<i16>>(at)?),
            Type::INT4 => json!(row.try_get::<_, Option<i32>>(at)?),
            Type::INT8 => json!(row.try_get::<_, Option<i64>>(at)?),
            Type::UUID => json!(row.try_get::<_, Option<Uuid>>(at)?),
            Type::TEXT_ARRAY => json!(row.try_get::<_, Option<Vec<String>>>(at)?),
            Type::INT8_ARRAY => json!(row.try_get::<_, Option<Vec<i64>>>(at)?),
            Type::UUID_ARRAY => json!(row.try_get::<_, Option<Vec<Uuid>>>(at)?),
            Type::BYTEA => json!(row.try_get::<_, Option<&[u8]>>(at)?),
            Type::JSONB | Type::JSON => json!(row.try_get::<_, Option<Json<Value>>>(at)?.map(|json| json.0)),
            Type::TIMESTAMPTZ => json!(row.try_get::<_, Option<Timestamp>>(at)?),
            ref other => bail!("{}: a column of type {other} cannot be compared yet", column.name()),
        };
        Ok(without_times(value))
    };
    row.columns().iter().enumerate().map(column).collect()
}

fn without_times(value: Value) -> Value {
    match value {
        Value::String(text) if text.parse::<Timestamp>().is_ok() => json!("a time"),
        Value::Array(items) => items.into_iter().map(without_times).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, without_times(value))).collect()
        }
        value => value,
    }
}

/// Everything in all tables, without the times in it.
async fn contents(database: &TestDatabase) -> Result<Vec<String>> {
    let client = database.client().await?;
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let mut contents = Vec::new();
    for table in client.query_typed(tables, &[]).await? {
        let table: &str = table.try_get(0)?;
        let rows = format!("SELECT to_jsonb(t) FROM {table} t");
        let mut lines = Vec::new();
        for row in client.query_typed(&rows, &[]).await? {
            let Json(row): Json<Value> = row.try_get(0)?;
            lines.push(format!("{table}: {}", without_times(row)));
        }
        lines.sort();
        contents.extend(lines);
    }
    Ok(contents)
}

/// A database in the state that the samples work on, the same one each time.
async fn set_up() -> Result<TestDatabase> {
    let database = Postgres::plain().await?.database().await?;
    // Random ids of the setup would differ from one database to the next.
    let setup = SETUP.replace("gen_random_uuid()", "'00000000-0000-0000-0000-000000000001'");
    database.client().await?.batch_execute(&setup).await?;
    Ok(database)
}

async fn survives(statement: &Statement, behind_pooler: bool, cut_point: CutPoint) -> Result<()> {
    let spared = set_up().await?;
    let expected = (run(&connect(&spared.url())?, statement).await?, contents(&spared).await?);

    let hit = set_up().await?;
    let pooler =
        if behind_pooler { Some(PgBouncer::in_front_of(hit.postgres()).start().await?) } else { None };
    let front = pooler.as_ref().map_or(hit.postgres().address(), PgBouncer::address);
    let proxy = Proxy::start(front).await?;
    let database = connect(&proxy.url(&hit))?;
    database.connect(Deadline::after(Duration::from_secs(9))).await;
    proxy.cut_at(cut_point);
    let found = (run(&database, statement).await?, contents(&hit).await?);

    ensure!(!proxy.cut_is_pending(), "the point of the cut was not reached");
    ensure!(proxy.counts().connections == 2, "one reconnect, not {}", proxy.counts().connections - 1);
    ensure!(found.0 == expected.0, "answered {:?}, not {:?}", found.0, expected.0);
    ensure!(found.1 == expected.1, "left {:#?}, not {:#?}", found.1, expected.1);
    Ok(())
}

/// On its way there, after it has run, and in the middle of its answer.
const CUT_POINTS: [CutPoint; 3] = [CutPoint::ClientBytes(20), CutPoint::Answer(0), CutPoint::ServerBytes(10)];

#[tokio::test]
async fn every_statement_survives_a_cut_and_happens_once() -> Result<()> {
    for statement in shared::statements::ALL {
        for cut_point in CUT_POINTS {
            survives(statement, false, cut_point)
                .await
                .with_context(|| format!("{} {cut_point:?}", statement.name))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_statement_survives_a_cut_behind_a_pooler_and_happens_once() -> Result<()> {
    for statement in shared::statements::ALL {
        let survived = survives(statement, true, CutPoint::Answer(0)).await;
        survived.with_context(|| statement.name)?;
    }
    Ok(())
}

/// The comparison would be worth nothing if it could not see that a statement had run twice.
#[tokio::test]
async fn contents_tell_one_run_from_two() -> Result<()> {
    let (one, other) = (set_up().await?, set_up().await?);
    assert_eq!(contents(&one).await?, contents(&other).await?);
    let scan = "UPDATE scan_quotas SET used = used + 1";
    one.client().await?.batch_execute(scan).await?;
    assert_ne!(contents(&one).await?, contents(&other).await?);
    Ok(())
}

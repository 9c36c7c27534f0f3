//! `cargo tessera doctor` and the detailed report of `health` say the same of a problem, as they judge the same facts.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use harness::{Database, Lambda, Postgres, Preload};
use serde_json::Value;
use tokio_postgres::Client;

use super::doctor::{doctor, examine};
use super::health::{KEY, check, health, make_key};

/// Returns an error unless a check has this verdict, and its observation and advice contain these words.
pub(crate) fn expect_check(check: &Value, verdict: &str, seen: &str, advice: &str) -> Result<()> {
    ensure!(check["verdict"] == verdict, "{check}");
    ensure!(check["observed"].to_string().contains(seen), "nothing of {seen}: {check}");
    ensure!(check["advice"].to_string().contains(advice), "no advice of {advice}: {check}");
    Ok(())
}

/// The check `name` of both reports.
async fn checks_of_both(database: &Database, name: &str) -> Result<[Value; 2]> {
    let doctors = examine(database.url()).await?.check(name)?.clone();
    Ok([doctors, check(&health(database.url()).await?, name).await?])
}

/// A database in a cluster of its own, where no other test has sessions, with a key that may read reports.
pub(crate) async fn dedicated_database(settings: &[(&str, &str)]) -> Result<Database> {
    let postgres = Postgres::builder().settings(settings.iter().copied()).start().await?;
    let database = postgres.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    Ok(database)
}

/// The sessions are real. Their age is not: a view by the name of PostgreSQL's own, found before it, makes everything
/// six minutes older than it is.
const SIX_MINUTES_OLDER: &str = "
    CREATE SCHEMA older;
    CREATE VIEW older.pg_stat_activity AS
        SELECT datid, datname, pid, usename, application_name, backend_type, wait_event_type, state,
               state_change - interval '6 minutes' AS state_change, query_start - interval '6 minutes' AS query_start
        FROM pg_catalog.pg_stat_activity;";

#[tokio::test]
async fn thirty_connections_that_idle_for_six_minutes_are_named_with_their_holder() -> Result<()> {
    let database = dedicated_database(&[]).await?;
    let leak = (0..30).map(|_| async {
        let client = database.client().await?;
        client.batch_execute("SET application_name = 'leaky-report'").await?;
        anyhow::Ok(client)
    });
    let leaked: Vec<Client> = try_join_all(leak).await?;
    for check in checks_of_both(&database, "idle_connections").await? {
        expect_check(&check, "ok", "0 idle for over 5 minutes", "")?;
    }

    let owner = database.client().await?;
    owner.batch_execute(SIX_MINUTES_OLDER).await?;
    let before = format!("ALTER DATABASE {} SET search_path = older, pg_catalog, public", database.name);
    owner.batch_execute(&before).await?;
    for check in checks_of_both(&database, "idle_connections").await? {
        expect_check(&check, "warn", "30 of leaky-report", "application_name")?;
    }

    drop(leaked);
    Ok(())
}

#[tokio::test]
async fn a_table_that_a_session_keeps_locked_is_named_with_its_holder() -> Result<()> {
    let database = dedicated_database(&[]).await?;
    let health = health(database.url()).await?;
    // The report asks `jobs` in all its forms, `codes` for the details, and `visitors` never.
    for table in ["jobs", "codes", "visitors"] {
        let holder = database.client().await?;
        holder.batch_execute(&format!("BEGIN; LOCK TABLE {table}")).await?;
        let seen = format!("{table} is locked by process");
        for check in [examine(database.url()).await?.check("locks")?, &check(&health, "locks").await?] {
            expect_check(check, "fail", &seen, "pg_terminate_backend")?;
            expect_check(check, "fail", "harness, idle in transaction", "")?;
        }
        let deep =
            health.get("/health").query("deep", "true").deadline(Duration::from_secs(3)).send().await?;
        assert_eq!((deep.status, &deep.json()?["checks"]["locks"]), (503, &"fail".into()), "{}", deep.text());
        holder.batch_execute("ROLLBACK").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_report_that_cannot_know_its_reader_for_a_lock_says_so() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let health = health(database.url()).await?;
    let holder = database.client().await?;
    holder.batch_execute("BEGIN; LOCK TABLE api_keys").await?;
    let detailed = health.get("/health").query("detailed", "true").header("x-api-key", KEY);
    let detailed = detailed.deadline(Duration::from_secs(3)).send().await?;
    let checks = &detailed.json()?["checks"];
    assert_eq!((detailed.status, &checks["locks"]), (503, &"fail".into()), "{}", detailed.text());
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_two_minutes_off_is_named() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let preload = Preload::new().await?;
    preload.clock_ahead(Duration::from_mins(2))?;

    let [library, directory] = preload.environment();
    let examined = doctor(&[("DATABASE_URL", database.url()), library, directory]).await?;
    expect_check(examined.check("clock")?, "warn", "2 min behind this machine", "NTP")?;

    let health =
        Lambda::builder("health").env("DATABASE_URL", database.url()).preload(&preload).start().await?;
    expect_check(&check(&health, "clock").await?, "warn", "2 min behind this machine", "NTP")
}

#[tokio::test]
async fn without_pg_stat_statements_slow_statements_are_not_visible_and_no_fault() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    for check in checks_of_both(&database, "slow_statements").await? {
        expect_check(&check, "notVisible", "not there", "CREATE EXTENSION")?;
    }
    Ok(())
}

/// Whether this PostgreSQL has the contrib module; some packages of it come without.
#[expect(clippy::print_stderr, reason = "a test that tests nothing says why")]
pub(crate) async fn has_pg_stat_statements() -> Result<bool> {
    let admin = Postgres::plain().await?.admin("postgres").await?;
    let sql = "SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'";
    let is_there = !admin.query_typed(sql, &[]).await?.is_empty();
    if !is_there {
        eprintln!(
            "not tested: this PostgreSQL comes without pg_stat_statements (Debian: postgresql-contrib)"
        );
    }
    Ok(is_there)
}

#[tokio::test]
async fn a_slow_statement_is_named_where_pg_stat_statements_tells() -> Result<()> {
    if !has_pg_stat_statements().await? {
        return Ok(());
    }
    let database = dedicated_database(&[("shared_preload_libraries", "pg_stat_statements")]).await?;
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
    // Five at once, as one call says little of a statement's mean.
    let slow = (0..5).map(|_| async {
        let client = database.client().await?;
        client.batch_execute("SELECT pg_sleep(0.6)").await.context("slow")
    });
    try_join_all(slow).await?;
    for check in checks_of_both(&database, "slow_statements").await? {
        expect_check(&check, "warn", "over 5 calls: SELECT pg_sleep", "EXPLAIN")?;
    }
    Ok(())
}

#[tokio::test]
async fn pg_stat_statements_that_the_server_has_not_loaded_costs_that_check_alone() -> Result<()> {
    if !has_pg_stat_statements().await? {
        return Ok(());
    }
    let database = dedicated_database(&[]).await?;
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
    for check in checks_of_both(&database, "slow_statements").await? {
        expect_check(&check, "notVisible", "not there", "shared_preload_libraries")?;
    }
    Ok(())
}

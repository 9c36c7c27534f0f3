//! What is wrong inside a database that can be connected to is named by `cargo tessera doctor`, and by `health` as
//! well, unless only probe codes can show it or no key can be checked.

use anyhow::{Context as _, Result};
use harness::Postgres;

use super::doctor::examine;
use super::doctor_and_health::expect_check;
use super::health::{KEY, check, health, make_key};

/// SQL that breaks something, the check that names it, its verdict, and words of its observation and of its advice.
const BROKEN: &[(&str, &str, &str, &str, &str)] = &[
    ("DROP TABLE scan_quotas", "migrations", "fail", "scan_quotas", "migrate up"),
    ("DELETE FROM tessera_migrations WHERE version = 2", "migrations", "warn", "0002_webhooks", "migrate up"),
    ("REVOKE ALL ON scans FROM tessera", "rights", "fail", "scans (SELECT, INSERT)", "GRANT SELECT, INSERT ON scans TO"),
    ("REVOKE UPDATE ON scan_totals FROM tessera", "rights", "fail", "scan_totals (UPDATE)", "GRANT UPDATE ON scan_totals TO"),
    ("REVOKE DELETE ON jobs FROM tessera", "rights", "warn", "jobs (DELETE)", "GRANT DELETE ON jobs TO"),
    ("REVOKE ALL ON SEQUENCE codes_id_seq FROM tessera", "rights", "fail", "USAGE of codes_id_seq", "GRANT USAGE ON SEQUENCE codes_id_seq TO"),
    (
        "CREATE SCHEMA app; DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET search_path = app'', current_database()); END'",
        "migrations",
        "fail",
        "applied in the schema public, which is not in the search_path of tessera: app",
        "ALTER ROLE",
    ),
    (
        "INSERT INTO events (source, event_id, request, state) SELECT 's', n::text, gen_random_uuid(), 'applied'
         FROM generate_series(1, 150) n;
         INSERT INTO jobs (event, source) SELECT id, 's' FROM events",
        "queue",
        "warn",
        "150 due",
        "worker",
    ),
    (
        "INSERT INTO events (source, event_id, request, state) VALUES ('s', '1', gen_random_uuid(), 'applied');
         INSERT INTO jobs (event, source, state, ended_at) SELECT id, 's', 'dead', now() FROM events",
        "dead_jobs",
        "warn",
        "1",
        "redrive",
    ),
    (
        "INSERT INTO events (source, event_id, request, state, failure, raw)
         VALUES ('s', '1', gen_random_uuid(), 'failed', 'nonsense', 'x')",
        "events",
        "warn",
        "1 of them failed",
        "alerts list",
    ),
    (
        "ALTER TABLE codes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        "consistency",
        "fail",
        "qr.create: db error: ERROR: new row violates row-level security",
        "a policy",
    ),
    (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON scans FOR EACH ROW EXECUTE FUNCTION full_disk()",
        "writes",
        "fail",
        "disk_full: the server has no room left on its disk",
        "enlarge the disk",
    ),
    ("INSERT INTO alerts (code, source) VALUES ('event_failed', 's')", "alerts", "warn", "event_failed", "resolve"),
];

#[tokio::test]
async fn what_is_wrong_inside_the_database_is_named() -> Result<()> {
    for (sql, name, verdict, seen, advice) in BROKEN {
        let database = Postgres::plain().await?.database().await?;
        database.client().await?.batch_execute(sql).await.with_context(|| *sql)?;
        examine(database.url()).await?.expect_check(name, verdict, seen, advice)?;
        if *name != "consistency" && !sql.contains("search_path") {
            make_key(&database, KEY, "ops:read").await?;
            expect_check(&check(&health(database.url()).await?, name).await?, verdict, seen, advice)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn dead_rows_that_pile_up_are_named() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    client
        .batch_execute(
            "ALTER TABLE visitors SET (autovacuum_enabled = false);
             INSERT INTO visitors SELECT n, '2026-01-01', 'x' FROM generate_series(1, 20000) n;
             DELETE FROM visitors WHERE code_id <= 15000",
        )
        .await?;
    // Statistics are written when the session ends.
    drop(client);
    let examined = loop {
        let examined = examine(database.url()).await?;
        if examined.check("bloat")?["verdict"] != "ok" {
            break examined;
        }
    };
    examined.expect_check("bloat", "warn", "visitors", "VACUUM")?;
    make_key(&database, KEY, "ops:read").await?;
    expect_check(&check(&health(database.url()).await?, "bloat").await?, "warn", "visitors", "VACUUM")
}

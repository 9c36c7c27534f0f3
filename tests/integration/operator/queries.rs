//! `docs/queries.sql`: the queries for people run as they stand, and see what is there.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use harness::{Database, Postgres};

/// A code that was scanned twice, once by a bot, an event whose delivery was given up, and the alert about it.
const IN_ORDER: &str = "
    INSERT INTO codes (id_key, short_id, owner, target_url, max_scans, created_by, last_edit)
    VALUES ('C0DE7', 'CODE7', 'acme', 'https://example.com/menu', 10, gen_random_uuid(), gen_random_uuid());
    INSERT INTO code_versions (code_id, version, target_url, edit) SELECT id, 1, target_url, last_edit FROM codes;
    INSERT INTO scan_quotas (code_id, used) SELECT id, 1 FROM codes;
    INSERT INTO scans (id, code_id, bot) SELECT gen_random_uuid(), id, bot FROM codes, (VALUES (true), (false)) t (bot);
    INSERT INTO scan_totals SELECT id, 0, 1, 1, 1, now() FROM codes;
    INSERT INTO events (source, event_id, event_type, request, state, raw)
    VALUES ('shop', 'evt_1', 'account.updated', gen_random_uuid(), 'applied', '{}');
    INSERT INTO jobs (event, source, state, attempt, outcome, ended_at) SELECT id, 'shop', 'dead', 5, 'timeout', now() FROM events;
    INSERT INTO alerts (code, source) VALUES ('job_dead', 'shop')";

/// What is broken, and the defect by which the last query names it.
const BROKEN: [(&str, &str); 6] = [
    ("UPDATE scan_totals SET bots = 0", "total is lower than the scans stored | CODE7 | 2 stored, 1 counted"),
    ("UPDATE scan_totals SET uniques = 2", "more unique visitors than scans | CODE7 | 2 of 1"),
    ("DELETE FROM scan_quotas", "a code with a limit has no row to count it in | CODE7 | 10"),
    (
        "UPDATE codes SET target_url = 'https://example.com/2'",
        "the newest version in the history is another one",
    ),
    ("UPDATE jobs SET ended_at = NULL", "a job is done or dead and has no end"),
    ("UPDATE jobs SET state = 'done'", "an alert says that jobs are dead, and none is"),
];

/// What `psql -f docs/queries.sql` prints of this database, each run of spaces as one.
async fn queries(database: &Database) -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/queries.sql");
    let mut psql = Command::new("psql");
    psql.arg(database.url()).args(["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file);
    let output = tokio::task::spawn_blocking(move || psql.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" "))
}

/// What follows the heading of the last query.
fn defects(printed: &str) -> &str {
    printed.split_once("=== Consistency").map_or("", |(_, rest)| rest)
}

#[tokio::test]
async fn the_queries_for_people_run_on_a_new_database() -> Result<()> {
    let printed = queries(&Postgres::plain().await?.database().await?).await?;
    assert!(defects(&printed).contains("(0 rows)"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn the_queries_for_people_show_what_is_there_and_each_defect() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    client.batch_execute(IN_ORDER).await?;
    let printed = queries(&database).await?;
    for shown in ["CODE7 | acme | https://example.com/menu", "shop | applied | 1", "timeout", "0001_codes"] {
        assert!(printed.contains(shown), "{shown}: {printed}");
    }
    assert!(defects(&printed).contains("(0 rows)"), "{printed}");

    for (fault, named) in BROKEN {
        let database = Postgres::plain().await?.database().await?;
        let client = database.client().await?;
        client.batch_execute(&format!("{IN_ORDER}; {fault}")).await?;
        let printed = queries(&database).await?;
        assert!(defects(&printed).contains(named), "{fault}: {}", defects(&printed));
        assert!(defects(&printed).contains("(1 row)"), "{fault} and nothing else: {}", defects(&printed));
    }
    Ok(())
}

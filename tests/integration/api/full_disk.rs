//! What works, and what is said, when the database can be read and not written to.

use std::time::Duration;

use anyhow::Result;
use harness::{Database, Lambda, Postgres};
use serde_json::{Value, json};

use super::functions::{create_code, generate, query_count, redirect, short_id};
use crate::operator::metrics::line_number;

/// SQLSTATEs of servers that may still be read.
const FAULTS: [&str; 9] = ["53100", "53000", "53200", "53400", "58030", "58P01", "57000", "55000", "XX000"];

/// Lets no row be stored in `table`, for a reason of this SQLSTATE.
async fn fail_inserts(database: &Database, table: &str, sqlstate: &str) -> Result<()> {
    let trigger = format!(
        "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'No space left on device' USING ERRCODE = '{sqlstate}'; END $$;
         CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fail()"
    );
    Ok(database.client().await?.batch_execute(&trigger).await?)
}

/// Creates a code with these fields beside its target, and returns the path that follows it.
async fn create_path(codes: &Lambda, mut fields: Value) -> Result<String> {
    fields["targetUrl"] = json!("https://example.com/menu");
    Ok(format!("/r/{}", short_id(&create_code(codes, fields).await?)))
}

#[tokio::test]
async fn a_code_still_leads_where_it_should_when_its_scan_cannot_be_counted() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    let path = create_path(&codes, json!({"redirectStatus": 307})).await?;
    let expired = create_path(&codes, json!({"expiresAt": "2020-01-01T00:00:00Z"})).await?;
    for (number, sqlstate) in FAULTS.into_iter().enumerate() {
        fail_inserts(&database, "scans", sqlstate).await?;
        let answer = redirects.get(&path).header("user-agent", "Mozilla/5.0").send().await?;
        assert_eq!(
            (answer.status, answer.header("location")),
            (307, "https://example.com/menu"),
            "{sqlstate}: {}",
            answer.text()
        );
        let line = line_number(&redirects, number + 1).await?;
        assert_eq!((&line["ScansMissed"], &line["RetriesServerFault"]), (&json!(1), &json!(2)), "{line}");
        assert!(line.get("Scans").is_none() && line.get("ServerErrors").is_none(), "{line}");
    }
    assert_eq!(redirects.get(&expired).send().await?.status, 410);
    assert_eq!(redirects.get("/r/UNKNOWN").send().await?.status, 404);
    assert_eq!(query_count(&database, "SELECT count(*) FROM scans").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_code_still_leads_where_it_should_on_a_server_that_takes_no_writes() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let path = create_path(&codes, json!({})).await?;
    let read_only = format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name);
    database.client().await?.batch_execute(&read_only).await?;
    let redirects = redirect(database.url()).start().await?;
    let answer = redirects.get(&path).deadline(Duration::from_secs(2)).send().await?;
    assert_eq!((answer.status, answer.header("location")), (302, "https://example.com/menu"));
    Ok(())
}

#[tokio::test]
async fn a_limit_is_not_exceeded_because_scans_cannot_be_counted() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    let (once, twice) = (
        create_path(&codes, json!({"maxScans": 1})).await?,
        create_path(&codes, json!({"maxScans": 2})).await?,
    );
    for path in [&once, &twice] {
        assert_eq!(redirects.get(path).header("user-agent", "Mozilla/5.0").send().await?.status, 302);
    }
    fail_inserts(&database, "scans", "53100").await?;
    for (path, status) in [(&once, 410), (&twice, 503)] {
        let answer = redirects.get(path).header("user-agent", "Mozilla/5.0").send().await?;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("retry-after").is_empty(), status == 410);
    }
    assert_eq!(redirects.get(&twice).header("user-agent", "Googlebot/2.1").send().await?.status, 302);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_stored_is_a_503_that_says_when_to_come_back() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let body = json!({"targetUrl": "https://example.com"});
    for sqlstate in FAULTS {
        fail_inserts(&database, "codes", sqlstate).await?;
        let answer = codes.post("/qr").json(&body).send().await?;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{sqlstate}");
        assert_eq!(answer.json()?["type"], "urn:tessera:unavailable", "{sqlstate}");
    }
    database.client().await?.batch_execute("DROP TRIGGER fail ON codes").await?;
    assert_eq!(codes.post("/qr").json(&body).send().await?.status, 201);
    Ok(())
}

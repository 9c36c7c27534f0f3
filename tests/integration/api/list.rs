//! The list with many codes: what it touches does not grow, and no page looks for long.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use harness::{Database, Lambda, Postgres};
use serde_json::Value;
use shared::qr::list::LIST;

use crate::api::codes::pages;
use crate::api::functions::generate;

/// Gives `owner` codes, a second apart, the newest first made now; every `nth` of them has the tag `rare`.
async fn insert(database: &Database, owner: &str, count: i64, nth: i64) -> Result<()> {
    let sql = format!(
        "INSERT INTO codes (id_key, short_id, owner, target_url, tags, created_by, last_edit, created_at)
         SELECT upper('{owner}') || n, '{owner}' || n, '{owner}', 'https://example.com/' || n,
                CASE WHEN n % {nth} = 0 THEN ARRAY['rare'] ELSE '{{}}' END,
                gen_random_uuid(), gen_random_uuid(), now() - n * interval '1 second'
         FROM generate_series(1, {count}) n"
    );
    Ok(database.client().await?.batch_execute(&sql).await?)
}

/// Pages of the database that one page of the list touches, as its kept plan does.
async fn blocks(client: &tokio_postgres::Client, owner: &str, before: &str) -> Result<i64> {
    let execute = format!("EXECUTE list (NULL, '{owner}', NULL, 50, {before}, 1, NULL, NULL, NULL, NULL)");
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}");
    let row = client.simple_query(&explain).await?.into_iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    let explained: Value = serde_json::from_str(&row.context("EXPLAIN answers")?)?;
    explained[0]["Plan"]["Shared Hit Blocks"].as_i64().context("it touches some")
}

#[tokio::test]
async fn a_page_touches_the_same_few_blocks_beside_a_huge_owner_and_however_deep() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    insert(&database, "huge", 60_000, 1_000).await?;
    insert(&database, "small", 100, 10).await?;
    let client = database.client().await?;
    client.batch_execute("ANALYZE codes; SET plan_cache_mode = force_generic_plan").await?;
    let types = LIST.parameters.iter().map(tokio_postgres::types::Type::name).collect::<Vec<_>>().join(", ");
    client.batch_execute(&format!("PREPARE list ({types}) AS {}", LIST.sql)).await?;
    for (owner, before) in
        [("huge", "NULL"), ("small", "NULL"), ("huge", "now() - interval '10 hours'"), ("nobody", "NULL")]
    {
        // Each of 51 codes and its counts is in two indexes of up to three levels, and in two tables.
        let blocks = blocks(&client, owner, before).await?;
        assert!(blocks < 51 * 8, "{owner} before {before}: {blocks}");
    }
    Ok(())
}

#[tokio::test]
async fn a_rare_tag_is_found_page_by_page_and_no_page_looks_through_more_than_ten_thousand() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    insert(&database, "anonymous", 25_000, 12_000).await?;
    let codes = generate(database.url()).start().await?;
    let mut cursor = String::new();
    let mut sizes = Vec::new();
    loop {
        let page = codes.get(&format!("/qr?tag=rare{cursor}")).send().await?.json()?;
        sizes.push(page["items"].as_array().context("items")?.len());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [0, 1, 1]);
    assert_eq!(pages(&codes, "search=COM/24999").await?, ["anonymous24999"]);
    assert_eq!(pages(&codes, "search=nowhere").await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn codes_that_were_made_at_the_same_moment_are_each_listed_once() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    insert(&database, "anonymous", 7, 2).await?;
    database.client().await?.batch_execute("UPDATE codes SET created_at = '2026-01-01T00:00:00Z'").await?;
    let codes = generate(database.url()).start().await?;
    let newest_first: Vec<_> = (1..=7).rev().map(|n| format!("anonymous{n}")).collect();
    for limit in 1..=8 {
        assert_eq!(pages(&codes, &format!("limit={limit}")).await?, newest_first, "limit {limit}");
    }
    Ok(())
}

/// A target of 8,192 bytes that takes four times as many in Lambda's response, where each quote is escaped twice.
const LONG_TARGET: &str = "'https://example.com/' || repeat('\"', 8170)";
/// Lambda's limit on a response, of which the harness sees the body alone, escaped once less.
const MAX_RESPONSE: usize = 6 * 1024 * 1024;

/// Reads all pages of 200 at `path`, none of which may be too large, and returns their items and how many pages there
/// were.
async fn long_pages(codes: &Lambda, path: &str) -> Result<(Vec<Value>, usize)> {
    let (mut items, mut count, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = codes.get(&format!("{path}?limit=200{cursor}")).send().await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        let as_sent = serde_json::to_string(&answer.text())?.len();
        ensure!(as_sent < MAX_RESPONSE, "{as_sent} bytes");
        let page = answer.json()?;
        items.extend(page["items"].as_array().context("no items")?.iter().cloned());
        count += 1;
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok((items, count)),
        }
    }
}

#[tokio::test]
async fn two_hundred_codes_with_long_targets_are_listed_on_pages_that_lambda_takes() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    insert(&database, "anonymous", 200, 1000).await?;
    let lengthen = format!("UPDATE codes SET target_url = {LONG_TARGET}");
    database.client().await?.batch_execute(&lengthen).await?;
    let (items, count) = long_pages(&generate(database.url()).start().await?, "/qr").await?;
    let ids: BTreeSet<_> = items.iter().map(|item| item["shortId"].to_string()).collect();
    assert_eq!((items.len(), ids.len(), count), (200, 200, 2));
    Ok(())
}

#[tokio::test]
async fn a_history_of_801_long_targets_comes_newest_first_on_pages_that_lambda_takes() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    insert(&database, "anonymous", 1, 1000).await?;
    let lengthen = format!(
        "UPDATE codes SET version = 801, id_key = 'HXST7Q2', short_id = 'HXST7Q2';
         INSERT INTO code_versions (code_id, version, target_url, edit)
             SELECT id, v, {LONG_TARGET}, gen_random_uuid() FROM codes, generate_series(1, 801) v"
    );
    database.client().await?.batch_execute(&lengthen).await?;
    let codes = generate(database.url()).start().await?;
    let (items, count) = long_pages(&codes, "/qr/HXST7Q2/history").await?;
    let versions: Vec<_> = items.iter().filter_map(|item| item["version"].as_i64()).collect();
    assert_eq!(versions, (1..=801).rev().collect::<Vec<_>>());
    assert!(count > 5, "{count} pages, though four would hold 801 by number");

    let first = codes.get("/qr/HXST7Q2/history").query("limit", "2").send().await?.json()?;
    let numbers = |page: &Value| [page["items"][0]["version"].as_i64(), page["items"][1]["version"].as_i64()];
    assert_eq!(numbers(&first), [Some(801), Some(800)]);
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
    for (query, field) in
        [("limit=0", "limit"), ("limit=201", "limit"), ("cursor=AAAAAA", "cursor"), ("page=2", "page")]
    {
        let refused = codes.get(&format!("/qr/HXST7Q2/history?{query}")).send().await?;
        assert_eq!((refused.status, &refused.json()?["errors"][0]["field"]), (422, &field.into()), "{query}");
    }
    Ok(())
}

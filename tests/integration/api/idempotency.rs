//! What is sent twice happens once: by the caller's Idempotency-Key, and by the statements themselves when an answer is
//! lost.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::{try_join, try_join_all};
use harness::{CutPoint, Database, Lambda, Postgres, Proxy, Request, Response};
use serde_json::{Value, json};

use super::functions::{
    create_code, create_key, expect_status, generate, generate_for_keys, get_code, query_count, redirect,
    short_id,
};

const CODES: &str = "SELECT count(*) FROM codes";
const KEYS: &str = "SELECT count(*) FROM idempotency_keys";

fn create<'a>(codes: &'a Lambda, key: &str, target: &str) -> Request<'a> {
    codes.post("/qr").header("idempotency-key", key).json(&json!({"targetUrl": target}))
}

fn is_replayed(answer: &Response) -> bool {
    answer.header("idempotency-replayed") == "true"
}

#[tokio::test]
async fn two_hundred_creates_at_once_with_one_key_make_one_code() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let containers = try_join_all((0..10).map(|_| generate(database.url()).concurrency(20).start())).await?;
    let all =
        (0..200).map(|number| create(&containers[number % 10], "double click", "https://e.example").send());
    let answers = try_join_all(all).await?;
    let first = answers.iter().find(|answer| !is_replayed(answer)).context("the first")?;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &first.body), "{}", answer.text());
        assert_eq!(answer.header("location"), first.header("location"));
        assert_eq!(answer.header("etag"), first.header("etag"));
    }
    assert_eq!(answers.iter().filter(|answer| is_replayed(answer)).count(), 199);
    assert_eq!(query_count(&database, CODES).await?, 1);
    let list = expect_status(200, &containers[3].get("/qr").send().await?)?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_replay_is_the_first_answer_whatever_has_happened_since() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let first = create(&codes, "k", "https://e.example/1").send().await?;
    let made = expect_status(201, &first)?;
    let path = format!("/qr/{}", short_id(&made));
    expect_status(200, &codes.patch(&path).json(&json!({"targetUrl": "https://e.example/2"})).send().await?)?;
    for key in ["k", "\"k\"", " k "] {
        let again = create(&codes, key, "https://e.example/1").send().await?;
        assert_eq!((again.status, &again.body, is_replayed(&again)), (201, &first.body, true), "{key}");
    }
    assert_eq!(codes.delete(&path).send().await?.status, 204);
    let again = create(&codes, "k", "https://e.example/1").send().await?;
    assert_eq!((again.status, &again.body, is_replayed(&again)), (201, &first.body, true));
    assert_eq!(query_count(&database, CODES).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_key_used_for_another_request_is_named() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    expect_status(201, &create(&codes, "k", "https://e.example/1").send().await?)?;
    let other = create(&codes, "k", "https://e.example/2").send().await?;
    assert_eq!((other.status, &other.json()?["errors"][0]["field"]), (422, &json!("Idempotency-Key")));
    let same_in_other_words = codes.post("/qr").header("idempotency-key", "k");
    let same = json!({"tags": [], "redirectStatus": 302, "targetUrl": "https://e.example/1"});
    assert!(is_replayed(&same_in_other_words.json(&same).send().await?));
    assert_eq!(query_count(&database, CODES).await?, 1);
    Ok(())
}

#[tokio::test]
async fn one_owner_s_key_is_nothing_to_another() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate_for_keys(database.url()).start().await?;
    let mut ids = Vec::new();
    for owner in ["one", "other"] {
        let bearer = format!("Bearer {}", create_key(&database, owner, &["qr:write"]).await?);
        let made = create(&codes, "k", "https://e.example").header("authorization", bearer).send().await?;
        assert!(!is_replayed(&made));
        ids.push(short_id(&expect_status(201, &made)?).to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    Ok(())
}

#[tokio::test]
async fn a_rejected_request_is_not_kept() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let taken = json!({"targetUrl": "https://e.example", "shortId": "taken"});
    create_code(&codes, taken.clone()).await?;
    let keyed = |fields: &Value| codes.post("/qr").header("idempotency-key", "k").json(fields);
    assert_eq!(keyed(&json!({"targetUrl": "nowhere"})).send().await?.status, 422);
    assert_eq!(keyed(&taken).send().await?.status, 409);
    let other_owner = json!({"targetUrl": "https://e.example", "userId": "somebody else"});
    assert_eq!(keyed(&other_owner).send().await?.status, 403);
    assert_eq!(query_count(&database, KEYS).await?, 0);
    let made = keyed(&json!({"targetUrl": "https://e.example"})).send().await?;
    assert_eq!((made.status, is_replayed(&made)), (201, false));
    Ok(())
}

#[tokio::test]
async fn a_key_can_be_used_again_after_a_day() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let first = expect_status(201, &create(&codes, "k", "https://e.example/1").send().await?)?;
    let left = "SELECT extract(epoch FROM expires_at - now())::bigint FROM idempotency_keys";
    assert!((86_300..=86_400).contains(&query_count(&database, left).await?));
    let pass = "UPDATE idempotency_keys SET expires_at = expires_at - interval '24 hours 1 second'";
    database.client().await?.execute_typed(pass, &[]).await?;
    let second = create(&codes, "k", "https://e.example/2").send().await?;
    assert!(!is_replayed(&second));
    assert_ne!(first["shortId"], expect_status(201, &second)?["shortId"]);
    let again = create(&codes, "k", "https://e.example/2").send().await?;
    assert_eq!((&again.body, is_replayed(&again)), (&second.body, true));
    assert!(query_count(&database, left).await? > 86_300, "kept for another day");
    Ok(())
}

/// Another container's create that does not come to its end: an open transaction holds the key.
#[tokio::test]
async fn a_request_whose_first_is_still_running_is_told_so() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let client = database.client().await?;
    client
        .batch_execute(
            "BEGIN; INSERT INTO idempotency_keys (owner, key, fingerprint, request, answer, expires_at)
             VALUES ('anonymous', 'k', '', gen_random_uuid(), '{}', now() + interval '1 day')",
        )
        .await?;
    let waiting = create(&codes, "k", "https://e.example").deadline(Duration::from_secs(1)).send().await?;
    assert_eq!((waiting.status, &waiting.json()?["type"]), (409, &json!("urn:tessera:still-running")));
    assert!(waiting.header("retry-after").parse::<u64>()? >= 1);

    // One that ends in time is waited for; here it fails, and the key is free.
    let (answer, ()) = try_join(create(&codes, "k", "https://e.example").send(), async {
        let blocked = "SELECT count(*) FROM pg_stat_activity
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while query_count(&database, blocked).await? == 0 {}
        client.batch_execute("ROLLBACK").await?;
        Ok(())
    })
    .await?;
    assert_eq!((answer.status, is_replayed(&answer)), (201, false), "{}", answer.text());
    assert_eq!(query_count(&database, CODES).await?, 1);
    Ok(())
}

/// Nobody holds the key: a backup, a migration or a person holds a table that creating needs.
#[tokio::test]
async fn a_locked_table_is_no_running_request() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let client = database.client().await?;
    for table in ["codes", "idempotency_keys", "api_keys"] {
        client.batch_execute(&format!("BEGIN; LOCK TABLE {table}")).await?;
        let waiting =
            create(&codes, table, "https://e.example").deadline(Duration::from_secs(1)).send().await?;
        assert_eq!(
            (waiting.status, &waiting.json()?["type"]),
            (503, &json!("urn:tessera:unavailable")),
            "{table}"
        );
        client.batch_execute("ROLLBACK").await?;
        let again = create(&codes, table, "https://e.example").send().await?;
        assert_eq!((again.status, is_replayed(&again)), (201, false), "{table}: {}", again.text());
    }
    Ok(())
}

/// Both functions behind a proxy that can drop an answer of the database.
struct LossyDatabase {
    database: Database,
    proxy: Proxy,
    codes: Lambda,
    redirects: Lambda,
}

async fn lossy_database() -> Result<LossyDatabase> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let codes = generate(proxy.url(&database)).start().await?;
    let redirects = redirect(proxy.url(&database)).start().await?;
    Ok(LossyDatabase { database, proxy, codes, redirects })
}

impl LossyDatabase {
    /// Sends `request`, whose statement runs while its first answer is lost.
    async fn send_losing_answer(&self, warm: Request<'_>, request: Request<'_>) -> Result<Response> {
        // On an open connection: on a new one the first answer would be that of the handshake.
        warm.send().await?;
        self.proxy.cut_at(CutPoint::Answer(0));
        let answer = request.send().await?;
        assert!(!self.proxy.cut_is_pending(), "no answer was lost");
        Ok(answer)
    }
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_makes_one_code() -> Result<()> {
    let lossy_database = lossy_database().await?;
    let (codes, database) = (&lossy_database.codes, &lossy_database.database);
    let plain = codes.post("/qr").json(&json!({"targetUrl": "https://e.example", "maxScans": 3}));
    let custom = codes.post("/qr").json(&json!({"targetUrl": "https://e.example", "shortId": "custom"}));
    for (number, request) in [plain, custom, create(codes, "k", "https://e.example")].into_iter().enumerate()
    {
        let answer = lossy_database.send_losing_answer(codes.get("/qr"), request).await?;
        assert!(!is_replayed(&answer), "it is this request's own code");
        let made = expect_status(201, &answer)?;
        assert_eq!(get_code(codes, short_id(&made)).await?, made);
        let codes = i64::try_from(number)? + 1;
        assert_eq!(query_count(database, CODES).await?, codes);
        assert_eq!(query_count(database, "SELECT count(*) FROM code_versions").await?, codes);
    }
    assert_eq!(query_count(database, "SELECT count(*) FROM scan_quotas").await?, 1);
    assert_eq!(query_count(database, KEYS).await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_edit_a_rollback_and_a_deletion_whose_answers_are_lost_happen_once() -> Result<()> {
    let lossy_database = lossy_database().await?;
    let (codes, database) = (&lossy_database.codes, &lossy_database.database);
    let made = create_code(codes, json!({"targetUrl": "https://e.example/1"})).await?;
    let path = format!("/qr/{}", short_id(&made));
    let versions = "SELECT count(*) FROM code_versions";

    // If-Match must not turn the repetition into a 412.
    let edit =
        codes.patch(&path).header("if-match", "\"1\"").json(&json!({"targetUrl": "https://e.example/2"}));
    let answer = lossy_database.send_losing_answer(codes.get(&path), edit).await?;
    let edited = expect_status(200, &answer)?;
    assert_eq!((&edited["version"], answer.header("etag")), (&json!(2), "\"2\""));
    assert_eq!(edited["targetUrl"], "https://e.example/2");
    assert_eq!(query_count(database, versions).await?, 2);

    let rollback =
        codes.post(&format!("{path}/rollback")).header("if-match", "\"2\"").json(&json!({"version": 1}));
    let back = expect_status(200, &lossy_database.send_losing_answer(codes.get(&path), rollback).await?)?;
    assert_eq!((&back["version"], &back["targetUrl"]), (&json!(3), &json!("https://e.example/1")));
    assert_eq!(query_count(database, versions).await?, 3);

    let deletion = codes.delete(&path).header("if-match", "\"3\"");
    assert_eq!(lossy_database.send_losing_answer(codes.get(&path), deletion).await?.status, 204);
    assert_eq!(codes.get(&path).send().await?.status, 404);
    assert_eq!(codes.delete(&path).send().await?.status, 404, "another deletion finds nothing");
    Ok(())
}

#[tokio::test]
async fn a_scan_whose_answer_is_lost_counts_once() -> Result<()> {
    let lossy_database = lossy_database().await?;
    let (codes, redirects) = (&lossy_database.codes, &lossy_database.redirects);
    for fields in
        [json!({"targetUrl": "https://e.example"}), json!({"targetUrl": "https://e.example", "maxScans": 1})]
    {
        let limited = fields["maxScans"].is_number();
        let made = create_code(codes, fields).await?;
        let link = format!("/r/{}", short_id(&made));
        let answer =
            lossy_database.send_losing_answer(redirects.get("/r/none"), redirects.get(&link)).await?;
        assert_eq!(answer.status, 302, "also when the lost one was the last that is allowed");
        let scans = get_code(codes, short_id(&made)).await?["scans"].clone();
        assert_eq!(json!([scans["total"], scans["unique"]]), json!([1, 1]));
        assert_eq!(redirects.get(&link).send().await?.status, if limited { 410 } else { 302 });
    }
    assert_eq!(query_count(&lossy_database.database, "SELECT count(*) FROM scans").await?, 3);
    Ok(())
}

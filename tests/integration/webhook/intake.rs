//! Webhook intake: what is answered, what is kept, what is applied, at one round trip.

use std::time::Duration;

use anyhow::Result;
use harness::{Database, Lambda, Postgres, Proxy};
use serde_json::{Value, json};

use super::sender::{
    account, github, now, send, shopify, slack, sources, standard, standard_at, stripe, webhook,
};

async fn start() -> Result<(Database, Lambda)> {
    let database = Postgres::plain().await?.database().await?;
    let lambda = webhook(database.url(), sources(&json!({}))).start().await?;
    Ok((database, lambda))
}

/// One value that a statement gives.
async fn one(database: &Database, sql: &str) -> Result<String> {
    let row = database.client().await?.query_typed_one(&format!("SELECT ({sql})::text"), &[]).await?;
    Ok(row.try_get::<_, Option<String>>(0)?.unwrap_or_default())
}

#[tokio::test]
async fn an_event_is_kept_once_and_applied() -> Result<()> {
    let (database, lambda) = start().await?;
    let event = account("evt_1", "a", "active", "2026-01-01T00:00:00Z");
    let first = send(&lambda, "msg_1", &event).await?;
    assert_eq!((first.status, first.json()?), (202, json!({"eventId": "evt_1", "duplicate": false})));
    let again = send(&lambda, "msg_1", &event).await?;
    assert_eq!((again.status, again.json()?), (200, json!({"eventId": "evt_1", "duplicate": true})));
    assert_eq!(one(&database, "SELECT count(*) FROM events").await?, "1");
    assert_eq!(
        one(&database, "SELECT status || ' ' || attributes FROM accounts").await?,
        r#"active {"plan": "x"}"#
    );
    Ok(())
}

#[tokio::test]
async fn a_newer_state_is_never_overwritten() -> Result<()> {
    let (database, lambda) = start().await?;
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    for (id, status, at, expected) in [
        ("1", "active", late, "active"),
        ("2", "suspended", early, "active"),
        ("3", "closed", late, "closed"),
        ("4", "active", late, "closed"),
        ("5", "deleted", late, "deleted"),
        ("6", "closed", late, "closed"),
        ("7", "active", "2026-01-01T00:00:02Z", "active"),
    ] {
        assert_eq!(send(&lambda, id, &account(id, "a", status, at)).await?.status, 202);
        assert_eq!(one(&database, "SELECT status FROM accounts").await?, expected, "event {id}");
    }
    Ok(())
}

#[tokio::test]
async fn a_time_in_the_far_future_does_not_pin_its_row() -> Result<()> {
    let (database, lambda) = start().await?;
    send(&lambda, "1", &account("1", "a", "active", "2999-01-01T00:00:00Z")).await?;
    let tomorrow = jiff::Timestamp::now() + Duration::from_hours(1);
    send(&lambda, "2", &account("2", "a", "closed", &tomorrow.to_string())).await?;
    assert_eq!(one(&database, "SELECT status FROM accounts").await?, "closed");
    Ok(())
}

#[tokio::test]
async fn a_batch_is_told_item_by_item() -> Result<()> {
    let (database, lambda) = start().await?;
    send(&lambda, "m", &account("seen", "a", "active", "2026-01-01T00:00:00Z")).await?;
    let batch = json!({"events": [
        account("new", "b", "active", "2026-01-01T00:00:02Z"),
        account("seen", "a", "closed", "2026-01-01T00:00:03Z"),
        account("late", "b", "suspended", "2026-01-01T00:00:01Z"),
        {"id": "bad", "type": "account.updated", "timestamp": "2026-01-01T00:00:00Z", "data": {}},
        account("new", "b", "closed", "2026-01-01T00:00:09Z"),
        {"id": "other", "type": "invoice.paid"},
    ]});
    let answer = send(&lambda, "batch", &batch).await?;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.json()?,
        json!({"accepted": 3, "duplicates": 2,
               "failed": [{"index": 3, "eventId": "bad", "reason": "accountId: missing"}]})
    );
    let states = "SELECT string_agg(external_id || '=' || status, ' ' ORDER BY external_id) FROM accounts";
    assert_eq!(one(&database, states).await?, "a=active b=active");
    let again = send(&lambda, "batch", &batch).await?.json()?;
    assert_eq!(again, json!({"accepted": 0, "duplicates": 6, "failed": []}));
    assert_eq!(one(&database, "SELECT code || count FROM alerts").await?, "event_failed1");
    let empty = send(&lambda, "empty", &json!([])).await?;
    assert_eq!((empty.status, empty.json()?), (202, json!({"accepted": 0, "duplicates": 0, "failed": []})));
    Ok(())
}

#[tokio::test]
async fn one_event_and_a_batch_of_a_thousand_are_one_round_trip_each() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    let sources = sources(&json!({"forwardUrl": "https://app.example/hooks"}));
    let lambda = webhook(proxy.url(&database), sources).start().await?;
    send(&lambda, "warm", &json!({"id": "warm", "type": "x"})).await?;

    proxy.reset();
    let event = account("one", "a", "active", "2026-01-01T00:00:00Z");
    assert_eq!(send(&lambda, "one", &event).await?.status, 202);
    assert_eq!(proxy.round_trips(), 1, "new");
    send(&lambda, "one", &event).await?;
    assert_eq!(proxy.round_trips(), 2, "duplicate");

    proxy.reset();
    let items: Vec<Value> = (0..1000)
        .map(|n| account(&format!("e{n}"), &format!("a{}", n % 70), "active", "2026-01-01T00:00:00Z"))
        .collect();
    let answer = send(&lambda, "batch", &json!(items)).await?;
    assert_eq!(answer.json()?, json!({"accepted": 1000, "duplicates": 0, "failed": []}));
    assert_eq!(proxy.round_trips(), 1, "a batch of 1,000");
    assert_eq!(one(&database, "SELECT count(*) FROM jobs").await?, "1002");
    assert_eq!(proxy.named_statements(), Vec::<String>::new());

    let items: Vec<Value> = (0..1001).map(|n| json!({"id": format!("f{n}"), "type": "x"})).collect();
    assert_eq!(send(&lambda, "too many", &json!(items)).await?.status, 413);
    Ok(())
}

#[tokio::test]
async fn a_statement_sent_twice_answers_as_the_first_time() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = webhook(proxy.url(&database), sources(&json!({}))).start().await?;
    send(&lambda, "warm", &json!({"id": "warm", "type": "x"})).await?;
    proxy.cut_at(harness::CutPoint::Answer(0));
    let answer = send(&lambda, "e", &account("e", "a", "active", "2026-01-01T00:00:00Z")).await?;
    assert!(!proxy.cut_is_pending(), "the answer was lost once");
    assert_eq!((answer.status, answer.json()?["duplicate"].clone()), (202, json!(false)));
    assert_eq!(one(&database, "SELECT count(*) FROM events").await?, "2");
    Ok(())
}

#[tokio::test]
async fn every_scheme_has_its_source() -> Result<()> {
    let (database, lambda) = start().await?;
    let body = br#"{"id":"evt_s","type":"account.updated","created":1767225600,"data":{"object":{"id":"cus_1","object":"customer"}}}"#;
    assert_eq!(stripe(&lambda, body).send().await?.json()?["eventId"], "evt_s");
    assert_eq!(github(&lambda, "d1", b"{}").send().await?.json()?["eventId"], "d1");
    let replayed = github(&lambda, "d2", b"{}").send().await?;
    assert_eq!(
        (replayed.status, replayed.json()?["duplicate"].clone()),
        (200, json!(true)),
        "its id is not signed"
    );
    for (topic, body, status) in [
        ("orders/create", "{\"a\":1}", 202),
        ("orders/paid", "{\"a\":2}", 202),
        ("orders/paid", "{\"a\":3}", 200),
    ] {
        let answer = shopify(&lambda, "s1", topic, body.as_bytes()).send().await?;
        assert_eq!((answer.status, &answer.json()?["eventId"]), (status, &json!("s1")), "{topic}");
    }
    let event =
        br#"{"type":"event_callback","event_id":"Ev1","event_time":1767225600,"event":{"type":"message"}}"#;
    assert_eq!(slack(&lambda, event).send().await?.json()?["eventId"], "Ev1");
    let challenge = slack(&lambda, br#"{"type":"url_verification","challenge":"c-42"}"#).send().await?;
    assert_eq!((challenge.status, challenge.text()), (200, "c-42".to_owned()));
    assert_eq!(one(&database, "SELECT status FROM accounts").await?, "active");
    assert_eq!(one(&database, "SELECT count(*) FROM events").await?, "5");
    Ok(())
}

#[tokio::test]
async fn a_captured_request_under_other_topics_is_one_event_without_effects() -> Result<()> {
    let (database, lambda) = start().await?;
    let body = br#"{"timestamp":1767225600,"data":{"accountId":"a","status":"active"}}"#;
    for (nth, topic) in ["orders/create", "account.updated", "orders/paid"].into_iter().enumerate() {
        let answer = shopify(&lambda, &format!("s{nth}"), topic, body).send().await?;
        let expected = if nth == 0 { 202 } else { 200 };
        assert_eq!(answer.status, expected, "{topic}: {}", answer.text());
    }
    for nth in 0..20 {
        let answer = shopify(&lambda, "s", &format!("account.{nth}"), body).send().await?;
        assert_eq!(answer.status, 422, "{}", answer.text());
        let problem = answer.json()?;
        assert_eq!(
            (&problem["type"], &problem["errors"][0]["field"]),
            (&json!("urn:tessera:invalid"), &json!("x-shopify-topic"))
        );
    }
    assert_eq!(one(&database, "SELECT string_agg(event_type, ' ') FROM events").await?, "orders/create");
    assert_eq!(one(&database, "SELECT count(*) FROM accounts").await?, "0");
    Ok(())
}

#[tokio::test]
async fn what_is_not_verified_leaves_nothing() -> Result<()> {
    let (database, lambda) = start().await?;
    let body: &[u8] = br#"{"id":"e","type":"x"}"#;
    let good = |id| standard(&lambda, id, body);
    let unsigned = || lambda.post("/webhooks/standard").body(body);
    let truncated = || unsigned().header("webhook-id", "e").header("webhook-timestamp", now().to_string());
    for (what, request, status) in [
        ("unsigned", unsigned(), 401),
        ("stale", standard_at(&lambda, "e", now() - 400, body), 401),
        ("early", standard_at(&lambda, "e", now() + 400, body), 401),
        ("another body", good("e").body(b"{\"id\":\"f\"}".to_vec()), 401),
        ("two ids", good("e").header("webhook-id", "f"), 401),
        ("truncated base64", truncated().header("webhook-signature", "v1,g0hM9SsE+OTPJTG"), 401),
        ("bare version", truncated().header("webhook-signature", "v1,"), 401),
        ("unknown source", lambda.post("/webhooks/nobody").body(body), 404),
        ("no source", lambda.post("/webhooks/").body(body), 404),
        ("deeper", lambda.post("/webhooks/standard/x").body(body), 404),
        ("another method", lambda.get("/webhooks/standard"), 405),
        ("not JSON", standard(&lambda, "e", b"{\"id\":"), 400),
        ("empty", standard(&lambda, "e", b""), 400),
        ("not UTF-8", standard(&lambda, "e", b"{\"id\":\"\xff\"}"), 400),
        ("6 MB", standard(&lambda, "e", &vec![b' '; 6 * 1024 * 1024]), 413),
    ] {
        let answer = request.send().await?;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    }
    assert_eq!(one(&database, "SELECT count(*) FROM events").await?, "0");
    Ok(())
}

#[tokio::test]
async fn whatever_is_verified_json_is_kept() -> Result<()> {
    let (database, lambda) = start().await?;
    let time = r#""timestamp":"2026-01-01T00:00:00Z""#;
    let account = |data: &str| format!(r#"{{"type":"account.updated",{time},"data":{data}}}"#);
    let payment = |amount: &str| {
        format!(
            r#"{{"type":"transaction.created",{time},"data":{{"transactionId":"t","accountId":"a","amount":{amount},"currency":"EUR","status":"paid"}}}}"#
        )
    };
    let cases = [
        (
            "deep",
            account(&format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000))),
            "data: too_deep",
        ),
        ("nul", account(r#"{"accountId":"a","status":"x","note":"\u0000"}"#), "data: nul_character"),
        ("nul id", account(r#"{"accountId":"a\u0000","status":"x"}"#), "accountId: nul_character"),
        ("surrogate", account(r#"{"accountId":"a","status":"\ud800"}"#), "data: unreadable"),
        ("range", payment("9223372036854775808"), "amount: out_of_range"),
        ("fraction", payment("1.5"), "amount: not_an_integer"),
        ("huge", payment("1e999"), "data: unreadable"),
        (
            "no time",
            r#"{"type":"account.updated","data":{"accountId":"a","status":"x"}}"#.to_owned(),
            "occurredAt: missing",
        ),
        (
            "before Christ",
            r#"{"type":"account.updated","timestamp":"0000-12-31T23:59:59Z","data":{"accountId":"a","status":"x"}}"#
                .to_owned(),
            "occurredAt: out_of_range",
        ),
        ("no type", "{}".to_owned(), "type: missing"),
        ("a number", "17".to_owned(), "event: wrong_type"),
    ];
    for (id, body, reason) in &cases {
        let answer = standard(&lambda, id, body.as_bytes()).send().await?;
        assert_eq!(
            (answer.status, answer.json()?),
            (202, json!({"eventId": id, "duplicate": false})),
            "{id}"
        );
        let failure = one(&database, &format!("SELECT failure FROM events WHERE event_id = '{id}'")).await?;
        assert!(!failure.is_empty(), "{id}");
        assert_eq!(&failure, reason, "{id}");
    }
    let raw = "SELECT convert_from(raw, 'UTF8') FROM events WHERE event_id = 'nul'";
    assert_eq!(one(&database, raw).await?, cases[1].1, "the bytes as they were sent");
    let first_year = account(r#"{"accountId":"a","status":"x"}"#).replace("2026-01-01", "0001-01-01");
    assert_eq!(standard(&lambda, "first year", first_year.as_bytes()).send().await?.status, 202);
    let twice = account(r#"{"accountId":"first","accountId":"last","status":"x"}"#);
    assert_eq!(standard(&lambda, "twice", twice.as_bytes()).base64().send().await?.status, 202);
    assert_eq!(
        one(&database, "SELECT max(external_id) FROM accounts").await?,
        "last",
        "as for JavaScript and jsonb"
    );
    let alerts = "SELECT string_agg(code || ' ' || source || ' ' || count, ',') FROM alerts";
    assert_eq!(one(&database, alerts).await?, format!("event_failed standard {}", cases.len()));
    Ok(())
}

/// API Gateway does not send such a thing; a container that is called directly may still get it.
#[tokio::test]
async fn a_body_that_is_not_the_base64_it_claims_to_be_costs_one_request() -> Result<()> {
    let (_database, lambda) = start().await?;
    let mut event = standard(&lambda, "e", b"{}").base64().event();
    event["body"] = json!("e30");
    assert!(lambda.invoke(&event, Some(Duration::from_secs(5))).await.is_err());
    assert_eq!(standard(&lambda, "e", b"{}").send().await?.status, 202, "the container lives");
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = webhook(proxy.url(&database), sources(&json!({}))).start().await?;
    proxy.refuse().await;
    let request = standard(&lambda, "e", br#"{"id":"e","type":"x"}"#).deadline(Duration::from_secs(2));
    let answer = request.send().await?;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
    Ok(())
}

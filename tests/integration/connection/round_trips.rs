//! What the network is asked for: one round trip a request, no more than psql to connect, no named statement.

use anyhow::{Result, ensure};
use harness::{Lambda, PgBouncer, Postgres, Proxy, Request};
use serde_json::json;

use crate::api::functions::{create_code, create_key, generate, generate_for_keys, redirect, short_id};

/// Requests of every kind but creating, for a code that they leave deleted. Their answers are all good ones.
pub(crate) fn requests<'a>(
    codes: &'a Lambda,
    redirects: &'a Lambda,
    id: &str,
) -> Vec<(&'static str, Request<'a>)> {
    let path = format!("/qr/{id}");
    let link = format!("/r/{id}");
    let rollback = codes.post(&format!("{path}/rollback")).json(&json!({"version": 1}));
    vec![
        ("list", codes.get("/qr?limit=10&tag=a&search=example")),
        ("get", codes.get(&path)),
        ("edit", codes.patch(&path).json(&json!({"targetUrl": "https://example.com/2", "maxScans": 100}))),
        ("roll back", rollback),
        ("follow", redirects.get(&link)),
        ("look behind", redirects.head(&link)),
        ("follow as a bot", redirects.get(&link).header("user-agent", "Googlebot/2.1")),
        ("history", codes.get(&format!("{path}/history"))),
        ("numbers by the day", codes.get(&format!("{path}/scans"))),
        ("numbers by country", codes.get(&format!("{path}/scans?by=country&format=csv"))),
        ("SVG", codes.get(&format!("{path}/image.svg"))),
        ("PNG", codes.get(&format!("{path}/image.png"))),
        ("delete", codes.delete(&path)),
    ]
}

#[tokio::test]
async fn each_request_is_one_round_trip() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    let codes = generate_for_keys(proxy.url(&database)).start().await?;
    let redirects = redirect(proxy.url(&database)).start().await?;
    let bearer = format!("Bearer {}", create_key(&database, "me", &["qr:read", "qr:write"]).await?);

    // Both containers connect.
    codes.get("/qr").header("authorization", &bearer).send().await?;
    redirects.get("/r/none").send().await?;
    proxy.reset();
    let create = codes.post("/qr").header("authorization", &bearer).header("idempotency-key", "k");
    let made = create.json(&json!({"targetUrl": "https://example.com", "tags": ["a"]})).send().await?;
    assert_eq!((made.status, proxy.round_trips()), (201, 1), "create");

    for (what, request) in requests(&codes, &redirects, short_id(&made.json()?)) {
        proxy.reset();
        let answer = request.header("authorization", &bearer).send().await?;
        assert!(answer.status < 400, "{what}: {} {}", answer.status, answer.text());
        assert_eq!(proxy.round_trips(), 1, "{what}");
        assert_eq!(proxy.named_statements(), [""; 0], "{what}");
    }
    Ok(())
}

/// As the invocation's first request, which connects first: as many round trips as `psql -c` with the same URL, at
/// most.
#[tokio::test]
async fn connecting_takes_no_more_round_trips_than_psql_does() -> Result<()> {
    for postgres in [Postgres::plain().await?, Postgres::tls().await?] {
        let database = postgres.database().await?;
        let (mut psqls, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            // Each its own: psql's farewell may arrive late.
            let (to_psql, to_us) = (Proxy::of(postgres).await?, Proxy::of(postgres).await?);
            let url = to_psql.url(&database);
            let psql = move || std::process::Command::new("psql").args([&url, "-c", "SELECT 1"]).output();
            let psql = tokio::task::spawn_blocking(psql).await??;
            ensure!(psql.status.success(), "{psql:?}");
            psqls.push(to_psql.round_trips());

            let redirects = redirect(to_us.url(&database)).start().await?;
            assert_eq!(redirects.get("/r/none").send().await?.status, 404);
            ours.push(to_us.round_trips());
        }
        assert!(ours.iter().max() <= psqls.iter().max(), "{ours:?} against psql's {psqls:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_id_is_refused_without_a_round_trip() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let redirects = redirect(proxy.url(&database)).start().await?;
    for path in ["/r/ab", "/r/a b", "/r/a.b", "/r/%41bc", "/r/", "/r", "/r/abc/def", "/x/abc", "/r/äbc"] {
        assert_eq!(redirects.get(path).send().await?.status, 404, "{path}");
    }
    let long = format!("/r/{}", "a".repeat(65));
    assert_eq!(redirects.get(&long).send().await?.status, 404);
    assert_eq!(proxy.round_trips(), 0);
    Ok(())
}

/// Seen from three sides: what left, what the pooler met, and what the server ran.
#[tokio::test]
async fn no_statement_is_ever_named() -> Result<()> {
    let postgres = Postgres::plain().await?;
    let database = postgres.database().await?;
    let pgbouncer = PgBouncer::in_front_of(postgres).setting("default_pool_size", 2).start().await?;
    let proxy = Proxy::recording(pgbouncer.address()).await?;
    let url = postgres.url_at(proxy.address(), &database.name);
    let (codes, redirects) = (generate(&url).start().await?, redirect(&url).start().await?);
    for _ in 0..3 {
        let made = create_code(&codes, json!({"targetUrl": "https://example.com", "tags": ["a"]})).await?;
        for (what, request) in requests(&codes, &redirects, short_id(&made)) {
            let answer = request.send().await?;
            assert!(answer.status < 400, "{what}: {} {}", answer.status, answer.text());
        }
    }
    assert!(proxy.messages().len() > 100, "the proxy has seen nothing");
    assert_eq!(proxy.named_statements(), [""; 0]);
    let log = pgbouncer.log().join("\n");
    assert!(!log.contains("prepared statement") && !log.contains("protocol"), "{log}");
    let ran: Vec<_> = database.log()?;
    assert!(ran.iter().any(|entry| entry.text.starts_with("LOG:  execute <unnamed>: ")), "{ran:?}");
    assert_eq!(ran.iter().filter_map(harness::LogEntry::named_statement).collect::<Vec<_>>(), [""; 0]);

    // And whatever else has run on this cluster so far, in other tests: all that functions sent.
    let functions = postgres.log()?.into_iter().filter(|entry| entry.application.starts_with("tessera/"));
    let named: Vec<_> = functions.filter(|entry| entry.named_statement().is_some()).collect();
    assert_eq!(named, []);
    Ok(())
}

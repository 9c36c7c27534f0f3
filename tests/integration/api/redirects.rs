//! What following a code answers: every row of the contract's table.

use std::time::Duration;

use anyhow::Result;
use harness::{Database, Lambda, Postgres, Preload, Proxy};
use serde_json::{Value, json};

use super::functions::{create_code, expect_status, generate, get_code, query_count, redirect, short_id};

struct Setup {
    database: Database,
    codes: Lambda,
    redirects: Lambda,
}

async fn setup() -> Result<Setup> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    Ok(Setup { database, codes, redirects })
}

/// A code of these fields, its target filled in.
async fn make_with(codes: &Lambda, mut fields: Value) -> Result<String> {
    fields["targetUrl"] = json!("https://example.com/a?b=1#c");
    Ok(short_id(&create_code(codes, fields).await?).to_owned())
}

#[tokio::test]
async fn a_live_code_leads_on_with_the_status_of_its_owner_s_choice() -> Result<()> {
    let Setup { codes, redirects, .. } = &setup().await?;
    for (status, cache_control) in [
        (301, "private, max-age=86400"),
        (302, "no-store"),
        (303, "no-store"),
        (307, "no-store"),
        (308, "private, max-age=86400"),
    ] {
        let id = make_with(codes, json!({"redirectStatus": status})).await?;
        for method in ["GET", "HEAD"] {
            let answer = redirects.request(method, &format!("/r/{id}")).send().await?;
            assert_eq!(answer.status, status, "{method}");
            assert_eq!(answer.header("location"), "https://example.com/a?b=1#c");
            assert_eq!(answer.header("cache-control"), cache_control, "{method} {status}");
            assert_eq!(answer.header("x-robots-tag"), "noindex");
            assert_ne!(answer.header("referrer-policy"), "");
            assert_eq!(answer.body, b"");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_printed_id_typed_by_hand_works() -> Result<()> {
    let Setup { codes, redirects, .. } = &setup().await?;
    make_with(codes, json!({"shortId": "Ol1-x_0"})).await?;
    for path in ["/r/Ol1-x_0", "/R/OL1-X_0", "/r/ol1-x_0", "/r/0II-x_o", "/R/011-X_0"] {
        assert_eq!(redirects.get(path).send().await?.status, 302, "{path}");
    }
    assert_eq!(redirects.get("/r/Ol1_x-0").send().await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn the_query_is_forwarded_where_asked_for_and_only_there() -> Result<()> {
    let Setup { codes, redirects, .. } = &setup().await?;
    let forwards = make_with(codes, json!({"forwardQuery": true})).await?;
    let keeps = make_with(codes, json!({})).await?;
    for (id, query, location) in [
        (&forwards, "?utm=x+y&z=%20&flag&bad=%FF", "https://example.com/a?b=1&utm=x+y&z=%20&flag&bad=%FF#c"),
        (&forwards, "?b=2&%62=3&c=4", "https://example.com/a?b=1&c=4#c"),
        (&forwards, "?n=%C3%BC%0D%0A", "https://example.com/a?b=1&n=%C3%BC%0D%0A#c"),
        (&forwards, "", "https://example.com/a?b=1#c"),
        (&keeps, "?utm=x", "https://example.com/a?b=1#c"),
    ] {
        let answer = redirects.get(&format!("/r/{id}{query}")).send().await?;
        assert_eq!(answer.header("location"), location, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_code_that_leads_nowhere_says_why() -> Result<()> {
    let Setup { codes, redirects, database } = &setup().await?;
    let expired = make_with(codes, json!({"expiresAt": "2020-01-01T00:00:00Z"})).await?;
    let used_up = make_with(codes, json!({"maxScans": 1})).await?;
    redirects.get(&format!("/r/{used_up}")).send().await?;
    let disabled = make_with(codes, json!({})).await?;
    expect_status(
        200,
        &codes.patch(&format!("/qr/{disabled}")).json(&json!({"enabled": false})).send().await?,
    )?;
    let deleted = make_with(codes, json!({})).await?;
    assert_eq!(codes.delete(&format!("/qr/{deleted}")).send().await?.status, 204);

    let table = [
        (expired.as_str(), 410, "expired"),
        (&used_up, 410, "scanned as often as it may be"),
        (&disabled, 410, "switched off"),
        (&deleted, 410, "deleted"),
        ("UNKNOWN", 404, "nothing at this address"),
        ("a b", 404, "nothing at this address"),
    ];
    for (id, status, reason) in table {
        for path in [format!("/r/{id}"), format!("/R/{}", id.to_lowercase())] {
            let page = redirects.get(&path).header("accept", "text/html,*/*;q=0.8").send().await?;
            assert_eq!((page.status, page.header("content-type")), (status, "text/html; charset=utf-8"));
            assert!(page.text().contains(reason) && page.text().contains("<html lang="), "{}", page.text());
            let problem = redirects.get(&path).header("accept", "application/json").send().await?;
            assert_eq!(
                (problem.status, problem.header("content-type")),
                (status, "application/problem+json")
            );
            let problem = problem.json()?;
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(reason)), "{problem}");
            assert_eq!(problem["status"], status);
            let head = redirects.head(&path).send().await?;
            assert_eq!((head.status, head.body.as_slice()), (status, &b""[..]));
            for answer in [&page, &head] {
                assert_eq!(answer.header("cache-control"), "no-store", "it may lead somewhere tomorrow");
                assert_eq!((answer.header("location"), answer.header("x-robots-tag")), ("", "noindex"));
            }
        }
    }
    assert_eq!(query_count(database, "SELECT count(*) FROM scans").await?, 1, "only what led on is a scan");
    Ok(())
}

#[tokio::test]
async fn a_code_that_is_not_valid_yet_says_when_to_come_back() -> Result<()> {
    let Setup { codes, redirects, database } = &setup().await?;
    let since = jiff::Timestamp::now() + Duration::from_hours(1);
    let early = make_with(codes, json!({"validSince": since})).await?;
    let path = format!("/r/{early}");
    let answer = redirects.get(&path).header("accept", "application/json").send().await?;
    assert_eq!((answer.status, &answer.json()?["type"]), (404, &json!("urn:tessera:not-yet")));
    let date = format!("valid on {}.", since.strftime("%-d %B %Y at %H:%M:%S UTC"));
    assert!(answer.text().contains(&date), "{date}: {}", answer.text());
    let seconds: u64 = answer.header("retry-after").parse()?;
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    // The database's clock decides, not the function's.
    let come = "UPDATE codes SET valid_since = now() - interval '1 second'";
    database.client().await?.execute_typed(come, &[]).await?;
    assert_eq!(redirects.get(&path).send().await?.status, 302);
    Ok(())
}

#[tokio::test]
async fn other_methods_and_addresses_are_refused() -> Result<()> {
    let Setup { codes, redirects, .. } = &setup().await?;
    let id = make_with(codes, json!({})).await?;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let answer = redirects.request(method, &format!("/r/{id}")).send().await?;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method}");
    }
    for path in ["/", "/r", "/r/", &format!("/x/{id}"), &format!("/r/{id}/more"), &format!("/r/r/{id}")] {
        assert_eq!(redirects.get(path).send().await?.status, 404, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_stays_away_is_a_503_in_time() -> Result<()> {
    let Setup { codes, database, .. } = &setup().await?;
    let id = make_with(codes, json!({})).await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let redirects = redirect(proxy.url(database)).start().await?;
    proxy.refuse().await;
    let path = format!("/r/{id}");
    let away = redirects.get(&path).deadline(Duration::from_secs(2)).send().await?;
    assert_eq!((away.status, away.header("content-type")), (503, "text/html; charset=utf-8"));
    assert!(away.header("retry-after").parse::<u64>()? >= 1);
    assert_eq!(away.header("cache-control"), "no-store");
    for secret in ["127.0.0.1", "refused", harness::PASSWORD, "tokio", "SELECT"] {
        assert!(!away.text().contains(secret), "{}", away.text());
    }
    proxy.accept().await?;
    proxy.black_hole();
    let silent = redirects.get(&path).header("accept", "application/json").deadline(Duration::from_secs(2));
    let silent = silent.send().await?;
    assert_eq!((silent.status, &silent.json()?["type"]), (503, &json!("urn:tessera:unavailable")));
    proxy.end_black_holes();
    assert_eq!(redirects.get(&path).send().await?.status, 302, "the same container, once it is back");
    assert_eq!(get_code(codes, &id).await?["scans"]["total"], 1);
    Ok(())
}

/// Lambda's time of the end is past by that clock. The invocation would be ended by Lambda, without an answer.
#[tokio::test]
async fn a_container_whose_clock_is_an_hour_ahead_answers_in_time() -> Result<()> {
    let Setup { codes, database, .. } = &setup().await?;
    let id = make_with(codes, json!({})).await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let preload = Preload::new().await?;
    let redirects = redirect(proxy.url(database)).preload(&preload).start().await?;
    preload.clock_ahead(Duration::from_hours(1))?;
    proxy.black_hole();
    let silent = redirects.get(&format!("/r/{id}")).deadline(Duration::from_secs(2)).send().await?;
    assert_eq!(silent.status, 503, "{}", silent.text());
    Ok(())
}

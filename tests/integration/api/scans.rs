//! Counting is exact: who counts, who does not, and how often a code may be followed.

use anyhow::Result;
use futures_util::future::{try_join, try_join_all};
use harness::{Lambda, Postgres, Request};
use serde_json::{Value, json};

use super::functions::{create_code, expect_status, generate, get_code, query_count, redirect, short_id};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1";
const DESKTOP: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn person<'a>(redirects: &'a Lambda, path: &str, address: &str, agent: &str) -> Request<'a> {
    redirects.get(path).source_ip(address).header("user-agent", agent)
}

#[tokio::test]
async fn people_count_bots_count_apart_and_previews_do_not() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com"})).await?;
    let path = format!("/r/{}", short_id(&made));
    let from = |address: &str, agent: &str| person(&redirects, &path, address, agent);

    // (the request, and what the counts are then: total, unique, bots)
    let steps = [
        ("a person", from("198.51.100.1", PHONE), [1, 1, 0]),
        ("the same again", from("198.51.100.1", PHONE), [2, 1, 0]),
        ("another behind the same address", from("198.51.100.1", DESKTOP), [3, 2, 0]),
        ("another elsewhere", from("2001:db8::7", PHONE), [4, 3, 0]),
        ("a bot", from("192.0.2.1", "Mozilla/5.0 (compatible; Googlebot/2.1)"), [4, 3, 1]),
        ("the same bot", from("192.0.2.1", "Mozilla/5.0 (compatible; Googlebot/2.1)"), [4, 3, 2]),
        ("a prefetch", from("192.0.2.2", PHONE).header("sec-purpose", "prefetch"), [4, 3, 2]),
        ("a link preview", from("192.0.2.3", "WhatsApp/2.23.20.0"), [4, 3, 2]),
        ("a HEAD", redirects.head(&path).header("user-agent", PHONE), [4, 3, 2]),
        ("curl", from("192.0.2.4", "curl/8.5.0"), [4, 3, 3]),
        ("a script", from("192.0.2.4", "python-requests/2.32.3"), [4, 3, 4]),
        ("one that says nothing of itself", redirects.get(&path).source_ip("192.0.2.5"), [5, 4, 4]),
    ];
    let mut before = Value::Null;
    for (who, request, [total, unique, bots]) in steps {
        assert_eq!(request.send().await?.status, 302, "{who}");
        let scans = get_code(&codes, short_id(&made)).await?["scans"].clone();
        let counts = json!([scans["total"], scans["unique"], scans["bots"]]);
        assert_eq!(counts, json!([total, unique, bots]), "{who}");
        let counted = scans["total"] != before["total"];
        assert_eq!(scans["lastAt"] != before["lastAt"], counted, "{who}: lastAt is of the last person");
        before = scans;
    }
    let listed = expect_status(200, &codes.get("/qr").send().await?)?;
    assert_eq!(listed["items"][0]["scans"], before);
    Ok(())
}

#[tokio::test]
async fn scan_statistics_add_up() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com"})).await?;
    let (path, numbers) = (format!("/r/{}", short_id(&made)), format!("/qr/{}/scans", short_id(&made)));
    for (address, agent, country, referrer) in [
        ("192.0.2.1", PHONE, "DE", "https://news.example/story?user=1"),
        ("192.0.2.1", PHONE, "DE", "https://news.example/other"),
        ("192.0.2.2", DESKTOP, "FR", ""),
        ("192.0.2.3", "Googlebot/2.1", "US", ""),
    ] {
        let scan = person(&redirects, &path, address, agent).header("cloudfront-viewer-country", country);
        assert_eq!(scan.header("referer", referrer).send().await?.status, 302);
    }
    for (by, expected) in [
        ("country", json!([["DE", 2, 1, 0], ["FR", 1, 1, 0], ["US", 0, 0, 1]])),
        ("device", json!([["mobile", 2, 1, 0], ["desktop", 1, 1, 0], ["other", 0, 0, 1]])),
        ("referrer", json!([["news.example", 2, 1, 0], [null, 1, 1, 1]])),
    ] {
        let answer = expect_status(200, &codes.get(&numbers).query("by", by).send().await?)?;
        let rows = answer["items"].as_array().into_iter().flatten();
        let rows: Vec<_> =
            rows.map(|row| json!([row["key"], row["total"], row["unique"], row["bots"]])).collect();
        assert_eq!(json!(rows), expected, "{by}");
    }
    for by in ["day", "hour"] {
        let answer = expect_status(200, &codes.get(&numbers).query("by", by).send().await?)?;
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        let sum = |name: &str| items.iter().filter_map(|item| item[name].as_i64()).sum::<i64>();
        // Around midnight a visitor is two: one a day.
        assert_eq!((sum("total"), sum("bots")), (3, 1), "{by}");
        assert!((24..=31).contains(&items.len()), "{by}: those without scans are there too");
    }
    let csv = codes.get(&numbers).query("by", "country").query("format", "csv").send().await?;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.text(), "country,total,unique,bots\nDE,2,1,0\nFR,1,1,0\nUS,0,0,1\n");
    Ok(())
}

#[tokio::test]
async fn what_a_visitor_sends_is_never_a_formula_in_the_owner_s_spreadsheet() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com"})).await?;
    let path = format!("/r/{}", short_id(&made));
    let numbers = format!("/qr/{}/scans?by=referrer&format=csv", short_id(&made));
    for referrer in ["x://=HYPERLINK(1)", "https://=1+1/", "https://news.example/"] {
        assert_eq!(redirects.get(&path).header("referer", referrer).send().await?.status, 302);
    }
    let csv = codes.get(&numbers).send().await?.text();
    assert_eq!(csv, "referrer,total,unique,bots\n,2,1,0\nnews.example,1,1,0\n");
    // What an earlier release has stored.
    let earlier = "UPDATE scans SET referrer = '=HYPERLINK(1)' WHERE referrer IS NOT NULL";
    database.client().await?.execute_typed(earlier, &[]).await?;
    let csv = codes.get(&numbers).send().await?.text();
    assert!(csv.contains("\n'=HYPERLINK(1),1,"), "{csv}");
    Ok(())
}

#[tokio::test]
async fn no_address_is_stored() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com"})).await?;
    let address = "203.0.113.77";
    person(&redirects, &format!("/r/{}", short_id(&made)), address, PHONE).send().await?;
    assert_eq!(query_count(&database, "SELECT count(*) FROM scans WHERE length(visitor) = 16").await?, 1);
    let found = format!("SELECT count(*) FROM scans WHERE scans::text LIKE '%{address}%'");
    assert_eq!(query_count(&database, &found).await?, 0);
    // What a dictionary of all addresses would be tried with: the hash without the database's key.
    let plain = format!("SELECT count(*) FROM scans WHERE visitor = substr(sha256('{address}'), 1, 16)");
    assert_eq!(query_count(&database, &plain).await?, 0);
    let logs = [redirects.logs(), database.log()?.into_iter().map(|entry| entry.text).collect()].concat();
    assert!(!logs.join("\n").contains(address), "{logs:?}");
    Ok(())
}

#[tokio::test]
async fn scans_at_once_are_all_counted() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let containers = try_join_all((0..8).map(|_| redirect(database.url()).concurrency(8).start())).await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com"})).await?;
    let path = format!("/r/{}", short_id(&made));
    // 400 scans by 100 people.
    let scans = (0..400).map(|number| {
        let address = format!("192.0.2.{}", number % 100);
        person(&containers[number % 8], &path, &address, PHONE).send()
    });
    let answers = try_join_all(scans).await?;
    assert!(answers.iter().all(|answer| answer.status == 302));
    let scans = get_code(&codes, short_id(&made)).await?["scans"].clone();
    assert_eq!(json!([scans["total"], scans["unique"], scans["bots"]]), json!([400, 100, 0]));
    Ok(())
}

#[tokio::test]
async fn a_limited_code_is_followed_exactly_as_often_as_it_may_be() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let containers = try_join_all((0..16).map(|_| redirect(database.url()).concurrency(4).start())).await?;
    for _ in 0..3 {
        let made = create_code(&codes, json!({"targetUrl": "https://example.com", "maxScans": 10})).await?;
        let path = format!("/r/{}", short_id(&made));
        let answers = try_join_all((0..64).map(|number| containers[number % 16].get(&path).send())).await?;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [&[302; 10][..], &[410; 54]].concat());
        assert_eq!(get_code(&codes, short_id(&made)).await?["scans"]["total"], 10);
        let used = "SELECT max(used) FROM scan_quotas";
        assert_eq!(query_count(&database, used).await?, 10);
    }
    Ok(())
}

#[tokio::test]
async fn bots_and_previews_do_not_use_a_limited_code_up() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (codes, redirects) =
        try_join(generate(database.url()).start(), redirect(database.url()).start()).await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com", "maxScans": 1})).await?;
    let path = format!("/r/{}", short_id(&made));
    for _ in 0..3 {
        assert_eq!(person(&redirects, &path, "192.0.2.1", "Googlebot/2.1").send().await?.status, 302);
        assert_eq!(redirects.head(&path).send().await?.status, 302);
    }
    assert_eq!(redirects.get(&path).send().await?.status, 302, "the one person");
    assert_eq!(redirects.get(&path).send().await?.status, 410);
    assert_eq!(person(&redirects, &path, "192.0.2.1", "Googlebot/2.1").send().await?.status, 410);
    assert_eq!(redirects.head(&path).send().await?.status, 410);
    Ok(())
}

#[tokio::test]
async fn a_limit_set_or_moved_later_counts_the_scans_before_it() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (codes, redirects) =
        try_join(generate(database.url()).start(), redirect(database.url()).start()).await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com"})).await?;
    let (path, link) = (format!("/qr/{}", short_id(&made)), format!("/r/{}", short_id(&made)));
    let limit = async |most: Value| -> Result<()> {
        expect_status(200, &codes.patch(&path).json(&json!({"maxScans": most})).send().await?).map(drop)
    };
    let follow = async |times: usize| -> Result<Vec<u16>> {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(redirects.get(&link).send().await?.status);
        }
        Ok(statuses)
    };
    assert_eq!(follow(3).await?, [302; 3]);
    limit(json!(5)).await?;
    assert_eq!(follow(3).await?, [302, 302, 410]);
    limit(json!(6)).await?;
    assert_eq!(follow(2).await?, [302, 410]);
    limit(json!(2)).await?;
    assert_eq!(follow(1).await?, [410]);
    limit(Value::Null).await?;
    assert_eq!(follow(2).await?, [302; 2]);
    limit(json!(9)).await?;
    assert_eq!(follow(2).await?, [302, 410], "eight before it, those without a limit included");
    assert_eq!(get_code(&codes, short_id(&made)).await?["scans"]["total"], 9);
    Ok(())
}

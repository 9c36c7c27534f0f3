//! Bad input: each field of the contract is refused by name, and nothing that is refused reaches the database.

use anyhow::Result;
use harness::{Postgres, Proxy, Request, Response};
use serde_json::{Value, json};

use super::functions::{create_code, generate, redirect, short_id};

/// Values that no field takes, whatever its type.
fn wrong_for_all() -> Vec<Value> {
    vec![
        json!({}),
        json!({"a": 1}),
        json!([[]]),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!("\u{0}"),
        json!("\u{7f}"),
    ]
}

/// Each field, and values that are wrong for it in particular.
fn wrong_values() -> Vec<(&'static str, Vec<Value>)> {
    let times = || {
        [
            json!(""),
            json!("tomorrow"),
            json!("2030-01-31"),
            json!("2030-01-31T12:00:00"),
            json!("2030-02-30T12:00:00Z"),
            json!("-000001-01-01T00:00:00Z"),
            json!("1969-12-31T23:59:59Z"),
            json!("+012000-01-01T00:00:00Z"),
            json!("9999-12-31T23:59:59Z"),
            json!(1_900_000_000),
            json!(true),
        ]
        .to_vec()
    };
    let long = |length: usize| json!("x".repeat(length));
    vec![
        (
            "targetUrl",
            [
                "",
                "example.com",
                "/path",
                "//example.com",
                "ftp://example.com",
                "javascript:alert(1)",
                "https://",
                "https:///path",
                "https:example.com",
                "https://me@example.com",
                "https://me:pw@example.com",
                "https://@example.com",
                "https://..",
                "https://-/",
                &format!("https://example.com/{}", "я".repeat(1364)),
                "https://exa mple.com",
                "https://example.com:99999",
                "https://example.com\r\nset-cookie: a=1",
                "https://q.example/r/ABC",
                "HTTP://Q.EXAMPLE./",
                &format!("https://example.com/{}", "a".repeat(8173)),
                &format!("https://example.com/{}", "ü".repeat(4087)),
            ]
            .into_iter()
            .map(Value::from)
            .chain([Value::Null, json!(7), json!(true), json!(["https://example.com"])])
            .collect(),
        ),
        ("name", vec![long(201), json!("a\nb"), json!(7), json!(true), json!([])]),
        (
            "tags",
            vec![
                Value::Null,
                json!("a"),
                json!([7]),
                json!([null]),
                json!([""]),
                json!(["a\tb"]),
                json!(["x".repeat(65)]),
                json!((0..21).map(|number| number.to_string()).collect::<Vec<_>>()),
            ],
        ),
        (
            "redirectStatus",
            [
                json!(200),
                json!(300),
                json!(304),
                json!(305),
                json!(306),
                json!(309),
                json!("302"),
                Value::Null,
            ]
            .to_vec(),
        ),
        ("forwardQuery", vec![json!("true"), json!(1), json!(0), Value::Null]),
        ("validSince", times()),
        ("expiresAt", times()),
        (
            "maxScans",
            vec![
                json!(0),
                json!(1_000_000_000_001_i64),
                json!(u64::MAX),
                json!("5"),
                json!(true),
                json!(1.0),
            ],
        ),
    ]
}

/// Those that only `POST /qr` has.
fn wrong_values_for_new() -> Vec<(&'static str, Vec<Value>)> {
    let id = ["", "ab", "a b", "a/b", "a.b", "äbc", "abc\u{0}", "%41bc", "../abc", &"a".repeat(65)];
    vec![
        ("shortId", id.into_iter().map(Value::from).chain([json!(7), json!(["abc"]), json!(true)]).collect()),
        ("userId", vec![json!(""), json!("u".repeat(201)), json!(7), json!(["me"]), json!("a\u{0}")]),
        ("id", vec![json!(7)]),
        ("enabled", vec![json!(true)]),
        ("version", vec![json!(1)]),
        ("targeturl", vec![json!("https://e.example")]),
        ("", vec![json!("")]),
    ]
}

/// Those that only `PATCH /qr/{shortId}` has.
fn wrong_values_for_changes() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("enabled", vec![json!("true"), json!(1), Value::Null]),
        ("shortId", vec![json!("ABCDEFG"), Value::Null]),
        ("userId", vec![json!("me"), Value::Null]),
        ("version", vec![json!(1)]),
        ("scans", vec![json!({"total": 7})]),
        ("createdAt", vec![json!("2030-01-31T12:00:00Z")]),
    ]
}

/// The fields that a 422 names.
fn named(answer: &Response) -> Result<Vec<String>> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (422, "application/problem+json"),
        "{}",
        answer.text()
    );
    let errors = answer.json()?["errors"].clone();
    let errors = errors.as_array().into_iter().flatten();
    Ok(errors
        .map(|error| {
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
            error["field"].as_str().unwrap_or_default().to_owned()
        })
        .collect())
}

#[tokio::test]
async fn every_wrong_field_is_named_and_none_reaches_the_database() -> Result<()> {
    let proxy = Proxy::of(Postgres::plain().await?).await?;
    let codes =
        generate(format!("postgres://tessera@{}/none?sslmode=disable", proxy.address())).start().await?;
    let mut tried = 0;
    for (field, values) in wrong_values().into_iter().chain(wrong_values_for_new()) {
        for value in values.into_iter().chain(wrong_for_all()) {
            let mut fields = json!({"targetUrl": "https://example.com"});
            fields[field] = value.clone();
            let answer = codes.post("/qr").header("idempotency-key", "k").json(&fields).send().await?;
            assert_eq!(named(&answer)?, [field], "{value}");
            tried += 1;
        }
    }
    for (field, values) in wrong_values().into_iter().chain(wrong_values_for_changes()) {
        for value in values.into_iter().chain(wrong_for_all()) {
            let answer = codes.patch("/qr/ABCDEFG").json(&json!({field: value})).send().await?;
            assert_eq!(named(&answer)?, [field], "{value}");
            tried += 1;
        }
    }
    for value in
        wrong_for_all().into_iter().chain([json!(0), json!(2_147_483_648_i64), json!("1"), Value::Null])
    {
        let answer = codes.post("/qr/ABCDEFG/rollback").json(&json!({"version": value})).send().await?;
        assert_eq!(named(&answer)?, ["version"], "{value}");
    }
    assert!(tried > 300, "{tried}");
    assert_eq!(proxy.round_trips(), 0);
    Ok(())
}

#[tokio::test]
async fn what_is_missing_at_odds_or_too_much_is_named_too() -> Result<()> {
    let proxy = Proxy::of(Postgres::plain().await?).await?;
    let codes =
        generate(format!("postgres://tessera@{}/none?sslmode=disable", proxy.address())).start().await?;
    let (early, late) = ("2030-01-31T12:00:00Z", "2030-01-31T13:00:00+01:00");
    let good = "https://example.com";
    for (body, fields) in [
        (json!({}), vec!["targetUrl"]),
        (json!({"targetUrl": good, "validSince": early, "expiresAt": early}), vec!["expiresAt"]),
        (json!({"targetUrl": good, "validSince": early, "expiresAt": late}), vec!["expiresAt"]),
        (
            json!({
                "targetUrl": good,
                "validSince": "2030-01-31T12:00:00.0000001Z",
                "expiresAt": "2030-01-31T12:00:00.0000009Z",
            }),
            vec!["expiresAt"],
        ),
        (
            json!({"targetUrl": "x", "name": 7, "tags": 7, "other": 7}),
            vec!["targetUrl", "name", "tags", "other"],
        ),
    ] {
        assert_eq!(named(&codes.post("/qr").json(&body).send().await?)?, fields, "{body}");
    }
    assert_eq!(named(&codes.post("/qr/ABCDEFG/rollback").json(&json!({})).send().await?)?, ["version"]);
    let more = json!({"version": 1, "force": true});
    assert_eq!(named(&codes.post("/qr/ABCDEFG/rollback").json(&more).send().await?)?, ["force"]);
    for key in ["", "\"\"", "ключ", &"k".repeat(256)] {
        let keyed = codes.post("/qr").header("idempotency-key", key).json(&json!({"targetUrl": good}));
        assert_eq!(named(&keyed.send().await?)?, ["Idempotency-Key"], "{key}");
    }
    for tag in ["1", "W/\"1\"", "\"one\"", "\"99999999999\"", "\"01\"", "\"+1\"", "W/\"1\", \"one\""] {
        let edit = codes.patch("/qr/ABCDEFG").header("if-match", tag).json(&json!({"name": "n"}));
        assert_eq!(edit.send().await?.status, 412, "{tag}: no version of ours");
    }
    assert_eq!(proxy.round_trips(), 0);
    Ok(())
}

#[tokio::test]
async fn every_wrong_parameter_is_named_and_none_reaches_the_database() -> Result<()> {
    let proxy = Proxy::of(Postgres::plain().await?).await?;
    let codes =
        generate(format!("postgres://tessera@{}/none?sslmode=disable", proxy.address())).start().await?;
    let (id, list) = ("/qr/ABCDEFG", "/qr");
    let (scans, svg, png) = (&format!("{id}/scans"), &format!("{id}/image.svg"), &format!("{id}/image.png"));
    let long = "u".repeat(201);
    let numbers = ["", "-1", "1.5", "1e2", "0x10", "+5", " 5", "ten", "99999999999999999999"];
    let table: Vec<(&str, &str, Vec<&str>)> = vec![
        (list, "limit", [&numbers[..], &["0", "201"]].concat()),
        (
            list,
            "cursor",
            vec![
                "",
                "x",
                "7",
                "AAAA",
                "AAAAAAAAAAA",
                "ü",
                "_____________________w",
                "f39_f39_f39_f39_f39_fw",
            ],
        ),
        (list, "userId", vec![&long, "a\0b"]),
        (list, "tag", vec![&long, "a\0b"]),
        (list, "search", vec![&long, "\0"]),
        (list, "page", vec!["2"]),
        (list, "Limit", vec!["2"]),
        (scans, "from", vec!["", "yesterday", "2026-13-01", "2026-02-30", "1969-12-31", "1", "2100-01-01"]),
        (scans, "to", vec!["", "now", "2026-11-22T25:00:00Z", "9999-12-31T00:00:00Z"]),
        (scans, "by", vec!["", "week", "DAY", "day,hour"]),
        (scans, "format", vec!["", "xml", "CSV"]),
        (scans, "limit", vec!["5"]),
        (svg, "size", [&numbers[..], &["63", "4097"]].concat()),
        (png, "size", [&numbers[..], &["63", "4097"]].concat()),
        (svg, "margin", [&numbers[..], &["17"]].concat()),
        (png, "level", vec!["", "X", "LM", "low"]),
        (svg, "color", vec!["", "red", "FFF", "GGGGGG", "0000000", "FFFFFF", "FFFF00"]),
        (png, "background", vec!["", "white", "000000", "000080"]),
        (png, "dpi", vec!["300"]),
    ];
    for (path, parameter, values) in table {
        for value in values {
            let answer = codes.get(path).query(parameter, value).send().await?;
            assert_eq!(answer.status, 422, "{path} {parameter}={value}: {}", answer.text());
            assert_eq!(named(&answer)?, [parameter], "{path} {parameter}={value}");
        }
    }
    let cramped = codes.get(&format!("/qr/{}/image.png?size=64&margin=16", "A".repeat(64))).send().await?;
    assert_eq!(named(&cramped)?, ["size"]);
    assert_eq!(proxy.round_trips(), 0);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_for_what_it_is() -> Result<()> {
    let proxy = Proxy::of(Postgres::plain().await?).await?;
    let url = format!("postgres://tessera@{}/none?sslmode=disable", proxy.address());
    let (codes, redirects) = (generate(&url).start().await?, redirect(&url).start().await?);
    let body = |body: &[u8]| codes.post("/qr").header("content-type", "application/json").body(body);
    let typed = |content_type: &str| codes.post("/qr").header("content-type", content_type).body("{}");
    let deep = "[".repeat(5000);
    let refused: Vec<(Request<'_>, u16, &str)> = vec![
        (codes.post("/qr"), 400, "malformed"),
        (body(b""), 400, "malformed"),
        (body(b"{"), 400, "malformed"),
        (body(b"{}x"), 400, "malformed"),
        (body(b"[]"), 400, "malformed"),
        (body(b"null"), 400, "malformed"),
        (body(b"\"{}\""), 400, "malformed"),
        (body(b"\xff\xfe{\0}\0"), 400, "malformed"),
        (body(b"{\"targetUrl\":\"\\ud800\"}"), 400, "malformed"),
        (body(deep.as_bytes()), 400, "malformed"),
        (body(&[b' '; 64 * 1024 + 1]), 413, "too-large"),
        (typed("text/plain"), 415, "not-json"),
        (typed("application/x-www-form-urlencoded"), 415, "not-json"),
        (typed("application/jsonp"), 415, "not-json"),
        (typed(""), 415, "not-json"),
        (codes.get("/qr/a b"), 404, "not-found"),
        (codes.get("/qr/ab"), 404, "not-found"),
        (codes.get("/"), 404, "not-found"),
        (codes.get("/qr/ABCDEFG/other"), 404, "not-found"),
        (codes.get("/qr/ABCDEFG/scans/other"), 404, "not-found"),
    ];
    for (number, (request, status, kind)) in refused.into_iter().enumerate() {
        let answer = request.send().await?;
        let problem = answer.json()?;
        assert_eq!(
            (answer.status, &problem["type"]),
            (status, &json!(format!("urn:tessera:{kind}"))),
            "{number}"
        );
        assert_eq!(problem["requestId"], answer.header("x-request-id"));
    }
    for (method, path, allow) in [
        ("PUT", "/qr", "GET, POST"),
        ("DELETE", "/qr", "GET, POST"),
        ("POST", "/qr/ABCDEFG", "GET, PATCH, DELETE"),
        ("PUT", "/qr/ABCDEFG", "GET, PATCH, DELETE"),
        ("POST", "/qr/ABCDEFG/history", "GET"),
        ("DELETE", "/qr/ABCDEFG/scans", "GET"),
        ("GET", "/qr/ABCDEFG/rollback", "POST"),
        ("POST", "/qr/ABCDEFG/image.svg", "GET, HEAD"),
        ("PURGE", "/qr/ABCDEFG/image.png", "GET, HEAD"),
    ] {
        let answer = codes.request(method, path).send().await?;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
    }
    assert_eq!(redirects.post("/r/ABCDEFG").send().await?.status, 405);
    assert_eq!(proxy.round_trips(), 0);
    Ok(())
}

#[tokio::test]
async fn what_makes_no_url_is_answered_like_anything_else() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (codes, redirects) =
        (generate(database.url()).start().await?, redirect(database.url()).start().await?);
    let id = short_id(&create_code(&codes, json!({"targetUrl": "https://e.example"})).await?).to_owned();
    for (name, value) in [
        ("x-forwarded-proto", "1"),
        ("x-forwarded-proto", ""),
        ("x-forwarded-proto", "https,http"),
        ("x-forwarded-proto", "https://["),
        ("host", "["),
        ("host", "a b"),
        ("host", ""),
        ("host", "e.example:99999"),
        ("host", "user@e.example/r/?#"),
    ] {
        let read = codes.get(&format!("/qr/{id}")).header(name, value).send().await?;
        assert_eq!(read.status, 200, "{name}: {value}");
        let followed = redirects.get(&format!("/r/{id}")).header(name, value).send().await?;
        assert_eq!(
            (followed.status, followed.header("location")),
            (302, "https://e.example"),
            "{name}: {value}"
        );
    }
    for path in [":99999/qr", "@[/qr", "\\qr", "/[", "/r/?", "/#", "/r/\u{202e}", "/%", "/{}|^`"] {
        assert_eq!(redirects.get(path).send().await?.status, 404, "{path}");
    }
    for length in [10_240, 60_000, 70_000] {
        for address in [format!("/qr/{}", "ü".repeat(length / 2)), format!("/qr/{id}?{}", " ".repeat(length))]
        {
            let answer = codes.get(&address).send().await?;
            assert_eq!(
                (answer.status, &answer.json()?["type"]),
                (400, &json!("urn:tessera:malformed")),
                "{length}"
            );
        }
    }
    Ok(())
}

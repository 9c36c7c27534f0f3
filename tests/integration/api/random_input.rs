//! Whatever is sent, the answer is one of the contract's: no 5xx, no panic, no invocation that fails.
//!
//! `PROPTEST_CASES` is how many requests each test sends.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::Result;
use harness::{Lambda, Postgres, Request};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use super::functions::{generate, redirect};

/// A request, made of parts that are right, nearly right, or anything.
#[derive(Debug, Clone)]
struct Sent {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Sent {
    fn to<'a>(&self, lambda: &'a Lambda) -> Request<'a> {
        let mut request = lambda.request(&self.method, &format!("{}?{}", self.path, self.query));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["GET", "POST", "PATCH", "DELETE", "HEAD"]).prop_map(str::to_owned),
        1 => "[A-Z]{1,10}",
    ]
}

/// As API Gateway lets it through: what an HTTP client may write in a request line, escaped or not.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["AAA", "bbb", "c-c", "D_D", "0OO"]).prop_map(str::to_owned),
        2 => "[A-Za-z0-9_-]{1,70}",
        2 => "[!-\"$->@-~]{0,20}",
        1 => "(%[0-9A-F]{2}|%[0-9a-f]|[a-z]){0,10}",
        1 => "\\PC{0,10}".prop_map(|text| text.replace(['?', '#'], "")),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let ends = ["", "/", "/image.svg", "/image.png", "/history", "/scans", "/rollback"];
    prop_oneof![
        2 => Just("/qr".to_owned()),
        6 => (prop::sample::select(vec!["/qr", "/r", "/R"]), segment(), prop::sample::select(ends.to_vec()))
            .prop_map(|(start, id, end)| format!("{start}/{id}{end}")),
        1 => prop::collection::vec(segment(), 0..5).prop_map(|segments| format!("/{}", segments.join("/"))),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let names = [
        "userId",
        "limit",
        "cursor",
        "tag",
        "search",
        "from",
        "to",
        "by",
        "format",
        "size",
        "margin",
        "level",
        "color",
        "background",
    ];
    let value = prop_oneof![
        "[0-9]{1,5}",
        "[0-9a-fA-F]{6}",
        prop::sample::select(vec![
            "day",
            "hour",
            "csv",
            "H",
            "AAAAAAAAAAE",
            "2026-01-02",
            "2026-01-02T03:04:05Z"
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        "[!-\"$-%'-~]{0,20}",
        "(%[0-9A-F]{2}){0,6}",
    ];
    let pair =
        (prop::sample::select(names.to_vec()), value).prop_map(|(name, value)| format!("{name}={value}"));
    prop_oneof![
        2 => Just(String::new()),
        4 => prop::collection::vec(pair, 1..4).prop_map(|pairs| pairs.join("&")),
        1 => "[!-\"$-~]{0,40}",
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = [
        "accept",
        "authorization",
        "cloudfront-viewer-address",
        "cloudfront-viewer-country",
        "content-type",
        "cookie",
        "host",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "purpose",
        "referer",
        "sec-purpose",
        "user-agent",
        "x-api-key",
        "x-forwarded-proto",
    ];
    let value = prop_oneof![
        prop::sample::select(vec![
            "application/json",
            "*",
            "\"1\"",
            "W/\"1\"",
            "Bearer x",
            "same key",
            "https://e.example/x",
            "DE",
            "203.0.113.7:443",
            "Googlebot",
            "prefetch",
            ":",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,30}",
        "[ -~\u{a0}-\u{ff}]{0,300}",
    ];
    prop::collection::vec((prop::sample::select(names.to_vec()).prop_map(str::to_owned), value), 0..4)
}

/// Any JSON value, to three levels.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{0,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Values that the field takes, or nearly.
fn field() -> impl Strategy<Value = (String, Value)> {
    let time = prop_oneof![
        "20[0-9]{2}-(0[1-9]|1[0-2])-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|[+-][0-2][0-9]:[0-5][0-9])",
        any::<jiff_seconds::Seconds>().prop_map(|seconds| seconds.0),
    ];
    prop_oneof![
        3 => "https?://[a-zü0-9.:\\[\\]@%-]{1,20}(/[ -~ü]{0,30})?".prop_map(|url| ("targetUrl".into(), json!(url))),
        3 => Just(("targetUrl".into(), json!("https://example.com/?a=1#b"))),
        1 => any::<Option<String>>().prop_map(|name| ("name".into(), json!(name))),
        1 => prop::collection::vec("\\PC{0,70}", 0..22).prop_map(|tags| ("tags".into(), json!(tags))),
        1 => "[A-Za-z0-9_-]{0,10}".prop_map(|id| ("shortId".into(), json!(id))),
        1 => (299..310).prop_map(|status| ("redirectStatus".into(), json!(status))),
        1 => any::<Option<bool>>().prop_map(|flag| ("forwardQuery".into(), json!(flag))),
        1 => any::<Option<bool>>().prop_map(|flag| ("enabled".into(), json!(flag))),
        1 => any::<Option<i64>>().prop_map(|most| ("maxScans".into(), json!(most))),
        1 => (1..20_i64).prop_map(|most| ("maxScans".into(), json!(most))),
        1 => (0..5_i64).prop_map(|version| ("version".into(), json!(version))),
        2 => (prop::sample::select(vec!["validSince", "expiresAt"]), time)
            .prop_map(|(field, time)| (field.into(), json!(time))),
        1 => ("[a-zA-Z]{0,12}", json_value()),
        2 => (prop::sample::select(vec!["targetUrl", "name", "tags", "validSince", "expiresAt", "maxScans"])
            .prop_map(str::to_owned), json_value()),
    ]
}

/// Moments over the whole range that can be written.
mod jiff_seconds {
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    pub(super) struct Seconds(pub(super) String);

    impl Arbitrary for Seconds {
        type Parameters = ();
        type Strategy = BoxedStrategy<Self>;

        fn arbitrary_with((): ()) -> Self::Strategy {
            let range = jiff::Timestamp::MIN.as_second()..=jiff::Timestamp::MAX.as_second();
            range
                .prop_map(|second| Self(jiff::Timestamp::from_second(second).expect("in range").to_string()))
                .boxed()
        }
    }
}

fn body() -> impl Strategy<Value = Option<Vec<u8>>> {
    let object = prop::collection::vec(field(), 0..5).prop_map(|fields| {
        let object: serde_json::Map<String, Value> = fields.into_iter().collect();
        Value::from(object).to_string().into_bytes()
    });
    prop_oneof![
        1 => Just(None),
        8 => object.prop_map(Some),
        1 => json_value().prop_map(|value| Some(value.to_string().into_bytes())),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Some),
        1 => "[{}\\[\\]\":,0-9a-z\\\\u]{0,40}".prop_map(|text| Some(text.into_bytes())),
    ]
}

fn anything() -> impl Strategy<Value = Sent> {
    (method(), path(), query(), headers(), body()).prop_map(|(method, path, query, headers, body)| Sent {
        method,
        path,
        query,
        headers,
        body,
    })
}

/// Requests that get past the first look: a body for a route that takes one.
fn nearly_right() -> impl Strategy<Value = Sent> {
    let route = prop_oneof![
        4 => Just(("POST", "/qr".to_owned())),
        3 => "[A-Za-z0-9_-]{3,4}".prop_map(|id| ("PATCH", format!("/qr/{id}"))),
        1 => "[A-Za-z0-9_-]{3,4}".prop_map(|id| ("POST", format!("/qr/{id}/rollback"))),
    ];
    (route, body()).prop_map(|((method, path), body)| Sent {
        method: method.to_owned(),
        path,
        query: String::new(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body,
    })
}

/// Visits of codes that are there.
fn visit() -> impl Strategy<Value = Sent> {
    let path = prop::sample::select(vec!["/r/AAA", "/R/bbb", "/r/c-c"]);
    (path, query(), headers()).prop_map(|(path, query, headers)| Sent {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query,
        headers,
        body: None,
    })
}

/// Sends requests until one is answered badly, and shrinks that one. Returns the statuses of all answers.
fn send_all(cases: u32, lambda: &Lambda, requests: impl Strategy<Value = Sent>) -> BTreeSet<u16> {
    let config = Config { failure_persistence: None, cases, max_shrink_iters: 500, ..Config::default() };
    let met = RefCell::new(BTreeSet::new());
    let runtime = tokio::runtime::Handle::current();
    let send = |sent: Sent| {
        let answer = runtime.block_on(sent.to(lambda).send());
        let answer = answer.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        prop_assert!((200..500).contains(&answer.status), "{} {}", answer.status, answer.text());
        met.borrow_mut().insert(answer.status);
        Ok(())
    };
    if let Err(error) =
        tokio::task::block_in_place(|| TestRunner::new(config).run(&requests, send).map_err(Box::new))
    {
        panic!("{error}\n{}", lambda.logs().join("\n"));
    }
    met.into_inner()
}

fn cases(of_ci: u32) -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { of_ci }
}

/// The requests got everywhere: to success, and to the refusals that input of this kind leads to again and again.
fn assert_met(statuses: &[u16], met: &BTreeSet<u16>, cases: u32) {
    const ENOUGH: u32 = 500;
    let missing: Vec<_> = statuses.iter().filter(|status| !met.contains(status)).collect();
    assert!(missing.is_empty() || cases < ENOUGH, "{missing:?} were not met, only {met:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn codes_answer_whatever_is_sent() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let cases = cases(1500);
    let met = send_all(cases, &codes, prop_oneof![anything(), nearly_right()]);
    assert_met(&[200, 201, 400, 404, 405, 422], &met, cases);
    let panics: Vec<_> = codes.logs().into_iter().filter(|line| line.contains("panic")).collect();
    assert_eq!(panics, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn redirects_answer_whatever_is_sent() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    for id in ["AAA", "bbb", "c-c"] {
        let fields =
            json!({"targetUrl": "https://bücher.example/a?b=1#c", "shortId": id, "forwardQuery": true});
        super::functions::create_code(&codes, fields).await?;
    }
    let redirects = redirect(database.url()).start().await?;
    let cases = cases(800);
    let met = send_all(cases, &redirects, prop_oneof![2 => anything(), 1 => visit()]);
    assert_met(&[302, 404, 405], &met, cases);
    let panics: Vec<_> = redirects.logs().into_iter().filter(|line| line.contains("panic")).collect();
    assert_eq!(panics, [""; 0]);
    Ok(())
}

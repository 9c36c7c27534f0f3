use std::fmt::Write;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;

use super::super::invalid_effect::{FieldProblem, MAX_ID};
use super::super::source::Sources;
use super::*;

/// Reads a body as if it were verified.
struct Sender {
    sources: Sources,
    headers: HeaderMap,
    verified: Verified,
}

impl Sender {
    fn of(scheme: &str) -> Self {
        Self::listing(scheme, r#"["orders/create","orders/paid","account.updated"]"#)
    }

    /// A sender whose topics are listed, if it is one that does not sign them; GitHub's need not be.
    fn listing(scheme: &str, topics: &str) -> Self {
        let topics = if scheme == "shopify" { format!(r#","topics":{topics}"#) } else { String::new() };
        let json =
            format!(r#"{{"s":{{"scheme":"{scheme}","secrets":["Z29vZCBnb29kIGdvb2QgZ29vZA=="]{topics}}}}}"#);
        let sources = Sources::parse(&json).expect("valid");
        let mut sender = Self {
            sources,
            headers: HeaderMap::new(),
            verified: Verified { id_header: None, timestamp: None },
        };
        if scheme == "shopify" {
            sender = sender.header("x-shopify-topic", "orders/create");
        }
        sender
    }

    fn id(mut self, id: &str) -> Self {
        self.verified.id_header = Some(id.to_owned());
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn parse<'a>(&self, body: &'a [u8]) -> Result<Message<'a>, ParseError> {
        parse(self.sources.get("s").expect("configured"), &self.headers, &self.verified, body)
    }

    fn event<'a>(&self, body: &'a str) -> Envelope<'a> {
        match self.parse(body.as_bytes()) {
            Ok(Message::Event(envelope)) => envelope,
            other => panic!("not one event: {other:?}"),
        }
    }

    fn batch<'a>(&self, body: &'a str) -> Vec<Envelope<'a>> {
        match self.parse(body.as_bytes()) {
            Ok(Message::Batch(envelopes)) => envelopes,
            other => panic!("not a batch: {other:?}"),
        }
    }
}

fn invalid(field: &'static str, problem: FieldProblem) -> Result<Vec<Effect>, InvalidEffect> {
    Err(InvalidEffect { field, problem })
}

#[test]
fn both_spellings_of_the_common_event_are_read() {
    let sender = Sender::of("standard").id("msg_1");
    let long = r#"{"id":"e1","eventType":"account.updated","occurredAt":"2026-01-01T00:00:00Z",
                   "payload":{"externalId":"a","status":"active"}}"#;
    let short = r#"{"id":"e1","type":"account.updated","timestamp":1767225600,
                    "data":{"accountId":"a","status":"active"}}"#;
    let (long, short) = (sender.event(long), sender.event(short));
    assert_eq!((long.event_id.as_str(), long.event_type.as_deref()), ("e1", Some("account.updated")));
    assert_eq!(long.occurred_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(long.effects, short.effects);
    assert_eq!(long.effects.map(|effects| effects.len()), Ok(1));
}

#[test]
fn ids_come_from_the_body_then_the_headers_then_the_content() {
    let body = |id: &str| format!(r#"{{"id":{id},"type":"x.y"}}"#);
    let with_header = Sender::of("standard").id("msg_1");
    assert_eq!(with_header.event(&body(r#""e1""#)).event_id, "e1");
    assert_eq!(with_header.event(&body("12345678901234567890")).event_id, "12345678901234567890");
    assert_eq!(with_header.event(&body("null")).event_id, "msg_1");
    assert_eq!(with_header.event(r#"{"type":"x.y"}"#).event_id, "msg_1");
    assert_eq!(with_header.event(r#"{"type":"x.y"}"#).effects, Ok(vec![]));

    let without = Sender::of("stripe");
    let (once, again) =
        (without.event(&body("null")).event_id.clone(), without.event(&body("null")).event_id.clone());
    assert_eq!(once, again);
    assert!(once.starts_with("sha256:") && once.len() == 71, "{once}");
    assert_ne!(once, without.event(r#"{"type":"x.z"}"#).event_id);
}

#[test]
fn an_unusable_id_is_replaced_and_told() {
    let long = format!("\"{}\"", "a".repeat(256));
    let cases = [
        (r#""a\u0000b""#, FieldProblem::NulCharacter),
        (r#""""#, FieldProblem::Empty),
        (r#""\ud800""#, FieldProblem::Unreadable),
        (long.as_str(), FieldProblem::TooLong),
        ("1.5", FieldProblem::WrongType),
        ("{}", FieldProblem::WrongType),
        ("true", FieldProblem::WrongType),
    ];
    for (id, problem) in cases {
        let body = format!(r#"{{"id":{id},"type":"x.y"}}"#);
        let sender = Sender::of("standard");
        let envelope = sender.event(&body);
        assert!(envelope.event_id.starts_with("sha256:"), "{id}");
        assert_eq!(envelope.effects, invalid("id", problem), "{id}");
    }
    let header = Sender::of("github").id(&"d".repeat(256));
    assert!(header.event("{}").event_id.starts_with("sha256:"));
}

#[test]
fn github_and_shopify_say_id_and_type_in_headers() {
    let github = Sender::of("github").id("d-1").header("x-github-event", "push");
    let event = github.event(r#"{"id":"thing","ref":"refs/heads/main"}"#);
    assert_eq!((event.event_id.as_str(), event.event_type.as_deref()), ("d-1", Some("push")));
    assert_eq!(event.effects, Ok(vec![]));

    let shopify = Sender::of("shopify")
        .id("e-1")
        .header("x-shopify-topic", "orders/create")
        .header("x-shopify-triggered-at", "2026-01-01T00:00:00.5Z");
    let event = shopify.event(r#"{"id":820982911946154508,"type":"order"}"#);
    assert_eq!((event.event_id.as_str(), event.event_type.as_deref()), ("e-1", Some("orders/create")));
    assert_eq!(event.occurred_at, Some("2026-01-01T00:00:00.5Z".parse().unwrap()));

    let common = Sender::of("github").id("d-2").event(r#"{"id":"e","type":"account.x"}"#).effects;
    assert_eq!(common, invalid("occurredAt", FieldProblem::Missing));
}

#[test]
fn a_resend_under_a_new_unsigned_id_has_the_same_digest() {
    let body = r#"{"ref":"refs/heads/main"}"#;
    let digest = |sender: Sender| sender.event(body).signed_digest.clone();
    let first = digest(Sender::of("github").id("d-1"));
    assert!(first.as_deref().is_some_and(|digest| digest.starts_with("sha256:")));
    assert_eq!(first, digest(Sender::of("github").id("d-2")));
    assert_eq!(digest(Sender::of("standard").id("msg_1")), None);
    let created = digest(Sender::of("shopify").header("x-shopify-topic", "orders/create"));
    assert_eq!(created, digest(Sender::of("shopify").header("x-shopify-topic", "orders/paid")));
}

#[test]
fn a_topic_that_is_not_listed_is_refused() {
    let unlisted = Err(ParseError::UnlistedTopic("x-shopify-topic"));
    for topic in ["orders/cancelled", "Orders/create", ""] {
        assert_eq!(Sender::of("shopify").header("x-shopify-topic", topic).parse(b"{}"), unlisted, "{topic}");
    }
    let mut without = Sender::of("shopify");
    without.headers.clear();
    assert_eq!(without.parse(b"{}"), unlisted);
}

#[test]
fn what_is_not_signed_has_no_effect() {
    let effect = r#""id":"e1","data":{"accountId":"a","status":"active"}"#;
    let typed = format!(r#"{{"type":"account.updated","timestamp":1767225600,{effect}}}"#);
    let untyped = format!(r#"{{"timestamp":1767225600,{effect}}}"#);
    let untimed = format!(r#"{{"type":"account.updated",{effect}}}"#);
    for (scheme, header) in [("github", "x-github-event"), ("shopify", "x-shopify-topic")] {
        let sender = Sender::of(scheme)
            .header(header, "account.updated")
            .header("x-shopify-triggered-at", "2026-01-01T00:00:00Z");
        assert_eq!(sender.event(&untyped).effects, Ok(vec![]), "{scheme}: the type is in a header alone");
        assert_eq!(sender.event(&typed).effects.map(|effects| effects.len()), Ok(1), "{scheme}");
        let untimed = sender.event(&untimed).effects;
        assert_eq!(untimed, invalid("occurredAt", FieldProblem::Missing), "{scheme}: so is the time");
    }
}

#[test]
fn slack_wraps_its_events() {
    let body = r#"{"type":"event_callback","event_id":"Ev1","event_time":1767225600,"team_id":"T1",
                   "event":{"type":"app_mention","text":"hi"}}"#;
    let sender = Sender::of("slack");
    let event = sender.event(body);
    assert_eq!((event.event_id.as_str(), event.event_type.as_deref()), ("Ev1", Some("app_mention")));
    assert_eq!(event.occurred_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(event.effects, Ok(vec![]));
}

#[test]
fn slacks_challenge_is_recognised_for_slack_alone() {
    let body = r#"{"token":"t","challenge":"3eZbrw1aB","type":"url_verification"}"#;
    assert_eq!(Sender::of("slack").parse(body.as_bytes()), Ok(Message::Challenge("3eZbrw1aB".into())));
    assert_eq!(Sender::of("standard").event(body).event_type.as_deref(), Some("url_verification"));
    let without = r#"{"type":"url_verification","challenge":5}"#;
    assert!(matches!(Sender::of("slack").parse(without.as_bytes()), Ok(Message::Event(_))));
}

#[test]
fn batches_are_read_item_by_item() {
    let items = r#"[{"id":"e1","type":"account.x","timestamp":1,"data":{"accountId":"a","status":"s"}} ,
                   {"type":"account.x","timestamp":1,"data":{}}, 7, {"id":"e1","type":"x.y"}]"#;
    let sender = Sender::of("standard").id("msg_1");
    for body in [items.to_owned(), format!(r#"{{"note":1,"events":{items}}}"#)] {
        let batch = sender.batch(&body);
        let ids: Vec<_> = batch.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids, ["e1", "msg_1#1", "msg_1#2", "e1"]);
        assert_eq!(batch[0].effects.as_ref().map(Vec::len), Ok(1));
        assert_eq!(batch[1].effects, invalid("accountId", FieldProblem::Missing));
        assert_eq!(batch[2].effects, invalid("event", FieldProblem::WrongType));
        assert_eq!(batch[2].raw, b"7");
        assert_eq!(batch[3].effects, Ok(vec![]));
    }
    assert_eq!(sender.batch("[]"), vec![]);
    // An event may have a member of that name.
    assert!(matches!(sender.parse(br#"{"type":"x.y","events":[1]}"#), Ok(Message::Event(_))));
}

#[test]
fn a_batch_without_ids_is_known_by_its_contents() {
    let sender = Sender::of("stripe");
    let batch = sender.batch(r#"[{"type":"a"},{"type":"b"},{"type":"a"}]"#);
    assert_eq!(batch[0].event_id, batch[2].event_id);
    assert_ne!(batch[0].event_id, batch[1].event_id);
}

#[test]
fn a_batch_of_a_thousand_is_the_largest() {
    let of = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    let sender = Sender::of("standard");
    assert_eq!(sender.batch(&of(1_000)).len(), 1_000);
    assert_eq!(sender.parse(of(1_001).as_bytes()), Err(ParseError::TooManyEvents));
}

#[test]
fn what_is_not_json_is_refused() {
    let sender = Sender::of("standard");
    let bad: [&[u8]; 12] = [
        b"",
        b" ",
        b"{",
        b"{}x",
        b"payload=%7B%7D",
        b"{'a':1}",
        b"[1,]",
        b"NaN",
        b"\xff",
        b"{\"a\":\"\xff\"}",
        b"\"\0\"",
        b"\xef\xbb\xbf{}",
    ];
    for body in bad {
        assert_eq!(sender.parse(body), Err(ParseError::NotJson), "{body:?}");
    }
}

#[test]
fn json_that_is_no_event_is_kept_all_the_same() {
    let sender = Sender::of("standard");
    for body in ["null", "5", "\"text\"", "true", "1e999", r#""\ud800""#] {
        let event = sender.event(body);
        assert_eq!(event.effects, invalid("event", FieldProblem::WrongType), "{body}");
        assert_eq!(event.raw, body.as_bytes());
        assert!(event.event_id.starts_with("sha256:"));
    }
    assert_eq!(sender.event("{}").effects, invalid("type", FieldProblem::Missing));
    assert_eq!(sender.event(r#"{"type":5}"#).effects, invalid("type", FieldProblem::WrongType));
    assert_eq!(sender.event(r#"{"type":"a\u0000"}"#).effects, invalid("type", FieldProblem::NulCharacter));
    assert_eq!(sender.event(r#"{"type":"a\u0000"}"#).event_type, None);
    assert_eq!(
        sender.event(r#"{"\ud800":1,"type":"x.y"}"#).effects,
        invalid("event", FieldProblem::Unreadable)
    );
    let no_time = r#"{"type":"account.x","timestamp":"soon","data":{"accountId":"a","status":"s"}}"#;
    assert_eq!(sender.event(no_time).effects, invalid("occurredAt", FieldProblem::NotATime));
    // Where nothing is to be done, nothing can be wrong with it.
    assert_eq!(sender.event(r#"{"type":"x.y","timestamp":"soon","data":5}"#).effects, Ok(vec![]));
}

#[test]
fn any_depth_is_kept() {
    let sender = Sender::of("standard");
    for levels in [10_000, 100_000] {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let event = format!(r#"{{"id":"e","type":"account.x","timestamp":1,"data":{{"x":{deep}}}}}"#);
        assert_eq!(sender.event(&event).effects, invalid("data", FieldProblem::TooDeep));
        let ignored = format!(r#"{{"id":{deep},"type":"x.y","more":{deep}}}"#);
        assert_eq!(sender.event(&ignored).effects, invalid("id", FieldProblem::WrongType));
        assert_eq!(sender.batch(&deep).len(), 1);
        let objects = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert_eq!(sender.event(&objects).effects, invalid("type", FieldProblem::Missing));
        for shape in [&event, &deep] {
            for scheme in ["stripe", "github", "shopify", "slack"] {
                assert!(Sender::of(scheme).parse(shape.as_bytes()).is_ok());
            }
        }
    }
}

#[test]
fn six_megabytes_are_read() {
    let sender = Sender::of("standard");
    let mut many = r#"{"type":"account.x","timestamp":1,"data":{"accountId":"a","status":"s""#.to_owned();
    for index in 0..400_000 {
        write!(many, r#","k{index}":[]"#).expect("memory");
    }
    many.push_str("}}");
    let long = format!(
        r#"{{"type":"account.x","timestamp":1,"data":{{"accountId":"a","status":"s","x":"{}"}}}}"#,
        "\\\"é".repeat(1_500_000)
    );
    for body in [&many, &long] {
        assert!(body.len() > 5_000_000);
        assert_eq!(sender.event(body).effects.map(|effects| effects.len()), Ok(1));
    }
    let zeros = format!("[{}0]", "0,".repeat(1_000_000));
    assert_eq!(sender.parse(zeros.as_bytes()), Err(ParseError::TooManyEvents));
}

/// JSON of every shape, with the names that mean something.
fn some_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}|\\x00|account\\.x|transaction\\.x|CHF".prop_map(Value::from),
    ];
    let name = proptest::sample::select(
        &[
            "id",
            "type",
            "eventType",
            "timestamp",
            "occurredAt",
            "data",
            "payload",
            "events",
            "object",
            "accountId",
            "transactionId",
            "status",
            "amount",
            "currency",
            "created",
            "challenge",
            "event",
            "customer",
            "\0",
        ][..],
    );
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..8).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

fn is_fit_for_postgresql(event: &Envelope<'_>) -> bool {
    let is_text = |text: &str| !text.is_empty() && text.chars().count() <= MAX_ID && !text.contains('\0');
    let is_effect = |effect: &Effect| match effect {
        Effect::Account { external_id, status, attributes, .. } => {
            is_text(external_id) && is_text(status) && !raw_json::contains_nul(attributes)
        }
        Effect::Transaction { external_id, status, currency, attributes, .. } => {
            is_text(external_id)
                && is_text(status)
                && currency.len() == 3
                && !raw_json::contains_nul(attributes)
        }
    };
    is_text(&event.event_id)
        && event.event_type.as_deref().is_none_or(is_text)
        && event.effects.as_ref().map_or(true, |effects| effects.iter().all(is_effect))
}

proptest! {
    #[test]
    fn whatever_json_comes_its_event_can_be_kept(
        value in some_json(),
        scheme in proptest::sample::select(&["standard", "stripe", "github", "shopify", "slack"][..]),
    ) {
        let body = value.to_string();
        match Sender::of(scheme).parse(body.as_bytes()) {
            Ok(Message::Event(event)) => {
                prop_assert!(is_fit_for_postgresql(&event), "{event:?}");
                prop_assert_eq!(event.raw, body.as_bytes());
            }
            Ok(Message::Batch(events)) => prop_assert!(events.iter().all(is_fit_for_postgresql)),
            Ok(Message::Challenge(_)) => prop_assert_eq!(scheme, "slack"),
            Err(unreadable) => prop_assert!(false, "{}", unreadable),
        }
    }

    #[test]
    fn whatever_bytes_come_nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        let result = Sender::of("standard").parse(&body);
        prop_assert!(is_json || result == Err(ParseError::NotJson));
    }
}

use http::HeaderMap;
use serde_json::json;

use super::super::event::{Envelope, Message, parse};
use super::super::signature::Verified;
use super::super::source::Sources;
use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/webhook/stripe/", $name, ".json"))
    };
}

fn envelope(body: &[u8]) -> Envelope<'_> {
    let sources =
        Sources::parse(r#"{"s":{"scheme":"stripe","secrets":["whsec_0123456789"]}}"#).expect("valid");
    let verified = Verified { id_header: None, timestamp: None };
    match parse(sources.get("s").expect("configured"), &HeaderMap::new(), &verified, body) {
        Ok(Message::Event(envelope)) => envelope,
        other => panic!("not one event: {other:?}"),
    }
}

fn effect(body: &[u8]) -> Effect {
    let effects = envelope(body).effects.expect("sense");
    <[Effect; 1]>::try_from(effects).expect("one effect").into_iter().next().expect("one effect")
}

/// The id, account, amount, currency, status and rank of a transaction.
fn transaction(body: &[u8]) -> (String, Option<String>, i64, String, String, i16) {
    match effect(body) {
        Effect::Transaction { external_id, account_id, amount, currency, status, finality, .. } => {
            (external_id, account_id, amount, currency, status, finality)
        }
        Effect::Account { .. } => panic!("not a transaction"),
    }
}

#[test]
fn customers_are_accounts() {
    let created = envelope(fixture!("customer_created"));
    assert_eq!(created.event_id, "evt_1Test0001");
    assert_eq!(created.event_type.as_deref(), Some("customer.created"));
    assert_eq!(created.occurred_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    let expected = Effect::Account {
        external_id: "cus_Test0001".into(),
        status: "active".into(),
        attributes: json!({
            "object": "customer", "email": "ada@example.com", "name": "Ada Example", "balance": 0,
            "description": "First test customer", "delinquent": false, "livemode": false,
            "metadata": {"plan": "small"}, "created": 1_767_225_600,
        }),
        occurred_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        finality: 0,
    };
    assert_eq!(created.effects, Ok(vec![expected.clone()]));

    // Created and updated within one second: the update stays, whichever arrives first.
    assert!(effect(fixture!("customer_updated")).precedence() > expected.precedence());
    let Effect::Account { status, finality, .. } = effect(fixture!("customer_deleted")) else {
        panic!("not an account")
    };
    assert_eq!((status.as_str(), finality), ("deleted", 4));
}

#[test]
fn payment_intents_charges_and_refunds_are_transactions() {
    let customer = || Some("cus_Test0001".to_owned());
    let row = |id: &str, account, amount, currency: &str, status: &str, rank| {
        (id.to_owned(), account, amount, currency.to_owned(), status.to_owned(), rank)
    };
    let (pi, ch, re) = ("pi_3Test0001", "ch_3Test0001", "re_3Test0001");
    let cases: [(&[u8], _); 12] = [
        (fixture!("payment_intent_created"), row(pi, customer(), 2000, "USD", "requires_payment_method", 0)),
        (
            fixture!("payment_intent_payment_failed"),
            row(pi, customer(), 2000, "USD", "requires_payment_method", 0),
        ),
        (fixture!("payment_intent_succeeded"), row(pi, customer(), 2000, "USD", "succeeded", 2)),
        (fixture!("charge_failed"), row("ch_3Test0000", customer(), 2000, "USD", "failed", 2)),
        (fixture!("charge_succeeded"), row(ch, customer(), 2000, "USD", "succeeded", 2)),
        (fixture!("charge_refunded_partly"), row(ch, customer(), 2000, "USD", "partially_refunded", 3)),
        (fixture!("charge_refunded"), row(ch, customer(), 2000, "USD", "refunded", 4)),
        (
            fixture!("charge_succeeded_uncaptured_guest"),
            row("ch_3Test0002", None, 2000, "JPY", "requires_capture", 1),
        ),
        (fixture!("charge_expired"), row("ch_3Test0002", None, 2000, "JPY", "expired", 2)),
        (fixture!("refund_created"), row(re, None, 500, "USD", "pending", 0)),
        (fixture!("charge_refund_updated"), row(re, None, 500, "USD", "succeeded", 2)),
        (fixture!("refund_failed"), row(re, None, 500, "USD", "failed", 2)),
    ];
    for (body, expected) in cases {
        assert_eq!(transaction(body), expected);
    }
}

#[test]
fn attributes_link_the_rows_and_leave_payment_means_and_addresses_out() {
    let Effect::Transaction { attributes, .. } = effect(fixture!("charge_succeeded")) else {
        panic!("not one")
    };
    assert_eq!(attributes["object"], "charge");
    assert_eq!(attributes["payment_intent"], "pi_3Test0001");
    assert_eq!(attributes["metadata"], json!({"order": "1001"}));
    let text = attributes.to_string();
    assert!(!text.contains("4242") && !text.contains("postal_code"), "{text}");
    let Effect::Transaction { attributes, .. } = effect(fixture!("payment_intent_created")) else {
        panic!("not one")
    };
    assert!(!attributes.to_string().contains("secret"), "{attributes}");
}

#[test]
fn other_objects_under_the_same_names_have_no_effect() {
    let others: [&[u8]; 4] = [
        fixture!("customer_subscription_created"),
        fixture!("charge_dispute_created"),
        fixture!("account_updated"),
        br#"{"id":"evt_1","object":"event","type":"customer.x","created":1,"data":{"object":{"object":5}}}"#,
    ];
    for body in others {
        assert_eq!(envelope(body).effects, Ok(vec![]));
    }
}

#[test]
fn a_stripe_object_without_what_it_needs_is_nonsense() {
    let change = |pointer: &str, value: Value| {
        let mut event: Value = serde_json::from_slice(fixture!("charge_succeeded")).unwrap();
        *event.pointer_mut(pointer).expect("a member") = value;
        envelope(event.to_string().as_bytes()).effects.map(|effects| effects.len())
    };
    let invalid = |field, problem| Err(InvalidEffect { field, problem });
    assert_eq!(change("/data/object/customer", json!({"id": "cus_2", "object": "customer"})), Ok(1));
    assert_eq!(change("/data/object/id", Value::Null), invalid("id", FieldProblem::Missing));
    assert_eq!(change("/data/object/amount", json!(1.5)), invalid("amount", FieldProblem::NotAnInteger));
    assert_eq!(change("/data/object/currency", json!("")), invalid("currency", FieldProblem::NotACurrency));
    assert_eq!(change("/data/object/status", Value::Null), invalid("status", FieldProblem::Missing));
    assert_eq!(change("/data/object/customer", json!(true)), invalid("customer", FieldProblem::WrongType));
    assert_eq!(
        change("/data/object/metadata", json!({"k": "\0"})),
        invalid("data", FieldProblem::NulCharacter)
    );
    assert_eq!(change("/created", Value::Null), invalid("created", FieldProblem::Missing));
}

#[test]
fn common_events_may_come_under_stripes_scheme() {
    let body =
        br#"{"id":"e1","type":"account.updated","occurredAt":1,"data":{"accountId":"a","status":"s"}}"#;
    assert!(matches!(effect(body), Effect::Account { .. }));
}

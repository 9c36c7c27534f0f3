use proptest::prelude::*;
use serde_json::{json, value::to_raw_value};

use super::*;

const AT: &str = "2026-01-01T00:00:00Z";

fn of(event_type: &str, data: &Value) -> Result<Vec<Effect>, InvalidEffect> {
    let raw = to_raw_value(data).unwrap();
    parse_common(event_type, Some(&raw), Ok(Some(AT.parse().unwrap())))
}

fn invalid(field: &'static str, problem: FieldProblem) -> Result<Vec<Effect>, InvalidEffect> {
    Err(InvalidEffect { field, problem })
}

/// A good transaction with one member changed.
fn transaction_with(name: &str, value: Value) -> Value {
    let mut data =
        json!({"transactionId": "t1", "accountId": "a1", "amount": 1, "currency": "CHF", "status": "x"});
    data[name] = value;
    data
}

#[test]
fn an_account_keeps_what_it_does_not_know_as_attributes() {
    let data = json!({"accountId": "a1", "status": "active", "name": "Ada", "deep": {"n": 1.5}});
    let expected = Effect::Account {
        external_id: "a1".into(),
        status: "active".into(),
        attributes: json!({"name": "Ada", "deep": {"n": 1.5}}),
        occurred_at: AT.parse().unwrap(),
        finality: 1,
    };
    assert_eq!(of("account.updated", &data), Ok(vec![expected]));
}

#[test]
fn a_transaction_is_read() {
    let data = json!({"externalId": 77, "accountId": "a1", "amount": -1250, "currency": "chf",
                      "status": "Succeeded", "note": "n"});
    let expected = Effect::Transaction {
        external_id: "77".into(),
        account_id: Some("a1".into()),
        amount: -1250,
        currency: "CHF".into(),
        status: "Succeeded".into(),
        attributes: json!({"note": "n"}),
        occurred_at: AT.parse().unwrap(),
        finality: 2,
    };
    assert_eq!(of("transaction.created", &data), Ok(vec![expected]));
}

#[test]
fn other_types_have_no_effect() {
    for event_type in
        ["order.created", "account", "accounts.updated", "Account.updated", "transactions.x", "x.account."]
    {
        assert_eq!(of(event_type, &json!({})), Ok(vec![]), "{event_type}");
        assert_eq!(parse_common(event_type, None, Ok(None)), Ok(vec![]), "{event_type}");
    }
}

#[test]
fn what_an_effect_needs_must_be_there() {
    let at = Ok(Some(AT.parse().unwrap()));
    assert_eq!(parse_common("account.x", None, at), invalid("data", FieldProblem::Missing));
    assert_eq!(of("account.x", &json!([])), invalid("data", FieldProblem::WrongType));
    let data = to_raw_value(&json!({"accountId": "a", "status": "s"})).unwrap();
    assert_eq!(
        parse_common("account.x", Some(&data), Ok(None)),
        invalid("occurredAt", FieldProblem::Missing)
    );
    assert_eq!(of("account.x", &json!({"status": "s"})), invalid("accountId", FieldProblem::Missing));
    assert_eq!(
        of("account.x", &json!({"accountId": null, "externalId": "", "status": "s"})),
        invalid("externalId", FieldProblem::Empty)
    );
    assert_eq!(of("account.x", &json!({"accountId": "a"})), invalid("status", FieldProblem::Missing));
    for field in ["transactionId", "accountId", "amount", "currency", "status"] {
        assert_eq!(
            of("transaction.x", &transaction_with(field, Value::Null)),
            invalid(field, FieldProblem::Missing)
        );
    }
}

#[test]
fn each_wrong_value_is_named() {
    let big: Value = serde_json::from_str("9223372036854775808").unwrap();
    let huge: Value = serde_json::from_str("123456789012345678901234567890").unwrap();
    let cases = [
        ("transactionId", json!(""), FieldProblem::Empty),
        ("transactionId", json!(1.5), FieldProblem::WrongType),
        ("transactionId", json!("a\0b"), FieldProblem::NulCharacter),
        ("transactionId", json!("é".repeat(256)), FieldProblem::TooLong),
        ("accountId", json!(["a"]), FieldProblem::WrongType),
        ("accountId", json!("\0"), FieldProblem::NulCharacter),
        ("amount", json!("10"), FieldProblem::WrongType),
        ("amount", json!(10.5), FieldProblem::NotAnInteger),
        ("amount", json!(10.0), FieldProblem::NotAnInteger),
        ("amount", big, FieldProblem::OutOfRange),
        ("amount", huge, FieldProblem::OutOfRange),
        ("amount", json!(true), FieldProblem::WrongType),
        ("currency", json!("CH"), FieldProblem::NotACurrency),
        ("currency", json!("CHF "), FieldProblem::NotACurrency),
        ("currency", json!("C1F"), FieldProblem::NotACurrency),
        ("currency", json!("ÄÖ"), FieldProblem::NotACurrency),
        ("currency", json!(756), FieldProblem::WrongType),
        ("status", json!(1), FieldProblem::WrongType),
        ("status", json!("s".repeat(65)), FieldProblem::TooLong),
        ("status", json!("s\0"), FieldProblem::NulCharacter),
    ];
    for (field, value, problem) in cases {
        let data = transaction_with(field, value);
        assert_eq!(of("transaction.x", &data), invalid(field, problem), "{data}");
    }
    for value in [json!("a\0"), json!([{"x": "\0"}]), json!({"\0": 1})] {
        assert_eq!(
            of("transaction.x", &transaction_with("note", value)),
            invalid("data", FieldProblem::NulCharacter)
        );
    }
    for amount in [i64::MIN, i64::MAX] {
        assert!(of("transaction.x", &transaction_with("amount", json!(amount))).is_ok());
    }
    assert!(of("transaction.x", &transaction_with("transactionId", json!("é".repeat(255)))).is_ok());
    assert_eq!(
        InvalidEffect { field: "status", problem: FieldProblem::TooLong }.to_string(),
        "status: too_long"
    );
}

#[test]
fn data_may_be_deep_but_not_bottomless() {
    let deep = |levels: usize| {
        let text =
            format!(r#"{{"accountId":"a","status":"s","x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        let raw = RawValue::from_string(text).unwrap();
        parse_common("account.x", Some(&raw), Ok(Some(AT.parse().unwrap()))).map(drop)
    };
    assert_eq!(deep(63), Ok(()));
    assert_eq!(deep(64), Err(InvalidEffect { field: "data", problem: FieldProblem::TooDeep }));
    assert_eq!(deep(10_000), Err(InvalidEffect { field: "data", problem: FieldProblem::TooDeep }));
}

#[test]
fn json_that_stands_for_nothing_is_unreadable() {
    for odd in [r#""\ud800""#, r#""\udc00\ud800""#, "1e999", "-1e400"] {
        let raw = RawValue::from_string(format!(r#"{{"accountId":"a","status":"s","x":{odd}}}"#)).unwrap();
        let result = parse_common("account.x", Some(&raw), Ok(Some(AT.parse().unwrap())));
        assert_eq!(result, invalid("data", FieldProblem::Unreadable), "{odd}");
    }
}

#[test]
fn the_last_of_repeated_members_counts() {
    let text = r#"{"accountId":"a","status":"open","status":"closed","x":1,"x":2}"#;
    let raw = RawValue::from_string(text.into()).unwrap();
    let effects = parse_common("account.x", Some(&raw), Ok(Some(AT.parse().unwrap()))).unwrap();
    let Effect::Account { status, attributes, .. } = &effects[0] else { panic!("{effects:?}") };
    assert_eq!((status.as_str(), attributes), ("closed", &json!({"x": 2})));
}

#[test]
fn times_are_rfc_3339_or_unix() {
    let good = [
        (json!("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z"),
        (json!("2026-01-01T01:30:00.1234567+01:30"), "2026-01-01T00:00:00.123456Z"),
        (json!(1_767_225_600), "2026-01-01T00:00:00Z"),
        (json!(1_767_225_600.25), "2026-01-01T00:00:00.25Z"),
        (json!(1_767_225_600_123_i64), "2026-01-01T00:00:00.123Z"),
        (json!(0), "1970-01-01T00:00:00Z"),
        (json!(99_999_999_999_i64), "5138-11-16T09:46:39Z"),
        (json!(100_000_000_000_i64), "1973-03-03T09:46:40Z"),
        (json!(99_999_999_999_999_i64), "5138-11-16T09:46:39.999Z"),
    ];
    for (value, expected) in good {
        assert_eq!(time(&value), Ok(expected.parse().unwrap()), "{value}");
    }
    let bad = [
        (json!("2026-01-01T00:00:00"), FieldProblem::NotATime),
        (json!("2026-13-01T00:00:00Z"), FieldProblem::NotATime),
        (json!("yesterday"), FieldProblem::NotATime),
        (json!(""), FieldProblem::NotATime),
        (json!("\0"), FieldProblem::NotATime),
        (json!(-1), FieldProblem::OutOfRange),
        (json!(-0.5), FieldProblem::OutOfRange),
        (json!(i64::MIN), FieldProblem::OutOfRange),
        (json!(u64::MAX), FieldProblem::OutOfRange),
        (json!(100_000_000_000_000_i64), FieldProblem::OutOfRange),
        (json!(1e300), FieldProblem::OutOfRange),
        (json!(true), FieldProblem::WrongType),
        (json!({}), FieldProblem::WrongType),
    ];
    for (value, problem) in bad {
        assert_eq!(time(&value), Err(InvalidEffect { field: "occurredAt", problem }), "{value}");
    }
}

#[test]
fn finality_orders_the_life_of_a_payment() {
    let lives = [
        &["pending", "processing", "succeeded", "partially_refunded", "refunded"][..],
        &["requires_payment_method", "requires-capture", "Canceled"],
        &["PENDING", "Under Review", "failed", "closed"],
        &["unverified", "active", "CLOSED"],
    ];
    for life in lives {
        assert!(life.is_sorted_by(|a, b| finality(a) < finality(b)), "{life:?}");
    }
    assert_eq!(finality("in progress"), finality("something else"));
}

/// What a row does with an effect.
fn apply(row: &mut Option<(usize, Effect)>, (arrival, effect): (usize, Effect)) {
    if row.as_ref().is_none_or(|(_, stored)| effect.precedence() >= stored.precedence()) {
        *row = Some((arrival, effect));
    }
}

proptest! {
    #[test]
    fn whatever_order_events_arrive_in_the_newest_most_final_last_one_stays(
        events in proptest::collection::vec((0..4_i64, 0..6_usize), 1..20).prop_shuffle(),
    ) {
        let statuses = ["pending", "processing", "succeeded", "failed", "partially_refunded", "refunded"];
        let effects: Vec<_> = events.iter().map(|(second, status)| Effect::Account {
            external_id: "a".into(),
            status: statuses[*status].into(),
            attributes: json!({}),
            occurred_at: Timestamp::from_second(*second).unwrap(),
            finality: finality(statuses[*status]),
        }).enumerate().collect();
        let mut row = None;
        effects.iter().cloned().for_each(|effect| apply(&mut row, effect));
        let (arrival, kept) = row.expect("at least one event");
        for (other_arrival, other) in &effects {
            prop_assert!(other.precedence() <= kept.precedence());
            prop_assert!(other.precedence() < kept.precedence() || *other_arrival <= arrival);
        }
    }
}

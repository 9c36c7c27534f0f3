use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PUBLIC_KEY: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

fn refused(json: &str) -> SourcesError {
    Sources::parse(json).expect_err(json)
}

/// A standard source with these further or other fields.
fn with(fields: &str) -> String {
    format!(r#"{{"shop":{{"scheme":"standard","secrets":["{KEY}"],{fields}}}}}"#)
}

#[test]
fn a_full_configuration_is_read() {
    let json = format!(
        r#"{{"stripe":{{"scheme":"stripe","secrets":["whsec_new_secret","whsec_old_secret"],
                        "forwardUrl":"https://app.example/hooks","toleranceSeconds":60}},
            "a-2_b":{{"scheme":"standard","secrets":["{KEY}","{PUBLIC_KEY}"]}},
            "9":{{"scheme":"slack","secrets":["a secret long enough"],"forwardUrl":"http://127.0.0.1:8080/in"}}}}"#
    );
    let sources = Sources::parse(&json).expect("valid");
    assert_eq!(
        sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(),
        ["9", "a-2_b", "stripe"]
    );
    let stripe = sources.get("stripe").expect("configured");
    assert_eq!((stripe.scheme, stripe.secrets.len()), (Scheme::Stripe, 2));
    assert_eq!(stripe.tolerance, Duration::from_mins(1));
    assert_eq!(stripe.forward_url.as_ref().map(Url::as_str), Some("https://app.example/hooks"));
    let standard = sources.get("a-2_b").expect("configured");
    assert!(matches!(standard.secrets[0].0, Key::Hmac(_)));
    assert!(matches!(standard.secrets[1].0, Key::Ed25519(_)));
    assert_eq!((standard.tolerance, standard.forward_url.is_none()), (DEFAULT_TOLERANCE, true));
    assert!(sources.get("unknown").is_none());
    assert!(Sources::parse("{}").is_ok());
}

#[test]
fn each_wrong_field_is_named() {
    let cases = [
        (r#""forwardUrl":7"#, "forwardUrl", Problem::NotText),
        (r#""forwardUrl":null"#, "forwardUrl", Problem::NotText),
        (r#""forwardUrl":"""#, "forwardUrl", Problem::NotAUrl),
        (r#""forwardUrl":"/hooks""#, "forwardUrl", Problem::NotAUrl),
        (r#""forwardUrl":"mailto:a@b.example""#, "forwardUrl", Problem::NotAUrl),
        (r#""forwardUrl":"http://app.example/""#, "forwardUrl", Problem::NotHttps),
        (r#""forwardUrl":"http://localhost.example/""#, "forwardUrl", Problem::NotHttps),
        (r#""forwardUrl":"http://10.0.0.1/""#, "forwardUrl", Problem::NotHttps),
        (r#""forwardUrl":"ftp://localhost/""#, "forwardUrl", Problem::NotHttps),
        (r#""forwardUrl":"https://user@app.example/""#, "forwardUrl", Problem::HasCredentials),
        (r#""forwardUrl":"https://:pass@app.example/""#, "forwardUrl", Problem::HasCredentials),
        (r#""toleranceSeconds":0"#, "toleranceSeconds", Problem::OutOfRange),
        (r#""toleranceSeconds":-1"#, "toleranceSeconds", Problem::OutOfRange),
        (r#""toleranceSeconds":86401"#, "toleranceSeconds", Problem::OutOfRange),
        (r#""toleranceSeconds":300.5"#, "toleranceSeconds", Problem::OutOfRange),
        (r#""toleranceSeconds":"300""#, "toleranceSeconds", Problem::OutOfRange),
        (r#""scheme":"standard""#, "scheme", Problem::Repeated),
        (r#""secrets":[]"#, "secrets", Problem::Repeated),
        (r#""forward_url":"https://app.example/""#, "forward_url", Problem::Unknown),
        (r#""whsec_0123456789":1"#, "…", Problem::Unknown),
    ];
    for (fields, field, problem) in cases {
        let expected = SourcesError { name: Some("shop".into()), field: Some(field.into()), problem };
        assert_eq!(refused(&with(fields)), expected, "{fields}");
    }
}

#[test]
fn topics_are_listed_where_they_are_not_signed() {
    let source = |scheme: &str, more: &str| {
        format!(r#"{{"s":{{"scheme":"{scheme}","secrets":["a secret long enough"]{more}}}}}"#)
    };
    let listed = r#","topics":["orders/create","orders/paid"]"#;
    let sources = Sources::parse(&source("shopify", listed)).expect("valid");
    let topics = sources.get("s").and_then(|source| source.topics.as_ref());
    assert!(topics.is_some_and(|topics| topics.len() == 2 && topics.contains("orders/paid")));
    assert!(Sources::parse(&source("github", listed)).is_ok());
    assert!(Sources::parse(&source("github", "")).is_ok());
    for (scheme, more, problem) in [
        ("shopify", "", Problem::Missing),
        ("stripe", listed, Problem::NoTopics),
        ("slack", listed, Problem::NoTopics),
        ("shopify", r#","topics":[]"#, Problem::NotTopics),
        ("shopify", r#","topics":"orders/create""#, Problem::NotTopics),
        ("github", r#","topics":["push",7]"#, Problem::NotTopics),
        ("github", r#","topics":[""]"#, Problem::NotTopics),
    ] {
        let error = refused(&source(scheme, more));
        assert_eq!((error.field.as_deref(), error.problem), (Some("topics"), problem), "{scheme} {more}");
    }
}

#[test]
fn missing_and_unknown_schemes_fail_closed() {
    let cases = [
        (r#"{"s":{"secrets":["a secret long enough"]}}"#, "scheme", Problem::Missing),
        (r#"{"s":{"scheme":"none","secrets":["a secret long enough"]}}"#, "scheme", Problem::NotAScheme),
        (r#"{"s":{"scheme":"GitHub","secrets":["a secret long enough"]}}"#, "scheme", Problem::NotAScheme),
        (r#"{"s":{"scheme":null,"secrets":["a secret long enough"]}}"#, "scheme", Problem::NotAScheme),
        (r#"{"s":{"scheme":"github"}}"#, "secrets", Problem::Missing),
    ];
    for (json, field, problem) in cases {
        let error = refused(json);
        assert_eq!((error.field.as_deref(), error.problem), (Some(field), problem), "{json}");
    }
}

#[test]
fn secrets_that_prove_nothing_are_refused() {
    let weak = format!("whpk_{}", BASE64_STANDARD.encode([0; 32]));
    let short = format!("whpk_{}", BASE64_STANDARD.encode([9; 31]));
    let cases = [
        ("github", "", Problem::Empty),
        ("stripe", "  ", Problem::Empty),
        ("slack", "secret\\n", Problem::WhiteSpace),
        ("standard", "whsec_", Problem::Empty),
        ("github", "x", Problem::TooShort),
        ("stripe", "whsec_7bytes!", Problem::TooShort),
        ("standard", "whsec_QQ", Problem::TooShort),
        ("standard", "whsec_MDEyMzQ1Njc4OWFiYw==", Problem::TooShort),
        ("standard", "whsec_not base64", Problem::NotBase64),
        ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", Problem::NotBase64),
        ("standard", "whpk_@", Problem::NotBase64),
        ("standard", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Problem::NotBase64),
        ("standard", &short, Problem::NotAPublicKey),
        ("standard", &weak, Problem::NotAPublicKey),
    ];
    for (scheme, secret, problem) in cases {
        let error = refused(&format!(r#"{{"s":{{"scheme":"{scheme}","secrets":["{KEY}","{secret}"]}}}}"#));
        assert_eq!(
            (error.field.as_deref(), error.problem),
            (Some("secrets[1]"), problem),
            "{scheme} {secret}"
        );
    }
    assert!(Sources::parse(r#"{"s":{"scheme":"standard","secrets":["whsec_MDEyMzQ1Njc4OWFiY2RlZg","whsec_MDEyMzQ1Njc4OWFiY2RlZg=="]}}"#).is_ok());
    for list in [r#""x""#, "[]", "{}", "null", r#"["1","2","3","4","5","6","7","8","9"]"#] {
        let error = refused(&format!(r#"{{"s":{{"scheme":"github","secrets":{list}}}}}"#));
        assert_eq!((error.field.as_deref(), error.problem), (Some("secrets"), Problem::NotAList), "{list}");
    }
    let error = refused(r#"{"s":{"scheme":"github","secrets":[5]}}"#);
    assert_eq!(error.problem, Problem::NotText);
}

#[test]
fn names_are_short_lower_case_words() {
    let source = r#"{"scheme":"github","secrets":["a secret long enough"]}"#;
    for name in ["", "-a", "_a", "A", "a.b", "a/b", "ä", &"a".repeat(65)] {
        let error = refused(&format!(r#"{{"ok":{source},"{name}":{source}}}"#));
        assert_eq!(error, SourcesError::whole(Problem::BadName { position: 2 }), "{name}");
    }
    assert!(Sources::parse(&format!(r#"{{"{}":{source}}}"#, "a".repeat(64))).is_ok());
    let twice = refused(&format!(r#"{{"a":{source},"a":{source}}}"#));
    assert_eq!((twice.name.as_deref(), twice.problem), (Some("a"), Problem::Repeated));
}

#[test]
fn whatever_is_not_an_object_of_objects_is_refused() {
    for json in ["", "{", "[]", "null", "\"x\"", r#"{"a":{}} trailing"#] {
        assert_eq!(refused(json), SourcesError::whole(Problem::NotAnObject), "{json}");
    }
    for source in ["null", "[]", "7"] {
        let error = refused(&format!(r#"{{"a":{source}}}"#));
        assert_eq!(
            (error.name.as_deref(), error.field, error.problem),
            (Some("a"), None, Problem::NotAnObject)
        );
    }
}

#[test]
fn errors_never_show_a_value() {
    let canary = "canary0Value";
    let texts = [
        format!(r#"{{"s":{{"scheme":"{canary}","secrets":["a secret long enough"]}}}}"#),
        format!(r#"{{"s":{{"scheme":"standard","secrets":["whsec_{canary}!"]}}}}"#),
        format!(r#"{{"s":{{"scheme":"github","secrets":"{canary}"}}}}"#),
        format!(
            r#"{{"s":{{"scheme":"github","secrets":["a secret long enough"],"forwardUrl":"http://{canary}.example/"}}}}"#
        ),
        format!(r#"{{"s":{{"scheme":"github","secrets":["a secret long enough"],"{canary}":1}}}}"#),
        format!(r#"{{"s":"{canary}"}}"#),
        format!(r#"{{"{canary}":{{}}}}"#),
        format!(r#""{canary}""#),
    ];
    for text in &texts {
        let error = refused(text);
        assert!(!format!("{error} {error:?}").contains(canary), "{error}");
    }
    let json = r#"{"s":{"scheme":"github","secrets":["canary canary canary"],"forwardUrl":"https://h.example/canary"}}"#;
    assert!(!format!("{:?}", Sources::parse(json).expect("valid")).contains("canary"));
    let fourteen = r#"{"s":{"scheme":"slack","secrets":["fourteen bytes"]}}"#;
    assert!(Sources::parse(fourteen).is_ok());
    let shown = refused(r#"{"s":{"scheme":"github","secrets":[""]}}"#).to_string();
    assert_eq!(shown, "webhook sources, source `s`, field `secrets[0]`: must not be empty");
}

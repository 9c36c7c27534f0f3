//! Signing as senders do, written from their documentation and apart from the product's own code.

use anyhow::Result;
use base64::{Engine, prelude::BASE64_STANDARD};
use harness::{Lambda, LambdaBuilder, Request, Response};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The secret of each source that [`sources`] configures; odd enough to be searched for.
pub(crate) const SECRET: &str = "canary-secret-5a1f";
/// Standard Webhooks' keys are base64.
pub(crate) const STANDARD_KEY: &[u8] = b"canary-standard-key-0123456789";

/// One source for each scheme, named after it; `more` is put into each.
pub(crate) fn sources(more: &Value) -> String {
    let mut sources = json!({});
    for scheme in ["standard", "stripe", "github", "shopify", "slack"] {
        let secret = if scheme == "standard" { standard_secret() } else { SECRET.to_owned() };
        let mut source = json!({"scheme": scheme, "secrets": [secret]});
        if scheme == "shopify" {
            source["topics"] = json!(["orders/create", "orders/paid", "account.updated"]);
        }
        for (field, value) in more.as_object().into_iter().flatten() {
            source[field] = value.clone();
        }
        sources[scheme] = source;
    }
    sources.to_string()
}

pub(crate) fn standard_secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(STANDARD_KEY))
}

/// `webhook` with these sources.
pub(crate) fn webhook(url: String, sources: String) -> LambdaBuilder {
    Lambda::builder("webhook").env("DATABASE_URL", url).env("WEBHOOK_SOURCES", sources)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().fold(mac, Mac::chain_update).finalize().into_bytes().to_vec()
}

/// The value of `webhook-signature`.
pub(crate) fn standard_signature(id: &str, seconds: i64, body: &[u8]) -> String {
    let mac = hmac(STANDARD_KEY, &[id.as_bytes(), b".", seconds.to_string().as_bytes(), b".", body]);
    format!("v1,{}", BASE64_STANDARD.encode(mac))
}

/// A request to the source `standard`, signed at `seconds`.
pub(crate) fn standard_at<'a>(lambda: &'a Lambda, id: &str, seconds: i64, body: &[u8]) -> Request<'a> {
    lambda
        .post("/webhooks/standard")
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", standard_signature(id, seconds, body))
        .body(body)
}

/// A request to the source `standard`, signed now.
pub(crate) fn standard<'a>(lambda: &'a Lambda, id: &str, body: &[u8]) -> Request<'a> {
    standard_at(lambda, id, now(), body)
}

/// Sends a JSON event to the source `standard`.
pub(crate) async fn send(lambda: &Lambda, id: &str, event: &Value) -> Result<Response> {
    standard(lambda, id, event.to_string().as_bytes()).send().await
}

/// A request to the source `stripe`.
pub(crate) fn stripe<'a>(lambda: &'a Lambda, body: &[u8]) -> Request<'a> {
    let now = now().to_string();
    let mac = hex::encode(hmac(SECRET.as_bytes(), &[now.as_bytes(), b".", body]));
    lambda.post("/webhooks/stripe").header("stripe-signature", format!("t={now},v1={mac}")).body(body)
}

/// A request to the source `github`.
pub(crate) fn github<'a>(lambda: &'a Lambda, id: &str, body: &[u8]) -> Request<'a> {
    let mac = hex::encode(hmac(SECRET.as_bytes(), &[body]));
    lambda
        .post("/webhooks/github")
        .header("x-github-event", "push")
        .header("x-github-delivery", id)
        .header("x-hub-signature-256", format!("sha256={mac}"))
        .body(body)
}

/// A request to the source `shopify`.
pub(crate) fn shopify<'a>(lambda: &'a Lambda, id: &str, topic: &str, body: &[u8]) -> Request<'a> {
    lambda
        .post("/webhooks/shopify")
        .header("x-shopify-topic", topic)
        .header("x-shopify-event-id", id)
        .header("x-shopify-hmac-sha256", BASE64_STANDARD.encode(hmac(SECRET.as_bytes(), &[body])))
        .body(body)
}

/// A request to the source `slack`.
pub(crate) fn slack<'a>(lambda: &'a Lambda, body: &[u8]) -> Request<'a> {
    let now = now().to_string();
    let mac = hex::encode(hmac(SECRET.as_bytes(), &[b"v0:", now.as_bytes(), b":", body]));
    lambda
        .post("/webhooks/slack")
        .header("x-slack-request-timestamp", now)
        .header("x-slack-signature", format!("v0={mac}"))
        .body(body)
}

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// An account's event.
pub(crate) fn account(id: &str, account: &str, status: &str, at: &str) -> Value {
    json!({"id": id, "type": "account.updated", "timestamp": at,
           "data": {"accountId": account, "status": status, "plan": "x"}})
}

//! The smoke test of a webhook source, with an event signed as <https://www.standardwebhooks.com> says.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use shared::health::Check;
use shared::webhook::sign::signatures;
use shared::webhook::source::{Source, Sources};
use uuid::Uuid;

use super::client::{RequestKind, SmokeClient, SmokeResponse};
use super::steps::check_from_result;

/// Sends an event twice and a forged one: they must be stored, known as a duplicate, and refused. `source` is
/// `NAME=whsec_…`.
pub(super) async fn accept(client: &mut SmokeClient, source: &str) -> Check {
    let outcome = async {
        let (name, secret) = source.split_once('=').context("--webhook takes SOURCE=whsec_…")?;
        let sources = json!({name: {"scheme": "standard", "secrets": [secret]}}).to_string();
        let sources = Sources::parse(&sources).context("--webhook takes SOURCE=whsec_…")?;
        let source = sources.get(name).context("it was just named")?;
        let id = format!("smoke-{}", Uuid::new_v4().simple());
        let body =
            json!({"id": id, "type": "smoke.test", "timestamp": Timestamp::now(), "data": {}}).to_string();
        let path = format!("/webhooks/{name}");
        send(client, &path, source, &id, &body).await?.expect("a new event", 202)?;
        let again = send(client, &path, source, &id, &body).await?.expect("the same event again", 200)?;
        ensure!(again.json()["duplicate"] == true, "the same event again is not called a duplicate");
        let forged = format!("{body} ");
        let request = signed(client, &path, source, &id, &body).body(forged);
        client.send(RequestKind::Other, request).await?.expect("a forged event", 401)?;
        Ok("stored once, known again, a forged one refused".to_owned())
    };
    check_from_result(
        "webhook",
        "senders give up on a receiver that loses or repeats events",
        outcome.await,
        "see that WEBHOOK_SOURCES names the source with scheme `standard` and this secret, and webhook's log",
    )
}

async fn send(
    client: &mut SmokeClient,
    path: &str,
    source: &Source,
    id: &str,
    body: &str,
) -> Result<SmokeResponse> {
    let request = signed(client, path, source, id, body).body(body.to_owned());
    client.send(RequestKind::Other, request).await
}

fn signed(client: &SmokeClient, path: &str, source: &Source, id: &str, body: &str) -> RequestBuilder {
    let now = Timestamp::now();
    client
        .request(Method::POST, path)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now.as_second())
        .header("webhook-signature", signatures(source, id, now, body.as_bytes()))
}

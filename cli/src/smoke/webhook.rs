//! A webhook, signed as <https://www.standardwebhooks.com> says, twice: the second must be known.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use sha2::Sha256;
use shared::health::Check;
use uuid::Uuid;

use super::client::{Answer, Kind, Smoke};
use super::steps::told;

/// `source`: `NAME=whsec_…`.
pub(super) async fn accept(smoke: &mut Smoke, source: &str) -> Check {
    let outcome = async {
        let (source, secret) = source.split_once('=').context("--webhook takes SOURCE=whsec_…")?;
        let id = format!("smoke-{}", Uuid::new_v4().simple());
        let body =
            json!({"id": id, "type": "smoke.test", "timestamp": Timestamp::now(), "data": {}}).to_string();
        let path = format!("/webhooks/{source}");
        send(smoke, &path, secret, &id, &body).await?.expect("a new event", 202)?;
        let again = send(smoke, &path, secret, &id, &body).await?.expect("the same event again", 200)?;
        ensure!(again.json()["duplicate"] == true, "the same event again is not called a duplicate");
        let forged = format!("{body} ");
        let request = signed(smoke, &path, secret, &id, &body)?.body(forged);
        smoke.send(Kind::Other, request).await?.expect("a forged event", 401)?;
        Ok("stored once, known again, a forged one refused".to_owned())
    };
    told(
        "webhook",
        "senders give up on a receiver that loses or repeats events",
        outcome.await,
        "see that WEBHOOK_SOURCES names the source with scheme `standard` and this secret, and webhook's log",
    )
}

async fn send(smoke: &mut Smoke, path: &str, secret: &str, id: &str, body: &str) -> Result<Answer> {
    let request = signed(smoke, path, secret, id, body)?.body(body.to_owned());
    smoke.send(Kind::Other, request).await
}

fn signed(smoke: &Smoke, path: &str, secret: &str, id: &str, body: &str) -> Result<reqwest::RequestBuilder> {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).context("the secret is not base64")?;
    let seconds = Timestamp::now().as_second();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    Ok(smoke
        .request(Method::POST, path)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", format!("v1,{signature}")))
}

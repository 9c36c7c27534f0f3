//! Sources from Secrets Manager, read again when a secret is rotated.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use base64::{Engine, prelude::BASE64_STANDARD};
use harness::{Lambda, Postgres};
use serde_json::json;

use super::sender::{now, send, sources, standard_at, standard_secret};
use crate::worker::endpoint::{Behaviour, Endpoint};

/// What Secrets Manager answers to `GetSecretValue`.
fn secret(sources: &str) -> Behaviour {
    let answer = json!({"ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s", "Name": "s",
                        "VersionId": "1", "SecretString": sources});
    Behaviour::With(200, "content-type", "application/x-amz-json-1.1".to_owned(), answer.to_string())
}

#[tokio::test]
async fn a_rotated_secret_is_known_at_the_first_request_that_needs_it() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let old = format!("whsec_{}", BASE64_STANDARD.encode("the secret before the rotation"));
    let before = sources(&json!({})).replace(&standard_secret(), &old);
    let reads = AtomicUsize::new(0);
    let manager = Endpoint::start(move |_| match reads.fetch_add(1, Ordering::Relaxed) {
        0 => secret(&before),
        _ => secret(&sources(&json!({}))),
    })
    .await?;
    let lambda = Lambda::builder("webhook")
        .env("DATABASE_URL", database.url())
        .env("WEBHOOK_SOURCES_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:s")
        .env("AWS_ENDPOINT_URL", manager.url.trim_end_matches("/hooks"))
        .env("AWS_ACCESS_KEY_ID", "k")
        .env("AWS_SECRET_ACCESS_KEY", "s")
        .start()
        .await?;
    assert_eq!(manager.count(), 0, "not before it is needed");
    assert_eq!(send(&lambda, "m", &json!({"id": "e", "type": "x"})).await?.status, 202);
    assert_eq!(manager.count(), 2, "read at first use, and again by the new signature");
    for _ in 0..3 {
        assert_eq!(standard_at(&lambda, "m", now(), b"{}").body(b"[]".to_vec()).send().await?.status, 401);
    }
    assert_eq!(manager.count(), 2, "refusals do not hammer Secrets Manager");
    Ok(())
}

//! Signatures made by the senders' own clients are accepted.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use harness::{python_environment, run_to_end};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::webhook::signature::{SignatureError, Verified, verify};
use shared::webhook::source::Sources;

const SIGNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/webhook/sign.py");

/// A request as `sign.py` prints it.
struct Request {
    name: String,
    scheme: String,
    sources: Sources,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    fn read(printed: &Value) -> Result<Self> {
        let text = |field: &str| printed[field].as_str().with_context(|| format!("no {field}"));
        let (scheme, secrets) = (text("scheme")?, &printed["secrets"]);
        let mut sources = json!({"sender": {"scheme": scheme, "secrets": secrets}});
        if scheme == "shopify" {
            sources["sender"]["topics"] = json!(["orders/create"]);
        }
        let mut headers = HeaderMap::new();
        for line in printed["headers"].as_array().context("no headers")? {
            let [name, value] = [0, 1].map(|part| line[part].as_str().unwrap_or_default());
            headers.append(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        Ok(Self {
            name: text("name")?.to_owned(),
            scheme: scheme.to_owned(),
            sources: Sources::parse(&sources.to_string())?,
            headers,
            body: BASE64_STANDARD.decode(text("body")?)?,
        })
    }

    fn check(&self, body: &[u8], now: Timestamp) -> Result<Verified, SignatureError> {
        verify(self.sources.get("sender").expect("configured"), &self.headers, body, now)
    }
}

#[test]
fn signatures_of_the_senders_own_clients_are_accepted() -> Result<()> {
    let mut signer = Command::new(python_environment("webhook")?.join("python"));
    signer.arg(SIGNER);
    let printed: Value = serde_json::from_slice(&run_to_end(&mut signer)?.stdout)?;
    let requests: Vec<_> =
        printed.as_array().context("not a list")?.iter().map(Request::read).collect::<Result<_>>()?;
    ensure!(requests.len() == 24, "6 senders with 4 bodies each, not {}", requests.len());
    for request in requests {
        let now = Timestamp::now();
        let verified = request.check(&request.body, now);
        ensure!(verified.is_ok(), "{}: {verified:?}", request.name);
        let changed = [request.body.as_slice(), b" "].concat();
        ensure!(request.check(&changed, now) == Err(SignatureError::Mismatch), "{}: changed", request.name);
        if !matches!(request.scheme.as_str(), "github" | "shopify") {
            let later = now + std::time::Duration::from_mins(6);
            ensure!(
                request.check(&request.body, later) == Err(SignatureError::TooOld),
                "{}: later",
                request.name
            );
        }
    }
    Ok(())
}

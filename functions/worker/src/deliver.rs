//! Delivers a job: a POST of the stored event, signed as in
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use reqwest::{Client, Response, redirect};
use shared::config::WorkerSettings;
use shared::jobs::claim::Job;
use shared::jobs::finish::{DeliveryResult, Outcome};
use shared::jobs::redact;
use shared::webhook::sign::signatures;
use shared::webhook::source::{Source, Sources};
use tessera_postgres::tls::{TlsError, TrustStore};

use crate::retry_after::retry_after;
use crate::ssrf::{ForbiddenAddress, PublicAddressResolver};

/// The most bytes of a response's body that are read.
const MAX_RESPONSE_BYTES: usize = 1024;

/// The HTTP client that delivers jobs. It is built for each run, because connections would not survive a freeze of the
/// container.
pub(crate) struct WebhookClient {
    client: Client,
    resolver: PublicAddressResolver,
    timeout: Duration,
}

/// Why the HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildClientError {
    #[error("the system's certificate authorities: {0}")]
    Trust(#[from] TlsError),
    #[error("the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

impl WebhookClient {
    pub(crate) fn new(settings: &WorkerSettings, trust: &TrustStore) -> Result<Self, BuildClientError> {
        let resolver = PublicAddressResolver { allow_loopback: settings.allow_loopback };
        let client = Client::builder()
            .tls_backend_preconfigured(trust.web_connector()?)
            .dns_resolver(resolver)
            // A proxy would resolve the host itself, past the check of its addresses.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(settings.timeout)
            .user_agent(concat!("Tessera/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, resolver, timeout: settings.timeout })
    }

    /// Delivers `job` within the configured time.
    pub(crate) async fn deliver(&self, job: &Job, sources: &Sources) -> DeliveryResult {
        let endpoint =
            sources.get(&job.source).and_then(|source| Some((source, source.forward_url.as_ref()?)));
        let Some((source, url)) = endpoint else {
            return DeliveryResult::without_response(Outcome::NoEndpoint);
        };
        let Some(raw) = &job.raw else { return DeliveryResult::without_response(Outcome::NoPayload) };
        if self.resolver.forbids(url) {
            return DeliveryResult::without_response(Outcome::ForbiddenAddress);
        }
        match self.client.post(url.clone()).headers(headers(source, job, raw)).body(raw.clone()).send().await
        {
            Ok(response) => self.read(response, raw).await,
            Err(error) => DeliveryResult::without_response(outcome_from_error(&error)),
        }
    }

    async fn read(&self, response: Response, payload: &[u8]) -> DeliveryResult {
        let status = response.status();
        let retry_after = retry_after(response.headers(), Timestamp::now());
        // The status has decided already: a body that comes slowly, or never ends, changes nothing.
        let body =
            tokio::time::timeout(self.timeout / 10, read_beginning(response)).await.unwrap_or_default();
        let response_excerpt = if status.is_success() { None } else { redact::excerpt(&body, payload) };
        let outcome = match status {
            StatusCode::GONE => Outcome::Gone,
            status if status.is_success() => Outcome::Delivered,
            _ => Outcome::Refused,
        };
        DeliveryResult { outcome, status: Some(status.as_u16()), response_excerpt, retry_after }
    }
}

/// The headers of a delivery. The id is the same in all attempts; time and signature are those of this attempt.
fn headers(source: &Source, job: &Job, raw: &[u8]) -> HeaderMap {
    let (id, now) = (job.message_id(), Timestamp::now());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-timestamp", HeaderValue::from(now.as_second()));
    headers.insert("tessera-attempt", HeaderValue::from(job.attempt));
    let texts = [
        ("webhook-id", Some(id.as_str())),
        ("webhook-signature", Some(&signatures(source, &id, now, raw))),
        ("tessera-source", Some(&job.source)),
        // GitHub and Shopify send the type in a header only, so the receiver cannot find it in the body, and unsigned.
        (
            if job.signed_digest.is_some() { "tessera-unsigned-event-type" } else { "tessera-event-type" },
            job.event_type.as_deref(),
        ),
    ];
    for (name, text) in texts {
        // All but the type, which may be anything, are visible ASCII.
        if let Some(Ok(value)) = text.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
    headers
}

async fn read_beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_RESPONSE_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_RESPONSE_BYTES - body.len())]);
    }
    body
}

fn outcome_from_error(error: &reqwest::Error) -> Outcome {
    if error.is_timeout() {
        return Outcome::Timeout;
    }
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<ForbiddenAddress>() {
            return Outcome::ForbiddenAddress;
        }
        cause = error.source();
    }
    Outcome::Unreachable
}

//! The HTTP client of the smoke test, which times its requests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde_json::Value;
use url::Url;

/// Looks like a person's browser, so that scans count.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) tessera-smoke/1.0";

/// Sends requests to the deployment under test, and keeps their times and the codes that they created.
pub(super) struct SmokeClient {
    client: Client,
    base: Url,
    key: Option<String>,
    /// The ids of the codes that were created, to be deleted at the end.
    pub(super) created: Vec<String>,
    /// How long answers took, by [`RequestKind`].
    pub(super) times: [Vec<Duration>; 4],
}

/// The kinds of requests that are timed apart, each with a limit of its own; `Other` has none.
#[derive(Clone, Copy)]
pub(super) enum RequestKind {
    Create,
    List,
    Redirect,
    Other,
}

/// A response whose body was read to its end.
pub(super) struct SmokeResponse {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) body: String,
}

impl SmokeResponse {
    /// The body as JSON, or `null` if it is not JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The value of a header, or an empty string.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns an error, with the status and the problem that came instead, unless the status is `status`.
    pub(super) fn expect(self, what: &str, status: u16) -> Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let problem = self.json();
        let detail = problem["detail"].as_str().or(problem["message"].as_str()).unwrap_or("no reason given");
        let request = problem["requestId"].as_str().map(|id| format!(", request {id}")).unwrap_or_default();
        bail!("{what}: {} instead of {status} ({detail}{request})", self.status)
    }
}

impl SmokeClient {
    /// Makes a client for the deployment at `base`.
    pub(super) fn new(base: &Url, key: Option<&str>) -> Result<Self> {
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            bail!("{base} is not an http or https URL");
        }
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()?;
        let key = key.map(str::to_owned);
        Ok(Self { client, base: base.clone(), key, created: Vec::new(), times: Default::default() })
    }

    /// Begins a request to `path`, with the API key if there is one.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let request = self.client.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request, and records how long its response took.
    pub(super) async fn send(&mut self, kind: RequestKind, request: RequestBuilder) -> Result<SmokeResponse> {
        let begun = Instant::now();
        let response = request.send().await.context("no answer")?;
        let response = read(response).await?;
        self.times[kind as usize].push(begun.elapsed());
        Ok(response)
    }

    /// Requests a code's short URL as a scan does; the redirect is not followed.
    pub(super) async fn scan(&mut self, id: &str) -> Result<SmokeResponse> {
        let request = self.request(Method::GET, &format!("/r/{id}"));
        self.send(RequestKind::Redirect, request).await
    }

    /// Sends a `GET` request to `path` that has no time limit of its own.
    pub(super) async fn get(&mut self, path: &str) -> Result<SmokeResponse> {
        let request = self.request(Method::GET, path);
        self.send(RequestKind::Other, request).await
    }
}

async fn read(response: Response) -> Result<SmokeResponse> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.context("the answer broke off")?;
    Ok(SmokeResponse { status, headers, body: String::from_utf8_lossy(&bytes).into_owned() })
}

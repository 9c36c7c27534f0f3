//! Requests to the deployment, timed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde_json::Value;
use url::Url;

/// As a person's browser says, so that scans count.
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) tessera-smoke/1.0";

/// The deployment, and what was done to it.
pub(super) struct Smoke {
    client: Client,
    base: Url,
    key: Option<String>,
    /// Ids of the codes that must be deleted again.
    pub(super) made: Vec<String>,
    /// Times by [`Kind`].
    pub(super) times: [Vec<Duration>; 4],
}

/// What there is a bar for.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Create,
    List,
    Redirect,
    Other,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) body: String,
}

impl Answer {
    /// The body as JSON, `null` if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Fails unless the status is this one, saying what came instead.
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

impl Smoke {
    pub(super) fn new(base: &Url, key: Option<&str>) -> Result<Self> {
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            bail!("{base} is not an http or https URL");
        }
        let client = Client::builder()
            .user_agent(AGENT)
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()?;
        let key = key.map(str::to_owned);
        Ok(Self { client, base: base.clone(), key, made: Vec::new(), times: Default::default() })
    }

    /// A request to `path`, with the key.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let request = self.client.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends it, and notes how long the answer took.
    pub(super) async fn send(&mut self, kind: Kind, request: RequestBuilder) -> Result<Answer> {
        let begun = Instant::now();
        let response = request.send().await.context("no answer")?;
        let answer = read(response).await?;
        self.times[kind as usize].push(begun.elapsed());
        Ok(answer)
    }

    /// Follows a code, as far as its redirect.
    pub(super) async fn scan(&mut self, id: &str) -> Result<Answer> {
        let request = self.request(Method::GET, &format!("/r/{id}"));
        self.send(Kind::Redirect, request).await
    }

    /// Asks for `path` without a bar.
    pub(super) async fn get(&mut self, path: &str) -> Result<Answer> {
        let request = self.request(Method::GET, path);
        self.send(Kind::Other, request).await
    }
}

async fn read(response: Response) -> Result<Answer> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.context("the answer broke off")?;
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&bytes).into_owned() })
}

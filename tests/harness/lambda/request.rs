//! HTTP requests as API Gateway hands them to a function, and its answers
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! payload format 2.0).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::Lambda;

const HOST: &str = "abc123.execute-api.us-east-1.amazonaws.com";

/// A request that can be sent to a function.
#[derive(Debug, Clone)]
#[must_use = "a request is sent by `send`"]
pub struct Request<'a> {
    lambda: &'a Lambda,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    base64: bool,
    source_ip: String,
    claims: Option<Value>,
    deadline: Option<Duration>,
}

/// A function's answer, as the caller of the API would get it.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, cookies included as `set-cookie`.
    pub headers: HeaderMap,
    /// The body's bytes, base64 decoded where the function said so.
    pub body: Vec<u8>,
    /// How long it took from handing out the event to having the answer.
    pub took: Duration,
}

impl Lambda {
    /// Begins a request; `path` may have a query.
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Request {
            lambda: self,
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: None,
            base64: false,
            source_ip: "203.0.113.7".to_owned(),
            claims: None,
            deadline: None,
        }
    }

    /// Begins a GET request.
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    /// Begins a HEAD request.
    pub fn head(&self, path: &str) -> Request<'_> {
        self.request("HEAD", path)
    }

    /// Begins a POST request.
    pub fn post(&self, path: &str) -> Request<'_> {
        self.request("POST", path)
    }

    /// Begins a PATCH request.
    pub fn patch(&self, path: &str) -> Request<'_> {
        self.request("PATCH", path)
    }

    /// Begins a DELETE request.
    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request("DELETE", path)
    }
}

impl Request<'_> {
    /// Adds a header; a name given twice arrives joined by a comma, as API Gateway does it.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_lowercase(), value.into()));
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let query = std::mem::take(&mut self.query);
        self.query = url::form_urlencoded::Serializer::for_suffix(query, 0).append_pair(name, value).finish();
        self
    }

    /// Sets the body, which is sent as text if it is UTF-8, else as base64.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets a JSON body with its content type.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Sends the body as base64 even though it is text, which API Gateway does for unknown content types.
    pub fn base64(mut self) -> Self {
        self.base64 = true;
        self
    }

    /// Sets the caller's address, which is 203.0.113.7 at first.
    pub fn source_ip(mut self, address: &str) -> Self {
        address.clone_into(&mut self.source_ip);
        self
    }

    /// Sets the claims of a token, as if API Gateway's JWT authoriser had checked it.
    pub fn jwt(mut self, claims: Value) -> Self {
        self.claims = Some(claims);
        self
    }

    /// Sets the time that this invocation may take, instead of the function's limit.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sends the request and waits for the answer. An error is one that API Gateway would turn into a bare 500 or 503.
    pub async fn send(self) -> Result<Response> {
        let invoked = self.lambda.invoke(&self.event(), self.deadline).await?;
        Response::read(&invoked.payload, invoked.took)
    }

    /// The event that the function gets for this request.
    #[must_use]
    pub fn event(&self) -> Value {
        let now = jiff::Timestamp::now();
        let headers = self.joined_headers();
        let user_agent = headers.get("user-agent").cloned().unwrap_or_default();
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "abc123",
                "domainName": HOST,
                "domainPrefix": "abc123",
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": self.source_ip,
                    "userAgent": user_agent,
                },
                "requestId": uuid::Uuid::new_v4().simple().to_string(),
                "routeKey": "$default",
                "stage": "$default",
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": now.as_millisecond(),
            },
            "isBase64Encoded": false,
        });
        if !self.query.is_empty() {
            event["queryStringParameters"] = json!(self.query_parameters());
        }
        if let Some(claims) = &self.claims {
            event["requestContext"]["authorizer"] = json!({"jwt": {"claims": claims, "scopes": null}});
        }
        if let Some(body) = &self.body {
            match std::str::from_utf8(body) {
                Ok(text) if !self.base64 => event["body"] = json!(text),
                _ => {
                    event["body"] = json!(STANDARD.encode(body));
                    event["isBase64Encoded"] = json!(true);
                }
            }
        }
        event
    }

    fn joined_headers(&self) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::from([
            ("host".to_owned(), HOST.to_owned()),
            ("x-forwarded-for".to_owned(), self.source_ip.clone()),
            ("x-forwarded-port".to_owned(), "443".to_owned()),
            ("x-forwarded-proto".to_owned(), "https".to_owned()),
            ("x-amzn-trace-id".to_owned(), "Root=1-5eb33c07-de25b420912dee103a5db434".to_owned()),
            ("content-length".to_owned(), self.body.as_ref().map_or(0, Vec::len).to_string()),
        ]);
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.headers {
            given
                .entry(name.clone())
                .and_modify(|joined| {
                    joined.push(',');
                    joined.push_str(value);
                })
                .or_insert_with(|| value.clone());
        }
        headers.append(&mut given);
        headers
    }

    fn query_parameters(&self) -> BTreeMap<String, String> {
        let mut parameters: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(self.query.as_bytes()) {
            parameters
                .entry(name.into_owned())
                .and_modify(|joined| {
                    joined.push(',');
                    joined.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        parameters
    }
}

impl Response {
    fn read(payload: &Value, took: Duration) -> Result<Self> {
        let status = payload["statusCode"].as_u64().context("the answer has no statusCode")?;
        let mut headers = HeaderMap::new();
        let single = payload["headers"].as_object().into_iter().flatten();
        let several = payload["multiValueHeaders"].as_object().into_iter().flatten();
        let several = several.flat_map(|(name, values)| {
            let fresh = payload["headers"].get(name).is_none();
            values.as_array().into_iter().flatten().filter(move |_| fresh).map(move |value| (name, value))
        });
        for (name, value) in single.chain(several) {
            headers.append(HeaderName::try_from(name.as_str())?, header_value(value)?);
        }
        for cookie in payload["cookies"].as_array().into_iter().flatten() {
            headers.append(hyper::header::SET_COOKIE, header_value(cookie)?);
        }
        let body = payload["body"].as_str().unwrap_or_default();
        let body = if payload["isBase64Encoded"] == true { STANDARD.decode(body)? } else { body.into() };
        Ok(Self { status: u16::try_from(status)?, headers, body, took })
    }

    /// A header's first value, or an empty string if it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }
}

fn header_value(value: &Value) -> Result<HeaderValue> {
    Ok(HeaderValue::from_str(value.as_str().context("a header is no string")?)?)
}

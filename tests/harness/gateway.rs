//! A stand-in for API Gateway: it turns HTTP requests into events for the function that `CargoLambda.toml` names for
//! the path.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::Lambda;

const ROUTES: &str = include_str!("../../CargoLambda.toml");

/// A running gateway. It lives on the runtime of the test that started it.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Gateway {
    /// Serves the routes of these functions. Other paths are answered 404, and a function that fails 500.
    pub async fn start(functions: Vec<Lambda>) -> Result<Self> {
        let functions: HashMap<String, Lambda> =
            functions.into_iter().map(|function| (function.name().to_owned(), function)).collect();
        let functions = Arc::new(functions);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let functions = Arc::clone(&functions);
                let service = hyper::service::service_fn(move |request| {
                    let functions = Arc::clone(&functions);
                    async move { Ok::<_, Infallible>(forward(&functions, request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn(connection);
            }
        });
        Ok(Self { address, server })
    }

    /// The base URL of the routes, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(functions: &HashMap<String, Lambda>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let function = function_for(parts.uri.path()).and_then(|name| functions.get(name));
    let Some(function) = function else { return gateway_answer(404, "Not Found") };
    let Ok(body) = body.collect().await else { return gateway_answer(400, "Bad Request") };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut event = function.request(parts.method.as_str(), path).body(body.to_bytes());
    for (name, value) in &parts.headers {
        event = event.header(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    match event.send().await {
        Ok(answer) => {
            let mut response = Response::new(Full::from(answer.body));
            *response.status_mut() = answer.status.try_into().unwrap_or_default();
            *response.headers_mut() = answer.headers;
            response
        }
        Err(_) => gateway_answer(500, "Internal Server Error"),
    }
}

/// An answer of API Gateway's own, as it looks there.
fn gateway_answer(status: u16, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(json!({"message": text}).to_string()));
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}

/// The name of the function that a path is routed to.
fn function_for(path: &str) -> Option<&'static str> {
    let lines = |name: &'static str| {
        ROUTES
            .lines()
            .filter_map(move |line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
    };
    let route = lines("path").zip(lines("function")).find(|(route, _)| matches(route, path));
    route.map(|(_, function)| function)
}

fn matches(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(wanted), Some(found)) if wanted.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

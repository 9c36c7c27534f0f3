//! The Lambda runtime API (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>) and as much of the
//! extensions API as a graceful shutdown needs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// An event on its way to the function.
#[derive(Debug)]
pub(super) struct Invocation {
    event: Vec<u8>,
    limit: Duration,
    handed_out: oneshot::Sender<()>,
    answered: oneshot::Sender<Outcome>,
}

/// The function's response to an event.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer { payload: Bytes, took: Duration },
    Error(String),
}

/// When the function first asked for an event, or why it never will.
type Ready = Result<Instant, String>;

/// The server that a function asks for its events.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    function: String,
    /// Shared by as many requests for the next event as the function makes at once.
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ready: Option<oneshot::Sender<Ready>>,
    running: HashMap<String, (Instant, oneshot::Sender<Outcome>)>,
    extensions: Vec<String>,
}

impl Invocation {
    pub(super) fn new(
        event: Vec<u8>,
        limit: Duration,
    ) -> (Self, oneshot::Receiver<()>, oneshot::Receiver<Outcome>) {
        let (handed_out, was_handed_out) = oneshot::channel();
        let (answered, outcome) = oneshot::channel();
        (Self { event, limit, handed_out, answered }, was_handed_out, outcome)
    }
}

impl RuntimeApi {
    pub(super) fn new(
        function: String,
        events: mpsc::UnboundedReceiver<Invocation>,
    ) -> (Arc<Self>, oneshot::Receiver<Ready>) {
        let (ready, is_ready) = oneshot::channel();
        let state = State { ready: Some(ready), running: HashMap::new(), extensions: Vec::new() };
        let api = Self { function, events: tokio::sync::Mutex::new(events), state: Mutex::new(state) };
        (Arc::new(api), is_ready)
    }

    pub(super) fn extensions(&self) -> Vec<String> {
        self.state().extensions.clone()
    }

    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let api = Arc::clone(&self);
            let service = hyper::service::service_fn(move |request| {
                let api = Arc::clone(&api);
                async move { Ok::<_, Infallible>(api.answer(request).await) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connections.spawn(connection);
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return status(StatusCode::BAD_REQUEST) };
        let body = body.to_bytes();
        let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
        match (&parts.method, path.as_slice()) {
            (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => self.next().await,
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
                self.finish(id, |took| Outcome::Answer { payload: body, took })
            }
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
                self.finish(id, |_| Outcome::Error(text(&body)))
            }
            (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
                self.report_ready(Err(text(&body)));
                status(StatusCode::ACCEPTED)
            }
            (&Method::POST, ["2020-01-01", "extension", "register"]) => {
                let name = parts.headers.get("lambda-extension-name").map(|name| text(name.as_bytes()));
                self.register(name.unwrap_or_default())
            }
            // No extension here subscribes to anything.
            (&Method::GET, ["2020-01-01", "extension", "event", "next"]) => std::future::pending().await,
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        self.report_ready(Ok(Instant::now()));
        let Some(invocation) = self.events.lock().await.recv().await else {
            return status(StatusCode::GONE);
        };
        let id = uuid::Uuid::new_v4().to_string();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &id)
            .header("lambda-runtime-deadline-ms", (now + invocation.limit).as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", self.arn())
            .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
            .body(Full::from(invocation.event));
        self.state().running.insert(id, (Instant::now(), invocation.answered));
        let _ = invocation.handed_out.send(());
        response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
    }

    fn finish(&self, id: &str, outcome: impl FnOnce(Duration) -> Outcome) -> Response<Full<Bytes>> {
        let Some((started, answered)) = self.state().running.remove(id) else {
            return status(StatusCode::NOT_FOUND);
        };
        // The test may have given up waiting, which is not the function's fault.
        let _ = answered.send(outcome(started.elapsed()));
        status(StatusCode::ACCEPTED)
    }

    fn register(&self, extension: String) -> Response<Full<Bytes>> {
        self.state().extensions.push(extension);
        let answer = json!({
            "functionName": self.function,
            "functionVersion": "$LATEST",
            "handler": "bootstrap",
            "accountId": "123456789012",
        });
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-extension-identifier", uuid::Uuid::new_v4().to_string())
            .body(Full::from(answer.to_string()))
            .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
    }

    fn report_ready(&self, ready: Ready) {
        let waiting = self.state().ready.take();
        if let Some(waiting) = waiting {
            let _ = waiting.send(ready);
        }
    }

    fn arn(&self) -> String {
        format!("arn:aws:lambda:us-east-1:123456789012:function:{}", self.function)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

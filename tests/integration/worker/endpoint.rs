//! An HTTP endpoint that webhooks are forwarded to, which answers, fails or hangs as its test says.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the endpoint does with a delivery.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Answers with this status.
    Answer(u16),
    /// Answers with this status, header and body.
    With(u16, &'static str, String, String),
    /// Answers with this status and the request's own body and headers.
    Echo(u16),
    /// Takes the request and never answers.
    Hang,
}

/// A delivery as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether it was answered with 2xx.
    pub(crate) taken: bool,
}

impl Delivery {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }
}

type Decide = dyn Fn(&Delivery) -> Behaviour + Send + Sync;

struct Shared {
    decide: Mutex<Arc<Decide>>,
    deliveries: Mutex<Vec<Delivery>>,
}

/// A running endpoint. It lives on the runtime of the test that started it.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn start(
        decide: impl Fn(&Delivery) -> Behaviour + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/hooks", listener.local_addr()?);
        let shared = Arc::new(Shared { decide: Mutex::new(Arc::new(decide)), deliveries: Mutex::default() });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, server })
    }

    pub(crate) fn behave(&self, decide: impl Fn(&Delivery) -> Behaviour + Send + Sync + 'static) {
        *lock(&self.shared.decide) = Arc::new(decide);
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.shared.deliveries).clone()
    }

    /// How many deliveries there were.
    pub(crate) fn count(&self) -> usize {
        lock(&self.shared.deliveries).len()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { std::future::pending().await };
    let mut delivery = Delivery { headers: parts.headers, body: body.to_bytes(), taken: false };
    let decide = Arc::clone(&lock(&shared.decide));
    let behaviour = decide(&delivery);
    let response = match &behaviour {
        Behaviour::Answer(status) => Some((*status, "x-none", String::new(), Bytes::new())),
        Behaviour::With(status, name, value, body) => {
            Some((*status, *name, value.clone(), Bytes::from(body.clone())))
        }
        Behaviour::Echo(status) => {
            let body = format!("{} {:?}", String::from_utf8_lossy(&delivery.body), delivery.headers);
            Some((*status, "x-none", String::new(), Bytes::from(body)))
        }
        Behaviour::Hang => None,
    };
    delivery.taken = response.as_ref().is_some_and(|(status, ..)| (200..300).contains(status));
    lock(&shared.deliveries).push(delivery);
    let Some((status, name, value, body)) = response else { std::future::pending().await };
    let response = Response::builder().status(status).header(name, value).body(Full::from(body));
    Ok(response.expect("a status and a header of a test's own"))
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

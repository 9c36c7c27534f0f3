//! The life of a function: start, answer, leave.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use lambda_http::http::{HeaderValue, Method};
use lambda_http::{Adapter, Body, Request, RequestExt as _, Response, service_fn};
use lambda_runtime::tower::ServiceExt as _;
use tessera_postgres::{Database, Deadline, ErrorChain, TrustStore};
use tracing::Instrument as _;

use super::error::{HandlerError, PublicError};
use super::problem::{ErrorFormat, render};
use super::{Answer, event};
use crate::config::{ConfigError, Environment};
use crate::invocation::request_deadline;
use crate::metrics::{self, Metric};
use crate::process;

/// Connecting ahead of the first request may take this long of Lambda's 10 s of init.
const INIT_CONNECT: Duration = Duration::from_secs(5);

/// What a function is made of.
pub struct App<State> {
    /// What requests share. Built once, in the init phase.
    pub state: Arc<State>,
    /// The function's database, if it has one.
    pub database: Option<Arc<Database>>,
    /// Who reads its errors.
    pub errors: ErrorFormat,
}

/// What a handler knows of an invocation besides the request.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Lambda's id of this invocation, which callers see as `requestId`.
    pub request_id: String,
    /// When database work must have ended.
    pub deadline: Deadline,
}

/// `main` of a function. `start` runs in the init phase, before any thread: what it builds costs no request anything.
///
/// A wrong configuration ends the process with one line that names the variable.
pub fn serve<State, Handler, Future_>(
    start: fn(&Environment, &Arc<TrustStore>) -> Result<App<State>, ConfigError>,
    handler: Handler,
) -> ExitCode
where
    State: Send + Sync + 'static,
    Handler: Fn(Arc<State>, Invocation, Request) -> Future_ + Clone + Send + Sync + 'static,
    Future_: Future<Output = Answer> + Send + 'static,
{
    process::run::<Handler, _, _>(
        |environment, trust| Ok((environment.connects_at_init()?, start(environment, trust)?)),
        async |(connects_at_init, app)| run(app, connects_at_init, handler).await,
    )
}

async fn run<State, Handler, Future_>(
    app: App<State>,
    connects_at_init: bool,
    handler: Handler,
) -> Result<(), lambda_http::Error>
where
    State: Send + Sync + 'static,
    Handler: Fn(Arc<State>, Invocation, Request) -> Future_ + Clone + Send + Sync + 'static,
    Future_: Future<Output = Answer> + Send + 'static,
{
    let App { state, database, errors } = app;
    if let Some(database) = database {
        if connects_at_init {
            database.connect(Deadline::after(INIT_CONNECT)).await;
        }
        lambda_runtime::spawn_graceful_shutdown_handler(async move || database.close().await).await;
    }
    let service = service_fn(move |request: Request| {
        let (state, handler) = (Arc::clone(&state), handler.clone());
        async move { Ok::<_, lambda_http::Error>(answer(state, handler, errors, request).await) }
    });
    lambda_runtime::run_concurrent(Adapter::from(service).map_request(event::escape_query)).await
}

async fn answer<State, Handler, Future_>(
    state: Arc<State>,
    handler: Handler,
    errors: ErrorFormat,
    request: Request,
) -> Response<Body>
where
    Handler: Fn(Arc<State>, Invocation, Request) -> Future_,
    Future_: Future<Output = Answer>,
{
    let begun = Instant::now();
    let lambda = request.lambda_context();
    let invocation =
        Invocation { request_id: lambda.request_id.clone(), deadline: request_deadline(lambda.deadline) };
    let span = tracing::info_span!("request", request_id = %invocation.request_id);
    let request_id = invocation.request_id.clone();
    let answered = async {
        let (method, headers) = (request.method().clone(), request.headers().clone());
        let path = request.uri().path().to_owned();
        // The handler may panic while it is called, not only while it is awaited.
        let caught =
            AssertUnwindSafe(async move { handler(state, invocation, request).await }).catch_unwind().await;
        let result = caught.unwrap_or_else(|_| {
            tracing::error!("panic");
            Err(PublicError::Internal.into())
        });
        let mut response = result.unwrap_or_else(|HandlerError { public, cause }| {
            if let Some(cause) = cause {
                tracing::error!(error = %ErrorChain(cause.as_ref()), "request failed");
            }
            render(&public, errors, &headers, &request_id)
        });
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-request-id", value);
        }
        if method == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        if response.status().is_server_error() {
            metrics::count(Metric::ServerErrors);
        }
        tracing::info!(
            %method,
            path,
            status = response.status().as_u16(),
            duration_ms = begun.elapsed().as_secs_f64() * 1000.0,
            "answered"
        );
        response
    };
    metrics::measured(&request_id, answered.instrument(span)).await
}

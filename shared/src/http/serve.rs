//! The life of a function that serves HTTP: starting, answering requests, shutting down.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use lambda_http::http::{HeaderValue, Method};
use lambda_http::request::RequestContext;
use lambda_http::{Adapter, Body, Request, RequestExt as _, Response, service_fn};
use lambda_runtime::tower::ServiceExt as _;
use tessera_postgres::{Database, Deadline, ErrorChain, TrustStore};
use tracing::Instrument as _;

use super::error::{HandlerError, PublicError};
use super::event;
use super::problem::{ErrorFormat, render};
use super::response::HandlerResult;
use crate::config::{ConfigError, Environment};
use crate::invocation::request_deadline;
use crate::metrics::{self, Metric};
use crate::process;

/// How long connecting ahead of the first request may take, of the 10 s that Lambda gives the init phase
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>).
const INIT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The parts of a function, which its `main` builds in the init phase.
pub struct App<State> {
    /// What all requests of a container share.
    pub state: Arc<State>,
    /// The function's database, if it has one.
    pub database: Option<Arc<Database>>,
    /// The format of the function's errors.
    pub errors: ErrorFormat,
}

/// What a handler knows of an invocation besides the request.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Lambda's id of this invocation, which callers see as `requestId`.
    pub request_id: String,
    /// When work in the database must have ended.
    pub deadline: Deadline,
}

/// Is the `main` of a function that serves HTTP. `start` builds the function's parts in the init phase, before there
/// are threads, so that no request has to wait for them; `handler` answers each request.
///
/// A wrong configuration ends the process with one log line that names the variable.
pub fn serve<State, Handler, Future_>(
    start: fn(&Environment, &Arc<TrustStore>) -> Result<App<State>, ConfigError>,
    handler: Handler,
) -> ExitCode
where
    State: Send + Sync + 'static,
    Handler: Fn(Arc<State>, Invocation, Request) -> Future_ + Clone + Send + Sync + 'static,
    Future_: Future<Output = HandlerResult> + Send + 'static,
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
    Future_: Future<Output = HandlerResult> + Send + 'static,
{
    let App { state, database, errors } = app;
    if let Some(database) = database {
        if connects_at_init {
            database.connect(Deadline::after(INIT_CONNECT_TIMEOUT)).await;
        }
        lambda_runtime::spawn_graceful_shutdown_handler(async move || database.close().await).await;
    }
    let service = service_fn(move |request: Request| {
        let (state, handler) = (Arc::clone(&state), handler.clone());
        async move { Ok::<_, lambda_http::Error>(answer(state, handler, errors, request).await) }
    });
    lambda_runtime::run_concurrent(Adapter::from(service).map_request(event::clean)).await
}

async fn answer<State, Handler, Future_>(
    state: Arc<State>,
    handler: Handler,
    errors: ErrorFormat,
    request: Request,
) -> Response<Body>
where
    Handler: Fn(Arc<State>, Invocation, Request) -> Future_,
    Future_: Future<Output = HandlerResult>,
{
    let begun = Instant::now();
    let lambda = request.lambda_context();
    let deadline = request_deadline(lambda.deadline, received_ms(&request));
    let invocation = Invocation { request_id: lambda.request_id.clone(), deadline };
    let span = tracing::info_span!("request", request_id = %invocation.request_id);
    let request_id = invocation.request_id.clone();
    let answered = async {
        let (method, headers) = (request.method().clone(), request.headers().clone());
        let path = request.uri().path().to_owned();
        // The handler may panic while it is called, not only while it is awaited.
        let outcome = async move {
            refuse_empty_address(&request)?;
            handler(state, invocation, request).await
        };
        let caught = AssertUnwindSafe(outcome).catch_unwind().await;
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
    metrics::record(&request_id, answered.instrument(span)).await
}

/// Refuses a request whose address [`event::clean`] has emptied.
fn refuse_empty_address(request: &Request) -> Result<(), PublicError> {
    match request.raw_http_path() {
        "" => Err(PublicError::Malformed("The address may have 10,240 bytes.")),
        _ => Ok(()),
    }
}

/// When API Gateway received the request, in milliseconds since 1970.
fn received_ms(request: &Request) -> Option<u64> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => {
            u64::try_from(context.time_epoch).ok().filter(|&received_ms| received_ms > 0)
        }
        _ => None,
    }
}

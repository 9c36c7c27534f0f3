//! The life of a function that a schedule invokes, which has no request and no caller.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::IgnoredAny;
use tessera_postgres::{Database, DatabaseError, TrustStore};
use tracing::Instrument as _;

use crate::config::{ConfigError, Environment};
use crate::http::Invocation;
use crate::invocation::scheduled_deadline;
use crate::{metrics, process};

/// The parts of a scheduled function, which its `main` builds in the init phase.
pub struct Scheduled<State> {
    /// What all runs of a container share.
    pub state: Arc<State>,
    /// The function's database.
    pub database: Arc<Database>,
}

/// Is the `main` of a scheduled function. `start` builds the function's parts in the init phase, before there are
/// threads. What `work` returns is the result of the invocation; if it fails, the error is logged, and Lambda counts
/// the invocation as failed.
///
/// A wrong configuration ends the process with one log line that names the variable.
pub fn run_on_schedule<State, Work, Future_, Report>(
    start: fn(&Environment, &Arc<TrustStore>) -> Result<Scheduled<State>, ConfigError>,
    work: Work,
) -> ExitCode
where
    State: Send + Sync + 'static,
    Work: Fn(Arc<State>, Invocation) -> Future_ + Clone + Send + Sync + 'static,
    Future_: Future<Output = Result<Report, DatabaseError>> + Send + 'static,
    Report: Serialize + Send + 'static,
{
    process::run::<Work, _, _>(start, async |Scheduled { state, database }| {
        lambda_runtime::spawn_graceful_shutdown_handler(async move || database.close().await).await;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<IgnoredAny>| {
            run_once(Arc::clone(&state), work.clone(), event.context)
        }))
        .await
    })
}

async fn run_once<State, Work, Future_, Report>(
    state: Arc<State>,
    work: Work,
    lambda: lambda_runtime::Context,
) -> Result<Report, &'static str>
where
    Work: Fn(Arc<State>, Invocation) -> Future_,
    Future_: Future<Output = Result<Report, DatabaseError>>,
{
    let deadline = scheduled_deadline(lambda.deadline);
    let span = tracing::info_span!("run", request_id = %lambda.request_id);
    let request_id = lambda.request_id.clone();
    let invocation = Invocation { request_id: lambda.request_id, deadline };
    let run = async move {
        let caught = AssertUnwindSafe(async move { work(state, invocation).await }).catch_unwind().await;
        match caught {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(error)) => {
                tracing::error!(%error, "database: given up");
                Err("the database did not do what was asked")
            }
            Err(_) => {
                tracing::error!("panic");
                Err("panic")
            }
        }
    };
    metrics::record(&request_id, run.instrument(span)).await
}

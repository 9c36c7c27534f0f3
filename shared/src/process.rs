//! The life of a function's process: its parts are built before there are threads, then it waits for invocations.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use tessera_postgres::TrustStore;

use crate::config::{ConfigError, Environment};
use crate::telemetry;

/// Builds the function's parts with `start`, in Lambda's init phase, and serves invocations with `run` until the
/// container is shut down. `Function` is any type of the function's own crate, such as its handler, by which the lines
/// of that crate are logged.
///
/// A wrong configuration ends the process with one log line that names the variable.
pub fn run<Function, App, Error: Display>(
    start: impl FnOnce(&Environment, &Arc<TrustStore>) -> Result<App, ConfigError>,
    run: impl AsyncFnOnce(App) -> Result<(), Error>,
) -> ExitCode {
    let trust = Arc::new(TrustStore::prepare());
    let environment = Environment::from_process();
    let app = match telemetry::start::<Function>(&environment).and_then(|()| start(&environment, &trust)) {
        Ok(app) => app,
        Err(error) => {
            tracing::error!(%error, "configuration");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives a thread what it needs to wait for I/O");
    match runtime.block_on(run(app)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "runtime");
            ExitCode::FAILURE
        }
    }
}

//! The life of a function's process: what it is made of is built before any thread, then it waits for Lambda.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use tessera_postgres::TrustStore;

use crate::config::{ConfigError, Environment};
use crate::telemetry;

/// Builds with `start`, in Lambda's init phase, and is at work in `run` until the container ends. `Function` is any type of
/// the function's own crate, such as its handler: by its path the log knows which lines are the function's.
///
/// A wrong configuration ends the process with one line that names the variable.
pub fn run<Function, App, Error: Display>(
    start: impl FnOnce(&Environment, &Arc<TrustStore>) -> Result<App, ConfigError>,
    run: impl AsyncFnOnce(App) -> Result<(), Error>,
) -> ExitCode {
    let trust = Arc::new(TrustStore::prepare());
    let environment = Environment::from_process();
    let app = match telemetry::start(&environment, crate_of::<Function>())
        .and_then(|()| start(&environment, &trust))
    {
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

/// The name of the crate in which a type was made.
fn crate_of<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.split("::").next().unwrap_or(path)
}

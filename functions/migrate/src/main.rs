//! The database's schema, up, down and where it stands, from where the database is.
//!
//! A deployment invokes it through the template's custom resource, an operator with `aws lambda invoke`; no route of the
//! API leads here.

mod handler;
mod stack;

use std::process::ExitCode;
use std::sync::Arc;

use handler::State;
use lambda_runtime::service_fn;
use shared::config::{ConfigError, Environment};
use shared::telemetry;
use tessera_postgres::TrustStore;

fn main() -> ExitCode {
    // Before the trust store: that one leaves OpenSSL without the system's authorities, which S3's certificate needs.
    let client = reqwest::Client::new();
    let state = match start(client) {
        Ok(state) => Arc::new(state),
        Err(error) => {
            tracing::error!(%error, "configuration");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives a thread what it needs to wait for I/O");
    let served = runtime
        .block_on(lambda_runtime::run(service_fn(move |event| handler::handle(Arc::clone(&state), event))));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "runtime");
            ExitCode::FAILURE
        }
    }
}

fn start(client: reqwest::Client) -> Result<State, ConfigError> {
    let trust = TrustStore::prepare();
    let environment = Environment::of_process();
    telemetry::start(&environment)?;
    Ok(State { config: environment.direct_database()?, trust, client })
}

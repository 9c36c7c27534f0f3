//! The function `migrate`: applies, reverts and lists the migrations of the database, from inside the database's
//! network.
//!
//! A deployment invokes it through the template's custom resource, an operator with `aws lambda invoke`; no route of
//! the API leads here.

mod handler;
mod stack;

use std::process::ExitCode;
use std::sync::Arc;

use handler::State;
use lambda_runtime::service_fn;
use shared::process;

fn main() -> ExitCode {
    // Before the trust store is prepared, after which OpenSSL no longer loads the system's authorities, by which the
    // certificate of S3 is verified.
    let client = reqwest::Client::new();
    process::run::<State, _, _>(
        |environment, trust| {
            let trust = Arc::clone(trust);
            Ok(Arc::new(State { config: environment.direct_database(), trust, client }))
        },
        async |state| {
            lambda_runtime::run(service_fn(move |event| handler::handle(Arc::clone(&state), event))).await
        },
    )
}

//! The function `qr-generate`: everything under `/qr`, where codes are created, listed, edited, drawn and counted.

mod api_request;
mod create;
mod cursor;
mod edit;
mod get;
mod handler;
mod history;
mod image;
mod list;
mod page;
mod scans;

use std::process::ExitCode;
use std::sync::Arc;

use api_request::State;
use shared::http::{App, ErrorFormat, serve};
use tessera_postgres::Database;

fn main() -> ExitCode {
    serve(
        |environment, trust| {
            let primary = Database::new(environment.database()?, trust)?;
            let replica = environment.replica().map(|config| Database::new(config, trust));
            let database = Arc::new(primary.with_replica(replica.transpose()?));
            let state = State {
                database: Arc::clone(&database),
                base: environment.public_base_url()?,
                anonymous_owner: environment.anonymous_owner(),
            };
            Ok(App { state: Arc::new(state), database: Some(database), errors: ErrorFormat::Json })
        },
        handler::handle,
    )
}

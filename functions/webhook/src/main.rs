//! The function `webhook`: verifies the sender of a webhook, then stores its events, applies their effects and queues
//! them for forwarding, in one statement.

mod handler;

use std::process::ExitCode;
use std::sync::Arc;

use handler::State;
use shared::http::{App, ErrorFormat, serve};
use shared::webhook::source_cache::SourceCache;
use tessera_postgres::Database;

fn main() -> ExitCode {
    serve(
        |environment, trust| {
            let database = Arc::new(Database::new(environment.database()?, trust)?);
            let sources = SourceCache::from_environment(environment)?;
            let state = State { database: Arc::clone(&database), sources };
            Ok(App { state: Arc::new(state), database: Some(database), errors: ErrorFormat::Json })
        },
        handler::handle,
    )
}

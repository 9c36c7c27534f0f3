//! The function `health`: reports whether the installation works, and if not, why.

mod handler;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use report::State;
use shared::http::{App, ErrorFormat, serve};
use tessera_postgres::Database;

fn main() -> ExitCode {
    serve(
        |environment, trust| {
            let database = Arc::new(Database::lazy(environment.database()?, trust));
            let replica = environment.replica().map(|config| Database::lazy(config, trust));
            let state = State { primary: Arc::clone(&database), replica };
            Ok(App { state: Arc::new(state), database: Some(database), errors: ErrorFormat::Json })
        },
        handler::handle,
    )
}

//! The function `qr-redirect`, the hot path: finds a code's target and records the scan, in one statement.

mod handler;

use std::process::ExitCode;
use std::sync::Arc;

use shared::http::{App, ErrorFormat, serve};
use tessera_postgres::Database;

fn main() -> ExitCode {
    serve(
        |environment, trust| {
            let database = Arc::new(Database::new(environment.database()?, trust)?);
            Ok(App { state: Arc::clone(&database), database: Some(database), errors: ErrorFormat::Page })
        },
        handler::handle,
    )
}

//! Whether the installation works, and if not, why.

mod handler;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use handler::State;
use shared::config::DatabaseConfig;
use shared::database::Database;
use shared::http::{App, ErrorFormat, serve};

fn main() -> ExitCode {
    serve(
        |environment, trust| {
            let database = Arc::new(Database::late(DatabaseConfig::primary(environment)?, trust));
            let replica = DatabaseConfig::replica(environment).map(|config| Database::late(config, trust));
            let state = State { database: Arc::clone(&database), replica };
            Ok(App { state: Arc::new(state), database: Some(database), errors: ErrorFormat::Json })
        },
        handler::handle,
    )
}

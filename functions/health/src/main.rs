//! Whether the installation works, and if not, why.

mod handler;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use report::Databases;
use shared::http::{App, ErrorFormat, serve};
use tessera_postgres::Database;

fn main() -> ExitCode {
    serve(
        |environment, trust| {
            let database = Arc::new(Database::lazy(environment.database()?, trust));
            let replica = environment.replica().map(|config| Database::lazy(config, trust));
            let databases = Databases { primary: Arc::clone(&database), replica };
            Ok(App { state: Arc::new(databases), database: Some(database), errors: ErrorFormat::Json })
        },
        handler::handle,
    )
}

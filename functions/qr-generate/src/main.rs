//! Codes: create, list, edit, image, numbers.

mod handler;

use std::process::ExitCode;
use std::sync::Arc;

use handler::State;
use shared::config::DatabaseConfig;
use shared::database::Database;
use shared::http::{App, ErrorFormat, serve};

fn main() -> ExitCode {
    serve(
        |environment, trust| {
            let primary = Database::new(DatabaseConfig::primary(environment)?, trust)?;
            let replica = DatabaseConfig::replica(environment).map(|config| Database::new(config, trust));
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

//! The function `worker`: delivers jobs until none is due or time is up. A schedule starts it, by default once a
//! minute.

mod deliver;
mod retry_after;
mod run;
mod ssrf;

use std::process::ExitCode;
use std::sync::Arc;

use run::State;
use shared::scheduled::{Scheduled, run_on_schedule};
use shared::webhook::source_cache::SourceCache;
use tessera_postgres::Database;

fn main() -> ExitCode {
    run_on_schedule(
        |environment, trust| {
            let database = Arc::new(Database::new(environment.database()?, trust)?);
            let state = State {
                database: Arc::clone(&database),
                sources: SourceCache::from_environment(environment)?,
                settings: environment.worker()?,
                trust: Arc::clone(trust),
            };
            Ok(Scheduled { state: Arc::new(state), database })
        },
        run::run,
    )
}

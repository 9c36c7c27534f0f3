//! Which functions were found missing a moment ago, so that not every call asks for them in vain.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::statement::Statement;

/// How long a statement is sent as text before its function is called again: it may have been installed since.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// The statements whose functions were missing, by name, and when that was found.
#[derive(Debug, Default)]
pub(crate) struct MissingPlans(Mutex<HashMap<&'static str, Instant>>);

impl MissingPlans {
    /// The server knows no such function.
    pub(crate) fn note(&self, statement: &Statement) {
        tracing::warn!(
            statement = statement.name,
            "database: the plan is not kept in the database, the statement is sent as text; `migrate up` installs it"
        );
        self.found().insert(statement.name, Instant::now());
    }

    /// Whether that was found a moment ago.
    pub(crate) fn contains(&self, statement: &Statement) -> bool {
        self.found().get(statement.name).is_some_and(|at| at.elapsed() < ASK_AGAIN_AFTER)
    }

    fn found(&self) -> MutexGuard<'_, HashMap<&'static str, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

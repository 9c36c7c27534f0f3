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
    /// Records that the server has no function for this statement, and logs it.
    pub(crate) fn record(&self, statement: &Statement) {
        tracing::warn!(
            statement = statement.name,
            "database: the plan is not kept in the database, the statement is sent as text; `migrate up` installs it"
        );
        self.lock().insert(statement.name, Instant::now());
    }

    /// Whether the function of this statement was missing within the last minute.
    pub(crate) fn contains(&self, statement: &Statement) -> bool {
        self.lock().get(statement.name).is_some_and(|at| at.elapsed() < ASK_AGAIN_AFTER)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

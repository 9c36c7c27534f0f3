//! Plans that are kept in the database.
//!
//! A statement that goes out unnamed is planned with each call, which for a statement of five tables costs more than to
//! carry it out. A named, prepared statement would be planned once, but does not survive a transaction pooler. So the text
//! of each statement with [`Plan::Kept`] is kept in the database as a PL/pgSQL function:
//! PostgreSQL keeps the plans of a function's statements with its session
//! (<https://www.postgresql.org/docs/current/plpgsql-implementation.html#PLPGSQL-PLAN-CACHING>), and what goes over the wire
//! is still one unnamed statement, which calls it.
//!
//! The name of a function ends in a hash of all that it is made of, so that the code of two releases, side by side during
//! a deployment, finds each its own. One that is missing is no error: the text is sent instead.

pub(crate) mod calls;
pub(crate) mod function;
#[cfg(feature = "direct")]
mod install;
pub(crate) mod missing;

use crate::statement::{Plan, Statement};

/// The name of the function that keeps the statement's plan, without schema; `None` if its plan is not kept.
#[must_use]
pub fn function_of(statement: &Statement) -> Option<String> {
    (statement.plan == Plan::Kept).then(|| function::name(statement))
}

#[cfg(feature = "direct")]
pub use install::{InstallError, PlanState, PlanStatus, install, remove, status};

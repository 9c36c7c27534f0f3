//! Migrations of the database's schema: applying, reverting and listing them.
//!
//! A migration is **one simple-query message**, which PostgreSQL runs as one implicit transaction
//! (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT>): it takes a
//! transaction-level advisory lock, records its version, and runs its SQL. So two runs at once are safe, a crash leaves
//! nothing half done, a transaction pooler may stand in between, and a migration whose answer was lost may be sent
//! again. A migration must therefore not contain `BEGIN` or `COMMIT`. It waits for a lock only shortly, since whoever
//! comes after it waits behind it, and tries again until a deadline.
//!
//! The other kind is one statement that makes or drops an index `CONCURRENTLY`, which `concurrently` runs.
//!
//! This is code of our own because refinery cannot revert, and sqlx would bring a second driver with its own TLS.
//! Besides `tessera-postgres`, this is the only module that talks to tokio-postgres.

mod concurrently;
mod embedded;
mod error;
mod index_change;
mod run;
mod status;
mod step;
mod transaction;

pub use embedded::{MIGRATIONS, Migration};
pub use error::MigrationError;
pub use run::{down, down_with, up, up_with};
pub use status::{State, Status, status, status_with};

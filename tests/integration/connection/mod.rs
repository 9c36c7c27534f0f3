//! What the connection core promises: which faults a request survives, at how many round trips, and what is left on the
//! server. docs/promises.md lists each promise with its test.

mod cold_database;
mod concurrent_transactions;
mod container_lifecycle;
pub(crate) mod containers;
mod direct_connection;
mod failover;
mod failure_table;
mod kept_plans;
pub(crate) mod midstatement;
mod outage;
mod replica;
pub(crate) mod round_trips;
mod secret_rotation;
mod shared_connection;
mod soak;
mod statement_deadline;
mod thaw;
mod tls;

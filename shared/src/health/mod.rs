//! Whether the installation works: one statement gathers facts, and pure functions check them.
//!
//! The facts come from the database, because one container's memory says nothing about the others on Lambda. The
//! `health` function and `cargo tessera doctor` run the same checks, so that both report the same trouble in the same
//! words.

mod advice;
pub mod check;
mod checks;
mod expected_schema;
pub mod facts;
mod permission;
mod prometheus;
mod replica;
mod report;

pub use advice::advice;
pub use check::{Check, Status, Verdict};
pub use expected_schema::{MIGRATIONS, TABLES};
pub use facts::Facts;
pub use permission::{Permission, permission};
pub use prometheus::{CONTENT_TYPE, render as prometheus};
pub use replica::{REPLICA, check_from_replica_row, replica};
pub use report::{Detail, REPORT, Report, parse_facts, report};

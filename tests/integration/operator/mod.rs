//! What an operator sees: `cargo tessera`, the reports of `health`, metrics, and the queries of docs/queries.sql.

mod commands;
pub(crate) mod doctor;
pub(crate) mod doctor_and_health;
mod doctor_database;
mod finds_database;
pub(crate) mod health;
pub(crate) mod jobs_and_alerts;
pub(crate) mod metrics;
mod queries;
mod roles;
mod smoke;

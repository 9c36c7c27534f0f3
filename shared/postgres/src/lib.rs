#![doc = include_str!("../README.md")]

mod cancel;
pub mod config;
mod connection;
mod database;
pub mod deadline;
#[cfg(feature = "direct")]
pub mod direct;
mod endpoint;
pub mod failure;
pub mod observer;
pub mod plans;
pub mod retry;
pub mod secrets;
pub mod statement;
pub mod tls;
pub mod url;

pub use config::{ConfigError, DatabaseConfig};
pub use database::Database;
pub use deadline::Deadline;
pub use failure::{DatabaseError, Diagnosis, ErrorChain, Failure, FailureKind, Phase};
pub use statement::{IdempotentBy, Parameters, Plan, Statement};
pub use tls::TrustStore;
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{Json, ToSql, Type};

/// The target of this crate's log lines, for filters that let them through by name.
pub const LOG_TARGET: &str = module_path!();

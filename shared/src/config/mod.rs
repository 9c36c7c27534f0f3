//! Configuration from the environment, typed and checked once, in the init phase.
//!
//! An error names the variable and what is wrong with it, and never shows its value. No other module of this crate reads
//! variables; `tessera-postgres` looks at `SSL_CERT_FILE` and `SSL_CERT_DIR`, and the AWS SDK at its own:
//!
//! | Variable | Default | Read by |
//! |---|---|---|
//! | `DATABASE_URL`, `DATABASE_SECRET_ARN` | required, one of them | [`Environment::database`] |
//! | `DATABASE_READ_URL`, `DATABASE_READ_SECRET_ARN` | no replica | [`Environment::replica`] |
//! | `DIRECT_URL`, `DIRECT_URL_SECRET_ARN` | as the database | [`Environment::direct_database`] |
//! | `DATABASE_CA` | the system's authorities | each of the above |
//! | `PUBLIC_BASE_URL`, `ALLOW_EXECUTE_API_HOST` | required where codes are created | [`Environment::public_base_url`] |
//! | `ANONYMOUS_OWNER` | nobody | [`Environment::anonymous_owner`] |
//! | `WEBHOOK_SOURCES`, `WEBHOOK_SOURCES_SECRET_ARN` | no sources | [`Environment::webhook_sources`] |
//! | `WORKER_CONCURRENCY`, `WORKER_TIMEOUT_SECONDS`, `WORKER_ALLOW_LOOPBACK` | 3, 10, `false` | [`Environment::worker`] |
//! | `RETENTION_PAYLOAD_DAYS`, `RETENTION_JOB_DAYS`, `RETENTION_ALERT_DAYS` | 30, 30, 90 | [`Environment::worker`] |
//! | `TESSERA_CONNECT` | `lazy` | [`Environment::connects_at_init`] |
//! | `TESSERA_LOG`, `TESSERA_LOG_FORMAT` | `info`, `json` | [`Environment::log_level`], [`Environment::log_format`] |
//! | `TESSERA_STAGE` | `dev` | [`Environment::stage`] |
//!
//! Lambda itself sets `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`, by which the worker bounds a claim, and
//! `AWS_LAMBDA_FUNCTION_NAME`, `AWS_LAMBDA_FUNCTION_VERSION` and `AWS_LAMBDA_LOG_STREAM_NAME`, which
//! become the database's `application_name` and the metrics' dimension.

mod database;
mod environment;
mod error;
mod logging;
mod public_base_url;
mod worker;

pub use environment::Environment;
pub use error::ConfigError;
pub use logging::{LogFormat, LogLevel};
pub use worker::{Retention, WorkerSettings};

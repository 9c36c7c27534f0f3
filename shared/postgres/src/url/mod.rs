//! Reads the connection strings of all providers for tokio-postgres.
//!
//! These are accepted as they are copied from a console: libpq's URLs and `key=value` text, the URLs of Prisma,
//! `SQLAlchemy`, node and JDBC, .NET's `Key=Value;` text, each with the quotes, the `DATABASE_URL=` or the `psql` that
//! was copied along.
//!
//! It takes three steps: text becomes keys and values (`clipboard`, `dialect`, `url_form`, `keyword_form`), these
//! become typed `parameters`, and conflicts between parameters are resolved (`resolve`).

mod clipboard;
mod database_url;
mod dialect;
mod error;
mod host;
mod keepalives;
mod keyword_form;
mod options;
mod parameters;
mod provider;
mod rds_secret;
mod resolve;
mod ssl_mode;
mod url_form;
mod warning;

#[cfg(test)]
mod tests;

pub use database_url::DatabaseUrl;
use dialect::{Dialect, Setting};
pub use error::DatabaseUrlError;
pub use host::Host;
use keepalives::Keepalives;
pub use provider::Pooler;
pub use rds_secret::RdsSecret;
pub use ssl_mode::{RootCert, SslMode, Verification};
pub use warning::Warning;

//! What Tessera's functions share: configuration, HTTP, and the domain.
//!
//! A request passes three stations: `functions/X/src/handler.rs`, the domain module here with its SQL, and the crate
//! `tessera-postgres`.
//!
//! - The domain: [`qr`] (codes and their scans), [`webhook`] (intake), [`jobs`] (deliveries that are queued), [`alerts`].
//!   Its errors keep their cause and know no HTTP.
//! - HTTP: [`http`] reads callers and preconditions, and renders errors; [`request`] and [`fields`] are what the domain
//!   knows of it.
//! - The life of a function: [`process`], [`http::serve`], [`scheduled`], [`invocation`], [`config`], [`metrics`].
//! - The installation: [`schema`] ([`migrations`] and kept plans), [`roles`] and their [`grants`], [`health`], and [`statements`], the list of every
//!   statement that is sent to the database.

pub mod alerts;
pub mod clock;
pub mod config;
pub mod digits;
pub mod fields;
#[cfg(feature = "migrations")]
pub mod grants;
pub mod health;
pub mod http;
pub mod invocation;
pub mod jobs;
pub mod metrics;
#[cfg(feature = "migrations")]
pub mod migrations;
pub mod process;
pub mod qr;
pub mod request;
pub mod roles;
pub mod scheduled;
#[cfg(feature = "migrations")]
pub mod schema;
pub mod spreadsheet;
pub mod statements;
mod telemetry;
pub mod webhook;

/// The target of this crate's log lines.
const LOG_TARGET: &str = module_path!();

//! What Tessera's functions share: configuration, the one database connection, and the domain.
//!
//! The way of a request is three files: `functions/X/src/handler.rs`, the domain module here
//! ([`qr`], [`webhook`]) with its SQL, and [`database`].

pub mod alerts;
pub mod clock;
pub mod config;
pub mod digits;
pub mod fields;
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
pub mod scheduled;
pub mod statements;
mod telemetry;
pub mod webhook;

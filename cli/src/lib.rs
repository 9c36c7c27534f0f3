//! Tessera's two command lines: [`dev`] is `cargo dev`, for its developers; the rest is `cargo tessera`, for its
//! operators.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

pub mod alerts;
pub mod check_output;
pub mod connect;
pub mod dev;
pub mod doctor;
pub mod jobs;
pub mod keys;
pub mod migrate;
mod operator;
pub mod roles;
pub mod smoke;
pub mod table;
pub mod warnings;

//! Every integration test, as one binary: it links once and shares one PostgreSQL.

mod api;
mod connection;
mod deployment;
mod docs;
mod harness;
mod invariants;
mod operator;
mod webhook;
mod worker;

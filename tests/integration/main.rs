//! Every integration test, as one binary: it links once and shares one PostgreSQL.

mod codes;
mod functions;
mod harness_cleaning;
mod harness_lambda;
mod harness_pgbouncer;
mod harness_postgres;
mod harness_proxy;
mod idempotency;
mod images;
mod input;
mod invariants;
mod keys;
mod late;
mod migrate;
mod migrations;
mod operator;
mod redirects;
mod replica;
mod round_trips;
mod scans;
mod symbol;
mod webhook;
mod webhook_sender;
mod webhook_signatures;

//! Tests of the harness itself: its servers, its stand-in for Lambda and its proxy do what other tests rely on.

mod cleanup;
mod lambda;
mod pgbouncer;
mod postgres;
mod proxy;

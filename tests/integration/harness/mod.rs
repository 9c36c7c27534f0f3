//! The harness itself: its servers, its stand-in for Lambda and its proxy do what the other tests build on.

mod cleanup;
mod lambda;
mod pgbouncer;
mod postgres;
mod proxy;

//! The queue of jobs: events that are to be forwarded, and are delivered until the receiver has accepted them.
//!
//! A run of the worker repeats [`claim::claim`], a delivery for each job, and [`finish::finish`], until no job is due.

pub mod claim;
pub mod finish;
pub mod redact;
pub mod retention;
pub mod schedule;

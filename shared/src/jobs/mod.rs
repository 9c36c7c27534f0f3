//! Jobs: events promised to be forwarded, delivered until done.
//!
//! A run of the worker is [`claim::claim`], a delivery for each job, [`finish::finish`], and so on until nothing is due.

pub mod claim;
pub mod finish;
pub mod redact;
pub mod retention;
pub mod schedule;

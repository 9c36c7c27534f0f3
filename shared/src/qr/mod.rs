//! Dynamic QR codes: their fields and rules, and the operations on them with their statements.

pub mod code;
pub mod consistency;
pub mod create;
pub mod edit;
pub mod error;
pub mod id;
pub mod input;
pub mod list;
pub mod read;
pub mod scan;
pub mod scan_stats;
pub mod short_url;
pub mod target;
mod verdict;
pub mod visit;

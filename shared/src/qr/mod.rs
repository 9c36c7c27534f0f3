//! Dynamic QR codes: what they are, the rules for them, their statements, and the symbol.

pub mod code;
pub mod consistency;
pub mod create;
pub mod edit;
pub mod error;
pub mod id;
pub mod input;
pub mod read;
pub mod scan;
pub mod scan_stats;
pub mod symbol;
pub mod target;
mod verdict;
pub mod visit;

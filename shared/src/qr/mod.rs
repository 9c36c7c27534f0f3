//! Dynamic QR codes: what they are, the rules for them, their statements, and the symbol.

pub mod code;
pub mod consistency;
pub mod create;
pub mod edit;
pub mod id;
pub mod input;
pub mod numbers;
pub mod read;
pub mod scan;
pub mod symbol;
pub mod target;
mod verdict;
pub mod visit;

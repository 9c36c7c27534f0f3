//! The one connection of a container.

pub mod statement;
pub mod tls;

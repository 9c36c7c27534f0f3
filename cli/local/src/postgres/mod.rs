//! PostgreSQL's programs, and servers that run them.

mod installation;
mod server;

pub use installation::{BIN_VARIABLE, Installation, OLDEST};
pub use server::is_ready;

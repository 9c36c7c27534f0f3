//! Configuration from the environment, typed and checked once, in the init phase.

pub mod database_url;

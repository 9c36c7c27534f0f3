//! Any provider's connection string, made fit for tokio-postgres.

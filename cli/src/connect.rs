//! A connection for an operator: one, straight, and gone with the command. The database is found as the functions find it.

use std::time::Duration;

use anyhow::{Result, anyhow};
use shared::config::Environment;
use tessera_postgres::{DatabaseConfig, Deadline, Diagnosis, TrustStore, direct};
use tokio_postgres::Client;

/// Time for a database that is starting, or wakes up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the database of `DATABASE_URL` or `DATABASE_SECRET_ARN`.
pub async fn pooled() -> Result<Client> {
    open(Environment::from_process().database()?).await
}

/// Connects past the pooler where there is one, as a long migration would hold one of its few connections: to the
/// database of `DIRECT_URL` or `DIRECT_URL_SECRET_ARN`, else as [`pooled`].
pub async fn direct() -> Result<Client> {
    open(Environment::from_process().direct_database()?).await
}

/// Connects to this database. An error names the variable that leads there and never shows its value.
pub async fn open(config: DatabaseConfig) -> Result<Client> {
    let variable = config.variable;
    let config = DatabaseConfig { application_name: "tessera-cli".to_owned(), ..config };
    let opened = direct::open(&config, &TrustStore::prepare(), Deadline::after(PATIENCE)).await;
    opened.map_err(|failure| match failure.diagnosis() {
        // It begins with the variable.
        Diagnosis::Configuration => anyhow!("{failure}"),
        _ => anyhow!("{variable}: the database cannot be reached: {failure}"),
    })
}

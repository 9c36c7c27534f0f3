//! The connection that migrations run on.

use std::time::Duration;

use anyhow::{Result, anyhow};
use harness::Postgres;
use shared::config::Environment;
use tessera_postgres::{Deadline, TrustStore, direct};

#[tokio::test]
async fn a_direct_connection_lasts_as_long_as_its_client() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let config = Environment::from([("DATABASE_URL", &*database.url())]).direct_database()?;
    let deadline = Deadline::after(Duration::from_secs(10));
    let client = direct::open(&config, &TrustStore::prepare(), deadline)
        .await
        .map_err(|failure| anyhow!("{failure}"))?;
    // Longer than a connection without a client may take to end.
    client.batch_execute("SELECT pg_sleep(1.5)").await?;
    Ok(())
}

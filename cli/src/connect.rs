//! A connection for an operator: one, straight, and gone with the command.

use anyhow::{Context, Result, bail};
use tokio_postgres::{Client, Config, NoTls};

/// Connects to the database that the first of these environment variables names.
///
/// An error names the variable and never shows its value.
pub async fn open_from(variables: &[&str]) -> Result<Client> {
    for variable in variables {
        if let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) {
            return open(&url).await.with_context(|| format!("the database of {variable}"));
        }
    }
    bail!("{} is not set", variables.join(" or "))
}

/// Connects to the database of this URL.
pub async fn open(url: &str) -> Result<Client> {
    let config: Config = url.parse().map_err(|_| anyhow::anyhow!("not a PostgreSQL URL"))?;
    let (client, connection) = config.connect(NoTls).await.context("no connection")?;
    // It ends when the client is dropped; a failure shows in the statement that meets it.
    tokio::spawn(connection);
    Ok(client)
}

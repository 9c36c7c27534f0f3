//! A connection for an operator: one, straight, and gone with the command.

use anyhow::{Context, Result, bail};
use shared::config::database_url::DatabaseUrl;
use tokio_postgres::{Client, NoTls};

/// Connects to the database that the first of these environment variables names.
///
/// An error names the variable and never shows its value.
pub async fn open_from(variables: &[&str]) -> Result<Client> {
    for variable in variables {
        if let Some(url) = std::env::var(variable).ok().filter(|url| !url.trim().is_empty()) {
            return open(variable, &url).await;
        }
    }
    bail!("{} must be set", variables.join(" or "))
}

/// Connects to the database of this URL, which comes from that variable.
pub async fn open(variable: &str, url: &str) -> Result<Client> {
    let url = DatabaseUrl::parse(url).with_context(|| variable.to_owned())?;
    for warning in url.warnings() {
        eprintln!("warning: {variable}: {warning}");
    }
    let mut config = url.to_config();
    config.application_name("tessera-cli");
    let (client, connection) =
        config.connect(NoTls).await.with_context(|| format!("{variable}: the database cannot be reached"))?;
    // It ends when the client is dropped; a failure shows in the statement that meets it.
    tokio::spawn(connection);
    Ok(client)
}

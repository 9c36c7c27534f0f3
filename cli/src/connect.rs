//! A connection for an operator: one, straight, and gone with the command.

use anyhow::{Context, Result, bail};
use tessera_postgres::TrustStore;
use tessera_postgres::url::DatabaseUrl;
use tokio_postgres::{Client, Config, NoTls, Socket, tls::MakeTlsConnect};

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
    let ca = std::env::var("DATABASE_CA").ok().filter(|ca| !ca.trim().is_empty());
    if let Some(warning) = url.unverified_warning(ca.is_some()) {
        eprintln!("warning: {variable}: {warning}");
    }
    let trust = TrustStore::prepare();
    match trust.connector(&url, ca.as_deref()).with_context(|| variable.to_owned())? {
        Some(tls) => connect(&config, tls).await,
        None => connect(&config, NoTls).await,
    }
    .with_context(|| format!("{variable}: the database cannot be reached"))
}

async fn connect<T>(config: &Config, tls: T) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    // It ends when the client is dropped; a failure shows in the statement that meets it.
    tokio::spawn(connection);
    Ok(client)
}

//! A plain connection past the pooler, for migrations, which alone need a session of their own.

use tokio_postgres::Client;

use crate::config::DatabaseConfig;
use crate::deadline::Deadline;
use crate::endpoint::Endpoint;
use crate::failure::{Failure, FailureKind};
use crate::retry::Backoff;
use crate::tls::TrustStore;

/// Opens a connection, and tries again while the database starts or wakes up, until `deadline`. The connection closes
/// when the client is dropped. Fails if the configuration cannot be used or the database refuses the connection.
pub async fn open(
    config: &DatabaseConfig,
    trust: &TrustStore,
    deadline: Deadline,
) -> Result<Client, Failure> {
    let variable = config.variable;
    let text = config
        .source
        .read(deadline)
        .await
        .map_err(|error| Failure::configuration(format!("{variable}: {error}"), Some(error.into())))?;
    let endpoint = Endpoint::new(config, trust, &text)
        .map_err(|error| Failure::configuration(error.to_string(), None))?;
    let mut backoff = Backoff::default();
    loop {
        let failure = match endpoint.connect(deadline).await {
            Ok((client, task)) => {
                task.detach();
                return Ok(client);
            }
            Err(failure) => failure,
        };
        let wait = backoff.next_wait();
        if !failure.kind.is_transient() || failure.kind == FailureKind::Credentials || wait >= deadline.left()
        {
            return Err(failure);
        }
        tracing::warn!(wait_ms = wait.as_millis(), error = %failure, "database: trying again");
        tokio::time::sleep(wait).await;
    }
}

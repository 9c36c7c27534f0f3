//! The address, credentials and TLS of a database, which are kept until the database refuses the credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postgres_native_tls::MakeTlsConnector;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_postgres::config::SslNegotiation;
use tokio_postgres::{CancelToken, Client, Config, NoTls};

use crate::cancel;
use crate::config::{CONNECT_TIMEOUT, ConfigError, DatabaseConfig, STATEMENT_TIMEOUT};
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::secrets::Secret;
use crate::tls::TrustStore;
use crate::url::DatabaseUrl;

/// A database's address, credentials and TLS connector, for any number of connections.
pub(crate) struct Endpoint {
    config: Config,
    tls: Option<MakeTlsConnector>,
    /// Whether the server has refused direct TLS, so that TLS is requested in the usual way.
    direct_refused: AtomicBool,
    connect_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    /// Whether there are signs of a pooler in between.
    pub(crate) pooled: bool,
}

impl Endpoint {
    /// Parses `text`, logs what of it is not obeyed, and builds the TLS connector, which is expensive and therefore
    /// kept.
    pub(crate) fn new(
        config: &DatabaseConfig,
        trust: &TrustStore,
        text: &Secret,
    ) -> Result<Self, ConfigError> {
        let url = config.parse(text)?;
        let authorities = config.authorities.as_deref();
        for warning in url.warnings().iter().chain(&url.unverified_warning(authorities.is_some())) {
            tracing::warn!(variable = config.variable, "{warning}");
        }
        let tls =
            trust.connector(&url, authorities).map_err(|error| ConfigError::new(config.variable, error))?;
        Ok(Self::from_url(&url, tls, &config.application_name))
    }

    fn from_url(url: &DatabaseUrl, tls: Option<MakeTlsConnector>, application_name: &str) -> Self {
        let mut config = url.to_config();
        config.application_name(application_name);
        Self {
            config,
            tls,
            direct_refused: AtomicBool::new(false),
            connect_timeout: url.connect_timeout().unwrap_or(CONNECT_TIMEOUT),
            statement_timeout: url.statement_timeout().unwrap_or(STATEMENT_TIMEOUT),
            pooled: url.pooler().is_some(),
        }
    }

    /// Opens a connection, with one time limit for name resolution, TCP, TLS and authentication.
    pub(crate) async fn connect(&self, deadline: Deadline) -> Result<(Client, ConnectionTask), Failure> {
        let limit = deadline.within(self.connect_timeout).instant();
        match timeout_at(limit, self.open()).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(Failure::connecting(error)),
            Err(_) => Err(Failure::connect_timeout()),
        }
    }

    /// Opens a connection, with direct TLS if that is configured. Direct TLS saves a round trip where the server
    /// supports it (PostgreSQL 17, PgBouncer 1.25, Neon). Others close the connection, and are then sent a TLS request,
    /// which is no less secure: without TLS there is no connection in either case.
    async fn open(&self) -> Result<(Client, ConnectionTask), tokio_postgres::Error> {
        let direct = self.config.get_ssl_negotiation() == SslNegotiation::Direct;
        if !direct {
            return self.open_as(&self.config).await;
        }
        if !self.direct_refused.load(Ordering::Relaxed) {
            match self.open_as(&self.config).await {
                Err(error) if Failure::is_tls(&error) => {}
                opened => return opened,
            }
        }
        let mut asking = self.config.clone();
        asking.ssl_negotiation(SslNegotiation::Postgres);
        let opened = self.open_as(&asking).await?;
        if !self.direct_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "sslnegotiation=direct: this server does not speak direct TLS (PostgreSQL 17 and later do); \
                 connected with a TLS request, which costs a round trip"
            );
        }
        Ok(opened)
    }

    async fn open_as(&self, config: &Config) -> Result<(Client, ConnectionTask), tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                Ok((client, ConnectionTask::spawn(connection)))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                Ok((client, ConnectionTask::spawn(connection)))
            }
        }
    }

    /// Asks the server, over a connection of its own, to cancel what another connection runs.
    pub(crate) async fn cancel(&self, token: CancelToken) -> Result<(), tokio_postgres::Error> {
        cancel::cancel(&self.config, self.tls.as_ref(), token).await
    }
}

/// The task that reads and writes a connection's socket. It ends when the client is dropped and the server has got
/// `Terminate`.
pub(crate) struct ConnectionTask {
    task: JoinHandle<()>,
    /// The client alone decides when it ends.
    is_detached: bool,
}

impl ConnectionTask {
    /// How long a connection whose client is dropped may take to end.
    const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

    fn spawn(connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static) -> Self {
        // The requests that use the connection get the error as well, so that it is only logged for debugging.
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %Failure::connecting(error), "database: connection ended");
            }
        });
        Self { task, is_detached: false }
    }

    /// Closes the socket, so that every request that waits for a response fails.
    pub(crate) fn abort(&self) {
        self.task.abort();
    }

    /// Lets it run for as long as the client is used.
    #[cfg(feature = "direct")]
    pub(crate) fn detach(mut self) {
        self.is_detached = true;
    }

    /// Waits until the connection has ended.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.task).await;
    }
}

/// Ends the task after a while, because a dead connection would wait for ever until `Terminate` is sent.
impl Drop for ConnectionTask {
    fn drop(&mut self) {
        if self.is_detached || self.task.is_finished() {
            return;
        }
        let task = self.task.abort_handle();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(Self::CLOSE_TIMEOUT).await;
                task.abort();
            });
        }
    }
}

/// The endpoint in use, and the source from which its credentials are read again when the database refuses them.
pub(crate) struct EndpointResolver {
    config: DatabaseConfig,
    trust: Arc<TrustStore>,
    current: Mutex<Current>,
}

struct Current {
    endpoint: Option<Arc<Endpoint>>,
    /// How often in a row the database has refused the credentials in the secret.
    refusals: u32,
    /// The time before which the secret is not read again.
    not_before: Instant,
}

impl EndpointResolver {
    /// Parses a connection string from the environment at once; a secret is read at the first use.
    pub(crate) fn new(config: DatabaseConfig, trust: Arc<TrustStore>) -> Result<Self, ConfigError> {
        let endpoint = match config.source.given() {
            Some(text) => Some(Arc::new(Endpoint::new(&config, &trust, text)?)),
            None => None,
        };
        let current = Current { endpoint, refusals: 0, not_before: Instant::now() };
        Ok(Self { config, trust, current: Mutex::new(current) })
    }

    /// Reads and parses nothing before the first use.
    pub(crate) fn lazy(config: DatabaseConfig, trust: Arc<TrustStore>) -> Self {
        let current = Current { endpoint: None, refusals: 0, not_before: Instant::now() };
        Self { config, trust, current: Mutex::new(current) }
    }

    /// Returns the endpoint, and reads the secret if need be. As long as the database refuses the credentials in the
    /// secret, the pauses between reads are those of [`refresh_pause`]. A request that cannot wait for the next read
    /// fails at once, without reading or connecting.
    pub(crate) async fn resolve(&self, deadline: Deadline) -> Result<Arc<Endpoint>, Failure> {
        let mut current = self.current.lock().await;
        if let Some(endpoint) = current.endpoint.as_ref() {
            return Ok(Arc::clone(endpoint));
        }
        let variable = self.config.variable;
        if current.not_before >= deadline.instant() {
            let problem = "the database refuses the secret's user or password, also after it was read again";
            return Err(Failure::configuration(format!("{variable}: {problem}"), None));
        }
        sleep_until(current.not_before).await;
        let text =
            self.config.source.read(deadline).await.map_err(|error| {
                Failure::configuration(format!("{variable}: {error}"), Some(error.into()))
            })?;
        let endpoint = Endpoint::new(&self.config, &self.trust, &text)
            .map_err(|error| Failure::configuration(error.to_string(), None))?;
        Ok(Arc::clone(current.endpoint.insert(Arc::new(endpoint))))
    }

    /// Whether reading the source again may give other credentials.
    pub(crate) fn can_refresh(&self) -> bool {
        self.config.source.given().is_none()
    }

    /// Records that the database has accepted the credentials.
    pub(crate) async fn credentials_accepted(&self) {
        self.current.lock().await.refusals = 0;
    }

    /// Records that the database has refused the credentials of `endpoint`, so that the secret is read again.
    pub(crate) async fn credentials_refused(&self, endpoint: &Arc<Endpoint>) {
        let mut current = self.current.lock().await;
        let in_use = current.endpoint.as_ref().is_some_and(|in_use| Arc::ptr_eq(in_use, endpoint));
        if self.can_refresh() && in_use {
            current.endpoint = None;
            current.not_before = Instant::now() + refresh_pause(current.refusals);
            current.refusals += 1;
        }
    }
}

/// How long to wait before the secret is read again: not at all at first, since a rotation has usually ended by then,
/// and then 1, 2, 4 and up to 60 s. A secret that stays wrong is read 8 times in the first two minutes and once a
/// minute from then on, by each container.
fn refresh_pause(refusals: u32) -> Duration {
    match refusals.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(2_u64.saturating_pow(doublings).min(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_reads_of_a_wrong_secret_double_up_to_a_minute() {
        let pauses: Vec<_> = (0..9).map(|refusals| refresh_pause(refusals).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(refresh_pause(u32::MAX).as_secs(), 60);
        assert_eq!(pauses.iter().take(8).sum::<u64>(), 123, "eight reads in two minutes");
    }
}

//! Where connections are opened to, read once and kept until the database refuses it.

use std::sync::Arc;
use std::time::Duration;

use postgres_native_tls::MakeTlsConnector;
use tokio::task::JoinHandle;
use tokio_postgres::{CancelToken, Client, Config, NoTls};

use super::Failure;
use super::tls::TrustStore;
use crate::config::database_url::DatabaseUrl;
use crate::config::{CONNECT_TIMEOUT, ConfigError, DatabaseConfig, STATEMENT_TIMEOUT};
use crate::deadline::Deadline;
use crate::secrets::Secret;

/// A database's address, credentials and TLS, ready for any number of connections.
pub(super) struct Endpoint {
    config: Config,
    tls: Option<MakeTlsConnector>,
    connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
}

impl Endpoint {
    /// Understands `text`, says what of it is not obeyed, and builds the TLS connector: once, since that is what costs.
    pub(super) fn new(
        config: &DatabaseConfig,
        trust: &TrustStore,
        text: &Secret,
    ) -> Result<Self, ConfigError> {
        let url = config.parse(text)?;
        let authorities = config.authorities.as_deref();
        for warning in url.warnings().iter().chain(&url.unverified_warning(authorities.is_some())) {
            tracing::warn!(variable = config.variable, "{warning}");
        }
        let tls = trust
            .connector(&url, authorities)
            .map_err(|error| ConfigError::malformed(config.variable, error))?;
        Ok(Self::of_url(&url, tls, &config.application_name))
    }

    fn of_url(url: &DatabaseUrl, tls: Option<MakeTlsConnector>, application_name: &str) -> Self {
        let mut config = url.to_config();
        config.application_name(application_name);
        Self {
            config,
            tls,
            connect_timeout: url.connect_timeout().unwrap_or(CONNECT_TIMEOUT),
            statement_timeout: url.statement_timeout().unwrap_or(STATEMENT_TIMEOUT),
        }
    }

    /// Opens a connection: name resolution, TCP, TLS and authentication within one limit.
    pub(super) async fn connect(&self, deadline: Deadline) -> Result<(Client, JoinHandle<()>), Failure> {
        let limit = deadline.within(self.connect_timeout).instant();
        match tokio::time::timeout_at(limit, self.open()).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(Failure::of_connecting(error)),
            Err(_) => Err(Failure::timeout_of_connecting()),
        }
    }

    async fn open(&self) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok((client, drive(connection)))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, drive(connection)))
            }
        }
    }

    /// Asks the server, over a connection of its own, to stop what another one runs.
    pub(super) async fn cancel(&self, token: CancelToken) -> Result<(), tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()).await,
            None => token.cancel_query(NoTls).await,
        }
    }
}

/// What a connection ends with, its users are told; here it is only of use to somebody who looks closely.
fn drive(
    connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %Failure::of_connecting(error), "database: connection ended");
        }
    })
}

/// The endpoint in use, and how to have another.
pub(super) struct Endpoints {
    config: DatabaseConfig,
    trust: Arc<TrustStore>,
    current: tokio::sync::Mutex<Option<Arc<Endpoint>>>,
}

impl Endpoints {
    /// A connection string that was given is checked here and now, in the init phase; a secret is read at first use.
    pub(super) fn new(config: DatabaseConfig, trust: Arc<TrustStore>) -> Result<Self, ConfigError> {
        let current = match config.source.given() {
            Some(text) => Some(Arc::new(Endpoint::new(&config, &trust, text)?)),
            None => None,
        };
        Ok(Self { config, trust, current: tokio::sync::Mutex::new(current) })
    }

    pub(super) async fn current(&self, deadline: Deadline) -> Result<Arc<Endpoint>, Failure> {
        let mut current = self.current.lock().await;
        if let Some(endpoint) = current.as_ref() {
            return Ok(Arc::clone(endpoint));
        }
        let variable = self.config.variable;
        let text =
            self.config.source.read(deadline).await.map_err(|error| {
                Failure::configuration(format!("{variable}: {error}"), Some(error.into()))
            })?;
        let endpoint = Endpoint::new(&self.config, &self.trust, &text)
            .map_err(|error| Failure::configuration(error.to_string(), None))?;
        Ok(Arc::clone(current.insert(Arc::new(endpoint))))
    }

    /// Whether reading again may give other credentials.
    pub(super) fn can_change(&self) -> bool {
        self.config.source.given().is_none()
    }

    /// Reads the secret again next time: the database has refused what it held.
    pub(super) async fn forget(&self) {
        if self.can_change() {
            *self.current.lock().await = None;
        }
    }
}

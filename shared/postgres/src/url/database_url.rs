//! A database to connect to, as a connection string describes it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

use super::dialect::{self, Dialect};
use super::keepalives::Keepalives;
use super::{
    DatabaseUrlError, Host, Pooler, RdsSecret, RootCert, SslMode, Verification, Warning, clipboard,
    parameters, resolve,
};

/// A database to connect to: its servers, the credentials, and how TLS is used.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    pub(super) hosts: Vec<Host>,
    pub(super) hostaddrs: Vec<IpAddr>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) dbname: Option<String>,
    pub(super) ssl_mode: SslMode,
    pub(super) any_certificate: bool,
    pub(super) root_cert: Option<RootCert>,
    pub(super) ssl_negotiation: SslNegotiation,
    pub(super) channel_binding: ChannelBinding,
    pub(super) options: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) statement_timeout: Option<Duration>,
    pub(super) keepalives: Keepalives,
    pub(super) target_session_attrs: TargetSessionAttrs,
    pub(super) load_balance_hosts: LoadBalanceHosts,
    pub(super) pooler: Option<Pooler>,
    pub(super) warnings: Vec<Warning>,
}

impl DatabaseUrl {
    /// Reads a connection string in any dialect.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let (dialect, settings) = dialect::settings(clipboard::strip(text)?)?;
        resolve::resolve(parameters::read(&settings, dialect)?)
    }

    /// Reads the fields of a secret that RDS or Aurora has created.
    pub fn from_rds_secret(secret: &RdsSecret) -> Result<Self, DatabaseUrlError> {
        resolve::resolve(parameters::read(&secret.settings()?, Dialect::Libpq)?)
    }

    /// The servers to try, in order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The role to log in as; `None` means the operating system's user, as in libpq.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, in plain text.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The database's name; `None` means that of the role.
    #[must_use]
    pub fn dbname(&self) -> Option<&str> {
        self.dbname.as_deref()
    }

    /// The TLS mode that follows from all parameters together. `require` becomes `verify-full` where the provider's
    /// certificates are publicly trusted.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    /// The authorities that `sslrootcert` says to trust.
    #[must_use]
    pub fn root_cert(&self) -> Option<&RootCert> {
        self.root_cert.as_ref()
    }

    /// Whether TLS begins with the first byte (`sslnegotiation=direct`), or after the server has agreed to it.
    #[must_use]
    pub fn ssl_negotiation(&self) -> SslNegotiation {
        self.ssl_negotiation
    }

    /// Whether SCRAM authentication is bound to the TLS session.
    #[must_use]
    pub fn channel_binding(&self) -> ChannelBinding {
        self.channel_binding
    }

    /// What is sent as the start-up parameter `options`: behind a pooler, only the routing hints that the pooler itself
    /// reads.
    #[must_use]
    pub fn options(&self) -> Option<&str> {
        self.options.as_deref()
    }

    /// How long connecting to each address may take; `None` leaves it to the caller's deadline.
    #[must_use]
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// How long a statement may take, from `statement_timeout` or the dialect's name for it.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.statement_timeout
    }

    /// The pooler in front of the server, where host, port or parameters show that there is one.
    #[must_use]
    pub fn pooler(&self) -> Option<Pooler> {
        self.pooler
    }

    /// The parameters of the connection string that are not obeyed, each with the reason.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What is verified of the server's certificate; `None` without TLS. As in libpq, the modes `require` and `prefer`
    /// verify the authority if a root certificate is given, by `sslrootcert` or by `DATABASE_CA` (`has_database_ca`).
    #[must_use]
    pub fn verification(&self, has_database_ca: bool) -> Option<Verification> {
        let has_root = has_database_ca || self.root_cert.is_some();
        match self.ssl_mode {
            SslMode::Disable => None,
            SslMode::VerifyFull => Some(Verification::AuthorityAndName),
            SslMode::VerifyCa => Some(Verification::Authority),
            SslMode::Prefer | SslMode::Require if has_root && !self.any_certificate => {
                Some(Verification::Authority)
            }
            SslMode::Prefer | SslMode::Require => Some(Verification::Unverified),
        }
    }

    /// The warning that the server's certificate is not verified, unless the connection string asks for that explicitly
    /// or the server is on this machine. It is not one of the [`warnings`](Self::warnings), because it depends on
    /// `DATABASE_CA`.
    #[must_use]
    pub fn unverified_warning(&self, has_database_ca: bool) -> Option<Warning> {
        let unverified = self.verification(has_database_ca) == Some(Verification::Unverified);
        let remote = !self.hosts.iter().all(Host::is_local);
        (unverified && remote && !self.any_certificate).then_some(Warning::ServerNotVerified)
    }

    /// Makes the configuration for tokio-postgres. The caller adds the `application_name`.
    #[must_use]
    pub fn to_config(&self) -> Config {
        let mut config = Config::new();
        for host in &self.hosts {
            config.host(&host.name).port(host.port);
        }
        for address in &self.hostaddrs {
            config.hostaddr(*address);
        }
        if let Some(user) = &self.user {
            config.user(user);
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(dbname) = &self.dbname {
            config.dbname(dbname);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        if let Some(timeout) = self.connect_timeout {
            config.connect_timeout(timeout);
        }
        self.keepalives.apply(&mut config);
        config
            .ssl_mode(self.ssl_mode.for_driver())
            .ssl_negotiation(self.ssl_negotiation)
            .channel_binding(self.channel_binding)
            .target_session_attrs(self.target_session_attrs)
            .load_balance_hosts(self.load_balance_hosts);
        config
    }
}

/// Shows servers, TLS mode and pooler; leaves out user, password, database and options.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseUrl")
            .field("hosts", &self.hosts)
            .field("ssl_mode", &self.ssl_mode)
            .field("pooler", &self.pooler)
            .finish_non_exhaustive()
    }
}

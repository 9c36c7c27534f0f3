//! Any provider's connection string, made fit for tokio-postgres.
//!
//! Accepted as copied from a console: libpq's URLs and `key=value` text, the URLs of Prisma, `SQLAlchemy`, node and
//! JDBC, .NET's `Key=Value;` text, each with the quotes, the `DATABASE_URL=` or the `psql` that came along.
//!
//! Three steps: text into key and value (`clipboard`, `url_form`, `keyword_form`), keys into typed
//! `parameters`, and these resolved against each other (`resolve`).

mod clipboard;
mod error;
mod keyword_form;
mod options;
mod parameters;
mod provider;
mod rds_secret;
mod resolve;
mod url_form;
mod warning;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

pub use error::DatabaseUrlError;
pub use provider::Pooler;
pub use rds_secret::RdsSecret;
pub use warning::Warning;

/// A database to connect to: where, as whom, how safely.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    hosts: Vec<Host>,
    hostaddrs: Vec<IpAddr>,
    user: Option<String>,
    password: Option<String>,
    dbname: Option<String>,
    ssl_mode: SslMode,
    any_certificate: bool,
    root_cert: Option<RootCert>,
    ssl_negotiation: SslNegotiation,
    channel_binding: ChannelBinding,
    options: Option<String>,
    connect_timeout: Option<Duration>,
    statement_timeout: Option<Duration>,
    keepalives: Keepalives,
    target_session_attrs: TargetSessionAttrs,
    load_balance_hosts: LoadBalanceHosts,
    pooler: Option<Pooler>,
    warnings: Vec<Warning>,
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name, an IP address (without brackets), or the directory of a Unix socket.
    pub name: String,
    /// The TCP port, or the number in the socket's name.
    pub port: u16,
}

/// libpq's `sslmode`, as far as it decides what goes over the wire and what is verified.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it (`allow` too: plain text first protects nobody).
    Prefer,
    /// Always TLS.
    Require,
    /// And the certificate comes from a trusted authority.
    VerifyCa,
    /// And it was made out to this host.
    VerifyFull,
}

/// What is checked of the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Nothing.
    Unverified,
    /// That it comes from a trusted authority.
    Authority,
    /// That it comes from a trusted authority and was made out to the host connected to.
    AuthorityAndName,
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// The authorities that the operating system trusts.
    System,
    /// Those in a PEM file, and no others.
    File(PathBuf),
}

/// TCP keepalives. Unless the connection string says otherwise a dead peer is noticed after 30 + 5 × 10 s.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keepalives {
    enabled: bool,
    idle: Duration,
    interval: Duration,
    count: u32,
    user_timeout: Option<Duration>,
}

impl Default for Keepalives {
    fn default() -> Self {
        let (idle, interval) = (Duration::from_secs(30), Duration::from_secs(10));
        Self { enabled: true, idle, interval, count: 5, user_timeout: None }
    }
}

/// Who wrote the text, where the same words mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Libpq,
    Jdbc,
    Ado,
}

/// A key and its value, decoded, not yet understood.
struct Setting {
    key: String,
    value: String,
}

impl Setting {
    fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl DatabaseUrl {
    /// Reads a connection string of any dialect.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let (dialect, settings) = settings(clipboard::unwrap(text)?)?;
        resolve::resolve(parameters::read(&settings, dialect)?)
    }

    /// From the fields of a secret that RDS or Aurora made.
    pub fn from_rds_secret(secret: &RdsSecret) -> Result<Self, DatabaseUrlError> {
        resolve::resolve(parameters::read(&secret.settings()?, Dialect::Libpq)?)
    }

    /// The servers to try, in order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The role; `None` means the operating system's user, as in libpq.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, in plain text.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The database; `None` means the one named like the role.
    #[must_use]
    pub fn dbname(&self) -> Option<&str> {
        self.dbname.as_deref()
    }

    /// The TLS mode, after resolve every parameter that has a say. `require` has become `verify-full` where the
    /// provider's certificates are publicly trusted.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    /// Whose certificates `sslrootcert` says to trust.
    #[must_use]
    pub fn root_cert(&self) -> Option<&RootCert> {
        self.root_cert.as_ref()
    }

    /// Whether TLS starts at once (`sslnegotiation=direct`) or after asking for it.
    #[must_use]
    pub fn ssl_negotiation(&self) -> SslNegotiation {
        self.ssl_negotiation
    }

    /// Whether the password exchange is bound to the TLS session.
    #[must_use]
    pub fn channel_binding(&self) -> ChannelBinding {
        self.channel_binding
    }

    /// What is sent as `options`: behind a pooler only hints that the pooler itself reads.
    #[must_use]
    pub fn options(&self) -> Option<&str> {
        self.options.as_deref()
    }

    /// How long to wait for TCP, for each address; `None` leaves it to the caller's deadline.
    #[must_use]
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// How long a statement may take, from `statement_timeout` or a dialect's word for it.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.statement_timeout
    }

    /// The pooler in between, if there are signs of one.
    #[must_use]
    pub fn pooler(&self) -> Option<Pooler> {
        self.pooler
    }

    /// What the connection string asks for that is done differently.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What to check of the server's certificate; `None` without TLS. As in libpq, a given root certificate
    /// (`sslrootcert`, or `DATABASE_CA`: `has_database_ca`) makes `require` and `prefer` check the authority.
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

    /// Told apart from [`warnings`](Self::warnings), as `DATABASE_CA` has a say: the server's certificate is not
    /// checked, nobody asked for that in so many words, and the server is not on this machine.
    #[must_use]
    pub fn unverified_warning(&self, has_database_ca: bool) -> Option<Warning> {
        let unverified = self.verification(has_database_ca) == Some(Verification::Unverified);
        let remote = !self.hosts.iter().all(Host::is_local);
        (unverified && remote && !self.any_certificate).then_some(Warning::ServerNotVerified)
    }

    /// For tokio-postgres; the caller adds `application_name`.
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
            .ssl_mode(self.ssl_mode.on_the_wire())
            .ssl_negotiation(self.ssl_negotiation)
            .channel_binding(self.channel_binding)
            .target_session_attrs(self.target_session_attrs)
            .load_balance_hosts(self.load_balance_hosts);
        config
    }
}

/// Where and how, without user, password, database or options.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseUrl")
            .field("hosts", &self.hosts)
            .field("ssl_mode", &self.ssl_mode)
            .field("pooler", &self.pooler)
            .finish_non_exhaustive()
    }
}

impl Host {
    fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }

    fn is_local(&self) -> bool {
        let is_loopback = self.name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        self.is_socket() || self.name == "localhost" || is_loopback
    }
}

impl SslMode {
    fn on_the_wire(self) -> tokio_postgres::config::SslMode {
        match self {
            Self::Disable => tokio_postgres::config::SslMode::Disable,
            Self::Prefer => tokio_postgres::config::SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => tokio_postgres::config::SslMode::Require,
        }
    }
}

impl Keepalives {
    fn apply(&self, config: &mut Config) {
        config
            .keepalives(self.enabled)
            .keepalives_idle(self.idle)
            .keepalives_interval(self.interval)
            .keepalives_retries(self.count);
        if let Some(timeout) = self.user_timeout {
            config.tcp_user_timeout(timeout);
        }
    }
}

/// Which dialect `text` is written in, and its keys and values.
fn settings(text: &str) -> Result<(Dialect, Vec<Setting>), DatabaseUrlError> {
    if let Some(rest) = text.strip_prefix("jdbc:") {
        let rest = rest.strip_prefix("postgresql:").ok_or(DatabaseUrlError::UnknownScheme)?;
        let settings = match rest.strip_prefix("//") {
            Some(rest) => url_form::parse(rest, true)?,
            // `jdbc:postgresql:database`, on localhost.
            None => url_form::parse(&format!("/{}", rest.trim_start_matches('/')), true)?,
        };
        return Ok((Dialect::Jdbc, settings));
    }
    if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        return match scheme.to_ascii_lowercase().split('+').next().unwrap_or_default() {
            "prisma" => Err(DatabaseUrlError::PrismaProxy),
            // `+psycopg2`, `+asyncpg`: SQLAlchemy names the driver. The others are Django's, PHP's and Timescale's.
            "postgres" | "postgresql" | "postgis" | "pgsql" | "timescale" | "timescaledb" => {
                Ok((Dialect::Libpq, url_form::parse(rest, false)?))
            }
            _ => Err(DatabaseUrlError::UnknownScheme),
        };
    }
    match text.split_once('=') {
        Some((key, _))
            if !key.trim().is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_ ".contains(c)) =>
        {
            let is_ado = text.contains(';') && !text.contains('\'');
            let settings = if is_ado { keyword_form::parse_ado(text) } else { keyword_form::parse(text) };
            Ok((if is_ado { Dialect::Ado } else { Dialect::Libpq }, settings?))
        }
        _ => Err(DatabaseUrlError::NotAConnectionString),
    }
}

fn is_scheme(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
}

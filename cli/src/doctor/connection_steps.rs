//! Connecting to the database step by step, each timed: name resolution, TCP, TLS, login.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shared::health::{self, Check, Verdict};
use tessera_postgres::config::CONNECT_TIMEOUT;
use tessera_postgres::url::{DatabaseUrl, Host};
use tessera_postgres::{DatabaseConfig, Diagnosis, ErrorChain, Phase, TrustStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, NoTls};

use super::pooler_name;
use crate::check_output;

const WHY: &str = "nothing works without a connection";

/// Connects to the first server of `url` that answers. The time of each step, or the failure, becomes a check.
pub(super) async fn open(
    url: &DatabaseUrl,
    config: &DatabaseConfig,
    trust: &TrustStore,
    prefix: &'static str,
    checks: &mut Vec<Check>,
) -> Option<Client> {
    let name = if prefix.is_empty() { "connect" } else { "replica_connect" };
    let verdict = if prefix.is_empty() { Verdict::Fail } else { Verdict::Warn };
    let mut failed = None;
    for host in url.hosts() {
        match connect(url, host, config, trust).await {
            Ok((client, steps)) => {
                let slow = steps.total() > Duration::from_secs(2);
                checks.push(Check::ok(name, steps.to_string(), WHY).limit("2 s").when(
                    slow,
                    Verdict::Warn,
                    "a first request waits for this: see which step is slow; a suspended database wakes up here",
                ));
                return Some(client);
            }
            Err(failure) => failed = Some((host, failure)),
        }
    }
    let (host, Failure { step, diagnosis, detail }) = failed?;
    checks.push(
        Check::ok(
            name,
            format!(
                "{} at {}:{}, {step}: {} ({detail})",
                diagnosis.name(),
                host.name,
                host.port,
                diagnosis.summary()
            ),
            WHY,
        )
        .when(true, verdict, health::advice(diagnosis)),
    );
    None
}

/// The step at which a connection failed, and why.
pub(super) struct Failure {
    step: &'static str,
    pub(super) diagnosis: Diagnosis,
    pub(super) detail: String,
}

impl Failure {
    fn new(step: &'static str, diagnosis: Diagnosis, detail: impl Into<String>) -> Self {
        Self { step, diagnosis, detail: detail.into() }
    }
}

/// How long each step of connecting took.
pub(super) struct StepTimes {
    address: Option<SocketAddr>,
    name: Duration,
    tcp: Duration,
    tls: Option<Duration>,
    login: Duration,
}

impl StepTimes {
    fn total(&self) -> Duration {
        self.name + self.tcp + self.tls.unwrap_or_default() + self.login
    }
}

impl std::fmt::Display for StepTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, tcp, login, .. } = self;
        write!(
            f,
            "in {}: name {}, ",
            check_output::format_duration(self.total()),
            check_output::format_duration(*name)
        )?;
        write!(f, "TCP {}, ", check_output::format_duration(*tcp))?;
        match self.tls {
            Some(tls) => write!(f, "TLS {}, ", check_output::format_duration(tls))?,
            None => f.write_str("no TLS, ")?,
        }
        write!(f, "login {}", check_output::format_duration(*login))?;
        match self.address {
            Some(address) => write!(f, " ({address})"),
            None => f.write_str(" (a Unix socket)"),
        }
    }
}

/// Connects to one of the URL's servers.
pub(super) async fn connect(
    url: &DatabaseUrl,
    host: &Host,
    config: &DatabaseConfig,
    trust: &TrustStore,
) -> Result<(Client, StepTimes), Failure> {
    let limit = url.connect_timeout().unwrap_or(CONNECT_TIMEOUT);
    let begun = Instant::now();
    if host.name.starts_with('/') {
        let path = format!("{}/.s.PGSQL.{}", host.name, host.port);
        let stream = UnixStream::connect(path).await.map_err(|error| failure_from_io("socket", &error))?;
        let (client, login) = log_in(url, stream, NoTls, limit).await?;
        let steps = StepTimes { address: None, name: Duration::ZERO, tcp: begun.elapsed(), tls: None, login };
        return Ok((client, steps));
    }
    let found = timeout(limit, tokio::net::lookup_host((host.name.as_str(), host.port))).await;
    let addresses: Vec<_> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(Failure::new("name", Diagnosis::UnknownHost, error.to_string())),
        Err(_) => {
            return Err(Failure::new("name", Diagnosis::UnknownHost, "the name server does not answer"));
        }
    };
    let name = begun.elapsed();

    let begun = Instant::now();
    let stream = match timeout(limit, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failure_from_io("TCP", &error)),
        Err(_) => return Err(Failure::new("TCP", Diagnosis::Unreachable, "no answer in time")),
    };
    let (tcp, address) = (begun.elapsed(), stream.peer_addr().ok());
    let _ = stream.set_nodelay(true);

    let connector = trust
        .connector(url, config.authorities.as_deref())
        .map_err(|error| Failure::new("TLS", Diagnosis::Configuration, ErrorChain(&error).to_string()))?;
    let begun = Instant::now();
    let (client, login, secured) = match connector {
        None => {
            let (client, login) = log_in(url, stream, NoTls, limit).await?;
            (client, login, None)
        }
        Some(mut connector) => {
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connector, &host.name)
                .map_err(|error| Failure::new("TLS", Diagnosis::Configuration, error.to_string()))?;
            let ended = Arc::new(OnceLock::new());
            let tls = TimedConnector { connector: tls, ended: Arc::clone(&ended) };
            let (client, login) = log_in(url, stream, tls, limit).await?;
            (client, login, ended.get().map(|ended| ended.duration_since(begun)))
        }
    };
    let login = login.saturating_sub(secured.unwrap_or_default());
    Ok((client, StepTimes { address, name, tcp, tls: secured, login }))
}

/// Does the TLS handshake and the login on an open stream, and returns how long they took together.
async fn log_in<S, T>(
    url: &DatabaseUrl,
    stream: S,
    tls: T,
    limit: Duration,
) -> Result<(Client, Duration), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsConnect<S>,
    T::Stream: Send + 'static,
{
    let begun = Instant::now();
    let mut config = url.to_config();
    config.application_name("tessera-doctor");
    match timeout(limit, config.connect_raw(stream, tls)).await {
        Ok(Ok((client, connection))) => {
            // It ends when the client is dropped; a failure shows in the statement that meets it.
            tokio::spawn(connection);
            Ok((client, begun.elapsed()))
        }
        Ok(Err(error)) => {
            let diagnosis = Diagnosis::from_driver(&error, Phase::Connect);
            let step = match diagnosis {
                Diagnosis::UntrustedCertificate
                | Diagnosis::WrongName
                | Diagnosis::ExpiredCertificate
                | Diagnosis::NoTls => "TLS",
                _ => "login",
            };
            Err(Failure::new(step, diagnosis, ErrorChain(&error).to_string()))
        }
        Err(_) if pooler_name(url).is_some() => {
            Err(Failure::new("login", Diagnosis::PoolerSilent, "TCP works"))
        }
        Err(_) => Err(Failure::new("login", Diagnosis::Unreachable, "TCP works, but nobody answers on it")),
    }
}

fn failure_from_io(step: &'static str, error: &std::io::Error) -> Failure {
    Failure::new(step, Diagnosis::from_io(error), error.to_string())
}

/// A TLS connector that records when its handshake has ended.
struct TimedConnector<T> {
    connector: T,
    ended: Arc<OnceLock<Instant>>,
}

impl<S, T> TlsConnect<S> for TimedConnector<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = T::Stream;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<T::Stream, T::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self { connector, ended } = self;
        let handshake = connector.connect(stream);
        Box::pin(async move {
            let outcome = handshake.await;
            let _ = ended.set(Instant::now());
            outcome
        })
    }
}

//! Private PostgreSQL clusters from an installed PostgreSQL.

mod builder;
mod database;
mod log;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use local::port::Port;
use local::postgres::Installation;
use local::{Exit, Process};
use rustix::process::Signal;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

pub use builder::{Builder, Migrate};
pub use database::Database;
pub use log::LogEntry;

use crate::certificates::Authority;
use crate::processes::supervisor;
use crate::scratch::Scratch;

/// The role that functions connect as: no superuser, so that limits and permissions hold for it.
pub const ROLE: &str = "tessera";
/// Its password; odd enough to be searched for in logs.
pub const PASSWORD: &str = "harness-Passw0rd";
const SUPERUSER: &str = "postgres";
const START_LIMIT: Duration = Duration::from_secs(30);

/// How a server is stopped, as `pg_ctl stop -m` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// New sessions are refused (57P03) until the last one has left by itself; then as [`Stop::Fast`].
    Smart,
    /// Sessions are terminated (57P01), then the server writes all to disk.
    Fast,
    /// As a crash (57P02): recovery follows at the next start.
    Immediate,
}

/// A PostgreSQL cluster. Clones are handles to the same one; the last to go removes it.
#[derive(Debug, Clone)]
pub struct Postgres(Arc<Cluster>);

#[derive(Debug)]
struct Cluster {
    port: Port,
    authority: Option<Authority>,
    migrate: Migrate,
    template: OnceCell<()>,
    shared: bool,
    server: Mutex<Option<Process>>,
    scratch: Scratch,
}

static PLAIN: OnceCell<Postgres> = OnceCell::const_new();
static TLS: OnceCell<Postgres> = OnceCell::const_new();

impl Postgres {
    /// The cluster without TLS and without passwords (`trust`) that all tests of this process share.
    pub async fn plain() -> Result<&'static Self> {
        PLAIN.get_or_try_init(|| Self::builder().shared().start()).await
    }

    /// The cluster with TLS and SCRAM that all tests of this process share.
    pub async fn tls() -> Result<&'static Self> {
        TLS.get_or_try_init(|| Self::builder().shared().tls(true).start()).await
    }

    /// A cluster of its own, for a test that stops, starves or reconfigures it.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where it listens, running or not. Reserved before the first start.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.port.address()
    }

    /// The PEM file of the authority that signed the server's certificate; `None` without TLS.
    #[must_use]
    pub fn ca_pem_path(&self) -> Option<PathBuf> {
        self.authority().map(|_| self.0.ca_pem_path())
    }

    /// The authority that signed the server's certificate; `None` without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&Authority> {
        self.0.authority.as_ref()
    }

    /// The URL of one of its databases, as [`ROLE`]. With TLS it is verified in full against the own authority.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.address(), database)
    }

    /// The same through something that stands in front of it, on this machine.
    #[must_use]
    pub fn url_at(&self, front: SocketAddr, database: &str) -> String {
        let port = front.port();
        match self.ca_pem_path() {
            None => format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable"),
            Some(ca) => {
                let ca = url::form_urlencoded::byte_serialize(ca.as_os_str().as_encoded_bytes())
                    .collect::<String>();
                format!(
                    "postgres://{ROLE}:{PASSWORD}@localhost:{port}/{database}?sslmode=verify-full&sslrootcert={ca}"
                )
            }
        }
    }

    /// A connection as superuser, past TLS, passwords and any proxy (over the Unix socket).
    pub async fn admin(&self, database: &str) -> Result<Client> {
        self.connect(SUPERUSER, database).await
    }

    async fn connect(&self, user: &str, database: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::Config::new()
            .host_path(self.0.scratch.path())
            .port(self.address().port())
            .user(user)
            .dbname(database)
            .application_name("harness")
            .connect(NoTls)
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Starts the server again after [`Postgres::stop`], on the same port; returns when it takes connections.
    pub async fn start_again(&self) -> Result<()> {
        let server = self.0.spawn()?;
        let exited = server.exited();
        *self.0.server() = Some(server);
        let ready = async {
            while self.admin(SUPERUSER).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            exit = exited => bail!("PostgreSQL ended while starting: {exit:?}\n{}", self.log_text()?),
            () = tokio::time::sleep(START_LIMIT) => bail!("PostgreSQL did not start\n{}", self.log_text()?),
        }
    }

    /// Stops the server and waits for its end. Connections are refused from then on.
    pub async fn stop(&self, how: Stop) -> Result<Exit> {
        let server = self.0.server().take().context("PostgreSQL is not running")?;
        server.signal(match how {
            Stop::Smart => Signal::TERM,
            Stop::Fast => Signal::INT,
            Stop::Immediate => Signal::QUIT,
        })?;
        Ok(server.exited().await)
    }

    /// Stops and starts it.
    pub async fn restart(&self, how: Stop) -> Result<()> {
        self.stop(how).await?;
        self.start_again().await
    }

    /// Turns a standby into a primary; returns when it takes writes.
    pub async fn promote(&self) -> Result<()> {
        self.admin(SUPERUSER).await?.batch_execute("SELECT pg_promote(true)").await?;
        Ok(())
    }

    /// Changes a setting of the running server; `None` resets it.
    pub async fn set(&self, name: &str, value: Option<&str>) -> Result<()> {
        let client = self.admin(SUPERUSER).await?;
        let change = match value {
            Some(value) => format!("ALTER SYSTEM SET {name} = '{}'", value.replace('\'', "''")),
            None => format!("ALTER SYSTEM RESET {name}"),
        };
        client.batch_execute(&change).await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        Ok(())
    }

    /// The number of sessions of [`ROLE`], in one database or in all.
    pub async fn sessions(&self, database: Option<&str>) -> Result<usize> {
        use tokio_postgres::types::Type;
        let count =
            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = coalesce($2, datname)";
        let client = self.admin(SUPERUSER).await?;
        let row = client.query_typed_one(count, &[(&ROLE, Type::TEXT), (&database, Type::TEXT)]).await?;
        Ok(usize::try_from(row.try_get::<_, i64>(0)?)?)
    }

    /// Ends all sessions of [`ROLE`] in a database (57P01); returns how many.
    pub async fn terminate_sessions(&self, database: &str) -> Result<usize> {
        use tokio_postgres::types::Type;
        let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1 AND datname = $2";
        let client = self.admin(SUPERUSER).await?;
        Ok(client.query_typed(end, &[(&ROLE, Type::TEXT), (&database, Type::TEXT)]).await?.len())
    }

    /// The server's log so far.
    pub fn log(&self) -> Result<Vec<LogEntry>> {
        Ok(log::parse(&self.log_text()?))
    }

    fn log_text(&self) -> Result<String> {
        let log = std::fs::read(self.0.log_path()).context("cannot read PostgreSQL's log")?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }
}

impl Cluster {
    fn data_path(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    fn ca_pem_path(&self) -> PathBuf {
        self.scratch.path().join("ca.pem")
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self) -> Result<Process> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path())?;
        installation()?.start_server(&self.data_path(), &[], log, supervisor()?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its files may go only after it: a server that still writes would put some back.
        if let Some(server) = self.server().take() {
            let _ = server.signal(Signal::QUIT);
            server.wait();
        }
    }
}

/// The PostgreSQL that is installed here, looked for once.
fn installation() -> Result<&'static Installation> {
    static INSTALLATION: OnceLock<Result<Installation>> = OnceLock::new();
    let found = INSTALLATION.get_or_init(|| {
        Installation::find()?.context(
            "no PostgreSQL server found: install one (apt-get install postgresql), put initdb on PATH, or name its \
             directory in TESSERA_PG_BIN",
        )
    });
    found.as_ref().map_err(|error| anyhow!("{error:#}"))
}

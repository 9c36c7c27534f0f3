//! PgBouncer in front of a cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use local::port::Port;
use local::{Process, command};
use rustix::process::Signal;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::processes;
use crate::scratch::{Scratch, run_as_service_account, write_for_service};
use crate::{Certificate, Database, PASSWORD, Postgres, ROLE};

const ADMIN: &str = "administrator";
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running PgBouncer, in transaction mode unless set otherwise. Clients log in with SCRAM; if the cluster has
/// TLS, so has this, with a certificate from the same authority. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct PgBouncer(Arc<Pooler>);

#[derive(Debug)]
struct Pooler {
    postgres: Postgres,
    port: Port,
    running: Mutex<Running>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Running {
    process: Option<Process>,
    /// What the processes before this one have logged.
    log: Vec<String>,
}

/// The configuration of a PgBouncer that is to be started; see [`PgBouncer::in_front_of`].
#[derive(Debug)]
pub struct Builder {
    postgres: Postgres,
    server: SocketAddr,
    settings: Vec<(String, String)>,
}

/// A row of the admin console's answer: the values by their columns' names.
pub type Row = BTreeMap<String, String>;

impl PgBouncer {
    /// Begins the configuration of a pooler for all databases of a cluster.
    #[must_use]
    pub fn in_front_of(postgres: &Postgres) -> Builder {
        Builder { postgres: postgres.clone(), server: postgres.address(), settings: Vec::new() }
    }

    /// The address that PgBouncer listens at while it runs.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.port.address()
    }

    /// The URL of a database through the pooler.
    #[must_use]
    pub fn url(&self, database: &Database) -> String {
        database.postgres().url_at(self.address(), &database.name)
    }

    /// The lines that PgBouncer has logged.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let running = self.0.running();
        let now = running.process.as_ref().map(Process::lines).unwrap_or_default();
        running.log.iter().cloned().chain(now).collect()
    }

    /// Runs a command of the admin console: `SHOW POOLS`, `PAUSE`, `RESUME`, `RELOAD`, `SET name = value`…
    pub async fn admin(&self, command: &str) -> Result<Vec<Row>> {
        let answer = self.console().await?.simple_query(command).await?;
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let named = |row: tokio_postgres::SimpleQueryRow| {
            let columns = row.columns().iter().enumerate();
            columns
                .map(|(at, column)| (column.name().to_owned(), row.get(at).unwrap_or_default().to_owned()))
                .collect()
        };
        Ok(rows.map(named).collect())
    }

    /// Holds back all queries until [`PgBouncer::resume`]; returns when those that run have ended.
    pub async fn pause(&self) -> Result<()> {
        self.admin("PAUSE").await?;
        Ok(())
    }

    /// Ends a [`PgBouncer::pause`].
    pub async fn resume(&self) -> Result<()> {
        self.admin("RESUME").await?;
        Ok(())
    }

    /// Kills PgBouncer. Connections are refused from then on.
    pub async fn kill(&self) -> Result<()> {
        let process = self.0.running().process.take().context("PgBouncer is not running")?;
        process.signal(Signal::KILL)?;
        process.exited().await;
        self.0.running().log.extend(process.lines());
        Ok(())
    }

    /// Starts PgBouncer again after [`PgBouncer::kill`], on the same port; returns when it takes connections.
    pub async fn start_again(&self) -> Result<()> {
        let process = self.0.spawn()?;
        let exited = process.exited();
        self.0.running().process = Some(process);
        let ready = async {
            while self.console().await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            exit = exited => bail!("PgBouncer ended while starting: {exit:?}\n{}", self.log().join("\n")),
            () = tokio::time::sleep(START_LIMIT) => bail!("PgBouncer did not start\n{}", self.log().join("\n")),
        }
    }

    async fn console(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::Config::new()
            .host_path(self.0.scratch.path())
            .port(self.address().port())
            .user(ADMIN)
            .password(PASSWORD)
            .dbname("pgbouncer")
            .connect(NoTls)
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Builder {
    /// Adds a setting, in place of the harness's own of this name: `pool_mode`,
    /// `default_pool_size`, `max_client_conn`, `query_wait_timeout`…
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl std::fmt::Display) -> Self {
        self.settings.push((name.into(), format!("{value}")));
        self
    }

    /// Connects to the cluster through a proxy at this address. If the cluster has TLS, the proxy must be on this
    /// machine, for which the certificate is valid.
    #[must_use]
    pub fn through(mut self, proxy: SocketAddr) -> Self {
        self.server = proxy;
        self
    }

    /// Starts PgBouncer and waits until it takes connections.
    pub async fn start(self) -> Result<PgBouncer> {
        let scratch = Scratch::new("pgbouncer")?;
        let pooler =
            Pooler { postgres: self.postgres, port: Port::reserve()?, running: Mutex::default(), scratch };
        pooler.configure(self.server, self.settings)?;
        let pgbouncer = PgBouncer(Arc::new(pooler));
        pgbouncer.start_again().await?;
        Ok(pgbouncer)
    }
}

impl Pooler {
    fn configure(&self, server: SocketAddr, given: Vec<(String, String)>) -> Result<()> {
        let path = |name: &str| self.scratch.path().join(name).display().to_string();
        let mut settings = BTreeMap::from(
            [
                ("listen_addr", "127.0.0.1".to_owned()),
                ("listen_port", self.port.number().to_string()),
                ("unix_socket_dir", self.scratch.path().display().to_string()),
                ("pool_mode", "transaction".to_owned()),
                ("auth_type", "scram-sha-256".to_owned()),
                ("auth_file", path("users.txt")),
                ("admin_users", ADMIN.to_owned()),
                ("max_client_conn", "1000".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        if let Some(authority) = self.postgres.authority() {
            let identity = authority.issue(Certificate::Good)?;
            let files =
                [("ca.pem", authority.pem()), ("tls.crt", &identity.certificate), ("tls.key", &identity.key)];
            for (name, contents) in files {
                write_for_service(&PathBuf::from(path(name)), contents)?;
            }
            settings.extend(
                [
                    ("client_tls_sslmode", "require".to_owned()),
                    ("client_tls_cert_file", path("tls.crt")),
                    ("client_tls_key_file", path("tls.key")),
                    ("server_tls_sslmode", "verify-full".to_owned()),
                    ("server_tls_ca_file", path("ca.pem")),
                ]
                .map(|(name, value)| (name.to_owned(), value)),
            );
        }
        settings.extend(given);
        let lines: Vec<String> = settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        let databases = format!("[databases]\n* = host=localhost port={}\n", server.port());
        write_for_service(&self.configuration(), &format!("{databases}[pgbouncer]\n{}", lines.concat()))?;
        let users = format!("\"{ROLE}\" \"{PASSWORD}\"\n\"{ADMIN}\" \"{PASSWORD}\"\n");
        write_for_service(&PathBuf::from(path("users.txt")), &users)
    }

    fn configuration(&self) -> PathBuf {
        self.scratch.path().join("pgbouncer.ini")
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self) -> Result<Process> {
        let program = command::find("pgbouncer")
            .context("no PgBouncer found: install pgbouncer (apt-get install pgbouncer)")?;
        let mut command = Command::new(std::path::absolute(program)?);
        command.arg(self.configuration());
        run_as_service_account(&mut command)?;
        processes::spawn(&mut command)
    }
}

//! Making a cluster.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use local::port::Port;
use tessera_postgres::Deadline;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use super::{Cluster, PASSWORD, Postgres, ROLE, SUPERUSER, installation, log};
use crate::certificates::{Authority, Certificate};
use crate::processes::{run, supervisor};
use crate::scratch::{Scratch, run_as_service_account, write_for_all, write_for_service};

/// Brings an empty database to the schema that tests expect.
pub type Migrate = for<'a> fn(&'a mut Client) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// What is to be started; see [`Postgres::builder`].
#[derive(Debug)]
pub struct Builder {
    certificate: Option<Certificate>,
    settings: Vec<(String, String)>,
    migrate: Migrate,
    shared: bool,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { certificate: None, settings: Vec::new(), migrate: product_migrations, shared: false }
    }

    pub(super) fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// TLS and SCRAM only, with a valid certificate for `localhost`; without it, `trust` and no TLS.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.certificate = tls.then_some(Certificate::Good);
        self
    }

    /// TLS and SCRAM with a certificate of this kind.
    #[must_use]
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Lines for `postgresql.conf`, after the harness's own.
    #[must_use]
    pub fn settings<N: Into<String>, V: Into<String>>(
        mut self,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.settings.extend(settings.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// How the template of [`Postgres::database`] is made, instead of by the product's migrations.
    #[must_use]
    pub fn template(mut self, migrate: Migrate) -> Self {
        self.migrate = migrate;
        self
    }

    /// Makes the cluster and starts it.
    pub async fn start(self) -> Result<Postgres> {
        let postgres = self.create(&initialised().await?).await?;
        postgres.start_again().await?;
        let role = format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'");
        postgres.admin(SUPERUSER).await?.batch_execute(&role).await?;
        Ok(postgres)
    }

    /// A cluster that is not running, whose data are a copy of `data`.
    async fn create(self, data: &Path) -> Result<Postgres> {
        let cluster = self.cluster()?;
        let mut copy = Command::new("cp");
        copy.arg("-Rp").arg(data).arg(cluster.data_path());
        run_as_service_account(&mut copy)?;
        run(copy).await?;
        cluster.configure(self.certificate, &self.settings)?;
        Ok(Postgres(Arc::new(cluster)))
    }

    fn cluster(&self) -> Result<Cluster> {
        let scratch = Scratch::new("postgres")?;
        Ok(Cluster {
            port: Port::reserve()?,
            authority: self.certificate.map(|_| Authority::new()).transpose()?,
            migrate: self.migrate,
            template: OnceCell::new(),
            shared: self.shared,
            server: Mutex::new(None),
            scratch,
        })
    }
}

impl Postgres {
    /// A streaming standby of this cluster, running, that applies each transaction `delay` after it was committed.
    pub async fn standby(&self, delay: Duration) -> Result<Postgres> {
        let builder = Builder::new();
        let cluster = builder.cluster()?;
        let mut backup = installation()?.command("pg_basebackup")?;
        backup.arg("-D").arg(cluster.data_path()).arg("-h").arg(self.0.scratch.path());
        backup.args(["-p", &self.address().port().to_string(), "-U", SUPERUSER]);
        backup.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"]);
        run(backup).await?;
        let delay = format!("{}ms", delay.as_millis());
        cluster.configure(None, &[("recovery_min_apply_delay".to_owned(), delay)])?;
        let standby = Postgres(Arc::new(cluster));
        standby.start_again().await?;
        Ok(standby)
    }
}

impl Cluster {
    /// Writes `postgresql.conf` and `pg_hba.conf` anew.
    fn configure(&self, certificate: Option<Certificate>, settings: &[(String, String)]) -> Result<()> {
        let data = self.data_path();
        let socket = self.scratch.path().display();
        let mut lines = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{socket}'\n\
             fsync = off\nfull_page_writes = off\nmax_connections = 200\nshared_buffers = '64MB'\n\
             log_line_prefix = '{prefix}'\nlog_statement = all\nlog_connections = on\nlog_disconnections = on\n\
             log_timezone = UTC\ntimezone = UTC\n",
            port = self.port.number(),
            prefix = log::PREFIX,
        );
        let hosts = if let (Some(authority), Some(certificate)) = (&self.authority, certificate) {
            let identity = authority.issue(certificate)?;
            write_for_service(&data.join("server.crt"), &identity.certificate)?;
            write_for_service(&data.join("server.key"), &identity.key)?;
            write_for_all(&self.ca_pem_path(), authority.pem())?;
            lines.push_str("ssl = on\n");
            "hostssl all all all scram-sha-256\n"
        } else {
            "host all all all trust\n"
        };
        for (name, value) in settings {
            lines.extend([name, " = '", &value.replace('\'', "''"), "'\n"]);
        }
        write_for_service(&data.join("postgresql.conf"), &lines)?;
        let access = format!("local all all trust\nlocal replication all trust\n{hosts}");
        write_for_service(&data.join("pg_hba.conf"), &access)
    }
}

/// The data directory that all clusters of this process start as copies of: `initdb` takes ten times longer.
async fn initialised() -> Result<PathBuf> {
    static INITIALISED: OnceCell<Scratch> = OnceCell::const_new();
    let scratch = INITIALISED.get_or_try_init(|| async {
        let scratch = Scratch::new("initdb")?;
        let data = scratch.path().join("data");
        // Small segments of the write-ahead log: each cluster starts with one, filled with zeros.
        let options = ["--username", SUPERUSER, "--auth=trust", "--no-sync", "--wal-segsize=1"];
        let initialise = move || installation()?.initialise(&data, &options, supervisor()?);
        tokio::task::spawn_blocking(initialise).await??;
        anyhow::Ok(scratch)
    });
    Ok(scratch.await?.path().join("data"))
}

/// The product's own schema: every migration, and the kept plans.
fn product_migrations(client: &mut Client) -> futures_util::future::BoxFuture<'_, Result<()>> {
    Box::pin(async {
        shared::schema::up(client, Deadline::after(Duration::from_mins(1))).await?;
        Ok(())
    })
}

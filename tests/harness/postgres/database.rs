//! A database for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use tokio_postgres::Client;

use super::{Cluster, LogEntry, Postgres, ROLE, SUPERUSER};

const TEMPLATE: &str = "tessera_template";

/// A database of its own, dropped when this goes.
#[derive(Debug)]
pub struct Database {
    /// Its name, unique in the test process.
    pub name: String,
    postgres: Postgres,
}

impl Postgres {
    /// A fresh database with the schema: a copy of a template that was migrated once.
    pub async fn database(&self) -> Result<Database> {
        self.0.template.get_or_try_init(|| self.make_template()).await?;
        self.create_database(TEMPLATE).await
    }

    /// A fresh database without anything in it.
    pub async fn empty_database(&self) -> Result<Database> {
        self.create_database("template0").await
    }

    async fn make_template(&self) -> Result<()> {
        let admin = self.admin(SUPERUSER).await?;
        // A test that was cancelled half way leaves one behind.
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")).await?;
        admin.batch_execute(&format!("CREATE DATABASE {TEMPLATE} OWNER {ROLE} TEMPLATE template0")).await?;
        let mut client = self.connect(ROLE, TEMPLATE).await?;
        (self.0.migrate)(&mut client).await?;
        drop(client);
        // PostgreSQL copies only a database that nobody is connected to; it waits 5 s for the one just closed.
        Ok(())
    }

    async fn create_database(&self, template: &str) -> Result<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let strategy = self.0.copy_strategy()?;
        let create = format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template} {strategy}");
        self.admin(SUPERUSER).await?.batch_execute(&create).await?;
        Ok(Database { name, postgres: self.clone() })
    }
}

impl Cluster {
    /// Copying files takes half the time of the default since PostgreSQL 15, which logs every page; before, there
    /// was no choice.
    fn copy_strategy(&self) -> Result<&'static str> {
        let version: u32 = std::fs::read_to_string(self.data_path().join("PG_VERSION"))?.trim().parse()?;
        Ok(if version < 15 { "" } else { "STRATEGY file_copy" })
    }
}

impl Database {
    /// The cluster it is in.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Its URL, past any proxy and pooler.
    #[must_use]
    pub fn url(&self) -> String {
        self.postgres.url(&self.name)
    }

    /// A client for the test's own statements, as its owner, past any proxy and pooler.
    pub async fn client(&self) -> Result<Client> {
        self.postgres.connect(ROLE, &self.name).await
    }

    /// What the server's log says about this database, the harness's own statements apart.
    pub fn log(&self) -> Result<Vec<LogEntry>> {
        let mut log = self.postgres.log()?;
        log.retain(|entry| entry.database == self.name && entry.application != "harness");
        Ok(log)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.postgres.0.shared {
            return; // It goes with its cluster.
        }
        // A thread: no runtime need be there any more, and no test waits for it. What it does not get done
        // before the process ends goes with the cluster.
        let (postgres, name) = (self.postgres.clone(), std::mem::take(&mut self.name));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let admin = postgres.admin(SUPERUSER).await?;
                admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
                anyhow::Ok(())
            })
        });
    }
}

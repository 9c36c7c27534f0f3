//! All that a release needs in the database: the migrations' tables, and the kept plans of its statements.

use tessera_postgres::Deadline;
use tessera_postgres::plans::{self, InstallError, PlanStatus};
use tokio_postgres::Client;

use crate::grants;
use crate::migrations::{self, Migration, MigrationError, Status};
use crate::statements::ALL;

/// ASCII `tesgrant`: the advisory lock of those who give rights at the same time, of whom PostgreSQL would refuse one.
const GRANTS_LOCK: i64 = 0x7465_7367_7261_6e74;

/// What [`up`] did.
#[derive(Debug)]
pub struct Up {
    /// The migrations that it applied.
    pub applied: Vec<Migration>,
    /// The functions that keep plans and that it made, by name.
    pub plans: Vec<String>,
}

/// Where the schema stands.
#[derive(Debug)]
pub struct SchemaStatus {
    /// Every migration that this release or the database knows, oldest first.
    pub migrations: Vec<Status>,
    /// Every statement of this release whose plan is to be kept.
    pub plans: Vec<PlanStatus>,
}

/// What can go wrong. For operators: the source carries PostgreSQL's own message.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A migration failed, or the migrations could not be listed.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The kept plans could not be installed, removed or listed.
    #[error(transparent)]
    Plans(#[from] InstallError),
    /// In the rights of the functions' roles.
    #[error("the functions' roles could not be given their rights")]
    Grants(#[source] tokio_postgres::Error),
}

/// Applies every pending migration, then keeps the plan of each statement that is to have
/// one, and gives the functions' roles their rights where there are such roles. While others hold what a
/// migration needs, it tries again until `deadline`.
pub async fn up(client: &Client, deadline: Deadline) -> Result<Up, SchemaError> {
    let applied = migrations::up(client, deadline).await?;
    let plans = plans::install(client, ALL).await?;
    client
        .batch_execute(&format!("SELECT pg_advisory_xact_lock({GRANTS_LOCK}); {}", grants::grants()))
        .await
        .map_err(SchemaError::Grants)?;
    Ok(Up { applied, plans })
}

/// Reverts the `steps` newest applied migrations, newest first, and returns those that this call reverted.
///
/// The kept plans go first, since they name what the migrations made. Whatever code runs until the next [`up`] sends its
/// statements as text.
pub async fn down(client: &Client, steps: usize, deadline: Deadline) -> Result<Vec<Migration>, SchemaError> {
    plans::remove(client).await?;
    Ok(migrations::down(client, steps, deadline).await?)
}

/// Lists the migrations and the kept plans.
pub async fn status(client: &Client) -> Result<SchemaStatus, SchemaError> {
    Ok(SchemaStatus {
        migrations: migrations::status(client).await?,
        plans: plans::status(client, ALL).await?,
    })
}

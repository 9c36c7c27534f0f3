//! Which migrations the database has.

use jiff::Timestamp;
use tessera_postgres::{Diagnosis, Phase};
use tokio_postgres::Client;

use super::embedded::{MIGRATIONS, Migration, find};
use super::error::MigrationError;
use super::index_change::{IndexChange, find_index};

/// The state of a migration in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is applied, and its SQL is that of this release.
    Applied,
    /// It is not applied yet.
    Pending,
    /// Its index is being made or dropped concurrently, or a failed try has left it invalid; the next `up` or `down` that
    /// comes to it starts it anew.
    Unfinished,
    /// It is applied, but not part of this release: a newer release applied it.
    Unknown,
    /// It is applied, but its SQL was edited afterwards.
    Changed,
}

/// A migration and its state, as [`status`] lists them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The migration's version.
    pub version: i32,
    /// The migration's name.
    pub name: String,
    /// The migration's state.
    pub state: State,
    /// When it was applied, by the database's clock; `None` if it is not noted as applied.
    pub applied_at: Option<Timestamp>,
}

/// Lists every migration that this release or the database knows, oldest first.
pub async fn status(client: &Client) -> Result<Vec<Status>, MigrationError> {
    status_with(client, MIGRATIONS).await
}

/// [`status`] over another list than [`MIGRATIONS`].
pub async fn status_with(client: &Client, migrations: &[Migration]) -> Result<Vec<Status>, MigrationError> {
    let applied = applied(client).await?;
    let mut statuses: Vec<Status> = applied
        .iter()
        .map(|row| {
            let state = match find(migrations, row.version) {
                None => State::Unknown,
                Some(migration) if migration.checksum() != row.checksum => State::Changed,
                Some(_) => State::Applied,
            };
            Status { version: row.version, name: row.name.clone(), state, applied_at: Some(row.at) }
        })
        .collect();
    let is_pending = |migration: &&Migration| applied.iter().all(|row| row.version != migration.version);
    statuses.extend(migrations.iter().filter(is_pending).map(|migration| Status {
        version: migration.version,
        name: migration.name.to_owned(),
        state: State::Pending,
        applied_at: None,
    }));
    statuses.sort_by_key(|status| status.version);
    for status in &mut statuses {
        if let Some(migration) = find(migrations, status.version)
            && has_invalid_index(client, migration).await?
        {
            status.state = State::Unfinished;
        }
    }
    Ok(statuses)
}

/// Whether the migration is about an index that is there and invalid.
async fn has_invalid_index(client: &Client, migration: &Migration) -> Result<bool, MigrationError> {
    let Some(change) = IndexChange::parse(migration.up) else { return Ok(false) };
    let index = find_index(client, change.index()).await.map_err(MigrationError::Read)?;
    Ok(index.is_some_and(|index| !index.is_valid))
}

/// A row of the table `tessera_migrations`.
pub(super) struct Applied {
    pub(super) version: i32,
    name: String,
    checksum: String,
    at: Timestamp,
}

/// The migrations that are noted as applied, oldest first.
pub(super) async fn applied(client: &Client) -> Result<Vec<Applied>, MigrationError> {
    let sql = "SELECT version, name, checksum, applied_at FROM tessera_migrations ORDER BY version";
    match client.query_typed(sql, &[]).await {
        Ok(rows) => Ok(rows
            .iter()
            .map(|row| Applied {
                version: row.get("version"),
                name: row.get("name"),
                checksum: row.get("checksum"),
                at: row.get("applied_at"),
            })
            .collect()),
        Err(error) if Diagnosis::from_driver(&error, Phase::Run) == Diagnosis::Schema => Ok(Vec::new()),
        Err(error) => Err(MigrationError::Read(error)),
    }
}

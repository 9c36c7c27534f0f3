//! Applies and reverts migrations.

use tessera_postgres::Deadline;
use tokio_postgres::Client;

use super::concurrently;
use super::embedded::{MIGRATIONS, Migration, find};
use super::error::MigrationError;
use super::index_change::IndexChange;
use super::status::{State, status_with};
use super::step::Step;
use super::transaction;

/// Applies every pending migration, oldest first, and returns those that this call applied. While another transaction
/// or another runner is in the way, it tries again until `deadline`.
pub async fn up(client: &Client, deadline: Deadline) -> Result<Vec<Migration>, MigrationError> {
    up_with(client, MIGRATIONS, deadline).await
}

/// Reverts the `steps` newest applied migrations, newest first, and returns those that this call reverted. While another
/// transaction or another runner is in the way, it tries again until `deadline`.
pub async fn down(
    client: &Client,
    steps: usize,
    deadline: Deadline,
) -> Result<Vec<Migration>, MigrationError> {
    down_with(client, MIGRATIONS, steps, deadline).await
}

/// [`up`] over another list than [`MIGRATIONS`].
pub async fn up_with(
    client: &Client,
    migrations: &[Migration],
    deadline: Deadline,
) -> Result<Vec<Migration>, MigrationError> {
    let status = status_with(client, migrations).await?;
    if let Some(changed) = status.iter().find(|status| status.state == State::Changed) {
        return Err(MigrationError::Changed(changed.name.clone()));
    }
    let is_pending = |migration: &&Migration| {
        status.iter().any(|status| status.version == migration.version && status.applied_at.is_none())
    };
    let mut applied = Vec::new();
    for migration in migrations.iter().filter(is_pending) {
        if run(client, &Step::apply(migration), deadline).await? {
            applied.push(*migration);
        }
    }
    Ok(applied)
}

/// [`down`] over another list than [`MIGRATIONS`].
pub async fn down_with(
    client: &Client,
    migrations: &[Migration],
    steps: usize,
    deadline: Deadline,
) -> Result<Vec<Migration>, MigrationError> {
    let status = status_with(client, migrations).await?;
    let mut reverted = Vec::new();
    for status in status.iter().rev().filter(|status| status.applied_at.is_some()).take(steps) {
        let Some(migration) = find(migrations, status.version) else {
            return Err(MigrationError::Unknown(status.name.clone()));
        };
        if run(client, &Step::revert(migration), deadline).await? {
            reverted.push(*migration);
        }
    }
    Ok(reverted)
}

/// Takes a step in the way that its SQL asks for; `false` if it had already been taken.
async fn run(client: &Client, step: &Step, deadline: Deadline) -> Result<bool, MigrationError> {
    match IndexChange::parse(step.sql) {
        Some(change) => concurrently::run(client, step, &change, deadline).await,
        None => transaction::run(client, step, deadline).await,
    }
}

//! A step of the schema: a migration to be applied, or to be reverted.

use super::embedded::Migration;
use super::error::MigrationError;

/// The SQLSTATE that a migration raises if it has already been applied or reverted, by another run or because its first
/// message did arrive. SQLSTATE classes that begin with `I` to `Z` are not reserved by the SQL standard or PostgreSQL.
pub(super) const ALREADY_DONE: &str = "TSR01";

/// A migration in one direction.
pub(super) struct Step {
    /// The name of the file that has the SQL.
    pub(super) file: String,
    /// The migration's version.
    pub(super) version: i32,
    /// The file's text.
    pub(super) sql: &'static str,
    /// The SQL that notes the step, and raises [`ALREADY_DONE`] if it is noted.
    pub(super) record: String,
    /// Whether the migration is noted as applied once the step has been taken.
    pub(super) is_applied_after: bool,
}

impl Step {
    pub(super) fn apply(migration: &Migration) -> Self {
        Self {
            file: format!("{}.up.sql", migration.name),
            version: migration.version,
            sql: migration.up,
            record: record_applied(migration),
            is_applied_after: true,
        }
    }

    pub(super) fn revert(migration: &Migration) -> Self {
        Self {
            file: format!("{}.down.sql", migration.name),
            version: migration.version,
            sql: migration.down,
            record: record_reverted(migration),
            is_applied_after: false,
        }
    }

    /// The error of a step that PostgreSQL refused.
    pub(super) fn failed(&self, source: tokio_postgres::Error) -> MigrationError {
        MigrationError::Failed { file: self.file.clone(), line: None, source }
    }
}

/// The SQL that notes a migration as applied.
fn record_applied(migration: &Migration) -> String {
    let Migration { version, name, .. } = migration;
    let checksum = migration.checksum();
    format!(
        "DO $record$ BEGIN
    INSERT INTO tessera_migrations (version, name, checksum) VALUES ({version}, '{name}', '{checksum}');
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'already applied' USING ERRCODE = '{ALREADY_DONE}';
END $record$;"
    )
}

/// The SQL that notes a migration as reverted.
fn record_reverted(migration: &Migration) -> String {
    let version = migration.version;
    format!(
        "DO $record$ BEGIN
    DELETE FROM tessera_migrations WHERE version = {version};
    IF NOT FOUND THEN RAISE EXCEPTION 'already reverted' USING ERRCODE = '{ALREADY_DONE}'; END IF;
END $record$;"
    )
}

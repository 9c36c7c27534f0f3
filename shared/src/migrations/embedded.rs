//! The migrations of this release, embedded from `shared/migrations`.

use sha2::{Digest, Sha256};

/// Embeds `shared/migrations/NAME.up.sql` and `NAME.down.sql`. The name starts with the version, in four digits.
macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            up: include_str!(concat!("../../migrations/", $name, ".up.sql")),
            down: include_str!(concat!("../../migrations/", $name, ".down.sql")),
        }
    };
}

/// Every migration of this release, oldest first.
pub const MIGRATIONS: &[Migration] = &[migration!(1, "0001_codes"), migration!(2, "0002_webhooks")];

/// A migration of the schema, and its reversal.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The version, which counts from 1 without gaps.
    pub version: i32,
    /// The name of its files, which begins with the version, as in `0001_codes`.
    pub name: &'static str,
    /// The SQL that applies it.
    pub up: &'static str,
    /// The SQL that reverts it.
    pub down: &'static str,
}

impl Migration {
    /// The SHA-256 of the SQL that applies the migration, in hexadecimal.
    pub(super) fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.up))
    }
}

/// The migration of that version, if it is in the list.
pub(super) fn find(migrations: &[Migration], version: i32) -> Option<&Migration> {
    migrations.iter().find(|migration| migration.version == version)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::super::index_change::IndexChange;
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded_with_its_reversal() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let in_folder: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "sql"))
            .collect();
        let embedded: BTreeSet<String> = MIGRATIONS
            .iter()
            .flat_map(|migration| {
                ["up", "down"].map(|direction| format!("{}.{direction}.sql", migration.name))
            })
            .collect();
        assert_eq!(in_folder, embedded, "a file is missing, or a `migration!` line in MIGRATIONS");
    }

    #[test]
    fn versions_count_from_one_and_begin_the_name() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, version, "{}", migration.name);
            assert!(migration.name.starts_with(&format!("{version:04}_")), "{}", migration.name);
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(migration.name.chars().all(is_plain), "{} goes into SQL as it is", migration.name);
        }
    }

    #[test]
    fn no_migration_ends_its_transaction() {
        for migration in MIGRATIONS {
            for statement in migration.up.split(';').chain(migration.down.split(';')) {
                let code = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
                let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
                let words = words.join(" ").to_ascii_uppercase();
                let forbidden = ["BEGIN", "BEGIN TRANSACTION", "START TRANSACTION", "COMMIT", "ROLLBACK"];
                assert!(!forbidden.contains(&words.as_str()), "{}: {words}", migration.name);
            }
        }
    }

    #[test]
    fn what_is_done_concurrently_is_alone_in_its_file() {
        for migration in MIGRATIONS {
            for sql in [migration.up, migration.down] {
                let is_concurrent = sql.to_ascii_uppercase().contains("INDEX CONCURRENTLY");
                assert_eq!(IndexChange::parse(sql).is_some(), is_concurrent, "{}", migration.name);
            }
        }
    }
}

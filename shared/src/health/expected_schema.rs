//! The tables and migrations that this release needs.

/// The tables that the functions use.
pub const TABLES: &[&str] = &[
    "api_keys",
    "codes",
    "code_versions",
    "scans",
    "scan_totals",
    "visitors",
    "scan_quotas",
    "idempotency_keys",
    "visitor_key",
    "events",
    "accounts",
    "transactions",
    "jobs",
    "claims",
    "alerts",
    "upkeep",
];

/// The names of the migrations that this release was written for, in the order in which they are applied.
pub const MIGRATIONS: &[&str] = &["0001_codes", "0002_webhooks"];

#[cfg(all(test, feature = "migrations"))]
mod tests {
    use super::*;

    #[test]
    fn the_expected_migrations_are_the_embedded_ones() {
        let embedded: Vec<_> = crate::migrations::MIGRATIONS.iter().map(|migration| migration.name).collect();
        assert_eq!(MIGRATIONS, embedded, "health::MIGRATIONS is behind");
    }

    #[test]
    fn every_table_that_the_migrations_create_is_expected() {
        for migration in crate::migrations::MIGRATIONS {
            let created = migration.up.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
            for table in created.filter_map(|rest| rest.split(' ').next()) {
                assert!(TABLES.contains(&table), "health::TABLES lacks {table} of {}", migration.name);
            }
        }
    }
}

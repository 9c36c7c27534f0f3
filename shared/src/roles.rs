//! The roles of the database: one a function, each with what its statements need and nothing else.
//!
//! That this is enough, and no more than that, is tested with every statement.

/// A function's role.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// The role's name in the database.
    pub name: &'static str,
    /// The function that connects as it.
    pub function: &'static str,
    /// The names of the statements that the function sends.
    pub statements: &'static [&'static str],
    /// The tables that these statements use, and the privileges that they need on each.
    pub tables: &'static [(&'static str, &'static [&'static str])],
    /// The sequences that they draw from by name.
    pub sequences: &'static [&'static str],
    /// The longest that a statement may take, should the function not end it before.
    pub statement_timeout: &'static str,
}

/// The role that owns the schema, as which `migrate` connects.
pub const OWNER: &str = "tessera_migrate";

const READ: &[&str] = &["SELECT"];
const APPEND: &[&str] = &["SELECT", "INSERT"];
const WRITE: &[&str] = &["SELECT", "INSERT", "UPDATE"];

/// The roles of the functions. Each ends with the function's name.
pub const ROLES: &[Role] = &[
    Role {
        name: "tessera_qr_generate",
        function: "qr-generate",
        statements: &[
            "qr.create",
            "qr.get",
            "qr.list",
            "qr.history",
            "qr.image",
            "qr.edit",
            "qr.rollback",
            "qr.delete",
            "qr.scan_stats",
        ],
        tables: &[
            ("api_keys", READ),
            ("codes", WRITE),
            ("code_versions", APPEND),
            ("scans", READ),
            ("scan_totals", READ),
            ("scan_quotas", WRITE),
            ("idempotency_keys", WRITE),
        ],
        sequences: &["codes_id_seq"],
        statement_timeout: "30s",
    },
    Role {
        name: "tessera_qr_redirect",
        function: "qr-redirect",
        statements: &["qr.redirect", "qr.resolve"],
        tables: &[
            ("codes", READ),
            ("visitor_key", READ),
            ("scans", APPEND),
            ("visitors", &["INSERT"]),
            ("scan_totals", WRITE),
            ("scan_quotas", &["SELECT", "UPDATE"]),
        ],
        sequences: &[],
        statement_timeout: "30s",
    },
    Role {
        name: "tessera_webhook",
        function: "webhook",
        statements: &["webhook.accept"],
        tables: &[
            ("events", APPEND),
            ("accounts", WRITE),
            ("transactions", WRITE),
            ("jobs", &["INSERT"]),
            ("alerts", WRITE),
        ],
        sequences: &[],
        statement_timeout: "30s",
    },
    Role {
        name: "tessera_worker",
        function: "worker",
        statements: &["jobs.claim", "jobs.finish", "jobs.clean"],
        tables: &[
            ("jobs", &["SELECT", "UPDATE", "DELETE"]),
            ("claims", &["SELECT", "INSERT", "DELETE"]),
            ("events", &["SELECT", "UPDATE"]),
            ("alerts", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
            ("upkeep", &["SELECT", "UPDATE"]),
            ("idempotency_keys", &["SELECT", "UPDATE", "DELETE"]),
            ("visitors", &["SELECT", "DELETE"]),
        ],
        sequences: &[],
        // Retention goes through many rows.
        statement_timeout: "5min",
    },
    Role {
        name: "tessera_health",
        function: "health",
        statements: &["health.report", "health.replica"],
        tables: &[
            ("tessera_migrations", READ),
            ("api_keys", READ),
            ("codes", READ),
            ("scans", READ),
            ("events", READ),
            ("jobs", READ),
            ("alerts", READ),
        ],
        sequences: &[],
        statement_timeout: "30s",
    },
];

/// The role of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.name == name)
}

impl Role {
    /// Whether the function needs this privilege on this table.
    #[must_use]
    pub fn needs(&self, table: &str, privilege: &str) -> bool {
        self.tables.iter().any(|(name, privileges)| *name == table && privileges.contains(&privilege))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::ALL;

    #[test]
    fn every_statement_belongs_to_one_role() {
        for statement in ALL {
            let roles = ROLES.iter().filter(|role| role.statements.contains(&statement.name));
            assert_eq!(roles.count(), 1, "{}", statement.name);
        }
        let listed: usize = ROLES.iter().map(|role| role.statements.len()).sum();
        assert_eq!(listed, ALL.len(), "a role lists a statement that is not declared");
    }

    #[test]
    fn redirects_read_no_keys() {
        let redirect = find("tessera_qr_redirect").unwrap();
        assert!(!redirect.needs("api_keys", "SELECT") && redirect.needs("codes", "SELECT"));
    }
}

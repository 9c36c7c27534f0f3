//! Which migrations make or drop an index concurrently, and so not in a transaction.

use tessera_postgres::Type;
use tokio_postgres::{Client, Error};

/// The one statement of a migration that makes or drops an index without holding up writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IndexChange {
    /// `CREATE [UNIQUE] INDEX CONCURRENTLY index ON table …`
    Create { index: String, table: String },
    /// `DROP INDEX CONCURRENTLY index`
    Drop { index: String },
}

impl IndexChange {
    /// Reads a migration's SQL; `None` if it is of the kind that runs as a transaction. `IF NOT EXISTS` is none of it: an
    /// invalid index does exist.
    pub(super) fn parse(sql: &str) -> Option<Self> {
        let code: Vec<_> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let code = code.join(" ").replace('(', " ( ").to_ascii_lowercase();
        let statement = code.trim().trim_end_matches(';');
        if statement.contains(';') {
            return None;
        }
        let words: Vec<_> = statement.split_whitespace().collect();
        match *words {
            ["create", "index", "concurrently", index, "on", table, ..]
            | ["create", "unique", "index", "concurrently", index, "on", table, ..] => {
                Some(Self::Create { index: index.to_owned(), table: table.to_owned() })
            }
            ["drop", "index", "concurrently", index] => Some(Self::Drop { index: index.to_owned() }),
            _ => None,
        }
    }

    /// The index's name.
    pub(super) fn index(&self) -> &str {
        match self {
            Self::Create { index, .. } | Self::Drop { index } => index,
        }
    }
}

/// An index as the database has it.
pub(super) struct Index {
    /// The name of its table.
    pub(super) table: String,
    /// Whether queries may use it. It is not while it is being built, nor after that has failed.
    pub(super) is_valid: bool,
}

/// Looks an index up by its name.
pub(super) async fn find_index(client: &Client, name: &str) -> Result<Option<Index>, Error> {
    let sql = "SELECT relname::text, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
               WHERE indexrelid = to_regclass($1)";
    let rows = client.query_typed(sql, &[(&name, Type::TEXT)]).await?;
    Ok(rows.first().map(|row| Index { table: row.get(0), is_valid: row.get(1) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_about_one_index_is_recognised() {
        let create = |index: &str, table: &str| {
            Some(IndexChange::Create { index: index.to_owned(), table: table.to_owned() })
        };
        for (sql, change) in [
            ("-- Why.\nCREATE INDEX CONCURRENTLY a_x ON a(x);\n", create("a_x", "a")),
            ("create unique index concurrently A_x\n  ON a (x)\n  WHERE x > 0", create("a_x", "a")),
            ("DROP INDEX CONCURRENTLY a_x;\n-- Done.\n", Some(IndexChange::Drop { index: "a_x".to_owned() })),
            ("CREATE INDEX a_x ON a (x);", None),
            ("CREATE INDEX CONCURRENTLY IF NOT EXISTS a_x ON a (x);", None),
            ("DROP INDEX CONCURRENTLY a_x, a_y;", None),
            ("CREATE INDEX CONCURRENTLY a_x ON a (x);\nDROP TABLE b;", None),
        ] {
            assert_eq!(IndexChange::parse(sql), change, "{sql}");
        }
    }
}

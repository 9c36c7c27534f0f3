//! Why migrations could not be applied, reverted or listed.

/// Why migrations could not be applied, reverted or listed. The source has PostgreSQL's own message, for operators.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The applied migrations could not be read.
    #[error("the applied migrations could not be read")]
    Read(#[source] tokio_postgres::Error),
    /// PostgreSQL refused a migration, or a lock was not to be had in time. Nothing of it remains, but perhaps an invalid
    /// index of one that makes it concurrently.
    #[error("migration {file} failed{}", .line.map(|line| format!(" at line {line}")).unwrap_or_default())]
    Failed {
        /// The migration's file name.
        file: String,
        /// The line of that file that PostgreSQL points at; `None` where it points at none.
        line: Option<usize>,
        /// PostgreSQL's error.
        #[source]
        source: tokio_postgres::Error,
    },
    /// An applied migration was edited afterwards.
    #[error(
        "migration {0} was edited after it was applied; revert it with `migrate down`, or restore its text"
    )]
    Changed(String),
    /// The newest applied migration belongs to a newer release, which alone knows how to revert it.
    #[error("migration {0} was applied by a newer release; revert it with that release")]
    Unknown(String),
}

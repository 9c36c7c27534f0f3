//! Failures of the database: with all causes for the log, as a kind for the retry, and as a diagnosis for a person.

mod diagnosis;
mod diagnosis_text;
mod kind;
mod table;

use std::error::Error;
use std::fmt;
use std::io;

use tokio_postgres::error::{Severity, SqlState};

use crate::statement::Statement;
pub use diagnosis::Diagnosis;
pub use kind::{FailureKind, Phase};
use kind::{Symptom, kind_of};
pub use table::{ListedError, listed_errors};

/// A failed try to run a statement.
#[derive(Debug)]
pub struct Failure {
    /// What the failure means for the next try.
    pub kind: FailureKind,
    /// Whether the connection had been used before, so that it may have been lost since.
    pub on_reused_connection: bool,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Postgres(Phase, tokio_postgres::Error),
    Timeout(Phase),
    Configuration(String, Option<Box<dyn Error + Send + Sync>>),
}

impl Failure {
    pub(crate) fn connecting(error: tokio_postgres::Error) -> Self {
        Self::from_driver(Phase::Connect, error)
    }

    pub(crate) fn running(error: tokio_postgres::Error) -> Self {
        Self::from_driver(Phase::Run, error)
    }

    /// Whether the server has cancelled the statement.
    pub(crate) fn is_cancellation(error: &tokio_postgres::Error) -> bool {
        error.code() == Some(&SqlState::QUERY_CANCELED)
    }

    /// Whether the server has no such function, or lets this role not call it: found before anything is done.
    pub(crate) fn is_uncallable_function(error: &tokio_postgres::Error) -> bool {
        matches!(error.code(), Some(&SqlState::UNDEFINED_FUNCTION | &SqlState::INSUFFICIENT_PRIVILEGE))
    }

    /// Whether the TLS handshake failed or was cut off.
    pub(crate) fn is_tls(error: &tokio_postgres::Error) -> bool {
        error.to_string().contains("TLS")
    }

    pub(crate) fn connect_timeout() -> Self {
        Self::timeout(Phase::Connect)
    }

    pub(crate) fn response_timeout() -> Self {
        Self::timeout(Phase::Run)
    }

    /// Makes the failure of a connection string that cannot be read or parsed.
    pub(crate) fn configuration(problem: String, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind: FailureKind::Permanent,
            on_reused_connection: false,
            cause: Cause::Configuration(problem, source),
        }
    }

    fn from_driver(phase: Phase, error: tokio_postgres::Error) -> Self {
        let kind = kind_of(phase, symptom(&error));
        Self { kind, on_reused_connection: false, cause: Cause::Postgres(phase, error) }
    }

    fn timeout(phase: Phase) -> Self {
        let kind = kind_of(phase, Symptom::Timeout);
        Self { kind, on_reused_connection: false, cause: Cause::Timeout(phase) }
    }

    pub(crate) fn with_reused_connection(mut self, reused: bool) -> Self {
        self.on_reused_connection = reused;
        self
    }

    /// What is wrong, and what a person can do about it.
    #[must_use]
    pub fn diagnosis(&self) -> Diagnosis {
        Diagnosis::from_failure(self)
    }

    /// What was in progress when the try failed. While connecting, no statement can have been sent.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.cause {
            Cause::Timeout(phase) | Cause::Postgres(phase, _) => phase,
            Cause::Configuration(..) => Phase::Connect,
        }
    }

    /// The SQLSTATE, if the server sent one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match &self.cause {
            Cause::Postgres(_, error) => error.code(),
            _ => None,
        }
    }

    /// The driver's own error, if there is one. Its text must only be logged, never shown to a caller.
    #[must_use]
    pub fn driver_error(&self) -> Option<&tokio_postgres::Error> {
        match &self.cause {
            Cause::Postgres(_, error) => Some(error),
            _ => None,
        }
    }

    /// Whether there was no response in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause, Cause::Timeout(_))
    }

    /// Whether the statement was waiting for a row of `table`, or for a key of it, when the server ended it. The server
    /// says so in the first line of the error's context, in its own language; the table's name is the same in all.
    #[must_use]
    pub fn waited_for_row_of(&self, table: &str) -> bool {
        let context = match &self.cause {
            Cause::Postgres(_, error) => error.as_db_error().and_then(|error| error.where_()),
            _ => None,
        };
        context.and_then(|context| context.lines().next()).is_some_and(|innermost| innermost.contains(table))
    }

    /// The name of the constraint that was violated, if one was.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match &self.cause {
            Cause::Postgres(_, error) => error.as_db_error().and_then(|error| error.constraint()),
            _ => None,
        }
    }
}

/// Writes the error with all its causes, which the driver's own `Display` leaves out.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Timeout(Phase::Connect) => f.write_str("no connection in time"),
            Cause::Timeout(Phase::Run) => f.write_str("no answer in time"),
            Cause::Postgres(_, error) => ErrorChain(error).fmt(f),
            Cause::Configuration(problem, None) => f.write_str(problem),
            Cause::Configuration(problem, Some(error)) => {
                write!(f, "{problem}: ")?;
                ErrorChain(error.as_ref()).fmt(f)
            }
        }
    }
}

/// Displays an error with all its causes, separated by colons, since tokio-postgres's own `Display` leaves them out.
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            let cause = error.to_string();
            // Some errors include their cause themselves.
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
            source = error.source();
        }
        f.write_str(&text)
    }
}

/// Why a statement has returned no result.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The statement could not be run before the deadline. Another try later may succeed.
    #[error("{statement}: no database before the deadline: {last}")]
    Unavailable {
        /// The statement's name.
        statement: &'static str,
        /// The last failure, or the one before if the last was only a timeout.
        last: Failure,
    },
    /// The statement violated a constraint, and has changed nothing.
    #[error("{statement}: refused by constraint {constraint}")]
    Constraint {
        /// The statement's name.
        statement: &'static str,
        /// The constraint's name.
        constraint: String,
    },
    /// Another try cannot succeed: there is a defect or a wrong configuration.
    #[error("{statement}: {failure}")]
    Rejected {
        /// The statement's name.
        statement: &'static str,
        /// What went wrong.
        failure: Failure,
    },
    /// The statement returned another number of rows, or other types, than expected.
    #[error("{statement}: the answer is not of the declared shape")]
    WrongShape {
        /// The statement's name.
        statement: &'static str,
    },
}

impl DatabaseError {
    /// What is wrong, and what a person can do about it.
    #[must_use]
    pub fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Unavailable { last: failure, .. } | Self::Rejected { failure, .. } => failure.diagnosis(),
            Self::Constraint { .. } | Self::WrongShape { .. } => Diagnosis::Other,
        }
    }

    pub(crate) fn rejected(statement: &Statement, failure: Failure) -> Self {
        match failure.constraint() {
            Some(constraint) => {
                Self::Constraint { statement: statement.name, constraint: constraint.to_owned() }
            }
            None => Self::Rejected { statement: statement.name, failure },
        }
    }
}

fn symptom(error: &tokio_postgres::Error) -> Symptom<'_> {
    if let Some(error) = error.as_db_error() {
        let fatal = matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
            || matches!(error.severity(), "FATAL" | "PANIC");
        return Symptom::Server { sqlstate: error.code().code(), message: error.message(), fatal };
    }
    if error.is_closed() {
        return Symptom::Io;
    }
    let mut source = error.source();
    let mut in_tls = false;
    while let Some(cause) = source {
        // OpenSSL reports a peer that hung up during the handshake without an I/O error behind it.
        if cause.is::<io::Error>() || cause.is::<native_tls::Error>() && cause.to_string() == "unexpected EOF"
        {
            return Symptom::Io;
        }
        in_tls |= cause.is::<native_tls::Error>();
        source = cause.source();
    }
    match error.to_string() {
        text if text.contains("connecting to server") => Symptom::Io,
        _ if in_tls => Symptom::Tls,
        text if text.contains("TLS") => Symptom::Tls,
        _ => Symptom::Driver,
    }
}

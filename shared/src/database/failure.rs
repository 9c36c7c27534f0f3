//! What went wrong with the database: whole for the log, reduced to a class for the decision.

use std::error::Error;
use std::fmt;
use std::io;

use tokio_postgres::error::{Severity, SqlState};

use super::statement::Statement;
use crate::retry::{Class, Phase, Symptom, classify};

/// One failed try.
#[derive(Debug)]
pub struct Failure {
    /// What it means for the next try.
    pub class: Class,
    /// Whether the connection had served before: it may just have been old.
    pub of_reused_connection: bool,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Postgres(Phase, tokio_postgres::Error),
    Timeout(Phase),
    Configuration(String, Option<Box<dyn Error + Send + Sync>>),
}

impl Failure {
    pub(super) fn of_connecting(error: tokio_postgres::Error) -> Self {
        Self::of(Phase::Connect, error)
    }

    pub(super) fn of_running(error: tokio_postgres::Error) -> Self {
        Self::of(Phase::Run, error)
    }

    /// Whether the server has stopped a statement because it was asked to.
    pub(super) fn is_cancellation(error: &tokio_postgres::Error) -> bool {
        error.code() == Some(&SqlState::QUERY_CANCELED)
    }

    /// Whether it was TLS that could not be agreed on, or cut while it was.
    pub(super) fn is_of_tls(error: &tokio_postgres::Error) -> bool {
        error.to_string().contains("TLS")
    }

    pub(super) fn timeout_of_connecting() -> Self {
        Self::timeout(Phase::Connect)
    }

    pub(super) fn timeout_of_running() -> Self {
        Self::timeout(Phase::Run)
    }

    /// The connection string could not be had or understood.
    pub(super) fn configuration(problem: String, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            class: Class::Permanent,
            of_reused_connection: false,
            cause: Cause::Configuration(problem, source),
        }
    }

    fn of(phase: Phase, error: tokio_postgres::Error) -> Self {
        let class = classify(phase, symptom(&error));
        Self { class, of_reused_connection: false, cause: Cause::Postgres(phase, error) }
    }

    fn timeout(phase: Phase) -> Self {
        let class = classify(phase, Symptom::Timeout);
        Self { class, of_reused_connection: false, cause: Cause::Timeout(phase) }
    }

    pub(super) fn on_reused_connection(mut self, reused: bool) -> Self {
        self.of_reused_connection = reused;
        self
    }

    /// Whether there was a connection at all.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.cause {
            Cause::Timeout(phase) | Cause::Postgres(phase, _) => phase,
            Cause::Configuration(..) => Phase::Connect,
        }
    }

    /// SQLSTATE, when the server gave one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match &self.cause {
            Cause::Postgres(_, error) => error.code(),
            _ => None,
        }
    }

    /// The driver's own error, if it is one. Its text is for the log alone.
    #[must_use]
    pub fn driver_error(&self) -> Option<&tokio_postgres::Error> {
        match &self.cause {
            Cause::Postgres(_, error) => Some(error),
            _ => None,
        }
    }

    /// Whether nobody answered in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause, Cause::Timeout(_))
    }

    /// The constraint that was violated, if that is what happened.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match &self.cause {
            Cause::Postgres(_, error) => error.as_db_error().and_then(|error| error.constraint()),
            _ => None,
        }
    }
}

/// The whole chain: the driver's own `Display` leaves out the cause.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Timeout(Phase::Connect) => f.write_str("no connection in time"),
            Cause::Timeout(Phase::Run) => f.write_str("no answer in time"),
            Cause::Postgres(_, error) => write_chain(f, error),
            Cause::Configuration(problem, None) => f.write_str(problem),
            Cause::Configuration(problem, Some(error)) => {
                write!(f, "{problem}: ")?;
                write_chain(f, error.as_ref())
            }
        }
    }
}

fn write_chain(f: &mut fmt::Formatter<'_>, error: &dyn Error) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}

/// Why a statement has no result.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It could not be carried out before the deadline. The caller should come back.
    #[error("{statement}: no database before the deadline: {last}")]
    Unavailable {
        /// Name of the statement.
        statement: &'static str,
        /// The last try.
        last: Failure,
    },
    /// A constraint refused it; nothing was changed.
    #[error("{statement}: refused by constraint {constraint}")]
    Constraint {
        /// Name of the statement.
        statement: &'static str,
        /// Name of the constraint.
        constraint: String,
    },
    /// Trying again changes nothing: a defect or a wrong configuration.
    #[error("{statement}: {failure}")]
    Rejected {
        /// Name of the statement.
        statement: &'static str,
        /// What the server said.
        failure: Failure,
    },
    /// It answered with rows of another number or type than it declares.
    #[error("{statement}: the answer is not of the declared shape")]
    WrongShape {
        /// Name of the statement.
        statement: &'static str,
    },
}

impl DatabaseError {
    pub(super) fn rejected(statement: &Statement, failure: Failure) -> Self {
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

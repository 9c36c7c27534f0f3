//! What is wrong with a database or with the connection to it, from a closed list that a person can act on.
//!
//! A diagnosis holds nothing of the driver's or the server's text, so that it may be shown to anybody.

use std::error::Error;
use std::io;

use super::{Failure, Phase, table};

/// What is wrong with a database or with the connection to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnosis {
    /// The connection string or its secret cannot be read or parsed.
    Configuration,
    /// The host's name does not resolve.
    UnknownHost,
    /// The host is up, but nothing listens on the port.
    Refused,
    /// The host does not respond in time.
    Unreachable,
    /// The connection was closed before it could be used.
    Closed,
    /// The server's certificate is signed by an authority that is not trusted.
    UntrustedCertificate,
    /// The server's certificate is for another name.
    WrongName,
    /// The server's certificate has expired.
    ExpiredCertificate,
    /// TLS could not be negotiated with the server.
    NoTls,
    /// The server requires TLS, or does not admit this role from here.
    NotAdmitted,
    /// The user or the password is wrong.
    Password,
    /// The server has no database of this name.
    NoDatabase,
    /// The server has no free connection.
    SlotsFull,
    /// The pooler has no free connection.
    PoolerFull,
    /// The pooler accepts the connection and does not respond: it waits for a server connection, perhaps for ever.
    PoolerSilent,
    /// The pooler cannot reach the database.
    PoolerWithoutServer,
    /// The server is starting, stopping or waking up.
    Starting,
    /// The pooler does not accept a start-up parameter.
    Parameter,
    /// A table or column is missing.
    Schema,
    /// The role lacks a privilege.
    Rights,
    /// The server accepts no writes.
    ReadOnly,
    /// A named statement has met another one behind a pooler.
    NamedStatement,
    /// The server has no room left on its disk.
    DiskFull,
    /// The server has no memory left.
    OutOfMemory,
    /// The server has reached a limit that its configuration or its provider sets.
    ResourceLimit,
    /// The server cannot read or write its files, or has found them corrupted.
    Storage,
    /// The server had an error of its own, or was not in a state to run the statement.
    ServerFault,
    /// The provider has suspended the endpoint.
    EndpointDisabled,
    /// The statement conflicted with another transaction: a deadlock or a serialization failure.
    Conflict,
    /// The statement was cancelled, or there was no response in time.
    Slow,
    /// Something else is wrong.
    Other,
}

impl Diagnosis {
    /// Diagnoses a failed try.
    #[must_use]
    pub fn from_failure(failure: &Failure) -> Self {
        match (failure.driver_error(), failure.phase()) {
            (Some(error), phase) => Self::from_driver(error, phase),
            (None, _) if failure.is_timeout() && failure.phase() == Phase::Connect => Self::Unreachable,
            (None, _) if failure.is_timeout() => Self::Slow,
            (None, _) => Self::Configuration,
        }
    }

    /// Diagnoses an SQLSTATE that a statement has caught and returned.
    #[must_use]
    pub fn from_sqlstate(sqlstate: &str) -> Self {
        table::look_up(sqlstate, "").1
    }

    /// Diagnoses an error of the driver.
    #[must_use]
    pub fn from_driver(error: &tokio_postgres::Error, phase: Phase) -> Self {
        if let Some(error) = error.as_db_error() {
            return table::look_up(error.code().code(), error.message()).1;
        }
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<io::Error>()
                && error.get_ref().is_none_or(|inner| !inner.is::<native_tls::Error>())
            {
                match Self::from_io(error) {
                    Self::Other => {}
                    found => return found,
                }
            }
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        match Self::from_tls(&text.to_lowercase()) {
            Self::Other if error.is_closed() || text.contains("unexpected EOF") => Self::Closed,
            Self::Other if phase == Phase::Connect && text.contains("connecting to server") => {
                Self::Unreachable
            }
            found => found,
        }
    }

    /// Diagnoses an error of the operating system.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Closed,
            _ if error.to_string().contains("failed to lookup address") => Self::UnknownHost,
            _ => Self::Other,
        }
    }

    /// Diagnoses a TLS error by its text in lower case, because native-tls does not give OpenSSL's numeric reasons.
    fn from_tls(text: &str) -> Self {
        let says = |texts: &[&str]| texts.iter().any(|part| text.contains(part));
        if says(&["hostname mismatch", "ip address mismatch"]) {
            Self::WrongName
        } else if says(&["certificate has expired", "not yet valid"]) {
            Self::ExpiredCertificate
        } else if says(&["certificate verify failed", "self-signed", "self signed", "local issuer"]) {
            Self::UntrustedCertificate
        } else if says(&["server does not support tls", "wrong version number", "tls handshake", "alert"]) {
            Self::NoTls
        } else if says(&["password missing", "authentication", "channel binding"]) {
            Self::Password
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_and_poolers_say_is_told_apart() {
        for (sqlstate, message, diagnosis) in [
            ("28P01", "password authentication failed for user \"x\"", Diagnosis::Password),
            ("28000", "no pg_hba.conf entry for host \"1.2.3.4\", no encryption", Diagnosis::NotAdmitted),
            ("28000", "role \"x\" does not exist", Diagnosis::Password),
            ("3D000", "database \"x\" does not exist", Diagnosis::NoDatabase),
            ("08P01", "no such database: x", Diagnosis::NoDatabase),
            ("53300", "sorry, too many clients already", Diagnosis::SlotsFull),
            ("53300", "remaining connection slots are reserved", Diagnosis::SlotsFull),
            ("08P01", "query_wait_timeout", Diagnosis::PoolerFull),
            ("08P01", "no more connections allowed (max_client_conn)", Diagnosis::PoolerFull),
            ("XX000", "maxclientsinsessionmode: max clients reached", Diagnosis::PoolerFull),
            ("08P01", "server login has been failing, try again later", Diagnosis::PoolerWithoutServer),
            ("08P01", "unsupported startup parameter: options", Diagnosis::Parameter),
            ("08P01", "no such user: x", Diagnosis::Password),
            ("57P03", "the database system is starting up", Diagnosis::Starting),
            ("42P01", "relation \"codes\" does not exist", Diagnosis::Schema),
            ("42501", "permission denied for table codes", Diagnosis::Rights),
            ("53100", "could not extend file", Diagnosis::DiskFull),
            ("53200", "out of memory", Diagnosis::OutOfMemory),
            ("53000", "insufficient resources", Diagnosis::ResourceLimit),
            ("53400", "temporary file size exceeds temp_file_limit", Diagnosis::ResourceLimit),
            ("58030", "could not write file", Diagnosis::Storage),
            ("58000", "something of the system", Diagnosis::Storage),
            ("XX000", "cache lookup failed", Diagnosis::ServerFault),
            ("57000", "operator intervention", Diagnosis::ServerFault),
            ("55000", "object not in prerequisite state", Diagnosis::ServerFault),
            ("42601", "syntax error", Diagnosis::Other),
        ] {
            assert_eq!(table::look_up(sqlstate, message).1, diagnosis, "{sqlstate} {message}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_apart() {
        for (text, diagnosis) in [
            (
                "certificate verify failed:…: (unable to get local issuer certificate)",
                Diagnosis::UntrustedCertificate,
            ),
            (
                "certificate verify failed:…: (self-signed certificate in certificate chain)",
                Diagnosis::UntrustedCertificate,
            ),
            ("certificate verify failed:…: (hostname mismatch)", Diagnosis::WrongName),
            ("certificate verify failed:…: (certificate has expired)", Diagnosis::ExpiredCertificate),
            ("server does not support tls", Diagnosis::NoTls),
        ] {
            assert_eq!(Diagnosis::from_tls(text), diagnosis, "{text}");
        }
    }
}

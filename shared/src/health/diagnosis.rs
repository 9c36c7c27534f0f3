//! Why there is no connection, or why a statement was refused: a closed list that a person can act on.
//!
//! Nothing of the driver's or the server's text comes out of here, so a diagnosis may be told to anybody.

use std::error::Error;
use std::io;

use crate::database::{DriverError, Failure};
use crate::retry::Phase;

/// What is wrong with the way to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnosis {
    /// The connection string or secret cannot be had or read.
    Configuration,
    /// The host's name does not resolve.
    UnknownHost,
    /// The host is there, nobody listens on the port.
    Refused,
    /// No answer in time.
    Unreachable,
    /// The connection was closed before it was usable.
    Closed,
    /// The server's certificate comes from an authority that is not trusted here.
    UntrustedCertificate,
    /// The server's certificate is made out to another name.
    WrongName,
    /// The server's certificate has expired.
    ExpiredCertificate,
    /// The server does not speak TLS, or not this one.
    NoTls,
    /// The server insists on TLS, or does not let this role in from here.
    NotAdmitted,
    /// User or password are wrong.
    Password,
    /// There is no such database.
    NoDatabase,
    /// The server has no free connection.
    SlotsFull,
    /// The pooler has no free connection.
    PoolerFull,
    /// The pooler cannot reach the database.
    PoolerWithoutServer,
    /// The server is starting, stopping or waking up.
    Starting,
    /// A start-up parameter that the pooler does not take.
    Parameter,
    /// A table or column is missing.
    Schema,
    /// The role may not do that.
    Rights,
    /// The server takes no writes.
    ReadOnly,
    /// A named statement has slipped through a pooler.
    NamedStatement,
    /// The statement was given up or cancelled.
    Slow,
    /// None of these.
    Other,
}

impl Diagnosis {
    /// Of a failed try.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match (failure.driver_error(), failure.phase()) {
            (Some(error), phase) => Self::of_error(error, phase),
            (None, _) if failure.is_timeout() && failure.phase() == Phase::Connect => Self::Unreachable,
            (None, _) if failure.is_timeout() => Self::Slow,
            (None, _) => Self::Configuration,
        }
    }

    /// Of an error of the driver's.
    #[must_use]
    pub fn of_error(error: &DriverError, phase: Phase) -> Self {
        if let Some(error) = error.as_db_error() {
            return Self::of_server(error.code().code(), &error.message().to_lowercase());
        }
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<io::Error>()
                && error.get_ref().is_none_or(|inner| !inner.is::<native_tls::Error>())
            {
                match Self::of_io(error) {
                    Self::Other => {}
                    found => return found,
                }
            }
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        match Self::of_tls(&text.to_lowercase()) {
            Self::Other if error.is_closed() || text.contains("unexpected EOF") => Self::Closed,
            Self::Other if phase == Phase::Connect && text.contains("connecting to server") => {
                Self::Unreachable
            }
            found => found,
        }
    }

    /// Of an error of the network's.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
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

    fn of_server(sqlstate: &str, message: &str) -> Self {
        let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        match sqlstate {
            "28000" if says(&["pg_hba.conf", "encryption", "ssl"]) => Self::NotAdmitted,
            "28P01" | "28000" => Self::Password,
            "3D000" => Self::NoDatabase,
            _ if says(&["no such database"]) => Self::NoDatabase,
            "53300" => Self::SlotsFull,
            "57P03" | "57P01" | "57P02" => Self::Starting,
            "42P01" | "42703" | "3F000" => Self::Schema,
            "42501" => Self::Rights,
            "25006" => Self::ReadOnly,
            "42P05" | "26000" => Self::NamedStatement,
            "57014" | "55P03" => Self::Slow,
            _ if says(&[
                "query_wait_timeout",
                "no more connections",
                "max client",
                "max clients",
                "unable to check out",
            ]) =>
            {
                Self::PoolerFull
            }
            _ if says(&[
                "server login",
                "cannot connect to server",
                "couldn't connect to compute",
                "server conn crashed",
            ]) =>
            {
                Self::PoolerWithoutServer
            }
            _ if says(&["unsupported startup parameter"]) => Self::Parameter,
            _ if says(&["password", "authentication", "no such user"]) => Self::Password,
            _ => Self::Other,
        }
    }

    /// OpenSSL's reasons have no numbers in native-tls, so its words decide.
    fn of_tls(text: &str) -> Self {
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

    /// A word for it, stable, in snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::UnknownHost => "unknown_host",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Closed => "closed",
            Self::UntrustedCertificate => "untrusted_certificate",
            Self::WrongName => "wrong_name",
            Self::ExpiredCertificate => "expired_certificate",
            Self::NoTls => "no_tls",
            Self::NotAdmitted => "not_admitted",
            Self::Password => "wrong_password",
            Self::NoDatabase => "no_such_database",
            Self::SlotsFull => "slots_full",
            Self::PoolerFull => "pooler_full",
            Self::PoolerWithoutServer => "pooler_without_server",
            Self::Starting => "starting",
            Self::Parameter => "parameter",
            Self::Schema => "schema_missing",
            Self::Rights => "no_rights",
            Self::ReadOnly => "read_only",
            Self::NamedStatement => "named_statement",
            Self::Slow => "slow",
            Self::Other => "other",
        }
    }

    /// What was seen, for a person.
    #[must_use]
    pub fn seen(self) -> &'static str {
        match self {
            Self::Configuration => "the connection string or its secret cannot be read",
            Self::UnknownHost => "the host's name does not resolve",
            Self::Refused => "the host is there, but nobody listens on the port",
            Self::Unreachable => "no answer from the host in time",
            Self::Closed => "the connection was closed before it was usable",
            Self::UntrustedCertificate => {
                "the server's certificate comes from an authority that is not trusted"
            }
            Self::WrongName => "the server's certificate is made out to another name",
            Self::ExpiredCertificate => "the server's certificate has expired, or a clock is wrong",
            Self::NoTls => "TLS could not be agreed on",
            Self::NotAdmitted => "the server does not let this user in from here",
            Self::Password => "the server refused the user name or the password",
            Self::NoDatabase => "the server has no database of that name",
            Self::SlotsFull => "the server has no free connection",
            Self::PoolerFull => "the pooler has no free connection",
            Self::PoolerWithoutServer => "the pooler answers, but does not reach the database",
            Self::Starting => "the server is starting, stopping or recovering",
            Self::Parameter => "the pooler does not take a parameter of the connection string",
            Self::Schema => "a table or column is missing",
            Self::Rights => "the role may not read or write a table",
            Self::ReadOnly => "the server takes no writes",
            Self::NamedStatement => "a named statement slipped through the pooler",
            Self::Slow => "the database did not answer in time",
            Self::Other => "the database refused, for a reason that is not in the list",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Configuration => {
                "set DATABASE_URL to a PostgreSQL URL as copied from the provider's console, or DATABASE_SECRET_ARN with the right to \
                 read that secret"
            }
            Self::UnknownHost => {
                "copy the URL anew from the provider's console; in a VPC, see that its DNS resolution is on"
            }
            Self::Refused => {
                "see that the server runs and that the port is right (5432, poolers 6432 or 6543); restart it if it is down"
            }
            Self::Unreachable => {
                "see that the server is up and not suspended, that its firewall or security group admits this network, and \
                 that the VPC has a route"
            }
            Self::Closed => {
                "see the server's log at this moment; a proxy or load balancer in between that expects TLS does this, too"
            }
            Self::UntrustedCertificate => {
                "download the provider's CA certificate and name it in DATABASE_CA (or sslrootcert); on RDS the global bundle"
            }
            Self::WrongName => {
                "connect by the name that the provider gave, not by an IP address or an alias; or sslmode=verify-ca"
            }
            Self::ExpiredCertificate => {
                "renew the server's certificate; if it is still valid, set the clock of this machine"
            }
            Self::NoTls => {
                "turn TLS on at the server, or set sslmode=disable if the network itself is trusted"
            }
            Self::NotAdmitted => {
                "set sslmode=require if the URL says disable; else add this network to the server's pg_hba.conf"
            }
            Self::Password => {
                "copy user and password anew; encode @ : / ? # and % in the URL; after a rotation, update the secret"
            }
            Self::NoDatabase => "correct the name after the last slash of the URL, or CREATE DATABASE it",
            Self::SlotsFull => {
                "end idle sessions with pg_terminate_backend, lower the functions' reserved concurrency, use a transaction \
                 pooler, or raise max_connections"
            }
            Self::PoolerFull => {
                "set the pooler to transaction mode (Supabase: port 6543), as a session pooler holds a server connection for \
                 each container; or raise its pool size"
            }
            Self::PoolerWithoutServer => {
                "see that the database behind the pooler runs, and that the pooler's password for it is right"
            }
            Self::Starting => "wait a minute; if it stays so, read the server's log",
            Self::Parameter => {
                "remove the parameter from the URL (often `options`), or add it to ignore_startup_parameters"
            }
            Self::Schema => "run `cargo tessera migrate up` with DIRECT_URL (or DATABASE_URL) set",
            Self::Rights => {
                "as the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO the role"
            }
            Self::ReadOnly => "point DATABASE_URL at the primary; after a failover, at the new one",
            Self::NamedStatement => {
                "report it: Tessera sends none; another program shares the pooler's connections"
            }
            Self::Slow => {
                "see who holds locks or all of the CPU (pg_stat_activity, `cargo tessera doctor`); behind a pooler: whether it is in \
                 session mode, with all of its server connections taken"
            }
            Self::Other => "the function's log has the whole error, under the request's id",
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
            ("XX000", "cache lookup failed", Diagnosis::Other),
        ] {
            assert_eq!(Diagnosis::of_server(sqlstate, message), diagnosis, "{sqlstate} {message}");
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
            assert_eq!(Diagnosis::of_tls(text), diagnosis, "{text}");
        }
    }
}

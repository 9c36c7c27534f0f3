//! From a failure to its diagnosis: by the kind of error, by SQLSTATE, and where there is nothing better, by words.

use std::error::Error;
use std::io;

use super::Diagnosis;
use crate::database::{DriverError, Failure};
use crate::retry::Phase;

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

//! Why TLS to the database cannot be set up.

use std::io;

use thiserror::Error;

/// Where a certificate authority was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaSource {
    /// The variable `DATABASE_CA`.
    DatabaseCa,
    /// The connection string's `sslrootcert`.
    SslRootCert,
}

impl std::fmt::Display for CaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DatabaseCa => "DATABASE_CA",
            Self::SslRootCert => "`sslrootcert` of the connection string",
        })
    }
}

/// Why TLS to the database cannot be set up. It says where a certificate comes from, and never what it holds.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The file with the authorities cannot be read.
    #[error("the file that {source_name} names cannot be read ({kind})")]
    CaUnreadable {
        /// Where the file was named.
        source_name: CaSource,
        /// The error of the operating system.
        kind: io::ErrorKind,
    },
    /// The text has no `-----BEGIN CERTIFICATE-----`, or what follows is not a certificate.
    #[error("{source_name} holds no usable certificate: expected PEM, one or more")]
    CaNotPem {
        /// Where the text, or the file with it, was configured.
        source_name: CaSource,
    },
    /// The certificate is to be verified, but the system has no authorities.
    #[error(
        "this system has no certificate authorities to verify the database's server with: set DATABASE_CA"
    )]
    NoSystemRoots,
    /// The system's bundle of authorities cannot be read or prepared.
    #[error("the system's certificate authorities cannot be read ({0})")]
    SystemRoots(io::ErrorKind),
    /// OpenSSL has reported an error.
    #[error("TLS cannot be set up")]
    Library(#[from] native_tls::Error),
}

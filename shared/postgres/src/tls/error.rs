//! Why no trust in the database's server can be set up.

use std::io;

use thiserror::Error;

/// Where a given certificate authority came from.
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

/// Why no trust in the database's server can be set up. Names where a certificate came from, never what it holds.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("the file that {source_name} names cannot be read ({kind})")]
    CaUnreadable {
        /// Who named the file.
        source_name: CaSource,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
    /// No `-----BEGIN CERTIFICATE-----`, or what follows is not a certificate.
    #[error("{source_name} holds no usable certificate: expected PEM, one or more")]
    CaNotPem {
        /// Who named the file, or holds the text.
        source_name: CaSource,
    },
    /// Verification was asked for, and there is nothing to verify against.
    #[error(
        "this system has no certificate authorities to verify the database's server with: set DATABASE_CA"
    )]
    NoSystemRoots,
    /// The system's bundle of authorities cannot be read or prepared.
    #[error("the system's certificate authorities cannot be read ({0})")]
    SystemRoots(io::ErrorKind),
    /// OpenSSL refused.
    #[error("TLS cannot be set up")]
    Library(#[from] native_tls::Error),
}

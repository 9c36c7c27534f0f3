//! Whether TLS is used, and what is verified of the server's certificate.

use std::path::PathBuf;

/// libpq's `sslmode`: whether TLS is used, and what is verified.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// TLS is not used.
    Disable,
    /// TLS is used if the server offers it. `allow` means the same here, since trying without TLS first protects
    /// nobody.
    Prefer,
    /// TLS must be used.
    Require,
    /// TLS must be used, and the certificate must be signed by a trusted authority.
    VerifyCa,
    /// TLS must be used, and the certificate must be signed by a trusted authority for this host's name.
    VerifyFull,
}

/// What is verified of the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Nothing is verified.
    Unverified,
    /// The certificate must be signed by a trusted authority.
    Authority,
    /// The certificate must be signed by a trusted authority, for the name of the host that is connected to.
    AuthorityAndName,
}

/// The authorities whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// The authorities that the operating system trusts.
    System,
    /// Those in a PEM file, and no others.
    File(PathBuf),
}

impl SslMode {
    /// The mode for the driver, which knows only whether TLS is used.
    pub(super) fn for_driver(self) -> tokio_postgres::config::SslMode {
        match self {
            Self::Disable => tokio_postgres::config::SslMode::Disable,
            Self::Prefer => tokio_postgres::config::SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => tokio_postgres::config::SslMode::Require,
        }
    }
}

//! Why a connection string cannot be used.

use thiserror::Error;

/// Why a connection string cannot be used. No variant holds any part of the string, since any part may be
/// (a piece of) a password; whoever reads the variable adds its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DatabaseUrlError {
    /// The text is empty or white space.
    #[error("is empty")]
    Empty,
    /// The text is neither a URL nor `key=value` text.
    #[error("is not a connection string: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    NotAConnectionString,
    /// The URL's scheme is not one of PostgreSQL.
    #[error("has a scheme that is not PostgreSQL's: expected postgres:// or postgresql://")]
    UnknownScheme,
    /// The URL's scheme is `prisma://` or `prisma+postgres://`, a protocol that only Prisma's client speaks.
    #[error(
        "is a URL of Prisma's own proxy protocol; use the direct connection string (postgres://…) that Prisma's \
         console shows beside it"
    )]
    PrismaProxy,
    /// The text is a `psql` command with flags instead of a connection string.
    #[error("is a psql command with flags; use the connection string (postgres://…) instead")]
    PsqlFlags,
    /// Host, database name and parameters cannot be told apart.
    #[error(
        "is malformed after the scheme: check the host and the port, and percent-encode special characters of the \
         password (@ as %40, / as %2F, ? as %3F, # as %23)"
    )]
    MalformedUrl,
    /// The `key=value` text has a key without a value, or a quote that is not closed.
    #[error("is malformed key=value text: each key needs `=` and a value, and each quote its end")]
    MalformedKeywords,
    /// A percent-encoded part is not UTF-8.
    #[error("has a percent-encoded part that is not UTF-8")]
    NotUtf8,
    /// The text contains a zero byte, with which PostgreSQL's protocol ends strings.
    #[error("contains a zero byte")]
    ZeroByte,
    /// The provider's placeholder for the password was not replaced.
    #[error("still has the placeholder of the provider's console in place of the password")]
    PlaceholderPassword,
    /// A parameter that decides where or how securely to connect has a value that is not understood.
    #[error("has an unusable value for `{key}`: expected {expected}")]
    BadValue {
        /// The name of the parameter.
        key: &'static str,
        /// The values that it may have.
        expected: &'static str,
    },
    /// There are several ports or `hostaddr`, but not one for each host.
    #[error("lists `{key}` for a different number of hosts than it names")]
    CountMismatch {
        /// `port` or `hostaddr`.
        key: &'static str,
    },
    /// TLS is switched off, but another parameter needs it.
    #[error("switches TLS off and sets `{key}`, which needs TLS")]
    NeedsTls {
        /// The parameter that needs TLS.
        key: &'static str,
    },
    /// The secret is that of another database engine.
    #[error("is a secret of an engine that is not PostgreSQL")]
    WrongEngine,
    /// A field of the secret is missing or not usable.
    #[error("is a secret without a usable `{field}`")]
    SecretField {
        /// The field's name in the secret.
        field: &'static str,
    },
}

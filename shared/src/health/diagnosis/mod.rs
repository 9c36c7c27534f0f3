//! Why there is no connection, or why a statement was refused: a closed list that a person can act on.
//!
//! Nothing of the driver's or the server's text comes out of here, so a diagnosis may be told to anybody.

mod recognition;
mod words;

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
    /// The pooler takes the connection and is silent: it waits for a server connection, and may wait for ever.
    PoolerSilent,
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

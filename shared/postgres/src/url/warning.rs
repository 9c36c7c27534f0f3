//! Warnings about parameters of a connection string that are not obeyed.

use std::fmt;

/// A parameter that is not obeyed, by its name and never with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The parameter is unknown, perhaps because of a typing error.
    Unknown {
        /// The parameter as it was written.
        key: String,
    },
    /// The parameter is known, and deliberately not obeyed.
    Ignored {
        /// The parameter as it was written.
        key: String,
        /// What is done instead.
        instead: &'static str,
    },
    /// The parameter is known, but its value is not understood, so that it has no effect.
    NotUnderstood {
        /// The parameter as it was written.
        key: String,
    },
    /// The connection string has no host.
    NoHost,
    /// The server's certificate is not verified, so that whoever is on the path can read and change everything.
    ServerNotVerified,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key } => write!(f, "unknown parameter `{key}` is ignored"),
            Self::Ignored { key, instead } => write!(f, "`{key}` is ignored: {instead}"),
            Self::NotUnderstood { key } => write!(f, "the value of `{key}` is not understood and ignored"),
            Self::NoHost => f.write_str("no host is given: using localhost"),
            Self::ServerNotVerified => f.write_str(
                "the database server's certificate is not verified; set sslmode=verify-full, with DATABASE_CA (or \
                 sslrootcert) where the provider has its own certificate authority",
            ),
        }
    }
}

/// A parameter's name for the log. Anything that does not look like a name is left out, since it may be a piece of a
/// mistyped password.
pub(super) fn printable(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let is_name =
        key.len() <= 40 && key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.chars().all(plain);
    if is_name { key.to_owned() } else { "(unreadable name)".to_owned() }
}

/// The warning about a parameter that is not obeyed.
pub(super) fn ignored(key: &str, canonical: &str) -> Warning {
    let instead = match canonical {
        "connectionlimit"
        | "pooltimeout"
        | "poolsize"
        | "pool"
        | "pooling"
        | "maxpoolsize"
        | "minpoolsize"
        | "maximumpoolsize"
        | "minimumpoolsize"
        | "maxconnections"
        | "poolmode"
        | "maxidleconnectionlifetime"
        | "poolmaxconns"
        | "poolminconns"
        | "connectionlifetime"
        | "idletimeout"
        | "maxclientconn" => "each container holds one connection",
        "preparethreshold"
        | "statementcachesize"
        | "statementcachecapacity"
        | "preparedstatements"
        | "preparedstatementcachequeries"
        | "preparedstatementcachesizemib"
        | "preparedstatementcachesize"
        | "defaultqueryexecmode"
        | "binaryparameters"
        | "prepare"
        | "maxautoprepare"
        | "noresetonclose"
        | "disablepreparedbinaryresult"
        | "prefersimpleprotocol"
        | "prefersimplemode"
        | "prefersimplequery"
        | "preferquerymode" => "statements are never named or kept, so that any pooler works",
        "applicationname" | "fallbackapplicationname" => {
            "Tessera names its connections by function and container"
        }
        "sslcert" | "sslkey" | "sslpassword" | "sslidentity" | "sslcertmode" => {
            "client certificates are not supported; a certificate authority goes into sslrootcert or DATABASE_CA"
        }
        "sslfactory" | "sslhostnameverifier" | "sslfactoryarg" | "trustservercertificate" => {
            "what is verified is decided by sslmode and sslrootcert"
        }
        "sslsni" => "the server's name is always sent",
        "sslcrl" | "sslcrldir" | "sslcompression" | "sslminprotocolversion" | "sslmaxprotocolversion" => {
            "TLS 1.2 or newer is used, without compression or revocation lists"
        }
        "gssencmode" | "krbsrvname" | "gsslib" | "gssdelegation" | "requireauth" | "requirepeer" => {
            "Tessera authenticates with a password (SCRAM or MD5), encrypted by TLS only"
        }
        "service" | "servicefile" | "passfile" => "only what stands in the variable itself is read",
        "clientencoding" | "charset" | "encoding" => "UTF-8 is always used",
        "locktimeout"
        | "idleintransactionsessiontimeout"
        | "idlesessiontimeout"
        | "transactiontimeout"
        | "timezone"
        | "role"
        | "defaulttransactionisolation"
        | "plancachemode" => "Tessera keeps no session state; set it for the role with ALTER ROLE",
        "replication"
        | "rewritebatchedinserts"
        | "rewritebatchedinsertsmode"
        | "reconnect"
        | "loggerlevel"
        | "cancelsignaltimeout"
        | "assumeminserverversion"
        | "stringtype"
        | "defaultrowfetchsize" => "it has no meaning here",
        _ => return Warning::Unknown { key: printable(key) },
    };
    Warning::Ignored { key: printable(key), instead }
}

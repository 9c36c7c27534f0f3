//! The texts of each diagnosis: its name, what is wrong, and what to do.

use super::Diagnosis;

impl Diagnosis {
    /// Whether the server or the pooler had no free connection.
    #[must_use]
    pub fn is_lack_of_connections(self) -> bool {
        matches!(self, Self::SlotsFull | Self::PoolerFull)
    }

    /// Whether the server may still answer a statement that changes nothing when it has refused one that does.
    #[must_use]
    pub fn may_spare_reads(self) -> bool {
        matches!(
            self,
            Self::DiskFull
                | Self::OutOfMemory
                | Self::ResourceLimit
                | Self::Storage
                | Self::ServerFault
                | Self::ReadOnly
        )
    }

    /// The diagnosis's name, which is stable and in snake case.
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
            Self::PoolerSilent => "pooler_silent",
            Self::PoolerWithoutServer => "pooler_without_server",
            Self::Starting => "starting",
            Self::Parameter => "parameter",
            Self::Schema => "schema_missing",
            Self::Rights => "no_rights",
            Self::ReadOnly => "read_only",
            Self::NamedStatement => "named_statement",
            Self::DiskFull => "disk_full",
            Self::OutOfMemory => "out_of_memory",
            Self::ResourceLimit => "resource_limit",
            Self::Storage => "storage",
            Self::ServerFault => "server_fault",
            Self::EndpointDisabled => "endpoint_disabled",
            Self::Conflict => "conflict",
            Self::Slow => "slow",
            Self::Other => "other",
        }
    }

    /// What is wrong, for a person.
    #[must_use]
    pub fn summary(self) -> &'static str {
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
            Self::PoolerSilent => "the pooler takes the connection, but has no server for it in time",
            Self::PoolerWithoutServer => "the pooler answers, but does not reach the database",
            Self::Starting => "the server is starting, stopping or recovering",
            Self::Parameter => "the pooler does not take a parameter of the connection string",
            Self::Schema => "a table or column is missing",
            Self::Rights => "the role may not read or write a table",
            Self::ReadOnly => "the server takes no writes",
            Self::NamedStatement => "a named statement slipped through the pooler",
            Self::DiskFull => "the server has no room left on its disk",
            Self::OutOfMemory => "the server has no memory left",
            Self::ResourceLimit => "the server has reached a limit of its resources",
            Self::Storage => "the server cannot read or write its files",
            Self::ServerFault => {
                "the server had an error of its own, or was not in a state to run the statement"
            }
            Self::EndpointDisabled => "the provider has switched the database's endpoint off",
            Self::Conflict => "another transaction had the better right",
            Self::Slow => "the database did not answer in time",
            Self::Other => "the database refused, for a reason that is not in the list",
        }
    }

    /// What to do about it, for a person.
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
                "see that the server is up and not suspended, that the port is PostgreSQL's, that its firewall or security group \
                 admits this network, and that the VPC has a route; behind a pooler, that it reaches its database"
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
                 pooler, or raise the limit that is reached: max_connections, or the CONNECTION LIMIT of the role or database"
            }
            Self::PoolerFull => {
                "raise the limit that its log names: of clients (PgBouncer: max_client_conn), or of server connections (the pool \
                 size), which a pooler in session mode keeps one of for each container: set it to transaction mode (Supabase: \
                 port 6543)"
            }
            Self::PoolerSilent => {
                "see in the pooler's log whether it reaches the database: that it runs, and that the pooler has the right host and \
                 port for it; if it does, all its server connections are taken: set it to transaction mode (Supabase: port 6543), \
                 or raise its pool size"
            }
            Self::PoolerWithoutServer => {
                "see that the database behind the pooler runs, and that the pooler's password for it is right"
            }
            Self::Starting => "wait a minute; if it stays so, read the server's log",
            Self::Parameter => {
                "remove the parameter from the URL (often `options`), or add it to ignore_startup_parameters"
            }
            Self::Schema => "apply the migrations that are pending",
            Self::Rights => {
                "as the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO the role; GRANT USAGE \
                 ON ALL SEQUENCES IN SCHEMA public TO the role"
            }
            Self::ReadOnly => "point DATABASE_URL at the primary; after a failover, at the new one",
            Self::NamedStatement => {
                "find the program that shares the pooler's connections and prepares statements: this crate sends none"
            }
            Self::DiskFull => {
                "enlarge the disk, or the plan at the provider, now; then see what fills it: WAL that a replication slot or a failing \
                 archive_command holds back (pg_replication_slots, pg_stat_archiver), large tables, temporary files, logs"
            }
            Self::OutOfMemory => {
                "lower work_mem or max_connections, or give the server more memory; see in its log which process took it"
            }
            Self::ResourceLimit => {
                "see in the server's log which limit it is (temp_file_limit, or the provider's plan), and raise it"
            }
            Self::Storage => {
                "read the server's log now: its disk may fail or its files may be damaged; see that there is a backup before anything \
                 else is done"
            }
            Self::ServerFault => {
                "read the server's log at this moment; if it stays so, restart the server or ask its provider"
            }
            Self::EndpointDisabled => {
                "switch it on in the provider's console; a quota or a bill may be the reason"
            }
            Self::Conflict => {
                "nothing, as it is tried again; if it stays so, see which transactions run for long"
            }
            Self::Slow => {
                "see who holds locks or all of the CPU (pg_stat_activity); behind a pooler: whether it is in \
                 session mode, with all of its server connections taken; or the role's statement_timeout is too short"
            }
            Self::Other => "the log has the whole error",
        }
    }
}

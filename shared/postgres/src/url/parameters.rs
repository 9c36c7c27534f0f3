//! Reads the parameters of every dialect one by one.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

use super::options::Options;
use super::warning::{ignored, printable};
use super::{DatabaseUrlError, Dialect, Keepalives, Pooler, RootCert, Setting, SslMode, Warning};

/// The parameters of a connection string, before conflicts between them are resolved.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) hosts: Vec<String>,
    pub(super) ports: Vec<Option<u16>>,
    pub(super) hostaddrs: Vec<IpAddr>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) dbname: Option<String>,
    pub(super) ssl_mode: Option<SslMode>,
    /// The mode from `ssl=`, which `sslmode` overrides.
    pub(super) ssl: Option<SslMode>,
    /// Whether Prisma's `sslaccept` is `strict`.
    pub(super) strict: bool,
    /// Whether the connection string asks not to verify the certificate, so that neither a known provider nor a root
    /// certificate makes the mode stricter.
    pub(super) any_certificate: bool,
    pub(super) root_cert: Option<RootCert>,
    pub(super) ssl_negotiation: Option<SslNegotiation>,
    pub(super) channel_binding: Option<ChannelBinding>,
    pub(super) options: Options,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) statement_timeout: Option<Duration>,
    pub(super) keepalives: Keepalives,
    pub(super) target_session_attrs: Option<TargetSessionAttrs>,
    pub(super) load_balance_hosts: Option<LoadBalanceHosts>,
    /// The pooler that a parameter of a provider or an ORM shows: `pgbouncer=true`, Supabase's `supa=`.
    pub(super) pooler_mark: Option<Pooler>,
    pub(super) warnings: Vec<Warning>,
}

pub(super) fn read(settings: &[Setting], dialect: Dialect) -> Result<Parameters, DatabaseUrlError> {
    let mut parameters = Parameters::default();
    for setting in settings {
        if setting.value.contains('\0') {
            return Err(DatabaseUrlError::ZeroByte);
        }
        parameters.read_one(setting, dialect)?;
    }
    Ok(parameters)
}

impl Parameters {
    fn read_one(&mut self, setting: &Setting, dialect: Dialect) -> Result<(), DatabaseUrlError> {
        let Setting { key, value } = setting;
        let value = value.as_str();
        match canonical(key).as_str() {
            "host" | "server" => self.hosts = list(value),
            "port" => self.ports = ports(value)?,
            "hostaddr" => self.hostaddrs = addresses(value)?,
            "user" | "username" | "userid" => self.user = text(value),
            "password" => self.password = text(value),
            "dbname" | "database" | "databasename" => self.dbname = text(value),

            "sslmode" => self.read_ssl_mode(value)?,
            "ssl" => self.read_ssl(value, dialect)?,
            "sslaccept" if value == "strict" => self.strict = true,
            "sslaccept" => self.any_certificate = true,
            "sslfactory" if value.ends_with("NonValidatingFactory") => self.any_certificate = true,
            "sslrootcert" | "rootcertificate" => self.root_cert = root_cert(value),
            "sslnegotiation" => self.ssl_negotiation = Some(ssl_negotiation(value)?),
            "channelbinding" => self.channel_binding = Some(channel_binding(value)?),

            "options" => self.read_options(value),
            "connecttimeout" | "logintimeout" => self.connect_timeout = self.duration(key, value, "s"),
            "timeout" if dialect == Dialect::Ado => self.connect_timeout = self.duration(key, value, "s"),
            "statementtimeout" | "querytimeout" => self.statement_timeout = self.duration(key, value, "ms"),
            "sockettimeout" | "commandtimeout" => self.statement_timeout = self.duration(key, value, "s"),

            "keepalives" | "tcpkeepalive" => self.keepalives.enabled = !matches!(value, "0" | "false"),
            "keepalivesidle" => self.set_keepalive(key, value, |k| &mut k.idle),
            "keepalivesinterval" => self.set_keepalive(key, value, |k| &mut k.interval),
            "keepalivescount" | "keepalivesretries" => match value.parse() {
                Ok(count) => self.keepalives.count = count,
                Err(_) => self.not_understood(key),
            },
            "tcpusertimeout" => self.keepalives.user_timeout = self.duration(key, value, "ms"),
            "targetsessionattrs" | "targetservertype" => self.read_target(key, value),
            "loadbalancehosts" => self.load_balance_hosts = load_balance(value),

            "pgbouncer" if matches!(value, "true" | "1") => {
                self.pooler_mark.get_or_insert(Pooler::PgBouncer);
            }
            "pgbouncer" => {}
            "supa" => self.pooler_mark = Some(Pooler::Supavisor),
            "workaround" if value.starts_with("supabase") => self.pooler_mark = Some(Pooler::Supavisor),
            "schema" | "currentschema" | "searchpath" => self.refuse_schema(key, value),
            "clientencoding" | "charset" | "encoding" if is_utf8(value) => {}
            other => self.warnings.push(ignored(key, other)),
        }
        Ok(())
    }

    fn read_ssl_mode(&mut self, value: &str) -> Result<(), DatabaseUrlError> {
        let mode = match canonical(value).as_str() {
            "disable" => SslMode::Disable,
            "allow" | "prefer" | "preferred" => SslMode::Prefer,
            "require" | "required" => SslMode::Require,
            "noverify" => {
                self.any_certificate = true;
                SslMode::Require
            }
            "verifyca" => SslMode::VerifyCa,
            "verifyfull" => SslMode::VerifyFull,
            _ => {
                let expected = "disable, prefer, require, verify-ca or verify-full";
                return Err(DatabaseUrlError::BadValue { key: "sslmode", expected });
            }
        };
        self.ssl_mode = Some(mode);
        Ok(())
    }

    /// JDBC's `ssl=true` means `sslmode=verify-full` (<https://jdbc.postgresql.org/documentation/ssl/>); elsewhere it
    /// only asks for TLS. Python's asyncpg and node also write a mode here.
    fn read_ssl(&mut self, value: &str, dialect: Dialect) -> Result<(), DatabaseUrlError> {
        let mode = match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "" if dialect == Dialect::Jdbc => SslMode::VerifyFull,
            "true" | "1" | "on" | "" => SslMode::Require,
            "false" | "0" | "off" => SslMode::Disable,
            _ => {
                let mode_before = self.ssl_mode.take();
                self.read_ssl_mode(value)
                    .map_err(|_| DatabaseUrlError::BadValue { key: "ssl", expected: "true or false" })?;
                std::mem::replace(&mut self.ssl_mode, mode_before).unwrap_or(SslMode::Prefer)
            }
        };
        self.ssl = Some(mode);
        Ok(())
    }

    fn read_options(&mut self, value: &str) {
        self.options = Options::parse(value);
        if let Some(timeout) = self.options.get("statement_timeout").map(str::to_owned) {
            self.statement_timeout = self.duration("statement_timeout", &timeout, "ms");
        }
        if let Some(schema) = self.options.take("search_path") {
            self.refuse_schema("search_path", &schema);
        }
    }

    fn read_target(&mut self, key: &str, value: &str) {
        self.target_session_attrs = match canonical(value).as_str() {
            "any" => Some(TargetSessionAttrs::Any),
            "readwrite" | "primary" | "master" => Some(TargetSessionAttrs::ReadWrite),
            "readonly" | "standby" | "secondary" | "slave" => Some(TargetSessionAttrs::ReadOnly),
            _ => {
                self.not_understood(key);
                None
            }
        };
    }

    fn refuse_schema(&mut self, key: &str, value: &str) {
        let names = value.split(',').map(|name| name.trim().trim_matches('"'));
        let only_public = names.clone().all(|name| matches!(name, "public" | "$user" | ""));
        if !only_public {
            let instead = "Tessera's tables are in the schema `public`, since a search path is session state";
            self.warnings.push(Warning::Ignored { key: printable(key), instead });
        }
    }

    fn set_keepalive(&mut self, key: &str, value: &str, field: fn(&mut Keepalives) -> &mut Duration) {
        if let Some(duration) = self.duration(key, value, "s") {
            *field(&mut self.keepalives) = duration;
        }
    }

    /// Reads a duration in `unit`, unless the value has a unit of its own. 0 and negative values mean no limit, as in
    /// PostgreSQL.
    fn duration(&mut self, key: &str, value: &str, unit: &str) -> Option<Duration> {
        let value = value.trim();
        let digits_end = value.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(value.len());
        let (number, given_unit) = value.split_at(digits_end);
        let unit = if given_unit.is_empty() { unit } else { given_unit.trim() };
        let milliseconds = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "min" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let (Ok(number), Some(scale)) = (number.parse::<i64>(), milliseconds) else {
            self.not_understood(key);
            return None;
        };
        let total = u64::try_from(number).ok()?.checked_mul(scale)?;
        (total > 0).then(|| Duration::from_millis(total))
    }

    fn not_understood(&mut self, key: &str) {
        self.warnings.push(Warning::NotUnderstood { key: printable(key) });
    }
}

/// Normalises a key, so that `connectTimeout`, `connect_timeout` and `Connect Timeout` are the same.
fn canonical(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(|item| item.trim().to_owned()).collect()
}

fn ports(value: &str) -> Result<Vec<Option<u16>>, DatabaseUrlError> {
    let expected = "a number from 1 to 65535";
    let port = |text: &str| match text.trim() {
        "" => Ok(None),
        text => match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(DatabaseUrlError::BadValue { key: "port", expected }),
        },
    };
    value.split(',').map(port).collect()
}

fn addresses(value: &str) -> Result<Vec<IpAddr>, DatabaseUrlError> {
    let expected = "an IP address for each host";
    let address = |text: &str| {
        text.trim().parse().map_err(|_| DatabaseUrlError::BadValue { key: "hostaddr", expected })
    };
    value.split(',').filter(|text| !text.is_empty()).map(address).collect()
}

fn root_cert(value: &str) -> Option<RootCert> {
    match value {
        "" => None,
        "system" => Some(RootCert::System),
        path => Some(RootCert::File(path.into())),
    }
}

fn ssl_negotiation(value: &str) -> Result<SslNegotiation, DatabaseUrlError> {
    match value {
        "direct" => Ok(SslNegotiation::Direct),
        "postgres" => Ok(SslNegotiation::Postgres),
        _ => Err(DatabaseUrlError::BadValue { key: "sslnegotiation", expected: "postgres or direct" }),
    }
}

fn channel_binding(value: &str) -> Result<ChannelBinding, DatabaseUrlError> {
    match value {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => {
            Err(DatabaseUrlError::BadValue { key: "channel_binding", expected: "disable, prefer or require" })
        }
    }
}

fn load_balance(value: &str) -> Option<LoadBalanceHosts> {
    matches!(value, "random" | "true").then_some(LoadBalanceHosts::Random)
}

fn is_utf8(value: &str) -> bool {
    matches!(canonical(value).as_str(), "utf8" | "unicode" | "auto")
}

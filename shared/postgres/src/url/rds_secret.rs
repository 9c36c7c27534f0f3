//! The secret that RDS and Aurora create in Secrets Manager.

use serde::Deserialize;

use super::provider::is_rds;
use super::{DatabaseUrlError, Setting};

/// The fields of a secret that RDS or Aurora has created; others are ignored. It has no `Debug`, so that the password
/// cannot be logged. <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>
#[derive(Deserialize)]
pub struct RdsSecret {
    /// The database engine, such as `postgres` or `aurora-postgresql`; may be missing.
    pub engine: Option<String>,
    /// The host name. It is missing in the secrets that RDS manages for a master user, with which a connection string
    /// cannot be made.
    pub host: Option<String>,
    /// The port; 5432 if missing.
    pub port: Option<Port>,
    /// The role to log in as.
    pub username: Option<String>,
    /// The password, which is not percent-encoded.
    pub password: Option<String>,
    /// The database's name; that of the role if missing.
    #[serde(alias = "database")]
    pub dbname: Option<String>,
}

/// A port, which RDS writes as a number, and people often as text.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Port {
    /// A number, as in `5432`.
    Number(u16),
    /// A text, as in `"5432"`.
    Text(String),
}

impl RdsSecret {
    pub(super) fn settings(&self) -> Result<Vec<Setting>, DatabaseUrlError> {
        let engine = self.engine.as_deref().unwrap_or("postgres");
        if !engine.contains("postgres") {
            return Err(DatabaseUrlError::WrongEngine);
        }
        let host = required(self.host.as_deref(), "host")?;
        let mut settings = vec![
            Setting::new("host", host),
            Setting::new("user", required(self.username.as_deref(), "username")?),
            Setting::new("password", required(self.password.as_deref(), "password")?),
            Setting::new("dbname", self.dbname.as_deref().unwrap_or_default()),
        ];
        match &self.port {
            Some(Port::Number(port)) => settings.push(Setting::new("port", port.to_string())),
            Some(Port::Text(port)) => settings.push(Setting::new("port", port)),
            None => {}
        }
        if is_rds(host) {
            settings.push(Setting::new("sslmode", "require"));
        }
        Ok(settings)
    }
}

fn required<'a>(value: Option<&'a str>, field: &'static str) -> Result<&'a str, DatabaseUrlError> {
    value.filter(|value| !value.is_empty()).ok_or(DatabaseUrlError::SecretField { field })
}

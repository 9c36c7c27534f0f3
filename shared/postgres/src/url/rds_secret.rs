//! The secret that RDS and Aurora keep in Secrets Manager.

use serde::Deserialize;

use super::provider::is_rds;
use super::{DatabaseUrlError, Setting};

/// The fields of such a secret; others are passed over. Deliberately without `Debug`.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>
#[derive(Deserialize)]
pub struct RdsSecret {
    /// `postgres`, `aurora-postgresql`; may be missing.
    pub engine: Option<String>,
    /// Missing in the secrets that RDS makes for a master user; the function then needs it from elsewhere.
    pub host: Option<String>,
    /// A number, or a number as text; 5432 when missing.
    pub port: Option<Port>,
    /// The role.
    pub username: Option<String>,
    /// The password, as it is.
    pub password: Option<String>,
    /// The database; named like the role when missing.
    #[serde(alias = "database")]
    pub dbname: Option<String>,
}

/// Consoles write a number, hand-made secrets often text.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Port {
    /// `5432`
    Number(u16),
    /// `"5432"`
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

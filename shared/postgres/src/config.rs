//! How to reach a database: its connection string, the authorities to trust, and time limits.

use std::fmt::Display;
use std::time::Duration;

use serde::Deserialize;

use crate::observer::{self, Observer};
use crate::secrets::{Secret, SecretSource};
use crate::url::{DatabaseUrl, RdsSecret};

/// How long one attempt to connect may take, including name resolution, TLS and authentication, unless the URL has a
/// `connect_timeout`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one statement may take, unless the URL has a `statement_timeout`.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach one database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Where the connection string is read from.
    pub source: SecretSource,
    /// The environment variable that it comes from, for messages.
    pub variable: &'static str,
    /// A path or the PEM text of the authorities to trust for the database, usually from `DATABASE_CA`.
    pub authorities: Option<String>,
    /// The `application_name` of its connections, of up to 63 bytes, by which the server's views show them.
    pub application_name: String,
    /// The function that is called for each event between requests and the database.
    pub observer: Observer,
}

/// A variable has a value that cannot be used. The error says what is wrong, and never holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with the value.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(variable: &'static str, problem: impl Display) -> Self {
        Self { variable, problem: problem.to_string() }
    }
}

impl DatabaseConfig {
    /// Configures a database by its connection string alone, with the system's authorities and no observer. `variable`
    /// is named in errors and warnings.
    #[must_use]
    pub fn new(variable: &'static str, source: SecretSource) -> Self {
        let application_name = env!("CARGO_PKG_NAME").to_owned();
        Self { source, variable, authorities: None, application_name, observer: observer::ignore }
    }

    /// Parses what was read from the source: a connection string, `{"DATABASE_URL": …}`, or the fields that RDS writes
    /// into a secret.
    pub fn parse(&self, text: &Secret) -> Result<DatabaseUrl, ConfigError> {
        let text = text.expose();
        if text.trim_start().starts_with('{') {
            return self.parse_json(text);
        }
        DatabaseUrl::parse(text).map_err(|error| ConfigError::new(self.variable, error))
    }

    fn parse_json(&self, text: &str) -> Result<DatabaseUrl, ConfigError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum SecretForm {
            Url {
                #[serde(rename = "DATABASE_URL")]
                url: String,
            },
            Rds(RdsSecret),
        }
        let url = match serde_json::from_str(text) {
            Ok(SecretForm::Url { url }) => DatabaseUrl::parse(&url),
            Ok(SecretForm::Rds(secret)) => DatabaseUrl::from_rds_secret(&secret),
            Err(_) => {
                let problem =
                    "the secret is neither a URL, nor {\"DATABASE_URL\": …}, nor of the form that RDS writes";
                return Err(ConfigError::new(self.variable, problem));
            }
        };
        url.map_err(|error| ConfigError::new(self.variable, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(variable: &'static str, text: &str) -> Result<DatabaseUrl, ConfigError> {
        let secret = Secret::new(text);
        DatabaseConfig::new(variable, SecretSource::Given(secret.clone())).parse(&secret)
    }

    #[test]
    fn a_malformed_url_is_named_and_not_shown() {
        let error = parse("DATABASE_URL", "mysql://me:hunter2@host/db").unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_URL: ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_secret_may_have_any_of_three_forms() {
        for text in [
            "postgres://u:p@db.example/app",
            r#"{"DATABASE_URL": "postgres://u:p@db.example/app"}"#,
            r#"{"host":"db.example","port":5432,"username":"u","password":"p","dbname":"app","engine":"postgres"}"#,
            r#"{"host":"db.example","port":"5432","username":"u","password":"p@/#?","engine":"postgres"}"#,
        ] {
            parse("DATABASE_SECRET_ARN", text).expect(text);
        }
        let error = parse("DATABASE_SECRET_ARN", r#"{"password":"hunter2"}"#).unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_SECRET_ARN: ") && !error.contains("hunter2"), "{error}");
    }
}

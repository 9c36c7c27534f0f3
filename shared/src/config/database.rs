//! Where the database is and how long to wait for it.

use std::time::Duration;

use serde::Deserialize;

use super::database_url::{DatabaseUrl, RdsSecret};
use super::{ConfigError, Environment};
use crate::secrets::{Secret, Source};

/// How to reach one database.
#[derive(Debug)]
pub struct DatabaseConfig {
    /// Where its connection string comes from.
    pub source: Source,
    /// The variable that named it, for messages.
    pub variable: &'static str,
    /// `DATABASE_CA`: a path or PEM text of the authorities to trust for the database.
    pub authorities: Option<String>,
    /// What the database's own views show: function, version and container.
    pub application_name: String,
}

/// Limit of one try to connect, name resolution, TLS and authentication included, unless the URL has a `connect_timeout`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of one statement, unless the URL has a `statement_timeout`.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

impl DatabaseConfig {
    /// From `DATABASE_URL` or `DATABASE_SECRET_ARN`. A given URL is checked here and now.
    pub fn primary(environment: &Environment) -> Result<Self, ConfigError> {
        Self::from_variables(environment, "DATABASE_URL", "DATABASE_SECRET_ARN")
            .ok_or(ConfigError::Missing("DATABASE_URL (or DATABASE_SECRET_ARN)"))
    }

    /// From `DIRECT_URL` or `DIRECT_URL_SECRET_ARN`, else as [`primary`](Self::primary): for migrations.
    pub fn direct(environment: &Environment) -> Result<Self, ConfigError> {
        match Self::from_variables(environment, "DIRECT_URL", "DIRECT_URL_SECRET_ARN") {
            Some(config) => Ok(config),
            None => Self::primary(environment),
        }
    }

    /// From `DATABASE_READ_URL` or `DATABASE_READ_SECRET_ARN`, if there is a read replica.
    #[must_use]
    pub fn replica(environment: &Environment) -> Option<Self> {
        Self::from_variables(environment, "DATABASE_READ_URL", "DATABASE_READ_SECRET_ARN")
    }

    fn from_variables(environment: &Environment, url: &'static str, arn: &'static str) -> Option<Self> {
        let (source, variable) = match (environment.get(url), environment.get(arn)) {
            (Some(text), _) => (Source::Given(Secret::new(text)), url),
            (None, Some(name)) => (Source::SecretsManager(name.to_owned()), arn),
            (None, None) => return None,
        };
        Some(Self {
            source,
            variable,
            authorities: environment.get("DATABASE_CA").map(str::to_owned),
            application_name: application_name(environment),
        })
    }

    /// Reads what the source held: a URL, `{"DATABASE_URL": …}`, or what RDS writes.
    pub fn parse(&self, text: &Secret) -> Result<DatabaseUrl, ConfigError> {
        parse_secret(self.variable, text.expose())
    }
}

fn parse(variable: &'static str, text: &str) -> Result<DatabaseUrl, ConfigError> {
    DatabaseUrl::parse(text).map_err(|error| ConfigError::malformed(variable, error))
}

fn parse_secret(variable: &'static str, text: &str) -> Result<DatabaseUrl, ConfigError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Url {
            #[serde(rename = "DATABASE_URL")]
            url: String,
        },
        Rds(RdsSecret),
    }
    if !text.trim_start().starts_with('{') {
        return parse(variable, text);
    }
    match serde_json::from_str(text) {
        Ok(Shape::Url { url }) => parse(variable, &url),
        Ok(Shape::Rds(secret)) => {
            DatabaseUrl::from_rds_secret(&secret).map_err(|error| ConfigError::malformed(variable, error))
        }
        Err(_) => Err(ConfigError::malformed(
            variable,
            "the secret is neither a URL, nor {\"DATABASE_URL\": …}, nor of the form that RDS writes",
        )),
    }
}

/// Function, version and container, in PostgreSQL's 63 bytes: `tessera/qr-redirect/$LATEST/1f2e3d4c`.
fn application_name(environment: &Environment) -> String {
    let get = |name| environment.get(name).unwrap_or("-");
    let stream = get("AWS_LAMBDA_LOG_STREAM_NAME");
    // A log stream is `2026/11/21/[$LATEST]` and 32 hexadecimal digits, one a container.
    let container = stream.rsplit(']').next().unwrap_or(stream);
    let container: String = container.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let function: String = get("AWS_LAMBDA_FUNCTION_NAME").chars().take(36).collect();
    let version: String = get("AWS_LAMBDA_FUNCTION_VERSION").chars().take(8).collect();
    format!("tessera/{function}/{version}/{container}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_name_tells_function_version_and_container() {
        let environment = Environment::from([
            ("AWS_LAMBDA_FUNCTION_NAME", "tessera-prod-qr-redirect-with-a-very-long-suffix"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/21/[$LATEST]1f2e3d4c5b6a79880123456789abcdef"),
        ]);
        let name = application_name(&environment);
        assert_eq!(name, "tessera/tessera-prod-qr-redirect-with-a-very/$LATEST/1f2e3d4c");
        assert!(name.len() <= 63);
    }

    #[test]
    fn a_missing_database_names_both_variables() {
        let error = DatabaseConfig::primary(&Environment::default()).unwrap_err();
        assert_eq!(error.to_string(), "DATABASE_URL (or DATABASE_SECRET_ARN) is not set");
    }

    #[test]
    fn a_malformed_url_is_named_and_not_shown() {
        let error = parse_secret("DATABASE_URL", "mysql://me:hunter2@host/db").unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_URL: ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_secret_may_have_any_of_three_shapes() {
        for text in [
            "postgres://u:p@db.example/app",
            r#"{"DATABASE_URL": "postgres://u:p@db.example/app"}"#,
            r#"{"host":"db.example","port":5432,"username":"u","password":"p","dbname":"app","engine":"postgres"}"#,
            r#"{"host":"db.example","port":"5432","username":"u","password":"p@/#?","engine":"postgres"}"#,
        ] {
            parse_secret("DATABASE_SECRET_ARN", text).expect(text);
        }
        let error = parse_secret("DATABASE_SECRET_ARN", r#"{"password":"hunter2"}"#).unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_SECRET_ARN: ") && !error.contains("hunter2"), "{error}");
    }
}

//! How to reach the database: `DATABASE_URL`, and the variables for the replica, the direct connection and the
//! authorities.

use tessera_postgres::DatabaseConfig;
use tessera_postgres::secrets::{Secret, SecretSource};

use super::environment::Environment;
use super::error::ConfigError;
use crate::metrics;

impl Environment {
    /// Configures the primary from `DATABASE_URL` or `DATABASE_SECRET_ARN`, one of which must be set.
    pub fn database(&self) -> Result<DatabaseConfig, ConfigError> {
        self.database_from("DATABASE_URL", "DATABASE_SECRET_ARN")
            .ok_or(ConfigError::Missing("DATABASE_URL (or DATABASE_SECRET_ARN)"))
    }

    /// Configures a connection past the pooler, for migrations, from `DIRECT_URL` or `DIRECT_URL_SECRET_ARN`. Without
    /// either, it is [`database`](Self::database).
    pub fn direct_database(&self) -> Result<DatabaseConfig, ConfigError> {
        match self.database_from("DIRECT_URL", "DIRECT_URL_SECRET_ARN") {
            Some(config) => Ok(config),
            None => self.database(),
        }
    }

    /// Configures the read replica from `DATABASE_READ_URL` or `DATABASE_READ_SECRET_ARN`. Without either, there is
    /// none.
    #[must_use]
    pub fn replica(&self) -> Option<DatabaseConfig> {
        self.database_from("DATABASE_READ_URL", "DATABASE_READ_SECRET_ARN")
    }

    fn database_from(&self, url: &'static str, arn: &'static str) -> Option<DatabaseConfig> {
        let (source, variable) = match (self.get(url), self.get(arn)) {
            (Some(text), _) => (SecretSource::Given(Secret::new(text)), url),
            (None, Some(name)) => (SecretSource::SecretsManager(name.to_owned()), arn),
            (None, None) => return None,
        };
        Some(DatabaseConfig {
            authorities: self.get("DATABASE_CA").map(str::to_owned),
            application_name: application_name(self),
            observer: metrics::observe_database,
            ..DatabaseConfig::new(variable, source)
        })
    }
}

/// Names the function, its version and the container within PostgreSQL's 63 bytes, as in
/// `tessera/qr-redirect/$LATEST/1f2e3d4c`.
fn application_name(environment: &Environment) -> String {
    let get = |name| environment.get(name).unwrap_or("-");
    let stream = get("AWS_LAMBDA_LOG_STREAM_NAME");
    // A log stream is `2026/11/21/[$LATEST]` and 32 hexadecimal digits, one for each container.
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
    fn the_application_name_has_function_version_and_container() {
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
        let error = Environment::default().database().unwrap_err();
        assert_eq!(error.to_string(), "DATABASE_URL (or DATABASE_SECRET_ARN) is not set");
    }
}

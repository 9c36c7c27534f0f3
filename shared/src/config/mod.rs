//! Configuration from the environment, typed and checked once, in the init phase.
//!
//! An error names the variable and what is wrong with it, and never prints its value. Nothing else reads variables:
//!
//! | Variable | Default | Read by |
//! |---|---|---|
//! | `DATABASE_URL`, `DATABASE_SECRET_ARN` | one is needed | [`Environment::database`] |
//! | `DATABASE_READ_URL`, `DATABASE_READ_SECRET_ARN` | no replica | [`Environment::replica`] |
//! | `DIRECT_URL`, `DIRECT_URL_SECRET_ARN` | as the database | [`Environment::direct_database`] |
//! | `DATABASE_CA` | the system's authorities | each of these |
//! | `PUBLIC_BASE_URL`, `ALLOW_EXECUTE_API_HOST` | needed where codes are made | [`Environment::public_base_url`] |
//! | `ANONYMOUS_OWNER` | nobody | [`Environment::anonymous_owner`] |
//! | `WEBHOOK_SOURCES`, `WEBHOOK_SOURCES_SECRET_ARN` | no sources | [`Environment::webhook_sources`] |
//! | `WORKER_CONCURRENCY`, `WORKER_TIMEOUT_SECONDS`, `WORKER_ALLOW_LOOPBACK` | 3, 10, `false` | [`Environment::worker`] |
//! | `RETENTION_PAYLOAD_DAYS`, `RETENTION_JOB_DAYS`, `RETENTION_ALERT_DAYS` | 30, 30, 90 | [`Environment::worker`] |
//! | `TESSERA_CONNECT` | `lazy` | [`Environment::connects_at_init`] |
//! | `TESSERA_LOG`, `TESSERA_LOG_FORMAT` | `info`, `json` | [`Environment::log_level`], [`Environment::log_format`] |
//! | `TESSERA_STAGE` | `dev` | [`Environment::stage`] |
//!
//! Lambda itself sets `AWS_LAMBDA_FUNCTION_NAME`, `AWS_LAMBDA_FUNCTION_VERSION` and `AWS_LAMBDA_LOG_STREAM_NAME`, which
//! become the database's `application_name` and the metrics' dimension.

mod database;
mod logging;
mod worker;

use std::collections::HashMap;

pub use logging::{LogFormat, LogLevel};
use tessera_postgres::secrets::{Secret, Source};
use url::Url;
pub use worker::{Retention, WorkerSettings};

/// The process environment, taken once at start.
#[derive(Default)]
pub struct Environment(HashMap<String, String>);

/// A variable is missing or wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Neither of these is set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// It is set to something that cannot be used.
    #[error("{variable}: {problem}")]
    Malformed {
        /// Its name.
        variable: &'static str,
        /// What is wrong, without its value.
        problem: String,
    },
}

impl ConfigError {
    /// `variable` is set, but not to something that can be used.
    pub fn malformed(variable: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Malformed { variable, problem: format!("{problem}") }
    }
}

impl From<tessera_postgres::ConfigError> for ConfigError {
    fn from(error: tessera_postgres::ConfigError) -> Self {
        Self::Malformed { variable: error.variable, problem: error.problem }
    }
}

impl Environment {
    /// Everything that is set. Variables that are not UTF-8 are left out.
    #[must_use]
    pub fn from_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The value of `name`; an empty one counts as not set, since templates cannot leave a variable out.
    #[must_use]
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// `ANONYMOUS_OWNER`: who callers without a key act as, if anybody.
    #[must_use]
    pub fn anonymous_owner(&self) -> Option<String> {
        self.get("ANONYMOUS_OWNER").map(str::to_owned)
    }

    /// `WEBHOOK_SOURCES`, or the secret that `WEBHOOK_SOURCES_SECRET_ARN` names: JSON that
    /// [`webhook::source`](crate::webhook::source) understands.
    #[must_use]
    pub fn webhook_sources(&self) -> Option<Source> {
        let given = self.get("WEBHOOK_SOURCES").map(|json| Source::Given(Secret::new(json)));
        given.or_else(|| {
            self.get("WEBHOOK_SOURCES_SECRET_ARN").map(|arn| Source::SecretsManager(arn.to_owned()))
        })
    }

    /// `TESSERA_CONNECT`: whether to connect in the init phase (`init`) or at first use (`lazy`, the default).
    pub fn connects_at_init(&self) -> Result<bool, ConfigError> {
        match self.get("TESSERA_CONNECT") {
            None | Some("lazy") => Ok(false),
            Some("init") => Ok(true),
            Some(_) => Err(ConfigError::malformed("TESSERA_CONNECT", "must be lazy or init")),
        }
    }

    /// `PUBLIC_BASE_URL`: what codes encode, without a trailing slash.
    ///
    /// A printed code is for ever and an `execute-api` host is not, so such a host is refused unless
    /// `ALLOW_EXECUTE_API_HOST=true`.
    pub fn public_base_url(&self) -> Result<Url, ConfigError> {
        const NAME: &str = "PUBLIC_BASE_URL";
        let text = self.get(NAME).ok_or(ConfigError::Missing(NAME))?;
        let url = Url::parse(text.trim_end_matches('/'))
            .map_err(|_| ConfigError::malformed(NAME, "is not an absolute URL"))?;
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
            return Err(ConfigError::malformed(NAME, "must be an http or https URL with a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::malformed(NAME, "must not hold a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::malformed(NAME, "must not hold a query or a fragment"));
        }
        let temporary = host.contains(".execute-api.") && host.ends_with("amazonaws.com");
        if temporary && self.get("ALLOW_EXECUTE_API_HOST") != Some("true") {
            return Err(ConfigError::malformed(
                NAME,
                "is an execute-api host, which goes when the API does; printed codes stay. \
                 Use a domain of your own, or set ALLOW_EXECUTE_API_HOST=true",
            ));
        }
        Ok(url)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_is_one_that_can_be_printed() {
        let base = |value| Environment::from([("PUBLIC_BASE_URL", value)]).public_base_url();
        assert_eq!(base("https://q.example/").unwrap().as_str(), "https://q.example/");
        assert_eq!(base("https://q.example/codes").unwrap().path(), "/codes");
        for wrong in [
            "q.example",
            "ftp://q.example",
            "https://me:pw@q.example",
            "https://q.example/?a=1",
            "https://q.example/#f",
            "https://abc123.execute-api.eu-west-1.amazonaws.com",
        ] {
            let error = base(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("PUBLIC_BASE_URL: "), "{error}");
        }
        assert_eq!(base(" "), Err(ConfigError::Missing("PUBLIC_BASE_URL")));
        let allowed = Environment::from([
            ("PUBLIC_BASE_URL", "https://abc123.execute-api.eu-west-1.amazonaws.com"),
            ("ALLOW_EXECUTE_API_HOST", "true"),
        ]);
        assert!(allowed.public_base_url().is_ok());
    }
}

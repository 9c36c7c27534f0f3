//! What the worker can be told.

use std::time::Duration;

use shared::config::{ConfigError, Environment};
use shared::jobs::retention::Retention;

/// From the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// `WORKER_CONCURRENCY` (3, 1 to 50): deliveries at a time.
    pub(crate) concurrency: usize,
    /// `WORKER_TIMEOUT_SECONDS` (10, 0.1 to 60): time that one delivery has, from connecting to the answer's headers.
    pub(crate) timeout: Duration,
    /// `WORKER_ALLOW_LOOPBACK` (`false`): whether to deliver to this machine, for tests and development.
    pub(crate) allow_loopback: bool,
    /// `RETENTION_…_DAYS`.
    pub(crate) retention: Retention,
}

impl Settings {
    pub(crate) fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            concurrency: concurrency(environment)?,
            timeout: timeout(environment)?,
            allow_loopback: allow_loopback(environment)?,
            retention: Retention::from_environment(environment)?,
        })
    }
}

fn concurrency(environment: &Environment) -> Result<usize, ConfigError> {
    const NAME: &str = "WORKER_CONCURRENCY";
    let Some(text) = environment.get(NAME) else { return Ok(3) };
    let number = text.parse().ok().filter(|number| (1..=50).contains(number));
    number.ok_or_else(|| ConfigError::malformed(NAME, "must be a number from 1 to 50"))
}

fn timeout(environment: &Environment) -> Result<Duration, ConfigError> {
    const NAME: &str = "WORKER_TIMEOUT_SECONDS";
    let Some(text) = environment.get(NAME) else { return Ok(Duration::from_secs(10)) };
    let seconds = text.parse().ok().filter(|seconds| (0.1..=60.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| ConfigError::malformed(NAME, "must be a number of seconds from 0.1 to 60"))
}

fn allow_loopback(environment: &Environment) -> Result<bool, ConfigError> {
    const NAME: &str = "WORKER_ALLOW_LOOPBACK";
    match environment.get(NAME) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ConfigError::malformed(NAME, "must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_its_default_and_its_limits() {
        let settings = Settings::from_environment(&Environment::default()).unwrap();
        assert_eq!(
            (settings.concurrency, settings.timeout.as_secs(), settings.allow_loopback),
            (3, 10, false)
        );
        for (name, wrong) in [
            ("WORKER_CONCURRENCY", "0"),
            ("WORKER_CONCURRENCY", "many"),
            ("WORKER_TIMEOUT_SECONDS", "0"),
            ("WORKER_TIMEOUT_SECONDS", "NaN"),
            ("WORKER_TIMEOUT_SECONDS", "61"),
            ("WORKER_ALLOW_LOOPBACK", "yes"),
            ("RETENTION_JOB_DAYS", "0"),
        ] {
            let error =
                Settings::from_environment(&Environment::from([(name, wrong)])).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}

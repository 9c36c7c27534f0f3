//! How the worker delivers, and how long data is kept: the variables `WORKER_…` and `RETENTION_…`.

use std::time::Duration;

use super::environment::Environment;
use super::error::ConfigError;

/// How the worker delivers.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// `WORKER_CONCURRENCY` (default 3, from 1 to 50): how many deliveries are made at the same time.
    pub concurrency: usize,
    /// `WORKER_TIMEOUT_SECONDS` (default 10, from 0.1 to 60): how long a delivery may take, from connecting to the
    /// headers of the response.
    pub timeout: Duration,
    /// How many bytes of payload one claim may take, about: a sixteenth of the memory that Lambda names in
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` (default 128 MB), since a payload is held up to three times: as it came, as it is
    /// sent, and in the buffers of connections.
    pub claim_bytes: usize,
    /// `WORKER_ALLOW_LOOPBACK` (default `false`): whether to deliver to loopback addresses, for tests and development.
    pub allow_loopback: bool,
    /// `RETENTION_…_DAYS`: how long data is kept.
    pub retention: Retention,
}

/// How long data is kept, in days.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// `RETENTION_PAYLOAD_DAYS` (default 30): the payloads of events. The events themselves are kept, because
    /// duplicates are recognised by them, and so are the payloads of jobs that are not done.
    pub payload: i32,
    /// `RETENTION_JOB_DAYS` (default 30): jobs that are done. Dead jobs are kept until they are redriven.
    pub job: i32,
    /// `RETENTION_ALERT_DAYS` (default 90): alerts that are resolved.
    pub alert: i32,
}

impl Environment {
    /// Reads the worker's settings. Each variable has a default, so that an error is always a value out of range.
    pub fn worker(&self) -> Result<WorkerSettings, ConfigError> {
        Ok(WorkerSettings {
            concurrency: concurrency(self)?,
            timeout: timeout(self)?,
            claim_bytes: claim_bytes(self),
            allow_loopback: allow_loopback(self)?,
            retention: Retention {
                payload: days(self, "RETENTION_PAYLOAD_DAYS", 30)?,
                job: days(self, "RETENTION_JOB_DAYS", 30)?,
                alert: days(self, "RETENTION_ALERT_DAYS", 90)?,
            },
        })
    }
}

fn days(environment: &Environment, name: &'static str, default: i32) -> Result<i32, ConfigError> {
    let Some(text) = environment.get(name) else { return Ok(default) };
    let days = text.parse().ok().filter(|days| (1..=3650).contains(days));
    days.ok_or_else(|| ConfigError::malformed(name, "must be a number of days from 1 to 3650"))
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

fn claim_bytes(environment: &Environment) -> usize {
    let megabytes = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse().ok());
    megabytes.unwrap_or(128_usize).saturating_mul(1024 * 1024 / 16)
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
        let settings = Environment::default().worker().unwrap();
        assert_eq!(
            (settings.concurrency, settings.timeout.as_secs(), settings.allow_loopback, settings.claim_bytes),
            (3, 10, false, 8 * 1024 * 1024)
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
            let error = Environment::from([(name, wrong)]).worker().unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}

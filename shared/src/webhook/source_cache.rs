//! The configured sources, kept in memory and read again when they may have changed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tessera_postgres::Deadline;
use tessera_postgres::secrets::{Secret, SecretError, SecretSource};
use tokio::sync::Mutex;

use super::source::{Sources, SourcesError};
use crate::config::{ConfigError, Environment};

/// The age from which sources from Secrets Manager are read again, so that a removed secret stops being accepted.
const MAX_AGE: Duration = Duration::from_mins(5);
/// The shortest time between two reads because of rejected requests. A rejected request may mean that a secret has been
/// rotated, but anybody can send one.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// The sources of `WEBHOOK_SOURCES`, or of the secret that `WEBHOOK_SOURCES_SECRET_ARN` names, which is cached.
pub struct SourceCache {
    secret: SecretSource,
    /// Locked while the secret is read, so that concurrent requests read it once.
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    sources: Arc<Sources>,
    read_at: SystemTime,
    /// When they were last read because of a rejected request.
    refreshed_at: Option<SystemTime>,
}

/// Whether `time` is at least `limit` ago by the wall clock, which goes on while a container is frozen. A time in the
/// future, after the clock was set back, counts as long ago.
fn is_older_than(limit: Duration, time: SystemTime) -> bool {
    time.elapsed().map_or(true, |age| age >= limit)
}

/// Why there are no sources to verify a request with.
#[derive(Debug, thiserror::Error)]
pub enum SourcesUnavailable {
    /// The secret could not be read.
    #[error("WEBHOOK_SOURCES_SECRET_ARN: {0}")]
    Secret(#[from] SecretError),
    /// The secret was read, but is not a valid configuration.
    #[error("WEBHOOK_SOURCES_SECRET_ARN: {0}")]
    Malformed(#[from] SourcesError),
}

impl SourceCache {
    /// Parses `WEBHOOK_SOURCES` at once, or leaves the secret to the first request. Where neither variable is set there
    /// are no sources, and every request is rejected.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let secret = environment.webhook_sources().unwrap_or_else(|| {
            tracing::warn!(
                "WEBHOOK_SOURCES (or WEBHOOK_SOURCES_SECRET_ARN) is not set: there are no webhook sources"
            );
            SecretSource::Given(Secret::new("{}"))
        });
        let cached = match secret.given() {
            Some(json) => {
                Some(parse(json).map_err(|error| ConfigError::malformed("WEBHOOK_SOURCES", error))?)
            }
            None => None,
        };
        Ok(Self { secret, cached: Mutex::new(cached) })
    }

    /// The sources, read again if they are too old. If that fails, the old ones are used on.
    pub async fn get(&self, deadline: Deadline) -> Result<Arc<Sources>, SourcesUnavailable> {
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref()
            && (self.secret.given().is_some() || !is_older_than(MAX_AGE, cached.read_at))
        {
            return Ok(Arc::clone(&cached.sources));
        }
        match (self.read(deadline).await, cached.as_mut()) {
            (Ok(read), _) => Ok(Arc::clone(&cached.insert(read).sources)),
            (Err(error), Some(cached)) => {
                tracing::error!(%error, "webhook sources: keeping those that were read before");
                // So that Secrets Manager is not asked for each request while it is down.
                cached.read_at = SystemTime::now();
                Ok(Arc::clone(&cached.sources))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Sources that may be newer than `rejected_by`, by which a request was rejected: read now, or already read for
    /// another request. `None` if there are none, or they were read a moment ago.
    pub async fn refresh(&self, rejected_by: &Arc<Sources>, deadline: Deadline) -> Option<Arc<Sources>> {
        if self.secret.given().is_some() {
            return None;
        }
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_mut() {
            if !Arc::ptr_eq(&cached.sources, rejected_by) {
                return Some(Arc::clone(&cached.sources));
            }
            if cached.refreshed_at.is_some_and(|at| !is_older_than(MIN_REFRESH_INTERVAL, at)) {
                return None;
            }
            cached.refreshed_at = Some(SystemTime::now());
        }
        match self.read(deadline).await {
            Ok(read) => {
                let read = Cached { refreshed_at: Some(SystemTime::now()), ..read };
                Some(Arc::clone(&cached.insert(read).sources))
            }
            Err(error) => {
                tracing::error!(%error, "webhook sources: keeping those that were read before");
                None
            }
        }
    }

    async fn read(&self, deadline: Deadline) -> Result<Cached, SourcesUnavailable> {
        Ok(parse(&self.secret.read(deadline).await?)?)
    }
}

fn parse(json: &Secret) -> Result<Cached, SourcesError> {
    Ok(Cached {
        sources: Arc::new(Sources::parse(json.expose())?),
        read_at: SystemTime::now(),
        refreshed_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_in_the_environment_are_parsed_at_start_and_not_shown() {
        let wrong = r#"{"stripe":{"scheme":"stripe","secrets":["hunter2 hunter2", ""]}}"#;
        let error =
            SourceCache::from_environment(&Environment::from([("WEBHOOK_SOURCES", wrong)])).err().unwrap();
        let error = error.to_string();
        assert!(error.starts_with("WEBHOOK_SOURCES: ") && error.contains("secrets[1]"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn without_configuration_there_are_no_sources() {
        let sources = SourceCache::from_environment(&Environment::default()).unwrap();
        let deadline = Deadline::after(Duration::from_secs(1));
        let current = sources.get(deadline).await.unwrap();
        assert_eq!(current.iter().count(), 0);
        assert!(sources.refresh(&current, deadline).await.is_none());
    }
}

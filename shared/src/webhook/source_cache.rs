//! Where the sources are configured, and reading them again when they change.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tessera_postgres::Deadline;
use tessera_postgres::secrets::{Secret, SecretError, Source as SecretSource};
use tokio::sync::Mutex;

use super::source::{Sources, SourcesError};
use crate::config::{ConfigError, Environment};

/// Sources from Secrets Manager are read again when they are older than this, so that a removed secret ends.
const MAX_AGE: Duration = Duration::from_mins(5);
/// A refused request has them read again, since a secret may have been rotated, but not more often than this:
/// anybody can send a request that is refused.
const REREAD_PAUSE: Duration = Duration::from_secs(10);

/// The sources of `WEBHOOK_SOURCES`, or of the secret that `WEBHOOK_SOURCES_SECRET_ARN` names.
pub struct ConfiguredSources {
    secret: SecretSource,
    /// The lock is held while reading: ten requests that find nothing read once.
    known: Mutex<Option<Known>>,
}

struct Known {
    sources: Arc<Sources>,
    read_at: SystemTime,
    /// When a refused request last had them read.
    reread_at: Option<SystemTime>,
}

/// By the wall clock, which goes on while a container is frozen. One that was set back makes everything old.
fn has_passed(limit: Duration, since: SystemTime) -> bool {
    since.elapsed().map_or(true, |age| age >= limit)
}

/// Why there are no sources to check a request against.
#[derive(Debug, thiserror::Error)]
pub enum SourcesUnavailable {
    /// The secret could not be read.
    #[error("WEBHOOK_SOURCES_SECRET_ARN: {0}")]
    Secret(#[from] SecretError),
    /// It was read, and is wrong.
    #[error("WEBHOOK_SOURCES_SECRET_ARN: {0}")]
    Malformed(#[from] SourcesError),
}

impl ConfiguredSources {
    /// Given sources are checked here and now. With neither variable set there are none, and every request is refused.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let secret = environment.webhook_sources().unwrap_or_else(|| {
            tracing::warn!(
                "WEBHOOK_SOURCES (or WEBHOOK_SOURCES_SECRET_ARN) is not set: there are no webhook sources"
            );
            SecretSource::Given(Secret::new("{}"))
        });
        let known = match secret.given() {
            Some(json) => {
                Some(parse(json).map_err(|error| ConfigError::malformed("WEBHOOK_SOURCES", error))?)
            }
            None => None,
        };
        Ok(Self { secret, known: Mutex::new(known) })
    }

    /// The sources. When a secret cannot be read again, those that were known.
    pub async fn current(&self, deadline: Deadline) -> Result<Arc<Sources>, SourcesUnavailable> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref()
            && (self.secret.given().is_some() || !has_passed(MAX_AGE, known.read_at))
        {
            return Ok(Arc::clone(&known.sources));
        }
        match (self.read(deadline).await, known.as_mut()) {
            (Ok(read), _) => Ok(Arc::clone(&known.insert(read).sources)),
            (Err(error), Some(known)) => {
                tracing::error!(%error, "webhook sources: keeping those that were read before");
                // Not asked again for each request while Secrets Manager is down.
                known.read_at = SystemTime::now();
                Ok(Arc::clone(&known.sources))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Other sources than `refused_by`, if there may be some: read again, or already read for another request.
    pub async fn changed(&self, refused_by: &Arc<Sources>, deadline: Deadline) -> Option<Arc<Sources>> {
        if self.secret.given().is_some() {
            return None;
        }
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_mut() {
            if !Arc::ptr_eq(&known.sources, refused_by) {
                return Some(Arc::clone(&known.sources));
            }
            if known.reread_at.is_some_and(|at| !has_passed(REREAD_PAUSE, at)) {
                return None;
            }
            known.reread_at = Some(SystemTime::now());
        }
        match self.read(deadline).await {
            Ok(read) => {
                let read = Known { reread_at: Some(SystemTime::now()), ..read };
                Some(Arc::clone(&known.insert(read).sources))
            }
            Err(error) => {
                tracing::error!(%error, "webhook sources: keeping those that were read before");
                None
            }
        }
    }

    async fn read(&self, deadline: Deadline) -> Result<Known, SourcesUnavailable> {
        Ok(parse(&self.secret.read(deadline).await?)?)
    }
}

fn parse(json: &Secret) -> Result<Known, SourcesError> {
    Ok(Known {
        sources: Arc::new(Sources::parse(json.expose())?),
        read_at: SystemTime::now(),
        reread_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_sources_are_checked_at_start_and_not_shown() {
        let wrong = r#"{"stripe":{"scheme":"stripe","secrets":["hunter2", ""]}}"#;
        let error = ConfiguredSources::from_environment(&Environment::from([("WEBHOOK_SOURCES", wrong)]))
            .err()
            .unwrap();
        let error = error.to_string();
        assert!(error.starts_with("WEBHOOK_SOURCES: ") && error.contains("secrets[1]"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn without_configuration_there_are_no_sources() {
        let sources = ConfiguredSources::from_environment(&Environment::default()).unwrap();
        let deadline = Deadline::after(Duration::from_secs(1));
        let current = sources.current(deadline).await.unwrap();
        assert_eq!(current.iter().count(), 0);
        assert!(sources.changed(&current, deadline).await.is_none());
    }
}

//! Secrets, and where they are read from.

use std::fmt;

use crate::deadline::Deadline;

/// A secret text, which has no `Display`, and a `Debug` that hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Whoever calls this must see to it that it is not logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is read from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The secret itself, as it was in the environment.
    Given(Secret),
    /// The ARN or the name of a secret in AWS Secrets Manager.
    SecretsManager(String),
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refused the request, or could not be reached.
    #[error("Secrets Manager did not give the secret")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The secret is binary and has no text.
    #[error("the secret holds binary data, not text")]
    NotText,
    /// Secrets Manager did not answer in time.
    #[error("Secrets Manager did not answer in time")]
    Timeout,
    /// The crate was built without the feature `secrets-manager`.
    #[error("this build cannot read Secrets Manager")]
    NotBuilt,
}

impl SecretSource {
    /// Reads the secret's current text. The SDK is loaded only if the secret is in Secrets Manager.
    pub async fn read(&self, deadline: Deadline) -> Result<Secret, SecretError> {
        match self {
            SecretSource::Given(secret) => Ok(secret.clone()),
            SecretSource::SecretsManager(arn) => {
                tokio::time::timeout_at(deadline.instant(), read_secrets_manager(arn))
                    .await
                    .unwrap_or(Err(SecretError::Timeout))
            }
        }
    }

    /// The secret, if it was in the environment, where it cannot change.
    #[must_use]
    pub fn given(&self) -> Option<&Secret> {
        match self {
            SecretSource::Given(secret) => Some(secret),
            SecretSource::SecretsManager(_) => None,
        }
    }
}

#[cfg(feature = "secrets-manager")]
async fn read_secrets_manager(arn: &str) -> Result<Secret, SecretError> {
    use aws_smithy_http_client::{Builder, tls};

    let http_client = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let config =
        aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http_client).load().await;
    let answer = aws_sdk_secretsmanager::Client::new(&config)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(|error| SecretError::Refused(Box::new(error)))?;
    answer.secret_string().map(Secret::new).ok_or(SecretError::NotText)
}

#[cfg(not(feature = "secrets-manager"))]
#[expect(clippy::unused_async, reason = "has the signature of the function that it stands in for")]
async fn read_secrets_manager(_arn: &str) -> Result<Secret, SecretError> {
    Err(SecretError::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_hides_itself() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?} {:?}", SecretSource::Given(secret.clone())).contains("hunter2"));
    }
}

//! The process environment, and the variables that are read as they are.

use std::collections::HashMap;

use tessera_postgres::secrets::{Secret, SecretSource};

use super::error::ConfigError;

/// The variables of the process, read once at its start.
#[derive(Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Reads the variables of this process. Those that are not UTF-8 are left out.
    #[must_use]
    pub fn from_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The trimmed value of `name`. An empty value counts as not set, because a deployment template cannot leave a
    /// variable out.
    #[must_use]
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Reads `ANONYMOUS_OWNER`, the owner that callers without a key act as. Without it, they may do nothing.
    #[must_use]
    pub fn anonymous_owner(&self) -> Option<String> {
        self.get("ANONYMOUS_OWNER").map(str::to_owned)
    }

    /// Finds the webhook sources: `WEBHOOK_SOURCES`, or the secret that `WEBHOOK_SOURCES_SECRET_ARN` names. Both hold
    /// the JSON that [`webhook::source`](crate::webhook::source) describes.
    #[must_use]
    pub fn webhook_sources(&self) -> Option<SecretSource> {
        let given = self.get("WEBHOOK_SOURCES").map(|json| SecretSource::Given(Secret::new(json)));
        given.or_else(|| {
            self.get("WEBHOOK_SOURCES_SECRET_ARN").map(|arn| SecretSource::SecretsManager(arn.to_owned()))
        })
    }

    /// Reads `TESSERA_CONNECT`: whether to connect to the database in the init phase (`init`), or at its first use
    /// (`lazy`, the default).
    pub fn connects_at_init(&self) -> Result<bool, ConfigError> {
        match self.get("TESSERA_CONNECT") {
            None | Some("lazy") => Ok(false),
            Some("init") => Ok(true),
            Some(_) => Err(ConfigError::malformed("TESSERA_CONNECT", "must be lazy or init")),
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

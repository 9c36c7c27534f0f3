//! What is logged, and under which names: `TESSERA_LOG` and its companions.

use super::{ConfigError, Environment};

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// What failed, and what may.
    Warn,
    /// A line for each request as well.
    Info,
    /// What somebody needs who looks for a fault.
    Debug,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, and the metrics of each invocation.
    Json,
    /// For a person at a terminal.
    Pretty,
}

impl Environment {
    /// `TESSERA_LOG`: `error`, `warn`, `info` (default) or `debug`.
    pub fn log_level(&self) -> Result<LogLevel, ConfigError> {
        const NAME: &str = "TESSERA_LOG";
        match self.get(NAME) {
            Some("error") => Ok(LogLevel::Error),
            Some("warn") => Ok(LogLevel::Warn),
            None | Some("info") => Ok(LogLevel::Info),
            Some("debug") => Ok(LogLevel::Debug),
            Some(_) => Err(ConfigError::malformed(NAME, "must be error, warn, info or debug")),
        }
    }

    /// `TESSERA_LOG_FORMAT`: `json` (default) or `pretty`.
    pub fn log_format(&self) -> Result<LogFormat, ConfigError> {
        const NAME: &str = "TESSERA_LOG_FORMAT";
        match self.get(NAME) {
            None | Some("json") => Ok(LogFormat::Json),
            Some("pretty") => Ok(LogFormat::Pretty),
            Some(_) => Err(ConfigError::malformed(NAME, "must be json or pretty")),
        }
    }

    /// `AWS_LAMBDA_FUNCTION_NAME`, which Lambda sets: a dimension of the metrics. `local` without.
    #[must_use]
    pub fn function_name(&self) -> &str {
        self.get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("local")
    }

    /// `TESSERA_STAGE`, a dimension of the metrics. `dev` without.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.get("TESSERA_STAGE").unwrap_or("dev")
    }
}

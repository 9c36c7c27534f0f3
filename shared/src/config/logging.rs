//! What is logged and how, and the dimensions of the metrics: `TESSERA_LOG`, `TESSERA_LOG_FORMAT`, `TESSERA_STAGE`.

use super::environment::Environment;
use super::error::ConfigError;

/// The lowest level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only failures.
    Error,
    /// Failures, and what may lead to one.
    Warn,
    /// These, and one line for each request.
    Info,
    /// These, and what helps to find a fault.
    Debug,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Each line is a JSON object; the metrics of each invocation are written as well.
    Json,
    /// Each line is text for a person at a terminal.
    Pretty,
}

impl Environment {
    /// Reads `TESSERA_LOG`: `error`, `warn`, `info` (default) or `debug`.
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

    /// Reads `TESSERA_LOG_FORMAT`: `json` (default) or `pretty`.
    pub fn log_format(&self) -> Result<LogFormat, ConfigError> {
        const NAME: &str = "TESSERA_LOG_FORMAT";
        match self.get(NAME) {
            None | Some("json") => Ok(LogFormat::Json),
            Some("pretty") => Ok(LogFormat::Pretty),
            Some(_) => Err(ConfigError::malformed(NAME, "must be json or pretty")),
        }
    }

    /// Reads `AWS_LAMBDA_FUNCTION_NAME`, which Lambda sets and which is a dimension of the metrics; `local` where it is
    /// not set.
    #[must_use]
    pub fn function_name(&self) -> &str {
        self.get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("local")
    }

    /// Reads `TESSERA_STAGE`, which is a dimension of the metrics; `dev` where it is not set.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.get("TESSERA_STAGE").unwrap_or("dev")
    }
}

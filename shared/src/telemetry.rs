//! Logs: one JSON object a line, for CloudWatch; lines for a person under `cargo dev`.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{ConfigError, Environment};
use crate::metrics;

/// Starts logging: `TESSERA_LOG` is `error`, `warn`, `info` (default) or `debug`; `TESSERA_LOG_FORMAT` is `json` (default)
/// or `pretty`.
///
/// With `json`, each invocation's metrics are written as well, see [`crate::metrics`].
///
/// Only Tessera's own lines are written, those of `function` (the name of its crate) and of what functions share:
/// libraries log what they were given, which may be secret.
pub(crate) fn start(environment: &Environment, function: &'static str) -> Result<(), ConfigError> {
    let level = match environment.get("TESSERA_LOG") {
        None | Some("info") => LevelFilter::INFO,
        Some("error") => LevelFilter::ERROR,
        Some("warn") => LevelFilter::WARN,
        Some("debug") => LevelFilter::DEBUG,
        Some(_) => return Err(ConfigError::malformed("TESSERA_LOG", "must be error, warn, info or debug")),
    };
    let ours = ["shared", "tessera_postgres", function];
    let registry = tracing_subscriber::registry()
        .with(Targets::new().with_targets(ours.into_iter().map(|target| (target, level))));
    let lines = tracing_subscriber::fmt::layer();
    let started = match environment.get("TESSERA_LOG_FORMAT") {
        None | Some("json") => {
            metrics::start(
                environment.get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("local"),
                environment.get("TESSERA_STAGE").unwrap_or("dev"),
            );
            registry
                .with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false))
                .try_init()
        }
        Some("pretty") => registry
            .with(lines.compact().without_time().with_ansi(std::io::stdout().is_terminal()))
            .try_init(),
        Some(_) => return Err(ConfigError::malformed("TESSERA_LOG_FORMAT", "must be json or pretty")),
    };
    // Already started: a second function in the same process, which is a test.
    let _ = started;
    Ok(())
}

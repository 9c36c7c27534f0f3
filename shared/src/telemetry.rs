//! Logs: one JSON object a line, for CloudWatch; lines for a person under `cargo dev`.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{ConfigError, Environment, LogFormat, LogLevel};
use crate::metrics;

/// Starts logging, as `TESSERA_LOG` and `TESSERA_LOG_FORMAT` say. With `json`, each invocation's metrics are written as well, see [`crate::metrics`].
///
/// Only Tessera's own lines are written, those of `function` (the name of its crate) and of what functions share:
/// libraries log what they were given, which may be secret.
pub(crate) fn start(environment: &Environment, function: &'static str) -> Result<(), ConfigError> {
    let level = match environment.log_level()? {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let ours = ["shared", "tessera_postgres", function];
    let registry = tracing_subscriber::registry()
        .with(Targets::new().with_targets(ours.into_iter().map(|target| (target, level))));
    let lines = tracing_subscriber::fmt::layer();
    let started = match environment.log_format()? {
        LogFormat::Json => {
            metrics::start(environment.function_name(), environment.stage());
            registry
                .with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false))
                .try_init()
        }
        LogFormat::Pretty => registry
            .with(lines.compact().without_time().with_ansi(std::io::stdout().is_terminal()))
            .try_init(),
    };
    // Already started: a second function in the same process, which is a test.
    let _ = started;
    Ok(())
}

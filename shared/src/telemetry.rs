//! Logging: JSON lines for CloudWatch, or text for a person under `cargo dev`.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{ConfigError, Environment, LogFormat, LogLevel};
use crate::{LOG_TARGET, metrics};

/// Starts logging, as `TESSERA_LOG` and `TESSERA_LOG_FORMAT` say. In the format `json`, each invocation's [`metrics`]
/// are written as well.
///
/// Only lines of Tessera's own crates are written, because libraries log what they are given, which may be secret:
/// those of this crate, of `tessera-postgres`, and of the function's crate, in which the type `Function` is defined.
pub(crate) fn start<Function>(environment: &Environment) -> Result<(), ConfigError> {
    let level = match environment.log_level()? {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let targets = [LOG_TARGET, tessera_postgres::LOG_TARGET, crate_of::<Function>()];
    let registry = tracing_subscriber::registry()
        .with(Targets::new().with_targets(targets.into_iter().map(|target| (target, level))));
    let layer = tracing_subscriber::fmt::layer();
    let started = match environment.log_format()? {
        LogFormat::Json => {
            metrics::start(environment.function_name(), environment.stage());
            registry
                .with(layer.json().flatten_event(true).with_current_span(true).with_span_list(false))
                .try_init()
        }
        LogFormat::Pretty => registry
            .with(layer.compact().without_time().with_ansi(std::io::stdout().is_terminal()))
            .try_init(),
    };
    // Already started: a second function in the same process, which is a test.
    let _ = started;
    Ok(())
}

/// The name of the crate in which a type is defined, which is the target of that crate's log lines.
fn crate_of<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.split("::").next().unwrap_or(path)
}

//! What the connection core and the migrations warn of, as lines for a terminal: `warning: DATABASE_URL: …`.

use std::fmt::{self, Debug, Write as _};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Prints the warnings of the connection core to standard error from now on.
pub fn print_to_stderr() {
    let lines = tracing_subscriber::fmt::layer().event_format(Lines::default()).with_writer(std::io::stderr);
    let core = Targets::new()
        .with_target("tessera_postgres", LevelFilter::WARN)
        .with_target("shared::migrations", LevelFilter::WARN);
    // Whoever has done so before does it still.
    let _ = tracing_subscriber::registry().with(core).with(lines).try_init();
}

/// One warning as one line. What is said again at once, such as that a connection is tried again, is said once.
#[derive(Default)]
struct Lines {
    last: Mutex<String>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut warning = Warning::default();
        event.record(&mut warning);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == warning.message {
            return Ok(());
        }
        last.clone_from(&warning.message);
        writeln!(writer, "warning: {warning}")
    }
}

/// The fields of an event.
#[derive(Default)]
struct Warning {
    variable: String,
    message: String,
    others: String,
}

impl Visit for Warning {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a `String` cannot fail.
        let _ = match field.name() {
            "variable" => write!(self.variable, "{value:?}: "),
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, "; {name}: {value:?}"),
        };
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.variable, self.message, self.others)
    }
}

//! What each invocation did, for CloudWatch: one line in the embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! Namespace [`NAMESPACE`], dimensions `Function` (`AWS_LAMBDA_FUNCTION_NAME`) and `Stage` (`TESSERA_STAGE`, `dev`
//! without). Only metrics that are not zero are written, so that a warm redirect's line has about 400 bytes and the
//! longest possible one less than [`MAX_LINE`].

use std::cell::Cell;
use std::io::Write as _;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use tessera_postgres::FailureKind;
use tessera_postgres::observer::Event;

use crate::clock::epoch_ms;

/// Where CloudWatch keeps them.
pub const NAMESPACE: &str = "Tessera";

/// No line is longer, in bytes.
pub const MAX_LINE: usize = 3072;

/// Declares the metrics: name and unit.
macro_rules! metrics {
    (@shown $name:ident $shown:literal) => { $shown };
    (@shown $name:ident) => { stringify!($name) };
    ($($(#[$doc:meta])* $name:ident $(as $shown:literal)?: $unit:ident,)*) => {
        /// What is measured. The name in CloudWatch is the variant's, or the one beside it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $name,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &[Metric] = &[$(Metric::$name,)*];

            /// Its name in CloudWatch.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Metric::$name => metrics!(@shown $name $($shown)?),)*
                }
            }

            /// Its unit in CloudWatch's words.
            #[must_use]
            pub fn unit(self) -> &'static str {
                match self {
                    $(Metric::$name => stringify!($unit),)*
                }
            }
        }
    };
}

metrics! {
    /// Connections to the database opened.
    ConnectionsOpened: Count,
    /// Time to open them: name resolution, TCP, TLS, authentication.
    ConnectTime: Milliseconds,
    /// Connections opened in place of one that was lost or had been idle for too long.
    Reconnects: Count,
    /// Statements sent again after a failure.
    Retries: Count,
    /// Of these, because no server took the statement: refused, cut off or unreachable while connecting.
    RetriesNotSent as "RetriesNeverRan": Count,
    /// Of these, because the server or pooler was starting, full or waking up.
    RetriesServerBusy as "RetriesBusy": Count,
    /// Of these, because the server had undone the statement: a deadlock, a serialization failure, a lock not had.
    RetriesRolledBack as "RetriesUndone": Count,
    /// Of these, because this server or connection would not do: a standby after a failover, a session that was ended.
    RetriesRolledBackReconnect as "RetriesUndoneElsewhere": Count,
    /// Of these, because the connection went and nobody knows whether the statement ran.
    RetriesUnknown: Count,
    /// Of these, because the credentials were refused and have been read anew.
    RetriesCredentials: Count,
    /// Of these, because the server had stopped the statement.
    RetriesCancelled: Count,
    /// Times that a statement found no free connection: refused by a full server or pooler, or in wait for another request
    /// of the container to open theirs.
    PoolWaits: Count,
    /// Time that these cost, until the next try.
    PoolWaitTime: Milliseconds,
    /// Statements sent: each is one network round trip.
    RoundTrips: Count,
    /// Time from sending a statement to its answer.
    StatementTime: Milliseconds,
    /// 42P05 and 26000: named statements that slipped through a pooler. Always zero, or something is wrong.
    PreparedStatementConflicts: Count,
    /// Requests that ended in 5xx.
    ServerErrors: Count,
    /// Codes made.
    Creates: Count,
    /// Codes followed by a person.
    Scans: Count,
    /// Webhook events stored.
    Events: Count,
    /// Webhook events that were there already.
    DuplicateEvents: Count,
    /// Webhook events stored whose effect made no sense.
    FailedEvents: Count,
    /// Webhook requests whose signature was refused.
    RejectedSignatures: Count,
    /// Jobs delivered.
    JobsDone: Count,
    /// Attempts that failed and will be made again.
    JobsFailed: Count,
    /// Jobs given up.
    JobsDead: Count,
    /// Jobs that are due and not under way, when last looked at; 1,000 at most where the worker looks.
    QueueDepth: Count,
    /// Open alerts, when last looked at.
    OpenAlerts: Count,
    /// Share of the tightest limit of connections in use, when last looked at.
    ConnectionsUsedPercent: Percent,
    /// Delay of the slowest replica, when last looked at.
    ReplicaLag: Seconds,
}

/// Counts of one invocation.
struct Meter([Cell<f64>; Metric::ALL.len()]);

tokio::task_local! {
    static METER: Meter;
}

/// Adds to the invocation that this runs in. Outside of one it is not counted.
pub fn add(metric: Metric, value: f64) {
    let _ = METER.try_with(|meter| {
        let cell = &meter.0[metric as usize];
        cell.set(cell.get() + value);
    });
}

/// What was seen last is what counts: for depths and shares.
pub fn set(metric: Metric, value: f64) {
    let _ = METER.try_with(|meter| meter.0[metric as usize].set(value));
}

/// One more.
pub fn count(metric: Metric) {
    add(metric, 1.0);
}

/// So many milliseconds more.
pub fn add_time(metric: Metric, time: std::time::Duration) {
    add(metric, time.as_secs_f64() * 1000.0);
}

/// Counts what the connection core tells.
pub(crate) fn observe_database(event: Event) {
    match event {
        Event::Connected { took, replacement } => {
            add_time(Metric::ConnectTime, took);
            count(Metric::ConnectionsOpened);
            if replacement {
                count(Metric::Reconnects);
            }
        }
        Event::WaitedForConnection { waited } => {
            count(Metric::PoolWaits);
            add_time(Metric::PoolWaitTime, waited);
        }
        Event::StatementSent => count(Metric::RoundTrips),
        Event::StatementAnswered { took } => add_time(Metric::StatementTime, took),
        Event::Retried { kind } => {
            count(Metric::Retries);
            if let Some(retries) = retries_of(kind) {
                count(retries);
            }
        }
        Event::NamedStatementConflict => count(Metric::PreparedStatementConflicts),
    }
}

/// Where retries after a kind of failure are counted; none for what is never retried.
fn retries_of(kind: FailureKind) -> Option<Metric> {
    match kind {
        FailureKind::NotSent => Some(Metric::RetriesNotSent),
        FailureKind::ServerBusy => Some(Metric::RetriesServerBusy),
        FailureKind::RolledBack => Some(Metric::RetriesRolledBack),
        FailureKind::RolledBackReconnect => Some(Metric::RetriesRolledBackReconnect),
        FailureKind::Unknown => Some(Metric::RetriesUnknown),
        FailureKind::Credentials => Some(Metric::RetriesCredentials),
        FailureKind::Cancelled => Some(Metric::RetriesCancelled),
        FailureKind::NamedStatement | FailureKind::Permanent => None,
    }
}

/// Whose metrics they are.
struct Dimensions {
    function: String,
    stage: String,
}

static DIMENSIONS: OnceLock<Dimensions> = OnceLock::new();

/// From now on every invocation writes its line, with these dimensions, to the standard output.
pub(crate) fn start(function: &str, stage: &str) {
    let bounded = |text: &str| text.chars().take(128).collect();
    let dimensions = Dimensions { function: bounded(function), stage: bounded(stage) };
    // Already started: a second function in the same process, which is a test.
    let _ = DIMENSIONS.set(dimensions);
}

/// Runs an invocation, and writes what it did.
pub async fn measured<F: Future>(request_id: &str, invocation: F) -> F::Output {
    let meter = Meter([const { Cell::new(0.0) }; Metric::ALL.len()]);
    METER
        .scope(meter, async {
            let output = invocation.await;
            if let Some(dimensions) = DIMENSIONS.get()
                && let Some(line) = METER.with(|meter| line(meter, dimensions, request_id, epoch_ms()))
            {
                // One write, so that lines of concurrent requests do not mix. A log that cannot be written is no reason
                // to fail a request.
                let _ = std::io::stdout().write_all(line.as_bytes());
            }
            output
        })
        .await
}

/// The line; `None` when there is nothing to tell.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 have 41 bits")]
fn line(meter: &Meter, dimensions: &Dimensions, request_id: &str, epoch_ms: f64) -> Option<String> {
    let told: Vec<_> = Metric::ALL
        .iter()
        .map(|metric| (metric, meter.0[*metric as usize].get()))
        .filter(|(_, value)| *value != 0.0)
        .collect();
    if told.is_empty() {
        return None;
    }
    let definitions: Vec<_> =
        told.iter().map(|(metric, _)| json!({"Name": metric.name(), "Unit": metric.unit()})).collect();
    let mut members = Map::new();
    members.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": epoch_ms as i64,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Function", "Stage"]],
                "Metrics": definitions,
            }],
        }),
    );
    members.insert("Function".to_owned(), dimensions.function.clone().into());
    members.insert("Stage".to_owned(), dimensions.stage.clone().into());
    members.insert("request_id".to_owned(), request_id.into());
    for (metric, value) in told {
        // To a microsecond; whole numbers stay whole.
        let value = (value * 1000.0).round() / 1000.0;
        let value = if value.fract() == 0.0 { json!(value as i64) } else { json!(value) };
        members.insert(metric.name().to_owned(), value);
    }
    Some(format!("{}\n", Value::Object(members)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions() -> Dimensions {
        Dimensions { function: "f".repeat(64), stage: "production".to_owned() }
    }

    fn meter(value: impl Fn(Metric) -> f64) -> Meter {
        let meter = Meter([const { Cell::new(0.0) }; Metric::ALL.len()]);
        for metric in Metric::ALL {
            meter.0[*metric as usize].set(value(*metric));
        }
        meter
    }

    const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

    #[test]
    fn a_line_tells_what_is_not_zero_and_nothing_else() {
        let meter = meter(|metric| match metric {
            Metric::RoundTrips | Metric::Scans => 1.0,
            Metric::StatementTime => 1.234_567,
            _ => 0.0,
        });
        let line = line(&meter, &dimensions(), REQUEST_ID, 1_700_000_000_000.0).unwrap();
        assert!(line.len() < 450, "{} bytes: {line}", line.len());
        let line: Value = serde_json::from_str(&line).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Tessera");
        assert_eq!(directive["Dimensions"], json!([["Function", "Stage"]]));
        assert_eq!(
            directive["Metrics"],
            json!([
                {"Name": "RoundTrips", "Unit": "Count"},
                {"Name": "StatementTime", "Unit": "Milliseconds"},
                {"Name": "Scans", "Unit": "Count"},
            ])
        );
        assert_eq!((&line["Scans"], &line["StatementTime"]), (&json!(1), &json!(1.235)));
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_000_i64);
        assert!(line.get("Creates").is_none());
    }

    #[test]
    fn an_invocation_that_did_nothing_writes_nothing() {
        assert_eq!(line(&meter(|_| 0.0), &dimensions(), REQUEST_ID, 0.0), None);
    }

    #[test]
    fn the_longest_line_is_bounded() {
        let line = line(&meter(|_| 123_456_789.123), &dimensions(), REQUEST_ID, 1_700_000_000_000.0).unwrap();
        assert!(line.len() < MAX_LINE, "{} bytes", line.len());
    }

    #[test]
    fn the_documents_list_every_metric() {
        let documented = include_str!("../../docs/deploy.md");
        for metric in Metric::ALL {
            assert!(documented.contains(&format!("`{}`", metric.name())), "{}", metric.name());
        }
    }

    #[tokio::test]
    async fn concurrent_invocations_count_apart() {
        let counted = |times: u32| {
            METER.scope(meter(|_| 0.0), async move {
                for _ in 0..times {
                    count(Metric::Scans);
                    tokio::task::yield_now().await;
                }
                METER.with(|meter| meter.0[Metric::Scans as usize].get())
            })
        };
        assert_eq!(tokio::join!(counted(3), counted(5)), (3.0, 5.0));
        count(Metric::Scans);
    }
}

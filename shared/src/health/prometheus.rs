//! The report in Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), with names and units as in
//! <https://prometheus.io/docs/practices/naming/>.

use std::fmt::Write as _;

use super::check::{Status, Verdict};
use super::checks::connection_usage;
use super::report::Report;

/// The `Content-Type` of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders `report`. Every metric is a gauge, and describes the whole database as it is now.
#[must_use]
pub fn render(report: &Report) -> String {
    let facts = &report.facts;
    let mut text = Exposition::default();
    text.gauge("tessera_up", "1 unless a check has failed.", from_bool(report.status() != Status::Down));
    text.help("tessera_check_ok", "1 where a check found nothing, 0 where it warns or has failed.");
    for check in report.checks.iter().filter(|check| check.verdict != Verdict::NotVisible) {
        text.sample("tessera_check_ok", &[("check", check.name)], from_bool(check.verdict == Verdict::Ok));
    }

    let sessions = &facts.sessions;
    text.help("tessera_database_connections", "Connections to the server, by what they do.");
    let visible = sessions.active + sessions.idle + sessions.idle_in_transaction;
    for (state, count) in [
        ("active", sessions.active),
        ("idle", sessions.idle),
        ("idle_in_transaction", sessions.idle_in_transaction),
        ("other", sessions.total - visible),
    ] {
        text.sample("tessera_database_connections", &[("state", state)], float(count));
    }
    text.gauge(
        "tessera_database_connections_limit",
        "Connections that the server takes.",
        float(facts.connection_limits.server),
    );
    text.gauge(
        "tessera_database_connections_used_ratio",
        "Share of the tightest limit in use.",
        connection_usage(facts).percent / 100.0,
    );
    text.gauge(
        "tessera_database_connections_own",
        "Connections of Tessera's functions.",
        float(sessions.ours),
    );
    text.gauge(
        "tessera_database_connections_idle_long",
        "Idle for over 5 minutes.",
        float(sessions.idle_long),
    );
    text.gauge(
        "tessera_database_longest_statement_seconds",
        "Age of the oldest running statement.",
        sessions.statement_seconds,
    );
    text.gauge(
        "tessera_database_longest_idle_in_transaction_seconds",
        "Longest time that a session has done nothing inside a transaction.",
        sessions.idle_in_transaction_seconds,
    );
    text.gauge(
        "tessera_database_lock_waits",
        "Statements waiting for a lock.",
        float(sessions.waiting_for_locks),
    );
    if facts.replicas.visible > 0 {
        text.gauge(
            "tessera_replica_lag_seconds",
            "Delay of the slowest replica.",
            facts.replicas.lag_seconds,
        );
    }
    if let Some(bytes) = facts.database_bytes {
        text.gauge("tessera_database_size_bytes", "Size of the database.", float(bytes));
    }
    tables(&mut text, report);
    activity(&mut text, report);
    text.0
}

fn tables(text: &mut Exposition, report: &Report) {
    let tables = &report.facts.tables;
    if tables.is_empty() {
        return;
    }
    text.help("tessera_table_dead_rows", "Rows not yet cleaned up, as the server estimates.");
    for table in tables {
        text.sample("tessera_table_dead_rows", &[("table", &table.name)], float(table.dead));
    }
    text.help("tessera_table_live_rows", "Rows, as the server estimates.");
    for table in tables {
        text.sample("tessera_table_live_rows", &[("table", &table.name)], float(table.live));
    }
    text.help("tessera_table_size_bytes", "Size without indexes.");
    for table in tables {
        text.sample("tessera_table_size_bytes", &[("table", &table.name)], float(table.bytes));
    }
    text.help("tessera_table_index_size_bytes", "Size of the indexes.");
    for table in tables {
        text.sample("tessera_table_index_size_bytes", &[("table", &table.name)], float(table.index_bytes));
    }
}

fn activity(text: &mut Exposition, report: &Report) {
    let results = &report.facts.results;
    if let Some(queue) = results.queue.value() {
        text.help("tessera_jobs", "Jobs that are not done, by state.");
        for (state, count) in [
            ("ready", queue.ready),
            ("running", queue.running),
            ("later", queue.later),
            ("expired", queue.expired),
            ("dead", queue.dead),
        ] {
            text.sample("tessera_jobs", &[("state", state)], float(count));
        }
        text.gauge(
            "tessera_jobs_oldest_seconds",
            "How long the oldest job has been due.",
            queue.oldest_seconds,
        );
    }
    if let Some(alerts) = results.alerts.value() {
        text.gauge(
            "tessera_alerts_open",
            "Open alerts, 100 at most.",
            float(i64::try_from(alerts.len()).unwrap_or(i64::MAX)),
        );
    }
    if let Some(events) = results.events.value() {
        text.help("tessera_events_last_hour", "Events of the last hour, the newest 10,000 at most.");
        for (state, count) in [("applied", events.applied), ("failed", events.failed)] {
            text.sample("tessera_events_last_hour", &[("state", state)], float(count));
        }
    }
    if let Some(scans) = results.scans.value() {
        text.gauge("tessera_scans_last_hour", "Scans of the last hour, 100,000 at most.", float(*scans));
    }
    if let Some(creates) = results.creates.value() {
        text.gauge(
            "tessera_creates_last_hour",
            "Codes made in the last hour, 10,000 at most.",
            float(*creates),
        );
    }
}

fn from_bool(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[expect(clippy::cast_precision_loss, reason = "a sample in the text format is a double")]
fn float(count: i64) -> f64 {
    count as f64
}

/// The text that is built up, one metric family after the other.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn help(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        if !labels.is_empty() {
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let _ = write!(self.0, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.help(name, help);
        self.sample(name, &[], value);
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

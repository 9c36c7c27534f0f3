//! Gathers a report, and renders as much of it as the caller may see.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use shared::health::{self, Check, Detail, Permission, Report, Status, Verdict};
use shared::http::{Body, PublicError, Response, StatusCode, json};
use shared::metrics::{self, Metric};
use tessera_postgres::{Database, DatabaseError, Deadline};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) const FORBIDDEN: PublicError = PublicError::Forbidden("The key lacks the scope `ops:read`.");

/// How long a report may take. Monitors time out soon after, and a 503 within 3 s says more than no answer at all.
const REPORT_TIMEOUT: Duration = Duration::from_millis(2500);

const WHY_DATABASE: &str = "nothing but this page works without the database";

/// What the requests of a container share.
pub(crate) struct State {
    /// The database that is written to.
    pub(crate) primary: Arc<Database>,
    /// The read replica, if one is configured.
    pub(crate) replica: Option<Database>,
}

/// Asks the primary and, at the same time, its replica. If the primary gives no report, the error is the check that
/// says why.
pub(crate) async fn gather(state: &State, detail: Detail<'_>, deadline: Deadline) -> Result<Report, Check> {
    let deadline = deadline.within(REPORT_TIMEOUT);
    let replica = async {
        match &state.replica {
            Some(replica) => Some(health::replica(replica, deadline).await),
            None => None,
        }
    };
    let (report, replica) =
        tokio::join!(Box::pin(health::report(&state.primary, detail, deadline)), Box::pin(replica));
    let mut report = report.map_err(|error| failed_check("database", Verdict::Fail, WHY_DATABASE, &error))?;
    report.add(Check::ok("database", "reached", WHY_DATABASE));
    match replica {
        Some(Ok(check)) => report.add(check),
        // Reads then go to the primary, which is slower, but correct.
        Some(Err(error)) => report.add(failed_check(
            "read_replica",
            Verdict::Warn,
            "reads fall back to the primary, which has more to do then",
            &error,
        )),
        None => {}
    }
    record_metrics(&report);
    Ok(report)
}

fn failed_check(name: &'static str, verdict: Verdict, why: &'static str, error: &DatabaseError) -> Check {
    tracing::error!(%error, "{name}: no report");
    let diagnosis = error.diagnosis();
    Check::ok(name, format!("{}: {}", diagnosis.name(), diagnosis.summary()), why).when(
        true,
        verdict,
        health::advice(diagnosis),
    )
}

/// Whether the caller may see the details; `false` when their key could not be looked up.
pub(crate) fn may_see_details(report: &Report) -> Result<bool, PublicError> {
    match health::permission(&report.facts.results) {
        Permission::Granted => Ok(true),
        Permission::Undecided => Ok(false),
        Permission::Forbidden => Err(FORBIDDEN),
        Permission::UnknownKey => Err(PublicError::UnknownKey),
    }
}

/// Renders what anybody may see: each check's verdict. When the database cannot be reached, no key can be looked up, so
/// the advice is shown as well: it comes from a closed list and names nothing of this installation.
pub(crate) fn summary_response(outcome: &Result<Report, Check>) -> Response<Body> {
    match outcome {
        Ok(report) => {
            let verdicts: Map<String, Value> =
                report.checks.iter().map(|check| (check.name.to_owned(), json!(check.verdict))).collect();
            let status = report.status();
            json(status_code(status), &json!({"status": status, "version": VERSION, "checks": verdicts}))
        }
        Err(check) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({
                "status": Status::Down,
                "version": VERSION,
                "checks": {check.name: check.verdict},
                "observed": check.observed,
                "advice": check.advice,
            }),
        ),
    }
}

/// Renders everything, for the holder of a key with `ops:read`. The status is 200 even if checks have failed, because
/// the report itself was made.
pub(crate) fn full_response(report: &Report) -> Response<Body> {
    let facts = &report.facts;
    let results = &facts.results;
    json(
        StatusCode::OK,
        &json!({
            "status": report.status(),
            "version": VERSION,
            "checks": report.checks,
            "alerts": results.alerts.value(),
            "queue": results.queue.value(),
            "events": {"lastHour": results.events.value()},
            "codes": {"lastHour": results.creates.value()},
            "scans": {"lastHour": results.scans.value()},
            "connections": {
                "limits": facts.connection_limits,
                "used": facts.connections_used,
                "sessions": facts.sessions,
                "applications": facts.applications,
                "blockers": facts.blockers,
            },
            "database": {
                "server": facts.server,
                "bytes": facts.database_bytes,
                "replicas": facts.replicas,
                "tables": facts.tables,
                "lockedTables": facts.locked_tables,
                "slowStatements": results.statements.value(),
                "migrations": results.migrations.value(),
            },
        }),
    )
}

fn status_code(status: Status) -> StatusCode {
    match status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[expect(clippy::cast_precision_loss, reason = "CloudWatch's values are doubles")]
fn record_metrics(report: &Report) {
    let results = &report.facts.results;
    metrics::set(Metric::ConnectionsUsedPercent, report.connections_used_percent());
    metrics::set(Metric::ReplicaLag, report.facts.replicas.lag_seconds);
    if let Some(queue) = results.queue.value() {
        metrics::set(Metric::QueueDepth, queue.waiting() as f64);
    }
    if let Some(alerts) = results.alerts.value() {
        metrics::set(Metric::OpenAlerts, alerts.len() as f64);
    }
}

//! A report, and how much of it a caller is told.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use shared::health::{self, Check, Detail, Permission, Report, Status, Verdict};
use shared::http::{Body, PublicError, Response, StatusCode, json};
use shared::metrics::{self, Metric};
use tessera_postgres::{Database, DatabaseError, Deadline, Diagnosis};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) const FORBIDDEN: PublicError = PublicError::Forbidden("The key lacks the scope `ops:read`.");

/// A monitor gives up soon after: 503 within 3 s says more than no answer at all.
const PATIENCE: Duration = Duration::from_millis(2500);

const WHY_DATABASE: &str = "nothing but this page works without the database";

/// The databases that are reported on.
pub(crate) struct Databases {
    pub(crate) primary: Arc<Database>,
    pub(crate) replica: Option<Database>,
}

/// Asks the primary and, at the same time, its replica.
pub(crate) async fn gather(
    databases: &Databases,
    detail: Detail<'_>,
    deadline: Deadline,
) -> Result<Report, Check> {
    let deadline = deadline.within(PATIENCE);
    let replica = async {
        match &databases.replica {
            Some(replica) => Some(health::replica(replica, deadline).await),
            None => None,
        }
    };
    let (report, replica) =
        tokio::join!(Box::pin(health::report(&databases.primary, detail, deadline)), Box::pin(replica));
    let mut report = report.map_err(|error| failed("database", Verdict::Fail, WHY_DATABASE, &error))?;
    report.add(Check::ok("database", "reached", WHY_DATABASE));
    match replica {
        Some(Ok(check)) => report.add(check),
        // Reads go to the primary then: slower, and right.
        Some(Err(error)) => report.add(failed(
            "read_replica",
            Verdict::Warn,
            "reads fall back to the primary, which has more to do then",
            &error,
        )),
        None => {}
    }
    measure(&report);
    Ok(report)
}

fn failed(name: &'static str, verdict: Verdict, why: &'static str, error: &DatabaseError) -> Check {
    tracing::error!(%error, "{name}: no report");
    let diagnosis = match error {
        DatabaseError::Unavailable { last: failure, .. } | DatabaseError::Rejected { failure, .. } => {
            failure.diagnosis()
        }
        _ => Diagnosis::Other,
    };
    Check::ok(name, format!("{}: {}", diagnosis.name(), diagnosis.seen()), why).when(
        true,
        verdict,
        health::advice(diagnosis),
    )
}

/// Whether the caller may see the whole of it; `false` when that cannot be known.
pub(crate) fn permits(report: &Report) -> Result<bool, PublicError> {
    match health::permission(&report.facts.answers) {
        Permission::Granted => Ok(true),
        Permission::Undecided => Ok(false),
        Permission::Forbidden => Err(FORBIDDEN),
        Permission::UnknownKey => Err(PublicError::Unauthenticated),
    }
}

/// For anybody: verdicts by name. Where there is no database to know anybody by, the advice too, which comes from a
/// closed list and names nothing of this installation.
pub(crate) fn summary(outcome: &Result<Report, Check>) -> Response<Body> {
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

/// For the holder of a key with `ops:read`: everything. 200 also when something is wrong: the report was made.
pub(crate) fn whole(report: &Report) -> Response<Body> {
    let facts = &report.facts;
    let answers = &facts.answers;
    json(
        StatusCode::OK,
        &json!({
            "status": report.status(),
            "version": VERSION,
            "checks": report.checks,
            "alerts": answers.alerts.here(),
            "queue": answers.queue.here(),
            "events": {"lastHour": answers.events.here()},
            "codes": {"lastHour": answers.creates.here()},
            "scans": {"lastHour": answers.scans.here()},
            "connections": {
                "limits": facts.limits,
                "used": facts.used,
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
                "slowStatements": answers.statements.here(),
                "migrations": answers.migrations.here(),
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

#[expect(clippy::cast_precision_loss, reason = "CloudWatch knows floats alone")]
fn measure(report: &Report) {
    let answers = &report.facts.answers;
    metrics::set(Metric::ConnectionsUsedPercent, report.connections_used_percent());
    metrics::set(Metric::ReplicaLag, report.facts.replicas.lag_seconds);
    if let Some(queue) = answers.queue.here() {
        metrics::set(Metric::QueueDepth, queue.waiting() as f64);
    }
    if let Some(alerts) = answers.alerts.here() {
        metrics::set(Metric::OpenAlerts, alerts.len() as f64);
    }
}

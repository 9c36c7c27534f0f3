//! A run of the worker: claims jobs, delivers them and records the results, until none is due or time is up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use shared::config::WorkerSettings;
use shared::http::Invocation;
use shared::jobs::claim::{ClaimLimits, Job, claim};
use shared::jobs::finish::{DeliveryResult, NextState, finish};
use shared::jobs::retention::clean;
use shared::metrics::{self, Metric};
use shared::webhook::source::Sources;
use shared::webhook::source_cache::SourceCache;
use tessera_postgres::{Database, DatabaseError, Deadline, TrustStore};

use crate::deliver::WebhookClient;

/// How many jobs each of the concurrent deliveries may get from one claim: enough that the database is not asked for
/// each job, and few enough that a worker that dies delays few.
const MAX_ROUNDS: u32 = 5;
/// The time that is reserved for recording the results.
const FINISH_RESERVE: Duration = Duration::from_secs(2);
/// How much longer a lease is than its run: a delivery that was in flight when the run ended has succeeded or failed by
/// then.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// What the runs of a container share.
pub(crate) struct State {
    pub(crate) database: Arc<Database>,
    pub(crate) sources: SourceCache,
    pub(crate) settings: WorkerSettings,
    pub(crate) trust: Arc<TrustStore>,
}

/// The counts of a run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    claimed: usize,
    delivered: usize,
    to_retry: usize,
    dead: usize,
    /// Results that were not accepted because their lease had ended.
    late: usize,
}

/// Runs the worker until no job is due or the deadline is near.
pub(crate) async fn run(state: Arc<State>, invocation: Invocation) -> Result<Report, DatabaseError> {
    let State { database, settings, .. } = &*state;
    let deadline = invocation.deadline;
    let mut report = Report::default();
    let mut delivery = None;
    let mut retention_due = false;
    loop {
        let max_jobs = capacity(settings, deadline);
        if max_jobs == 0 {
            if report.claimed == 0 {
                tracing::error!(
                    "no time for one delivery: the function's timeout is too short for WORKER_TIMEOUT_SECONDS"
                );
            }
            break;
        }
        let limits = ClaimLimits { jobs: max_jobs, bytes: settings.claim_bytes };
        let claimed = claim(database, limits, deadline.left() + LEASE_MARGIN, deadline).await?;
        retention_due |= claimed.retention_due;
        report.dead += usize::try_from(claimed.given_up).unwrap_or_default();
        if claimed.jobs.is_empty() {
            break;
        }
        if delivery.is_none() {
            delivery = build_client(&state, deadline).await;
        }
        // The leases of the claimed jobs end by themselves, and the next run tries again.
        let Some((client, sources)) = &delivery else { break };
        report.claimed += claimed.jobs.len();
        let results = deliver_all(client, sources, claimed.jobs, settings.concurrency).await;
        let accepted = finish(database, &results, deadline).await?;
        report.count(&results, accepted);
    }
    if retention_due && deadline.left() > FINISH_RESERVE {
        let cleaned = clean(database, settings.retention, deadline).await?;
        tracing::info!(?cleaned, "retention");
    }
    tracing::info!(
        claimed = report.claimed,
        delivered = report.delivered,
        to_retry = report.to_retry,
        dead = report.dead,
        late = report.late,
        "run ended"
    );
    report.record_metrics();
    Ok(report)
}

/// How many jobs can be delivered in the time that is left, even if each takes as long as it may.
fn capacity(settings: &WorkerSettings, deadline: Deadline) -> usize {
    let left = deadline.left().saturating_sub(FINISH_RESERVE.min(deadline.left() / 4));
    // The body of a response may take another tenth of the timeout.
    let each = settings.timeout.mul_f64(1.1).as_millis().max(1);
    let rounds = u32::try_from(left.as_millis() / each).unwrap_or(u32::MAX).min(MAX_ROUNDS);
    settings.concurrency * rounds as usize
}

/// Builds what deliveries need when the first job is due, so that an idle run loads neither certificates nor secrets.
async fn build_client(state: &State, deadline: Deadline) -> Option<(WebhookClient, Arc<Sources>)> {
    let client = WebhookClient::new(&state.settings, &state.trust)
        .inspect_err(|error| tracing::error!(%error, "nothing can be delivered"));
    let sources = state.sources.get(deadline).await;
    let sources = sources.inspect_err(|error| tracing::error!(%error, "nothing can be delivered"));
    Some((client.ok()?, sources.ok()?))
}

async fn deliver_all(
    client: &WebhookClient,
    sources: &Sources,
    jobs: Vec<Job>,
    concurrency: usize,
) -> Vec<(Job, DeliveryResult, NextState)> {
    let deliver = async |job: Job| {
        let result = client.deliver(&job, sources).await;
        let next_state = NextState::after(&job, &result);
        log(&job, &result, next_state);
        // The payload is freed, since the other deliveries may take a while.
        (Job { raw: None, ..job }, result, next_state)
    };
    stream::iter(jobs).map(deliver).buffer_unordered(concurrency).collect().await
}

/// Logs a result with row ids, codes and counts only, since everything else may be the sender's.
fn log(job: &Job, result: &DeliveryResult, next_state: NextState) {
    let (id, source, attempt) = (job.id, &job.source, job.attempt);
    let (outcome, status) = (result.outcome.as_str(), result.status);
    match next_state {
        NextState::Done => tracing::debug!(job = id, source, attempt, "delivered"),
        NextState::Waiting(wait) => {
            tracing::warn!(
                job = id,
                source,
                attempt,
                outcome,
                status,
                wait_s = wait.as_secs(),
                "not delivered"
            );
        }
        NextState::Dead => tracing::error!(job = id, source, attempt, outcome, status, "given up"),
    }
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "CloudWatch's values are doubles")]
    fn record_metrics(&self) {
        metrics::add(Metric::JobsDone, self.delivered as f64);
        metrics::add(Metric::JobsFailed, self.to_retry as f64);
        metrics::add(Metric::JobsDead, self.dead as f64);
    }

    fn count(&mut self, results: &[(Job, DeliveryResult, NextState)], accepted: i64) {
        let number = |is_counted: fn(&NextState) -> bool| {
            results.iter().filter(|(.., state)| is_counted(state)).count()
        };
        self.delivered += number(|next_state| matches!(next_state, NextState::Done));
        self.to_retry += number(|next_state| matches!(next_state, NextState::Waiting(_)));
        self.dead += number(|next_state| matches!(next_state, NextState::Dead));
        self.late += results.len().saturating_sub(usize::try_from(accepted).unwrap_or_default());
    }
}

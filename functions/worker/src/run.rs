//! One run: claim, deliver, finish, until nothing is due or time is up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use shared::http::Invocation;
use shared::jobs::claim::{Job, claim};
use shared::jobs::finish::{Ending, Fate, finish};
use shared::jobs::retention::clean;
use shared::metrics::{self, Metric};
use shared::webhook::configured::ConfiguredSources;
use shared::webhook::source::Sources;
use tessera_postgres::{Database, DatabaseError, Deadline, TrustStore};

use crate::deliver::Courier;
use crate::settings::Settings;

/// Jobs that one delivery slot may get from one claim: enough that the database is not asked for each, few enough that a
/// dead worker holds back little.
const ROUNDS: u32 = 5;
/// Kept back from the deliveries for saying how they ended.
const TO_FINISH: Duration = Duration::from_secs(2);
/// A lease outlives its run by this: what was on its way when the run ended has arrived or failed by then.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

pub(crate) struct State {
    pub(crate) database: Arc<Database>,
    pub(crate) sources: ConfiguredSources,
    pub(crate) settings: Settings,
    pub(crate) trust: Arc<TrustStore>,
}

/// What a run did, in numbers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    claimed: usize,
    delivered: usize,
    to_retry: usize,
    dead: usize,
    /// Endings that came after their lease and were not heard.
    late: usize,
}

pub(crate) async fn run(state: Arc<State>, invocation: Invocation) -> Result<Report, DatabaseError> {
    let State { database, settings, .. } = &*state;
    let deadline = invocation.deadline;
    let mut report = Report::default();
    let mut equipment = None;
    let mut retention_due = false;
    loop {
        let most = capacity(settings, deadline);
        if most == 0 {
            if report.claimed == 0 {
                tracing::error!(
                    "no time for one delivery: the function's timeout is too short for WORKER_TIMEOUT_SECONDS"
                );
            }
            break;
        }
        let claimed = claim(database, most, deadline.left() + LEASE_MARGIN, deadline).await?;
        retention_due |= claimed.retention_due;
        report.dead += usize::try_from(claimed.given_up).unwrap_or_default();
        if claimed.jobs.is_empty() {
            break;
        }
        if equipment.is_none() {
            equipment = equip(&state, deadline).await;
        }
        // Its leases end by themselves; the next run tries again.
        let Some((courier, sources)) = &equipment else { break };
        report.claimed += claimed.jobs.len();
        let endings = deliver_all(courier, sources, claimed.jobs, settings.concurrency).await;
        let heard = finish(database, &endings, deadline).await?;
        report.count(&endings, heard);
    }
    if retention_due && deadline.left() > TO_FINISH {
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
    report.measure();
    Ok(report)
}

/// How many jobs can be delivered in the time left, even if each takes as long as it may.
fn capacity(settings: &Settings, deadline: Deadline) -> usize {
    let left = deadline.left().saturating_sub(TO_FINISH.min(deadline.left() / 4));
    // A slow answer's body has a tenth of the timeout more.
    let each = settings.timeout.mul_f64(1.1).as_millis().max(1);
    let rounds = u32::try_from(left.as_millis() / each).unwrap_or(u32::MAX).min(ROUNDS);
    settings.concurrency * rounds as usize
}

/// What deliveries need, made when the first is due: an idle run loads no certificate and no secret.
async fn equip(state: &State, deadline: Deadline) -> Option<(Courier, Arc<Sources>)> {
    let courier = Courier::new(&state.settings, &state.trust)
        .inspect_err(|error| tracing::error!(%error, "nothing can be delivered"));
    let sources = state.sources.current(deadline).await;
    let sources = sources.inspect_err(|error| tracing::error!(%error, "nothing can be delivered"));
    Some((courier.ok()?, sources.ok()?))
}

async fn deliver_all(
    courier: &Courier,
    sources: &Sources,
    jobs: Vec<Job>,
    concurrency: usize,
) -> Vec<(Job, Ending, Fate)> {
    let deliver = async |job: Job| {
        let ending = courier.deliver(&job, sources).await;
        let fate = Fate::of(&job, &ending);
        log(&job, &ending, fate);
        // Its payload is needed no more, and the run's other deliveries may take a while.
        (Job { raw: None, ..job }, ending, fate)
    };
    stream::iter(jobs).map(deliver).buffer_unordered(concurrency).collect().await
}

/// By ids of rows, codes and counts alone.
fn log(job: &Job, ending: &Ending, fate: Fate) {
    let (id, source, attempt) = (job.id, &job.source, job.attempt);
    let (outcome, status) = (ending.outcome.as_str(), ending.status);
    match fate {
        Fate::Done => tracing::debug!(job = id, source, attempt, "delivered"),
        Fate::Waiting(wait) => {
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
        Fate::Dead => tracing::error!(job = id, source, attempt, outcome, status, "given up"),
    }
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "CloudWatch knows floats alone")]
    fn measure(&self) {
        metrics::add(Metric::JobsDone, self.delivered as f64);
        metrics::add(Metric::JobsFailed, self.to_retry as f64);
        metrics::add(Metric::JobsDead, self.dead as f64);
    }

    fn count(&mut self, endings: &[(Job, Ending, Fate)], heard: i64) {
        let number = |is: fn(&Fate) -> bool| endings.iter().filter(|(.., fate)| is(fate)).count();
        self.delivered += number(|fate| matches!(fate, Fate::Done));
        self.to_retry += number(|fate| matches!(fate, Fate::Waiting(_)));
        self.dead += number(|fate| matches!(fate, Fate::Dead));
        self.late += endings.len().saturating_sub(usize::try_from(heard).unwrap_or_default());
    }
}

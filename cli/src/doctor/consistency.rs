//! The main job, tried on probe codes: made, listed at once, followed at once, and taken away without a trace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::error::PublicError;
use shared::health::{Check, Verdict};
use shared::http::Caller;
use shared::qr::id::ShortId;
use shared::qr::input::NewCode;
use shared::qr::read::{Filter, Reader};
use shared::qr::visit::{Device, Kind, Visit};
use shared::qr::{create, read, scan};
use tessera_postgres::Database;
use tessera_postgres::DatabaseConfig;
use tessera_postgres::Deadline;
use tessera_postgres::TrustStore;
use tessera_postgres::{IdempotentBy, Statement};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use url::Url;
use uuid::Uuid;

use super::overheard::Overheard;
use crate::operator::run_statement;
use crate::verdicts::{ms, percentile};

/// The bars: create, list, redirect.
const BARS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(1), Duration::from_millis(500)];
/// The whole try ends after this.
const PATIENCE: Duration = Duration::from_mins(1);

const WHY: &str = "what was made must be there at once, for its owner and for whoever scans it";

const REFUSED: &str = "mend what the checks above name first; if there is nothing, mend what the database says here: a trigger, a \
                       policy (row level security), a full disk, a table that was changed by hand";

/// Takes every trace of an owner's codes away: the product itself keeps a deleted code's id for ever.
const FORGET: Statement = Statement {
    name: "doctor.forget",
    sql: "WITH gone AS (DELETE FROM codes WHERE owner = $1 RETURNING id),
               scans AS (DELETE FROM scans WHERE code_id IN (SELECT id FROM gone)),
               totals AS (DELETE FROM scan_totals WHERE code_id IN (SELECT id FROM gone)),
               visitors AS (DELETE FROM visitors WHERE code_id IN (SELECT id FROM gone))
          DELETE FROM scan_quotas WHERE code_id IN (SELECT id FROM gone)",
    parameters: &[Type::TEXT],
    idempotent_by: IdempotentBy::RequestId("owner"),
};

/// Makes, lists and follows `probes` codes over the functions' own connection, then removes them.
pub(super) async fn test(
    config: DatabaseConfig,
    trust: &Arc<TrustStore>,
    client: &Client,
    probes: u16,
) -> Check {
    let database = match Database::new(config, trust) {
        Ok(database) => database,
        Err(error) => return failed(&error.to_string()),
    };
    let owner = format!("tessera-doctor-{}", Uuid::new_v4().simple());
    let (overheard, listening) = Overheard::listen();
    let outcome = run(&database, &owner, probes).await;
    drop(listening);
    database.close().await;
    let removed = run_statement(client, &FORGET, &[&owner]).await;
    let check = match outcome {
        Ok(outcome) => outcome.judge(overheard.last().as_deref()),
        Err(error) => failed(&overheard.last().unwrap_or_else(|| error.detail())),
    };
    check.when(
        removed.is_err(),
        Verdict::Warn,
        format!("the probe codes could not be removed: DELETE FROM codes WHERE owner = '{owner}'"),
    )
}

fn failed(problem: &str) -> Check {
    Check::ok("consistency", problem, WHY).when(true, Verdict::Fail, REFUSED)
}

/// What the try gave: how many were seen, and the times of creates, lists and redirects.
struct Outcome {
    probes: u16,
    listed: u16,
    followed: u16,
    times: [Vec<Duration>; 3],
}

async fn run(database: &Database, owner: &str, probes: u16) -> Result<Outcome, PublicError> {
    let deadline = Deadline::after(PATIENCE);
    let caller = Caller::Owner(owner.to_owned());
    let base = Url::parse("https://doctor.invalid").map_err(|_| PublicError::Internal)?;
    let mut outcome = Outcome { probes, listed: 0, followed: 0, times: Default::default() };
    for number in 0..probes {
        let Value::Object(body) = json!({"targetUrl": format!("https://example.com/{number}")}) else {
            return Err(PublicError::Internal);
        };
        let new = NewCode::parse(body, &base)?;
        let begun = Instant::now();
        let made = create::create(database, &caller, &new, None, Uuid::new_v4(), deadline).await?;
        outcome.times[0].push(begun.elapsed());

        let filter = Filter { limit: 1, ..Filter::default() };
        let begun = Instant::now();
        let page = read::list(database, &Reader { caller: &caller, token: None, deadline }, &filter).await?;
        outcome.times[1].push(begun.elapsed());
        outcome.listed +=
            u16::from(page.codes.first().is_some_and(|code| code.short_id == made.code.short_id));

        let Some(id) = ShortId::parse(&made.code.short_id) else { return Err(PublicError::Internal) };
        let begun = Instant::now();
        let followed = scan::follow(database, &id, &visit(), deadline).await;
        outcome.times[2].push(begun.elapsed());
        outcome.followed += u16::from(followed.is_ok_and(|to| to.target_url == made.code.target_url));
    }
    Ok(outcome)
}

fn visit() -> Visit {
    Visit { kind: Kind::Person, digest: [0; 32], country: None, device: Device::Other, referrer: None }
}

impl Outcome {
    /// `error` is the last one that was logged meanwhile.
    fn judge(mut self, error: Option<&str>) -> Check {
        let [create, list, redirect] = self.times.each_mut().map(|times| percentile(times, 95));
        let Self { probes, listed, followed, .. } = self;
        let mut observed = format!(
            "{listed} of {probes} listed and {followed} of {probes} followed at once; p95: create {}, list {}, redirect {}",
            ms(create),
            ms(list),
            ms(redirect)
        );
        if let Some(error) = error {
            observed = format!("{observed}; {error}");
        }
        let is_incomplete = listed < probes || followed < probes;
        let slow = [create, list, redirect].iter().zip(BARS).any(|(took, bar)| *took > bar);
        Check::ok("consistency", observed, WHY)
            .limit(format!("all; {}, {}, {}", ms(BARS[0]), ms(BARS[1]), ms(BARS[2])))
            .when(is_incomplete && error.is_some(), Verdict::Fail, REFUSED)
            .when(
                is_incomplete,
                Verdict::Fail,
                "DATABASE_URL reaches a server that does not see its own writes: a replica, or several primaries behind \
                 one name; point it at the primary",
            )
            .when(slow, Verdict::Warn, "see `latency`, `locks` and `longest_statement`")
    }
}

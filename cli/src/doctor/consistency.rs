//! Read-after-write consistency, tested with probe codes: each is created, must be listed and followed at once, and is
//! deleted with every row that belongs to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use shared::health::{Check, Verdict};
use shared::qr::id::ShortId;
use shared::qr::input::NewCode;
use shared::qr::list::{self, Filter};
use shared::qr::read::ReadContext;
use shared::qr::visit::{Device, Visit, VisitKind};
use shared::qr::{create, scan};
use shared::request::{Caller, RequestContext};
use tessera_postgres::{
    Database, DatabaseConfig, Deadline, ErrorChain, IdempotentBy, Plan, Statement, TrustStore,
};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use url::Url;
use uuid::Uuid;

use crate::check_output::{format_duration, percentile};
use crate::operator::run_statement;

/// The 95th percentiles that create, list and redirect may take.
const TIME_LIMITS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(1), Duration::from_millis(500)];
/// After this, whatever is left of the test is given up.
const TIMEOUT: Duration = Duration::from_mins(1);

const WHY: &str = "what was made must be there at once, for its owner and for whoever scans it";

const ADVICE_IF_REFUSED: &str = "mend what the checks above name first; if there is nothing, mend what the database says here: a trigger, a \
                       policy (row level security), a full disk, a table that was changed by hand";

/// Deletes an owner's codes with all of their rows: the product itself keeps the id of a deleted code for ever.
const DELETE_PROBES: Statement = Statement {
    name: "doctor.delete_probes",
    sql: "WITH deleted AS (DELETE FROM codes WHERE owner = $1 RETURNING id),
               scans AS (DELETE FROM scans WHERE code_id IN (SELECT id FROM deleted)),
               totals AS (DELETE FROM scan_totals WHERE code_id IN (SELECT id FROM deleted)),
               visitors AS (DELETE FROM visitors WHERE code_id IN (SELECT id FROM deleted))
          DELETE FROM scan_quotas WHERE code_id IN (SELECT id FROM deleted)",
    parameters: &[Type::TEXT],
    columns: &[],
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::RequestId("owner"),
};

/// Creates, lists and follows `probes` codes over a connection like the functions' own, then deletes them.
pub(super) async fn check(
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
    let outcome = run(&database, &owner, probes).await;
    database.close().await;
    let removed = run_statement(client, &DELETE_PROBES, &[&owner]).await;
    let check = match outcome {
        Ok(outcome) => outcome.into_check(),
        Err(error) => failed(&ErrorChain(error.as_ref()).to_string()),
    };
    check.when(
        removed.is_err(),
        Verdict::Warn,
        format!("the probe codes could not be removed: DELETE FROM codes WHERE owner = '{owner}'"),
    )
}

fn failed(problem: &str) -> Check {
    Check::ok("consistency", problem, WHY).when(true, Verdict::Fail, ADVICE_IF_REFUSED)
}

/// How many probe codes were listed and followed, why the last one was not, and the times of creates, lists and
/// redirects.
struct Outcome {
    probes: u16,
    listed: u16,
    followed: u16,
    error: Option<String>,
    times: [Vec<Duration>; 3],
}

async fn run(database: &Database, owner: &str, probes: u16) -> Result<Outcome> {
    let deadline = Deadline::after(TIMEOUT);
    let base = Url::parse("https://doctor.invalid")?;
    let mut outcome = Outcome { probes, listed: 0, followed: 0, error: None, times: Default::default() };
    for number in 0..probes {
        let body = [("targetUrl".to_owned(), json!(format!("https://example.com/{number}")))];
        let new = NewCode::parse(body.into_iter().collect(), &base)?;
        let request =
            RequestContext { caller: Caller::Owner(owner.to_owned()), id: Uuid::new_v4(), deadline };
        let begun = Instant::now();
        let made = create::create(database, &request, &new, None).await?;
        outcome.times[0].push(begun.elapsed());

        let filter = Filter { limit: 1, ..Filter::default() };
        let begun = Instant::now();
        let page = list::list(database, &ReadContext { request: &request, token: None }, &filter).await?;
        outcome.times[1].push(begun.elapsed());
        outcome.listed +=
            u16::from(page.codes.first().is_some_and(|code| code.short_id == made.code.short_id));

        let id = ShortId::parse(&made.code.short_id).context("the id that was made is none")?;
        let begun = Instant::now();
        let followed = scan::follow(database, &id, &visit(), deadline).await;
        outcome.times[2].push(begun.elapsed());
        match followed {
            Ok(redirect) => outcome.followed += u16::from(redirect.target_url == made.code.target_url),
            Err(error) => outcome.error = Some(ErrorChain(&error).to_string()),
        }
    }
    Ok(outcome)
}

fn visit() -> Visit {
    Visit { kind: VisitKind::Person, digest: [0; 32], country: None, device: Device::Other, referrer: None }
}

impl Outcome {
    fn into_check(mut self) -> Check {
        let [create, list, redirect] = self.times.each_mut().map(|times| percentile(times, 95));
        let Self { probes, listed, followed, error, .. } = self;
        let mut observed = format!(
            "{listed} of {probes} listed and {followed} of {probes} followed at once; p95: create {}, list {}, redirect {}",
            format_duration(create),
            format_duration(list),
            format_duration(redirect)
        );
        if let Some(error) = &error {
            observed = format!("{observed}; {error}");
        }
        let is_incomplete = listed < probes || followed < probes;
        let slow = [create, list, redirect].iter().zip(TIME_LIMITS).any(|(took, limit)| *took > limit);
        Check::ok("consistency", observed, WHY)
            .limit(format!("all; {}", TIME_LIMITS.map(format_duration).join(", ")))
            .when(is_incomplete && error.is_some(), Verdict::Fail, ADVICE_IF_REFUSED)
            .when(
                is_incomplete,
                Verdict::Fail,
                "DATABASE_URL reaches a server that does not see its own writes: a replica, or several primaries behind \
                 one name; point it at the primary",
            )
            .when(slow, Verdict::Warn, "see `latency`, `locks` and `longest_statement`")
    }
}

//! `cargo tessera doctor`: what is wrong with an installation, why it matters and what to do, a line a check.
//!
//! It reads the connection string as the functions do, takes the same way to the database, and judges with the same
//! functions as `health`. What it adds is the way itself, step by step, and a try of the main job.

mod connection_url;
mod consistency;
mod kept_plans;
mod path;
mod plan;
mod probe;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use shared::clock::epoch_ms;
use shared::config::Environment;
use shared::health::{self, Check, Report, Verdict};
use tessera_postgres::url::DatabaseUrl;
use tessera_postgres::{Deadline, Diagnosis, ErrorChain, Phase, TrustStore};
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::check_output;
use crate::operator::run_statement;
use plan::Plan;

/// How to look.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Probe codes to create, list, resolve and delete again; 0 writes nothing
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    probes: u16,
    /// Containers that may run at once (the sum of the functions' reserved concurrency), to hold against the limit. Without
    /// it: what template.yaml and samconfig.toml in this directory say
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    containers: Option<u32>,
    /// The environment of samconfig.toml whose connection budget is meant
    #[arg(long, value_name = "NAME", default_value = "default")]
    config_env: String,
}

impl Options {
    fn plan(&self) -> Option<Plan> {
        match self.containers {
            Some(number) => Some(Plan { containers: Some(number), origin: "--containers".to_owned() }),
            None => plan::of_directory(&std::env::current_dir().ok()?, &self.config_env),
        }
    }
}

/// Looks, and tells. Exit code 0: fine; 1: warnings; 2: failures.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut checks = Vec::new();
    Box::pin(examine(&options, &Environment::from_process(), &mut checks)).await;
    check_output::print(&checks, options.json)
}

async fn examine(options: &Options, environment: &Environment, checks: &mut Vec<Check>) {
    let trust = std::sync::Arc::new(TrustStore::prepare());
    let Some((config, url)) = connection_url::primary(environment, checks).await else { return };
    let Some(client) = path::open(&url, &config, &trust, "", checks).await else { return };

    let latency = probe::latency(&client).await;
    let answers = latency.verdict < Verdict::Fail;
    checks.push(latency);
    if !answers {
        return;
    }
    checks.push(probe::named_statements(&client, &url).await);
    checks.push(probe::several(&url, &config, &trust).await);
    let report = match timeout(REPORT_PATIENCE, report(&client)).await {
        Ok(report) => report,
        Err(_) => Err(late()),
    };
    let may_try = match report {
        Ok(report) => {
            checks.push(kept_plans::check(&client).await);
            checks.push(probe::settings(&report.facts));
            checks.push(probe::budget(&report.facts, &url, options.plan().as_ref()));
            let may_try = report
                .checks
                .iter()
                .all(|check| !PREVENT_A_TRY.contains(&check.name) || check.verdict < Verdict::Warn);
            checks.extend(report.checks);
            may_try
        }
        Err(check) => {
            checks.push(check);
            false
        }
    };
    replica(environment, &trust, checks).await;
    if options.probes > 0 && may_try {
        checks.push(consistency::test(config, &trust, &client, options.probes).await);
    }
}

/// With trouble here, probe codes can only fail or wait, and say nothing that these checks do not.
const PREVENT_A_TRY: [&str; 4] = ["migrations", "rights", "writable", "locks"];

const WHY_REPORT: &str = "the database's own view decides most of what follows";

/// Long before this, the report is there.
const REPORT_PATIENCE: Duration = Duration::from_secs(5);

fn late() -> Check {
    let observed = format!("no answer within {}", check_output::ms(REPORT_PATIENCE));
    Check::ok("report", observed, WHY_REPORT).when(true, Verdict::Fail, health::advice(Diagnosis::Slow))
}

/// The same report as the health function's.
async fn report(client: &Client) -> Result<Report, Check> {
    let nobody: Option<&[u8]> = None;
    let rows = run_statement(client, &health::REPORT, &[&nobody, &true, &health::TABLES])
        .await
        .map_err(|error| refused("report", WHY_REPORT, &error))?;
    match rows.first().map(health::parse_facts) {
        Some(Ok(facts)) => Ok(Report::new(facts, epoch_ms())),
        _ => Err(Check::ok("report", "not of the expected shape", WHY_REPORT).when(
            true,
            Verdict::Fail,
            "use the `cargo tessera` of the release that is deployed",
        )),
    }
}

async fn replica(environment: &Environment, trust: &TrustStore, checks: &mut Vec<Check>) {
    let Some(config) = environment.replica() else { return };
    let Some(url) = connection_url::read(&config, "replica_", checks).await else { return };
    let Some(client) = path::open(&url, &config, trust, "replica_", checks).await else { return };
    let answered = run_statement(&client, &health::REPLICA, &[]).await;
    match answered {
        Ok(rows) => checks.extend(rows.first().and_then(|row| health::check_from_replica_row(row).ok())),
        Err(error) => checks.push(refused("read_replica", "reads go there", &error)),
    }
}

fn refused(name: &'static str, why: &'static str, error: &tokio_postgres::Error) -> Check {
    let diagnosis = Diagnosis::from_driver(error, Phase::Run);
    let observed = format!("{}: {}", diagnosis.name(), ErrorChain(error));
    Check::ok(name, observed, why).when(true, Verdict::Fail, health::advice(diagnosis))
}

/// Long enough for any one step of an examination.
fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(15))
}

/// Whether the servers of `url` are poolers, in a word for people.
fn pooler(url: &DatabaseUrl) -> Option<&'static str> {
    use tessera_postgres::url::Pooler;
    url.pooler().map(|pooler| match pooler {
        Pooler::PgBouncer => "PgBouncer",
        Pooler::Supavisor => "Supavisor (Supabase)",
        Pooler::Neon => "Neon's pooler",
        Pooler::RdsProxy => "RDS Proxy",
        Pooler::Unknown => "a pooler of unknown make",
    })
}

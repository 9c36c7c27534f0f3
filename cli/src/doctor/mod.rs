//! `cargo tessera doctor`: what is wrong with an installation, why it matters and what to do, one check a line.
//!
//! It reads the connection string as the functions do, connects as they do, and judges the database's facts with the
//! same functions as `health`. It adds the steps of connecting, each timed, and probe codes, which it creates, lists,
//! follows and deletes.

mod connection_budget;
mod connection_steps;
mod connection_url;
mod consistency;
mod kept_plans;
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
use connection_budget::ConnectionBudget;

/// The options of `cargo tessera doctor`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
    /// How many probe codes to create, list, follow and delete; 0 writes nothing
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    probes: u16,
    /// How many containers may run at once (the sum of the functions' reserved concurrency), to compare with the
    /// connections that the database allows; without it, what template.yaml and samconfig.toml in this directory say
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    containers: Option<u32>,
    /// The environment in samconfig.toml to read the connection budget of
    #[arg(long, value_name = "NAME", default_value = "default")]
    config_env: String,
}

impl Options {
    fn connection_budget(&self) -> Option<ConnectionBudget> {
        match self.containers {
            Some(number) => {
                Some(ConnectionBudget { containers: Some(number), origin: "--containers".to_owned() })
            }
            None => connection_budget::from_directory(&std::env::current_dir().ok()?, &self.config_env),
        }
    }
}

/// Makes every check and prints them. Exit code 0: no problem; 1: warnings; 2: failures.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut checks = Vec::new();
    Box::pin(examine(&options, &Environment::from_process(), &mut checks)).await;
    check_output::print(&checks, options.json)
}

async fn examine(options: &Options, environment: &Environment, checks: &mut Vec<Check>) {
    let trust = std::sync::Arc::new(TrustStore::prepare());
    let Some((config, url)) = connection_url::primary(environment, checks).await else { return };
    let Some(client) = connection_steps::open(&url, &config, &trust, "", checks).await else { return };

    let latency = probe::latency(&client).await;
    let answers = latency.verdict < Verdict::Fail;
    checks.push(latency);
    if !answers {
        return;
    }
    checks.push(probe::named_statements(&client, &url).await);
    checks.push(probe::burst(&url, &config, &trust).await);
    let report = match timeout(REPORT_TIMEOUT, report(&client)).await {
        Ok(report) => report,
        Err(_) => Err(report_timed_out()),
    };
    let may_probe = match report {
        Ok(report) => {
            checks.push(kept_plans::check(&client).await);
            checks.push(probe::settings(&report.facts));
            checks.push(probe::budget(&report.facts, &url, options.connection_budget().as_ref()));
            let may_probe = report
                .checks
                .iter()
                .all(|check| !PREVENT_PROBES.contains(&check.name) || check.verdict < Verdict::Warn)
                // No function may remove what a probe leaves; the tables' owner may.
                && report.facts.tables.iter().all(|table| table.lacks.is_empty());
            checks.extend(report.checks);
            may_probe
        }
        Err(check) => {
            checks.push(check);
            false
        }
    };
    replica(environment, &trust, checks).await;
    if options.probes > 0 && may_probe {
        checks.push(consistency::check(config, &trust, &client, options.probes).await);
    }
}

/// If one of these checks is bad, probe codes could only fail or wait, and would say nothing that it does not.
const PREVENT_PROBES: [&str; 5] = ["migrations", "rights", "writable", "writes", "locks"];

const WHY_REPORT: &str = "the database's own view decides most of what follows";

/// How long the report may take: it is there long before, unless something is wrong.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

fn report_timed_out() -> Check {
    let observed = format!("no answer within {}", check_output::format_duration(REPORT_TIMEOUT));
    Check::ok("report", observed, WHY_REPORT).when(true, Verdict::Fail, health::advice(Diagnosis::Slow))
}

/// The report of the health function, from the same statement and the same judgement.
async fn report(client: &Client) -> Result<Report, Check> {
    let nobody: Option<&[u8]> = None;
    let rows = run_statement(client, &health::REPORT, &[&nobody, &true, &health::TABLES])
        .await
        .map_err(|error| check_from_error("report", WHY_REPORT, &error))?;
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
    let Some(client) = connection_steps::open(&url, &config, trust, "replica_", checks).await else { return };
    let answered = run_statement(&client, &health::REPLICA, &[]).await;
    match answered {
        Ok(rows) => checks.extend(rows.first().and_then(|row| health::check_from_replica_row(row).ok())),
        Err(error) => checks.push(check_from_error("read_replica", "reads go there", &error)),
    }
}

/// A failed check, for a statement that the server did not answer with rows.
fn check_from_error(name: &'static str, why: &'static str, error: &tokio_postgres::Error) -> Check {
    let diagnosis = Diagnosis::from_driver(error, Phase::Run);
    let observed = format!("{}: {}", diagnosis.name(), ErrorChain(error));
    Check::ok(name, observed, why).when(true, Verdict::Fail, health::advice(diagnosis))
}

/// A deadline that is late enough for any one step of the examination.
fn step_deadline() -> Deadline {
    Deadline::after(Duration::from_secs(15))
}

/// The name of the pooler that `url` leads to, as people know it, if it leads to one.
fn pooler_name(url: &DatabaseUrl) -> Option<&'static str> {
    use tessera_postgres::url::Pooler;
    url.pooler().map(|pooler| match pooler {
        Pooler::PgBouncer => "PgBouncer",
        Pooler::Supavisor => "Supavisor (Supabase)",
        Pooler::Neon => "Neon's pooler",
        Pooler::RdsProxy => "RDS Proxy",
        Pooler::Unknown => "a pooler of unknown make",
    })
}

//! `cargo tessera smoke URL`: a smoke test of a deployment, which does what users do and says what does not work.
//!
//! It creates some codes, and deletes them whatever happens; it takes 30 s at most.

mod client;
mod steps;
mod webhook;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::NonEmptyStringValueParser;
use shared::health::{Check, Verdict};
use tokio::time::timeout;
use url::Url;

use crate::check_output::{self, format_duration, percentile};
use client::{RequestKind, SmokeClient};

/// How long all steps may take together, except for cleaning up.
const STEPS_TIMEOUT: Duration = Duration::from_secs(24);
/// How long cleaning up may take.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// The options of `cargo tessera smoke`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The deployment's base URL, such as `https://q.example` or `http://127.0.0.1:9000`
    url: Url,
    /// An API key with the scopes `qr:read` and `qr:write`; not needed if callers without a key are let in
    #[arg(long, env = "TESSERA_KEY", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// How many codes to create, list and scan
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// A webhook source of scheme `standard` to send an event to, with its secret; the event stays in the database
    #[arg(long, env = "TESSERA_SMOKE_WEBHOOK", hide_env_values = true, value_name = "SOURCE=whsec_…")]
    webhook: Option<String>,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

/// Runs the smoke test and prints its checks. Exit code 0: no problem; 1: warnings or slow answers; 2: failures.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut client = SmokeClient::new(&options.url, options.key.as_deref())?;
    let mut checks = Vec::new();
    if timeout(STEPS_TIMEOUT, run_steps(&mut client, &options, &mut checks)).await.is_err() {
        checks.push(failure(
            "time",
            &format!("not done after {}", format_duration(STEPS_TIMEOUT)),
            "see which check above is slow",
        ));
    }
    checks.push(match timeout(CLEAN_UP_TIMEOUT, steps::clean_up(&mut client)).await {
        Ok(check) => check,
        Err(_) => failure("clean_up", "not done in time", "delete the codes tagged `tessera-smoke`"),
    });
    checks.extend(response_times(&mut client));

    check_output::print(&checks, options.json)
}

async fn run_steps(client: &mut SmokeClient, options: &Options, checks: &mut Vec<Check>) {
    let reachable = steps::reachable(client).await;
    let is_reachable = reachable.verdict < Verdict::Warn;
    checks.push(reachable);
    if !is_reachable {
        return;
    }
    checks.push(steps::create_list_scan(client, options.rounds).await);
    if client.created.is_empty() {
        return;
    }
    checks.push(steps::images(client).await);
    checks.push(steps::edit(client).await);
    checks.push(steps::counts(client).await);
    checks.push(steps::replay(client).await);
    checks.push(steps::refusals(client).await);
    if let Some(source) = &options.webhook {
        checks.push(webhook::accept(client, source).await);
    }
    checks.push(steps::health(client).await);
}

/// Checks the 95th percentiles: 2 s for a create, 1 s for a list, 500 ms for a redirect.
fn response_times(client: &mut SmokeClient) -> Vec<Check> {
    let limits = [
        ("create_time", RequestKind::Create, Duration::from_secs(2)),
        ("list_time", RequestKind::List, Duration::from_secs(1)),
        ("redirect_time", RequestKind::Redirect, Duration::from_millis(500)),
    ];
    let check = |(name, kind, limit): (_, RequestKind, _)| {
        let times = &mut client.times[kind as usize];
        let (count, p50, p95) = (times.len(), percentile(times, 50), percentile(times, 95));
        (count > 0).then(|| {
            Check::ok(
                name,
                format!("p50 {}, p95 {} over {count}", format_duration(p50), format_duration(p95)),
                "people wait for it; the time includes the way from here to the deployment",
            )
            .limit(format!("p95 {}", format_duration(limit)))
            .when(
                p95 > limit,
                Verdict::Warn,
                "run it again: the first requests start containers; then see `cargo tessera doctor`, and the functions' \
                 memory and region",
            )
        })
    };
    limits.into_iter().filter_map(check).collect()
}

fn failure(name: &'static str, seen: &str, advice: &'static str) -> Check {
    Check::ok(name, seen, "part of what users do").when(true, Verdict::Fail, advice)
}

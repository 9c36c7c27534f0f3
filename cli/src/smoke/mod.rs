//! `cargo tessera smoke URL`: tries what users do against a deployment, and says where it falls short.
//!
//! It makes a handful of codes, and deletes them whatever happens; it takes 30 s at most.

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

use crate::check_output::{self, ms, percentile};
use client::{Kind, Smoke};

/// For everything but cleaning up.
const LIMIT: Duration = Duration::from_secs(24);
/// For cleaning up.
const CLEANING: Duration = Duration::from_secs(5);

/// What to try.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the deployment answers, e.g. `https://q.example` or `http://127.0.0.1:9000`
    url: Url,
    /// A key with `qr:read` and `qr:write`; none where callers without a key are let in
    #[arg(long, env = "TESSERA_KEY", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// Codes to make
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// A webhook source of scheme `standard` to try, with its secret; the event stays in the database
    #[arg(long, env = "TESSERA_SMOKE_WEBHOOK", hide_env_values = true, value_name = "SOURCE=whsec_…")]
    webhook: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Tries it. Exit code 0: fine; 1: slower than the bars; 2: failures.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut smoke = Smoke::new(&options.url, options.key.as_deref())?;
    let mut checks = Vec::new();
    if timeout(LIMIT, all(&mut smoke, &options, &mut checks)).await.is_err() {
        checks.push(failure(
            "time",
            &format!("not done after {}", ms(LIMIT)),
            "see which check above is slow",
        ));
    }
    checks.push(match timeout(CLEANING, steps::clean_up(&mut smoke)).await {
        Ok(check) => check,
        Err(_) => failure("clean_up", "not done in time", "delete the codes tagged `tessera-smoke`"),
    });
    checks.extend(speeds(&mut smoke));

    check_output::print(&checks, options.json)
}

async fn all(smoke: &mut Smoke, options: &Options, checks: &mut Vec<Check>) {
    let quick = steps::quick(smoke).await;
    let is_there = quick.verdict < Verdict::Warn;
    checks.push(quick);
    if !is_there {
        return;
    }
    checks.push(steps::create_list_scan(smoke, options.rounds).await);
    if smoke.made.is_empty() {
        return;
    }
    checks.push(steps::images(smoke).await);
    checks.push(steps::edit(smoke).await);
    checks.push(steps::counts(smoke).await);
    checks.push(steps::replay(smoke).await);
    checks.push(steps::refusals(smoke).await);
    if let Some(source) = &options.webhook {
        checks.push(webhook::accept(smoke, source).await);
    }
    checks.push(steps::deep(smoke).await);
}

/// The bars: 2 s for a create, 1 s for a list, 500 ms for a redirect.
fn speeds(smoke: &mut Smoke) -> Vec<Check> {
    let bars = [
        ("create_time", Kind::Create, Duration::from_secs(2)),
        ("list_time", Kind::List, Duration::from_secs(1)),
        ("redirect_time", Kind::Redirect, Duration::from_millis(500)),
    ];
    let check = |(name, kind, bar): (_, Kind, _)| {
        let times = &mut smoke.times[kind as usize];
        let (count, p50, p95) = (times.len(), percentile(times, 50), percentile(times, 95));
        (count > 0).then(|| {
            Check::ok(
                name,
                format!("p50 {}, p95 {} over {count}", ms(p50), ms(p95)),
                "people wait for it; the time includes the way from here to the deployment",
            )
            .limit(format!("p95 {}", ms(bar)))
            .when(
                p95 > bar,
                Verdict::Warn,
                "run it again: the first requests start containers; then see `cargo tessera doctor`, and the functions' \
                 memory and region",
            )
        })
    };
    bars.into_iter().filter_map(check).collect()
}

fn failure(name: &'static str, seen: &str, advice: &'static str) -> Check {
    Check::ok(name, seen, "part of what users do").when(true, Verdict::Fail, advice)
}

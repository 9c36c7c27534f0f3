//! `cargo dev`: everything on one machine, from nothing to the first code.

pub mod bench;
mod cluster;
mod database;
mod place;
mod settings;
pub mod tests;
mod watch;

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use local::Supervisor;
use shared::config::Environment;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use database::Database;

/// What `cargo dev` can be told.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The port to listen on, on 127.0.0.1
    #[arg(long, short, default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Build the functions with optimizations
    #[arg(long)]
    pub release: bool,
    /// Use a new database, and remove it at the end
    #[arg(long)]
    pub ephemeral: bool,
}

/// The first argument of `tessera-dev` that makes it the supervisor's process: [`local::supervisor::serve`].
pub const SUPERVISOR: &str = "supervisor";

/// Runs everything until a signal or an error ends it, and stops it all.
pub fn run(options: Options) -> Result<()> {
    settings::check(&options, &Environment::from_process())?;
    let supervisor = Arc::new(start_supervisor()?);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let everything = {
            let supervisor = Arc::clone(&supervisor);
            spawn_blocking(move || start_and_wait(&options, &supervisor))
        };
        tokio::select! {
            ended = everything => Some(ended.context("a bug in `cargo dev`").flatten()),
            asked = asked_to_stop() => asked.err().map(Err),
        }
    });
    let asked = outcome.is_none();
    if asked {
        println!("\nStopping");
    }
    supervisor.stop()?;
    if asked {
        println!("Stopped");
    }
    // What still waits for one of the processes that just went has nothing left to say.
    runtime.shutdown_background();
    outcome.unwrap_or(Ok(()))
}

fn start_supervisor() -> Result<Supervisor> {
    Supervisor::start(Command::new(env::current_exe()?).arg(SUPERVISOR))
}

async fn asked_to_stop() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

fn start_and_wait(options: &Options, supervisor: &Supervisor) -> Result<()> {
    let root = place::workspace();
    let place = place::find_or_make(&root)?;
    let database = Database::start(options, &place, supervisor)?;
    let cargo_lambda = watch::find_or_fetch(&place, supervisor)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(database.migrate())?;

    let functions = watch::functions(&root)?;
    println!("Building {}", functions.join(", "));
    watch::build(&functions, options, &root, supervisor)?;
    runtime.block_on(run_functions(cargo_lambda, &functions, &database, options, &root, supervisor))
}

async fn run_functions(
    mut cargo_lambda: Command,
    functions: &[String],
    database: &Database,
    options: &Options,
    root: &Path,
    supervisor: &Supervisor,
) -> Result<()> {
    println!("Starting the functions");
    let base = format!("http://127.0.0.1:{}", options.port);
    settings::set_for_functions(&mut cargo_lambda, database, &base);
    let watch = watch::start(cargo_lambda, options, root, supervisor).await?;
    watch::warm(functions, &base).await?;
    println!("{}", greeting(&base, functions, database));
    let forwards =
        ["WEBHOOK_SOURCES", "WEBHOOK_SOURCES_SECRET_ARN"].iter().any(|name| env::var_os(name).is_some());
    tokio::select! {
        exit = watch.exited() => bail!("`cargo lambda watch` ended: {exit}"),
        never = watch::run_worker_every_minute(&base), if forwards => match never? {},
    }
}

fn greeting(base: &str, functions: &[String], database: &Database) -> String {
    let mut lines = Vec::new();
    for (function, line) in [
        ("qr-generate", format!("Codes      {base}/qr")),
        ("qr-redirect", format!("Redirects  {base}/r/{{shortId}}")),
        ("webhook", format!("Webhooks   {base}/webhooks/{{source}}")),
        ("health", format!("Health     {base}/health")),
    ] {
        if functions.iter().any(|name| name == function) {
            lines.push(line);
        }
    }
    if let Database::Private(cluster) = database {
        lines.push(format!("Database   {}", cluster.url));
    }
    format!(
        "
  {}

Ready: {base}

Make a code, then open the images.svg of the answer and scan it (Ctrl-C stops everything):

  curl -s {base}/qr -H 'content-type: application/json' -d '{{\"targetUrl\":\"https://example.com\"}}'
",
        lines.join("\n  ")
    )
}

/// Without the variables that `cargo run` sets for this program: they are not meant for what it starts.
fn without_cargos_own(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| own.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

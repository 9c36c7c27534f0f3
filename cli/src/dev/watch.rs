//! `cargo lambda watch`: found or fetched, started, and asked until every function has answered once.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use local::port::wait_until_listening;
use local::python::{self, Environment};
use local::{Output, Process, Supervisor, command};
use tokio::time::MissedTickBehavior;

use super::Options;

const START_LIMIT: Duration = Duration::from_mins(1);

/// A request without effect for each function that answers HTTP: the first request to a function starts it.
const FIRST_REQUESTS: [(&str, &str, &str); 4] = [
    ("health", "GET", "/health"),
    ("qr-generate", "GET", "/qr?limit=1"),
    ("qr-redirect", "GET", "/r/0"),
    ("webhook", "POST", "/webhooks/none"),
];

/// The command that `cargo lambda` stands for here: the one on the PATH, if it is of the pinned minor release, whose
/// options and routes we use; else the pinned one.
pub(super) fn find_or_fetch(place: &Path, supervisor: &Supervisor) -> Result<Command> {
    let pinned = python::pinned_version(python::CARGO_LAMBDA, "cargo-lambda").context("it is pinned")?;
    let minor = pinned.rsplit_once('.').map_or(pinned, |(minor, _)| minor);
    let version = command::answer(Command::new("cargo").args(["lambda", "--version"])).unwrap_or_default();
    if version.starts_with(&format!("cargo-lambda {minor}.")) {
        let mut cargo = Command::new("cargo");
        cargo.arg("lambda");
        return Ok(cargo);
    }
    let environment = Environment::new(place, "cargo-lambda", python::CARGO_LAMBDA);
    if !environment.is_installed() {
        println!("Fetching cargo-lambda {pinned} from PyPI into {}", environment.directory().display());
    }
    environment.install(supervisor).with_context(|| {
        format!(
            "cargo-lambda {minor} is needed; install it as \
             https://www.cargo-lambda.info/guide/installation.html says"
        )
    })?;
    let mut cargo_lambda = Command::new(environment.program("cargo-lambda"));
    cargo_lambda.arg("lambda");
    Ok(cargo_lambda)
}

/// The names of the workspace's functions.
pub(super) fn functions(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("functions"))? {
        let path = entry?.path();
        if path.join("Cargo.toml").exists()
            && let Some(name) = path.file_name()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Builds the functions with the very command line that `cargo lambda watch` will use for each, so that it finds
/// nothing left to compile.
pub(super) fn build(
    functions: &[String],
    options: &Options,
    root: &Path,
    supervisor: &Supervisor,
) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["build", "--manifest-path", "Cargo.toml"]);
    if options.release {
        cargo.arg("--release");
    }
    for function in functions {
        cargo.args(["--bin", function]);
    }
    supervisor
        .run(super::without_cargos_own(&mut cargo), Output::Inherited)
        .context("the functions do not build")
}

/// Starts `cargo lambda watch` and returns once it listens.
pub(super) async fn start(
    mut cargo_lambda: Command,
    options: &Options,
    root: &Path,
    supervisor: &Supervisor,
) -> Result<Process> {
    let port = options.port.to_string();
    cargo_lambda.current_dir(root).args(["watch", "--ignore-changes", "--disable-cors", "--quiet"]);
    cargo_lambda.args(["-A", "127.0.0.1", "-P", &port]);
    if options.release {
        cargo_lambda.arg("--release");
    }
    if env::var_os("RUST_LOG").is_none() {
        // Its own lines only; the functions have a level of their own. It calls it an error that it has no answer for
        // an extension that asks for no events, and, when it is stopped, that a function has gone.
        cargo_lambda.env("RUST_LOG", "warn,tower_http=off,watchexec=off");
    }
    hide_shutdown_messages(&mut cargo_lambda)?;
    let watch = supervisor.spawn(super::without_cargos_own(&mut cargo_lambda), Output::Inherited)?;
    // It stops its functions itself, and without complaint.
    supervisor.stop_first(&watch)?;
    let address = (Ipv4Addr::LOCALHOST, options.port).into();
    tokio::select! {
        listening = wait_until_listening(address, START_LIMIT, "`cargo lambda watch`") => listening?,
        exit = watch.exited() => bail!("`cargo lambda watch` ended: {exit}"),
    }
    Ok(watch)
}

/// Passes on what the functions write to standard error, except for what Lambda's runtime says in each of them when it
/// is stopped.
fn hide_shutdown_messages(command: &mut Command) -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    command.stderr(writer);
    thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map_while(Result::ok);
        for line in lines.filter(|line| !line.starts_with("[runtime] ")) {
            eprintln!("{line}");
        }
    });
    Ok(())
}

/// Sends every function its first request, so that the first request of a person is quick.
pub(super) async fn warm(functions: &[String], base: &str) -> Result<()> {
    // No proxy: one that is set in the environment cannot reach this machine's loopback.
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
    for (function, method, path) in FIRST_REQUESTS {
        if !functions.iter().any(|name| name == function) {
            continue;
        }
        let request = client.request(method.parse()?, format!("{base}{path}"));
        let response = request.send().await.with_context(|| format!("{function} does not answer"))?;
        if response.status().is_server_error() {
            let status = response.status();
            bail!("{function} answers its first request with {status}:\n{}", response.text().await?);
        }
    }
    Ok(())
}

/// Starts the worker, and again every minute, as the template's schedule does.
pub(super) async fn run_worker_every_minute(base: &str) -> Result<Infallible> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build()?;
    let url = format!("{base}/2015-03-31/functions/worker/invocations");
    let mut minutes = tokio::time::interval(Duration::from_mins(1));
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        // Its log has the reason. What it could not do is still due in a minute.
        match client.post(&url).body("{}").send().await.and_then(reqwest::Response::error_for_status) {
            Ok(_) => {}
            Err(error) => eprintln!("The worker failed: {error}"),
        }
    }
}

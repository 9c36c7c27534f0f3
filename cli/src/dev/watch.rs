//! `cargo lambda watch`: found or fetched, started, and asked until every function has answered once.

use std::{
    convert::Infallible,
    env, fs,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::time::MissedTickBehavior;

use super::{Options, command, keeper::Keeper, python::Wheel};

/// The release whose options and routes we use; any 1.9 on the PATH will do as well.
const WHEEL: Wheel = Wheel { package: "cargo-lambda", version: "1.9.2" };

/// A request without effect for each function that answers HTTP: the first request to a function starts it.
const FIRST_REQUESTS: [(&str, &str, &str); 4] = [
    ("health", "GET", "/health"),
    ("qr-generate", "GET", "/qr?limit=1"),
    ("qr-redirect", "GET", "/r/0"),
    ("webhook", "POST", "/webhooks/none"),
];

/// The command that `cargo lambda` stands for here.
pub fn find_or_fetch(place: &Path, keeper: &Keeper) -> Result<Command> {
    let version = command::answer(Command::new("cargo").args(["lambda", "--version"])).unwrap_or_default();
    if version.starts_with("cargo-lambda 1.9.") {
        let mut cargo = Command::new("cargo");
        cargo.arg("lambda");
        return Ok(cargo);
    }
    let environment = WHEEL.install(place, keeper).context(
        "cargo-lambda 1.9 is needed; install it as https://www.cargo-lambda.info/guide/installation.html says",
    )?;
    let mut cargo_lambda = Command::new(environment.join("bin/cargo-lambda"));
    cargo_lambda.arg("lambda");
    Ok(cargo_lambda)
}

/// The names of the workspace's functions.
pub fn functions(root: &Path) -> Result<Vec<String>> {
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
pub fn build(functions: &[String], options: &Options, root: &Path, keeper: &Keeper) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["build", "--manifest-path", "Cargo.toml"]);
    if options.release {
        cargo.arg("--release");
    }
    for function in functions {
        cargo.args(["--bin", function]);
    }
    keeper.run(super::without_cargos_own(&mut cargo)).context("the functions do not build")
}

/// Starts `cargo lambda watch` and returns once it listens.
pub fn start(
    mut cargo_lambda: Command,
    environment: &[(&str, Option<String>)],
    options: &Options,
    root: &Path,
    keeper: &Keeper,
) -> Result<Child> {
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
    for (name, value) in environment {
        match value {
            Some(value) => cargo_lambda.env(name, value),
            None => cargo_lambda.env_remove(name),
        };
    }
    let mut watch = keeper.spawn(super::without_cargos_own(&mut cargo_lambda))?;
    keeper.note_watch(&watch)?;
    let deadline = Instant::now() + Duration::from_mins(1);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, options.port)).is_err() {
        if let Some(status) = watch.try_wait()? {
            bail!("`cargo lambda watch` ended: {status}");
        }
        if Instant::now() > deadline {
            bail!("`cargo lambda watch` does not listen on port {port} after a minute");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(watch)
}

/// Sends every function its first request, so that the first request of a person is quick.
pub async fn warm(functions: &[String], base: &str) -> Result<()> {
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
pub async fn run_worker_every_minute(base: &str) -> Result<Infallible> {
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

//! `cargo dev`: everything on one machine, from nothing to the first code.

pub mod account;
pub mod bench;
pub mod command;
pub mod keeper;
pub mod postgres;
pub mod python;
pub mod tests;
pub mod watch;

use std::{
    env,
    fs::DirBuilder,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};

use crate::connect;
use account::{Account, give_to};
use keeper::Keeper;
use postgres::{Installation, Server};

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

/// Runs everything until a signal or an error ends it, and stops it all.
pub fn run(options: Options) -> Result<()> {
    refuse_taken_port(options.port)?;
    let keeper = Arc::new(Keeper::start()?);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let everything = {
            let keeper = Arc::clone(&keeper);
            spawn_blocking(move || start_and_wait(&options, &keeper))
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
    keeper.stop()?;
    if asked {
        println!("Stopped");
    }
    // What still waits for one of the processes that just went has nothing left to say.
    runtime.shutdown_background();
    outcome.unwrap_or(Ok(()))
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

fn start_and_wait(options: &Options, keeper: &Keeper) -> Result<()> {
    let root = workspace();
    let account = Account::of_the_server()?;
    let place = place(&root, account.as_ref())?;
    let cargo_lambda = watch::find_or_fetch(&place, keeper)?;
    let database = database(options, &place, account.as_ref(), keeper)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(migrate(&database))?;

    let functions = watch::functions(&root)?;
    println!("Building {}", functions.join(", "));
    watch::build(&functions, options, &root, keeper)?;

    let base = format!("http://127.0.0.1:{}", options.port);
    println!("Starting the functions");
    let environment = environment(&database, &base);
    let mut watch = watch::start(cargo_lambda, &environment, options, &root, keeper)?;
    runtime.block_on(watch::warm(&functions, &base))?;
    println!("{}", greeting(&base, &functions, &database));
    let forwards =
        ["WEBHOOK_SOURCES", "WEBHOOK_SOURCES_SECRET_ARN"].iter().any(|name| env::var_os(name).is_some());
    runtime.block_on(async {
        let ended = spawn_blocking(move || watch.wait());
        tokio::select! {
            status = ended => bail!("`cargo lambda watch` ended: {}", status??),
            never = watch::run_worker_every_minute(&base), if forwards => match never? {},
        }
    })
}

/// The database the functions will use.
struct Database {
    url: String,
    /// None when the URL comes from the environment.
    server: Option<Server>,
}

fn database(options: &Options, place: &Path, account: Option<&Account>, keeper: &Keeper) -> Result<Database> {
    if let Some(url) = env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
        if options.ephemeral {
            bail!("--ephemeral makes a database of its own: unset DATABASE_URL");
        }
        println!("Using the database of DATABASE_URL");
        return Ok(Database { url, server: None });
    }
    let installation = Installation::find_or_fetch(place, account, keeper)?;
    println!("Starting PostgreSQL {} from {}", installation.major, installation.bin.display());
    let name = if options.ephemeral { "ephemeral".to_owned() } else { "postgres".to_owned() };
    let suffix = if options.ephemeral { std::process::id() } else { installation.major };
    let directory = place.join(format!("{name}-{suffix}"));
    if options.ephemeral {
        keeper.note_directory(&directory)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    give_to(&directory, account)?;
    let server = Server::start(&installation, &directory, account, options.ephemeral, keeper)?;
    Ok(Database { url: server.url.clone(), server: Some(server) })
}

async fn migrate(database: &Database) -> Result<()> {
    let client = match &database.server {
        None => connect::open_from(&["DIRECT_URL", "DATABASE_URL"]).await?,
        Some(server) => connect::open("the private database", &server.url).await?,
    };
    for migration in shared::schema::up(&client).await?.applied {
        println!("Applied migration {}", migration.name);
    }
    Ok(())
}

/// What the functions are told; None takes a variable away. What is set already is left as it is, except for what
/// would lead away from a database of our own.
fn environment(database: &Database, base: &str) -> Vec<(&'static str, Option<String>)> {
    let mut environment = vec![("DATABASE_URL", Some(database.url.clone()))];
    for (name, value) in [
        ("PUBLIC_BASE_URL", base),
        ("ANONYMOUS_OWNER", "anonymous"),
        ("TESSERA_LOG_FORMAT", "pretty"),
        // What is being developed beside Tessera.
        ("WORKER_ALLOW_LOOPBACK", "true"),
    ] {
        environment.push((name, Some(env::var(name).unwrap_or_else(|_| value.to_owned()))));
    }
    if database.server.is_some() {
        let others = ["DATABASE_SECRET_ARN", "DATABASE_READ_URL", "DATABASE_READ_SECRET_ARN", "DATABASE_CA"];
        environment.extend(others.map(|name| (name, None)));
    }
    environment
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
    if let Some(server) = &database.server {
        lines.push(format!("Database   {}", server.url));
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

fn refuse_taken_port(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(error).with_context(|| {
            format!("port {port} is taken, perhaps by another `cargo dev`: stop that, or choose a --port")
        }),
    }
}

/// The workspace's root: the directory above this package's.
fn workspace() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_owned)
}

/// Where we keep things: `target/dev`, or a place under the system's temporary directory when PostgreSQL's
/// account cannot get to it, as in the home directory of root.
fn place(root: &Path, account: Option<&Account>) -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let place = target.join("dev");
    std::fs::create_dir_all(&place)?;
    let Some(account) = account.filter(|account| !account.can_enter(&place)) else { return Ok(place) };
    // One for each clone.
    let name = root.display().to_string().replace('/', "-");
    let temporary = env::temp_dir().join(format!("tessera-dev{name}"));
    println!("{} cannot enter {}: using {}", account.name, place.display(), temporary.display());
    DirBuilder::new().recursive(true).mode(0o755).create(&temporary)?;
    let owner = temporary.symlink_metadata()?.uid();
    if owner != 0 {
        bail!("{} belongs to somebody else (user {owner})", temporary.display());
    }
    Ok(temporary)
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

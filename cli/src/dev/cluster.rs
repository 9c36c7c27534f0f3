//! A PostgreSQL cluster that belongs to one `cargo dev`.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use local::account::give_to;
use local::port::Port;
use local::postgres::{Installation, is_ready};
use local::{Process, Supervisor};

/// The name of the superuser.
const USER: &str = "tessera";

const START_LIMIT: Duration = Duration::from_mins(1);

/// A running server, whose cluster is nobody else's as long as this lives.
#[derive(Debug)]
pub(super) struct Cluster {
    /// How the functions reach it.
    pub(super) url: String,
    _lock: File,
    _port: Port,
}

impl Cluster {
    /// Starts the cluster in `directory`, which is made first when there is none.
    pub(super) fn start(
        installation: &Installation,
        directory: &Path,
        is_ephemeral: bool,
        supervisor: &Supervisor,
    ) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        give_to(directory, installation.account.as_ref())?;
        let lock = lock(directory)?;
        let data = directory.join("data");
        if data.join("PG_VERSION").exists() {
            stop_left_over(installation, &data)?;
        } else {
            println!("Making a PostgreSQL {} cluster in {}", installation.major, directory.display());
            initialise(installation, directory, supervisor)?;
        }
        let port = Port::reserve()?;
        start_server(installation, directory, &port, is_ephemeral, supervisor)?;
        let password = fs::read_to_string(directory.join("password"))?;
        let (password, number) = (password.trim(), port.number());
        let url = format!("postgres://{USER}:{password}@127.0.0.1:{number}/postgres?sslmode=disable");
        Ok(Self { url, _lock: lock, _port: port })
    }
}

/// Locks the cluster, which only one `cargo dev` may use at a time.
fn lock(directory: &Path) -> Result<File> {
    let lock = File::create(directory.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!(
            "another `cargo dev` uses the database in {}; stop it, or add --ephemeral for a second database",
            directory.display()
        );
    }
    Ok(lock)
}

/// A server that outlived both its `cargo dev` and the supervisor would keep its old port and settings.
fn stop_left_over(installation: &Installation, data: &Path) -> Result<()> {
    let pg_ctl = |arguments: &[&str]| -> Result<bool> {
        let mut command = installation.command("pg_ctl")?;
        command.args(arguments).arg("-D").arg(data).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status()?.success())
    };
    if pg_ctl(&["status"])? {
        println!("Stopping the PostgreSQL that an earlier `cargo dev` left behind");
        if !pg_ctl(&["stop", "-m", "fast", "-w"])? {
            bail!("the PostgreSQL that still runs in {} could not be stopped", data.display());
        }
    }
    Ok(())
}

/// Makes the cluster in another directory first, so that one that is half made is never used.
fn initialise(installation: &Installation, directory: &Path, supervisor: &Supervisor) -> Result<()> {
    let unfinished = directory.join("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let password = password_file(installation, directory)?;
    let options = ["--username", USER, "--auth=scram-sha-256", "--pwfile", &password.to_string_lossy()];
    installation.initialise(&unfinished, &options, supervisor)?;
    Ok(fs::rename(&unfinished, directory.join("data"))?)
}

fn password_file(installation: &Installation, directory: &Path) -> Result<PathBuf> {
    let mut password = [0; 16];
    getrandom::fill(&mut password)?;
    let file = directory.join("password");
    fs::write(&file, hex::encode(password))?;
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600))?;
    give_to(&file, installation.account.as_ref())?;
    Ok(file)
}

fn start_server(
    installation: &Installation,
    directory: &Path,
    port: &Port,
    is_ephemeral: bool,
    supervisor: &Supervisor,
) -> Result<()> {
    let port = format!("port={}", port.number());
    // Nothing on the file system: a path under target/ may be too long for a socket.
    let mut settings = vec![&*port, "listen_addresses=127.0.0.1", "unix_socket_directories="];
    if is_ephemeral {
        settings.extend(["fsync=off", "full_page_writes=off"]);
    }
    let (data, log) = (directory.join("data"), directory.join("log"));
    let server = installation.start_server(&data, &settings, File::create(&log)?, supervisor)?;
    wait_until_ready(&data, &log, &server)
}

fn wait_until_ready(data: &Path, log: &Path, server: &Process) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    while !is_ready(data, server) {
        if let Some(exit) = server.exit() {
            let log = fs::read_to_string(log).context("PostgreSQL did not start, and left no log")?;
            bail!("PostgreSQL did not start ({exit}):\n{log}");
        }
        if Instant::now() > deadline {
            bail!("PostgreSQL is not ready after {START_LIMIT:?}; see {}", log.display());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

//! `cargo dev test`: what the tests need, then every test.

use std::env;
use std::num::NonZero;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use local::postgres::{BIN_VARIABLE, Installation};
use local::{account, command};

use super::{database, place};

/// Programs the tests run, and the Debian packages they come in.
const PROGRAMS: [(&str, &str); 4] = [
    ("pgbouncer", "pgbouncer"),
    ("zbarimg", "zbar-tools"),
    ("rsvg-convert", "librsvg2-bin"),
    ("promtool", "prometheus"),
];

/// Installs what is missing, builds, and becomes `cargo test` with these arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    let root = place::workspace();
    install_missing()?;
    let installation = find_postgres(&root)?;

    println!("Building everything the tests start");
    let mut build = Command::new("cargo");
    build.current_dir(&root).args(["build", "--workspace", "--bins", "--tests"]);
    let status = super::without_cargos_own(&mut build).status().context("cargo could not be started")?;
    if !status.success() {
        bail!("the workspace does not build");
    }

    let mut test = Command::new("cargo");
    test.current_dir(&root).args(["test", "--workspace"]).args(arguments);
    super::without_cargos_own(&mut test).env(BIN_VARIABLE, &installation.bin);
    if env::var_os("RUST_TEST_THREADS").is_none() {
        // Tests mostly wait for servers.
        let processors = available_parallelism().map_or(1, NonZero::get);
        test.env("RUST_TEST_THREADS", (2 * processors).to_string());
    }
    Err(test.exec()).context("cargo could not be started")
}

fn install_missing() -> Result<()> {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| command::find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if Installation::find()?.is_none() {
        packages.push("postgresql");
    }
    if packages.is_empty() {
        return Ok(());
    }
    if !account::is_root() || command::find("apt-get").is_none() {
        bail!(
            "the tests need what the Debian packages {0} hold; install it, e.g. sudo apt-get install {0}",
            packages.join(" ")
        );
    }
    println!("Installing {}", packages.join(", "));
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], &packages[..]].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut apt_get = Command::new("apt-get");
    apt_get.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    if !apt_get.status()?.success() {
        bail!("`{}` failed", command::line(&apt_get));
    }
    Ok(())
}

fn find_postgres(root: &Path) -> Result<Installation> {
    let supervisor = super::start_supervisor()?;
    let installation = database::find_or_fetch(&place::find_or_make(root)?, &supervisor);
    supervisor.stop()?;
    installation
}

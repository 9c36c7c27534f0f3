//! Starting processes that end with the test process, however that one ends.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use local::{Output, Process, Supervisor};

/// The supervisor of everything that this test process starts.
pub(crate) fn supervisor() -> Result<&'static Supervisor> {
    static SUPERVISOR: OnceLock<Result<Supervisor>> = OnceLock::new();
    let started = SUPERVISOR.get_or_init(|| {
        let binary = built_binary("harness-supervisor")?;
        Supervisor::start(Command::new(binary).stdout(Stdio::null()))
    });
    started.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// Starts a process that is killed on drop. Its output is collected.
pub(crate) fn spawn(command: &mut Command) -> Result<Process> {
    Ok(supervisor()?.spawn(command, Output::Collected)?.kill_on_drop())
}

/// Runs a process to its end; an error with all it said when it does not succeed.
pub(crate) async fn run(mut command: Command) -> Result<()> {
    tokio::task::spawn_blocking(move || supervisor()?.run(&mut command, Output::Collected)).await?
}

/// A binary of the workspace.
pub(crate) fn built_binary(name: &str) -> Result<PathBuf> {
    // Tests are in target/PROFILE/deps, binaries one directory up.
    let tests = std::env::current_exe()?;
    let profile = tests.ancestors().nth(2).context("the tests' binary is in no target directory")?;
    let binary = profile.join(name);
    ensure!(binary.is_file(), "{} is missing: run `cargo build --workspace` first", binary.display());
    Ok(binary)
}

//! One directory for all files of a test process, removed after its end, and the account its servers run under.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow};
use local::Account;
use local::account::{give_to, run_as};

use crate::processes::supervisor;

static ROOT: OnceLock<PathBuf> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed on drop, and at the latest after the end of the test process.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// An empty directory, owned by the account that servers run under. `name` is for humans.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = root()?.join(format!("{name}-{number}"));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        give_to_service_account(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn root() -> Result<&'static Path> {
    if let Some(root) = ROOT.get() {
        return Ok(root);
    }
    let path = tempfile::Builder::new().prefix("tessera-tests-").tempdir()?.keep();
    supervisor()?.remove_at_end(&path)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
    // The directory of a thread that lost the race stays empty until the end.
    Ok(ROOT.get_or_init(|| path))
}

/// PostgreSQL and PgBouncer refuse to run as root; for root there is another account, else `None`.
fn service_account() -> Result<Option<&'static Account>> {
    static ACCOUNT: OnceLock<Result<Option<Account>>> = OnceLock::new();
    let found = ACCOUNT.get_or_init(Account::for_servers);
    found.as_ref().map(Option::as_ref).map_err(|error| anyhow!("{error:#}"))
}

/// Makes `command` run under an account that PostgreSQL and PgBouncer accept, from a directory it may enter.
pub(crate) fn run_as_service_account(command: &mut Command) -> Result<()> {
    run_as(command, service_account()?);
    Ok(())
}

/// Gives a file that the harness wrote to the account that servers run under.
pub(crate) fn give_to_service_account(path: &Path) -> Result<()> {
    give_to(path, service_account()?)
}

/// Writes a file that anyone may read.
pub(crate) fn write_for_all(path: &Path, contents: &str) -> Result<()> {
    std::fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(std::fs::set_permissions(path, PermissionsExt::from_mode(0o644))?)
}

/// Writes a file that a server reads; keys must be closed to others, so all are.
pub(crate) fn write_for_service(path: &Path, contents: &str) -> Result<()> {
    std::fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    give_to_service_account(path)
}

//! One directory for all files of a test process, removed after its end, and the account its servers run under.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// Waits for the end of the test process, then for its servers to let go of the directory.
const JANITOR: &str = r#"
read -r _
tries=100
while [ -e "$1" ] && [ "$tries" -gt 0 ]; do sleep 0.1; rm -rf "$1"; tries=$((tries - 1)); done
"#;

struct Root {
    path: PathBuf,
    /// Never written to: its closing is the signal.
    _janitor: Option<ChildStdin>,
}

static ROOT: OnceLock<Root> = OnceLock::new();
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
        return Ok(&root.path);
    }
    let path = tempfile::Builder::new().prefix("tessera-tests-").tempdir()?.keep();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
    let mut janitor = Command::new("/bin/sh")
        .args(["-c", JANITOR, "janitor"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    // A thread that lost the race closes its janitor's pipe here, and with it its directory goes.
    Ok(&ROOT.get_or_init(|| Root { path, _janitor: janitor.stdin.take() }).path)
}

struct Account {
    user: u32,
    group: u32,
}

/// PostgreSQL and PgBouncer refuse to run as root; for root there is another account, else `None`.
fn service_account() -> Option<&'static Account> {
    static ACCOUNT: OnceLock<Option<Account>> = OnceLock::new();
    ACCOUNT
        .get_or_init(|| {
            let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            let root = rustix::process::geteuid().is_root();
            root.then(|| find_account(&accounts, "postgres").or_else(|| find_account(&accounts, "nobody")))
                .flatten()
        })
        .as_ref()
}

/// A line of `passwd(5)`: `name:password:user:group:…`.
fn find_account(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let user = (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()?;
        Some(Account { user, group: fields.next()?.parse().ok()? })
    })
}

/// Makes `command` run under an account that PostgreSQL and PgBouncer accept, from a directory it may enter.
pub(crate) fn run_as_service_account(command: &mut Command) {
    command.current_dir("/");
    if let Some(account) = service_account() {
        command.uid(account.user).gid(account.group);
    }
}

/// Gives a file that the harness wrote to the account that servers run under.
pub(crate) fn give_to_service_account(path: &Path) -> Result<()> {
    if let Some(account) = service_account() {
        chown(path, Some(account.user), Some(account.group))
            .with_context(|| format!("cannot give away {}", path.display()))?;
    }
    Ok(())
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

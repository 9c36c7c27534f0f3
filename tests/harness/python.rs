//! Programs that come from Python's index, pinned, in a virtual environment of their own below the target directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use local::python::Environment;

use crate::processes::supervisor;

/// The `bin` directory of a virtual environment with what `tests/fixtures/NAME/requirements.txt` lists, made once for
/// each state of that file.
pub fn python_environment(name: &str) -> Result<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("requirements.txt");
    let requirements = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    // The tests' binary is in target/PROFILE/deps.
    let tests = std::env::current_exe()?;
    let target = tests.ancestors().nth(3).context("the tests' binary is in no target directory")?;
    let environment = Environment::new(&target.join("tools"), name, &requirements);
    environment.install(supervisor()?)?;
    Ok(environment.directory().join("bin"))
}

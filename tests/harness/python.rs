//! Programs that come from Python's index, pinned, in a virtual environment of their own below the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

/// The `bin` directory of a virtual environment with what `tests/fixtures/NAME/requirements.txt` lists, made once for
/// each state of that file.
pub fn python_environment(name: &str) -> Result<PathBuf> {
    let requirements =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("requirements.txt");
    let wanted =
        std::fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    // The tests' binary is in target/PROFILE/deps.
    let tests = std::env::current_exe()?;
    let target = tests.ancestors().nth(3).context("the tests' binary is in no target directory")?;
    let place = target.join("tools");
    std::fs::create_dir_all(&place)?;
    // Tests of one process may want the same one, and so may two processes.
    let lock = std::fs::File::create(place.join(format!("{name}.lock")))?;
    lock.lock()?;

    let environment = place.join(name);
    // Written last: an installation that was interrupted is done again.
    let installed = environment.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(environment.join("bin"));
    }
    run_to_end(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        .context("python3 with its venv module is needed")?;
    let mut pip = Command::new(environment.join("bin/python"));
    // Not compiled: most of it is never imported.
    pip.args("-m pip install --quiet --disable-pip-version-check --no-compile --requirement".split(' '));
    run_to_end(pip.arg(&requirements)).context("the packages come from PyPI: is it reachable?")?;
    std::fs::write(&installed, &wanted)?;
    Ok(environment.join("bin"))
}

/// Runs a program; what it printed, or an error with all it said.
pub fn run_to_end(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{said}\n{errors}", output.status);
    Ok(output)
}

//! `cargo dev bench`: the benchmarks, each beside its peers.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// The programs of `tests/bench` that need no arguments, by name; each builds and fetches what it measures.
pub const ALL: [&str; 3] = ["symbol", "cold", "health"];

/// Runs these of [`ALL`], or all, one after the other: they are to have the machine to themselves.
pub fn run(names: &[String]) -> Result<()> {
    let chosen = if names.is_empty() { ALL.map(str::to_owned).to_vec() } else { names.to_vec() };
    for name in chosen {
        println!("\n{name}\n");
        let script = super::place::workspace().join(format!("tests/bench/{name}.sh"));
        let status = super::without_cargos_own(&mut Command::new(&script))
            .status()
            .with_context(|| format!("{} could not be started", script.display()))?;
        if !status.success() {
            bail!("{name}: {status}");
        }
    }
    Ok(())
}

//! Finding an installed PostgreSQL.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};

/// The path of one of PostgreSQL's programs: from `TESSERA_PG_BIN`, else from PATH, else from where Debian puts
/// them, the newest version first.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| candidates().into_iter().find_map(|bin| server_programs(&bin)));
    let directory = directory.as_ref().context(
        "no PostgreSQL server found: install one (apt-get install postgresql), put initdb on PATH, or name its \
         directory in TESSERA_PG_BIN",
    )?;
    let program = directory.join(name);
    ensure!(program.is_file(), "this PostgreSQL has no {name}: {}", program.display());
    Ok(program)
}

/// Where `initdb` really is: a link to it on PATH may stand there without the others.
fn server_programs(bin: &Path) -> Option<PathBuf> {
    let initdb = bin.join("initdb").canonicalize().ok()?;
    let directory = initdb.parent()?;
    directory.join("postgres").is_file().then(|| directory.to_owned())
}

fn candidates() -> Vec<PathBuf> {
    if let Some(directory) = std::env::var_os("TESSERA_PG_BIN") {
        return vec![directory.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    std::env::split_paths(&path).chain(debian.into_iter().map(|(_, directory)| directory)).collect()
}

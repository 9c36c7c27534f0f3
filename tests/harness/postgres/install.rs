//! Finding an installed PostgreSQL.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_basebackup"];

/// The path of one of PostgreSQL's programs: from `TESSERA_PG_BIN`, else from PATH, else from where Debian puts
/// them, the newest version first.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let complete = |bin: &PathBuf| PROGRAMS.iter().all(|program| bin.join(program).is_file());
    let directory = DIRECTORY.get_or_init(|| candidates().into_iter().find(complete));
    let directory = directory.as_ref().context(
        "no PostgreSQL server found: install one (apt-get install postgresql), put initdb, postgres and \
         pg_basebackup on PATH, or name their directory in TESSERA_PG_BIN",
    )?;
    Ok(directory.join(name))
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

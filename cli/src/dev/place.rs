//! Where `cargo dev` keeps things.

use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use local::Account;

/// The workspace's root: the directory above this package's.
#[must_use]
pub(super) fn workspace() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_owned)
}

/// `target/dev`, or a place under the system's temporary directory when PostgreSQL's account cannot get to it, as in
/// the home directory of root.
pub(super) fn find_or_make(root: &Path) -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let place = target.join("dev");
    fs::create_dir_all(&place)?;
    let account = Account::for_servers()?;
    let Some(account) = account.filter(|account| !account.can_enter(&place)) else { return Ok(place) };
    // One for each clone.
    let name = root.display().to_string().replace('/', "-");
    let temporary = env::temp_dir().join(format!("tessera-dev{name}"));
    println!("{} cannot enter {}: using {}", account.name, place.display(), temporary.display());
    DirBuilder::new().recursive(true).mode(0o755).create(&temporary)?;
    let owner = temporary.symlink_metadata()?.uid();
    if owner != 0 {
        bail!("{} belongs to somebody else (user {owner})", temporary.display());
    }
    Ok(temporary)
}

//! The two variables that tell OpenSSL where the authorities are, set for a moment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// Whether somebody has decided by these variables what OpenSSL trusts.
pub(super) fn is_set() -> bool {
    [FILE, DIRECTORY].into_iter().filter_map(env::var_os).any(|path| Path::new(&path).exists())
}

/// Runs `act` while OpenSSL believes in no bundle and in `directory` alone, then puts the variables back, for the AWS
/// SDK reads them too. `None` when other threads run, which might read the environment meanwhile.
pub(super) fn with_directory<T>(directory: Option<&Path>, act: impl FnOnce() -> T) -> Option<T> {
    if !is_single_threaded() {
        return None;
    }
    let _restored_at_the_end = Saved([FILE, DIRECTORY].map(|name| (name, env::var_os(name))));
    // Must exist, or native-tls looks for a bundle by itself.
    set(FILE, Some(OsStr::new("/dev/null")));
    set(DIRECTORY, directory.map(Path::as_os_str));
    Some(act())
}

struct Saved([(&'static str, Option<OsString>); 2]);

impl Drop for Saved {
    fn drop(&mut self) {
        for (name, value) in &self.0 {
            set(name, value.as_deref());
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the environment may be changed while no other thread runs, as `with_directory` checks"
)]
fn set(name: &str, value: Option<&OsStr>) {
    match value {
        // SAFETY: the only caller has found this to be the process's only thread.
        Some(value) => unsafe { env::set_var(name, value) },
        // SAFETY: as above.
        None => unsafe { env::remove_var(name) },
    }
}

/// Linux lists a process's threads; elsewhere nobody knows, and native-tls does not use OpenSSL anyway.
fn is_single_threaded() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

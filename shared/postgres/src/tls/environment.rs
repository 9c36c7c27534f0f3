//! Sets, for a moment, the two variables that tell OpenSSL where the authorities are.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// Whether the variables are set, and name something that exists.
pub(super) fn is_set() -> bool {
    [FILE, DIRECTORY].into_iter().filter_map(env::var_os).any(|path| Path::new(&path).exists())
}

/// Runs `act` while the variables name no bundle and only `directory`, then restores them, since the AWS SDK reads them
/// too. `None` if other threads are running, which may read the environment meanwhile.
pub(super) fn with_directory<T>(directory: Option<&Path>, act: impl FnOnce() -> T) -> Option<T> {
    if !is_single_threaded() {
        return None;
    }
    let _restored_at_the_end = Saved([FILE, DIRECTORY].map(|name| (name, env::var_os(name))));
    // The file must exist, or native-tls looks for a bundle by itself.
    set(FILE, Some(OsStr::new("/dev/null")));
    set(DIRECTORY, directory.map(Path::as_os_str));
    Some(act())
}

/// The variables as they were, which are restored when this is dropped.
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

/// Whether this is the process's only thread. Only Linux tells; on other systems native-tls does not use OpenSSL.
fn is_single_threaded() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

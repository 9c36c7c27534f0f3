//! Where the system keeps the certificate authorities that it trusts, and how to use them without loading them all.
//!
//! OpenSSL finds a certificate in a *hashed* directory (`4042bcee.0`) when a handshake needs it; a bundle, one file with
//! them all, it parses from end to end: 17 to 100 ms.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::pem;

/// Directories and bundles to look for, best first.
pub struct Layout {
    /// Directories that native-tls adds by itself when they exist.
    pub builtin_directories: Vec<PathBuf>,
    /// Other directories that may be hashed.
    pub directories: Vec<PathBuf>,
    /// Files with all authorities.
    pub bundles: Vec<PathBuf>,
}

impl Layout {
    /// Debian and its kin, Amazon Linux and its kin, SUSE, Alpine; and `certs/` in the function's own package.
    #[must_use]
    pub fn system() -> Self {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Self {
            builtin_directories: paths(&["/etc/ssl/certs", "/etc/pki/tls/certs"]),
            directories: paths(&["/var/task/certs", "/etc/pki/ca-trust/extracted/pem/directory-hash"]),
            bundles: paths(&[
                "/etc/ssl/certs/ca-certificates.crt",
                "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                "/etc/pki/tls/certs/ca-bundle.crt",
                "/etc/ssl/ca-bundle.pem",
                "/etc/ssl/cert.pem",
            ]),
        }
    }
}

/// The system's authorities, as OpenSSL will find them.
pub(super) enum SystemRoots {
    /// Native-tls looks there by itself.
    Builtin,
    /// A hashed directory that it has to be told of.
    Hashed(PathBuf),
    /// A bundle, and the directory for its parts.
    Split(SplitBundle),
    /// A bundle that has to be parsed whole, for want of a writable directory.
    Whole(PathBuf),
    /// None.
    Missing,
}

impl SystemRoots {
    pub(super) fn find(layout: &Layout) -> Self {
        if let Some(hashed) = layout.directories.iter().find(|directory| is_hashed(directory)) {
            return Self::Hashed(hashed.clone());
        }
        if layout.builtin_directories.iter().any(|directory| is_hashed(directory)) {
            return Self::Builtin;
        }
        let Some(bundle) = layout.bundles.iter().find(|bundle| bundle.is_file()) else {
            return Self::Missing;
        };
        match tempfile::Builder::new().prefix("tessera-roots-").tempdir() {
            Ok(directory) => {
                Self::Split(SplitBundle { bundle: bundle.clone(), directory, filled: OnceLock::new() })
            }
            Err(_) => Self::Whole(bundle.clone()),
        }
    }

    /// The same, where it is too late to tell OpenSSL of a directory.
    pub(super) fn without_directory(self) -> Self {
        match self {
            Self::Split(split) => Self::Whole(split.bundle),
            other => other,
        }
    }

    /// The directory that OpenSSL has to be told of.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Hashed(directory) => Some(directory),
            Self::Split(split) => Some(split.directory.path()),
            Self::Builtin | Self::Whole(_) | Self::Missing => None,
        }
    }
}

/// Whether OpenSSL can find certificates here by name: eight hexadecimal digits, a point, a number.
fn is_hashed(directory: &Path) -> bool {
    let is_hash_name = |name: &[u8]| {
        name.len() >= 10
            && name[8] == b'.'
            && name[..8].iter().all(u8::is_ascii_hexdigit)
            && name[9].is_ascii_digit()
    };
    let Ok(entries) = fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| is_hash_name(entry.file_name().as_encoded_bytes()))
}

/// A bundle, taken apart into a hashed directory when first needed; the directory goes away with it.
pub(super) struct SplitBundle {
    bundle: PathBuf,
    directory: TempDir,
    filled: OnceLock<Result<(), io::ErrorKind>>,
}

impl SplitBundle {
    pub(super) fn fill(&self) -> Result<(), io::ErrorKind> {
        *self.filled.get_or_init(|| {
            let text = fs::read_to_string(&self.bundle).map_err(|error| error.kind())?;
            split(&text, self.directory.path()).map_err(|error| error.kind())
        })
    }
}

/// Writes each certificate to `HASH.N`. One whose subject cannot be read could not be looked up either.
fn split(bundle: &str, directory: &Path) -> io::Result<()> {
    let mut hashes = Vec::new();
    for certificate in pem::certificates(bundle) {
        let Some(hash) = pem::subject(certificate).and_then(|subject| pem::subject_hash(&subject)) else {
            continue;
        };
        let same_before = hashes.iter().filter(|&&before| before == hash).count();
        hashes.push(hash);
        fs::write(directory.join(format!("{hash:08x}.{same_before}")), certificate)?;
    }
    Ok(())
}

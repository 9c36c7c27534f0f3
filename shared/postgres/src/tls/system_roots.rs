//! Finds the certificate authorities that the system trusts, and lets OpenSSL use them without loading them all.
//!
//! OpenSSL finds a certificate in a *hashed* directory (`4042bcee.0`) when a handshake needs it; a bundle, one file
//! with them all, it parses from end to end: 17 to 100 ms.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::pem;

/// The places where a system may keep its certificate authorities, in order of preference.
pub struct CertificatePaths {
    /// Directories that native-tls uses by itself if they exist.
    pub builtin_directories: Vec<PathBuf>,
    /// Other directories that may be hashed.
    pub directories: Vec<PathBuf>,
    /// Bundles, which are files with all authorities.
    pub bundles: Vec<PathBuf>,
}

impl CertificatePaths {
    /// The places that Debian, Amazon Linux, SUSE, Alpine and their derivatives use, and `certs/` in the function's own
    /// package.
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

/// The system's authorities, by the way in which OpenSSL finds them.
pub(super) enum SystemRoots {
    /// In a hashed directory that native-tls uses by itself.
    Builtin,
    /// In a hashed directory that OpenSSL must be told of.
    Hashed(PathBuf),
    /// In a bundle, which is split into a hashed directory.
    Split(SplitBundle),
    /// In a bundle that has to be parsed as a whole, because there is no writable directory.
    Whole(PathBuf),
    /// The system has none.
    Missing,
}

impl SystemRoots {
    pub(super) fn find(places: &CertificatePaths) -> Self {
        if let Some(hashed) = places.directories.iter().find(|directory| is_hashed(directory)) {
            return Self::Hashed(hashed.clone());
        }
        if places.builtin_directories.iter().any(|directory| is_hashed(directory)) {
            return Self::Builtin;
        }
        let Some(bundle) = places.bundles.iter().find(|bundle| bundle.is_file()) else {
            return Self::Missing;
        };
        match tempfile::Builder::new().prefix("tessera-roots-").tempdir() {
            Ok(directory) => {
                Self::Split(SplitBundle { bundle: bundle.clone(), directory, filled: OnceLock::new() })
            }
            Err(_) => Self::Whole(bundle.clone()),
        }
    }

    /// The same authorities, where it is too late to tell OpenSSL of a directory.
    pub(super) fn without_directory(self) -> Self {
        match self {
            Self::Split(split) => Self::Whole(split.bundle),
            other => other,
        }
    }

    /// The directory that OpenSSL must be told of, if there is one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Hashed(directory) => Some(directory),
            Self::Split(split) => Some(split.directory.path()),
            Self::Builtin | Self::Whole(_) | Self::Missing => None,
        }
    }
}

/// Whether the directory is hashed: OpenSSL finds certificates in it by file names of eight hexadecimal digits, a point
/// and a number.
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

/// A bundle that is split into a hashed directory when it is first needed. The directory is removed with this value.
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

/// Writes each certificate to `HASH.N`, except those whose subject cannot be read, which could not be looked up.
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

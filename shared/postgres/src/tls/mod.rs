//! TLS to the database: what is verified, against which authorities, at what cost.
//!
//! The cost is why this module exists. By itself, native-tls parses the system's whole bundle of some 144 authorities
//! for every connector, even where it is then told not to use them, which takes 17 to 100 ms of CPU time. Here OpenSSL
//! is told once, before there are threads, that there is no bundle, and finds the one authority that it needs in a
//! hashed directory during the handshake.

mod authorities;
mod environment;
mod error;
mod pem;
mod system_roots;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use native_tls::{Certificate, Protocol, TlsConnector, TlsConnectorBuilder};
use postgres_native_tls::{MakeTlsConnector, set_postgresql_alpn};
use tokio_postgres::config::SslNegotiation;

pub use error::{CaSource, TlsError};
pub use system_roots::CertificatePaths;

use crate::url::{DatabaseUrl, Verification};
use system_roots::SystemRoots;

/// The authorities to trust, for any number of connectors. It must be kept as long as they are used, since it may own
/// the directory that OpenSSL reads during handshakes.
pub struct TrustStore {
    roots: SystemRoots,
}

/// Whether a store has been prepared: native-tls looks for the system's authorities once in a process, when the first
/// connector is built.
static PREPARED: AtomicBool = AtomicBool::new(false);

impl TrustStore {
    /// Prepares the store in about 2 ms, most of which OpenSSL needs to start. This must be called first in `main`,
    /// before the runtime and any other thread starts. Where threads are running already, connectors work as well, but
    /// cost what native-tls makes them cost.
    ///
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` are respected where they are set.
    #[must_use]
    pub fn prepare() -> Self {
        Self::prepare_from(&CertificatePaths::system())
    }

    /// Prepares the store as [`prepare`](Self::prepare) does, with the system's authorities in other places.
    #[must_use]
    pub fn prepare_from(places: &CertificatePaths) -> Self {
        let found = if environment::is_set() { SystemRoots::Builtin } else { SystemRoots::find(places) };
        if PREPARED.swap(true, Ordering::Relaxed) {
            return Self { roots: found.without_directory() };
        }
        let prepared = environment::with_directory(found.directory(), || {
            // The connector is not needed, but building one makes native-tls look for authorities, and keep what it
            // finds.
            drop(TlsConnector::builder().disable_built_in_roots(true).build());
        });
        Self { roots: if prepared.is_some() { found } else { SystemRoots::Builtin } }
    }

    /// Builds a connector for the database of `url`, which can be used for every connection; `None` without TLS.
    /// `database_ca` is the value of `DATABASE_CA`, a path or PEM text. Fails if there are no authorities to verify the
    /// server with.
    pub fn connector(
        &self,
        url: &DatabaseUrl,
        database_ca: Option<&str>,
    ) -> Result<Option<MakeTlsConnector>, TlsError> {
        let Some(verification) = url.verification(database_ca.is_some()) else { return Ok(None) };
        let mut builder = TlsConnector::builder();
        // As in libpq. Older versions are insecure.
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        match verification {
            Verification::Unverified => {
                builder.disable_built_in_roots(true);
                builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
            }
            Verification::Authority => {
                builder.danger_accept_invalid_hostnames(true);
                self.trust(&mut builder, url, database_ca)?;
            }
            Verification::AuthorityAndName => self.trust(&mut builder, url, database_ca)?,
        }
        if url.ssl_negotiation() == SslNegotiation::Direct {
            set_postgresql_alpn(&mut builder);
        }
        Ok(Some(MakeTlsConnector::new(builder.build()?)))
    }

    fn trust(
        &self,
        builder: &mut TlsConnectorBuilder,
        url: &DatabaseUrl,
        database_ca: Option<&str>,
    ) -> Result<(), TlsError> {
        match authorities::given(url, database_ca)? {
            Some(certificates) => trust_only(builder, certificates),
            None => self.trust_system(builder)?,
        }
        Ok(())
    }

    /// Builds a connector for anything but the database, which trusts the system's authorities.
    pub fn web_connector(&self) -> Result<TlsConnector, TlsError> {
        let mut builder = TlsConnector::builder();
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        self.trust_system(&mut builder)?;
        Ok(builder.build()?)
    }

    fn trust_system(&self, builder: &mut TlsConnectorBuilder) -> Result<(), TlsError> {
        match &self.roots {
            SystemRoots::Builtin | SystemRoots::Hashed(_) => Ok(()),
            SystemRoots::Split(split) => split.fill().map_err(TlsError::SystemRoots),
            SystemRoots::Whole(bundle) => {
                let bundle =
                    fs::read_to_string(bundle).map_err(|error| TlsError::SystemRoots(error.kind()))?;
                trust_only(builder, authorities::all(&bundle));
                Ok(())
            }
            SystemRoots::Missing => Err(TlsError::NoSystemRoots),
        }
    }
}

fn trust_only(builder: &mut TlsConnectorBuilder, certificates: Vec<Certificate>) {
    builder.disable_built_in_roots(true);
    for certificate in certificates {
        builder.add_root_certificate(certificate);
    }
}

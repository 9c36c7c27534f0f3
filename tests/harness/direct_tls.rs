//! A server that speaks direct TLS, as PostgreSQL does from version 17 on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use crate::Postgres;
use crate::certificates::{Authority, Certificate};
use crate::guard::{Guarded, guarded_command};
use crate::port::Port;
use crate::scratch::{Scratch, write_for_service};

const START_LIMIT: Duration = Duration::from_secs(20);

/// A proxy that terminates TLS in front of a cluster without TLS.
#[derive(Debug)]
pub struct DirectTls {
    port: Port,
    authority: Authority,
    _server: Guarded,
    _scratch: Scratch,
}

impl DirectTls {
    /// Starts the proxy, with an authority and a certificate of its own.
    pub async fn in_front_of(postgres: &Postgres) -> Result<Self> {
        let (port, authority, scratch) = (Port::reserve()?, Authority::new()?, Scratch::new("direct-tls")?);
        let identity = authority.issue(Certificate::Good)?;
        let [certificate, key] = ["tls.crt", "tls.key"].map(|name| scratch.path().join(name));
        write_for_service(&certificate, &identity.certificate)?;
        write_for_service(&key, &identity.key)?;
        let mut command = guarded_command("KILL", "python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/harness/direct_tls.py"));
        command.args([port.address(), postgres.address()].map(|address| address.port().to_string()));
        command.arg(certificate).arg(key);
        let server = Guarded::spawn(command, None)?;
        let proxy = Self { port, authority, _server: server, _scratch: scratch };
        proxy.port.taken_up(START_LIMIT, "the TLS proxy").await?;
        Ok(proxy)
    }

    /// The address that the proxy listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The authority that signed the proxy's certificate.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

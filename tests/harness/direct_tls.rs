//! A server that speaks direct TLS, as PostgreSQL does from version 17 on.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use local::Process;
use local::port::{Port, wait_until_listening};

use crate::Postgres;
use crate::certificates::{Authority, Certificate};
use crate::processes;
use crate::scratch::{Scratch, write_for_service};

const START_LIMIT: Duration = Duration::from_secs(20);

/// A proxy that terminates TLS in front of a cluster without TLS.
#[derive(Debug)]
pub struct DirectTls {
    port: Port,
    authority: Authority,
    _server: Process,
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
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/harness/direct_tls.py"));
        command.args([port.address(), postgres.address()].map(|address| address.port().to_string()));
        command.arg(certificate).arg(key);
        let server = processes::spawn(&mut command)?;
        wait_until_listening(port.address(), START_LIMIT, "the TLS proxy").await?;
        Ok(Self { port, authority, _server: server, _scratch: scratch })
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

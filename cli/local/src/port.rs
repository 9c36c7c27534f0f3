//! Ports that stay ours while nothing listens on them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpSocket, TcpStream};

/// A TCP port of 127.0.0.1, reserved before its server starts and after it stopped: connections are refused, and
/// nobody else is given the port.
///
/// Linux lets several sockets with `SO_REUSEADDR` bind one port until one of them listens, and never hands out
/// such a port by itself. Elsewhere the port is only known to have been free.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _held: Option<TcpSocket>,
}

impl Port {
    /// Reserves a port that is free.
    pub fn reserve() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok(Self { address, _held: cfg!(target_os = "linux").then_some(socket) })
    }

    /// Where a server that is given this port listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}

/// Waits until somebody listens there. `server` is named when nobody does within the limit.
pub async fn wait_until_listening(address: SocketAddr, limit: Duration, server: &str) -> Result<()> {
    let listening = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let listened = tokio::time::timeout(limit, listening).await;
    listened.with_context(|| format!("{server} does not listen on {address} after {limit:?}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn reserved_ports_differ_and_refuse_connections() {
        let ports: Vec<_> = (0..20).map(|_| Port::reserve().unwrap()).collect();
        assert_eq!(ports.iter().map(Port::number).collect::<HashSet<_>>().len(), ports.len());
        assert!(ports.iter().all(|port| TcpStream::connect(port.address()).is_err()));
    }
}

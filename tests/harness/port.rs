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
pub(crate) struct Port {
    address: SocketAddr,
    _held: Option<TcpSocket>,
}

impl Port {
    pub(crate) fn reserve() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok(Self { address, _held: cfg!(target_os = "linux").then_some(socket) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until somebody listens on it.
    pub(crate) async fn taken_up(&self, limit: Duration, by: &str) -> Result<()> {
        let taken_up = async {
            while TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(limit, taken_up).await.with_context(|| format!("{by} did not start"))
    }
}

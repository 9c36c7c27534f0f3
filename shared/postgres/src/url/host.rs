//! A server to connect to.

use std::net::IpAddr;

/// A server to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The host name, an IP address (without brackets), or the directory of a Unix socket.
    pub name: String,
    /// The TCP port, or the number in the socket's name.
    pub port: u16,
}

impl Host {
    /// Whether this is a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }

    /// Whether the server is on this machine.
    pub(super) fn is_local(&self) -> bool {
        let is_loopback = self.name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        self.is_socket() || self.name == "localhost" || is_loopback
    }
}

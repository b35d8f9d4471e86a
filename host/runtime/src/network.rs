//! Names and connections: how requests of plugins, and those for their tokens, leave the machine.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::net::TcpStream;

/// Looks names up and connects. What it finds is filtered before it is connected to: an implementation decides where a
/// name leads, never whether a plugin may go there.
#[async_trait]
pub trait Network: fmt::Debug + Send + Sync {
    /// Every address of a name, or of an address written as text, in the order in which to try them.
    ///
    /// # Errors
    /// If the name cannot be looked up.
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// Connects to one of the addresses that `lookup` gave and the rules allow.
    ///
    /// # Errors
    /// If there is no connection. There is no need for a deadline: the caller has one.
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream>;
}

/// The system's resolver and its network.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNetwork;

#[async_trait]
impl Network for SystemNetwork {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }
}

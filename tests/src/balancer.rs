//! What stands in front of several gateways: connections go to them in turn, and not to one that does not take them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A TCP load balancer on loopback. It ends when it is dropped.
#[derive(Debug)]
pub struct Balancer {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Balancer {
    /// Starts one in front of these addresses.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(targets: Vec<String>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let turn = AtomicUsize::new(0);
            while let Ok((mut client, _)) = listener.accept().await {
                let first = turn.fetch_add(1, Ordering::Relaxed);
                let targets = targets.clone();
                tokio::spawn(async move {
                    for offset in 0..targets.len() {
                        let Some(target) = targets.get((first + offset) % targets.len()) else { return };
                        if let Ok(mut server) = TcpStream::connect(target).await {
                            // Whichever side breaks off, the other one sees it.
                            let _ended = copy_bidirectional(&mut client, &mut server).await;
                            return;
                        }
                    }
                });
            }
        });
        Ok(Self { addr, task })
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! Several gateways that share a Redis, behind a balancer.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tempfile::TempDir;

use crate::balancer::Balancer;
use crate::config::{Options, toml};
use crate::gateway::Gateway;
use crate::house::free_address;
use crate::outside::Outside;

/// Gateways, the simulators and the balancer between them. What is asked of the simulators, it asks [`Outside`].
#[derive(Debug)]
pub struct Fleet {
    outside: Arc<Outside>,
    balancer: Balancer,
    nodes: Vec<Node>,
    folder: TempDir,
}

/// A place for a gateway: its address and its files stay when the process ends.
#[derive(Debug)]
struct Node {
    listen: String,
    gateway: Option<Gateway>,
}

impl Deref for Fleet {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.outside
    }
}

impl Fleet {
    /// So many gateways with this `[store]` section (and whatever else `options.more` says), all of them ready.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn open(nodes: usize, options: &Options) -> Result<Self> {
        let outside = Arc::new(Outside::start().await?);
        // `PATCHBAY_KEEP` keeps the gateways' logs and data, to be looked at.
        let folder = tempfile::Builder::new().disable_cleanup(std::env::var_os("PATCHBAY_KEEP").is_some()).tempdir()?;
        let mut places = Vec::with_capacity(nodes);
        for number in 0..nodes {
            let listen = free_address()?;
            let home = folder.path().join(format!("node-{number}"));
            std::fs::create_dir(&home)?;
            let options = Options { listen: listen.clone(), ..options.clone() };
            std::fs::write(home.join("patchbay.toml"), toml(&options, outside.port()))?;
            places.push(Node { listen, gateway: None });
        }
        let balancer = Balancer::start(places.iter().map(|node| node.listen.clone()).collect()).await?;
        outside.deliver_to(&balancer.url());
        let mut fleet = Self { outside, balancer, nodes: places, folder };
        let started = (0..nodes).map(|number| Gateway::start(fleet.config(number), fleet.listen(number)));
        for (number, gateway) in try_join_all(started).await?.into_iter().enumerate() {
            fleet.node(number)?.gateway = Some(gateway);
        }
        Ok(fleet)
    }

    /// The world outside, to share with tasks.
    #[must_use]
    pub const fn outside(&self) -> &Arc<Outside> {
        &self.outside
    }

    /// How many places for gateways there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no place at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The address of the balancer.
    #[must_use]
    pub fn url(&self) -> String {
        self.balancer.url()
    }

    /// One of the gateways; none while it is dead.
    #[must_use]
    pub fn gateway(&self, number: usize) -> Option<&Gateway> {
        self.nodes.get(number)?.gateway.as_ref()
    }

    /// Any gateway that is alive.
    ///
    /// # Errors
    /// When there is none.
    pub fn any(&self) -> Result<&Gateway> {
        self.nodes.iter().find_map(|node| node.gateway.as_ref()).context("no gateway is alive")
    }

    /// `kill -9` of one gateway.
    ///
    /// # Errors
    /// When it is dead.
    pub async fn kill(&mut self, number: usize) -> Result<()> {
        self.node(number)?.gateway.take().context("it is dead already")?.kill().await
    }

    /// Takes one gateway out, for a clean stop by the caller.
    ///
    /// # Errors
    /// When it is dead.
    pub fn take(&mut self, number: usize) -> Result<Gateway> {
        self.node(number)?.gateway.take().context("it is dead already")
    }

    /// Starts one gateway again, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(&mut self, number: usize) -> Result<()> {
        let gateway = Gateway::start(self.config(number), self.listen(number)).await?;
        self.node(number)?.gateway = Some(gateway);
        Ok(())
    }

    /// Starts one gateway again without waiting: what it needs may be away.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&mut self, number: usize) -> Result<()> {
        let gateway = Gateway::spawn(&self.config(number), &self.listen(number))?;
        self.node(number)?.gateway = Some(gateway);
        Ok(())
    }

    /// A gateway's configuration file.
    #[must_use]
    pub fn config(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("node-{number}")).join("patchbay.toml")
    }

    fn listen(&self, number: usize) -> String {
        self.nodes.get(number).map(|node| node.listen.clone()).unwrap_or_default()
    }

    fn node(&mut self, number: usize) -> Result<&mut Node> {
        self.nodes.get_mut(number).context("no such node")
    }
}

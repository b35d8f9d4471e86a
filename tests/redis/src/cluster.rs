//! A Cluster.

use std::process::Command;

use crate::process::{free_port, wait_for};
use crate::server::{Options, Redis};

/// Hash slots of a Cluster.
const SLOTS: u16 = 16_384;

/// Masters that share the slots, and their replicas.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
    masters: usize,
}

impl Cluster {
    /// Starts three masters with so many replicas each, and waits until all of them call the Cluster whole.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        Self::start_with(replicas, Options::default())
    }

    /// As [`start`](Self::start), each node with these options.
    #[must_use]
    pub fn start_with(replicas: usize, options: Options) -> Self {
        let masters = 3;
        let nodes: Vec<_> = (0..masters * (replicas + 1))
            .map(|_| {
                Redis::start(
                    (options.clone())
                        .with("cluster-enabled", "yes")
                        .with("cluster-port", free_port())
                        .with("cluster-node-timeout", 1_000),
                )
            })
            .collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(Redis::addr))
            .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
            .output()
            .expect("redis-cli is not installed: apt-get install redis-tools");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        let cluster = Self { nodes, masters };
        for node in &cluster.nodes {
            wait_for("the Cluster to be whole", || {
                let info: String = node.try_ask(&["CLUSTER", "INFO"]).ok()?;
                let known = format!("cluster_known_nodes:{}", cluster.nodes.len());
                (info.contains("cluster_state:ok") && info.contains(&known)).then_some(())
            });
        }
        cluster
    }

    /// `127.0.0.1:port` of each node.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::addr).collect()
    }

    /// The nodes; those that were made masters first.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// As [`nodes`](Self::nodes), to kill and restart them.
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// The slot of a key.
    #[must_use]
    pub fn slot(&self, key: &str) -> u16 {
        self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key])
    }

    /// The number of the master that has a slot.
    #[must_use]
    pub fn master_of(&self, slot: u16) -> usize {
        assert!(slot < SLOTS, "a slot");
        let ids: Vec<_> = self.nodes.iter().map(id).collect();
        let all: String = self.nodes[0].ask(&["CLUSTER", "NODES"]);
        let line = all.lines().find(|line| {
            line.split(' ').skip(8).filter(|range| !range.starts_with('[')).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                first.parse::<u16>().is_ok_and(|first| first <= slot)
                    && last.parse::<u16>().is_ok_and(|last| slot <= last)
            })
        });
        let owner = line.and_then(|line| line.split(' ').next()).expect("every slot is served");
        ids.iter().position(|id| id == owner).expect("one of the nodes")
    }

    /// Begins to move a slot to another master; gives the number of the one that has it still.
    pub fn begin_move(&self, slot: u16, to: usize) -> usize {
        let from = self.master_of(slot);
        let number = slot.to_string();
        let _: String = self.nodes[to].ask(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &id(&self.nodes[from])]);
        let _: String = self.nodes[from].ask(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &id(&self.nodes[to])]);
        from
    }

    /// Moves at most `count` of the slot's keys on.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, count: usize) -> usize {
        let keys: Vec<String> =
            self.nodes[from].ask(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count.to_string()]);
        let port = self.nodes[to].port().to_string();
        for key in &keys {
            let _: String = self.nodes[from].ask(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        }
        keys.len()
    }

    /// Says that the slot has arrived.
    pub fn end_move(&self, slot: u16, to: usize) {
        let (number, id) = (slot.to_string(), id(&self.nodes[to]));
        for node in std::iter::once(&self.nodes[to]).chain(&self.nodes[..self.masters]) {
            let _: String = node.ask(&["CLUSTER", "SETSLOT", &number, "NODE", &id]);
        }
    }
}

fn id(node: &Redis) -> String {
    node.ask(&["CLUSTER", "MYID"])
}

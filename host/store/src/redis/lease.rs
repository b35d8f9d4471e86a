//! Who may write a partition, who lives, and whose turn it is.

use std::time::{Duration, Instant};

use patchbay_model::Timestamp;

use super::Shared;
use super::codec::{answer, decode, encode, readable};
use super::scripts::{BEAT, LEASE, TURN};
use super::server::{Trouble, lock, millis};
use super::servers::invoke;
use crate::{Lease, Node, Pace, Partition, StoreError};

impl Shared {
    pub(super) async fn acquire(&self, partition: Partition) -> Result<Option<Lease>, StoreError> {
        if partition.0 >= self.keys.partitions() {
            return Err(StoreError::Unsuitable(format!(
                "there is no partition {partition}: the store was made with {}",
                self.keys.partitions()
            )));
        }
        let token: u64 = rand::random();
        let lease = Lease { partition, epoch: 0, token };
        let (epoch, until) = self.verb("acquire", &lease).await?;
        if epoch == 0 {
            return Ok(None);
        }
        let lease = Lease { epoch, ..lease };
        lock(&self.leases).insert(partition, (lease.clone(), until));
        Ok(Some(lease))
    }

    pub(super) async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let (held, until) = self.verb("renew", lease).await?;
        if held == 0 {
            return Err(self.fenced(lease));
        }
        if let Some((known, alive)) = lock(&self.leases).get_mut(&lease.partition)
            && known == lease
        {
            *alive = until;
        }
        Ok(())
    }

    pub(super) async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let (held, _) = self.verb("release", lease).await?;
        if held == 0 {
            return Err(self.fenced(lease));
        }
        lock(&self.leases).remove(&lease.partition);
        Ok(())
    }

    /// Gives the script's number, and until when a lease that it gave lasts at least.
    async fn verb(&self, verb: &str, lease: &Lease) -> Result<(u64, Instant), StoreError> {
        let length = self.servers.options.lease;
        let until = Instant::now() + length;
        let mut request = invoke(&LEASE, self.keys.set(lease.partition));
        request.arg(verb).arg(lease.token).arg(lease.epoch).arg(millis(length));
        Ok((answer(self.servers.call(lease.partition, &request).await)?, until))
    }

    /// The error of a lease that is worth nothing. If it should be alive, the history that it was written in is gone.
    pub(super) fn fenced(&self, lease: &Lease) -> StoreError {
        let mut leases = lock(&self.leases);
        if let Some((known, until)) = leases.get(&lease.partition)
            && known == lease
        {
            let alive = *until > Instant::now();
            leases.remove(&lease.partition);
            drop(leases);
            if alive {
                self.servers.lost("a lease of this node is unknown");
            }
        }
        StoreError::Fenced(lease.partition)
    }

    /// An answer under a lease.
    pub(super) fn under<T: ::redis::FromRedisValue>(
        &self,
        lease: &Lease,
        value: Result<::redis::Value, Trouble>,
    ) -> Result<T, StoreError> {
        match value {
            Err(Trouble::Fenced) => Err(self.fenced(lease)),
            value => answer(value),
        }
    }

    pub(super) async fn beat(&self, node: &Node) -> Result<Vec<Node>, StoreError> {
        let key = self.keys.nodes();
        let mut request = invoke(&BEAT, [&key]);
        request.arg(&node.id).arg(millis(self.servers.options.lease)).arg(encode(node)?);
        let alive: Vec<Vec<u8>> = answer(self.servers.call_key(&key, &request).await)?;
        let nodes = alive.iter().filter_map(|json| readable(decode::<Node>("a node", "that lives", json)));
        let mut nodes: Vec<_> = nodes.collect();
        nodes.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(nodes)
    }

    pub(super) async fn leave(&self, node: &str) -> Result<(), StoreError> {
        let key = self.keys.nodes();
        let mut request = ::redis::cmd("HDEL");
        request.arg(&key).arg(node);
        answer::<u64>(self.servers.call_key(&key, &request).await).map(drop)
    }

    pub(super) async fn turn(&self, key: &str, pace: Pace) -> Result<Duration, StoreError> {
        let key = self.keys.rate(key);
        let ahead = pace.interval.saturating_mul(pace.burst.saturating_sub(1));
        let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        let mut request = invoke(&TURN, [&key]);
        request.arg(micros(pace.interval)).arg(micros(ahead));
        let wait: u64 = answer(self.servers.call_key(&key, &request).await)?;
        Ok(Duration::from_micros(wait))
    }

    /// What no position given at another time can be: microseconds by the store's clock.
    pub(super) fn place(&self) -> u64 {
        self.places.next(self.clock.micros())
    }

    /// When an event was accepted, as the scripts sort it.
    pub(super) fn moment(at: Timestamp) -> String {
        format!("{:016}", at.as_millis())
    }
}

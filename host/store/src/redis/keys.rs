//! The names of the keys.
//!
//! What belongs to one partition has its hash tag, `{pb:17}`, and so one slot of a Cluster. The indexes, which are asked
//! before it is known whose something is, are spread over the same tags by their own keys: no key is without a bound that
//! grows with the number of partitions, and everything can be listed without walking over the whole server.

use patchbay_model::EventId;

use crate::Partition;

/// Slots of a Cluster.
pub(super) const SLOTS: u16 = 16_384;

/// What stands behind a partition's tag, in the order of `scripts/keys.lua`.
const OF_PARTITION: [&str; 19] = [
    "owner",
    "journal",
    "events",
    "raw",
    "raws",
    "seen",
    "times",
    "talks",
    "active",
    "conversations",
    "tasks",
    "timers",
    "links",
    "media",
    "names",
    "dead",
    "died",
    "reports",
    "decisions",
];

/// An index over all partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// Identity key → conversation, ` former` behind it where the identity was its customer's once.
    Identities,
    /// Desk and ticket → conversation.
    Tickets,
    /// Media id → conversation.
    MediaOf,
}

impl Index {
    const fn name(self) -> &'static str {
        match self {
            Self::Identities => "identities",
            Self::Tickets => "tickets",
            Self::MediaOf => "media-of",
        }
    }
}

/// The names of a store's keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    partitions: u16,
    /// By partition.
    sets: Vec<Vec<String>>,
    slots: Vec<u16>,
}

impl Keys {
    pub(super) fn new(prefix: &str, partitions: u16) -> Self {
        let tag = |partition: u16, name: &str| format!("{{{prefix}:{partition}}}:{name}");
        let sets = (0..partitions).map(|partition| OF_PARTITION.map(|name| tag(partition, name)).to_vec()).collect();
        let slots = (0..partitions).map(|partition| slot(&tag(partition, ""))).collect();
        Self { prefix: prefix.to_owned(), partitions, sets, slots }
    }

    pub(super) const fn partitions(&self) -> u16 {
        self.partitions
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.partitions).map(Partition)
    }

    /// All keys of a partition, as the scripts expect them.
    pub(super) fn set(&self, partition: Partition) -> &[String] {
        self.sets.get(usize::from(partition.0)).map_or(&[], Vec::as_slice)
    }

    /// One key of a partition.
    pub(super) fn of(&self, partition: Partition, name: &str) -> String {
        format!("{{{}:{partition}}}:{name}", self.prefix)
    }

    pub(super) fn slot(&self, partition: Partition) -> u16 {
        self.slots.get(usize::from(partition.0)).copied().unwrap_or_default()
    }

    /// The partition whose tag an entry of an index has.
    pub(super) fn bucket(&self, entry: &str) -> Partition {
        Partition(u16::try_from(hash(entry) % u64::from(self.partitions.max(1))).unwrap_or_default())
    }

    /// The key of an index that has this entry.
    pub(super) fn index(&self, index: Index, entry: &str) -> (Partition, String) {
        let bucket = self.bucket(entry);
        (bucket, self.of(bucket, index.name()))
    }

    /// A piece of an index.
    pub(super) fn index_of(&self, index: Index, bucket: Partition) -> String {
        self.of(bucket, index.name())
    }

    /// The documents of a space, and the partition whose tag they have. A space's name may have braces too: the first ones
    /// count.
    pub(super) fn space(&self, space: &str) -> (Partition, String) {
        let bucket = self.bucket(space);
        (bucket, self.of(bucket, &format!("shelf:{space}")))
    }

    /// Where an event's id is kept: whose it is.
    pub(super) fn event(&self, id: &EventId) -> String {
        format!("{}:event:{id}", self.prefix)
    }

    pub(super) fn meta(&self) -> String {
        format!("{}:meta", self.prefix)
    }

    pub(super) fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    pub(super) fn rate(&self, key: &str) -> String {
        format!("{}:rate:{key}", self.prefix)
    }

    /// The channel of the wake-ups.
    pub(super) fn wake(&self) -> String {
        format!("{}:wake", self.prefix)
    }
}

/// A ticket's entry in its index: JSON, since a desk's ids are the vendor's.
pub(super) fn ticket_entry(desk: &str, ticket: &str) -> String {
    serde_json::json!([desk, ticket]).to_string()
}

/// FNV-1a; part of what the data means, so it never changes.
fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash >> 32
}

/// The slot of a key: CRC-16 (XMODEM) of what stands in its first braces, else of all of it.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let tag = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let mut crc = 0_u16;
    for byte in tag.bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // `CLUSTER KEYSLOT` says so.
        assert_eq!([slot("123456789"), slot("foo"), slot("{foo}:bar"), slot("a{}b")], [12_739, 12_182, 12_182, 13_694]);
    }

    #[test]
    fn a_partition_has_one_slot() {
        let keys = Keys::new("pb", 4);
        for partition in keys.all() {
            assert!(keys.set(partition).iter().all(|key| slot(key) == keys.slot(partition)));
            assert_eq!(slot(&keys.index_of(Index::Tickets, partition)), keys.slot(partition));
        }
        for space in ["deployments", "kv/router", "{}", "}{:"] {
            let (bucket, key) = keys.space(space);
            assert_eq!(slot(&key), keys.slot(bucket));
        }
    }
}

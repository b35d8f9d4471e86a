//! Which node should have which partition.
//!
//! Rendezvous hashing: every node gives each partition a weight, and the highest one has it. So all nodes that know of the
//! same nodes come to the same answer without asking each other, and a node that comes or goes moves its own share only.

use std::collections::BTreeSet;

use patchbay_store::{Node, Partition};

/// What a node would give for a partition: FNV-1a, 64 bits, over the node's id and the partition's number (little-endian),
/// then the finaliser of SplitMix64. Nodes of different versions work side by side while they are updated, so it never
/// changes.
#[must_use]
pub fn weight(node: &str, partition: Partition) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in node.bytes().chain(partition.0.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // FNV spreads its last bytes badly, and the partition's number is the last.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The id of the node that should have a partition: the one with the highest weight that is not leaving, of equals the one
/// whose id sorts first. `None`: there is none.
#[must_use]
pub fn owner(nodes: &[Node], partition: Partition) -> Option<&str> {
    let staying = nodes.iter().filter(|node| !node.leaving).map(|node| node.id.as_str());
    staying.max_by(|a, b| weight(a, partition).cmp(&weight(b, partition)).then_with(|| b.cmp(a)))
}

/// The partitions, of `partitions` in all, that the node `me` should have.
#[must_use]
pub fn share(me: &str, nodes: &[Node], partitions: u16) -> BTreeSet<Partition> {
    (0..partitions).map(Partition).filter(|partition| owner(nodes, *partition) == Some(me)).collect()
}

#[cfg(test)]
mod tests {
    use patchbay_model::Timestamp;

    use super::*;

    fn nodes(names: &[&str]) -> Vec<Node> {
        let node = |name: &&str| Node {
            id: (*name).to_owned(),
            name: (*name).to_owned(),
            since: Timestamp::default(),
            owned: 0,
            skew_ms: 0,
            leaving: false,
        };
        names.iter().map(node).collect()
    }

    #[test]
    fn weights_never_change() {
        let weights = [("a", 0), ("a", 1), ("node-b", 255)].map(|(node, number)| weight(node, Partition(number)));
        assert_eq!(weights, [0xe841_4f3b_057f_42e7, 0x2310_1d03_f870_1426, 0x229c_cfff_0edb_61b2]);
    }

    #[test]
    fn every_partition_has_one_owner_and_shares_are_fair() {
        let nodes = nodes(&["a", "b", "c", "d"]);
        let shares: Vec<BTreeSet<Partition>> = nodes.iter().map(|node| share(&node.id, &nodes, 1024)).collect();
        assert_eq!(shares.iter().map(BTreeSet::len).sum::<usize>(), 1024);
        assert!(shares.iter().all(|share| (200..=320).contains(&share.len())), "{shares:?}");
    }

    #[test]
    fn a_node_that_comes_or_leaves_moves_its_own_share_only() {
        let three = nodes(&["a", "b", "c"]);
        let mut four = nodes(&["d", "c", "b", "a"]);
        for number in 0..256 {
            let (before, after) = (owner(&three, Partition(number)), owner(&four, Partition(number)));
            assert!(after == before || after == Some("d"), "{number}");
        }
        four[0].leaving = true;
        for number in 0..256 {
            assert_eq!(owner(&three, Partition(number)), owner(&four, Partition(number)));
        }
        four.iter_mut().for_each(|node| node.leaving = true);
        assert_eq!(owner(&four, Partition(0)), None);
        assert!(share("a", &four, 256).is_empty());
    }
}

//! Nodes, and the paces that they share.

use std::time::Duration;

use patchbay_store::{Node, Pace};

use super::Instance;

pub(crate) async fn a_node_that_beats_is_listed(instance: &mut impl Instance) {
    let store = instance.store();
    let node = |owned| Node {
        id: "node-1".into(),
        name: "first".into(),
        since: store.now(),
        owned,
        skew_ms: 0,
        leaving: false,
    };
    let first = node(0);
    let living = store.beat(&first).await.unwrap();
    assert_eq!(living.iter().filter(|other| other.id == first.id).collect::<Vec<_>>(), [&first]);
    let second = Node { owned: 3, leaving: true, ..first.clone() };
    let living = store.beat(&second).await.unwrap();
    assert_eq!(living.iter().filter(|other| other.id == second.id).collect::<Vec<_>>(), [&second], "the newest counts");
    assert!(living.is_sorted_by(|one, next| one.id < next.id));
    store.leave(&second.id).await.unwrap();
    store.leave("never seen").await.unwrap();
}

pub(crate) async fn a_burst_is_free_and_then_turns_are_spaced(instance: &mut impl Instance) {
    let store = instance.store();
    // So long that the test's own time does not count.
    let pace = Pace { interval: Duration::from_secs(1_000), burst: 3 };
    for _ in 0..3 {
        assert_eq!(store.turn("a", pace).await.unwrap(), Duration::ZERO);
    }
    for turn in 1..4 {
        let wait = store.turn("a", pace).await.unwrap();
        let expected = pace.interval * turn;
        assert!(wait <= expected && wait > expected - pace.interval / 2, "turn {turn} after the burst: {wait:?}");
    }
    assert_eq!(store.turn("b", pace).await.unwrap(), Duration::ZERO, "another key has its own");
    let none = Pace { burst: 0, ..pace };
    assert_eq!(store.turn("c", none).await.unwrap(), Duration::ZERO, "one at least");
    assert!(store.turn("c", none).await.unwrap() > pace.interval / 2);
}

//! Who has which partition, and that nothing is done twice or out of order when it changes. In virtual time.

mod chains;
mod world;

use std::sync::Arc;
use std::time::Duration;

use patchbay_store::{Lease, Partition, Store};

use self::world::{House, LEASE, PARTITIONS, until};

const ALL: usize = PARTITIONS as usize;
/// A beat, a try and what is on its way: how long a hand-over may take.
const HANDED_OVER: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_secs(20);

/// Ids of customers, one for each of many partitions.
fn customers() -> Vec<String> {
    (0..24).map(|number| format!("GB.{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn partitions_are_shared_when_nodes_come_and_go() {
    let house = House::new();
    let a = house.node("a").await;
    assert_eq!(a.owned(), ALL, "the first node has everything when it has started");
    let b = house.node("b").await;
    until(HANDED_OVER, "b has its share", || a.owned() + b.owned() == ALL && b.owned() > 4).await;
    assert!(a.owned() > 4);
    let c = house.node("c").await;
    until(HANDED_OVER, "c has its share", || a.owned() + b.owned() + c.owned() == ALL && c.owned() > 2).await;
    assert_eq!(c.engine.status().nodes, 3);
    assert_eq!(c.engine.status().wanted, c.owned());
    assert!(b.engine.stop(GRACE).await);
    until(HANDED_OVER, "b's share is taken", || a.owned() + c.owned() == ALL).await;
    assert_eq!(b.owned(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_share_of_a_node_that_dies_is_taken_within_a_lease() {
    let house = House::new();
    let (a, b) = (house.node("a").await, house.node("b").await);
    until(HANDED_OVER, "b has its share", || a.owned() + b.owned() == ALL && b.owned() > 4).await;
    let conversations = customers();
    a.cut_off().await;
    for customer in &conversations {
        house.says(customer, "hello").await;
    }
    until(LEASE, "a relies on its leases no longer", || a.owned() == 0).await;
    assert!(a.engine.status().problem.is_some(), "what is wrong is known");
    until(HANDED_OVER, "b has everything", || b.owned() == ALL).await;
    for customer in &conversations {
        let conversation = house.says(customer, "again").await;
        until(HANDED_OVER, "answers", || house.said(&conversation) == ["hello", "again"]).await;
    }
    house.nothing_went_wrong();
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_that_is_longer_than_the_lease_nothing_is_begun_with_it() {
    let house = House::new();
    let a = house.node("a").await;
    let mut conversations = Vec::new();
    for customer in customers() {
        // More than one for each, so that some wait in their lane while the node stands still.
        for words in ["one", "two", "three"] {
            conversations.push(house.says(&customer, words).await);
        }
    }
    until(HANDED_OVER, "the first are on their way", || {
        conversations.iter().all(|conversation| !house.said(conversation).is_empty())
    })
    .await;
    let before = a.engine.shared().owners.leases();
    tokio::time::advance(LEASE * 2).await;
    until(HANDED_OVER, "it has everything anew", || {
        let after = a.engine.shared().owners.leases();
        after.len() == ALL && before.iter().zip(&after).all(|(before, after)| before.epoch < after.epoch)
    })
    .await;
    // One that was on its way is sent again, since nobody knows that it has arrived; the rest goes once, in order.
    until(LEASE * 2, "everything is said", || {
        conversations.iter().all(|conversation| house.said(conversation).last().is_some_and(|last| last == "three"))
    })
    .await;
    for conversation in &conversations {
        let mut said = house.said(conversation);
        said.dedup();
        assert_eq!(said, ["one", "two", "three"]);
    }
    house.nothing_went_wrong();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_fenced_drops_the_partition_and_takes_it_again_when_it_is_free() {
    let house = House::new();
    let a = house.node("a").await;
    let conversation = house.says("GB.1", "one").await;
    until(HANDED_OVER, "an answer", || house.said(&conversation) == ["one"]).await;
    house.quiet().await;
    let thief = house.server.node();
    house.server.expire();
    let stolen = thief.acquire(thief.partition_of(&conversation)).await.unwrap().unwrap();
    house.says("GB.1", "two").await;
    until(LEASE, "only the stolen one is missing", || a.owned() == ALL - 1).await;
    tokio::time::sleep(LEASE / 2).await;
    assert_eq!(house.said(&conversation), ["one"], "it is the other's to answer");
    assert_eq!(a.owned(), ALL - 1);
    thief.release(stolen).await.unwrap();
    until(HANDED_OVER, "an answer", || house.said(&conversation) == ["one", "two"]).await;
    assert_eq!(a.owned(), ALL);
    house.nothing_went_wrong();
}

#[tokio::test(start_paused = true)]
async fn when_the_store_has_lost_its_last_writes_everything_is_read_again() {
    let house = House::new();
    let a = house.node("a").await;
    let conversation = house.says("GB.1", "one").await;
    until(HANDED_OVER, "an answer", || house.said(&conversation) == ["one"]).await;
    house.quiet().await;
    let before: Vec<Lease> = a.engine.shared().owners.leases();
    house.server.stall();
    house.says("GB.1", "lost").await;
    tokio::time::sleep(HANDED_OVER).await;
    assert_eq!(house.said(&conversation), ["one"], "no effect begins before its cause is safe");
    assert!(house.server.fail_over());
    until(HANDED_OVER, "every lease is a new one", || {
        let after = a.engine.shared().owners.leases();
        after.len() == ALL && before.iter().zip(&after).all(|(before, after)| before.token != after.token)
    })
    .await;
    house.says("GB.1", "two").await;
    until(HANDED_OVER, "an answer", || house.said(&conversation) == ["one", "two"]).await;
    house.nothing_went_wrong();
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_in_order_and_nothing_is_said_twice_while_partitions_move() {
    let house = House::new();
    let mut nodes = vec![house.node("n0").await];
    let mut conversations = Vec::new();
    for turn in 0..30 {
        for customer in customers() {
            conversations.push(house.says(&customer, &format!("{turn}")).await);
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        if turn % 3 == 0 {
            nodes.push(house.node(&format!("n{}", turn + 1)).await);
        }
        if nodes.len() > 3 {
            assert!(nodes.remove(0).engine.stop(GRACE).await, "everything in hand was finished");
        }
    }
    let expected: Vec<String> = (0..30).map(|turn| format!("{turn}")).collect();
    for conversation in &conversations {
        until(LEASE, "everything is said", || house.said(conversation).len() >= 30).await;
        assert_eq!(house.said(conversation), expected);
    }
    house.nothing_went_wrong();
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_each_partition_back_when_it_is_idle_there() {
    let house = House::new();
    let a = house.node("a").await;
    let conversation = house.says("GB.1", "one").await;
    until(HANDED_OVER, "it is on its way", || house.said(&conversation) == ["one"]).await;
    let busy = house.intake.partition_of(&conversation);
    let thief = house.server.node();
    let mut stop = std::pin::pin!(a.engine.stop(GRACE));
    let stopped = tokio::time::timeout(Duration::from_millis(50), &mut stop).await;
    assert!(stopped.is_err(), "one is still on its way");
    for partition in (0..PARTITIONS).map(Partition) {
        assert_eq!(thief.acquire(partition).await.unwrap().is_some(), partition != busy, "{partition}");
    }
    assert!(stop.await);
    assert!(thief.acquire(busy).await.unwrap().is_some());
    house.nothing_went_wrong();
}

#[tokio::test(start_paused = true)]
async fn a_stop_whose_time_is_over_cuts_off_and_gives_back_all_the_same() {
    let house = House::new();
    let a = house.node("a").await;
    let conversation = house.says("GB.1", "one").await;
    until(HANDED_OVER, "it is on its way", || house.said(&conversation) == ["one"]).await;
    assert!(!a.engine.stop(Duration::from_millis(20)).await);
    let next = house.server.node();
    assert!(next.acquire(next.partition_of(&conversation)).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn without_its_store_a_node_starts_and_says_why_it_has_nothing() {
    let house = House::new();
    let store = Arc::new(house.server.node());
    store.close().await;
    let node = house.node_with("a", store).await;
    let status = node.engine.status();
    assert!(status.settled && status.problem.is_some_and(|problem| !problem.lasting));
    assert_eq!(node.owned(), 0);
    assert!(node.engine.stop(GRACE).await);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_customer_may_be_sent_waits_its_turn() {
    let house = House::new();
    let _a = house.node("a").await;
    let conversation = house.says("GB.1", "0").await;
    for turn in 1..48 {
        house.says("GB.1", &format!("{turn}")).await;
    }
    let begun = tokio::time::Instant::now();
    until(Duration::from_secs(60), "everything is said", || house.said(&conversation).len() == 48).await;
    // 45 at once, at 0.3 s each; the other three wait for turns that come every 6 s, of which two have passed meanwhile.
    assert!(begun.elapsed() >= Duration::from_secs(17), "{:?}", begun.elapsed());
    house.nothing_went_wrong();
}

//! Who may write a partition.

use patchbay_store::{Commit, Lease, Partition, Position, Store, StoreError};

use super::data::{conversation, conversation_id, known, task};
use super::{Instance, own};

/// Everything that a lease is for is refused.
async fn is_fenced(store: &dyn Store, lease: &Lease) {
    let id = conversation_id("a");
    let commit = Commit {
        conversation: Some((0, conversation(&id, "stale"))),
        put_tasks: vec![task("stale", &id, 1)],
        append: vec![known("stale", &id)],
        ..Commit::default()
    };
    assert!(matches!(store.commit(lease, commit).await, Err(StoreError::Fenced(p)) if p == lease.partition));
    assert!(matches!(store.renew(lease).await, Err(StoreError::Fenced(_))));
    assert!(matches!(store.load(lease).await, Err(StoreError::Fenced(_))));
    assert!(matches!(store.journal(lease, Position(0), 1).await, Err(StoreError::Fenced(_))));
    assert!(matches!(store.release(lease.clone()).await, Err(StoreError::Fenced(_))));
}

pub(crate) async fn a_partition_has_one_owner(instance: &mut impl Instance) {
    let store = instance.store();
    let lease = store.acquire(Partition(0)).await.unwrap().unwrap();
    assert_eq!(store.acquire(Partition(0)).await.unwrap(), None);
    store.renew(&lease).await.unwrap();
    let other = store.acquire(Partition(1)).await.unwrap();
    assert!(other.is_some(), "partitions are owned one by one");
    store.release(lease.clone()).await.unwrap();
    let next = store.acquire(Partition(0)).await.unwrap().unwrap();
    assert_eq!(next.epoch, lease.epoch + 1);
    assert_ne!(next.token, lease.token);
}

pub(crate) async fn a_stale_lease_writes_nothing(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let stale = own(&store, &id).await;
    store.release(stale.clone()).await.unwrap();
    is_fenced(store.as_ref(), &stale).await;
    let lease = own(&store, &id).await;
    is_fenced(store.as_ref(), &stale).await;
    let forged = Lease { token: lease.token.wrapping_add(1), ..lease.clone() };
    is_fenced(store.as_ref(), &forged).await;
    assert_eq!(store.load(&lease).await.unwrap(), patchbay_store::Pending::default());
    assert_eq!(super::journal(&store, &lease).await, []);
    assert_eq!(store.conversation(&id).await.unwrap(), None);
    store.commit(&lease, Commit { put_tasks: vec![task("fresh", &id, 1)], ..Commit::default() }).await.unwrap();
}

pub(crate) async fn a_crash_ends_every_lease(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let before = own(&store, &id).await;
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    is_fenced(store.as_ref(), &before).await;
    let after = own(&store, &id).await;
    assert!(after.epoch > before.epoch);
    is_fenced(store.as_ref(), &before).await;
    store.renew(&after).await.unwrap();
}

pub(crate) async fn a_partition_that_is_not_there_cannot_be_taken(instance: &mut impl Instance) {
    let store = instance.store();
    let beyond = Partition(store.partitions());
    assert!(matches!(store.acquire(beyond).await, Err(StoreError::Unsuitable(_))));
    for number in 0..200 {
        assert!(store.partition_of(&conversation_id(&format!("{number}"))) < beyond);
    }
}

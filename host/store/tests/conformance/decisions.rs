//! How events were decided.

use patchbay_store::{Commit, Lease, Position, Retention, StoreError};

use super::data::{conversation, conversation_id, decision, event_id, known};
use super::upkeep::{days, kept, own_all, thin_out};
use super::{Instance, journal, own};

pub(crate) async fn a_decision_is_written_with_its_commit(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    store.append(vec![known("1", &id), known("2", &id)]).await.unwrap();
    let lease = own(&store, &id).await;
    let waiting = journal(&store, &lease).await;
    let (first, second) = (event_id("1"), event_id("2"));
    assert_eq!(store.decision(&first).await.unwrap(), None);
    let commit = Commit {
        handled: Some(waiting[0].position),
        conversation: Some((0, conversation(&id, "1"))),
        decision: Some(decision("1", "at first")),
        ..Commit::default()
    };
    store.commit(&lease, commit.clone()).await.unwrap();
    assert_eq!(store.decision(&first).await.unwrap(), Some(decision("1", "at first")));
    assert_eq!(store.decision(&second).await.unwrap(), None);
    // Its answer was lost.
    store.commit(&lease, commit).await.unwrap();
    let without = Commit { handled: Some(waiting[1].position), ..Commit::default() };
    store.commit(&lease, without).await.unwrap();
    assert_eq!(store.decision(&second).await.unwrap(), None, "nothing was decided");
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    assert_eq!(store.decision(&first).await.unwrap(), Some(decision("1", "at first")));
    assert_eq!(store.event(&first).await.unwrap().unwrap().event.id, first);
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}

pub(crate) async fn a_refused_commit_leaves_no_decision(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    store.append(vec![known("1", &id)]).await.unwrap();
    let lease = own(&store, &id).await;
    let position = journal(&store, &lease).await[0].position;
    let wrong = Commit {
        handled: Some(position),
        conversation: Some((5, conversation(&id, "1"))),
        decision: Some(decision("1", "never")),
        ..Commit::default()
    };
    let refused = store.commit(&lease, wrong).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let stale = Lease { token: !lease.token, ..lease.clone() };
    let commit = Commit { handled: Some(position), decision: Some(decision("1", "never")), ..Commit::default() };
    let refused = store.commit(&stale, commit).await;
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    assert_eq!(store.decision(&event_id("1")).await.unwrap(), None);
    // One that was applied before is not written again, whatever it brings.
    let handled = Commit { handled: Some(position), decision: Some(decision("1", "kept")), ..Commit::default() };
    store.commit(&lease, handled.clone()).await.unwrap();
    let other = Commit { decision: Some(decision("1", "never")), ..handled };
    store.commit(&lease, other).await.unwrap();
    assert_eq!(store.decision(&event_id("1")).await.unwrap(), Some(decision("1", "kept")));
}

pub(crate) async fn an_event_is_decided_again(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    store.append(vec![known("1", &id), known("2", &id)]).await.unwrap();
    let lease = own(&store, &id).await;
    let waiting = journal(&store, &lease).await;
    let handled = |n: usize, decision| Commit {
        handled: Some(waiting[n].position),
        decision: Some(decision),
        ..Commit::default()
    };
    store.commit(&lease, handled(0, decision("1", "put aside"))).await.unwrap();
    // It comes back by another event's doing, or by none's.
    store.commit(&lease, handled(1, decision("1", "taken up"))).await.unwrap();
    assert_eq!(store.decision(&event_id("1")).await.unwrap(), Some(decision("1", "taken up")));
    assert_eq!(store.decision(&event_id("2")).await.unwrap(), None);
    let last = Commit { decision: Some(decision("1", "at last")), ..Commit::default() };
    store.commit(&lease, last.clone()).await.unwrap();
    store.commit(&lease, last).await.unwrap();
    assert_eq!(store.decision(&event_id("1")).await.unwrap(), Some(decision("1", "at last")));
    let of_none = Commit { decision: Some(decision("never seen", "of none")), ..Commit::default() };
    store.commit(&lease, of_none).await.unwrap();
    assert_eq!(store.decision(&event_id("never seen")).await.unwrap(), None);
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}

pub(crate) async fn a_decision_goes_with_its_event(instance: &mut impl Instance) {
    let store = instance.store();
    let leases = own_all(&store).await;
    let id = conversation_id("a");
    let new = patchbay_model::Arrival { received_at: days(3), ..known("new", &id) };
    store.append(vec![known("old", &id), new]).await.unwrap();
    let lease = &leases[usize::from(store.partition_of(&id).0)];
    let positions: Vec<Position> = journal(&store, lease).await.into_iter().map(|record| record.position).collect();
    for (position, name) in positions.into_iter().zip(["old", "new"]) {
        let (handled, decision) = (Some(position), Some(decision(name, "")));
        store.commit(lease, Commit { handled, decision, ..Commit::default() }).await.unwrap();
    }
    let raw = Retention { raw: kept(1), ..Retention::default() };
    assert_eq!(thin_out(&store, &leases, &raw, days(2)).await.raw, 1);
    assert!(store.decision(&event_id("old")).await.unwrap().is_some(), "only the raw JSON is gone");
    let events = Retention { events: kept(2), ..Retention::default() };
    assert_eq!(thin_out(&store, &leases, &events, days(4)).await.events, 1);
    assert_eq!(store.decision(&event_id("old")).await.unwrap(), None);
    assert_eq!(store.decision(&event_id("new")).await.unwrap(), Some(decision("new", "")));
    // Its id is known, and nothing is kept by it.
    let late = Commit { decision: Some(decision("old", "too late")), ..Commit::default() };
    store.commit(lease, late).await.unwrap();
    assert_eq!(store.decision(&event_id("old")).await.unwrap(), None);
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}

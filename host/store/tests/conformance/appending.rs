//! Events into the journal, each once, each in its conversation.

use std::sync::Arc;

use patchbay_model::{Arrival, ConversationId, Identity, Route};
use patchbay_store::{Appended, Pending, Position, Store};

use super::data::{arrival, channel, conversation_id, customer, known, phone, user};
use super::{Instance, journal, own};

/// Appends one and gives its conversation.
async fn one(store: &Arc<dyn Store>, arrival: Arrival) -> ConversationId {
    match store.append(vec![arrival]).await.unwrap().remove(0) {
        Appended::New { conversation, partition } => {
            assert_eq!(partition, store.partition_of(&conversation));
            conversation
        }
        other => panic!("not taken: {other:?}"),
    }
}

pub(crate) async fn an_event_stands_in_its_journal(instance: &mut impl Instance) {
    let store = instance.store();
    let arrived = arrival("hello", customer(&[phone("447700900001")]));
    let conversation = one(&store, arrived.clone()).await;
    let lease = own(&store, &conversation).await;
    let pending = journal(&store, &lease).await;
    let [record] = pending.as_slice() else { panic!("one event, not {}", pending.len()) };
    assert_eq!((&record.event.id, &record.event.conversation), (&arrived.id, &conversation));
    assert_eq!(record.event.body, arrived.body);
    assert_eq!((&record.route, &record.raw), (&arrived.route, &arrived.raw));
    assert_eq!(store.event(&arrived.id).await.unwrap().as_ref(), Some(record));
    assert_eq!(store.load(&lease).await.unwrap(), Pending::default(), "an event is neither task nor timer");
}

pub(crate) async fn the_same_event_is_taken_once(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let batch = vec![known("1", &id), known("1", &id), known("2", &id)];
    let appended = store.append(batch).await.unwrap();
    assert!(matches!(appended.as_slice(), [Appended::New { .. }, Appended::Duplicate, Appended::New { .. }]));
    let again = store.append(vec![known("2", &id), known("3", &id)]).await.unwrap();
    assert!(matches!(again.as_slice(), [Appended::Duplicate, Appended::New { .. }]));
    // The id decides, not where it is said to belong.
    let elsewhere = store.append(vec![arrival("3", customer(&[phone("1")]))]).await.unwrap();
    assert_eq!(elsewhere, [Appended::Duplicate]);
    instance.reopen().await;
    let store = instance.store();
    assert_eq!(store.append(vec![known("1", &id)]).await.unwrap(), [Appended::Duplicate]);
    let lease = own(&store, &id).await;
    assert_eq!(journal(&store, &lease).await.len(), 3);
    assert!(store.append(Vec::new()).await.unwrap().is_empty());
}

pub(crate) async fn concurrent_duplicates_are_taken_once(instance: &mut impl Instance) {
    let store = instance.store();
    for round in 0..5 {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (store, route) = (Arc::clone(&store), customer(&[phone("447700900001")]));
                tokio::spawn(async move { store.append(vec![arrival(&format!("{round}"), route)]).await.unwrap() })
            })
            .collect();
        let mut new = 0;
        for task in tasks {
            new += task.await.unwrap().iter().filter(|appended| matches!(appended, Appended::New { .. })).count();
        }
        assert_eq!(new, 1);
    }
}

pub(crate) async fn a_conversation_keeps_its_order(instance: &mut impl Instance) {
    let store = instance.store();
    let (a, b) = (conversation_id("a"), conversation_id("b"));
    for number in 0..10 {
        let batch =
            vec![known(&format!("a{number}"), &a), known(&format!("b{number}"), &b), known(&format!("a{number}+"), &a)];
        store.append(batch).await.unwrap();
    }
    let lease = own(&store, &a).await;
    let journal = journal(&store, &lease).await;
    assert!(journal.is_sorted_by(|one, next| one.position < next.position));
    let of_a: Vec<_> = journal.iter().filter(|record| record.event.conversation == a).map(|r| &r.event.body).collect();
    let expected: Vec<_> = (0..10).flat_map(|n| [format!("a{n}"), format!("a{n}+")]).collect();
    let expected: Vec<_> = expected.iter().map(|name| super::data::text(name)).collect();
    assert_eq!(of_a, expected.iter().collect::<Vec<_>>());
}

pub(crate) async fn the_journal_is_read_in_pieces(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    store.append((0..7).map(|number| known(&format!("{number}"), &id)).collect()).await.unwrap();
    let lease = own(&store, &id).await;
    let all = journal(&store, &lease).await;
    let mut pieces = Vec::new();
    let mut after = Position(0);
    loop {
        let piece = store.journal(&lease, after, 3).await.unwrap();
        assert!(piece.len() <= 3);
        let Some(last) = piece.last() else { break };
        after = last.position;
        pieces.extend(piece);
    }
    assert_eq!(pieces, all);
}

pub(crate) async fn a_wake_up_follows_an_append(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let wakeup = store.wakeup(store.partition_of(&id));
    store.append(vec![known("1", &id)]).await.unwrap();
    // The owner was busy meanwhile, and is told all the same.
    wakeup.notified().await;
    let waiting = tokio::spawn(async move { wakeup.notified().await });
    store.append(vec![known("2", &id)]).await.unwrap();
    waiting.await.unwrap();
}

pub(crate) async fn identities_lead_to_one_conversation(instance: &mut impl Instance) {
    let store = instance.store();
    let (number, id) = (phone("447700900001"), user("GB.1234"));
    let first = one(&store, arrival("phone", customer(std::slice::from_ref(&number)))).await;
    let both = one(&store, arrival("both", customer(&[id.clone(), number.clone()]))).await;
    instance.reopen().await;
    let store = instance.store();
    let alone = one(&store, arrival("user", customer(std::slice::from_ref(&id)))).await;
    assert_eq!((&first, &first), (&both, &alone));
    let other = one(&store, arrival("other", customer(&[phone("447700900002")]))).await;
    assert_ne!(first, other);
}

pub(crate) async fn the_surest_known_identity_wins(instance: &mut impl Instance) {
    let store = instance.store();
    let (number, id) = (phone("447700900001"), user("GB.1234"));
    let by_phone = one(&store, arrival("1", customer(std::slice::from_ref(&number)))).await;
    let by_user = one(&store, arrival("2", customer(std::slice::from_ref(&id)))).await;
    assert_ne!(by_phone, by_user);
    assert_eq!(one(&store, arrival("3", customer(&[id.clone(), number.clone()]))).await, by_user);
    assert_eq!(one(&store, arrival("4", customer(&[number.clone(), id]))).await, by_phone);
    // An identity keeps the conversation that it has.
    assert_eq!(one(&store, arrival("5", customer(&[number]))).await, by_phone);
}

pub(crate) async fn identities_belong_to_a_channel(instance: &mut impl Instance) {
    let store = instance.store();
    let identities: Vec<Identity> = vec![phone("447700900001")];
    let route = |name| Route::Customer {
        channel: channel(name),
        identities: identities.clone(),
        former: Vec::new(),
        profile: Default::default(),
    };
    let support = one(&store, arrival("1", route("support"))).await;
    let sales = one(&store, arrival("2", route("sales"))).await;
    assert_ne!(support, sales);
}

pub(crate) async fn an_account_has_a_line_of_its_own(instance: &mut impl Instance) {
    let store = instance.store();
    let route = Route::Account(channel("support"));
    let first = one(&store, arrival("1", route.clone())).await;
    assert_eq!(Some(&first), route.new_conversation().as_ref());
    assert_eq!(first, one(&store, arrival("2", route)).await);
}

pub(crate) async fn a_foreign_conversation_is_taken_as_it_is(instance: &mut impl Instance) {
    let store = instance.store();
    let foreign = conversation_id("from another gateway");
    assert_eq!(one(&store, known("1", &foreign)).await, foreign);
    assert_eq!(store.conversation(&foreign).await.unwrap(), None);
}

pub(crate) async fn many_appends_at_once_all_arrive(instance: &mut impl Instance) {
    let store = instance.store();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let store = Arc::clone(&store);
            let id = conversation_id(&format!("{}", number % 7));
            tokio::spawn(async move { store.append(vec![known(&format!("{number}"), &id)]).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap().as_slice(), [Appended::New { .. }]));
    }
    let mut found = 0;
    for partition in 0..store.partitions() {
        let lease = store.acquire(patchbay_store::Partition(partition)).await.unwrap().unwrap();
        found += journal(&store, &lease).await.len();
    }
    assert_eq!(found, 100);
}

//! Who is who: identities that change, are given to somebody else, and bring two conversations of one customer together.

use std::sync::Arc;

use patchbay_model::{ConversationId, EventId, Identity, Route};
use patchbay_store::{Appended, Store};

use super::Instance;
use super::data::{arrival, changed, channel, customer, event_id, phone, user};

fn only(identity: &Identity) -> &[Identity] {
    std::slice::from_ref(identity)
}

/// Appends an event and gives its conversation and the others that it names.
async fn arrive(store: &Arc<dyn Store>, name: &str, route: Route) -> (ConversationId, Vec<ConversationId>) {
    let appended = store.append(vec![arrival(name, route)]).await.unwrap();
    let [Appended::New { conversation, .. }] = appended.as_slice() else { panic!("not taken: {appended:?}") };
    let id: EventId = event_id(name);
    let record = store.event(&id).await.unwrap().unwrap();
    assert_eq!(record.event.conversation, *conversation);
    (conversation.clone(), record.others)
}

/// Appends a message from somebody, and gives the conversation; there is no other.
async fn from(store: &Arc<dyn Store>, name: &str, identities: &[Identity]) -> ConversationId {
    let (conversation, others) = arrive(store, name, customer(identities)).await;
    assert_eq!(others, [], "{name}");
    conversation
}

pub(crate) async fn a_number_is_changed_and_then_used(instance: &mut impl Instance) {
    let store = instance.store();
    let (old, new) = (phone("447700900001"), phone("447700900002"));
    let before = from(&store, "before", only(&old)).await;
    let notice = changed(only(&new), only(&old));
    assert_eq!(arrive(&store, "notice", notice).await, (before.clone(), Vec::new()));
    instance.reopen().await;
    let store = instance.store();
    assert_eq!(from(&store, "after", &[new]).await, before);
    // A late message from the old number, while nobody else is seen with it.
    assert_eq!(from(&store, "late", &[old]).await, before);
}

pub(crate) async fn a_number_is_used_before_its_change_is_told(instance: &mut impl Instance) {
    let store = instance.store();
    let (old, new) = (phone("447700900001"), phone("447700900002"));
    let before = from(&store, "before", only(&old)).await;
    let fresh = from(&store, "after", only(&new)).await;
    assert_ne!(before, fresh);
    let notice = || changed(only(&new), only(&old));
    // The surest identity's conversation has it, and the other one is named, to be joined.
    assert_eq!(arrive(&store, "notice", notice()).await, (fresh.clone(), vec![before.clone()]));
    instance.reopen().await;
    let store = instance.store();
    let kept = store.event(&event_id("notice")).await.unwrap().unwrap();
    assert_eq!((kept.event.conversation, kept.others), (fresh.clone(), vec![before.clone()]));
    assert_eq!(from(&store, "new", &[new]).await, fresh);
    assert_eq!(from(&store, "old", &[old]).await, before, "it leads where it led");
}

pub(crate) async fn a_number_is_given_to_a_new_person(instance: &mut impl Instance) {
    let store = instance.store();
    let (old, new, stranger) = (phone("447700900001"), phone("447700900002"), user("GB.2"));
    let first = from(&store, "before", only(&old)).await;
    arrive(&store, "notice", changed(only(&new), only(&old))).await;
    // Somebody whom nobody knows, by something surer, with the number that was given up.
    let second = from(&store, "stranger", &[stranger.clone(), old.clone()]).await;
    assert_ne!(second, first);
    assert_eq!(from(&store, "by number", only(&old)).await, second, "the number is theirs now");
    assert_eq!(from(&store, "by user", &[stranger]).await, second);
    assert_eq!(from(&store, "the first one", only(&new)).await, first);
    // It is no former number any more, so that a known person with it is the same as the second one.
    assert_eq!(arrive(&store, "both", customer(&[new, old])).await, (first, vec![second]));
}

pub(crate) async fn a_former_number_of_a_known_person_stays_theirs(instance: &mut impl Instance) {
    let store = instance.store();
    let (old, id) = (phone("447700900001"), user("GB.1"));
    let first = from(&store, "before", &[id.clone(), old.clone()]).await;
    arrive(&store, "notice", changed(only(&id), only(&old))).await;
    // The surer identity is known: it is nobody new.
    assert_eq!(from(&store, "with both", &[id, old.clone()]).await, first);
    assert_eq!(from(&store, "by number", &[old]).await, first);
}

pub(crate) async fn a_former_identity_that_nobody_had_leads_here(instance: &mut impl Instance) {
    let store = instance.store();
    let (old, new) = (phone("447700900001"), phone("447700900002"));
    let (first, others) = arrive(&store, "notice", changed(only(&new), only(&old))).await;
    assert_eq!(others, []);
    assert_eq!(from(&store, "late", only(&old)).await, first);
    assert_eq!(from(&store, "new", &[new]).await, first);
    let second = from(&store, "stranger", &[user("GB.2"), old.clone()]).await;
    assert_ne!(second, first);
    assert_eq!(from(&store, "again", &[old]).await, second);
}

pub(crate) async fn two_known_conversations_meet(instance: &mut impl Instance) {
    let store = instance.store();
    let (number, id, other) = (phone("447700900001"), user("GB.1"), phone("447700900002"));
    let by_number = from(&store, "number", only(&number)).await;
    let by_user = from(&store, "user", only(&id)).await;
    let by_other = from(&store, "other", only(&other)).await;
    let all = [id.clone(), number.clone(), other];
    assert_eq!(
        arrive(&store, "all", customer(&all)).await,
        (by_user.clone(), vec![by_number.clone(), by_other]),
        "in the order of the identities"
    );
    // They keep leading where they led, and say so every time.
    let both = customer(&[number.clone(), id.clone()]);
    assert_eq!(arrive(&store, "both", both).await, (by_number.clone(), vec![by_user.clone()]));
    assert_eq!(from(&store, "one", &[number.clone(), number]).await, by_number);
    assert_eq!(from(&store, "another", &[id]).await, by_user);
}

pub(crate) async fn others_are_in_the_journal_too(instance: &mut impl Instance) {
    let store = instance.store();
    let (number, id) = (phone("447700900001"), user("GB.1"));
    let by_number = from(&store, "number", only(&number)).await;
    let by_user = from(&store, "user", only(&id)).await;
    arrive(&store, "both", customer(&[id, number])).await;
    let lease = super::own(&store, &by_user).await;
    let waiting = super::journal(&store, &lease).await;
    let both = waiting.iter().find(|record| record.event.id == event_id("both")).unwrap();
    assert_eq!(both.others, [by_number]);
    assert!(waiting.iter().all(|record| record.event.id == event_id("both") || record.others.is_empty()));
}

pub(crate) async fn a_group_is_a_conversation_of_its_own(instance: &mut impl Instance) {
    let store = instance.store();
    let group = |id: &str| Identity::Group(id.into());
    let one = from(&store, "1", &[group("447700900001")]).await;
    assert_eq!(from(&store, "2", &[group("447700900001")]).await, one);
    assert_ne!(from(&store, "3", &[group("2")]).await, one);
    assert_ne!(from(&store, "4", &[phone("447700900001")]).await, one, "a group is no person");
    assert_ne!(from(&store, "5", &[user("447700900001")]).await, one);
    let elsewhere = Route::Customer {
        channel: channel("sales"),
        identities: vec![group("447700900001")],
        former: Vec::new(),
        profile: Default::default(),
    };
    assert_ne!(arrive(&store, "6", elsewhere).await.0, one, "each channel has its own");
}

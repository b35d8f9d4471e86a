//! Links to tickets: changed by tasks and events at once, and the way back from a ticket to its conversation.

use std::sync::Arc;

use patchbay_model::{ConversationId, Ticket};
use patchbay_store::{Appended, Commit, ENTRIES_KEPT, Lease, LinkChange, Store};

use super::data::{arrival, conversation_id, link, ticket, ticket_route, written};
use super::{Instance, own};

async fn change(store: &Arc<dyn Store>, lease: &Lease, changes: Vec<LinkChange>) {
    store.commit(lease, Commit { links: changes, ..Commit::default() }).await.unwrap();
}

fn status(id: &ConversationId, status: &str) -> LinkChange {
    LinkChange::Status { conversation: id.clone(), desk: "zendesk".into(), status: status.into() }
}

fn moved(id: &ConversationId, to: &str) -> LinkChange {
    LinkChange::Moved { conversation: id.clone(), desk: "zendesk".into(), to: to.into() }
}

/// A verb for the ticket `read` gave `ticket`.
fn answered(id: &ConversationId, ticket: Ticket, read: &str, entry: Option<&str>) -> LinkChange {
    let entry = entry.map(str::to_owned);
    LinkChange::Written { conversation: id.clone(), ticket, read: Some(read.into()), entry }
}

/// Whose the ticket is, found out by an event called `name`.
async fn owner(store: &Arc<dyn Store>, name: &str, ticket: &str) -> Option<ConversationId> {
    let appended = store.append(vec![arrival(name, ticket_route("zendesk", ticket))]).await.unwrap();
    match appended.as_slice() {
        [Appended::New { conversation, .. }] => Some(conversation.clone()),
        [Appended::Stranger] => None,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn links_are_by_desk(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    change(&store, &lease, vec![written(&id, "zendesk", "4711"), written(&id, "rt", "1")]).await;
    assert_eq!(store.links(&id).await.unwrap(), [link(&id, "rt", "1"), link(&id, "zendesk", "4711")]);
    assert_eq!(store.link(&id, "rt").await.unwrap(), Some(link(&id, "rt", "1")));
    assert_eq!(store.link(&id, "salesforce").await.unwrap(), None);
    assert_eq!(store.links(&conversation_id("b")).await.unwrap(), []);
    let mut changed = link(&id, "rt", "1");
    changed.ticket.status = "solved".into();
    changed.entries.push("e2".into());
    change(&store, &lease, vec![answered(&id, changed.ticket.clone(), "1", Some("e2"))]).await;
    assert_eq!(store.links(&id).await.unwrap(), [changed, link(&id, "zendesk", "4711")]);
}

pub(crate) async fn a_ticket_leads_to_its_conversation(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let stranger = arrival("early", ticket_route("zendesk", "4711"));
    assert_eq!(store.append(vec![stranger.clone()]).await.unwrap(), [Appended::Stranger]);
    assert_eq!(store.event(&stranger.id).await.unwrap(), None, "nothing is kept of a stranger");
    let lease = own(&store, &id).await;
    change(&store, &lease, vec![written(&id, "zendesk", "4711")]).await;
    // The ticket is known now: the same webhook, delivered again, is taken. Another desk's ticket is not it.
    let found = store.append(vec![stranger, arrival("rt", ticket_route("rt", "4711"))]).await.unwrap();
    let expected = Appended::New { partition: lease.partition, conversation: id.clone() };
    assert_eq!(found, [expected.clone(), Appended::Stranger]);
    // A follow-up ticket takes its place, and late news of the first one still arrives.
    change(&store, &lease, vec![answered(&id, ticket("zendesk", "4712"), "4711", None)]).await;
    assert_eq!(store.link(&id, "zendesk").await.unwrap(), Some(link(&id, "zendesk", "4712")));
    let both = vec![arrival("late", ticket_route("zendesk", "4711")), arrival("new", ticket_route("zendesk", "4712"))];
    assert_eq!(store.append(both).await.unwrap(), [expected.clone(), expected]);
}

pub(crate) async fn a_task_and_an_event_lose_nothing_of_each_other(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    change(&store, &lease, vec![written(&id, "zendesk", "0")]).await;
    let rounds = 30;
    let task = {
        let (store, lease, id) = (Arc::clone(&store), lease.clone(), id.clone());
        tokio::spawn(async move {
            for round in 0..rounds {
                // The verb was called for the first ticket, whatever has happened to the link since.
                let entry = format!("task {round}");
                change(&store, &lease, vec![answered(&id, ticket("zendesk", "0"), "0", Some(&entry))]).await;
            }
        })
    };
    for round in 1..=rounds {
        change(&store, &lease, vec![moved(&id, &format!("{round}")), status(&id, &format!("status {round}"))]).await;
    }
    task.await.unwrap();
    let mut expected = link(&id, "zendesk", &format!("{rounds}"));
    expected.ticket.status = format!("status {rounds}");
    expected.entries.extend((0..rounds).map(|round| format!("task {round}")));
    assert_eq!(store.link(&id, "zendesk").await.unwrap(), Some(expected));
}

pub(crate) async fn a_late_answer_does_not_bring_an_old_ticket_back(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    change(&store, &lease, vec![written(&id, "zendesk", "1")]).await;
    change(&store, &lease, vec![moved(&id, "2")]).await;
    // The verb was called for the first ticket, before it was merged.
    let late = Ticket { status: "closed".into(), ..ticket("zendesk", "1") };
    change(&store, &lease, vec![answered(&id, late, "1", Some("e2"))]).await;
    let mut expected = link(&id, "zendesk", "2");
    expected.entries.push("e2".into());
    assert_eq!(store.link(&id, "zendesk").await.unwrap(), Some(expected.clone()));
    // A second creation does not take the place of the first, but its ticket is ours too.
    let created =
        LinkChange::Written { conversation: id.clone(), ticket: ticket("zendesk", "3"), read: None, entry: None };
    change(&store, &lease, vec![created]).await;
    assert_eq!(store.link(&id, "zendesk").await.unwrap(), Some(expected));
    for old in ["1", "2", "3"] {
        assert_eq!(owner(&store, &format!("news of {old}"), old).await, Some(id.clone()));
    }
    // An answer for the ticket that it has moved to counts.
    let now = Ticket { status: "pending".into(), ..ticket("zendesk", "2") };
    change(&store, &lease, vec![answered(&id, now.clone(), "2", None)]).await;
    assert_eq!(store.link(&id, "zendesk").await.unwrap().unwrap().ticket, now);
}

pub(crate) async fn a_desk_changes_only_a_link_that_is_there(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    change(&store, &lease, vec![status(&id, "solved"), moved(&id, "2"), written(&id, "rt", "1")]).await;
    assert_eq!(store.links(&id).await.unwrap(), [link(&id, "rt", "1")]);
    assert_eq!(owner(&store, "early", "2").await, None);
    let mut expected = link(&id, "zendesk", "2");
    expected.ticket.status = "solved".into();
    change(&store, &lease, vec![written(&id, "zendesk", "1"), status(&id, "solved"), moved(&id, "2")]).await;
    assert_eq!(store.link(&id, "zendesk").await.unwrap(), Some(expected));
}

pub(crate) async fn a_merge_redirects_no_other_conversation(instance: &mut impl Instance) {
    let store = instance.store();
    let (a, b) = (conversation_id("a"), conversation_id("b"));
    let lease = own(&store, &a).await;
    change(&store, &lease, vec![written(&a, "zendesk", "1")]).await;
    let other = if store.partition_of(&b) == lease.partition { lease.clone() } else { own(&store, &b).await };
    change(&store, &other, vec![written(&b, "zendesk", "2")]).await;
    change(&store, &lease, vec![moved(&a, "2")]).await;
    // Also when we write there afterwards.
    change(&store, &lease, vec![answered(&a, ticket("zendesk", "2"), "2", Some("e2"))]).await;
    assert_eq!(store.link(&a, "zendesk").await.unwrap().unwrap().ticket.id, "2");
    assert_eq!(store.link(&b, "zendesk").await.unwrap(), Some(link(&b, "zendesk", "2")));
    assert_eq!(owner(&store, "reply", "2").await, Some(b));
    assert_eq!(owner(&store, "late", "1").await, Some(a));
}

pub(crate) async fn the_last_entries_are_kept_once_each(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let entry = |number: usize| answered(&id, ticket("zendesk", "1"), "1", Some(&format!("{number}")));
    change(&store, &lease, (0..ENTRIES_KEPT).map(entry).collect()).await;
    // Again, as after an answer that was lost.
    change(&store, &lease, vec![entry(7)]).await;
    let entries = async || store.link(&id, "zendesk").await.unwrap().unwrap().entries;
    let numbers = |from, to| (from..to).map(|number: usize| format!("{number}")).collect::<Vec<_>>();
    assert_eq!(entries().await, numbers(0, ENTRIES_KEPT));
    change(&store, &lease, vec![entry(ENTRIES_KEPT), entry(ENTRIES_KEPT + 1)]).await;
    assert_eq!(entries().await, numbers(2, ENTRIES_KEPT + 2));
}

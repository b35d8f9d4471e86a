//! Conversations that turn out to be one customer's.

use patchbay_model::ConversationId;
use patchbay_model::event::{Delivery, DeliveryState, IdentityChange, IdentityChanged, Join, Joined, TimerFired};
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::world::World;
use super::*;

fn phone(number: u64) -> Identity {
    Identity::Phone(format!("4477009{number:05}").into())
}

fn conversation_of(number: u64) -> ConversationId {
    by(number, "", 0).event.conversation
}

/// A message of the customer with this number.
fn by(number: u64, words: &str, at: u64) -> EventRecord {
    let route = Route::Customer {
        channel: channel(),
        identities: vec![phone(number)],
        former: Vec::new(),
        profile: patchbay_model::arrival::Profile::default(),
    };
    let id = EventId::derive(&[b"said", words.as_bytes(), &number.to_le_bytes(), &at.to_le_bytes()]);
    let occurred_at = Timestamp::from_millis(1_764_000_000_000 + at);
    let conversation = route.new_conversation().unwrap();
    let event = Event { id, conversation, occurred_at, received_at: occurred_at, body: text(words) };
    EventRecord { position: Position(0), event, route, raw: None, others: Vec::new() }
}

/// The same, and it shows that another number is the same customer's.
fn seen_with(number: u64, other: u64, words: &str, at: u64) -> EventRecord {
    EventRecord { others: vec![conversation_of(other)], ..by(number, words, at) }
}

/// Two numbers: the one whose conversation survives first.
fn pair() -> (u64, u64) {
    if conversation_of(1) < conversation_of(2) { (1, 2) } else { (2, 1) }
}

fn in_order() -> impl FnMut(usize) -> usize {
    |_| 0
}

#[test]
fn whoever_finds_out_the_smaller_one_survives() {
    let (first, second) = pair();
    for finder in [first, second] {
        let other = first + second - finder;
        let mut world = World::default();
        world.append(by(first, "one", 1));
        world.append(by(second, "two", 2));
        world.append(seen_with(finder, other, "three", 3));
        world.settle(in_order());
        assert_eq!(world.root(&conversation_of(second)), conversation_of(first));
        let survivor = &world.conversations[&conversation_of(first)];
        assert_eq!(survivor.joined, None);
        let said: Vec<&str> = survivor.unfiled.iter().map(|entry| entry.text.reveal().as_str()).collect();
        assert_eq!(said, ["one", "two", "three"], "in the order of time");
        assert!(world.conversations[&conversation_of(second)].unfiled.is_empty());
        world.append(by(second, "four", 4));
        world.settle(in_order());
        assert_eq!(world.conversations[&conversation_of(first)].unfiled.len(), 4, "and what comes later is passed on");
    }
}

#[test]
fn the_survivor_goes_on_in_the_ticket_of_the_other() {
    let (first, second) = pair();
    let mut world = World::default();
    world.append(by(second, "a ticket please", 1));
    world.append(by(first, "hello", 2));
    world.append(seen_with(first, second, "it is me", 3));
    world.settle(in_order());
    world.append(by(second, "with my old number", 4));
    world.settle(in_order());
    let tickets = world.done.iter().filter(|task| task.effect.kind() == "create-ticket").count();
    assert_eq!(tickets, 1);
    let link = &world.links_of(&conversation_of(first))[0];
    assert_eq!(link.ticket.id, format!("of {}", conversation_of(second)));
    assert_eq!(link.entries, [format!("first of {}", conversation_of(second))], "to know our own entries by");
    let added: Vec<_> = world.done.iter().filter(|task| task.effect.kind() == "add-entry").collect();
    assert!(added.iter().all(|task| task.conversation == conversation_of(first)));
    assert_eq!(added.len(), 3, "{added:?}");
}

#[test]
fn of_two_tickets_the_survivors_is_current_and_each_names_the_other() {
    let (first, second) = pair();
    for finder in [first, second] {
        let other = first + second - finder;
        let mut world = World::default();
        world.append(by(first, "a ticket please", 1));
        world.append(by(second, "a ticket too", 2));
        world.settle(in_order());
        world.append(seen_with(finder, other, "it is me", 3));
        world.settle(in_order());
        let notes = world.done.iter().filter_map(|task| match &task.effect {
            Effect::AddEntry { entry } if !entry.public => {
                Some((task.conversation.clone(), entry.text.reveal().clone()))
            }
            _ => None,
        });
        let notes: BTreeMap<_, _> = notes.collect();
        assert_eq!(notes.len(), 2, "{notes:?}");
        let (first, second) = (conversation_of(first), conversation_of(second));
        assert!(notes[&first].contains(&format!("of {second}")), "{notes:?}");
        assert!(notes[&second].contains(&format!("of {first}")), "{notes:?}");
        assert_eq!(world.links_of(&first)[0].ticket.id, format!("of {first}"));
        let last =
            world.done.iter().rev().find(|task| matches!(&task.effect, Effect::AddEntry { entry } if entry.public));
        assert_eq!(last.unwrap().conversation, first, "what comes is filed with the survivor");
    }
}

#[test]
fn what_the_survivor_lacks_is_taken_over_and_what_it_has_stays() {
    let (first, second) = pair();
    let own = after(&simple(None, &by(first, "hello", 1), vec![]));
    let own = Conversation { attributes: [("language", "en")].map(owned).into(), ..own };
    let mut other = after(&simple(None, &by(second, "hi", 5_000), vec![]));
    other.attributes = [("language", "de"), ("plan", "gold")].map(owned).into();
    other.customer.user_id = Some("GB.2".into());
    other.customer.name = Some("Ada".into());
    other.human = true;
    other.no_marketing = true;
    let until = other.window_until;
    for newest in [false, true] {
        let conversation = other.clone();
        let body = Body::Joined(Box::new(Joined { conversation, tickets: Vec::new(), newest }));
        let record = passed_to(&own.id, body);
        let joined = after(&simple(Some(own.clone()), &record, vec![]));
        assert_eq!(joined.attributes, [("language", "en"), ("plan", "gold")].map(owned).into());
        assert_eq!(joined.customer.user_id, Some("GB.2".into()));
        assert_eq!(joined.customer.id, own.customer.id);
        let expected = if newest { &other } else { &own };
        assert_eq!(joined.customer.phone, expected.customer.phone, "newest: {newest}");
        assert!(joined.human && joined.no_marketing);
        assert_eq!(joined.window_until, until);
        let again = after(&simple(
            Some(joined.clone()),
            &passed_to(&own.id, Body::Join(Join { into: own.id.clone() })),
            vec![],
        ));
        assert_eq!(again, joined, "it does not join itself");
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn passed_to(conversation: &ConversationId, body: Body) -> EventRecord {
    let mut record = record(9, body);
    record.event.conversation = conversation.clone();
    record.route = Route::Conversation(conversation.clone());
    record
}

#[test]
fn the_new_number_counts_wherever_the_change_arrives() {
    let (first, second) = pair();
    for (old, new) in [(first, second), (second, first)] {
        for finder in [old, new] {
            let mut world = World::default();
            world.append(by(old, "a ticket please", 1));
            world.append(by(new, "hello from my new number", 2));
            let mut change = seen_with(finder, old + new - finder, "", 3);
            change.event.body = Body::IdentityChanged(IdentityChanged { what: IdentityChange::Number, note: None });
            if let Route::Customer { identities, former, .. } = &mut change.route {
                *identities = vec![phone(new)];
                *former = vec![phone(old)];
            }
            world.append(change);
            world.settle(in_order());
            let customer = &world.conversations[&conversation_of(first)].customer;
            assert_eq!(customer.phone.clone().map(Identity::Phone), Some(phone(new)), "old {old}, found at {finder}");
            assert!(world.said().contains(&"The customer's number has changed.".to_owned()), "{:?}", world.said());
        }
    }
}

#[test]
fn later_news_of_the_customer_are_passed_on_before_the_event() {
    let (first, second) = pair();
    let mut world = World::default();
    world.append(by(first, "one", 1));
    world.append(by(second, "two", 2));
    world.append(seen_with(first, second, "three", 3));
    world.settle(in_order());
    let mut renamed = by(second, "four", 4);
    if let Route::Customer { profile, .. } = &mut renamed.route {
        profile.name = Some("Ada".into());
    }
    world.append(renamed);
    world.settle(in_order());
    let survivor = &world.conversations[&conversation_of(first)];
    assert_eq!(survivor.customer.name, Some("Ada".into()));
    let patchbay_model::desk::Author::Customer(author) = &survivor.unfiled.back().unwrap().author else { panic!() };
    assert_eq!(author.name, Some("Ada".into()));
}

#[test]
fn a_joined_conversation_hears_of_its_own_messages_and_passes_the_rest_on() {
    let (first, second) = pair();
    let mut world = World::default();
    world.append(by(first, "one", 1));
    world.append(by(second, "a ticket please", 2));
    world.append(seen_with(second, first, "it is me", 3));
    world.settle(in_order());
    let task = TaskId::derive(&[b"t"]);
    let delivery = Delivery {
        message: "wamid.9".into(),
        state: DeliveryState::Read,
        error: None,
        reference: Some(task.clone()),
        pricing: None,
        participant: None,
    };
    let old = conversation_of(second);
    let mut bodies = vec![
        Body::Delivery(delivery),
        Body::Timer(TimerFired { name: "t".into(), data: "{}".into() }),
        activity(Activity::Entry(agent_entry("c9", true, "we look into it"))),
        // Our own entry, coming back: nobody else has to hear of it.
        activity(Activity::Entry(agent_entry(&format!("first of {old}"), true, "a ticket please"))),
    ];
    for (at, body) in bodies.drain(..).enumerate() {
        let mut record = passed_to(&old, body);
        record.event.id = EventId::derive(&[b"body", &at.to_le_bytes()]);
        world.append(record);
    }
    world.settle(in_order());
    for id in [&old, &conversation_of(first)] {
        assert_eq!(world.conversations[id].sent_by(&task).unwrap().state, DeliveryState::Read, "{id}");
    }
    let sends: Vec<_> = world.done.iter().filter(|task| task.effect.kind() == "send").collect();
    assert_eq!(sends.len(), 1, "{sends:?}");
    assert_eq!(sends[0].conversation, conversation_of(first));
}

#[test]
fn a_survivor_that_was_forgotten_begins_anew() {
    let (first, second) = pair();
    let mut world = World::default();
    world.append(by(first, "one", 1));
    world.append(by(second, "two", 2));
    world.append(seen_with(second, first, "three", 3));
    world.settle(in_order());
    world.conversations.remove(&conversation_of(first));
    world.append(by(second, "four", 4));
    world.settle(in_order());
    let survivor = &world.conversations[&conversation_of(first)];
    assert_eq!(survivor.unfiled.back().unwrap().text.reveal(), "four");
    assert_eq!(survivor.customer.phone.clone().map(Identity::Phone), Some(phone(second)));
}

proptest! {
    /// Whatever is found out, by whom and in which order: all that belong together end in one place, which sorts first,
    /// and every word is said once.
    #[test]
    fn joins_form_no_ring_and_lose_nothing(
        joins in proptest::collection::vec((0_u64..6, 0_u64..6), 1..8),
        ticket in proptest::collection::vec(any::<bool>(), 6),
        choices in proptest::collection::vec(0_usize..64, 400),
    ) {
        let mut world = World::default();
        let mut words = Vec::new();
        let mut groups: Vec<BTreeSet<u64>> = (0..6).map(|number| BTreeSet::from([number])).collect();
        for number in 0..6 {
            let said = if ticket[usize::try_from(number).unwrap()] { "ticket" } else { "hello" };
            words.push(format!("{said} {number}"));
            world.append(by(number, &format!("{said} {number}"), number));
        }
        for (at, (one, other)) in joins.into_iter().enumerate().filter(|(_, (one, other))| one != other) {
            words.push(format!("join {at}"));
            world.append(seen_with(one, other, &format!("join {at}"), 100 + u64::try_from(at).unwrap()));
            let (joined, rest): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|group| group.contains(&one) || group.contains(&other));
            groups = rest;
            groups.push(joined.into_iter().flatten().collect());
        }
        let mut choices = choices.into_iter().cycle();
        world.settle(|_| choices.next().unwrap_or_default());
        for number in 0..6 {
            words.push(format!("late {number}"));
            world.append(by(number, &format!("late {number}"), 1_000 + number));
        }
        world.settle(|_| choices.next().unwrap_or_default());
        for group in &groups {
            let smallest = group.iter().map(|number| conversation_of(*number)).min().unwrap();
            for number in group {
                prop_assert_eq!(&world.root(&conversation_of(*number)), &smallest);
            }
        }
        let mut said: Vec<String> =
            world.said().into_iter().filter(|text| !text.starts_with("The ")).collect();
        said.sort();
        words.sort();
        prop_assert_eq!(said, words);
    }
}

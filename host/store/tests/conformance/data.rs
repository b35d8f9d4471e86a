//! Things to store.

use std::time::Duration;

use patchbay_model::arrival::Profile;
use patchbay_model::decision::{Considered, Decision, StepResult, StepTaken};
use patchbay_model::task::{Effect, Lane};
use patchbay_model::*;
use patchbay_store::{ClearedTimer, Link, LinkChange, Report, Timer};

/// When the tests begin.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// So many seconds after [`START`].
pub(crate) fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

pub(crate) fn channel(id: &str) -> Channel {
    Channel {
        id: id.into(),
        platform: "whatsapp".into(),
        account: "102290129340398".into(),
        address: "106540352242922".into(),
    }
}

pub(crate) fn phone(number: &str) -> Identity {
    Identity::Phone(number.into())
}

pub(crate) fn user(id: &str) -> Identity {
    Identity::UserId(id.into())
}

pub(crate) fn event_id(name: &str) -> EventId {
    EventId::derive(&[b"test", name.as_bytes()])
}

pub(crate) fn task_id(name: &str) -> TaskId {
    TaskId::derive(&[b"test", name.as_bytes()])
}

pub(crate) fn conversation_id(name: &str) -> ConversationId {
    ConversationId::derive(&[b"test", name.as_bytes()])
}

pub(crate) fn text(words: &str) -> Body {
    Body::Message(Message {
        id: format!("wamid.{words}").into(),
        content: Content::Text(words.into()),
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    })
}

pub(crate) fn raw(words: &str) -> Raw {
    let json = format!("{{\"text\":{{\"body\":\"{words}\"}}}}").into();
    Raw { field: "messages".into(), list: "messages".into(), json }
}

pub(crate) fn arrival(name: &str, route: Route) -> Arrival {
    Arrival {
        id: event_id(name),
        route,
        occurred_at: START,
        received_at: START,
        body: text(name),
        raw: Some(raw(name)),
    }
}

/// An arrival whose conversation is known.
pub(crate) fn known(name: &str, conversation: &ConversationId) -> Arrival {
    arrival(name, Route::Conversation(conversation.clone()))
}

pub(crate) fn customer(identities: &[Identity]) -> Route {
    changed(identities, &[])
}

/// Somebody who was known by other identities until now.
pub(crate) fn changed(identities: &[Identity], former: &[Identity]) -> Route {
    let (identities, former) = (identities.to_vec(), former.to_vec());
    Route::Customer { channel: channel("support"), identities, former, profile: Profile::default() }
}

pub(crate) fn ticket_route(desk: &str, ticket: &str) -> Route {
    Route::Ticket { desk: desk.into(), ticket: ticket.into() }
}

pub(crate) fn conversation(id: &ConversationId, note: &str) -> Conversation {
    let customer = Customer {
        id: CustomerId::derive(&[id.as_str().as_bytes()]),
        phone: Some("447700900001".into()),
        user_id: None,
        group: None,
        username: None,
        name: Some("Zoë Müller 🦊".into()),
        locale: None,
    };
    let mut conversation = Conversation::new(id.clone(), channel("support"), customer);
    conversation.attributes.insert("note".into(), note.into());
    conversation
}

pub(crate) fn task(name: &str, conversation: &ConversationId, sequence: u64) -> Task {
    Task {
        id: task_id(name),
        lane: Lane::Desk("zendesk".into()),
        conversation: conversation.clone(),
        event: event_id(name),
        sequence,
        effect: Effect::UpdateTicket { fields: Attributes::from([("queue".into(), name.into())]) },
        attempts: 0,
        broken: 0,
        late: Vec::new(),
        aside: false,
        due_at: START,
        created_at: START,
        uncertain_since: None,
        last_error: None,
    }
}

pub(crate) fn dead(task: Task, seconds: u64) -> task::DeadLetter {
    task::DeadLetter { task, reason: "the desk answered 422".into(), died_at: at(seconds) }
}

pub(crate) fn timer(name: &str, conversation: &ConversationId, seconds: u64) -> Timer {
    Timer { conversation: conversation.clone(), name: name.into(), at: at(seconds), data: "{}".into() }
}

/// Clears a timer whenever it goes off.
pub(crate) fn cleared(name: &str, conversation: &ConversationId) -> ClearedTimer {
    ClearedTimer { conversation: conversation.clone(), name: name.into(), at: None }
}

pub(crate) fn ticket(desk: &str, id: &str) -> Ticket {
    Ticket {
        desk: desk.into(),
        id: id.into(),
        url: None,
        status: "open".into(),
        data: Attributes::from([("user".into(), "77".into())]),
    }
}

/// What [`written`] makes where there is no link.
pub(crate) fn link(conversation: &ConversationId, desk: &str, id: &str) -> Link {
    Link { conversation: conversation.clone(), ticket: ticket(desk, id), entries: vec!["e1".into()] }
}

/// A ticket was opened, with an entry.
pub(crate) fn written(conversation: &ConversationId, desk: &str, id: &str) -> LinkChange {
    let (ticket, entry) = (ticket(desk, id), Some("e1".into()));
    LinkChange::Written { conversation: conversation.clone(), ticket, read: None, entry }
}

pub(crate) fn report(event: &str, seconds: u64) -> Report {
    Report {
        at: at(seconds),
        plugin: "router".into(),
        generation: 3,
        event: event.into(),
        cause: "trap".into(),
        detail: "wasm trap: unreachable".into(),
        frames: vec!["router!decide".into()],
        stderr: "panicked".into(),
    }
}

/// How an event was decided, in all the ways that there are.
pub(crate) fn decision(event: &str, note: &str) -> Decision {
    let step = |plugin: &str, canary, result| {
        let took = Duration::from_micros(1_234);
        StepTaken { plugin: plugin.into(), generation: 3, canary, result, took }
    };
    let failed = StepResult::Failed { cause: "trap".into(), detail: "unreachable".into(), policy: "skip".into() };
    let decided = StepResult::Decided { actions: vec!["assign billing".into()], stopped: true };
    Decision {
        event: event_id(event),
        at: START,
        node: "node-1".into(),
        attempts: 2,
        considered: vec![
            Considered { chain: "nights".into(), passed_over: Some("it is not night".into()) },
            Considered { chain: "all".into(), passed_over: None },
        ],
        steps: vec![
            step("shadow", false, StepResult::NotInShare),
            step("guard", false, failed),
            step("router", true, decided),
        ],
        notes: vec![note.into()],
        took: Duration::from_micros(2_000_001),
    }
}

//! What one event leads to, as data: the conversation's new state and the tasks, timers and links of the commit.
//!
//! Planning is pure. It is given the event, the conversation, the tickets and the time, and gives the same plan for the
//! same input; carrying it out is the lanes' business.

mod actions;
mod arrivals;
mod consequences;
mod deliveries;
mod entries;
mod joining;
pub mod letters;
pub mod marketing;
mod parking;

use std::collections::BTreeSet;

use patchbay_model::conversation::Channel;
use patchbay_model::event::DeliveryError;
use patchbay_model::task::{DeadLetter, Lane};
use patchbay_model::{
    Arrival, Body, Conversation, Customer, CustomerId, Effect, Event, Identity, Private, Route, Task, TaskId, Timestamp,
};
use patchbay_store::{ClearedTimer, Commit, EventRecord, Link, LinkChange, Report, Shelving, Timer};

pub use consequences::{ChainEnd, Policy};
pub use joining::Beyond;

use super::routing::Routing;

/// Bits of a task's sequence that count the tasks of one event; the rest is the event's position.
const TASKS_PER_EVENT_BITS: u32 = 12;

/// What the operator's configuration names.
#[derive(Clone, Debug)]
pub struct Configured<'a> {
    /// The desks.
    pub desks: BTreeSet<&'a str>,
    /// Templates that are not marketing.
    pub utility_templates: &'a BTreeSet<String>,
}

impl<'a> Configured<'a> {
    /// What this routing names.
    #[must_use]
    pub fn of(routing: &'a Routing) -> Self {
        let desks = routing.desks.keys().map(String::as_str).collect();
        Self { desks, utility_templates: &routing.utility_templates }
    }
}

/// What one event leads to, while it is being worked out.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    record: &'a EventRecord,
    /// The event that is decided about in the place of the record's.
    about: Option<&'a Event>,
    now: Timestamp,
    /// As the actions so far have left it.
    pub conversation: Conversation,
    /// As the actions so far have left them.
    pub links: Vec<Link>,
    configured: Configured<'a>,
    /// The customer as it was known before the event.
    customer_before: Customer,
    /// The event itself has joined the conversation to another one.
    joined_now: bool,
    link_changes: Vec<LinkChange>,
    tasks: Vec<Task>,
    set_timers: Vec<Timer>,
    cleared_timers: Vec<ClearedTimer>,
    append: Vec<Arrival>,
    reports: Vec<Report>,
    documents: Vec<Shelving>,
    dead_letters: Vec<DeadLetter>,
    /// What was done beyond the handlers' answers, in sentences without what customers wrote.
    remarks: Vec<String>,
    /// The event says that a message of ours will not arrive, and why.
    undelivered: Option<Option<DeliveryError>>,
    planned: u64,
    answered: bool,
    misdirected: bool,
}

impl<'a> Plan<'a> {
    /// A plan for `record`, with the conversation as it stood before.
    #[must_use]
    pub fn new(
        record: &'a EventRecord,
        conversation: Conversation,
        links: Vec<Link>,
        configured: Configured<'a>,
        now: Timestamp,
    ) -> Self {
        Self {
            record,
            about: None,
            now,
            customer_before: conversation.customer.clone(),
            joined_now: false,
            conversation,
            links,
            configured,
            link_changes: Vec::new(),
            tasks: Vec::new(),
            set_timers: Vec::new(),
            cleared_timers: Vec::new(),
            append: Vec::new(),
            reports: Vec::new(),
            documents: Vec::new(),
            dead_letters: Vec::new(),
            remarks: Vec::new(),
            undelivered: None,
            planned: 0,
            answered: false,
            misdirected: false,
        }
    }

    /// The same plan, for another event than the record's: one that was handled before, except for its decision.
    #[must_use]
    pub fn about(self, event: &'a Event) -> Self {
        Self { about: Some(event), ..self }
    }

    /// The event that is decided about.
    fn subject(&self) -> &Event {
        self.about.unwrap_or(&self.record.event)
    }

    /// What was done beyond the handlers' answers, in sentences.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }

    /// Adds a report for the operator.
    pub fn report(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// Adds what the handlers keep.
    pub fn keep(&mut self, documents: Vec<Shelving>) {
        self.documents.extend(documents);
    }

    /// The commit that ends the event's handling, replacing the conversation at `version`.
    #[must_use]
    pub fn into_commit(mut self, version: u64) -> Commit {
        self.tasks.sort_by_key(|task| task.sequence);
        Commit {
            handled: Some(self.record.position),
            conversation: Some((version, self.conversation)),
            put_tasks: self.tasks,
            set_timers: self.set_timers,
            cleared_timers: self.cleared_timers,
            links: self.link_changes,
            append: self.append,
            dead_letters: self.dead_letters,
            reports: self.reports,
            documents: self.documents,
            ..Commit::default()
        }
    }

    /// Orders an effect, behind those that this event has ordered before.
    fn order(&mut self, lane: Lane, effect: Effect) -> TaskId {
        self.planned += 1;
        let id = TaskId::derive(&[self.record.event.id.as_str().as_bytes(), &self.planned.to_le_bytes()]);
        self.tasks.push(Task {
            id: id.clone(),
            lane,
            conversation: self.conversation.id.clone(),
            event: self.record.event.id.clone(),
            sequence: (self.record.position.0 << TASKS_PER_EVENT_BITS) | self.planned,
            effect,
            attempts: 0,
            due_at: self.now,
            created_at: self.now,
            broken: 0,
            uncertain_since: None,
            late: Vec::new(),
            aside: false,
            last_error: None,
        });
        id
    }

    /// A report about what a plugin wanted.
    fn complain(&mut self, plugin: &str, generation: u64, detail: String) {
        self.remarks.push(format!("{plugin}: {detail}"));
        self.report(Report {
            at: self.now,
            plugin: plugin.to_owned(),
            generation,
            event: self.subject().id.to_string(),
            cause: "action".into(),
            detail,
            frames: Vec::new(),
            stderr: String::new(),
        });
    }
}

/// A conversation that has just begun, if the route says enough of it.
#[must_use]
pub fn begin_conversation(record: &EventRecord) -> Option<Conversation> {
    let id = record.event.conversation.clone();
    match &record.route {
        Route::Customer { channel, identities, .. } => {
            let customer = CustomerId::derive(&[id.as_str().as_bytes()]);
            Some(Conversation::new(id, channel.clone(), nobody(customer, identities)))
        }
        Route::Account(channel) => {
            let customer = CustomerId::derive(&[id.as_str().as_bytes()]);
            Some(Conversation::new(id, channel.clone(), nobody(customer, &[])))
        }
        // The one that goes on here knows who it is with, should this one have been forgotten meanwhile.
        Route::Conversation(_) => match &record.event.body {
            Body::Joined(joined) => {
                let customer = CustomerId::derive(&[id.as_str().as_bytes()]);
                let customer = Customer { id: customer, ..joined.conversation.customer.clone() };
                Some(Conversation::new(id, joined.conversation.channel.clone(), customer))
            }
            _ => None,
        },
        Route::Ticket { .. } => None,
    }
}

fn nobody(id: CustomerId, identities: &[Identity]) -> Customer {
    let mut customer =
        Customer { id, phone: None, user_id: None, group: None, username: None, name: None, locale: None };
    learn(&mut customer, identities);
    customer
}

/// Forgets identities that are the customer's no more.
fn forget(customer: &mut Customer, former: &[Identity]) {
    for identity in former {
        let field = match identity {
            Identity::Phone(_) => &mut customer.phone,
            Identity::UserId(_) => &mut customer.user_id,
            Identity::Group(_) => &mut customer.group,
            Identity::Username(_) => &mut customer.username,
        };
        let (Identity::Phone(value) | Identity::UserId(value) | Identity::Group(value) | Identity::Username(value)) =
            identity;
        field.take_if(|known| known == value);
    }
}

/// Takes over the identities that a customer was seen with.
fn learn(customer: &mut Customer, identities: &[Identity]) {
    for identity in identities {
        match identity {
            Identity::Phone(phone) => customer.phone = Some(phone.clone()),
            Identity::UserId(user_id) => customer.user_id = Some(user_id.clone()),
            Identity::Group(group) => customer.group = Some(group.clone()),
            Identity::Username(username) => customer.username = Some(username.clone()),
        }
    }
}

/// How a customer is written to: by phone where there is one, since every WhatsApp number can be.
fn addresses(customer: &Customer) -> Vec<Identity> {
    if let Some(group) = &customer.group {
        return vec![Identity::Group(group.clone())];
    }
    let phone = customer.phone.clone().map(Identity::Phone);
    let user_id = customer.user_id.clone().map(Identity::UserId);
    phone.into_iter().chain(user_id).collect()
}

fn whatsapp_lane(channel: &Channel) -> Lane {
    Lane::Whatsapp(channel.id.clone())
}

fn private(text: impl Into<String>) -> Private<String> {
    Private::new(text.into())
}

#[cfg(test)]
mod tests;

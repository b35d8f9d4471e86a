//! What follows from an event whatever the handlers say: messages reach the tickets, answers reach the customer, and
//! what could not be done is told to the people who wait for it.

use patchbay_model::conversation::Assignment;
use patchbay_model::event::{
    Activity, AgentEntry, DeliveryError, DeskActivity, EffectFailed, Handover, IdentityChange,
};
use patchbay_model::message::Content;
use patchbay_model::task::Origin;
use patchbay_model::{Action, Attributes, Body, Effect, Message, Outgoing, Priority};

use super::arrivals::{CallData, is_platform_agent};
use super::{Plan, private, whatsapp_lane};
use crate::config::Fallback;
use crate::engine::words;

/// What the operator has decided about consequences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy<'a> {
    /// Show the customer that a message was read, and that an answer is being written.
    pub read_receipts: bool,
    /// Where a message goes whose chain could not decide.
    pub fallback: Option<&'a Fallback>,
}

/// How the chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// A step failed and was passed over.
    pub degraded: bool,
    /// A handler said that the chain ends here: what an agent wrote is not relayed.
    pub stopped: bool,
}

impl Plan<'_> {
    /// Adds what follows from the event by itself, after the handlers have answered. `desks` are those that had a
    /// ticket ordered before this event.
    pub fn conclude(&mut self, policy: Policy<'_>, mut end: ChainEnd, desks: &[String]) {
        end.degraded |= self.misdirected;
        match &self.record.event.body {
            Body::Message(message) => self.message(message, policy, end, desks),
            Body::DeskActivity(activity) => self.relay_if(activity, end),
            Body::Delivery(_) => {
                if let Some(error) = self.undelivered.take() {
                    self.not_delivered(error.as_ref());
                }
            }
            Body::EffectFailed(failure) => self.effect_failed(failure),
            Body::Echo(heard) | Body::Standby(heard) => self.file(&heard.message, desks),
            Body::IdentityChanged(changed) => self.identity_changed(changed.what),
            Body::Handover(handover) => self.handed_over(handover),
            Body::Call(call) if CallData::of(call).is_missed(call) => {
                self.note(&private("The customer called, and nobody answered."));
            }
            _ => {}
        }
    }

    /// As [`Plan::conclude`], for an event that was put aside when it was handled: only what hung on its decision is added.
    pub fn conclude_anew(&mut self, policy: Policy<'_>, mut end: ChainEnd, body: &Body) {
        end.degraded |= self.misdirected;
        match body {
            Body::Message(_) => self.fall_back_if(policy, end),
            Body::DeskActivity(activity) => self.relay_if(activity, end),
            _ => {}
        }
    }

    fn relay_if(&mut self, activity: &DeskActivity, end: ChainEnd) {
        if let Activity::Entry(entry) = &activity.what
            && entry.public
            && !end.stopped
        {
            self.relay(&activity.desk, entry);
        }
    }

    fn fall_back_if(&mut self, policy: Policy<'_>, end: ChainEnd) {
        if let Some(fallback) = policy.fallback.filter(|_| end.degraded)
            && self.conversation.desks.is_empty()
        {
            self.fall_back(fallback);
        }
    }

    fn message(&mut self, message: &Message, policy: Policy<'_>, end: ChainEnd, desks: &[String]) {
        self.fall_back_if(policy, end);
        self.file(message, desks);
        if policy.read_receipts && !matches!(message.content, Content::Reaction(_) | Content::Withdrawn(_)) {
            self.mark_read(message);
        }
    }

    /// Before the sends of this event, so that the customer sees somebody typing and then the answer.
    fn mark_read(&mut self, message: &Message) {
        let lane = whatsapp_lane(&self.conversation.channel);
        let effect = Effect::MarkRead { message: message.id.clone(), typing: self.answered };
        let id = self.order(lane, effect);
        let first = self.record.position.0 << super::TASKS_PER_EVENT_BITS;
        if let Some(task) = self.tasks.iter_mut().find(|task| task.id == id) {
            task.sequence = first;
        }
    }

    fn fall_back(&mut self, fallback: &Fallback) {
        let reason = "a step of the chain failed".to_owned();
        self.remarks.push(format!("the fallback opens a ticket in {}, queue {}", fallback.desk, fallback.queue));
        if self.conversation.assignment.is_none() {
            self.conversation.assignment =
                Some(Assignment { queue: fallback.queue.clone(), tier: 1, priority: Priority::Normal, reason });
        }
        let open = Action::OpenTicket { desk: fallback.desk.clone(), subject: None, fields: Attributes::new() };
        self.apply("patchbay", 0, vec![open]);
    }

    fn relay(&mut self, desk: &str, entry: &AgentEntry) {
        let ours = self.links.iter().any(|link| link.ticket.desk == desk && link.entries.contains(&entry.id));
        if ours {
            return;
        }
        for piece in words::pieces(entry.text.reveal()) {
            self.send(Outgoing::text(piece), Origin::Desk(desk.to_owned()));
        }
        if !entry.attachments.is_empty() {
            let names: Vec<&str> = entry.attachments.iter().map(|file| file.name.reveal().as_str()).collect();
            let text = format!("Not sent to the customer: files cannot be sent yet ({}).", names.join(", "));
            self.note(&private(text));
        }
    }

    fn not_delivered(&mut self, error: Option<&DeliveryError>) {
        let why = match error {
            Some(error) if error.detail.is_empty() => format!("{} (WhatsApp error {})", error.title, error.code),
            Some(error) => format!("{}: {} (WhatsApp error {})", error.title, error.detail, error.code),
            None => "WhatsApp gave no reason".into(),
        };
        self.note(&private(format!("A message to the customer was not delivered. {why}.")));
    }

    fn identity_changed(&mut self, what: IdentityChange) {
        match what {
            IdentityChange::Number => self.note_for_later(&private("The customer's number has changed.")),
            IdentityChange::Identity => {
                let text = "The customer's security code has changed: it may be a new device, or another person.";
                self.note_for_later(&private(text));
            }
            // It is a name among machines: nobody writes to it, and nobody reads it.
            IdentityChange::UserId => {}
        }
    }

    fn handed_over(&mut self, handover: &Handover) {
        let text = if is_platform_agent(handover) {
            "WhatsApp's own agent has the conversation now. A message to the customer takes it back."
        } else {
            "WhatsApp's own agent has passed the conversation on."
        };
        self.note(&private(text));
    }

    fn effect_failed(&mut self, failure: &EffectFailed) {
        if failure.effect == "send" {
            let text = format!("A message to the customer could not be sent: {}.", failure.reason);
            self.note(&private(text));
        }
    }
}

//! What follows from an event whatever the handlers say: messages reach the tickets, answers reach the customer, and
//! what could not be done is told to the people who wait for it.

use patchbay_model::conversation::{Assignment, UNFILED_KEPT};
use patchbay_model::event::{Activity, AgentEntry, Delivery, DeliveryState, EffectFailed};
use patchbay_model::message::Content;
use patchbay_model::task::{Lane, Origin};
use patchbay_model::{Action, Attributes, Body, Effect, Message, Outgoing, Priority};

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
            Body::DeskActivity(activity) => {
                if let Activity::Entry(entry) = &activity.what
                    && entry.public
                    && !end.stopped
                {
                    self.relay(&activity.desk, entry);
                }
            }
            Body::Delivery(delivery) if delivery.state == DeliveryState::Failed => self.not_delivered(delivery),
            Body::EffectFailed(failure) => self.effect_failed(failure),
            _ => {}
        }
    }

    fn message(&mut self, message: &Message, policy: Policy<'_>, end: ChainEnd, desks: &[String]) {
        if let Some(fallback) = policy.fallback.filter(|_| end.degraded)
            && self.conversation.desks.is_empty()
        {
            self.fall_back(fallback);
        }
        if let Some(media) = message.content.media() {
            let lane = Lane::Media(self.conversation.channel.id.clone());
            let effect = Effect::FetchMedia { message: message.id.clone(), media: media.clone() };
            let id = self.order(lane, effect);
            // Files need no order among themselves: one that Meta does not give holds no other up.
            if let Some(task) = self.tasks.iter_mut().find(|task| task.id == id) {
                task.aside = true;
            }
        }
        for desk in desks {
            if let Some(entry) = self.own_entry() {
                self.order(Lane::Desk(desk.clone()), Effect::AddEntry { entry });
            }
        }
        if self.conversation.desks.is_empty() {
            self.conversation.unfiled.extend(self.own_entry());
            while self.conversation.unfiled.len() > UNFILED_KEPT {
                self.conversation.unfiled.pop_front();
            }
        }
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

    fn not_delivered(&mut self, delivery: &Delivery) {
        let why = match &delivery.error {
            Some(error) if error.detail.is_empty() => format!("{} (WhatsApp error {})", error.title, error.code),
            Some(error) => format!("{}: {} (WhatsApp error {})", error.title, error.detail, error.code),
            None => "WhatsApp gave no reason".into(),
        };
        self.note(&private(format!("A message to the customer was not delivered. {why}.")));
    }

    fn effect_failed(&mut self, failure: &EffectFailed) {
        if failure.effect == "send" {
            let text = format!("A message to the customer could not be sent: {}.", failure.reason);
            self.note(&private(text));
        }
    }
}

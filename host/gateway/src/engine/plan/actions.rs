//! What handlers want done, applied to the conversation and turned into tasks.

use patchbay_model::conversation::DeskState;
use patchbay_model::desk::{Author, Entry};
use patchbay_model::event::EffectFailed;
use patchbay_model::task::{DeadLetter, Lane, Origin};
use patchbay_model::{
    Action, Arrival, Attributes, Body, Effect, EventId, Notice, Outgoing, Private, Route, Task, TaskId,
};
use patchbay_store::{ClearedTimer, Timer};

use super::{Plan, addresses, marketing, private, whatsapp_lane};
use crate::engine::words;

/// Actions of one handler about one event: far more than any has a use for, far fewer than would hurt.
const ACTIONS: usize = 64;

impl Plan<'_> {
    /// Applies what a handler wants, in its order, so that the next handler sees the conversation as this one left it.
    pub fn apply(&mut self, plugin: &str, generation: u64, actions: Vec<Action>) {
        if actions.len() > ACTIONS {
            let detail = format!("{} actions at once; only the first {ACTIONS} are carried out", actions.len());
            self.complain(plugin, generation, detail);
        }
        for action in actions.into_iter().take(ACTIONS) {
            if let Some(desk) = action.desk().filter(|desk| !self.configured.desks.contains(desk)) {
                self.misdirected = true;
                let detail = format!(
                    "the action `{}` names the desk `{desk}`, which is not in the configuration: add [desks.{desk}]",
                    action.kind()
                );
                self.complain(plugin, generation, detail);
                continue;
            }
            self.apply_one(plugin, generation, action);
        }
    }

    fn apply_one(&mut self, plugin: &str, generation: u64, action: Action) {
        match action {
            Action::Send(outgoing) => self.send(outgoing, Origin::Plugin(plugin.to_owned())),
            Action::Assign(assignment) => self.conversation.assignment = Some(assignment),
            Action::SetAttribute(key, Some(value)) => {
                self.conversation.attributes.insert(key, value);
            }
            Action::SetAttribute(key, None) => {
                self.conversation.attributes.remove(&key);
            }
            Action::Note(text) => self.note(&text),
            Action::OpenTicket { desk, subject, fields } => self.open_ticket(&desk, subject, fields),
            Action::UpdateTicket { desk, fields } => {
                // Should there be no ticket yet, the one that is to come gets them.
                if let Some(state) = self.conversation.desks.get_mut(&desk) {
                    state.fields.extend(fields.clone());
                }
                self.order(Lane::Desk(desk), Effect::UpdateTicket { fields });
            }
            Action::SetTimer { name, at, data } => {
                let conversation = self.conversation.id.clone();
                self.set_timers.push(Timer { conversation, name, at, data });
            }
            Action::CancelTimer(name) => {
                self.set_timers.retain(|timer| timer.name != name);
                let conversation = self.conversation.id.clone();
                self.cleared_timers.push(ClearedTimer { conversation, name, at: None });
            }
            Action::Handoff(reason) => {
                self.conversation.human = true;
                self.note(&private(format!("Handed to a person: {reason}")));
            }
            Action::Escalate(reason) => self.note(&private(format!("Escalated: {reason}"))),
            Action::Emit(..) if matches!(self.subject().body, Body::Custom(_)) => {
                let detail = "an event that was emitted itself cannot lead to another one".to_owned();
                self.complain(plugin, generation, detail);
            }
            Action::Emit(name, data) => self.emit(plugin, name, data),
            Action::Sla(..) | Action::Quarantine(_) | Action::Release(_) => {
                let detail = format!("the action `{}` is not carried out by this version of Patchbay", action.kind());
                self.complain(plugin, generation, detail);
            }
        }
    }

    /// Orders a message to the customer.
    pub(super) fn send(&mut self, message: Outgoing, origin: Origin) {
        let to = addresses(&self.conversation.customer);
        let lane = whatsapp_lane(&self.conversation.channel);
        let refusal = marketing::refusal(&self.conversation, &message, self.configured.utility_templates);
        let task = self.order(lane, Effect::Send { to, message, origin });
        match refusal {
            None => self.answered = true,
            Some(reason) => self.give_up(&task, reason),
        }
    }

    /// Makes a task that this plan has ordered a dead letter at once: whoever waits for it is told as usual.
    fn give_up(&mut self, task: &TaskId, reason: String) {
        for task in self.tasks.extract_if(.., |ordered| ordered.id == *task) {
            self.append.push(Arrival {
                id: EventId::derive(&[b"refused", task.id.as_str().as_bytes()]),
                route: Route::Conversation(task.conversation.clone()),
                occurred_at: self.now,
                received_at: self.now,
                body: Body::EffectFailed(EffectFailed {
                    task: task.id.clone(),
                    effect: task.effect.kind().to_owned(),
                    target: task.lane.to_string(),
                    reason: reason.clone(),
                    attempts: 0,
                }),
                raw: None,
            });
            let task = Task { last_error: Some(reason.clone()), ..task };
            self.dead_letters.push(DeadLetter { task, reason: reason.clone(), died_at: self.now });
        }
    }

    /// Makes sure that a ticket exists: a new one gets what was said so far, one that is there gets the fields.
    fn open_ticket(&mut self, desk: &str, subject: Option<Private<String>>, mut fields: Attributes) {
        if let Some(assignment) = &self.conversation.assignment {
            fields.entry("queue".into()).or_insert_with(|| assignment.queue.clone());
            fields.entry("priority".into()).or_insert_with(|| assignment.priority.as_str().into());
        }
        if self.conversation.desks.contains_key(desk) {
            if self.fields_ordered(desk) != Some(&fields) {
                self.order(Lane::Desk(desk.to_owned()), Effect::UpdateTicket { fields: fields.clone() });
                self.remember_fields(desk, fields);
            }
            return;
        }
        let mut entries: Vec<Entry> = self.conversation.unfiled.drain(..).collect();
        entries.extend(self.own_entry());
        if entries.is_empty() {
            entries.push(Entry {
                author: Author::Gateway,
                text: private("The conversation was handed over without a message."),
                media: Vec::new(),
                public: false,
                at: self.record.event.occurred_at,
            });
        }
        let subject = subject.unwrap_or_else(|| {
            let says = |entry: &&Entry| !entry.text.reveal().trim().is_empty();
            let first = entries.iter().filter(|entry| entry.public).find(says).or_else(|| entries.iter().find(says));
            let first = first.or(entries.first());
            let text = first.map(|entry| entry.text.reveal().as_str()).unwrap_or_default();
            let media = first.and_then(|entry| entry.media.first()).map(|media| media.kind);
            private(words::subject(text, media))
        });
        let effect = Effect::CreateTicket { subject, fields: fields.clone(), entries };
        let ordered_by = self.order(Lane::Desk(desk.to_owned()), effect);
        self.conversation.desks.insert(desk.to_owned(), DeskState { ordered_by, status: None, fields });
    }

    fn fields_ordered(&self, desk: &str) -> Option<&Attributes> {
        self.conversation.desks.get(desk).map(|state| &state.fields)
    }

    fn remember_fields(&mut self, desk: &str, fields: Attributes) {
        if let Some(state) = self.conversation.desks.get_mut(desk) {
            state.fields = fields;
        }
    }

    fn emit(&mut self, plugin: &str, name: String, data: Private<String>) {
        let count = self.append.len().to_le_bytes();
        let event = self.record.event.id.as_str().as_bytes();
        self.append.push(Arrival {
            id: EventId::derive(&[b"custom", event, plugin.as_bytes(), name.as_bytes(), &count]),
            route: Route::Conversation(self.conversation.id.clone()),
            occurred_at: self.record.event.occurred_at,
            received_at: self.now,
            body: Body::Custom(Notice { kind: name, data }),
            raw: None,
        });
    }
}

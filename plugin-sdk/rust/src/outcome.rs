//! Saying what should be done: an outcome is built action by action, in order.

use crate::{
    Action, Assignment, Buttons, Choices, Flow, OpenTicket, Outcome, Outgoing, OutgoingContent, OutgoingMedia,
    Priority, Section, SetTimer, SlaCommand, SlaVerb, Template, Timestamp, UpdateTicket,
};

impl Outcome {
    /// Nothing to do yet; the next handler is asked.
    #[must_use]
    pub const fn next() -> Self {
        Self { actions: Vec::new(), flow: Flow::Next }
    }

    /// The chain ends here: the handlers after this one are not asked.
    #[must_use]
    pub fn stop(mut self) -> Self {
        self.flow = Flow::Stop;
        self
    }

    /// Any action, for those that have no word of their own here.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Says something to the customer.
    #[must_use]
    pub fn send(self, message: Outgoing) -> Self {
        self.action(Action::Send(message))
    }

    /// Says plain words to the customer.
    #[must_use]
    pub fn send_text(self, text: impl Into<String>) -> Self {
        self.send(Outgoing::text(text))
    }

    /// Puts the conversation into a queue.
    #[must_use]
    pub fn assign(self, assignment: Assignment) -> Self {
        self.action(Action::Assign(assignment))
    }

    /// Sets an attribute of the conversation.
    #[must_use]
    pub fn set_attribute(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.action(Action::SetAttribute((key.into(), Some(value.into()))))
    }

    /// Removes an attribute of the conversation.
    #[must_use]
    pub fn remove_attribute(self, key: impl Into<String>) -> Self {
        self.action(Action::SetAttribute((key.into(), None)))
    }

    /// Writes an internal note into every linked ticket.
    #[must_use]
    pub fn note(self, text: impl Into<String>) -> Self {
        self.action(Action::Note(text.into()))
    }

    /// Makes sure that a ticket exists in this desk; the conversation so far goes along.
    #[must_use]
    pub fn open_ticket(self, ticket: impl Into<OpenTicket>) -> Self {
        self.action(Action::OpenTicket(ticket.into()))
    }

    /// Changes fields of the ticket in this desk, in the desk plugin's words.
    #[must_use]
    pub fn update_ticket(self, desk: impl Into<String>, fields: Vec<(String, String)>) -> Self {
        self.action(Action::UpdateTicket(UpdateTicket { desk: desk.into(), fields }))
    }

    /// Sets a timer; it comes back as an event with its data, a JSON document. The same name again replaces it.
    #[must_use]
    pub fn set_timer(self, name: impl Into<String>, at: Timestamp, data: impl Into<String>) -> Self {
        self.action(Action::SetTimer(SetTimer { name: name.into(), at, data: data.into() }))
    }

    /// Takes a timer back.
    #[must_use]
    pub fn cancel_timer(self, name: impl Into<String>) -> Self {
        self.action(Action::CancelTimer(name.into()))
    }

    /// Starts, pauses, resumes or stops an SLA clock.
    #[must_use]
    pub fn sla(self, clock: impl Into<String>, what: SlaVerb) -> Self {
        self.action(Action::Sla(SlaCommand { clock: clock.into(), what }))
    }

    /// Keeps this media away from people, by its id.
    #[must_use]
    pub fn quarantine(self, media: impl Into<String>) -> Self {
        self.action(Action::Quarantine(media.into()))
    }

    /// Lets people see this media again, by its id.
    #[must_use]
    pub fn release(self, media: impl Into<String>) -> Self {
        self.action(Action::Release(media.into()))
    }

    /// Tells a person who can do more, with the reason.
    #[must_use]
    pub fn escalate(self, reason: impl Into<String>) -> Self {
        self.action(Action::Escalate(reason.into()))
    }

    /// Hands the conversation to a person, with the reason; bots stay silent from here.
    #[must_use]
    pub fn handoff(self, reason: impl Into<String>) -> Self {
        self.action(Action::Handoff(reason.into()))
    }

    /// An event of kind `custom` in this conversation: its name and its data, a JSON document.
    #[must_use]
    pub fn emit(self, name: impl Into<String>, data: impl Into<String>) -> Self {
        self.action(Action::Emit((name.into(), data.into())))
    }

    /// The last assignment in it: handy in tests.
    #[must_use]
    pub fn assignment(&self) -> Option<&Assignment> {
        self.actions.iter().rev().find_map(|action| match action {
            Action::Assign(assignment) => Some(assignment),
            _ => None,
        })
    }
}

impl Assignment {
    /// To this queue: first line, normal priority.
    pub fn to(queue: impl Into<String>) -> Self {
        Self { queue: queue.into(), tier: 1, priority: Priority::Normal, reason: String::new() }
    }

    /// The line: 1 is the first.
    #[must_use]
    pub const fn tier(mut self, tier: u8) -> Self {
        self.tier = tier;
        self
    }

    /// How urgent it is.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Why, for the people who will ask.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl OpenTicket {
    /// In this desk, with the gateway's subject: the first words of the message.
    pub fn in_desk(desk: impl Into<String>) -> Self {
        Self { desk: desk.into(), subject: None, fields: Vec::new() }
    }

    /// The ticket's subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// A field, in the desk plugin's words; `priority` and `queue` are known to every desk plugin.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

impl From<&str> for OpenTicket {
    fn from(desk: &str) -> Self {
        Self::in_desk(desk)
    }
}

impl Outgoing {
    /// Plain words.
    pub fn text(text: impl Into<String>) -> Self {
        OutgoingContent::Text(text.into()).into()
    }

    /// A message that Meta has approved beforehand; parameters by name, or by number from 1.
    pub fn template(name: impl Into<String>, language: impl Into<String>, parameters: Vec<(String, String)>) -> Self {
        OutgoingContent::Template(Template { name: name.into(), language: language.into(), parameters }).into()
    }

    /// A question with up to three buttons, each an id and a title.
    pub fn buttons(text: impl Into<String>, options: &[(&str, &str)]) -> Self {
        let options = options.iter().map(|(id, title)| ((*id).into(), (*title).into())).collect();
        OutgoingContent::Buttons(Buttons { text: text.into(), options }).into()
    }

    /// A question with a list behind a button.
    pub fn choices(text: impl Into<String>, button: impl Into<String>, sections: Vec<Section>) -> Self {
        OutgoingContent::Choices(Choices { text: text.into(), button: button.into(), sections }).into()
    }

    /// Stored media, by its id, with words under it.
    pub fn media(media: impl Into<String>, caption: Option<String>) -> Self {
        OutgoingContent::Media(OutgoingMedia { media: media.into(), caption }).into()
    }

    /// As an answer to this message.
    #[must_use]
    pub fn reply_to(mut self, message: impl Into<String>) -> Self {
        self.reply_to = Some(message.into());
        self
    }
}

impl From<OutgoingContent> for Outgoing {
    fn from(content: OutgoingContent) -> Self {
        Self { content, reply_to: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_keep_their_order() {
        let outcome = Outcome::next()
            .send_text("Hello")
            .assign(Assignment::to("billing").tier(2).priority(Priority::High).reason("invoice"))
            .open_ticket(OpenTicket::in_desk("zendesk").field("queue", "billing"))
            .set_attribute("language", "de")
            .stop();
        assert_eq!(outcome.flow, Flow::Stop);
        assert_eq!(
            outcome.actions,
            [
                Action::Send(Outgoing { content: OutgoingContent::Text("Hello".into()), reply_to: None }),
                Action::Assign(Assignment {
                    queue: "billing".into(),
                    tier: 2,
                    priority: Priority::High,
                    reason: "invoice".into()
                }),
                Action::OpenTicket(OpenTicket {
                    desk: "zendesk".into(),
                    subject: None,
                    fields: vec![("queue".into(), "billing".into())]
                }),
                Action::SetAttribute(("language".into(), Some("de".into()))),
            ]
        );
    }
}

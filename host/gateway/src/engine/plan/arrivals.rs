//! What an event itself changes, before any handler is asked.

use std::time::Duration;

use patchbay_model::conversation::{SENT_KEPT, Sent};
use patchbay_model::event::{Activity, Delivery};
use patchbay_model::{Body, Route};
use patchbay_store::LinkChange;

use super::{Plan, learn};

/// How long a free-form message may be sent after the customer's last one (WhatsApp's customer service window).
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Plan<'_> {
    /// Brings the conversation up to what the event says by itself: who writes, how far our messages got, how the
    /// tickets stand.
    pub fn arrive(&mut self) {
        if let Route::Customer { identities, profile, .. } = &self.record.route {
            let customer = &mut self.conversation.customer;
            learn(customer, identities);
            customer.name = profile.name.clone().or(customer.name.take());
            customer.username = profile.username.clone().or(customer.username.take());
        }
        match &self.record.event.body {
            Body::Message(_) => {
                let until = self.record.event.occurred_at.after(WINDOW);
                self.conversation.window_until = self.conversation.window_until.max(Some(until));
            }
            Body::Delivery(delivery) => self.delivered(delivery),
            Body::DeskActivity(activity) => {
                // Late news of a ticket that another one has followed change nothing in the one that counts.
                let current = self.links.iter().find(|link| link.ticket.desk == activity.desk);
                if current.is_none_or(|link| link.ticket.id == activity.ticket) {
                    self.ticket_changed(&activity.desk, &activity.what);
                }
            }
            _ => {}
        }
    }

    /// A state's rank never goes down, and a failure is final.
    fn delivered(&mut self, delivery: &Delivery) {
        let Some(task) = &delivery.reference else { return };
        let sent = &mut self.conversation.sent;
        if let Some(known) = sent.iter_mut().find(|sent| &sent.task == task && sent.message == delivery.message) {
            known.state = known.state.max(delivery.state);
            return;
        }
        sent.push_back(Sent { task: task.clone(), message: delivery.message.clone(), state: delivery.state });
        while sent.len() > SENT_KEPT {
            sent.pop_front();
        }
    }

    fn ticket_changed(&mut self, desk: &str, what: &Activity) {
        match what {
            Activity::Status(status) => {
                for link in self.links.iter_mut().filter(|link| link.ticket.desk == desk) {
                    link.ticket.status.clone_from(status);
                }
                let conversation = self.conversation.id.clone();
                let (desk_name, status_now) = (desk.to_owned(), status.clone());
                self.link_changes.push(LinkChange::Status { conversation, desk: desk_name, status: status_now });
                if let Some(state) = self.conversation.desks.get_mut(desk) {
                    state.status = Some(status.clone());
                }
                if matches!(status.as_str(), "solved" | "closed") {
                    self.conversation.human = false;
                }
            }
            Activity::MergedInto(ticket) => {
                let (conversation, desk, to) = (self.conversation.id.clone(), desk.to_owned(), ticket.clone());
                self.link_changes.push(LinkChange::Moved { conversation, desk, to });
            }
            Activity::Entry(entry) if entry.public => self.conversation.human = true,
            _ => {}
        }
    }
}

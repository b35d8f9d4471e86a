//! What an event itself changes, before any handler is asked.

use std::time::Duration;

use patchbay_model::event::{Activity, Call, EffectFailed, Handover, Overheard, Preference, Speaker};
use patchbay_model::{Body, Route};
use patchbay_store::LinkChange;
use serde::Deserialize;

use super::{Plan, forget, learn, marketing};

/// How long a free-form message may be sent after the customer's last one (WhatsApp's customer service window).
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Plan<'_> {
    /// Brings the conversation up to what the event says by itself: who writes, how far our messages got, how the
    /// tickets stand.
    pub fn arrive(&mut self) {
        self.recognise();
        match &self.record.event.body {
            Body::Message(_) => {
                self.open_window();
                // While the platform's own agent has the conversation, messages come as overheard ones.
                self.conversation.standby = false;
            }
            Body::Delivery(delivery) => self.delivered(delivery),
            Body::DeskActivity(activity) => {
                // Late news of a ticket that another one has followed change nothing in the one that counts.
                let current = self.links.iter().find(|link| link.ticket.desk == activity.desk);
                if current.is_none_or(|link| link.ticket.id == activity.ticket) {
                    self.ticket_changed(&activity.desk, &activity.what);
                }
            }
            Body::EffectFailed(failure) => self.marketing_refused(failure),
            Body::Call(call) if CallData::of(call).begins(call) => self.open_window(),
            // A person at the business has answered.
            Body::Echo(_) => self.conversation.human = true,
            Body::Standby(heard) => self.overheard(heard),
            Body::Handover(handover) => self.conversation.standby = is_platform_agent(handover),
            Body::Preference(preference) => self.preferred(preference),
            Body::Joined(joined) if self.conversation.joined.is_none() => self.absorb(joined),
            _ => {}
        }
    }

    /// What the event tells of who the customer is.
    fn recognise(&mut self) {
        let Route::Customer { identities, former, profile, .. } = &self.record.route else { return };
        let old_news = self.is_old_news();
        let customer = &mut self.conversation.customer;
        if old_news {
            let known = customer.clone();
            learn(customer, identities);
            customer.phone = known.phone.or(customer.phone.take());
            customer.user_id = known.user_id.or(customer.user_id.take());
            customer.name = known.name.or_else(|| profile.name.clone());
            customer.username = known.username.or_else(|| profile.username.clone());
            return;
        }
        forget(customer, former);
        learn(customer, identities);
        customer.name = profile.name.clone().or(customer.name.take());
        customer.username = profile.username.clone().or(customer.username.take());
    }

    /// It tells of the past, or of what the business calls its contacts: it adds to what is known, and replaces nothing.
    pub(super) fn is_old_news(&self) -> bool {
        matches!(self.record.event.body, Body::History(_) | Body::Contact(_))
    }

    fn open_window(&mut self) {
        let until = self.record.event.occurred_at.after(WINDOW);
        self.conversation.window_until = self.conversation.window_until.max(Some(until));
    }

    fn overheard(&mut self, heard: &Overheard) {
        self.conversation.standby = true;
        if heard.by == Speaker::Customer {
            self.open_window();
        }
    }

    fn preferred(&mut self, preference: &Preference) {
        if preference.category == "marketing_messages" {
            match preference.value.as_str() {
                "stop" => self.conversation.no_marketing = true,
                "resume" | "signup" => self.conversation.no_marketing = false,
                _ => {}
            }
        }
    }

    fn marketing_refused(&mut self, failure: &EffectFailed) {
        if failure.effect == "send" && marketing::is_stopped(&failure.reason) {
            self.conversation.no_marketing = true;
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

/// Whether the platform's own agent has the conversation now. The roles are the platform's words, of which it gives no
/// list; a wrong guess lasts until the next message, which comes in one way or in the other.
pub(super) fn is_platform_agent(handover: &Handover) -> bool {
    handover.to.to_ascii_lowercase().contains("agent")
}

/// What the platform says of a call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct CallData {
    #[serde(default)]
    direction: String,
    #[serde(default)]
    status: String,
}

impl CallData {
    pub(super) fn of(call: &Call) -> Self {
        serde_json::from_str(call.data.as_deref()).unwrap_or_default()
    }

    /// The customer calls.
    fn begins(&self, call: &Call) -> bool {
        self.direction == "USER_INITIATED" && call.state == "connect"
    }

    /// The customer called, and nobody answered.
    pub(super) fn is_missed(&self, call: &Call) -> bool {
        self.direction == "USER_INITIATED" && call.state == "terminate" && self.status != "COMPLETED"
    }
}

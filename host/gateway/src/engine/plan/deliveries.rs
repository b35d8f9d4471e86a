//! How far our messages got.

use patchbay_model::conversation::{SENT_KEPT, Sent};
use patchbay_model::event::{Delivery, DeliveryState};

use super::{Plan, marketing};

impl Plan<'_> {
    /// A state's rank never goes down, and a failure is final.
    ///
    /// A message is known by the platform's id; whether it is ours is told by the reference of one of its statuses, or by
    /// the answer to us, whichever comes first. What came before is joined with it.
    pub(super) fn delivered(&mut self, delivery: &Delivery) {
        if delivery.error.as_ref().is_some_and(|error| error.code == marketing::STOPPED) {
            self.conversation.no_marketing = true;
        }
        if delivery.state == DeliveryState::Accepted {
            // What we send takes the conversation over from the platform's own agent.
            self.conversation.standby = false;
        }
        let sent = &mut self.conversation.sent;
        let place = sent.iter().position(|sent| sent.message == delivery.message);
        let mut known = place.and_then(|place| sent.get(place).cloned()).unwrap_or_else(|| Sent {
            task: None,
            message: delivery.message.clone(),
            state: DeliveryState::Accepted,
            error: None,
        });
        let told = is_lost(&known);
        known.task = known.task.or_else(|| delivery.reference.clone());
        let failed = delivery.state == DeliveryState::Failed;
        // One participant of a group whom it does not reach says nothing of the others.
        if !failed || delivery.participant.is_none() {
            known.state = known.state.max(delivery.state);
            known.error = known.error.or_else(|| delivery.error.clone().filter(|_| failed));
        }
        if is_lost(&known) && !told {
            self.undelivered = Some(known.error.clone());
        }
        match place.and_then(|place| sent.get_mut(place)) {
            Some(place) => *place = known,
            None => sent.push_back(known),
        }
        while sent.len() > SENT_KEPT {
            sent.pop_front();
        }
    }
}

/// A message of ours that will not arrive.
fn is_lost(sent: &Sent) -> bool {
    sent.task.is_some() && sent.state == DeliveryState::Failed
}

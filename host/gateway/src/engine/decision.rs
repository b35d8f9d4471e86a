//! Why an event goes where it goes: the chain that is chosen, and the record of how it was decided.

use std::sync::Arc;

use patchbay_model::decision::{Considered, Decision, StepTaken};
use patchbay_model::event::DeliveryState;
use patchbay_model::{Body, Conversation, Event, EventId};

use super::chain::Chain;
use super::course::Course;
use super::owner::Owner;
use crate::config::{Facts, Fallback};

/// The chains that were held against an event.
pub(super) struct Weighed {
    /// Each of them up to the one that was chosen.
    pub(super) considered: Vec<Considered>,
    /// The chain that decides; none: no one is for the event.
    pub(super) chain: Option<Arc<Chain>>,
}

impl Weighed {
    pub(super) fn fallback(&self) -> Option<&Fallback> {
        self.chain.as_ref()?.fallback.as_ref()
    }
}

/// Chooses the first chain that is for an event. None: there is no chain, or the event is between the gateway's own parts
/// and nobody's to decide about.
pub(super) fn weigh(chains: &[Arc<Chain>], event: &Event, conversation: &Conversation) -> Option<Weighed> {
    let own = match &event.body {
        Body::Join(_) | Body::Joined(_) | Body::LetterOrder(_) => true,
        Body::Delivery(delivery) => delivery.state == DeliveryState::Accepted,
        _ => false,
    };
    if own || chains.is_empty() {
        return None;
    }
    let kind = event.body.kind();
    let facts = Facts::of(event, &kind, conversation);
    let mut weighed = Weighed { considered: Vec::new(), chain: None };
    for chain in chains {
        let judged = chain.matches.judge(&facts);
        let fits = judged.is_ok();
        weighed.considered.push(Considered { chain: chain.name.clone(), passed_over: judged.err() });
        if fits {
            weighed.chain = Some(Arc::clone(chain));
            break;
        }
    }
    Some(weighed)
}

/// The record of a decision that is about to be committed.
pub(super) fn record_of(
    owner: &Owner,
    course: &Course,
    event: &EventId,
    weighed: Weighed,
    steps: Vec<StepTaken>,
    notes: Vec<String>,
) -> Decision {
    Decision {
        event: event.clone(),
        at: owner.shared().store.now(),
        node: owner.shared().node.name.clone(),
        attempts: course.attempt,
        considered: weighed.considered,
        steps,
        notes,
        took: course.begun.elapsed(),
    }
}

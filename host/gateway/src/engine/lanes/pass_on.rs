//! Events for other conversations of this gateway, which may be in other partitions.

use std::sync::Arc;

use patchbay_model::{Effect, Failure, Task};

use super::{Done, Failed, Fault};
use crate::engine::owner::Owner;

/// Appends the event. It has an id of its own, so that a second time is no other event.
pub(super) async fn execute(owner: &Arc<Owner>, task: &Task) -> Result<Done, Failed> {
    let Effect::PassOn { arrival } = &task.effect else {
        let sentence = format!("`{}` is no effect of the lane {}", task.effect.kind(), task.lane);
        return Err(Failure::permanent(sentence).into());
    };
    let store = &owner.shared().store;
    let losses = store.losses();
    let before = *losses.borrow();
    // The end of the task may be kept by another server, which does not lose it together with the event.
    let safe = match store.append(vec![arrival.as_ref().clone()]).await {
        Ok(_) => store.settle().await,
        Err(error) => Err(error),
    };
    let reason = match safe {
        Ok(()) if *losses.borrow() == before => return Ok(Done::default()),
        Ok(()) => "the store may have lost it again".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Failed { failure: Failure::retry(reason), report: None, fault: Fault::Ours })
}

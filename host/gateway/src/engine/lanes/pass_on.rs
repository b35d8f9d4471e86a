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
    match owner.shared().store.append(vec![arrival.as_ref().clone()]).await {
        Ok(_) => Ok(Done::default()),
        Err(error) => Err(Failed { failure: Failure::retry(error.to_string()), report: None, fault: Fault::Ours }),
    }
}

//! What carries effects out.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use patchbay_model::task::Lane;
use patchbay_model::{Arrival, Failure, Task};
use patchbay_store::{LinkChange, MediaRecord, Report};

use super::{desk, fetch, pass_on, whatsapp};
use crate::engine::owner::Owner;

/// What an effect has led to; it is written with the task's end.
#[derive(Debug, Default)]
pub struct Done {
    /// What became of tickets.
    pub links: Vec<LinkChange>,
    /// Files that were stored.
    pub media: Vec<MediaRecord>,
    /// Outcomes as events of the task's conversation.
    pub append: Vec<Arrival>,
    /// The target was asked whether an earlier try had done it, and none had. A lane keeps a conversation's order, so
    /// nothing behind this task can have been begun either.
    pub asked_in_vain: bool,
}

/// Why an effect did not happen.
#[derive(Debug)]
pub struct Failed {
    /// Why, and whether it may be tried again.
    pub failure: Failure,
    /// What the plugin did, if it broke off.
    pub report: Option<Report>,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault it is that an effect did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The target's: its gate hears of it.
    Target,
    /// The plugin's: it will not do better a hundredth time.
    Plugin,
    /// Our own: the store, or no free sandbox. It says nothing about the target.
    Ours,
}

impl Failed {
    /// A reload has just taken the lane away: the task waits until it is back.
    pub(super) fn not_configured(lane: &Lane) -> Self {
        let failure = Failure::retry(format!("the lane {lane} is not configured now"));
        Self { failure, report: None, fault: Fault::Ours }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, report: None, fault: Fault::Target }
    }
}

/// Carries the effects of tasks out. When, in which order and how often is the lanes' business.
#[async_trait]
pub trait Effects: fmt::Debug + Send + Sync {
    /// Carries a task's effect out once. `repeated`: it may have been carried out before, under the same key.
    ///
    /// # Errors
    /// Why it has not happened, or may not have.
    async fn execute(&self, owner: &Arc<Owner>, task: &Task, repeated: bool) -> Result<Done, Failed>;
}

/// The numbers and desks of the configuration, and the other conversations of this gateway.
#[derive(Clone, Copy, Debug, Default)]
pub struct Targets;

#[async_trait]
impl Effects for Targets {
    async fn execute(&self, owner: &Arc<Owner>, task: &Task, repeated: bool) -> Result<Done, Failed> {
        match &task.lane {
            Lane::Whatsapp(_) => whatsapp::execute(owner, task).await,
            Lane::Desk(_) => desk::execute(owner, task, repeated).await,
            Lane::Media(_) => fetch::execute(owner, task).await,
            Lane::Conversations => pass_on::execute(owner, task).await,
        }
    }
}

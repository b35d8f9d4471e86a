//! The one atomic write.

use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, Task, TaskId};
use serde::Serialize;

use super::{ClearedTimer, LinkChange, MediaRecord, Position, Report, Shelving, Timer};

/// One atomic write. All of it is there afterwards, or none.
///
/// # Applying a commit again
/// The answer to a commit can be lost: the caller then applies the very same commit again, before any other of the same
/// conversation or task. The store knows it by its *witness*, and then answers `Ok` and writes nothing. The witness is
/// the first of these that the commit has:
///
/// 1. [`handled`](Self::handled): the event is no longer pending.
/// 2. [`conversation`](Self::conversation): the stored version is the new one, and this commit wrote it (the store keeps
///    a fingerprint of the commit with the version; another commit's version is a
///    [`Conflict`](crate::StoreError::Conflict)).
/// 3. [`finished_tasks`](Self::finished_tasks) and [`dead_letters`](Self::dead_letters): none of these tasks is there
///    any more. So a task is finished only by the one who carries it out.
/// 4. None of them: writing it again changes nothing, because everything is written by its key and an entry is added to
///    a link once (such a commit has one change for a link at most); only reports are told twice.
///
/// # Order
/// Within a commit, tasks are finished before tasks are put, and timers cleared before timers are set: what is named in
/// both is there afterwards. Links are changed before events are appended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Commit {
    /// The journal entry that has been handled.
    pub handled: Option<Position>,
    /// The conversation's new state, and the version that it replaces (0: there was none).
    pub conversation: Option<(u64, Conversation)>,
    /// Tasks that are new or have changed, by id.
    pub put_tasks: Vec<Task>,
    /// Tasks that are done.
    pub finished_tasks: Vec<TaskId>,
    /// Tasks that are given up: they leave their lane. A dead letter of the same task is replaced.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that are none any more: tried again or dropped. One that is not there is passed over.
    pub settled_letters: Vec<TaskId>,
    /// Timers to set; one of the same conversation and name is replaced.
    pub set_timers: Vec<Timer>,
    /// Timers to take back, or that have gone off.
    pub cleared_timers: Vec<ClearedTimer>,
    /// What happens to links, in this order.
    pub links: Vec<LinkChange>,
    /// Media that was stored or given up.
    pub media: Vec<MediaRecord>,
    /// Events that follow from this one: outcomes, timers gone off. They must belong to this partition.
    pub append: Vec<Arrival>,
    /// Reports for the operator.
    pub reports: Vec<Report>,
    /// How an event of this partition was decided: the handled one as a rule. Kept as long as the event, in the place of
    /// an earlier decision of it; of an event that is not kept, nothing is.
    pub decision: Option<Decision>,
    /// Documents, each space once; only beside [`handled`](Self::handled), which is their witness. If one is not at the
    /// revision that is expected of it, or a space has no room, the commit is [overtaken](crate::StoreError::Overtaken).
    ///
    /// In a Redis Cluster a space and a partition lie on different servers. There the documents are written before the
    /// rest, once for each event: the same event's commit does not write them again, however it came to them. Who decides
    /// the event anew, because its node died in between, finds them written.
    #[serde(skip)]
    pub documents: Vec<Shelving>,
}

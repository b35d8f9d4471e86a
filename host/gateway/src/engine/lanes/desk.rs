//! Effects toward a desk: what the plugin's verbs are called for, in which order, and what is asked before one of them is
//! repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use patchbay_model::desk::{Added, Draft, Entry};
use patchbay_model::task::Lane;
use patchbay_model::{Attributes, Conversation, Effect, Failure, Private, Task, TaskId, Timestamp};
use patchbay_runtime::{Call, CallError, Cause, Mode, Plugin};
use patchbay_store::{Link, LinkChange, StoreError};
use tokio::time::Instant;

use super::files::with_files;
use super::{Done, Failed, Fault};
use crate::engine::chain::to_report;
use crate::engine::owner::Owner;
use crate::engine::slot::Pinned;
use crate::engine::words;

pub(super) async fn execute(owner: &Arc<Owner>, task: &Task, repeated: bool) -> Result<Done, Failed> {
    let shared = owner.shared();
    let Lane::Desk(desk) = &task.lane else { return Err(misplaced(task)) };
    let routing = shared.routing();
    let Some(line) = routing.desks.get(desk) else { return Err(Failed::not_configured(&task.lane)) };
    // One generation for the whole of a try.
    let pinned = line.slot.pin(&task.conversation);
    let Some(plugin) = pinned.handler.plugin() else { return Err(misplaced(task)) };
    let call = Call {
        subject: task.id.to_string(),
        attempt: task.attempts + 1,
        now: shared.store.now(),
        deterministic: false,
        mode: Mode::Live,
        timeout: line.timeout,
        desk: Some(desk.clone()),
    };
    let asked_in_vain = AtomicBool::new(false);
    let verbs = Verbs { owner, plugin, pinned: &pinned, call, desk, task, repeated, asked_in_vain };
    let link = shared.store.link(&task.conversation, desk).await.map_err(not_read)?;
    let links = match (&task.effect, link) {
        (Effect::CreateTicket { subject, fields, entries }, None) => {
            vec![verbs.create(subject.clone(), fields.clone(), entries.clone()).await?]
        }
        // A ticket came to be while this one waited: what was said goes there.
        (Effect::CreateTicket { entries, .. }, Some(link)) => verbs.add_all(link, entries).await?,
        (Effect::AddEntry { entry }, Some(link)) => {
            vec![verbs.add(task.id.as_str(), &link, entry.clone(), repeated).await?]
        }
        (Effect::AddEntry { entry }, None) => vec![verbs.open_with(entry.clone()).await?],
        (Effect::UpdateTicket { fields }, Some(link)) => {
            let ticket = verbs.ask(plugin.update_ticket(task.id.as_str(), &link.ticket, fields, &verbs.call)).await?;
            vec![verbs.written(Some(&link), Added { entry: None, ticket })]
        }
        // The ticket that is to come gets the conversation's fields by itself.
        (Effect::UpdateTicket { .. }, None) => Vec::new(),
        _ => return Err(misplaced(task)),
    };
    Ok(Done { links, asked_in_vain: verbs.asked_in_vain.into_inner(), ..Done::default() })
}

/// A desk's verbs for one task.
struct Verbs<'a> {
    owner: &'a Arc<Owner>,
    plugin: &'a Plugin,
    pinned: &'a Pinned,
    call: Call,
    desk: &'a str,
    task: &'a Task,
    repeated: bool,
    /// It was asked whether an earlier try had done it, and none had.
    asked_in_vain: AtomicBool,
}

impl Verbs<'_> {
    async fn create(
        &self,
        subject: Private<String>,
        mut fields: Attributes,
        entries: Vec<Entry>,
    ) -> Result<LinkChange, Failed> {
        let key = self.task.id.as_str();
        if self.repeated {
            if let Some(found) = self.find_ticket(key).await? {
                tracing::info!(task = %self.task.id, "an earlier try had opened the ticket");
                return Ok(self.written(None, found));
            }
            self.asked_in_vain.store(true, Ordering::Relaxed);
        }
        let conversation = self.conversation().await?;
        add_assignment(&mut fields, &conversation);
        let links = self.owner.shared().store.links(&self.task.conversation).await.map_err(not_read)?;
        let tickets = links.into_iter().map(|link| link.ticket).collect();
        let mut ready = Vec::with_capacity(entries.len());
        for entry in entries {
            ready.push(with_files(self.owner, entry).await.map_err(not_read)?);
        }
        let draft = Draft { subject, conversation, tickets, fields, entries: ready };
        let added = self.ask(self.plugin.create_ticket(key, &draft, &self.call)).await?;
        Ok(self.written(None, added))
    }

    /// Files an entry that has no ticket: the one that was ordered could not be opened, as far as we know. If it was
    /// opened after all, the entry goes there; otherwise the entry opens one.
    async fn open_with(&self, entry: Entry) -> Result<LinkChange, Failed> {
        let conversation = self.conversation().await?;
        let ordered = conversation.desks.get(self.desk);
        if let Some(ordered) = ordered {
            self.not_being_opened_elsewhere(&ordered.ordered_by).await?;
        }
        if let Some(ordered) = ordered
            && let Some(found) = self.find_ticket(ordered.ordered_by.as_str()).await?
        {
            let link = Link { conversation: conversation.id.clone(), ticket: found.ticket, entries: Vec::new() };
            return self.add(self.task.id.as_str(), &link, entry, self.repeated).await;
        }
        let fields = ordered.map(|state| state.fields.clone()).unwrap_or_default();
        let subject = words::subject(entry.text.reveal(), entry.media.first().map(|media| media.kind));
        self.create(Private::new(subject), fields, vec![entry]).await
    }

    /// The ticket may have been ordered by a conversation that has joined this one, and its task may still be on its way:
    /// one that is opened meanwhile would be a second ticket.
    async fn not_being_opened_elsewhere(&self, ordered_by: &TaskId) -> Result<(), Failed> {
        let opening = self.owner.shared().store.task(ordered_by).await.map_err(not_read)?;
        if opening.is_some_and(|opening| opening.conversation != self.task.conversation) {
            let failure = Failure::retry("the ticket is being opened for another conversation of the same customer");
            return Err(Failed { failure, report: None, fault: Fault::Ours });
        }
        Ok(())
    }

    async fn add(&self, key: &str, link: &Link, entry: Entry, repeated: bool) -> Result<LinkChange, Failed> {
        if repeated {
            if let Some(found) = self.ask(self.plugin.find_entry(key, &link.ticket, &self.call)).await? {
                tracing::info!(task = %self.task.id, "an earlier try had written the entry");
                return Ok(self.written(Some(link), found));
            }
            self.asked_in_vain.store(true, Ordering::Relaxed);
        }
        let entry = with_files(self.owner, entry).await.map_err(not_read)?;
        let added = self.ask(self.plugin.add_entry(key, &link.ticket, &entry, &self.call)).await?;
        Ok(self.written(Some(link), added))
    }

    async fn add_all(&self, mut link: Link, entries: &[Entry]) -> Result<Vec<LinkChange>, Failed> {
        let mut changes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let change = self.add(&format!("{}.{index}", self.task.id), &link, entry.clone(), true).await?;
            if let LinkChange::Written { ticket, .. } = &change {
                link.ticket.clone_from(ticket);
            }
            changes.push(change);
        }
        Ok(changes)
    }

    async fn find_ticket(&self, key: &str) -> Result<Option<Added>, Failed> {
        self.ask(self.plugin.find_ticket(key, &self.call)).await
    }

    async fn conversation(&self) -> Result<Conversation, Failed> {
        let known = self.owner.shared().store.conversation(&self.task.conversation).await.map_err(not_read)?;
        let known = known.map(|known| known.value);
        known.ok_or_else(|| Failure::permanent("the conversation is no longer in the store").into())
    }

    /// What a verb says of the ticket that `read` was linked to before.
    fn written(&self, read: Option<&Link>, added: Added) -> LinkChange {
        let mut ticket = added.ticket;
        self.desk.clone_into(&mut ticket.desk);
        let read = read.map(|link| link.ticket.id.clone());
        LinkChange::Written { conversation: self.task.conversation.clone(), ticket, read, entry: added.entry }
    }

    /// Waits for a verb's answer, and takes note of how the call went.
    async fn ask<T>(&self, verb: impl Future<Output = Result<T, CallError>>) -> Result<T, Failed> {
        let begun = Instant::now();
        let answer = verb.await;
        self.pinned.observe(answer.as_ref().err(), begun.elapsed());
        answer.map_err(|error| broken(error, self.call.now))
    }
}

/// A plugin that broke off may have had its effect before: the next try asks first. Slowness and overload are no fault of
/// the plugin's.
fn broken(error: CallError, now: Timestamp) -> Failed {
    match error {
        CallError::Failed(failure) => failure.into(),
        CallError::Broken(report) => {
            let fault = match report.cause {
                Cause::Deadline => Fault::Target,
                Cause::Busy | Cause::Host => Fault::Ours,
                _ => Fault::Plugin,
            };
            let failure = Failure::uncertain(format!("plugin {}: {}", report.plugin, report.detail));
            Failed { failure, report: Some(to_report(&report, now)), fault }
        }
    }
}

fn not_read(error: StoreError) -> Failed {
    Failed { failure: Failure::retry(error.to_string()), report: None, fault: Fault::Ours }
}

fn misplaced(task: &Task) -> Failed {
    Failure::permanent(format!("`{}` is no effect of the lane {}", task.effect.kind(), task.lane)).into()
}

fn add_assignment(fields: &mut Attributes, conversation: &Conversation) {
    if let Some(assignment) = &conversation.assignment {
        fields.entry("queue".into()).or_insert_with(|| assignment.queue.clone());
        fields.entry("priority".into()).or_insert_with(|| assignment.priority.as_str().into());
    }
}

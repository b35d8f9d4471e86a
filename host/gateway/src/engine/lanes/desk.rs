//! Effects toward a desk: what the plugin's verbs are called for, in which order, and what is asked before one of them is
//! repeated.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::desk::{Added, Draft, Entry};
use patchbay_model::message::Media;
use patchbay_model::{Attributes, Conversation, Effect, Failure, Private, Task, TaskId, Timestamp};
use patchbay_runtime::{Call, CallError, Plugin};
use patchbay_store::{Link, MediaState, StoreError};

use super::{Done, Failed};
use crate::engine::chain::to_report;
use crate::engine::owner::Owner;
use crate::engine::words;

/// Entries of ours remembered per ticket, to drop their echoes: a vendor's webhooks are minutes late at the most.
const ENTRIES_KEPT: usize = 200;
/// How often a file that is waited for is looked at when nothing has told of it.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until the files of a task are there, or known not to come, or have had their time: then the entry goes without
/// them, and they follow in a task of their own, which is given.
pub(super) async fn await_media(owner: &Owner, task: &mut Task) -> ControlFlow<(), Option<Task>> {
    let files: Vec<Media> = task.effect.media().cloned().collect();
    if files.is_empty() {
        return ControlFlow::Continue(None);
    }
    let wait = match &task.lane {
        patchbay_model::task::Lane::Desk(desk) => owner.shared().options.desks.get(desk).map(|desk| desk.media_wait),
        _ => None,
    };
    let until = task.created_at.after(wait.unwrap_or_default());
    loop {
        let settled = owner.shared().media_settled.notified();
        let mut late = Vec::new();
        for file in &files {
            match owner.shared().store.media(&file.id).await {
                Ok(None) => late.push(file.clone()),
                Ok(Some(_)) => {}
                Err(error) => {
                    tracing::error!(%error, "a file could not be looked up");
                    late.push(file.clone());
                }
            }
        }
        if late.is_empty() {
            return ControlFlow::Continue(None);
        }
        if !task.aside && Timestamp::now() >= until {
            return ControlFlow::Continue(go_without(task, late));
        }
        tokio::select! {
            () = settled => {}
            () = tokio::time::sleep(LOOK) => {}
            () = owner.gone() => return ControlFlow::Break(()),
        }
    }
}

/// Takes late files out of a task, says so in its text, and gives the task that brings them.
fn go_without(task: &mut Task, late: Vec<Media>) -> Option<Task> {
    let mut follow = task.clone();
    let entries = match &mut task.effect {
        Effect::CreateTicket { entries, .. } => entries.as_mut_slice(),
        Effect::AddEntry { entry } => std::slice::from_mut(entry),
        _ => return None,
    };
    let author = entries.first()?.author.clone();
    let at = entries.first()?.at;
    for entry in entries {
        for file in entry.media.extract_if(.., |file| late.contains(file)) {
            add_line(
                entry.text.clone(),
                &mut entry.text,
                &format!("[{}: not here yet, it follows]", file.kind.as_str()),
            );
        }
    }
    follow.id = TaskId::derive(&[task.id.as_str().as_bytes(), b"late files"]);
    follow.aside = true;
    follow.attempts = 0;
    follow.uncertain_since = None;
    follow.effect =
        Effect::AddEntry { entry: Entry { author, text: Private::default(), media: late, public: true, at } };
    Some(follow)
}

pub(super) async fn execute(owner: &Arc<Owner>, desk: &str, task: &Task, repeated: bool) -> Result<Done, Failed> {
    let shared = owner.shared();
    let Some(line) = shared.options.desks.get(desk) else {
        return Err(Failure::permanent(format!("the desk `{desk}` is not in the configuration")).into());
    };
    let call = Call {
        subject: task.id.to_string(),
        attempt: task.attempts + 1,
        now: Timestamp::now(),
        deterministic: false,
        timeout: line.timeout,
        desk: Some(desk.to_owned()),
    };
    let verbs = Verbs { owner, plugin: &line.plugin, call, desk, task, repeated };
    let link = shared.store.link(&task.conversation, desk).await.map_err(not_read)?;
    let link = match (&task.effect, link) {
        (Effect::CreateTicket { subject, fields, entries }, None) => {
            verbs.create(subject.clone(), fields.clone(), entries.clone()).await?
        }
        // A ticket came to be while this one waited: what was said goes there.
        (Effect::CreateTicket { entries, .. }, Some(mut link)) => {
            for (index, entry) in entries.iter().enumerate() {
                link = verbs.add(format!("{}.{index}", task.id), link, entry.clone(), true).await?;
            }
            link
        }
        (Effect::AddEntry { entry }, Some(link)) => {
            verbs.add(task.id.to_string(), link, entry.clone(), repeated).await?
        }
        // The ticket could not be opened when it was ordered: this entry opens it.
        (Effect::AddEntry { entry }, None) => {
            let subject = words::subject(entry.text.reveal(), entry.media.first().map(|media| media.kind));
            verbs.create(Private::new(subject), Attributes::new(), vec![entry.clone()]).await?
        }
        (Effect::UpdateTicket { fields }, Some(mut link)) => {
            let key = task.id.to_string();
            let updated = line.plugin.update_ticket(&key, &link.ticket, fields, &verbs.call).await;
            link.ticket = updated.map_err(|error| broken(error, verbs.call.now))?;
            link
        }
        // The ticket that is to come gets the conversation's assignment by itself.
        (Effect::UpdateTicket { .. }, None) => return Ok(Done::default()),
        (effect, _) => {
            return Err(Failure::permanent(format!("`{}` is no effect of a desk lane", effect.kind())).into());
        }
    };
    Ok(Done { links: vec![link], ..Done::default() })
}

/// A desk's verbs for one task.
struct Verbs<'a> {
    owner: &'a Arc<Owner>,
    plugin: &'a Plugin,
    call: Call,
    desk: &'a str,
    task: &'a Task,
    repeated: bool,
}

impl Verbs<'_> {
    async fn create(
        &self,
        subject: Private<String>,
        mut fields: Attributes,
        entries: Vec<Entry>,
    ) -> Result<Link, Failed> {
        let key = self.task.id.as_str();
        if self.repeated
            && let Some(found) = self.plugin.find_ticket(key, &self.call).await.map_err(|error| self.broken(error))?
        {
            tracing::info!(task = %self.task.id, "an earlier try had opened the ticket");
            return Ok(self.link(None, found));
        }
        let store = &self.owner.shared().store;
        let conversation = store.conversation(&self.task.conversation).await.map_err(not_read)?;
        let Some(conversation) = conversation.map(|known| known.value) else {
            return Err(Failure::permanent("the conversation is no longer in the store").into());
        };
        add_assignment(&mut fields, &conversation);
        let links = store.links(&self.task.conversation).await.map_err(not_read)?;
        let tickets = links.into_iter().map(|link| link.ticket).collect();
        let mut ready = Vec::with_capacity(entries.len());
        for entry in entries {
            ready.push(self.with_files(entry).await?);
        }
        let draft = Draft { subject, conversation, tickets, fields, entries: ready };
        let added = self.plugin.create_ticket(key, &draft, &self.call).await.map_err(|error| self.broken(error))?;
        Ok(self.link(None, added))
    }

    async fn add(&self, key: String, link: Link, entry: Entry, repeated: bool) -> Result<Link, Failed> {
        if repeated {
            let found = self.plugin.find_entry(&key, &link.ticket, &self.call).await;
            if let Some(found) = found.map_err(|error| self.broken(error))? {
                tracing::info!(task = %self.task.id, "an earlier try had written the entry");
                return Ok(self.link(Some(link), found));
            }
        }
        let entry = self.with_files(entry).await?;
        let added = self.plugin.add_entry(&key, &link.ticket, &entry, &self.call).await;
        let added = added.map_err(|error| self.broken(error))?;
        Ok(self.link(Some(link), added))
    }

    /// The link after a verb has given the ticket as it is now.
    fn link(&self, before: Option<Link>, added: Added) -> Link {
        let mut ticket = added.ticket;
        self.desk.clone_into(&mut ticket.desk);
        let mut entries = before.map(|link| link.entries).unwrap_or_default();
        entries.extend(added.entry);
        let surplus = entries.len().saturating_sub(ENTRIES_KEPT);
        entries.drain(..surplus);
        Link { conversation: self.task.conversation.clone(), ticket, entries }
    }

    /// The entry with what is known of its files now; those that will not come are named in its text.
    async fn with_files(&self, mut entry: Entry) -> Result<Entry, Failed> {
        let mut files = Vec::with_capacity(entry.media.len());
        for mut file in std::mem::take(&mut entry.media) {
            let record = self.owner.shared().store.media(&file.id).await.map_err(not_read)?;
            match record.map(|record| record.state) {
                Some(MediaState::Stored { size, mime, .. }) => {
                    file.size = Some(size);
                    file.mime = mime;
                    files.push(file);
                }
                Some(MediaState::Failed { reason }) => {
                    let line = format!("[{}: could not be fetched: {reason}]", file.kind.as_str());
                    add_line(entry.text.clone(), &mut entry.text, &line);
                }
                None => {
                    let line = format!("[{}: not here yet]", file.kind.as_str());
                    add_line(entry.text.clone(), &mut entry.text, &line);
                }
            }
        }
        entry.media = files;
        Ok(entry)
    }

    fn broken(&self, error: CallError) -> Failed {
        broken(error, self.call.now)
    }
}

/// A plugin that broke may have had its effect before: the next try asks first.
fn broken(error: CallError, now: Timestamp) -> Failed {
    match error {
        CallError::Failed(failure) => failure.into(),
        CallError::Broken(report) => {
            let failure = Failure::uncertain(format!("plugin {}: {}", report.plugin, report.detail));
            Failed { failure, report: Some(to_report(&report, now)) }
        }
    }
}

fn not_read(error: StoreError) -> Failed {
    Failure::retry(error.to_string()).into()
}

fn add_assignment(fields: &mut Attributes, conversation: &Conversation) {
    if let Some(assignment) = &conversation.assignment {
        fields.entry("queue".into()).or_insert_with(|| assignment.queue.clone());
        fields.entry("priority".into()).or_insert_with(|| assignment.priority.as_str().into());
    }
}

fn add_line(before: Private<String>, text: &mut Private<String>, line: &str) {
    let mut words = before.into_inner();
    if !words.is_empty() {
        words.push('\n');
    }
    words.push_str(line);
    *text = Private::new(words);
}

//! Files that an entry waits for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::desk::Entry;
use patchbay_model::message::Media;
use patchbay_model::task::Lane;
use patchbay_model::{Effect, Private, Task, TaskId};
use patchbay_store::{Commit, MediaState, StoreError};

use super::settle::write;
use crate::engine::owner::Owner;

/// How often a file that is waited for is looked at when nothing has told of it.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until the files of a task are there, or known not to come, or have had their time. Then the entry goes without
/// them, which is noted before it goes: they follow in a task of their own when it is done.
pub(super) async fn wait(owner: &Arc<Owner>, task: &mut Task) -> ControlFlow<()> {
    let files: Vec<Media> = task.effect.media().cloned().collect();
    if files.is_empty() {
        return ControlFlow::Continue(());
    }
    let wait = match &task.lane {
        Lane::Desk(desk) => owner.shared().routing().desks.get(desk).map(|desk| desk.media_wait),
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
            return ControlFlow::Continue(());
        }
        if !task.aside && owner.shared().store.now() >= until {
            go_without(task, late);
            return write(owner, Commit { put_tasks: vec![task.clone()], ..Commit::default() }).await;
        }
        tokio::select! {
            biased;
            () = owner.gone() => return ControlFlow::Break(()),
            () = settled => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Takes late files out of a task's entries, and says so in their text.
fn go_without(task: &mut Task, late: Vec<Media>) {
    for entry in entries_mut(&mut task.effect) {
        for file in entry.media.extract_if(.., |file| late.contains(file)) {
            add_line(&mut entry.text, &format!("[{}: not here yet, it follows]", file.kind.as_str()));
        }
    }
    task.late.extend(late);
}

fn entries_mut(effect: &mut Effect) -> &mut [Entry] {
    match effect {
        Effect::CreateTicket { entries, .. } => entries,
        Effect::AddEntry { entry } => std::slice::from_mut(entry),
        _ => &mut [],
    }
}

/// The task that brings the files which a finished one went without.
pub(super) fn follow_up(task: &Task) -> Option<Task> {
    let first = match &task.effect {
        Effect::CreateTicket { entries, .. } => entries.first(),
        Effect::AddEntry { entry } => Some(entry),
        _ => None,
    };
    let first = first.filter(|_| !task.late.is_empty())?;
    let entry = Entry {
        author: first.author.clone(),
        text: Private::default(),
        media: task.late.clone(),
        public: first.public,
        at: first.at,
    };
    Some(Task {
        id: TaskId::derive(&[task.id.as_str().as_bytes(), b"late files"]),
        effect: Effect::AddEntry { entry },
        attempts: 0,
        broken: 0,
        uncertain_since: None,
        late: Vec::new(),
        aside: true,
        last_error: None,
        ..task.clone()
    })
}

/// The entry with what is known of its files now; those that will not come are named in its text.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn with_files(owner: &Arc<Owner>, mut entry: Entry) -> Result<Entry, StoreError> {
    let mut files = Vec::with_capacity(entry.media.len());
    for mut file in std::mem::take(&mut entry.media) {
        let record = owner.shared().store.media(&file.id).await?;
        match record.map(|record| record.state) {
            Some(MediaState::Stored { size, mime, .. }) => {
                file.size = Some(size);
                file.mime = mime;
                files.push(file);
            }
            Some(MediaState::Failed { reason }) => {
                add_line(&mut entry.text, &format!("[{}: could not be fetched: {reason}]", file.kind.as_str()));
            }
            None => add_line(&mut entry.text, &format!("[{}: not here yet]", file.kind.as_str())),
        }
    }
    entry.media = files;
    Ok(entry)
}

fn add_line(text: &mut Private<String>, line: &str) {
    let mut words = std::mem::take(text).into_inner();
    if !words.is_empty() {
        words.push('\n');
    }
    words.push_str(line);
    *text = Private::new(words);
}

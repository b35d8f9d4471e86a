//! Events into the journals: one script for each partition, shared by everybody who appends there at the same moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use patchbay_model::{Arrival, ConversationId, EventId};
use tokio::sync::oneshot;

use super::Shared;
use super::codec::{answer, encode};
use super::identify::{Found, Whose};
use super::scripts::APPEND;
use super::server::lock;
use super::servers::{closed, invoke, reason};
use crate::{Appended, Partition, StoreError};

/// Events in one script at most: a server does nothing else meanwhile.
const BATCH: usize = 256;

/// Gives positions.
#[derive(Debug, Default)]
pub(super) struct Places {
    last: AtomicU64,
}

impl Places {
    /// The time, or what comes after the last one given.
    pub(super) fn next(&self, now: u64) -> u64 {
        let step = |last: u64| Some(now.max(last + 1));
        let last = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).unwrap_or_default();
        now.max(last + 1)
    }
}

/// An event, made ready for the script.
#[derive(Debug)]
pub(super) struct Entry {
    /// In the order of `scripts/put.lua`.
    pub(super) arguments: [Vec<u8>; 8],
}

impl Entry {
    pub(super) fn new(place: u64, whose: &Whose, mut arrival: Arrival) -> Result<Self, StoreError> {
        let raw = arrival.raw.take().map(|raw| encode(&raw)).transpose()?.unwrap_or_default();
        let conversations = std::iter::once(&whose.conversation).chain(&whose.others).map(ConversationId::as_str);
        Ok(Self {
            arguments: [
                arrival.id.as_str().into(),
                arrival.body.kind().into(),
                Shared::moment(arrival.received_at).into(),
                place.to_string().into(),
                conversations.collect::<Vec<_>>().join(" ").into(),
                whose.claimed.join(" ").into(),
                encode(&arrival)?,
                raw,
            ],
        })
    }
}

impl Entry {
    /// The event's id, and whose it is.
    pub(super) fn names(&self) -> Option<(EventId, ConversationId)> {
        let [id, _, _, _, whose, ..] = &self.arguments;
        let whose = std::str::from_utf8(whose).ok()?.split(' ').next()?;
        Some((EventId::parse(std::str::from_utf8(id).ok()?)?, ConversationId::parse(whose)?))
    }
}

/// Some events of one partition, and who wants to know which of them are new.
type Waiting = (Vec<Entry>, oneshot::Sender<Result<Vec<bool>, String>>);

/// What waits for a partition's next script.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Whether a script is under way, and what came meanwhile.
    queue: Mutex<(bool, Vec<Waiting>)>,
}

/// Appends arrivals in their order.
pub(super) async fn append(shared: &Arc<Shared>, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
    let found = shared.identify(&arrivals, &[], true).await?;
    let mut groups: BTreeMap<Partition, (Vec<usize>, Vec<Entry>)> = BTreeMap::new();
    let mut appended = Vec::with_capacity(arrivals.len());
    for (number, (arrival, found)) in arrivals.into_iter().zip(found).enumerate() {
        appended.push(match found {
            Found::Stranger => Appended::Stranger,
            Found::Seen => Appended::Duplicate,
            Found::Whose(whose) => {
                let partition = shared.partition_of(&whose.conversation);
                let group = groups.entry(partition).or_default();
                group.0.push(number);
                group.1.push(Entry::new(shared.place(), &whose, arrival)?);
                Appended::New { partition, conversation: whose.conversation }
            }
        });
    }
    let written = groups.into_iter().map(async |(partition, (numbers, entries))| {
        write(shared, partition, entries).await.map(|new| numbers.into_iter().zip(new).collect::<Vec<_>>())
    });
    for (number, new) in join_all(written).await.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        if let Some(one) = appended.get_mut(number).filter(|_| !new) {
            *one = Appended::Duplicate;
        }
    }
    Ok(appended)
}

/// Writes entries of one partition with whatever else waits for it; gives which are new.
async fn write(shared: &Arc<Shared>, partition: Partition, entries: Vec<Entry>) -> Result<Vec<bool>, StoreError> {
    let Some(group) = shared.groups.get(usize::from(partition.0)) else { return Ok(Vec::new()) };
    let (sender, written) = oneshot::channel();
    let begin = {
        let mut queue = lock(&group.queue);
        queue.1.push((entries, sender));
        !std::mem::replace(&mut queue.0, true)
    };
    if begin {
        // A task of its own: who waits for it may go away.
        let shared = Arc::clone(shared);
        tokio::spawn(async move { rounds(&shared, partition).await });
    }
    written.await.map_err(|_| closed())?.map_err(StoreError::Unavailable)
}

async fn rounds(shared: &Shared, partition: Partition) {
    let Some(group) = shared.groups.get(usize::from(partition.0)) else { return };
    loop {
        let batch = {
            let mut queue = lock(&group.queue);
            let mut events = 0;
            let fits = queue.1.iter().take_while(|(entries, _)| {
                events += entries.len();
                events <= BATCH
            });
            let count = fits.count().max(1).min(queue.1.len());
            let batch: Vec<_> = queue.1.drain(..count).collect();
            queue.0 = !batch.is_empty();
            batch
        };
        if batch.is_empty() {
            return;
        }
        let mut request = invoke(&APPEND, shared.keys.set(partition));
        request.arg(shared.keys.wake()).arg(partition.0);
        for argument in batch.iter().flat_map(|(entries, _)| entries).flat_map(|entry| &entry.arguments) {
            request.arg(argument);
        }
        let written: Result<Vec<bool>, _> = answer(shared.servers.call(partition, &request).await);
        if written.as_ref().is_ok_and(|new| new.contains(&true)) {
            // The others are told by the script.
            shared.wake(partition);
        }
        let mut written = written.map(Vec::into_iter).map_err(reason);
        for (entries, waiter) in batch {
            let part = match &mut written {
                Ok(new) => Ok(new.by_ref().take(entries.len()).collect()),
                Err(reason) => Err(reason.clone()),
            };
            // A waiter that has gone away does not want to know.
            let _gone = waiter.send(part);
        }
    }
}

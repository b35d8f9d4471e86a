//! The one atomic write.

use std::collections::BTreeMap;

use ::redis::{Cmd, Value};
use futures::future::join_all;
use patchbay_model::ConversationId;

use super::Shared;
use super::append::Entry;
use super::codec::{answer, decode, encode, readable};
use super::identify::Found;
use super::keys::{Index, ticket_entry};
use super::scripts::{CLAIM, COMMIT};
use super::servers::invoke;
use super::shelf::commit_arguments;
use crate::embedded::commit::{belongs, fingerprint};
use crate::embedded::links::alter;
use crate::{Commit, IDS_KEPT, Lease, Link, LinkChange, RedisMode, Shelving, StoreError};

/// How often a commit is tried at most: each time, another one has changed the same link meanwhile.
const ROUNDS: usize = 32;

/// A link's JSON as it was read (empty: there is none), the link, and whether it has been changed since.
type Read = (Vec<u8>, Option<Link>, bool);

/// A link that the commit changes: what was read (empty: nothing), and what shall be there.
#[derive(Debug)]
struct Changed {
    conversation: ConversationId,
    desk: String,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// What the commit does to links.
#[derive(Debug, Default)]
struct Changes {
    links: Vec<Changed>,
    /// Desk, ticket, conversation: what the tickets lead to from now on, unless they lead elsewhere.
    tickets: Vec<(String, String, ConversationId)>,
}

impl Shared {
    pub(super) async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), StoreError> {
        belongs(lease.partition, &commit, self.keys.partitions())?;
        let losses = *self.servers.losses().borrow();
        let begins_effects = !commit.put_tasks.is_empty();
        let mut prepared = Prepared::new(self, lease, &commit)?;
        self.index_media(&commit).await?;
        if self.servers.options.mode == RedisMode::Cluster && !commit.documents.is_empty() {
            self.shelve_ahead(lease, commit.handled, &commit.documents).await?;
        }
        for _ in 0..ROUNDS {
            let changes = self.change_links(&commit.links).await?;
            let known = self.index_tickets(&changes.tickets).await?;
            if prepared.events.is_none() {
                prepared.events = Some(self.follow_up(lease, &commit, &known).await?);
            }
            let request = prepared.request(&changes.links, &known);
            match self.outcome(lease, &commit, &request).await? {
                Outcome::Again => {}
                Outcome::Written { grown } => {
                    if grown {
                        self.wake(lease.partition);
                        self.remember(&prepared).await;
                    }
                    if begins_effects {
                        // No effect without a cause: what orders it must outlive a failover first.
                        self.settle_partition(lease.partition, losses).await?;
                    }
                    return Ok(());
                }
            }
        }
        Err(StoreError::Unavailable("others change the same links all the time".into()))
    }

    async fn outcome(&self, lease: &Lease, commit: &Commit, request: &Cmd) -> Result<Outcome, StoreError> {
        let parts: Vec<Value> = answer(self.servers.call(lease.partition, request).await)?;
        let mut parts = parts.into_iter();
        let word = parts.next().map(super::server::text).unwrap_or_default();
        let number = match parts.next() {
            Some(Value::Int(number)) => u64::try_from(number).unwrap_or_default(),
            _ => 0,
        };
        match (word.as_str(), &commit.conversation) {
            ("now", _) => Ok(Outcome::Written { grown: number > 0 }),
            ("before", _) => Ok(Outcome::Written { grown: false }),
            ("again", _) => Ok(Outcome::Again),
            ("overtaken", _) => {
                let at = usize::try_from(number).ok().and_then(|number| commit.documents.get(number));
                Err(StoreError::Overtaken { space: at.map(|shelving| shelving.space.clone()).unwrap_or_default() })
            }
            ("fenced", _) => Err(self.fenced(lease)),
            ("conflict", Some((expected, state))) => {
                Err(StoreError::Conflict { conversation: state.id.clone(), expected: *expected, found: number })
            }
            _ => Err(StoreError::Corrupt("Redis answered something else than was asked for".into())),
        }
    }

    /// Applies the changes to the links as they are now.
    async fn change_links(&self, changes: &[LinkChange]) -> Result<Changes, StoreError> {
        let mut read: BTreeMap<(&ConversationId, &str), Read> = BTreeMap::new();
        for change in changes {
            let place = (change.conversation(), change.desk());
            if let std::collections::btree_map::Entry::Vacant(entry) = read.entry(place) {
                let before = self.link_json(place.0, place.1).await?.unwrap_or_default();
                let link = if before.is_empty() { None } else { readable(decode("link of", place.0, &before)) };
                entry.insert((before, link, false));
            }
        }
        let mut tickets = Vec::new();
        for change in changes {
            let (conversation, desk) = (change.conversation(), change.desk());
            let Some((_, link, changed)) = read.get_mut(&(conversation, desk)) else { continue };
            if let (None, LinkChange::Written { ticket, .. }) = (&*link, change) {
                *link = Some(Link { conversation: conversation.clone(), ticket: ticket.clone(), entries: Vec::new() });
            }
            let Some(link) = link else { continue };
            *changed = true;
            if let Some(ticket) = alter(link, change) {
                tickets.push((desk.to_owned(), ticket.to_owned(), conversation.clone()));
            }
        }
        let mut links = Vec::new();
        for ((conversation, desk), (before, link, changed)) in read {
            if let (true, Some(link)) = (changed, link) {
                let (conversation, desk, after) = (conversation.clone(), desk.to_owned(), encode(&link)?);
                links.push(Changed { conversation, desk, before, after });
            }
        }
        Ok(Changes { links, tickets })
    }

    /// Makes tickets known, unless they are somebody else's. Gives those that are not: their entries, and whose they are.
    async fn index_tickets(
        &self,
        tickets: &[(String, String, ConversationId)],
    ) -> Result<Vec<(String, ConversationId)>, StoreError> {
        let written = tickets.iter().map(async |(desk, ticket, conversation)| -> Result<_, StoreError> {
            let entry = ticket_entry(desk, ticket);
            let (bucket, key) = self.keys.index(Index::Tickets, &entry);
            let claim = async |before: &str| -> Result<String, StoreError> {
                let mut request = invoke(&CLAIM, [&key]);
                request.arg(&entry).arg(before).arg(conversation.as_str());
                answer(self.servers.call(bucket, &request).await)
            };
            let mut whose = claim("").await?;
            if whose != conversation.as_str() && !self.is_known_by(&whose, &entry).await? {
                // Of a commit that was refused.
                whose = claim(&whose).await?;
            }
            Ok((whose == conversation.as_str()).then(|| (entry, conversation.clone())))
        });
        let written = join_all(written).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(written.into_iter().flatten().collect())
    }

    /// Makes known whose files are.
    async fn index_media(&self, commit: &Commit) -> Result<(), StoreError> {
        let written = commit.media.iter().map(async |media| {
            let (bucket, key) = self.keys.index(Index::MediaOf, media.id.as_str());
            let mut request = ::redis::cmd("HSET");
            request.arg(&key).arg(media.id.as_str()).arg(media.conversation.as_str());
            answer::<u64>(self.servers.call(bucket, &request).await).map(drop)
        });
        join_all(written).await.into_iter().collect()
    }

    /// Writes whose the appended events are, for who asks for them: without it all partitions are asked.
    async fn remember(&self, prepared: &Prepared) {
        let entries = prepared.events.as_deref().unwrap_or_default();
        let written = entries.iter().filter_map(Entry::names).map(async |(id, whose)| {
            if let Err(error) = self.claim_id(&id, whose.as_str(), IDS_KEPT.as_secs()).await {
                tracing::debug!(%error, event = %id, "whose an event is could not be noted");
            }
        });
        join_all(written).await;
    }

    /// The events that follow from the commit's.
    async fn follow_up(
        &self,
        lease: &Lease,
        commit: &Commit,
        tickets: &[(String, ConversationId)],
    ) -> Result<Vec<Entry>, StoreError> {
        if commit.append.is_empty() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for (arrival, found) in commit.append.iter().zip(self.identify(&commit.append, tickets, false).await?) {
            let Found::Whose(whose) = found else { continue };
            let other = self.partition_of(&whose.conversation);
            if other != lease.partition && whose.known {
                continue;
            }
            if other != lease.partition {
                return Err(StoreError::Unsuitable(format!(
                    "a commit to partition {} appends an event of {}, which belongs to partition {other}",
                    lease.partition, whose.conversation
                )));
            }
            entries.push(Entry::new(self.place(), &whose, arrival.clone())?);
        }
        Ok(entries)
    }
}

/// What became of a try.
enum Outcome {
    Written { grown: bool },
    Again,
}

/// A commit, made ready but for what may change between two tries.
struct Prepared {
    /// The script, its keys, and what stands before the links.
    before: Cmd,
    /// What stands behind them.
    media: Vec<[Vec<u8>; 3]>,
    reports: Vec<Vec<u8>>,
    documents: Vec<Shelving>,
    /// What follows from it, once that is known.
    events: Option<Vec<Entry>>,
}

impl Prepared {
    fn new(shared: &Shared, lease: &Lease, commit: &Commit) -> Result<Self, StoreError> {
        let partition = lease.partition;
        // A Cluster's were written ahead.
        let documents = match shared.servers.options.mode {
            RedisMode::Cluster => Vec::new(),
            _ => commit.documents.clone(),
        };
        let spaces = documents.iter().flat_map(|shelving| shared.shelf_keys(&shelving.space).1);
        let keys: Vec<String> = shared.keys.set(partition).iter().cloned().chain(spaces).collect();
        let mut request = invoke(&COMMIT, &keys);
        request.arg(lease.token).arg(lease.epoch).arg(shared.keys.wake()).arg(partition.0);
        request.arg(commit.handled.map(|position| position.0.to_string()).unwrap_or_default());
        match &commit.conversation {
            None => {
                request.arg("").arg(0).arg("-").arg("");
            }
            Some((expected, state)) => {
                let fingerprint = Some(fingerprint(commit)?).filter(|text| !text.is_empty());
                request.arg(state.id.as_str()).arg(*expected).arg(fingerprint.as_deref().unwrap_or("-"));
                request.arg(encode(state)?);
            }
        }
        let decided = commit.decision.as_ref();
        request.arg(decided.map(|decision| decision.event.as_str()).unwrap_or_default());
        request.arg(decided.map(encode).transpose()?.unwrap_or_default());
        request.arg(commit.finished_tasks.len());
        for id in &commit.finished_tasks {
            request.arg(id.as_str());
        }
        request.arg(commit.dead_letters.len());
        for letter in &commit.dead_letters {
            request.arg(letter.task.id.as_str()).arg(letter.died_at.as_millis()).arg(encode(letter)?);
        }
        request.arg(commit.settled_letters.len());
        for id in &commit.settled_letters {
            request.arg(id.as_str());
        }
        request.arg(commit.put_tasks.len());
        for task in &commit.put_tasks {
            request.arg(task.id.as_str()).arg(encode(task)?);
        }
        request.arg(commit.cleared_timers.len());
        for timer in &commit.cleared_timers {
            request.arg(format!("{} {}", timer.conversation, timer.name));
            request.arg(timer.at.map(|at| at.as_millis().to_string()).unwrap_or_default());
        }
        request.arg(commit.set_timers.len());
        for timer in &commit.set_timers {
            request.arg(format!("{} {}", timer.conversation, timer.name)).arg(timer.at.as_millis()).arg(encode(timer)?);
        }
        let media = commit
            .media
            .iter()
            .map(|media| Ok([media.id.as_str().into(), media.conversation.as_str().into(), encode(media)?]));
        Ok(Self {
            before: request,
            media: media.collect::<Result<_, StoreError>>()?,
            reports: commit.reports.iter().map(encode).collect::<Result<_, _>>()?,
            documents,
            events: None,
        })
    }

    fn request(&self, links: &[Changed], known: &[(String, ConversationId)]) -> Cmd {
        let mut request = self.before.clone();
        request.arg(links.len());
        for link in links {
            request.arg(link.conversation.as_str()).arg(&link.desk).arg(&link.before).arg(&link.after);
        }
        request.arg(self.media.len());
        for part in self.media.iter().flatten() {
            request.arg(part);
        }
        request.arg(self.reports.len());
        for report in &self.reports {
            request.arg(report);
        }
        request.arg(known.len());
        for (ticket, whose) in known {
            request.arg(format!("{whose} t {ticket}"));
        }
        commit_arguments(&mut request, &self.documents);
        let events = self.events.as_deref().unwrap_or_default();
        request.arg(events.len());
        for argument in events.iter().flat_map(|entry| &entry.arguments) {
            request.arg(argument);
        }
        request
    }
}

//! Whose events are, before they are appended.
//!
//! The rule is the embedded store's ([`of_customer`]), over what the indexes held a moment ago. What it claims is written
//! key by key, each only if it is still as it was read: where another append was quicker, the rule is applied again to
//! what is there now. So appends at the same moment agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::future::join_all;
use patchbay_model::{Arrival, ConversationId, EventId};

use super::Shared;
use super::codec::answer;
use super::keys::{Index, ticket_entry};
use super::scripts::CLAIM;
use super::servers::invoke;
use crate::embedded::append::{Identities, Target, of_customer};
use crate::{IDS_KEPT, StoreError};

/// How often the rule is applied to one event at most: each time, another append has been quicker with one of its keys.
const ROUNDS: usize = 32;

/// What stands in an id's place whose event came from another store without its conversation.
pub(super) const SEEN: &str = "-";

/// Whose an event is.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    pub(super) conversation: ConversationId,
    /// Other conversations of the same customer.
    pub(super) others: Vec<ConversationId>,
    /// Identity keys that were claimed for it.
    pub(super) claimed: Vec<String>,
    /// Its id was claimed before: it was delivered already, or begun to be.
    pub(super) known: bool,
}

impl Whose {
    fn alone(conversation: ConversationId, known: bool) -> Self {
        Self { conversation, others: Vec::new(), claimed: Vec::new(), known }
    }
}

/// What was found out about an arrival.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Whose(Whose),
    /// It was there already, in a store that is no more.
    Seen,
    /// It is about a ticket that is not ours.
    Stranger,
}

/// What the indexes hold, as far as it was read.
#[derive(Debug, Default)]
struct View {
    identities: HashMap<String, Option<String>>,
    tickets: HashMap<String, Option<String>>,
    events: HashMap<EventId, Option<String>>,
}

/// The rule's view of the identities, with what it wants to claim.
struct Claims<'v> {
    identities: &'v HashMap<String, Option<String>>,
    wanted: Vec<(String, String)>,
}

impl Identities for Claims<'_> {
    fn whose(&self, key: &str) -> Result<Option<String>, StoreError> {
        let wanted = self.wanted.iter().rev().find(|(other, _)| other == key).map(|(_, whose)| whose.clone());
        Ok(wanted.or_else(|| self.identities.get(key).cloned().flatten()))
    }

    fn claim(&mut self, key: &str, whose: &str) -> Result<(), StoreError> {
        self.wanted.push((key.to_owned(), whose.to_owned()));
        Ok(())
    }
}

impl Shared {
    /// Finds out whose the arrivals are, in their order, claims their identities and then their ids. Without `claim` the
    /// ids are left alone: whether the events are written is not yet known. `tickets` are known already.
    pub(super) async fn identify(
        &self,
        arrivals: &[Arrival],
        tickets: &[(String, ConversationId)],
        claim: bool,
    ) -> Result<Vec<Found>, StoreError> {
        let targets = arrivals.iter().map(Target::of).collect::<Result<Vec<_>, _>>()?;
        let mut view = self.view(arrivals, &targets).await?;
        for (entry, whose) in tickets {
            view.tickets.insert(entry.clone(), Some(whose.as_str().to_owned()));
        }
        let mut found = Vec::with_capacity(arrivals.len());
        let mut first: HashMap<&EventId, ConversationId> = HashMap::new();
        for (arrival, target) in arrivals.iter().zip(&targets) {
            let known = first.get(&arrival.id).cloned();
            let known =
                known.map(|id| id.as_str().to_owned()).or_else(|| view.events.get(&arrival.id).cloned().flatten());
            let one = match known.as_deref().map(|known| (known, ConversationId::parse(known))) {
                Some((SEEN, _)) => Found::Seen,
                // Its id is claimed: it goes where it went, or was to go, the first time.
                Some((_, Some(id))) => Found::Whose(Whose::alone(id, true)),
                _ => self.whose(target, &mut view).await?,
            };
            if let Found::Whose(whose) = &one {
                first.entry(&arrival.id).or_insert_with(|| whose.conversation.clone());
            }
            found.push(one);
        }
        if claim {
            self.claim_ids(arrivals, &view, &mut found).await?;
        }
        Ok(found)
    }

    /// Reads all index entries that the arrivals may need, at once.
    async fn view(&self, arrivals: &[Arrival], targets: &[Target]) -> Result<View, StoreError> {
        let events: BTreeSet<&EventId> = arrivals.iter().map(|arrival| &arrival.id).collect();
        let mut identities = BTreeSet::new();
        let mut tickets = BTreeSet::new();
        for target in targets {
            match target {
                Target::Conversation(_) => {}
                Target::Customer { keys, former, .. } => identities.extend(keys.iter().chain(former).cloned()),
                Target::Ticket { desk, ticket } => {
                    tickets.insert(ticket_entry(desk, ticket));
                }
            }
        }
        let of_event = async |id: &EventId| -> Result<_, StoreError> {
            let key = self.keys.event(id);
            let mut request = ::redis::cmd("GET");
            request.arg(&key);
            Ok((id.clone(), answer::<Option<String>>(self.servers.call_key(&key, &request).await)?))
        };
        let of_index = async |index: Index, entry: String| -> Result<_, StoreError> {
            let kept = self.look_up(index, &entry).await?;
            Ok((entry, kept))
        };
        let of_ticket = async |entry: String| -> Result<_, StoreError> {
            let kept = match self.look_up(Index::Tickets, &entry).await? {
                Some(whose) if self.is_known_by(&whose, &entry).await? => Some(whose),
                _ => None,
            };
            Ok((entry, kept))
        };
        let (events, identities, tickets) = futures::join!(
            join_all(events.into_iter().map(of_event)),
            join_all(identities.into_iter().map(|key| of_index(Index::Identities, key))),
            join_all(tickets.into_iter().map(of_ticket)),
        );
        Ok(View {
            events: events.into_iter().collect::<Result<_, _>>()?,
            identities: identities.into_iter().collect::<Result<_, _>>()?,
            tickets: tickets.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// An entry of an index.
    pub(super) async fn look_up(&self, index: Index, entry: &str) -> Result<Option<String>, StoreError> {
        let (bucket, key) = self.keys.index(index, entry);
        let mut request = ::redis::cmd("HGET");
        request.arg(key).arg(entry);
        answer(self.servers.call(bucket, &request).await)
    }

    /// Whether the commit that wrote a ticket's entry has come to its end: the entry was written before it.
    pub(super) async fn is_known_by(&self, whose: &str, ticket: &str) -> Result<bool, StoreError> {
        let Some(conversation) = ConversationId::parse(whose) else { return Ok(false) };
        let partition = self.partition_of(&conversation);
        let mut request = ::redis::cmd("ZSCORE");
        request.arg(self.keys.of(partition, "names")).arg(format!("{conversation} t {ticket}"));
        Ok(self.read::<Option<u64>>(partition, &request).await?.is_some())
    }

    async fn whose(&self, target: &Target, view: &mut View) -> Result<Found, StoreError> {
        match target {
            Target::Conversation(id) => Ok(Found::Whose(Whose::alone(id.clone(), false))),
            Target::Ticket { desk, ticket } => {
                let known = view.tickets.get(&ticket_entry(desk, ticket)).cloned().flatten();
                let known = known.and_then(|known| ConversationId::parse(&known));
                Ok(known.map_or(Found::Stranger, |conversation| Found::Whose(Whose::alone(conversation, false))))
            }
            Target::Customer { keys, former, otherwise } => {
                let mut claimed = Vec::new();
                for _ in 0..ROUNDS {
                    let mut claims = Claims { identities: &view.identities, wanted: Vec::new() };
                    let mut found = of_customer(&mut claims, keys, former, otherwise)?;
                    let wanted = claims.wanted;
                    if self.claim(&wanted, view, &mut claimed).await? {
                        let others = found.split_off(1);
                        let conversation = found.pop().unwrap_or_else(|| otherwise.clone());
                        return Ok(Found::Whose(Whose { conversation, others, claimed, known: false }));
                    }
                }
                Err(StoreError::Unavailable("others claim the same identities all the time".into()))
            }
        }
    }

    /// Writes claims, the surest first. `false`: one is no longer as it was read; the view knows it now.
    async fn claim(
        &self,
        wanted: &[(String, String)],
        view: &mut View,
        claimed: &mut Vec<String>,
    ) -> Result<bool, StoreError> {
        for (entry, whose) in wanted {
            let before = view.identities.get(entry).cloned().flatten();
            let (bucket, key) = self.keys.index(Index::Identities, entry);
            let mut request = invoke(&CLAIM, [&key]);
            request.arg(entry).arg(before.unwrap_or_default()).arg(whose);
            let now: String = answer(self.servers.call(bucket, &request).await)?;
            let ours = now == *whose;
            view.identities.insert(entry.clone(), Some(now));
            if !ours {
                return Ok(false);
            }
            claimed.push(entry.clone());
        }
        Ok(true)
    }

    /// Claims the events' ids: who delivers one of them again is led to the same conversation, whatever its identities
    /// say then, and finds it there.
    async fn claim_ids(&self, arrivals: &[Arrival], view: &View, found: &mut [Found]) -> Result<(), StoreError> {
        let mut wanted: BTreeMap<&EventId, ConversationId> = BTreeMap::new();
        for (arrival, found) in arrivals.iter().zip(found.iter()) {
            let known = view.events.get(&arrival.id).is_some_and(Option::is_some);
            if let (false, Found::Whose(whose)) = (known, found) {
                wanted.entry(&arrival.id).or_insert_with(|| whose.conversation.clone());
            }
        }
        let claims = wanted.iter().map(async |(id, conversation)| -> Result<_, StoreError> {
            let before: Option<String> = self.claim_id(id, conversation.as_str(), IDS_KEPT.as_secs()).await?;
            Ok(((*id).clone(), before))
        });
        let quicker: Result<HashMap<_, _>, _> = join_all(claims).await.into_iter().collect();
        let quicker = quicker?;
        for (arrival, found) in arrivals.iter().zip(found.iter_mut()) {
            let Some(Some(other)) = quicker.get(&arrival.id) else { continue };
            match (ConversationId::parse(other), &mut *found) {
                (Some(id), Found::Whose(whose)) if id != whose.conversation => {
                    *whose = Whose::alone(id, true);
                }
                (Some(_), _) => {}
                (None, found) => *found = Found::Seen,
            }
        }
        Ok(())
    }

    /// Writes whose an event's id is, unless somebody has; gives what they have written.
    pub(super) async fn claim_id(&self, id: &EventId, whose: &str, seconds: u64) -> Result<Option<String>, StoreError> {
        let key = self.keys.event(id);
        let mut request = ::redis::cmd("SET");
        request.arg(&key).arg(whose).arg("NX").arg("GET").arg("EX").arg(seconds.max(1));
        answer(self.servers.call_key(&key, &request).await)
    }
}

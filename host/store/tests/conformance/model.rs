//! Random operations on the store and on a simple model of it, compared after each.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use patchbay_model::decision::Decision;
use patchbay_model::{Arrival, ConversationId, Route, Task, TaskId, Ticket};
use patchbay_store::{
    Appended, ClearedTimer, Commit, DocumentWrite, EventFilter, Lease, LinkChange, Partition, Position, Removed,
    Retention, Shelved, Store, StoreError,
};
use proptest::prelude::prop;
use proptest::test_runner::{Config, TestRunner};

use super::data::{
    arrival, at, changed, conversation, conversation_id, dead, decision, event_id, known, phone, task, task_id, ticket,
    ticket_route, timer, user,
};
use super::expected::{Model, Refusal};
use super::plans::{Change, NAMES, Operation, Plan, Shelving, To, operation};
use super::{Instance, journal, upkeep};

/// Gives a fresh instance.
pub(crate) type Make = fn() -> Pin<Box<dyn Future<Output = Box<dyn Instance>>>>;

/// Runs random operations and compares the store with the model after each.
pub(crate) fn check(make: Make) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(operation(), 1..25), |operations| {
        runtime.block_on(async {
            let mut run = Run::new(make().await).await;
            for operation in operations {
                run.operate(operation).await;
                run.compare().await;
            }
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

struct Run {
    instance: Box<dyn Instance>,
    leases: Vec<Lease>,
    model: Model,
    /// Grows with each operation, so that what each writes differs.
    step: u64,
}

async fn own_all(store: &dyn Store) -> Vec<Lease> {
    let mut leases = Vec::new();
    for partition in 0..store.partitions() {
        leases.push(store.acquire(Partition(partition)).await.unwrap().unwrap());
    }
    leases
}

/// An arrival, accepted in a step.
fn incoming((name, to): &(u8, To), step: u64) -> Arrival {
    Arrival { received_at: at(step), ..bare(*name, to) }
}

fn bare(name: u8, to: &To) -> Arrival {
    let event = format!("event {name}");
    match to {
        To::Conversation(n) => known(&event, &conversation_id(&format!("{n}"))),
        To::Ticket(n) => arrival(&event, ticket_route("desk", &format!("{n}"))),
        To::Customer(bits, former) => {
            let all = [phone("1"), phone("2"), user("1"), user("2")];
            let chosen = |bits: u8| (0..4).filter(|n| bits & (1 << n) != 0).map(|n| all[n].clone()).collect::<Vec<_>>();
            let mut some = chosen(*bits);
            if some.is_empty() {
                some.push(phone("3"));
            }
            if bits & 16 != 0 {
                some.reverse();
            }
            // Nobody is known by an identity and was known by it until now.
            arrival(&event, changed(&some, &chosen(former & !bits)))
        }
    }
}

impl Run {
    async fn new(instance: Box<dyn Instance>) -> Self {
        let leases = own_all(instance.store().as_ref()).await;
        Self { instance, leases, model: Model::default(), step: 0 }
    }

    fn lease(&self, conversation: &ConversationId) -> &Lease {
        &self.leases[usize::from(self.instance.store().partition_of(conversation).0)]
    }

    async fn operate(&mut self, operation: Operation) {
        self.step += 1;
        let store = self.instance.store();
        match operation {
            Operation::Append(arrivals) => {
                let arrivals: Vec<_> = arrivals.iter().map(|one| incoming(one, self.step)).collect();
                let appended = store.append(arrivals.clone()).await.unwrap();
                assert_eq!(appended.len(), arrivals.len());
                for (arrival, appended) in arrivals.iter().zip(appended) {
                    let known = self.model.seen.contains(&arrival.id);
                    let expected = match self.model.append(arrival) {
                        Some(conversation) => {
                            Appended::New { partition: store.partition_of(&conversation), conversation }
                        }
                        None if known => Appended::Duplicate,
                        None => Appended::Stranger,
                    };
                    assert_eq!(appended, expected);
                }
            }
            Operation::Commit(plan) => self.commit(&store, plan).await,
            Operation::Shelve(shelving) => self.shelve(&store, &shelving).await,
            Operation::ThinOut(events, raw, letters) => {
                // The clock stands at day 1: ids are not forgotten, and what is so many steps old is past its time.
                let now = upkeep::days(1);
                let kept = |steps: u8| Some(now.since(at(steps.into())));
                let retention = Retention {
                    events: kept(events),
                    raw: kept(raw),
                    dead_letters: kept(letters),
                    ..Retention::default()
                };
                let removed = upkeep::thin_out(&store, &self.leases, &retention, now).await;
                let expected = self.model.thin_out(at(events.into()), at(raw.into()), at(letters.into()));
                // Raw JSON may go by itself before its event does.
                assert_eq!(Removed { raw: 0, ..removed }, Removed { raw: 0, ..expected });
                assert!(removed.raw >= expected.raw, "{removed:?} {expected:?}");
            }
            Operation::Reopen => {
                drop(store);
                self.instance.reopen().await;
                self.leases = own_all(self.instance.store().as_ref()).await;
            }
        }
    }

    async fn commit(&mut self, store: &Arc<dyn Store>, plan: Plan) {
        let id = conversation_id(&format!("{}", plan.conversation));
        let lease = self.lease(&id).clone();
        let waiting = journal(store, &lease).await;
        let handled = plan.handled.map(|n| waiting.get(usize::from(n)).map(|r| (r.position, r.event.id.clone())));
        let (version, _) = self.model.states.get(&id).cloned().unwrap_or_default();
        let note = format!("step {}", self.step);
        let names = |names: &[u8]| names.iter().map(|n| format!("{n}")).collect::<BTreeSet<_>>();
        let step = self.step;
        let tasks = |names: &[u8]| names.iter().map(|n| task_of(*n, &id)).collect::<Vec<_>>();
        let commit = Commit {
            // A position that was never given is not pending either.
            handled: handled.as_ref().map(|found| found.as_ref().map_or(Position(u64::MAX), |(position, _)| *position)),
            conversation: plan.state.map(|wrong| (version + u64::from(wrong), conversation(&id, &note))),
            put_tasks: tasks(&plan.put).into_iter().map(|task| Task { sequence: step, ..task }).collect(),
            finished_tasks: tasks(&plan.finish).into_iter().map(|task| task.id).collect(),
            dead_letters: tasks(&plan.dead).into_iter().map(|task| dead(task, step)).collect(),
            settled_letters: tasks(&plan.settle).into_iter().map(|task| task.id).collect(),
            set_timers: names(&plan.set).iter().map(|name| timer(name, &id, step)).collect(),
            cleared_timers: plan.clear.iter().map(|(name, how)| self.cleared(&id, *name, *how)).collect(),
            links: plan.link.iter().map(|change| change_of(change, &id, step)).collect(),
            append: plan.append.iter().map(|one| incoming(one, step)).filter(|one| self.follows(one, &lease)).collect(),
            decision: handled.clone().flatten().map(|(_, event)| Decision { event, ..decision("", &note) }),
            ..Commit::default()
        };
        let answer = store.commit(&lease, commit.clone()).await;
        let gone = |id: &TaskId| !self.model.tasks.contains_key(id);
        let mut ended = commit.finished_tasks.iter().chain(commit.dead_letters.iter().map(|letter| &letter.task.id));
        let applied_before = match (&handled, &commit.conversation) {
            (Some(found), _) => found.is_none(),
            (None, Some(_)) => false,
            (None, None) => !(commit.finished_tasks.is_empty() && commit.dead_letters.is_empty()) && ended.all(gone),
        };
        if applied_before {
            answer.unwrap();
        } else if plan.state.is_some_and(|wrong| wrong > 0) {
            assert!(matches!(answer, Err(StoreError::Conflict { .. })), "{answer:?}");
        } else {
            answer.unwrap();
            self.model.commit(&commit, handled.flatten().as_ref().map(|(_, event)| event));
            if plan.twice {
                // Without a change to the model.
                store.commit(&lease, commit).await.unwrap();
            }
        }
    }

    async fn shelve(&mut self, store: &Arc<dyn Store>, shelving: &Shelving) {
        let Shelving { space, writes, quota } = shelving;
        let body = |length: u8| bytes::Bytes::from(vec![self.step as u8; usize::from(length)]);
        let revision = |key: u8| self.model.documents.get(&(*space, key)).map_or(0, |(revision, _)| *revision);
        let list = writes.iter().map(|(key, (length, wrong))| DocumentWrite {
            key: format!("{key}"),
            body: length.map(body),
            expected: wrong.map(|wrong| revision(*key) + u64::from(wrong)),
        });
        let name = format!("space {space}");
        let shelved = store.write_documents(&name, list.collect(), quota.map(u64::from)).await.unwrap();
        let refusal = self.model.refuses(shelving);
        match (shelved, refusal) {
            (Shelved::Conflict { key, found }, Some(expected)) => {
                assert_eq!(Refusal::Conflict(key.parse().unwrap(), found), expected);
            }
            (Shelved::Full { would_be }, Some(expected)) => assert_eq!(Refusal::Full(would_be), expected),
            (Shelved::Written(revisions), None) => {
                assert_eq!(revisions.len(), writes.len());
                for ((key, (length, _)), revision) in writes.iter().zip(revisions) {
                    let place = (*space, *key);
                    let Some(length) = length else {
                        assert_eq!(revision, 0);
                        self.model.documents.remove(&place);
                        continue;
                    };
                    let last = self.model.revisions.insert(place, revision).unwrap_or_default();
                    assert!(revision > last, "{revision} after {last}");
                    self.model.documents.insert(place, (revision, *length));
                }
            }
            (shelved, refusal) => panic!("{shelved:?}, and not {refusal:?}"),
        }
    }

    /// Whether an event may follow from one of the lease's partition: it must belong there.
    fn follows(&self, arrival: &Arrival, lease: &Lease) -> bool {
        let whose = match &arrival.route {
            Route::Conversation(id) => Some(id),
            Route::Ticket { ticket, .. } => self.model.tickets.get(ticket),
            // Who comes from outside is appended, not committed.
            Route::Customer { .. } | Route::Account(_) => return false,
        };
        whose.is_none_or(|id| self.instance.store().partition_of(id) == lease.partition)
    }

    fn cleared(&self, id: &ConversationId, name: u8, how: u8) -> ClearedTimer {
        let name = format!("{name}");
        let set = self.model.timers.get(&(id.clone(), name.clone())).map(|timer| timer.at);
        let at = match how {
            0 => None,
            1 => set.or(Some(at(0))),
            _ => Some(at(self.step + 1_000)),
        };
        ClearedTimer { conversation: id.clone(), name, at }
    }

    async fn compare(&self) {
        let store = self.instance.store();
        let model = &self.model;
        for lease in &self.leases {
            let mine = |id: &ConversationId| store.partition_of(id) == lease.partition;
            let pending = store.load(lease).await.unwrap();
            let waiting = journal(&store, lease).await.into_iter();
            let waiting: Vec<_> =
                waiting.map(|record| (record.event.id, record.event.conversation, record.others)).collect();
            let expected =
                model.events.iter().filter(|kept| mine(&kept.conversation) && model.pending.contains(&kept.id));
            let expected = expected.map(|kept| (kept.id.clone(), kept.conversation.clone(), kept.others.clone()));
            assert_eq!(waiting, expected.collect::<Vec<_>>());
            let mut tasks: Vec<_> = model.tasks.values().filter(|task| mine(&task.conversation)).cloned().collect();
            tasks.sort_by_key(|task| (task.conversation.clone(), task.lane.clone(), task.sequence, task.id.clone()));
            assert_eq!(pending.tasks, tasks);
            let timers = model.timers.values().filter(|timer| mine(&timer.conversation));
            assert_eq!(pending.timers, timers.cloned().collect::<Vec<_>>());
        }
        for name in 0..NAMES {
            let id = conversation_id(&format!("{name}"));
            let state = store.conversation(&id).await.unwrap();
            let state = state.map(|state| (state.version, state.value.attributes["note"].clone()));
            assert_eq!(state, model.states.get(&id).cloned());
            let links = model.links.values().filter(|link| link.conversation == id);
            assert_eq!(store.links(&id).await.unwrap(), links.cloned().collect::<Vec<_>>());
            let task = task_of(name, &id).id;
            assert_eq!(store.task(&task).await.unwrap(), model.tasks.get(&task).cloned());
            let mut events =
                model.events.iter().filter(|kept| kept.conversation == id).map(|kept| &kept.id).collect::<Vec<_>>();
            events.reverse();
            let filter = EventFilter { conversation: Some(id), limit: 100, ..EventFilter::default() };
            let listed = store.events(&filter).await.unwrap();
            assert_eq!(listed.iter().map(|record| &record.event.id).collect::<Vec<_>>(), events);
        }
        let all = store.events(&EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
        let all: Vec<_> =
            all.into_iter().map(|record| (record.event.id, record.event.conversation, record.raw.is_some())).collect();
        let expected = model.events.iter().rev();
        let expected = expected.map(|kept| (kept.id.clone(), kept.conversation.clone(), kept.raw));
        assert_eq!(all, expected.collect::<Vec<_>>());
        for number in 0..40 {
            let id = event_id(&format!("event {number}"));
            let expected = model.events.iter().any(|kept| kept.id == id);
            assert_eq!(store.event(&id).await.unwrap().is_some(), expected);
            // Some of those that were never there are enough.
            if expected || number % 8 == 0 {
                assert_eq!(store.decision(&id).await.unwrap().as_ref(), model.decisions.get(&id));
            }
        }
        for space in 0..2 {
            let documents = store.documents(&format!("space {space}")).await.unwrap();
            let documents: Vec<_> =
                documents.iter().map(|one| (one.key.clone(), one.revision, one.body.len())).collect();
            let expected = model.documents.iter().filter(|((of, _), _)| *of == space);
            let expected = expected.map(|((_, key), (at, length))| (format!("{key}"), *at, usize::from(*length)));
            assert_eq!(documents, expected.collect::<Vec<_>>());
        }
        let letters: BTreeMap<_, _> =
            store.dead_letters(100).await.unwrap().into_iter().map(|letter| (letter.task.id.clone(), letter)).collect();
        assert_eq!(letters, model.dead);
        for name in 0..NAMES {
            let task = task_of(name, &conversation_id(&format!("{name}"))).id;
            assert_eq!(store.dead_letter(&task).await.unwrap().as_ref(), model.dead.get(&task));
        }
    }
}

fn change_of(change: &Change, id: &ConversationId, step: u64) -> LinkChange {
    let (conversation, desk, status) = (id.clone(), "desk".to_owned(), format!("status {step}"));
    match change {
        Change::Status => LinkChange::Status { conversation, desk, status },
        Change::Moved(to) => LinkChange::Moved { conversation, desk, to: format!("{to}") },
        Change::Written { id, read } => LinkChange::Written {
            conversation,
            ticket: Ticket { status, ..ticket(&desk, &format!("{id}")) },
            read: read.map(|read| format!("{read}")),
            entry: (!step.is_multiple_of(3)).then(|| format!("entry {step}")),
        },
    }
}

/// A conversation has one task of each name.
fn task_of(name: u8, conversation: &ConversationId) -> Task {
    let name = format!("{conversation} {name}");
    let task = task(&name, conversation, 0);
    debug_assert_eq!(task.id, task_id(&name));
    task
}

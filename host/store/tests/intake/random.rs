//! Whatever happens in whatever order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::EventId;
use patchbay_store::intake::{Intake, IntakeOptions};
use proptest::prelude::*;

use crate::faulty::{Fault, Faulty, conversation, event, message};
use crate::{LEASE, caught_up, copy, open, options, settled};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A batch comes for each of these conversations at once, with so many messages each.
    Accept(Vec<u8>, u8),
    /// A batch that was acknowledged comes again.
    Repeat(prop::sample::Index),
    Fault(Fault),
    /// A failover loses so many of the last appends.
    Lose(u8),
    Settles(bool),
    /// The process dies; so many bytes of a write that nobody waits for are left at the end.
    Crash(u8),
    /// Time passes.
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let faults = prop::sample::select(vec![Fault::None, Fault::None, Fault::Away, Fault::AnswerLost, Fault::Hangs]);
    prop_oneof![
        10 => (prop::collection::btree_set(0_u8..4, 1..4), 1_u8..4)
            .prop_map(|(conversations, length)| Step::Accept(conversations.into_iter().collect(), length)),
        1 => any::<prop::sample::Index>().prop_map(Step::Repeat),
        3 => faults.prop_map(Step::Fault),
        2 => (0_u8..12).prop_map(Step::Lose),
        2 => any::<bool>().prop_map(Step::Settles),
        1 => (0_u8..40).prop_map(Step::Crash),
        2 => (0_u16..4_000).prop_map(Step::Wait),
    ]
}

/// A node and what it has acknowledged.
struct World {
    store: Arc<Faulty>,
    options: IntakeOptions,
    folder: tempfile::TempDir,
    intake: Arc<Intake>,
    /// For each conversation its acknowledged batches, in order, with the numbers of their messages.
    acknowledged: BTreeMap<u8, Vec<(u32, u32)>>,
    next: BTreeMap<u8, u32>,
    fault: Fault,
    /// A failover has come while something was on its way to the store, or nothing new waits for what it lost: that is
    /// then behind others.
    disorder: bool,
}

fn name(of: u8, number: u32) -> String {
    format!("{of}/{number}")
}

impl World {
    fn new(accept_while_away: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = IntakeOptions { accept_while_away, ..options(folder.path()) };
        let store = Faulty::new(LEASE);
        let intake = Arc::new(open(&store, &options));
        Self {
            store,
            options,
            folder,
            intake,
            acknowledged: BTreeMap::new(),
            next: BTreeMap::new(),
            fault: Fault::None,
            disorder: false,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Accept(conversations, length) => self.accept(&conversations, u32::from(length)).await,
            Step::Repeat(which) => {
                let all: Vec<_> =
                    self.acknowledged.iter().flat_map(|(of, all)| all.iter().map(|one| (*of, *one))).collect();
                if !all.is_empty() {
                    let (of, (first, length)) = *which.get(&all);
                    // Whether it is taken now does not matter: it was before.
                    let _repeated = self.intake.accept(batch(of, first, length)).await;
                }
            }
            Step::Fault(fault) => {
                self.fault = fault;
                self.store.fault(fault);
            }
            Step::Lose(most) => {
                if self.fault == Fault::None && self.options.accept_while_away {
                    caught_up(&self.intake).await;
                } else {
                    self.disorder = true;
                }
                self.store.lose(usize::from(most));
            }
            Step::Settles(settles) => self.store.settles(settles),
            Step::Crash(torn) => {
                let left = copy(self.folder.path());
                self.options.folder = Some(left.path().to_owned());
                if let Some(last) = crate::files(left.path(), "log").last() {
                    let mut bytes = std::fs::read(last).unwrap();
                    let tail: Vec<_> = bytes[16..].iter().copied().take(usize::from(torn)).collect();
                    bytes.extend(tail);
                    std::fs::write(last, bytes).unwrap();
                }
                self.intake = Arc::new(open(&self.store, &self.options));
                self.folder = left;
            }
            Step::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis.into())).await,
        }
    }

    async fn accept(&mut self, conversations: &[u8], length: u32) {
        let accepting = conversations.iter().copied().map(|of| {
            let next = self.next.entry(of).or_default();
            let first = *next;
            *next += length;
            let intake = Arc::clone(&self.intake);
            (of, first, tokio::spawn(async move { intake.accept(batch(of, first, length)).await.is_ok() }))
        });
        for (of, first, task) in accepting.collect::<Vec<_>>() {
            if task.await.unwrap() {
                self.acknowledged.entry(of).or_default().push((first, length));
            }
        }
    }

    /// Everything is well again, and the store gets what it is to get.
    async fn end(self) -> (Vec<(u8, EventId)>, BTreeMap<u8, Vec<EventId>>, bool) {
        self.store.fault(Fault::None);
        self.store.settles(true);
        caught_up(&self.intake).await;
        settled(&self.intake).await;
        let journal = self.store.journal();
        let all: BTreeMap<_, _> = (0..4).map(|of| (conversation(&of.to_string()), of)).collect();
        let journal = journal.into_iter().map(|(conversation, event)| (all[&conversation], event)).collect();
        let numbers = |(first, length): &(u32, u32)| *first..first + length;
        let acknowledged = self.acknowledged.iter().map(|(of, batches)| {
            (*of, batches.iter().flat_map(numbers).map(|number| event(&name(*of, number))).collect())
        });
        (journal, acknowledged.collect(), self.disorder)
    }
}

fn batch(of: u8, first: u32, length: u32) -> Vec<patchbay_model::Arrival> {
    (first..first + length).map(|number| message(&name(of, number), &conversation(&of.to_string()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_acknowledged_is_there_once_and_in_order(
        accept_while_away in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (journal, acknowledged, disorder) = runtime.block_on(async {
            let mut world = World::new(accept_while_away);
            for step in steps {
                world.step(step).await;
            }
            world.end().await
        });
        let mut once: Vec<_> = journal.iter().map(|(_, event)| event.clone()).collect();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), journal.len(), "something is there twice");
        for (of, expected) in acknowledged {
            let found = journal.iter().filter(|(conversation, event)| *conversation == of && expected.contains(event));
            let mut found: Vec<_> = found.map(|(_, event)| event.clone()).collect();
            let mut expected = expected;
            if disorder {
                found.sort();
                expected.sort();
            }
            prop_assert_eq!(found, expected, "conversation {}", of);
        }
    }
}

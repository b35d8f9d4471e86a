//! One simulation: three nodes, one store, faults by the seed; then the weather clears, and all must be well.

use std::collections::BTreeMap;
use std::time::Duration;

use patchbay_model::{Identity, Timestamp};
use patchbay_store::Upkeep as _;
use patchbay_store::memory::{MemoryOptions, MemoryServer, Rule};
use rand::RngExt;

use crate::checks;
use crate::intake::{Intake, message};
use crate::node::{Node, at_once};
use crate::shared::{START, Shared, Weather};

/// Nodes.
const NODES: usize = 3;
/// Partitions.
pub(crate) const PARTITIONS: u16 = 8;
/// Customers, each with a conversation.
const CUSTOMERS: u64 = 12;
/// Their messages, all together.
pub(crate) const MESSAGES: u64 = 60;
/// How long faults happen.
const STORM: Duration = Duration::from_secs(8);
/// How long it may take until nothing is pending after that.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(3);

/// What is to be simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// A rule of the store that is broken.
    pub(crate) broken: Option<Rule>,
    /// Keep the last lines of the trace.
    pub(crate) readable: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The same for the same seed.
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    /// How long it took until all was well, in simulated time.
    pub(crate) took: Duration,
    pub(crate) violations: Vec<String>,
    pub(crate) lines: String,
}

/// A fault, when its time comes.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut(usize, Duration),
    Freeze(usize, Duration),
    Crash(usize, Duration),
    Stop(usize, Duration),
    Stall,
    FailOver,
    CatchUp,
}

/// A place for a node.
struct Slot {
    node: Option<Node>,
    lives: u64,
    /// It is not there, or stands still, until then.
    until: Timestamp,
    /// It stood still.
    frozen: bool,
    /// How long it will be away once it has stopped.
    away: Duration,
}

struct Simulation {
    shared: Shared,
    server: MemoryServer,
    intake: Intake,
    slots: Vec<Slot>,
    now: Timestamp,
    step: Duration,
    faults: BTreeMap<(Timestamp, u64), Fault>,
}

/// Simulates.
pub(crate) fn simulate(plan: Plan) -> Outcome {
    let shared = Shared::new(plan.seed, plan.readable);
    let server = MemoryServer::new(MemoryOptions { partitions: PARTITIONS, lease_time: LEASE });
    if let Some(rule) = plan.broken {
        server.ignore(rule);
    }
    let step = shared.lock().millis(10..30);
    let slot = |_| Slot { node: None, lives: 0, until: START, frozen: false, away: Duration::ZERO };
    let slots = (0..NODES).map(slot).collect();
    let (intake, faults) = (Intake::default(), BTreeMap::new());
    let mut simulation = Simulation { shared, server, intake, slots, now: START, step, faults };
    simulation.write();
    simulation.forecast();
    while simulation.now < START.after(STORM) {
        simulation.step();
    }
    simulation.clear();
    let patience = START.after(STORM + PATIENCE);
    while !simulation.is_done() && simulation.now < patience {
        for _ in 0..8 {
            simulation.step();
        }
    }
    simulation.conclude()
}

impl Simulation {
    /// What the customers write.
    fn write(&self) {
        let mut shared = self.shared.lock();
        // Customers who are known by one identity first, and by another one later.
        let joining = shared.chance(300);
        for number in 0..MESSAGES {
            let customer = shared.rng.random_range(0..CUSTOMERS);
            let due = START.after(shared.millis(0..STORM.as_millis() as u64));
            let user = Identity::UserId(format!("user {customer}").into());
            let phone = Identity::Phone(format!("4477{customer:08}").into());
            let with_media = shared.chance(300);
            let identities = match shared.rng.random_range(0..4) {
                0 if joining => vec![user],
                1 if joining => vec![phone],
                _ => vec![user, phone],
            };
            self.intake.add(due, message(number, customer, due, identities, with_media));
        }
    }

    /// Draws how bad it will be, and what will happen when.
    fn forecast(&mut self) {
        let shared = self.shared.clone();
        let mut shared = shared.lock();
        let mut rate = |most| shared.rng.random_range(0..=most);
        let (lost_requests, lost_answers, slow) = (rate(60), rate(60), rate(100));
        let (failing, uncertain, confused) = (rate(300), rate(150), rate(60));
        shared.weather = Weather { lost_requests, lost_answers, slow, failing, uncertain, confused };
        let count = shared.rng.random_range(0..9);
        for number in 0..count {
            let at = START.after(shared.millis(300..STORM.as_millis() as u64));
            let node = shared.rng.random_range(0..NODES);
            let (fault, follows) = match shared.rng.random_range(0..10) {
                0..=2 => (Fault::Freeze(node, shared.millis(100..7_000)), None),
                3..=4 => (Fault::Cut(node, shared.millis(200..8_000)), None),
                5..=6 => (Fault::Crash(node, shared.millis(100..6_000)), None),
                7 => (Fault::Stop(node, shared.millis(100..4_000)), None),
                8 => (Fault::Stall, Some((Fault::CatchUp, shared.millis(100..3_000)))),
                _ => (Fault::Stall, Some((Fault::FailOver, shared.millis(20..1_500)))),
            };
            self.faults.insert((at, number), fault);
            if let Some((fault, later)) = follows {
                self.faults.insert((at.after(later), number), fault);
            }
        }
    }

    /// All nodes live a little longer, one after the other, in an order of their own.
    fn step(&mut self) {
        let until = self.now.after(self.step);
        while let Some(entry) = self.faults.first_entry().filter(|entry| entry.key().0 <= until) {
            let fault = entry.remove();
            self.strike(fault);
        }
        self.deliver();
        let mut order: Vec<usize> = (0..NODES).collect();
        for place in (1..NODES).rev() {
            let other = self.shared.lock().rng.random_range(0..=place);
            order.swap(place, other);
        }
        for number in order {
            self.live(number, until);
        }
        self.now = until;
    }

    fn live(&mut self, number: usize, until: Timestamp) {
        let now = self.now;
        let slot = &mut self.slots[number];
        if slot.until > now {
            return;
        }
        let node = slot.node.get_or_insert_with(|| {
            slot.lives += 1;
            slot.frozen = false;
            self.shared.lock().trace(now, number, "starts", String::new);
            Node::start(number, slot.lives, now, &self.shared, &self.server)
        });
        node.run(until, std::mem::take(&mut slot.frozen));
        if node.has_ended() {
            slot.node = None;
            slot.until = until.after(slot.away);
            self.shared.lock().trace(now, number, "has stopped", String::new);
            self.intake.orphaned(number);
        }
    }

    fn strike(&mut self, fault: Fault) {
        let now = self.now;
        let mut shared = self.shared.lock();
        let who = match fault {
            Fault::Cut(node, _) | Fault::Freeze(node, _) | Fault::Crash(node, _) | Fault::Stop(node, _) => node,
            Fault::Stall | Fault::FailOver | Fault::CatchUp => NODES,
        };
        shared.trace(now, who, "fault", || format!("{fault:?}"));
        match fault {
            Fault::Cut(node, lasts) => {
                shared.cut.insert(node, now.after(lasts));
            }
            Fault::Freeze(node, lasts) => {
                let slot = &mut self.slots[node];
                slot.until = slot.until.max(now.after(lasts));
                slot.frozen = slot.node.is_some();
            }
            Fault::Crash(node, lasts) => {
                let slot = &mut self.slots[node];
                slot.until = slot.until.max(now.after(lasts));
                drop(shared);
                slot.node = None;
                self.intake.orphaned(node);
            }
            Fault::Stop(node, away) => {
                drop(shared);
                let slot = &mut self.slots[node];
                slot.away = away;
                if let Some(node) = &mut slot.node {
                    node.stop();
                }
            }
            Fault::Stall => self.server.stall(),
            Fault::CatchUp => self.server.catch_up(),
            Fault::FailOver => {
                if self.server.fail_over() {
                    shared.losses += 1;
                    self.intake.lost();
                }
            }
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        {
            let mut shared = self.shared.lock();
            for (due, arrival) in std::mem::take(&mut shared.webhooks) {
                self.intake.add(due, arrival);
            }
        }
        let here = self.slots.iter().filter(|slot| slot.until <= now);
        let nodes: Vec<&Node> = here.filter_map(|slot| slot.node.as_ref()).collect();
        self.intake.deliver(&nodes, &self.shared, now);
    }

    /// The weather clears.
    fn clear(&mut self) {
        self.faults.clear();
        self.server.catch_up();
        for slot in &mut self.slots {
            slot.until = slot.until.min(self.now);
        }
        let mut shared = self.shared.lock();
        shared.weather = Weather::default();
        shared.cut.clear();
        shared.trace(self.now, NODES, "the weather clears", String::new);
    }

    fn is_done(&self) -> bool {
        let Some(node) = self.slots.iter().find_map(|slot| slot.node.as_ref()) else { return false };
        let _time = node.enter();
        let stats = at_once(node.store.stats()).unwrap();
        let waiting = stats.pending_events + stats.tasks + stats.timers;
        let owned: usize = self.slots.iter().filter_map(|slot| slot.node.as_ref()).map(Node::owned).sum();
        let heard = self.slots.iter().filter_map(|slot| slot.node.as_ref()).all(|node| node.network.is_told());
        waiting == 0
            && heard
            && self.intake.is_settled()
            && self.shared.lock().webhooks.is_empty()
            && owned == usize::from(PARTITIONS)
    }

    fn conclude(self) -> Outcome {
        let took = self.now.since(START);
        let done = self.is_done();
        let node = self.slots.iter().find_map(|slot| slot.node.as_ref()).unwrap();
        let _time = node.enter();
        if !done {
            let stats = at_once(node.store.stats()).unwrap();
            let owned: Vec<usize> = self.slots.iter().filter_map(|slot| slot.node.as_ref()).map(Node::owned).collect();
            let what = format!("something is stuck: owned {owned:?}, {stats:?}");
            self.shared.lock().violation(self.now, NODES, what);
        }
        checks::check(&self.shared, node.store.as_ref(), &self.intake.all(), self.now);
        let shared = self.shared.lock();
        Outcome {
            hash: shared.hash(),
            steps: shared.steps,
            took,
            violations: shared.violations.clone(),
            lines: shared.lines(),
        }
    }
}

//! Who decides and who acts: a handler that keeps a tally of what it was asked about, and a world that effects reach.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchbay_gateway::engine::chain::Handler;
use patchbay_gateway::engine::lanes::{Done, Effects, Failed, Targets};
use patchbay_gateway::engine::owner::Owner;
use patchbay_model::event::{Delivery, DeliveryState};
use patchbay_model::task::Lane;
use patchbay_model::{
    Action, Arrival, Body, Effect, EventId, Failure, Flow, Outcome, Outgoing, Private, Route, Task, Timestamp,
};
use patchbay_runtime::{Call, CallError, HandlerInput};
use patchbay_store::memory::{MemoryServer, MemoryStore};
use patchbay_store::{MediaRecord, MediaState, Store};

use crate::network::Network;
use crate::run::MESSAGES;
use crate::shared::{Run, START, Shared, short};

/// The attribute in which the handler keeps what it was asked about, in order.
pub(crate) const SEEN: &str = "seen";
/// The attribute with what was set with the timer last.
pub(crate) const ARMED: &str = "armed";
/// The attribute with what came back with the timer last.
pub(crate) const FIRED: &str = "fired";

/// Answers each message, sets a timer, and now and then emits an event of its own.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) shared: Shared,
}

#[async_trait]
impl Handler for Tally {
    fn name(&self) -> &str {
        "tally"
    }

    fn generation(&self) -> u64 {
        1
    }

    async fn handle(&self, input: &HandlerInput, _: &Call) -> Result<Outcome, CallError> {
        let confused = {
            let mut shared = self.shared.lock();
            let confused = shared.weather.confused;
            shared.chance(confused)
        };
        if confused {
            return Err(CallError::Failed(Failure::retry("confused")));
        }
        let event = &input.event;
        let id = event.id.as_str();
        let seen = input.conversation.attributes.get(SEEN).cloned().unwrap_or_default();
        let mut actions = vec![Action::SetAttribute(SEEN.into(), Some(format!("{seen}{id} ")))];
        match &event.body {
            Body::Message(_) => {
                actions.push(Action::Send(Outgoing::text(format!("answer to {id}"))));
                // The ids are hashes: what they end in is as good as drawn, and the same for every owner.
                let drawn = u64::from(id.bytes().last().unwrap_or_default());
                // No two of them go off at the same moment: the second would be taken for the first.
                let number = event.occurred_at.since(START).as_millis() as u64;
                let at = event.received_at.as_millis() + 300 + drawn * 20;
                let at = Timestamp::from_millis(at / MESSAGES * MESSAGES + number);
                actions.push(Action::SetTimer { name: "follow-up".into(), at, data: Private::new(id.to_owned()) });
                actions.push(Action::SetAttribute(ARMED.into(), Some(id.to_owned())));
                if drawn.is_multiple_of(3) {
                    actions.push(Action::Emit("third".into(), Private::new(id.to_owned())));
                }
            }
            Body::Timer(fired) => {
                actions.push(Action::SetAttribute(FIRED.into(), Some(fired.data.reveal().clone())));
                actions.push(Action::Send(Outgoing::text("still there?")));
            }
            _ => {}
        }
        Ok(Outcome { actions, flow: Flow::Next })
    }
}

/// The platform as one node reaches it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) node: usize,
    pub(crate) shared: Shared,
    pub(crate) server: MemoryServer,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) network: Arc<Network>,
}

#[async_trait]
impl Effects for World {
    async fn execute(&self, owner: &Arc<Owner>, task: &Task, repeated: bool) -> Result<Done, Failed> {
        let before = self.ask(task, repeated);
        let (run, takes, fails, uncertain) = self.begin(owner, task);
        if task.lane == Lane::Conversations {
            let done = Targets.execute(owner, task, repeated).await?;
            self.happened(run, task);
            return Ok(done);
        }
        tokio::time::sleep(takes).await;
        if fails {
            return Err(Failure::retry("the platform is busy").into());
        }
        self.happened(run, task);
        tokio::time::sleep(takes).await;
        if uncertain {
            return Err(Failure::uncertain("the answer was lost").into());
        }
        let mut done = Done { asked_in_vain: repeated && !before, ..Done::default() };
        if let Effect::FetchMedia { media, .. } = &task.effect {
            let state = MediaState::Stored { blob: "b".into(), size: 1, mime: media.mime.clone(), file_name: None };
            done.media.push(MediaRecord { id: media.id.clone(), conversation: task.conversation.clone(), state });
        }
        Ok(done)
    }
}

impl World {
    /// Whether an effect has happened before. Who does not ask must know that it has not.
    fn ask(&self, task: &Task, asked: bool) -> bool {
        let mut shared = self.shared.lock();
        let before = shared.runs.iter().any(|run| run.happened && run.task == task.id);
        if before && !asked {
            let what = format!("task {} had been done before, and was begun without asking", task.id);
            shared.violation(self.store.now(), self.node, what);
        }
        before
    }

    /// Takes note that an effect begins: only while the lease is worth something.
    fn begin(&self, owner: &Owner, task: &Task) -> (usize, Duration, bool, bool) {
        let (now, lease) = (self.store.now(), owner.lease().clone());
        let held = self.server.held(&lease, now);
        let told = self.network.is_told();
        let mut shared = self.shared.lock();
        let kind = task.effect.kind();
        shared.trace(now, self.node, "effect", || {
            let (id, event) = (short(task.id.as_str()), short(task.event.as_str()));
            format!("{}@{} {kind} {id} of event {event}", lease.partition, lease.epoch)
        });
        // A node that has not yet heard of a loss cannot know that its lease was lost with it.
        if !held && told {
            let what = format!("effect {} was begun under the lease {lease:?}, which is worth nothing", task.id);
            shared.violation(now, self.node, what);
        }
        shared.runs.push(Run {
            task: task.id.clone(),
            event: task.event.clone(),
            conversation: task.conversation.clone(),
            kind,
            sequence: task.sequence,
            happened: false,
        });
        let weather = shared.weather;
        let fails = shared.chance(weather.failing);
        let uncertain = shared.chance(weather.uncertain);
        (shared.runs.len() - 1, shared.latency(), fails, uncertain)
    }

    /// The platform has done it: it will say so.
    fn happened(&self, run: usize, task: &Task) {
        let now = self.store.now();
        let mut shared = self.shared.lock();
        shared.trace(now, self.node, "happened", || short(task.id.as_str()).to_owned());
        shared.runs[run].happened = true;
        if !matches!(task.effect, Effect::Send { .. }) {
            return;
        }
        let message = format!("wamid.{run}");
        let delivery = Delivery {
            message: message.clone().into(),
            state: DeliveryState::Delivered,
            error: None,
            reference: Some(task.id.clone()),
            pricing: None,
            participant: None,
        };
        let at = now.after(shared.millis(20..1_500));
        let arrival = Arrival {
            id: EventId::derive(&[b"status", message.as_bytes()]),
            route: Route::Conversation(task.conversation.clone()),
            occurred_at: now,
            received_at: at,
            body: Body::Delivery(delivery),
            raw: None,
        };
        shared.webhooks.push((at, arrival));
    }
}

//! Nodes on one store in memory, in virtual time, and an outside world that takes note of what is done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use patchbay_media::Blobs;
use patchbay_model::arrival::Profile;
use patchbay_model::conversation::Channel;
use patchbay_model::decision::Decision;
use patchbay_model::{
    Action, Arrival, Body, Content, ConversationId, Effect, EventId, Flow, Identity, Message, Outcome, Outgoing, Route,
    Task,
};
use patchbay_runtime::{Call, CallError, HandlerInput};
use patchbay_store::memory::{MemoryOptions, MemoryServer, MemoryStore};
use patchbay_store::{Appended, Store};
use patchbay_whatsapp::graph::{Graph, GraphOptions};

use crate::config::{Match, OnFailure};
use crate::engine::chain::{Chain, Handler, Step};
use crate::engine::lanes::{Done, Effects, Failed};
use crate::engine::owner::Owner;
use crate::engine::slot::{Running, Slot, Slots};
use crate::engine::{ChannelLine, Engine, EngineOptions, NodeName, Routing};

pub(super) const PARTITIONS: u16 = 32;
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// How long one message to a customer is on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(300);

fn channel() -> Channel {
    Channel { id: "support".into(), platform: "whatsapp".into(), account: "1".into(), address: "2".into() }
}

/// Says each message back.
#[derive(Debug)]
struct Echo;

#[async_trait]
impl Handler for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn generation(&self) -> u64 {
        1
    }

    async fn handle(&self, input: &HandlerInput, _: &Call) -> Result<Outcome, CallError> {
        let words = match &input.event.body {
            Body::Message(Message { content: Content::Text(words), .. }) => Some(words.reveal().clone()),
            _ => None,
        };
        let actions = words.into_iter().map(|words| Action::Send(Outgoing::text(words))).collect();
        Ok(Outcome { actions, flow: Flow::Next })
    }
}

/// What was done to the outside world.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// The messages that left, by conversation, in order.
    pub(super) said: BTreeMap<ConversationId, Vec<String>>,
    on_their_way: BTreeSet<ConversationId>,
    /// What must not have happened.
    pub(super) wrong: Vec<String>,
}

/// Takes note of effects, and of whether the node that begins one may.
#[derive(Clone, Debug)]
struct World {
    server: MemoryServer,
    outside: Arc<Mutex<Outside>>,
}

/// A message that is on its way until it is dropped.
struct OnItsWay<'a>(&'a World, ConversationId);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.outside.lock().unwrap().on_their_way.remove(&self.1);
    }
}

#[async_trait]
impl Effects for World {
    async fn execute(&self, owner: &Arc<Owner>, task: &Task, _: bool) -> Result<Done, Failed> {
        let Effect::Send { message, .. } = &task.effect else { return Ok(Done::default()) };
        let patchbay_model::action::OutgoingContent::Text(words) = &message.content else { panic!("no text") };
        let conversation = task.conversation.clone();
        {
            let mut outside = self.outside.lock().unwrap();
            if !self.server.held(owner.lease(), owner.shared().store.now()) {
                outside.wrong.push(format!("{} was begun without the lease", words.reveal()));
            }
            if !outside.on_their_way.insert(conversation.clone()) {
                outside.wrong.push(format!("{} was begun while another was on its way", words.reveal()));
            }
            outside.said.entry(conversation.clone()).or_default().push(words.reveal().clone());
        }
        let _on_its_way = OnItsWay(self, conversation);
        tokio::time::sleep(ON_ITS_WAY).await;
        Ok(Done::default())
    }
}

/// One node.
pub(super) struct TestNode {
    pub(super) engine: Engine,
    pub(super) store: Arc<MemoryStore>,
    _folder: tempfile::TempDir,
}

impl TestNode {
    pub(super) fn owned(&self) -> usize {
        self.engine.owned()
    }

    /// From now on the store is out of its reach.
    pub(super) async fn cut_off(&self) {
        self.store.close().await;
    }
}

/// The nodes' surroundings.
pub(super) struct House {
    pub(super) server: MemoryServer,
    world: World,
    /// Whoever delivers webhooks.
    pub(super) intake: MemoryStore,
    delivered: Mutex<u64>,
    /// What decides.
    pub(super) slot: Arc<Slot>,
}

impl House {
    pub(super) fn new() -> Self {
        let server = MemoryServer::new(MemoryOptions { partitions: PARTITIONS, lease_time: LEASE });
        let world = World { server: server.clone(), outside: Arc::default() };
        let slot = Arc::new(Slot::new("echo", Running::only(Arc::new(Echo))));
        Self { intake: server.node(), server, world, delivered: Mutex::new(0), slot }
    }

    pub(super) async fn node(&self, id: &str) -> TestNode {
        self.node_with(id, Arc::new(self.server.node())).await
    }

    pub(super) async fn node_with(&self, id: &str, store: Arc<MemoryStore>) -> TestNode {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::open(&folder.path().join("media")).unwrap());
        let slots = Arc::new(Slots::default());
        slots.insert(Arc::clone(&self.slot));
        let options = EngineOptions {
            node: NodeName { id: id.into(), name: id.into() },
            effects: Arc::new(self.world.clone()),
            routing: self.routing(vec![self.chain("all")]),
            slots,
        };
        let shared: Arc<dyn Store> = Arc::<MemoryStore>::clone(&store);
        let engine = Engine::start(options, shared, blobs).await.unwrap();
        TestNode { engine, store, _folder: folder }
    }
    /// A chain that asks what runs in the house's slot about every message.
    pub(super) fn chain(&self, name: &str) -> Chain {
        let step = Step { slot: Arc::clone(&self.slot), timeout: LEASE, on_failure: OnFailure::Retry, share: None };
        Chain { name: name.into(), matches: Match::default(), steps: vec![step], fallback: None }
    }

    /// The only number, with these chains.
    pub(super) fn routing(&self, chains: Vec<Chain>) -> Routing {
        let graph = GraphOptions {
            base_url: "http://127.0.0.1:9/".parse().unwrap(),
            version: "v24.0".into(),
            phone_number_id: "2".into(),
            access_token: "none".to_owned().into(),
            timeout: Duration::from_secs(1),
        };
        let line = ChannelLine { channel: channel(), graph: Graph::new(graph).unwrap(), rate_per_second: 80 };
        Routing {
            channels: BTreeMap::from([("support".into(), line)]),
            chains: chains.into_iter().map(Arc::new).collect(),
            reconcile_wait: Duration::from_secs(5),
            ..Routing::default()
        }
    }

    /// A customer writes. Gives whose conversation it is.
    pub(super) async fn says(&self, customer: &str, words: &str) -> ConversationId {
        let number = {
            let mut delivered = self.delivered.lock().unwrap();
            *delivered += 1;
            *delivered
        };
        let now = self.intake.now();
        let message = Message {
            id: format!("wamid.{number}").into(),
            content: Content::Text(words.into()),
            reply_to: None,
            forwarded: false,
            referral: None,
            author: None,
        };
        let arrival = Arrival {
            id: EventId::derive(&[b"test", &number.to_le_bytes()]),
            route: Route::Customer {
                channel: channel(),
                identities: vec![Identity::UserId(customer.into())],
                former: Vec::new(),
                profile: Profile::default(),
            },
            occurred_at: now,
            received_at: now,
            body: Body::Message(message),
            raw: None,
        };
        match self.intake.append(vec![arrival]).await.unwrap().pop() {
            Some(Appended::New { conversation, .. }) => conversation,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn said(&self, conversation: &ConversationId) -> Vec<String> {
        self.world.outside.lock().unwrap().said.get(conversation).cloned().unwrap_or_default()
    }

    /// Says something, and waits until it is decided. Gives the event and its decision.
    pub(super) async fn decided(&self, customer: &str, words: &str) -> (EventId, Decision) {
        self.says(customer, words).await;
        let event = self.last();
        (event.clone(), self.decision_of(&event).await)
    }

    /// The event of the last message.
    pub(super) fn last(&self) -> EventId {
        EventId::derive(&[b"test", &self.delivered.lock().unwrap().to_le_bytes()])
    }

    /// Waits for an event's decision.
    pub(super) async fn decision_of(&self, event: &EventId) -> Decision {
        let end = tokio::time::Instant::now() + LEASE;
        loop {
            if let Some(decision) = self.intake.decision(event).await.unwrap() {
                return decision;
            }
            assert!(tokio::time::Instant::now() < end, "{event} is not decided");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing is on its way, and what became of it is written.
    pub(super) async fn quiet(&self) {
        until(LEASE, "everything has arrived", || self.world.outside.lock().unwrap().on_their_way.is_empty()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    #[track_caller]
    pub(super) fn nothing_went_wrong(&self) {
        assert_eq!(self.world.outside.lock().unwrap().wrong, Vec::<String>::new());
    }
}

/// Waits, in virtual time, until something is so.
#[track_caller]
pub(super) fn until(within: Duration, what: &str, so: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let end = tokio::time::Instant::now() + within;
        while !so() {
            assert!(tokio::time::Instant::now() < end, "{caller}: not within {within:?}: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

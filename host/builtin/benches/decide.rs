//! What deciding costs in the sandbox: the shipped plugins with settings of a real size, each call in a fresh sandbox.
//!
//! `cargo bench -p patchbay-builtin` measures; without `--bench` each case runs once, as a test that it works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, SamplingMode, Throughput};
use patchbay_model::conversation::{Channel, Conversation, Customer};
use patchbay_model::{Body, Content, ConversationId, CustomerId, Event, EventId, Message, Timestamp};
use patchbay_runtime::{Call, Engine, EngineOptions, Grants, HandlerInput, Limits, Mode, Plugin, PluginSpec};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Rules of the router; the message has a word of the last one, so that all of them are looked at.
const RULES: usize = 20;
/// Events decided at once when their throughput is measured.
const TOGETHER: u64 = 64;
/// What every call sees as now, Unix milliseconds.
const NOW: u64 = 1_795_255_200_000;

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .sample_size(50)
        .configure_from_args();
    let runtime = Runtime::new().unwrap();
    // The gateway's own options, and no folder for compiled code: loading is measured, too.
    let engine = Engine::new(EngineOptions::default()).unwrap();
    println!("sandboxes: {} allocator, {} events at once in `together`", engine.allocator(), TOGETHER);
    decide(&mut criterion, &runtime, &engine);
    load(&mut criterion, &runtime, &engine);
    criterion.final_summary();
}

fn decide(criterion: &mut Criterion, runtime: &Runtime, engine: &Engine) {
    let acknowledge = runtime.block_on(engine.load(acknowledge("acknowledge"))).unwrap();
    let router = runtime.block_on(engine.load(router())).unwrap();
    let again = runtime.block_on(engine.load(self::acknowledge("acknowledge-again"))).unwrap();
    let chain: Arc<[Plugin]> = [acknowledge.clone(), router.clone(), again].into();

    // Each of them has something to do: no figure of an early return.
    let event = wrote();
    for plugin in chain.iter() {
        let outcome = runtime.block_on(plugin.handle(&event, &call())).unwrap();
        assert_eq!(outcome.actions.len(), 2, "{}: {:?}", plugin.name(), outcome.actions);
    }

    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    for plugin in [&acknowledge, &router] {
        group.bench_function(plugin.name(), |bencher| {
            bencher.to_async(runtime).iter(|| async { plugin.handle(&event, &call()).await.unwrap() });
        });
    }
    group.bench_function("chain of three", |bencher| bencher.to_async(runtime).iter(|| pass(&chain, &event)));
    group.throughput(Throughput::Elements(TOGETHER));
    group.bench_function("chain of three, together", |bencher| {
        bencher.to_async(runtime).iter(|| async {
            let events = (0..TOGETHER).map(|_| {
                let chain = Arc::clone(&chain);
                tokio::spawn(async move { pass(&chain, &wrote()).await })
            });
            for event in futures::future::join_all(events).await {
                event.unwrap();
            }
        });
    });
    group.finish();
}

/// An event's way through the chain. Every plugin sees the conversation as it was before the first: in the gateway the
/// second acknowledgement would find that the first has been sent, and do less.
async fn pass(chain: &[Plugin], event: &HandlerInput) {
    for plugin in chain {
        plugin.handle(event, &call()).await.unwrap();
    }
}

fn load(criterion: &mut Criterion, runtime: &Runtime, engine: &Engine) {
    let spec = router();
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(6));
    group.throughput(Throughput::Bytes(spec.component.len() as u64));
    group.bench_function("keyword-router, compile and link", |bencher| {
        bencher.to_async(runtime).iter(|| async { engine.load(spec.clone()).await.unwrap() });
    });
    group.finish();
}

fn spec(name: &str, builtin: &str, settings: Value) -> PluginSpec {
    let Value::Object(settings) = settings else { panic!("settings are a table") };
    PluginSpec {
        name: name.to_owned(),
        generation: 1,
        component: Bytes::from_static(patchbay_builtin::component(builtin).unwrap()),
        settings,
        grants: Grants::default(),
        secrets: BTreeMap::new(),
        limits: Limits::default(),
    }
}

fn acknowledge(name: &str) -> PluginSpec {
    let settings = json!({
        "texts": {
            "en": "Thank you, {name}! We have your message and will answer soon.",
            "de": "Danke, {name}! Ihre Nachricht ist da, wir antworten bald.",
            "fr": "Merci, {name} ! Nous avons bien reçu votre message.",
            "es": "¡Gracias, {name}! Hemos recibido su mensaje.",
        },
        "default_language": "en",
        "quiet_period": "12h",
        "countries": { "49": "de", "43": "de", "33": "fr", "34": "es", "52": "es" },
    });
    spec(name, "acknowledge", settings)
}

fn router() -> PluginSpec {
    const TOPICS: [[&str; 5]; 4] = [
        ["invoice", "bill", "refund", "Rechnung", "charged twice"],
        ["password", "login", "locked out", "Kennwort", "two-factor"],
        ["broken", "damaged", "Störung", "does not work", "repair"],
        ["delivery", "parcel", "tracking", "Lieferung", "late"],
    ];
    let rules: Vec<Value> = (1..=RULES)
        .map(|number| {
            let words = TOPICS[number % TOPICS.len()];
            // Only the last rule's words are as customers write them.
            let word = |word: &&str| if number == RULES { (*word).to_owned() } else { format!("{word} {number}") };
            let words: Vec<String> = words.iter().map(word).collect();
            json!({ "words": words, "queue": format!("queue-{number}"), "priority": "high", "tier": 2 })
        })
        .collect();
    spec("keyword-router", "keyword-router", json!({ "rules": rules, "default_queue": "support", "desk": "zendesk" }))
}

fn call() -> Call {
    Call {
        subject: "ev_1".into(),
        attempt: 1,
        now: Timestamp::from_millis(NOW),
        deterministic: true,
        mode: Mode::Live,
        timeout: Duration::from_secs(60),
        desk: None,
    }
}

fn wrote() -> HandlerInput {
    let channel =
        Channel { id: "support".into(), platform: "whatsapp".into(), account: "100".into(), address: "200".into() };
    let customer = Customer {
        id: CustomerId::derive(&[b"ada"]),
        phone: Some("4915112345678".into()),
        user_id: None,
        group: None,
        username: None,
        name: Some("Ada".into()),
        locale: None,
    };
    let conversation = Conversation::new(ConversationId::derive(&[b"ada"]), channel, customer);
    let text = "Good morning, on Monday you sent me a letter with last month's figures and I do not understand the \
                second page of it. Could somebody explain the invoice to me, please? I am at home until noon.";
    let message = Message {
        id: "wamid.1".into(),
        content: Content::Text(text.into()),
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    };
    let event = Event {
        id: EventId::derive(&[b"one"]),
        conversation: conversation.id.clone(),
        occurred_at: Timestamp::from_millis(NOW),
        received_at: Timestamp::from_millis(NOW),
        body: Body::Message(message),
    };
    HandlerInput { event, conversation, tickets: Vec::new() }
}

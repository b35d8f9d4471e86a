//! What the handler answers, in every version of the contract that has a file beside this one: it does what the message's
//! text says, good and bad.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::exports::patchbay::plugin::handler::{
    Action, Buttons, Choices, Event, Failure, Flow, Guest, OpenTicket, Outcome, Outgoing, OutgoingContent,
    OutgoingMedia, Row, Section, SetTimer, SlaCommand, SlaVerb, Template, UpdateTicket,
};
use crate::patchbay::plugin::context;
use crate::patchbay::plugin::types::{Assignment, Body, Content, Priority, Retry};

/// The handler.
pub struct Handler;

/// Calls that this sandbox has seen.
static SEEN: AtomicU32 = AtomicU32::new(0);

impl Guest for Handler {
    fn handle(event: Event) -> Result<Outcome, Failure> {
        let text = match &event.body {
            Body::Message(message) => match &message.content {
                Content::Text(text) => text.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match verb {
            "all" => Ok(Outcome { actions: every_action(rest), flow: Flow::Stop }),
            "bench" => said(vec![("route", "billing".to_owned())]),
            "clock" => said(clock()),
            "state" => said(vec![("seen", SEEN.fetch_add(1, Ordering::Relaxed).to_string())]),
            "attempt" => said(vec![("attempt", context::attempt().to_string())]),
            "setting" => said(vec![("setting", format!("{:?}", crate::wasi::config::store::get(rest)))]),
            "environment" => said(vec![("environment", environment())]),
            "retry" => Err(Failure::Retry(Retry { after_ms: Some(1500), reason: rest.to_owned() })),
            "permanent" => Err(Failure::Permanent(rest.to_owned())),
            "credential" => Err(Failure::Credential(rest.to_owned())),
            "panic" => panic!("{rest}"),
            "until" => {
                let good: u32 = rest.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(1);
                assert!(context::attempt() >= good, "not yet");
                said(vec![])
            }
            "exit" => std::process::exit(3),
            "spin" => loop {
                std::hint::spin_loop();
            },
            "poll" => loop {
                std::hint::black_box(context::attempt());
            },
            "yield" => loop {
                wasip2::clocks::monotonic_clock::subscribe_duration(0).block();
            },
            "pause" => {
                std::thread::sleep(Duration::from_millis(rest.parse().unwrap_or(0)));
                said(vec![])
            }
            "sleep" => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            "allocate" => allocate(),
            "recurse" => said(vec![("depth", recurse(1).to_string())]),
            "dive" => said(vec![("depth", dive(1).to_string())]),
            "handles" => loop {
                std::mem::forget(wasip2::clocks::monotonic_clock::subscribe_duration(1));
            },
            "log" => {
                for line in 0..10_000 {
                    context::log(context::Level::Info, &format!("line {line} {rest}"));
                }
                said(vec![])
            }
            "flood" => loop {
                context::log(context::Level::Info, rest);
            },
            "huge-log" => {
                context::log(context::Level::Info, &"x".repeat(4 << 20));
                said(vec![])
            }
            "stderr" => {
                let line = "0123456789 abcdefghij\n".repeat(100);
                for _ in 0..10_000 {
                    eprint!("{line}");
                }
                println!("and some of this");
                panic!("last words {rest}");
            }
            "huge" => {
                let mebibytes: usize = rest.parse().unwrap_or(1);
                Ok(Outcome { actions: vec![Action::Note("n".repeat(mebibytes << 20))], flow: Flow::Next })
            }
            "dice" => loop {
                std::hint::black_box(wasip2::random::random::get_random_bytes(65_536));
            },
            "random" => {
                let size: u64 = rest.parse().unwrap_or(1);
                said(vec![("size", wasip2::random::random::get_random_bytes(size).len().to_string())])
            }
            "media" => {
                let media = OutgoingMedia { media: rest.to_owned(), caption: None };
                let content = OutgoingContent::Media(media);
                Ok(Outcome { actions: vec![Action::Send(Outgoing { content, reply_to: None })], flow: Flow::Next })
            }
            _ => Ok(Outcome { actions: vec![Action::Emit(("seen".into(), format!("{event:?}")))], flow: Flow::Next }),
        }
    }
}

fn said(pairs: Vec<(&str, String)>) -> Result<Outcome, Failure> {
    let actions = pairs.into_iter().map(|(key, value)| Action::SetAttribute((key.to_owned(), Some(value)))).collect();
    Ok(Outcome { actions, flow: Flow::Next })
}

fn clock() -> Vec<(&'static str, String)> {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (one, two) = (wasip2::clocks::monotonic_clock::now(), wasip2::clocks::monotonic_clock::now());
    let mut map = HashMap::new();
    for number in 0..20 {
        map.insert(number, ());
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1) {}
    vec![
        ("wall", wall.as_millis().to_string()),
        ("monotonic", format!("{one} {two}")),
        ("random", format!("{:?}", wasip2::random::random::get_random_bytes(16))),
        ("insecure", format!("{:?}", wasip2::random::insecure::get_insecure_random_bytes(16))),
        ("seed", format!("{:?}", wasip2::random::insecure_seed::insecure_seed())),
        ("hash", RandomState::new().hash_one("patchbay").to_string()),
        ("order", format!("{:?}", map.keys().collect::<Vec<_>>())),
    ]
}

fn environment() -> String {
    let listing = std::fs::read_dir("/").map(|entries| entries.count()).map_err(|error| error.kind());
    let mut input = String::new();
    let read = std::io::Read::read_to_string(&mut std::io::stdin(), &mut input).map_err(|error| error.kind());
    format!(
        "args {:?} vars {:?} root {listing:?} stdin {read:?} settings {:?}",
        std::env::args().collect::<Vec<_>>(),
        std::env::vars().collect::<Vec<_>>(),
        crate::wasi::config::store::get_all(),
    )
}

fn allocate() -> ! {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 1 << 20]);
        std::hint::black_box(&all);
    }
}

#[allow(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    recurse(depth + 1) + frame[7]
}

/// Recursion that takes nothing of the stack in linear memory.
#[allow(unconditional_recursion, reason = "that is the point")]
#[inline(never)]
fn dive(depth: u64) -> u64 {
    dive(depth + 1).wrapping_mul(3) ^ depth
}

fn every_action(media: &str) -> Vec<Action> {
    let send = |content| Action::Send(Outgoing { content, reply_to: Some("wamid.1".into()) });
    vec![
        send(OutgoingContent::Text("hello".into())),
        send(OutgoingContent::Template(Template {
            name: "welcome".into(),
            language: "en".into(),
            parameters: vec![("1".into(), "Ann".into())],
        })),
        send(OutgoingContent::Buttons(Buttons { text: "sure?".into(), options: vec![("y".into(), "Yes".into())] })),
        send(OutgoingContent::Choices(Choices {
            text: "which?".into(),
            button: "Open".into(),
            sections: vec![Section {
                title: "Orders".into(),
                rows: vec![Row { id: "1".into(), title: "One".into(), description: Some("first".into()) }],
            }],
        })),
        send(OutgoingContent::Media(OutgoingMedia { media: media.into(), caption: Some("look".into()) })),
        send(OutgoingContent::Reaction(("wamid.1".into(), "👍".into()))),
        send(OutgoingContent::Raw(("location".into(), "{}".into()))),
        Action::Assign(Assignment {
            queue: "billing".into(),
            tier: 2,
            priority: Priority::Urgent,
            reason: "a keyword".into(),
        }),
        Action::SetAttribute(("language".into(), Some("en".into()))),
        Action::SetAttribute(("intent".into(), None)),
        Action::Note("a note".into()),
        Action::OpenTicket(OpenTicket {
            desk: "zendesk".into(),
            subject: Some("help".into()),
            fields: vec![("queue".into(), "billing".into())],
        }),
        Action::UpdateTicket(UpdateTicket { desk: "zendesk".into(), fields: vec![("status".into(), "open".into())] }),
        Action::SetTimer(SetTimer { name: "nudge".into(), at: 1_800_000_000_000, data: "{\"n\":1}".into() }),
        Action::CancelTimer("nudge".into()),
        Action::Sla(SlaCommand { clock: "first-reply".into(), what: SlaVerb::Pause }),
        Action::Quarantine("m1".into()),
        Action::Release("m2".into()),
        Action::Escalate("angry".into()),
        Action::Handoff("asked for a person".into()),
        Action::Emit(("scored".into(), "7".into())),
    ]
}

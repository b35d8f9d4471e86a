//! Events that were put aside, and what hangs on their decision.

use patchbay_model::TaskId;
use patchbay_model::event::{LetterOrder, LetterVerb};

use super::*;

const ASIDE: ChainEnd = ChainEnd { degraded: false, stopped: true };

fn report() -> Report {
    Report {
        at: Timestamp::from_millis(1),
        plugin: "router".into(),
        generation: 3,
        event: "ev".into(),
        cause: "trap".into(),
        detail: "unreachable".into(),
        frames: Vec::new(),
        stderr: String::new(),
    }
}

/// Plans with no desk but `zendesk`, in a conversation as `before` left it.
fn planned<'a>(record: &'a EventRecord, before: Conversation, templates: &'a BTreeSet<String>) -> Plan<'a> {
    let configured = Configured { desks: BTreeSet::from(["zendesk"]), utility_templates: templates };
    Plan::new(record, before, Vec::new(), configured, Timestamp::from_millis(1_764_000_100_000))
}

fn parked(record: &EventRecord, before: Conversation) -> Commit {
    let none = BTreeSet::new();
    let desks: Vec<String> = before.desks.keys().cloned().collect();
    let mut plan = planned(record, before, &none);
    plan.arrive();
    plan.park(&record.event.id, "all", report());
    plan.conclude(Policy::default(), ASIDE, &desks);
    plan.into_commit(1)
}

fn anew(about: &EventRecord, before: Conversation, actions: Vec<Action>, policy: Policy<'_>, end: ChainEnd) -> Commit {
    let order = LetterOrder { task: TaskId::derive(&[b"t"]), verb: LetterVerb::Retry, by: "ops".into() };
    let (order, none) = (record(90, Body::LetterOrder(order)), BTreeSet::new());
    let mut plan = planned(&order, before, &none).about(&about.event);
    plan.apply("router", 3, actions);
    plan.conclude_anew(policy, end, &about.event.body);
    plan.into_commit(2)
}

#[test]
fn a_message_that_is_put_aside_is_filed_once() {
    let said = record(2, text("hello"));
    let commit = parked(&said, begin_conversation(&said).unwrap());
    assert_eq!(commit.dead_letters[0].task.effect, Effect::Decide { event: said.event.id.clone() });
    assert_eq!((commit.dead_letters.len(), commit.reports.len(), commit.append.len()), (1, 1, 0));
    let before = after(&commit);
    assert_eq!(before.unfiled.len(), 1);
    // The ticket that is opened when it is decided has the message, and has it once.
    let commit = anew(&said, before, vec![open("zendesk")], Policy::default(), QUIET);
    let entries = commit.put_tasks.iter().find_map(|task| match &task.effect {
        Effect::CreateTicket { entries, .. } => Some(entries),
        _ => None,
    });
    let entries: Vec<&str> = entries.unwrap().iter().map(|entry| entry.text.reveal().as_str()).collect();
    assert_eq!(entries, ["hello"]);
    assert!(after(&commit).unfiled.is_empty());
}

#[test]
fn the_fallback_is_for_what_fails_when_it_is_decided_anew() {
    let said = record(2, text("hello"));
    let before = after(&parked(&said, begin_conversation(&said).unwrap()));
    let fallback = Fallback { desk: "zendesk".into(), queue: "general".into() };
    let policy = Policy { read_receipts: false, fallback: Some(&fallback) };
    let failed = ChainEnd { degraded: true, stopped: false };
    let commit = anew(&said, before, Vec::new(), policy, failed);
    assert_eq!(effects(&commit), [("desk:zendesk".to_owned(), "create-ticket")]);
}

#[test]
fn an_agents_answer_waits_for_its_decision() {
    let answer = record(3, activity(Activity::Entry(agent_entry("e9", true, "We have found it."))));
    let commit = parked(&answer, opened());
    assert!(commit.put_tasks.is_empty(), "{:?}", effects(&commit));
    let sent = anew(&answer, after(&commit), Vec::new(), Policy::default(), QUIET);
    assert_eq!(effects(&sent), [("whatsapp:support".to_owned(), "send")]);
    let kept = anew(&answer, after(&commit), Vec::new(), Policy::default(), ASIDE);
    assert!(kept.put_tasks.is_empty());
}

//! What follows from events, checked on plans alone.

mod deliveries;
mod joining;
mod letters;
mod overheard;
mod parking;
mod world;

use patchbay_model::conversation::{Assignment, Channel};
use patchbay_model::event::{Activity, AgentEntry, DeskActivity, EffectFailed, RemoteFile};
use patchbay_model::message::{MediaKind, Reaction};
use patchbay_model::{
    Action, Attributes, Body, Content, Event, EventId, Identity, Media, MediaId, Message, Outgoing, Priority, Ticket,
};
use patchbay_store::Position;

use super::*;
use crate::config::Fallback;

const QUIET: ChainEnd = ChainEnd { degraded: false, stopped: false };

fn channel() -> Channel {
    Channel { id: "support".into(), platform: "whatsapp".into(), account: "1".into(), address: "2".into() }
}

fn record(position: u64, body: Body) -> EventRecord {
    let route = Route::Customer {
        channel: channel(),
        identities: vec![Identity::UserId("GB.1".into()), Identity::Phone("447700900001".into())],
        former: Vec::new(),
        profile: patchbay_model::arrival::Profile { name: Some("Ada".into()), username: None },
    };
    let conversation = route.new_conversation().unwrap();
    let id = EventId::derive(&[&position.to_le_bytes()]);
    let at = Timestamp::from_millis(1_764_000_000_000 + position);
    let event = Event { id, conversation, occurred_at: at, received_at: at, body };
    EventRecord { position: Position(position), event, route, raw: None, others: Vec::new() }
}

fn message(content: Content) -> Body {
    Body::Message(Message {
        id: "wamid.1".into(),
        content,
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    })
}

fn text(words: &str) -> Body {
    message(Content::Text(words.into()))
}

fn photo() -> Body {
    message(Content::Media(Media {
        id: MediaId::derive(&[b"photo"]),
        platform_id: "900".into(),
        kind: MediaKind::Image,
        mime: "image/jpeg".into(),
        size: None,
        sha256: None,
        file_name: None,
        caption: Some("the bill".into()),
    }))
}

fn activity(what: Activity) -> Body {
    let occurred_at = Timestamp::from_millis(1);
    Body::DeskActivity(DeskActivity {
        id: "e1".into(),
        desk: "zendesk".into(),
        ticket: "7".into(),
        key: None,
        occurred_at,
        what,
    })
}

fn agent_entry(id: &str, public: bool, words: &str) -> AgentEntry {
    AgentEntry { id: id.into(), public, author: "Sam".into(), text: words.into(), attachments: Vec::new() }
}

fn open(desk: &str) -> Action {
    Action::OpenTicket { desk: desk.into(), subject: None, fields: Attributes::new() }
}

/// Plans one event in a conversation, with these actions of one handler.
fn plan(
    before: Option<Conversation>,
    record: &EventRecord,
    actions: Vec<Action>,
    policy: Policy<'_>,
    end: ChainEnd,
) -> Commit {
    let conversation = before.or_else(|| begin_conversation(record)).unwrap();
    let desks: Vec<String> = conversation.desks.keys().cloned().collect();
    let link = |desk: &String| Link {
        conversation: conversation.id.clone(),
        ticket: Ticket {
            desk: desk.clone(),
            id: "7".into(),
            url: None,
            status: "open".into(),
            data: Attributes::new(),
        },
        entries: vec!["ours".into()],
    };
    let links = desks.iter().map(link).collect();
    let known = BTreeSet::from(["zendesk"]);
    let utility_templates = BTreeSet::from(["receipt".to_owned()]);
    let configured = Configured { desks: known, utility_templates: &utility_templates };
    let mut plan = Plan::new(record, conversation, links, configured, Timestamp::from_millis(1_764_000_100_000));
    plan.unite();
    plan.arrive();
    plan.apply("router", 1, actions);
    plan.conclude(policy, end, &desks);
    plan.into_commit(0)
}

fn simple(before: Option<Conversation>, record: &EventRecord, actions: Vec<Action>) -> Commit {
    plan(before, record, actions, Policy::default(), QUIET)
}

fn after(commit: &Commit) -> Conversation {
    commit.conversation.as_ref().unwrap().1.clone()
}

fn effects(commit: &Commit) -> Vec<(String, &'static str)> {
    commit.put_tasks.iter().map(|task| (task.lane.to_string(), task.effect.kind())).collect()
}

fn opened() -> Conversation {
    let first = record(1, text("my invoice is wrong"));
    after(&simple(None, &first, vec![open("zendesk")]))
}

fn note_of(commit: &Commit) -> String {
    let note = commit.put_tasks.iter().find_map(|task| match &task.effect {
        Effect::AddEntry { entry } if !entry.public => Some(entry.text.reveal().clone()),
        _ => None,
    });
    note.expect("an internal note")
}

#[test]
fn a_first_message_opens_a_ticket_with_its_assignment() {
    let assignment =
        Assignment { queue: "billing".into(), tier: 1, priority: Priority::High, reason: "invoice".into() };
    let first = record(1, text("my invoice is wrong"));
    let commit =
        simple(None, &first, vec![Action::Assign(assignment), open("zendesk"), Action::Send(Outgoing::text("hi"))]);
    assert_eq!(effects(&commit), [("desk:zendesk".into(), "create-ticket"), ("whatsapp:support".into(), "send")]);
    let Effect::CreateTicket { subject, fields, entries } = &commit.put_tasks[0].effect else { panic!() };
    assert_eq!(subject.reveal(), "my invoice is wrong");
    assert_eq!((fields["queue"].as_str(), fields["priority"].as_str()), ("billing", "high"));
    assert_eq!(entries.len(), 1);
    let state = after(&commit);
    assert_eq!(state.customer.phone, Some("447700900001".into()));
    assert_eq!(state.customer.name, Some("Ada".into()));
    assert_eq!(state.window_until, Some(first.event.occurred_at.after(std::time::Duration::from_secs(86_400))));
}

#[test]
fn the_same_event_gives_the_same_plan() {
    let first = record(1, photo());
    let actions = || vec![Action::Send(Outgoing::text("hi")), open("zendesk")];
    assert_eq!(simple(None, &first, actions()), simple(None, &first, actions()));
}

#[test]
fn what_was_said_before_a_ticket_goes_along() {
    let first = after(&simple(None, &record(1, text("hello")), vec![]));
    assert_eq!(first.unfiled.len(), 1);
    let commit = simple(Some(first), &record(2, text("a person please")), vec![open("zendesk")]);
    let Effect::CreateTicket { entries, subject, .. } = &commit.put_tasks[0].effect else { panic!() };
    let texts: Vec<&str> = entries.iter().map(|entry| entry.text.reveal().as_str()).collect();
    assert_eq!(texts, ["hello", "a person please"]);
    assert_eq!(subject.reveal(), "hello");
    assert!(after(&commit).unfiled.is_empty());
}

#[test]
fn later_messages_are_entries_and_a_ticket_is_opened_once() {
    let commit = simple(Some(opened()), &record(2, text("hello?")), vec![open("zendesk")]);
    assert_eq!(effects(&commit), [("desk:zendesk".into(), "add-entry")]);
}

#[test]
fn a_new_assignment_reaches_the_ticket_before_the_entry() {
    let assignment = Assignment { queue: "returns".into(), tier: 1, priority: Priority::Urgent, reason: "r".into() };
    let actions = vec![Action::Assign(assignment), open("zendesk")];
    let commit = simple(Some(opened()), &record(2, text("send it back")), actions.clone());
    assert_eq!(effects(&commit), [("desk:zendesk".into(), "update-ticket"), ("desk:zendesk".into(), "add-entry")]);
    let again = simple(Some(after(&commit)), &record(3, text("today")), actions);
    assert_eq!(effects(&again), [("desk:zendesk".into(), "add-entry")], "the same fields are not ordered twice");
}

#[test]
fn files_are_fetched_and_receipts_come_first() {
    let policy = Policy { read_receipts: true, fallback: None };
    let actions = vec![Action::Send(Outgoing::text("thank you")), open("zendesk")];
    let commit = plan(None, &record(1, photo()), actions, policy, QUIET);
    let kinds: Vec<&str> = commit.put_tasks.iter().map(|task| task.effect.kind()).collect();
    assert_eq!(kinds, ["mark-read", "send", "create-ticket", "fetch-media"]);
    assert!(matches!(commit.put_tasks[0].effect, Effect::MarkRead { typing: true, .. }));
    let sequences: Vec<u64> = commit.put_tasks.iter().map(|task| task.sequence).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    let reaction = message(Content::Reaction(Reaction { message: "wamid.0".into(), emoji: None }));
    let commit = plan(None, &record(1, reaction), vec![], policy, QUIET);
    assert!(commit.put_tasks.is_empty(), "a reaction has no receipt");
}

#[test]
fn a_message_whose_chain_failed_reaches_a_person() {
    let fallback = Fallback { desk: "zendesk".into(), queue: "general".into() };
    let policy = Policy { read_receipts: false, fallback: Some(&fallback) };
    let degraded = ChainEnd { degraded: true, stopped: false };
    let commit = plan(None, &record(1, text("hello")), vec![], policy, degraded);
    let Effect::CreateTicket { fields, .. } = &commit.put_tasks[0].effect else { panic!() };
    assert_eq!(fields["queue"], "general");
    let healthy = plan(None, &record(1, text("hello")), vec![], policy, QUIET);
    assert!(healthy.put_tasks.is_empty());
}

#[test]
fn a_public_answer_goes_to_the_customer_and_nothing_else_does() {
    let answer = record(2, activity(Activity::Entry(agent_entry("c9", true, "We look into it."))));
    let commit = simple(Some(opened()), &answer, vec![]);
    assert_eq!(effects(&commit), [("whatsapp:support".into(), "send")]);
    let Effect::Send { to, message, .. } = &commit.put_tasks[0].effect else { panic!() };
    assert_eq!(*message, Outgoing::text("We look into it."));
    assert_eq!(to[0], Identity::Phone("447700900001".into()));
    assert!(after(&commit).human);

    let note = record(2, activity(Activity::Entry(agent_entry("c9", false, "he is angry"))));
    assert!(simple(Some(opened()), &note, vec![]).put_tasks.is_empty());
    let echo = record(2, activity(Activity::Entry(agent_entry("ours", true, "my invoice is wrong"))));
    assert!(simple(Some(opened()), &echo, vec![]).put_tasks.is_empty());
    let stopped = ChainEnd { degraded: false, stopped: true };
    assert!(plan(Some(opened()), &answer, vec![], Policy::default(), stopped).put_tasks.is_empty());
}

#[test]
fn an_agent_is_told_what_could_not_be_sent() {
    let mut entry = agent_entry("c9", true, "see the file");
    let file = RemoteFile { name: "bill.pdf".into(), mime: "application/pdf".into(), url: "u".into(), size: None };
    entry.attachments.push(file);
    let commit = simple(Some(opened()), &record(2, activity(Activity::Entry(entry))), vec![]);
    assert!(note_of(&commit).contains("bill.pdf"));

    let task = TaskId::derive(&[b"t"]);
    let target = "whatsapp:support".to_owned();
    let gone = EffectFailed { task, effect: "send".into(), target, reason: "window closed".into(), attempts: 1 };
    assert!(note_of(&simple(Some(opened()), &record(2, Body::EffectFailed(gone)), vec![])).contains("window closed"));
}

#[test]
fn a_status_reaches_the_link_and_a_solved_ticket_gives_the_conversation_back() {
    let mut conversation = opened();
    conversation.human = true;
    let commit = simple(Some(conversation), &record(2, activity(Activity::Status("solved".into()))), vec![]);
    assert!(matches!(&commit.links[0], LinkChange::Status { status, .. } if status == "solved"));
    assert!(!after(&commit).human);
}

#[test]
fn an_action_that_is_not_carried_out_is_reported() {
    let commit = simple(None, &record(1, text("x")), vec![Action::Sla("first-reply".into(), "start".into())]);
    assert_eq!(commit.reports.len(), 1);
    assert!(commit.reports[0].detail.contains("`sla`"));
}

#[test]
fn a_desk_that_is_not_there_is_reported_and_the_message_still_reaches_a_person() {
    let fallback = Fallback { desk: "zendesk".into(), queue: "general".into() };
    let policy = Policy { read_receipts: false, fallback: Some(&fallback) };
    let commit = plan(None, &record(1, text("hello")), vec![open("zendsk")], policy, QUIET);
    assert_eq!(effects(&commit), [("desk:zendesk".into(), "create-ticket")]);
    assert!(commit.reports[0].detail.contains("zendsk"), "{:?}", commit.reports);
}

#[test]
fn a_plugin_cannot_flood_the_journal() {
    let emit = || Action::Emit("again".into(), "{}".into());
    let many = simple(None, &record(1, text("x")), (0..1_000).map(|_| emit()).collect());
    assert_eq!((many.append.len(), many.reports.len()), (64, 1));
    let custom = Body::Custom(patchbay_model::Notice { kind: "again".into(), data: "{}".into() });
    assert!(simple(None, &record(2, custom), vec![emit()]).append.is_empty(), "an emitted event emits no other");
}

#[test]
fn the_last_word_on_a_timer_counts() {
    let set = || Action::SetTimer { name: "t".into(), at: Timestamp::from_millis(5), data: "{}".into() };
    let cancelled = simple(None, &record(1, text("x")), vec![set(), Action::CancelTimer("t".into())]);
    assert_eq!((cancelled.set_timers.len(), cancelled.cleared_timers.len()), (0, 1));
    let set = simple(None, &record(1, text("x")), vec![Action::CancelTimer("t".into()), set()]);
    assert_eq!((set.set_timers.len(), set.cleared_timers.len()), (1, 1));
}

//! The router's decisions, as a table of messages and what becomes of them.

use patchbay_plugin::testing::{FakeHost, media, message_event, text_event, ticket};
use patchbay_plugin::{Choice, Edited, Flow, MediaKind, Reaction, UpdateTicket};
use serde_json::{Value, json};

use super::*;

fn settings() -> Value {
    json!({
        "rules": [
            { "words": ["invoice", "refund request"], "queue": "billing", "priority": "high", "tier": 2 },
            { "words": ["Störung", "退款"], "queue": "support", "desk": "freshdesk" },
        ],
        "default_queue": "general",
        "media_queue": "pictures",
        "desk": "zendesk",
    })
}

fn route(settings: &Value, event: &Event) -> Outcome {
    FakeHost::new().handle::<KeywordRouter>(settings, event).unwrap()
}

fn queue(event: &Event) -> Option<(String, String)> {
    route(&settings(), event).assignment().map(|to| (to.queue.clone(), to.reason.clone()))
}

fn open(desk: &str, queue: &str, priority: &str) -> Action {
    Action::OpenTicket(OpenTicket::in_desk(desk).field("queue", queue).field("priority", priority))
}

#[test]
fn the_first_rule_with_a_word_in_the_message_wins() {
    let outcome = route(&settings(), &text_event("Störung! And where is my INVOICE?"));
    let assignment = Assignment::to("billing").priority(Priority::High).tier(2).reason("rule 1 matched “invoice”");
    assert_eq!(outcome.actions, [Action::Assign(assignment), open("zendesk", "billing", "high")]);
    assert_eq!(outcome.flow, Flow::Next);

    let outcome = route(&settings(), &text_event("我要退款"));
    assert_eq!(outcome.actions[1], open("freshdesk", "support", "normal"));
}

#[test]
fn words_are_found_wherever_they_are() {
    let mut captioned = media(MediaKind::Image, "image/jpeg");
    captioned.caption = Some("my invoice".into());
    let mut named = media(MediaKind::Document, "application/pdf");
    named.file_name = Some("INVOICE_2026-11.pdf".into());
    let mut wordy = media(MediaKind::Image, "image/jpeg");
    wordy.caption = Some("look at this".into());
    let mut scan = media(MediaKind::Document, "application/pdf");
    scan.file_name = Some("scan.pdf".into());
    let choice =
        |title: &str| Choice { id: "1".into(), title: title.into(), description: Some("refund request".into()) };
    for (content, queue_and_reason) in [
        (Content::Media(captioned), Some(("billing", "rule 1 matched “invoice”"))),
        (Content::Media(named), Some(("billing", "rule 1 matched “invoice”"))),
        (Content::Media(wordy), Some(("general", "no rule matched"))),
        (Content::Media(scan), Some(("pictures", "media without words"))),
        (Content::Media(media(MediaKind::Voice, "audio/ogg")), Some(("pictures", "media without words"))),
        (Content::Choice(choice("Storung")), Some(("billing", "rule 1 matched “refund request”"))),
        (
            Content::Edited(Edited { message: "wamid.0".into(), text: Some("an invoice".into()) }),
            Some(("billing", "rule 1 matched “invoice”")),
        ),
        (Content::Edited(Edited { message: "wamid.0".into(), text: None }), None),
        (Content::Reaction(Reaction { message: "wamid.0".into(), emoji: Some("👍".into()) }), None),
        (Content::Withdrawn("wamid.0".into()), None),
        (Content::Text("hello".into()), Some(("general", "no rule matched"))),
    ] {
        let expected = queue_and_reason.map(|(queue, reason)| (queue.to_owned(), reason.to_owned()));
        assert_eq!(queue(&message_event(content.clone())), expected, "{content:?}");
    }
}

#[test]
fn a_queue_is_kept_until_a_rule_says_otherwise() {
    let mut settings = settings();
    let mut event = text_event("hello?");
    event.conversation.assignment = Some(Assignment::to("billing"));
    event.conversation.tickets.push(ticket("zendesk", "7"));
    let queue = |settings: &Value, event: &Event| route(settings, event).assignment().map(|to| to.queue.clone());

    assert_eq!(route(&settings, &event).actions, []);
    event.body = text_event("Störung").body;
    assert_eq!(queue(&settings, &event).as_deref(), Some("support"));

    settings["sticky"] = json!({ "rules_move": false });
    assert_eq!(queue(&settings, &event), None);

    settings["sticky"] = json!({ "enabled": false });
    event.body = text_event("hello?").body;
    assert_eq!(queue(&settings, &event).as_deref(), Some("general"));
}

#[test]
fn the_same_place_is_not_assigned_again() {
    let mut event = text_event("invoice");
    event.conversation.assignment =
        Some(Assignment::to("billing").tier(2).priority(Priority::High).reason("another message"));
    event.conversation.tickets.push(ticket("zendesk", "7"));
    assert_eq!(route(&settings(), &event), Outcome::next());
}

#[test]
fn a_ticket_follows_its_conversation() {
    let mut event = text_event("invoice");
    event.conversation.assignment = Some(Assignment::to("general"));
    event.conversation.tickets.push(ticket("zendesk", "7"));
    let fields = vec![("queue".into(), "billing".into()), ("priority".into(), "high".into())];
    let update = Action::UpdateTicket(UpdateTicket { desk: "zendesk".into(), fields });
    assert_eq!(route(&settings(), &event).actions[1], update);

    // Kept where it is, but without a ticket so far.
    let mut event = text_event("hello?");
    event.conversation.assignment = Some(Assignment::to("support").priority(Priority::Urgent));
    event.conversation.tickets.push(ticket("zendesk", "7"));
    assert_eq!(route(&settings(), &event).actions, [open("freshdesk", "support", "urgent")]);
}

#[test]
fn a_person_is_not_overruled() {
    let mut event = text_event("Störung");
    event.conversation.human = true;
    event.conversation.assignment = Some(Assignment::to("billing"));
    event.conversation.tickets.push(ticket("zendesk", "7"));
    assert_eq!(route(&settings(), &event), Outcome::next());
    event.conversation.assignment = None;
    assert_eq!(route(&settings(), &event).assignment().unwrap().queue, "support");
}

#[test]
fn without_a_default_nothing_happens_to_the_rest() {
    let settings = json!({ "rules": [{ "words": ["invoice"], "queue": "billing" }] });
    assert_eq!(route(&settings, &text_event("hello")), Outcome::next());
    let assignment = Assignment::to("billing").reason("rule 1 matched “invoice”");
    assert_eq!(route(&settings, &text_event("invoice")), Outcome::next().assign(assignment));
}

#[test]
fn wrong_settings_are_named() {
    for (settings, reason) in [
        (
            json!({ "rules": [{ "words": ["a"], "queue": "q", "priority": "hihg" }] }),
            "settings: rules[0].priority: `hihg` is no priority: write low, normal, high or urgent",
        ),
        (json!({ "rules": [{ "words": ["a"] }] }), "settings: rules[0]: missing field `queue`"),
        (
            json!({ "defaultqueue": "x" }),
            "settings: defaultqueue: unknown field `defaultqueue`, expected one of `rules`, `default_queue`, `media_queue`, \
             `desk`, `sticky`",
        ),
    ] {
        let failure = FakeHost::new().handle::<KeywordRouter>(&settings, &text_event("hi")).unwrap_err();
        assert_eq!(failure, Failure::permanent(reason));
    }
}

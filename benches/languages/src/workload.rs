//! The one event that all of them decide about, the settings, and what has to come out.

use anyhow::{Context as _, Result, ensure};
use patchbay_model::conversation::{Channel, Conversation, Customer};
use patchbay_model::{
    Action, Assignment, Body, Content, ConversationId, CustomerId, Event, EventId, Flow, Message, Outcome, Priority,
    Timestamp,
};
use patchbay_runtime::HandlerInput;
use serde_json::{Map, Value, json};

/// Rules of the router; the text has a word of the last one, so that all of them are looked at.
const RULES: usize = 20;
/// What every call sees as now, Unix milliseconds.
pub(crate) const NOW: u64 = 1_795_255_200_000;
/// What the customer wrote.
pub(crate) const TEXT: &str = "Good morning, on Monday you sent me a letter with last month's figures and I do not \
                               understand the second page of it. Could somebody explain the INVOICE to me, please? I am \
                               at home until noon.";

/// 20 rules of 5 words. Only those of the last rule are as customers write them.
pub(crate) fn settings() -> Map<String, Value> {
    const TOPICS: [[&str; 5]; 4] = [
        ["password", "login", "locked out", "Kennwort", "two-factor"],
        ["broken", "damaged", "Störung", "does not work", "repair"],
        ["delivery", "parcel", "tracking", "Lieferung", "late"],
        ["Invoice", "bill", "refund", "Rechnung", "charged twice"],
    ];
    let rules = (1..=RULES).zip(TOPICS.iter().cycle()).map(|(number, words)| {
        let word = |word: &&str| if number == RULES { (*word).to_owned() } else { format!("{word} {number}") };
        let words: Vec<String> = words.iter().map(word).collect();
        json!({ "words": words, "queue": format!("queue-{number}"), "priority": "high", "tier": 2 })
    });
    let rules: Vec<Value> = rules.collect();
    Map::from_iter([("rules".into(), rules.into()), ("default_queue".into(), "support".into())])
}

/// The event, with its conversation.
pub(crate) fn event() -> HandlerInput {
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
    let message = Message {
        id: "wamid.1".into(),
        content: Content::Text(TEXT.into()),
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

/// What has to come out.
fn expected() -> Outcome {
    let reason = format!("rule {RULES} has “Invoice”");
    let assignment =
        Assignment { queue: format!("queue-{RULES}"), tier: 2, priority: Priority::High, reason: reason.clone() };
    let word = Action::SetAttribute(routing::ATTRIBUTE.into(), Some("Invoice".into()));
    Outcome { actions: vec![Action::Assign(assignment), word, Action::Note(reason.into())], flow: Flow::Next }
}

/// Makes sure that `who` decided as all the others do: no figure of less work.
///
/// # Errors
/// When it did not.
pub(crate) fn check(who: &str, outcome: &Outcome) -> Result<()> {
    let (said, expected) = (serde_json::to_string(outcome)?, serde_json::to_string(&expected())?);
    ensure!(said == expected, "{who} decided otherwise than it should have: {said} and not {expected}");
    Ok(())
}

/// The text of a message.
///
/// # Errors
/// When the event is none.
pub(crate) fn text(input: &HandlerInput) -> Result<&str> {
    match &input.event.body {
        Body::Message(Message { content: Content::Text(text), .. }) => Ok(text.reveal()),
        _ => None.context("the event is no text message"),
    }
}

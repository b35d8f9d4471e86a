//! What comes out: every kind of action, and failures.

use std::time::Duration;

use patchbay_model::action::{Flow, Row, Section};
use patchbay_model::{Action, Assignment, Failure, MediaId, Outgoing, OutgoingContent, Priority, Timestamp};
use patchbay_runtime::CallError;

use super::common::*;
use super::old_handler;

#[tokio::test]
async fn every_kind_of_action_comes_back() {
    let engine = engine();
    let photo = MediaId::derive(&[b"photo"]);
    let send = |content| Action::Send(Outgoing { content, reply_to: Some("wamid.1".into()) });
    let one = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let expected = vec![
        send(OutgoingContent::Text("hello".into())),
        send(OutgoingContent::Template { name: "welcome".into(), language: "en".into(), parameters: one("1", "Ann") }),
        send(OutgoingContent::Buttons { text: "sure?".into(), options: vec![("y".into(), "Yes".into())] }),
        send(OutgoingContent::Choices {
            text: "which?".into(),
            button: "Open".into(),
            sections: vec![Section {
                title: "Orders".into(),
                rows: vec![Row { id: "1".into(), title: "One".into(), description: Some("first".into()) }],
            }],
        }),
        send(OutgoingContent::Media { media: photo.clone(), caption: Some("look".into()) }),
        send(OutgoingContent::Reaction { message: "wamid.1".into(), emoji: "👍".into() }),
        send(OutgoingContent::Raw { kind: "location".into(), body: "{}".into() }),
        Action::Assign(Assignment {
            queue: "billing".into(),
            tier: 2,
            priority: Priority::Urgent,
            reason: "a keyword".into(),
        }),
        Action::SetAttribute("language".into(), Some("en".into())),
        Action::SetAttribute("intent".into(), None),
        Action::Note("a note".into()),
        Action::OpenTicket { desk: "zendesk".into(), subject: Some("help".into()), fields: one("queue", "billing") },
        Action::UpdateTicket { desk: "zendesk".into(), fields: one("status", "open") },
        Action::SetTimer {
            name: "nudge".into(),
            at: Timestamp::from_millis(1_800_000_000_000),
            data: "{\"n\":1}".into(),
        },
        Action::CancelTimer("nudge".into()),
        Action::Sla("first-reply".into(), "pause".into()),
        Action::Quarantine("m1".into()),
        Action::Release("m2".into()),
        Action::Escalate("angry".into()),
        Action::Handoff("asked for a person".into()),
        Action::Emit("scored".into(), "7".into()),
    ];
    for plugin in [handler(&engine).await, old_handler(&engine).await] {
        let outcome = plugin.handle(&text(&format!("all {photo}")), &call("ev_1")).await.unwrap();
        assert_eq!(outcome.flow, Flow::Stop);
        assert_eq!(outcome.actions, expected);
    }
}

#[tokio::test]
async fn media_that_is_not_ours_is_a_broken_answer() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let report = broken(&plugin, "media ../../etc/passwd").await;
    assert_eq!(report.cause.as_str(), "answer");
    assert!(!report.detail.contains("passwd"), "{report:?}");
}

#[tokio::test]
async fn failures_are_the_plugins_own() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let failure = async |words: &str| match plugin.handle(&text(words), &call("ev_1")).await {
        Err(CallError::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    };
    let after = Some(Duration::from_millis(1500));
    assert_eq!(
        failure("retry slow down").await,
        Failure::Retry { after, reason: "slow down".into(), uncertain: false }
    );
    assert_eq!(failure("permanent no").await, Failure::permanent("no"));
    assert_eq!(failure("credential bad").await, Failure::Credential { reason: "bad".into() });
}

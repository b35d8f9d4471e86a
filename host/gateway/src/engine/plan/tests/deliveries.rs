//! How far our messages got.

use patchbay_model::event::{Delivery, DeliveryError, DeliveryState};

use super::*;

fn error(code: i64) -> Option<DeliveryError> {
    Some(DeliveryError { code, title: "Message undeliverable".into(), detail: String::new() })
}

/// A status of our message, with or without our reference.
fn status(state: DeliveryState, ours: bool) -> Delivery {
    let reference = ours.then(|| TaskId::derive(&[b"t"]));
    Delivery { message: "wamid.9".into(), state, error: None, reference, pricing: None, participant: None }
}

fn hear(conversation: Conversation, delivery: Delivery) -> Commit {
    simple(Some(conversation), &record(2, Body::Delivery(delivery)), vec![])
}

fn state_of(conversation: &Conversation) -> (Option<DeliveryState>, usize) {
    (conversation.sent_by(&TaskId::derive(&[b"t"])).map(|sent| sent.state), conversation.sent.len())
}

#[test]
fn statuses_only_rise() {
    let mut conversation = opened();
    for (state, expected) in [
        (DeliveryState::Read, DeliveryState::Read),
        (DeliveryState::Delivered, DeliveryState::Read),
        (DeliveryState::Accepted, DeliveryState::Read),
        (DeliveryState::Failed, DeliveryState::Failed),
        (DeliveryState::Played, DeliveryState::Failed),
    ] {
        conversation = after(&hear(conversation, status(state, true)));
        assert_eq!(state_of(&conversation), (Some(expected), 1));
    }
}

#[test]
fn a_status_before_the_answer_is_joined_with_it() {
    let early = after(&hear(opened(), status(DeliveryState::Delivered, false)));
    assert_eq!(state_of(&early), (None, 1), "whose it is is not known yet");
    let answered = after(&hear(early, status(DeliveryState::Accepted, true)));
    assert_eq!(state_of(&answered), (Some(DeliveryState::Delivered), 1));
    let read = after(&hear(answered, status(DeliveryState::Read, false)));
    assert_eq!(state_of(&read), (Some(DeliveryState::Read), 1), "and later ones need no reference");
}

#[test]
fn a_failure_is_told_once_and_when_it_is_known_to_be_ours() {
    let failed = |ours| Delivery { error: error(131_026), ..status(DeliveryState::Failed, ours) };
    let told = hear(opened(), failed(true));
    assert!(note_of(&told).contains("131026"));
    let again = hear(after(&told), status(DeliveryState::Failed, false));
    assert!(again.put_tasks.is_empty(), "a second word of it says nothing new");
    assert_eq!(after(&again).sent[0].error, error(131_026), "and does not take the reason away");

    let strange = hear(opened(), failed(false));
    assert!(strange.put_tasks.is_empty(), "others send from this number too");
    let known = hear(after(&strange), status(DeliveryState::Accepted, true));
    assert!(note_of(&known).contains("131026"), "it was ours after all");

    let accepted = after(&hear(opened(), status(DeliveryState::Accepted, true)));
    assert!(note_of(&hear(accepted, failed(false))).contains("131026"), "known by its id alone");
}

#[test]
fn one_participant_who_is_not_reached_does_not_fail_a_groups_message() {
    let of = |state, person: &str| Delivery { participant: Some(person.into()), ..status(state, true) };
    let mut conversation = after(&hear(opened(), of(DeliveryState::Failed, "a")));
    assert_eq!(state_of(&conversation), (Some(DeliveryState::Accepted), 1));
    for (state, expected) in
        [(DeliveryState::Read, DeliveryState::Read), (DeliveryState::Delivered, DeliveryState::Read)]
    {
        conversation = after(&hear(conversation, of(state, "b")));
        assert_eq!(state_of(&conversation), (Some(expected), 1));
    }
    let commit = hear(conversation, of(DeliveryState::Failed, "c"));
    assert!(commit.put_tasks.is_empty());
    assert_eq!(state_of(&after(&commit)), (Some(DeliveryState::Read), 1));
}

#[test]
fn the_last_hundred_messages_are_remembered() {
    let mut conversation = opened();
    for number in 0..patchbay_model::conversation::SENT_KEPT + 5 {
        let message = format!("wamid.{number}").into();
        conversation = after(&hear(conversation, Delivery { message, ..status(DeliveryState::Sent, false) }));
    }
    assert_eq!(conversation.sent.len(), patchbay_model::conversation::SENT_KEPT);
    assert_eq!(conversation.sent[0].message, "wamid.5".into());
}

#[test]
fn who_stopped_marketing_is_sent_no_template_that_may_be_one() {
    let template = |name: &str| {
        let content = patchbay_model::action::OutgoingContent::Template {
            name: name.into(),
            language: "en".into(),
            parameters: Attributes::new(),
        };
        Action::Send(Outgoing { content, reply_to: None })
    };
    let stopped = [
        hear(opened(), Delivery { error: error(131_050), ..status(DeliveryState::Failed, true) }),
        simple(Some(opened()), &record(2, Body::EffectFailed(refused())), vec![]),
    ];
    for commit in stopped {
        let stopped = after(&commit);
        assert!(stopped.no_marketing);
        let actions = vec![template("sale"), template("receipt"), Action::Send(Outgoing::text("hi"))];
        let commit = simple(Some(stopped), &record(3, text("x")), actions);
        let sends = commit.put_tasks.iter().filter(|task| task.effect.kind() == "send").count();
        assert_eq!((sends, commit.dead_letters.len()), (2, 1));
        assert!(commit.dead_letters[0].reason.contains("`sale`"), "{}", commit.dead_letters[0].reason);
        let Body::EffectFailed(failure) = &commit.append[0].body else { panic!("{:?}", commit.append) };
        let told = simple(Some(after(&commit)), &record(4, Body::EffectFailed(failure.clone())), vec![]);
        assert!(note_of(&told).contains("`sale`"));
    }
}

fn refused() -> EffectFailed {
    EffectFailed {
        task: TaskId::derive(&[b"t"]),
        effect: "send".into(),
        target: "whatsapp:support".into(),
        reason: "WhatsApp error 131050: User has stopped marketing messages".into(),
        attempts: 1,
    }
}

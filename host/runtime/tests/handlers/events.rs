//! What goes in: every kind of event, in both versions of the contract.

use patchbay_model::event::*;
use patchbay_model::message::*;
use patchbay_model::{Action, Body, Content, Identity, Media, MediaId, Message, Notice, Private, TaskId, Timestamp};
use patchbay_runtime::{HandlerInput, Plugin, Role};

use super::common::*;
use super::old_handler;

fn media() -> Media {
    Media {
        id: MediaId::derive(&[b"photo"]),
        platform_id: "platform-secret".into(),
        kind: MediaKind::Image,
        mime: "image/jpeg".into(),
        size: Some(1234),
        sha256: Some("abc".into()),
        file_name: Some("p.jpg".into()),
        caption: Some("look".into()),
    }
}

fn message(content: Content) -> Body {
    Body::Message(Message {
        id: "wamid.ANN".into(),
        content,
        reply_to: Some("wamid.EARLIER".into()),
        forwarded: true,
        referral: Some(Notice { kind: "ad".into(), data: "{\"ad\":1}".into() }),
        author: None,
    })
}

fn notice() -> Notice {
    Notice { kind: "some-kind".into(), data: "{\"some\":\"data\"}".into() }
}

fn activity(what: Activity) -> Body {
    Body::DeskActivity(DeskActivity {
        id: "act-1".into(),
        desk: "zendesk".into(),
        ticket: "42".into(),
        key: Some("ta_1".into()),
        occurred_at: Timestamp::from_millis(5),
        what,
    })
}

/// Every kind of event, and words that the plugin must find in it.
fn every_event() -> Vec<(Body, Vec<&'static str>)> {
    let contact = ContactCard {
        name: "Bob".into(),
        phones: vec!["+1".into()],
        emails: vec!["b@example.com".into()],
        raw: "{card}".into(),
    };
    let order = Order {
        catalog: "cat".into(),
        note: Some("soon".into()),
        items: vec![OrderItem {
            product: "sku".into(),
            quantity: "2".into(),
            price: "1.50".into(),
            currency: "EUR".into(),
        }],
    };
    let checked = |problem: Option<&str>| {
        let problem = problem.map(ToOwned::to_owned);
        Body::MediaChecked(MediaChecked { message: "wamid.ANN".into(), media: media(), problem })
    };
    let entry = AgentEntry {
        id: "e1".into(),
        public: true,
        author: "Bea".into(),
        text: "hello".into(),
        attachments: vec![RemoteFile { name: "f".into(), mime: "a/b".into(), url: "https://f".into(), size: Some(9) }],
    };
    let delivery = Delivery {
        message: "wamid.OUT".into(),
        state: DeliveryState::Failed,
        error: Some(DeliveryError { code: 131_047, title: "window".into(), detail: "closed".into() }),
        reference: Some(TaskId::derive(&[b"t"])),
        pricing: None,
        participant: None,
    };
    let choice = Choice { id: "c1".into(), title: "Yes".into(), description: Some("really".into()) };
    let location = Location {
        latitude: Private::new(51.5),
        longitude: Private::new(-0.125),
        name: Some("Home".into()),
        address: None,
    };
    vec![
        (
            message(Content::Text("hi".into())),
            vec!["Text(\"hi\")", "wamid.EARLIER", "forwarded: true", "{\\\"ad\\\":1}"],
        ),
        (message(Content::Media(media())), vec!["Image", "image/jpeg", "1234", "p.jpg", "look"]),
        (message(Content::Location(location)), vec!["51.5", "-0.125", "Home"]),
        (message(Content::Contacts(vec![contact])), vec!["Bob", "+1", "b@example.com", "{card}"]),
        (message(Content::Choice(choice)), vec!["Choice", "c1", "Yes", "really"]),
        (message(Content::Form("{form}".into())), vec!["Form", "{form}"]),
        (
            message(Content::Reaction(Reaction { message: "wamid.X".into(), emoji: None })),
            vec!["Reaction", "wamid.X", "emoji: None"],
        ),
        (message(Content::Order(order)), vec!["cat", "soon", "sku", "1.50", "EUR"]),
        (
            message(Content::Edited(Edited { message: "wamid.X".into(), text: Some("new".into()) })),
            vec!["Edited", "wamid.X", "new"],
        ),
        (message(Content::Withdrawn("wamid.X".into())), vec!["Withdrawn", "wamid.X"]),
        (message(Content::Other(notice())), vec!["Other", "some-kind"]),
        (checked(None), vec!["MediaChecked", "stored: true"]),
        (checked(Some("gone")), vec!["stored: false", "gone"]),
        (Body::Delivery(delivery), vec!["Failed", "131047", "window", "closed", "ta_"]),
        (activity(Activity::Entry(entry)), vec!["act-1", "e1", "Bea", "hello", "https://f"]),
        (activity(Activity::Status("solved".into())), vec!["Status", "solved"]),
        (activity(Activity::Assigned("Bea".into())), vec!["Assigned", "Bea"]),
        (activity(Activity::MergedInto("8".into())), vec!["MergedInto", "8"]),
        (activity(Activity::Other(notice())), vec!["Other", "some-kind"]),
        (Body::Timer(TimerFired { name: "nudge".into(), data: "{t}".into() }), vec!["Timer", "nudge", "{t}"]),
        (
            Body::EffectFailed(EffectFailed {
                task: TaskId::derive(&[b"t"]),
                effect: "create-ticket".into(),
                target: "zendesk".into(),
                reason: "down".into(),
                attempts: 9,
            }),
            vec!["EffectFailed", "create-ticket", "down", "attempts: 9"],
        ),
        (
            Body::Call(patchbay_model::event::Call {
                id: "call-1".into(),
                state: "ringing".into(),
                data: "{c}".into(),
            }),
            vec!["Call", "call-1", "ringing", "{c}"],
        ),
        (Body::AccountNotice(notice()), vec!["AccountNotice", "some-kind"]),
        (Body::Custom(notice()), vec!["Custom", "some-kind"]),
        (Body::Unknown(notice()), vec!["Unknown", "some-kind"]),
        (
            Body::Unparsed(Unparsed { reason: "no JSON".into(), base64: "AAAA".into() }),
            vec!["Unknown", "unparsed", "no JSON", "AAAA"],
        ),
    ]
}

/// What version 0.1 has no case for, the words that a plugin for 0.2 must find in it, and the kind under which one for 0.1
/// gets it.
fn new_in_0_2() -> Vec<(Body, Vec<&'static str>, &'static str)> {
    let person = Participant {
        identities: vec![Identity::UserId("US.7".into()), Identity::Phone("15550001111".into())],
        profile: patchbay_model::arrival::Profile { name: Some("Bob".into()), username: Some("bob7".into()) },
    };
    let heard = |by| {
        let content = Content::Text("heard".into());
        let Body::Message(message) = message(content) else { panic!("a message") };
        Overheard { message: Message { author: Some(person.clone()), ..message }, by, state: Some("read".into()) }
    };
    let changed =
        |what| Body::IdentityChanged(IdentityChanged { what, note: Some("a sentence of the platform's".into()) });
    let handover = Handover { from: "business".into(), to: "agent".into(), data: "{\"h\":1}".into() };
    let preference =
        Preference { category: "marketing_messages".into(), value: "stop".into(), detail: Some("no thanks".into()) };
    let in_all = ["wamid.ANN", "heard", "US.7", "15550001111", "Bob", "bob7", "\"read\""];
    let with = |words: &[&'static str]| words.iter().copied().chain(in_all).collect::<Vec<_>>();
    vec![
        (Body::Echo(heard(Speaker::Business)), with(&["Body::Echo", "Speaker::Business"]), "echo.text"),
        (Body::History(heard(Speaker::Customer)), with(&["Body::History", "Speaker::Customer"]), "history.text"),
        (Body::Standby(heard(Speaker::Customer)), with(&["Body::Standby"]), "standby.text"),
        (Body::Handover(handover), vec!["Body::Handover", "business", "agent", "{\\\"h\\\":1}"], "handover"),
        (changed(IdentityChange::Number), vec!["IdentityChange::Number", "a sentence"], "customer.number-changed"),
        (changed(IdentityChange::UserId), vec!["IdentityChange::UserId"], "customer.user-id-changed"),
        (changed(IdentityChange::Identity), vec!["IdentityChange::Identity"], "customer.identity-changed"),
        (Body::Preference(preference), vec!["marketing_messages", "stop", "no thanks"], "customer.preference"),
        (Body::Contact(notice()), vec!["Body::Contact", "some-kind"], "contact.some-kind"),
        (Body::Group(notice()), vec!["Body::Group", "some-kind"], "group.some-kind"),
        (Body::Payment(notice()), vec!["Body::Payment", "some-kind"], "payment.some-kind"),
    ]
}

/// What the handler was given, as it prints it.
async fn shown(plugin: &Plugin, input: &HandlerInput) -> String {
    let outcome = plugin.handle(input, &call("ev_1")).await.unwrap();
    let [Action::Emit(_, seen)] = outcome.actions.as_slice() else { panic!("{outcome:?}") };
    seen.reveal().clone()
}

#[tokio::test]
async fn every_kind_of_event_arrives() {
    let engine = engine();
    for (plugin, version) in [(handler(&engine).await, "0.2.0"), (old_handler(&engine).await, "0.1.0")] {
        assert_eq!((plugin.name(), plugin.generation(), plugin.contract()), ("triage", 3, version));
        assert_eq!(plugin.roles(), [Role::Handler]);
        for (body, words) in every_event() {
            let kind = body.kind();
            let seen = shown(&plugin, &input(body)).await;
            let everywhere =
                ["1700000000000", "1700000001000", "447700900001", "Ann Other", "ann", "en-GB", "GB.1", "10001", "42"];
            for word in words.into_iter().chain(everywhere) {
                assert!(seen.contains(word), "{version}, {kind}: no {word} in {seen}");
            }
            assert!(!seen.contains("platform-secret"), "{version}, {kind}");
        }
    }
}

#[tokio::test]
async fn what_is_new_has_a_name_in_0_2_and_is_unknown_in_0_1() {
    let engine = engine();
    let (new, old) = (handler(&engine).await, old_handler(&engine).await);
    for (body, words, kind) in new_in_0_2() {
        assert_eq!(body.kind(), kind);
        let value = serde_json::to_value(&body).unwrap()["value"].to_string();
        let seen = shown(&new, &input(body.clone())).await;
        for word in words {
            assert!(seen.contains(word), "{kind}: no {word} in {seen}");
        }
        let seen = shown(&old, &input(body)).await;
        assert!(seen.contains("Unknown") && seen.contains(&format!("{kind:?}")), "{seen}");
        assert!(seen.contains(&format!("{value:?}")), "{kind}: not all of {value} in {seen}");
    }
}

#[tokio::test]
async fn groups_prices_and_standby_are_told_since_0_2() {
    let engine = engine();
    let pricing = Pricing {
        billable: Some(true),
        model: Some("PMP".into()),
        kind: Some("regular".into()),
        category: Some("utility".into()),
        origin: Some("referral_conversion".into()),
    };
    let delivery = Delivery {
        message: "wamid.OUT".into(),
        state: DeliveryState::Read,
        error: None,
        reference: None,
        pricing: Some(pricing),
        participant: Some("15550001111".into()),
    };
    let mut input = input(Body::Delivery(delivery));
    input.conversation.no_marketing = true;
    input.conversation.standby = true;
    input.conversation.customer.group = Some("group-1".into());
    let new = [
        "billable: Some(true)",
        "PMP",
        "regular",
        "utility",
        "referral_conversion",
        "15550001111",
        "no-marketing: true",
        "standby: true",
        "group-1",
    ];
    let (seen, before) =
        (shown(&handler(&engine).await, &input).await, shown(&old_handler(&engine).await, &input).await);
    for word in new {
        assert!(seen.contains(word), "no {word} in {seen}");
        assert!(!before.contains(word), "{word} in {before}");
    }
}

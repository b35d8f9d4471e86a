//! Sending and receipts, against a Graph API of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fake;

use std::collections::BTreeMap;
use std::time::Duration;

use fake::{Answer, Fake, graph, options};
use patchbay_model::action::{Row, Section};
use patchbay_model::{Failure, Identity, MediaId, Outgoing, OutgoingContent};
use patchbay_whatsapp::graph::Graph;
use serde_json::{Value, json};

fn phone() -> Vec<Identity> {
    vec![Identity::Phone("447700900001".into())]
}

fn message(content: OutgoingContent) -> Outgoing {
    Outgoing { content, reply_to: None }
}

fn taken() -> Answer {
    Answer::json(
        200,
        json!({ "messaging_product": "whatsapp", "contacts": [{ "input": "447700900001", "wa_id": "447700900001" }],
            "messages": [{ "id": "wamid.SENT", "message_status": "accepted" }] }),
    )
}

fn error(status: u16, code: i64) -> Answer {
    Answer::json(status, json!({ "error": { "message": format!("(#{code}) Title"), "code": code } }))
}

/// What is posted for a message.
async fn posted(to: &[Identity], message: &Outgoing, reference: &str) -> Value {
    let fake = Fake::answering(taken()).await;
    assert_eq!(graph(&fake).send(to, message, reference).await, Ok("wamid.SENT".to_owned()));
    fake.only_request().body
}

/// Why a message is refused without asking Meta.
async fn refused(message: &Outgoing) -> String {
    let fake = Fake::answering(taken()).await;
    match graph(&fake).send(&phone(), message, "r").await {
        Err(Failure::Permanent { reason }) => {
            assert!(fake.requests().is_empty());
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_text_goes_to_the_number_with_token_and_reference() {
    let fake = Fake::answering(taken()).await;
    let mut text = Outgoing::text("Hello");
    text.reply_to = Some("wamid.QUESTION".into());
    assert_eq!(graph(&fake).send(&phone(), &text, "pb1:a:b").await, Ok("wamid.SENT".to_owned()));
    let request = fake.only_request();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/base/v24.0/106540352242922/messages"));
    assert_eq!(request.authorization.as_deref(), Some("Bearer EAAG"));
    assert!(request.user_agent.starts_with("patchbay/"));
    assert_eq!(
        request.body,
        json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": "447700900001",
            "context": { "message_id": "wamid.QUESTION" }, "biz_opaque_callback_data": "pb1:a:b",
            "type": "text", "text": { "body": "Hello" } })
    );
}

#[tokio::test]
async fn user_ids_go_to_recipient_and_never_to_to() {
    let user = Identity::UserId("GB.8841023371".into());
    for (to, field, name) in [
        (vec![user.clone()], "recipient", "GB.8841023371"),
        (vec![Identity::Phone("GB.8841023371".into())], "recipient", "GB.8841023371"),
        (vec![user.clone(), phone()[0].clone()], "to", "447700900001"),
    ] {
        let body = posted(&to, &Outgoing::text("x"), "r").await;
        assert_eq!(body[field], name);
        assert!(body.get(if field == "to" { "recipient" } else { "to" }).is_none());
    }
    let fake = Fake::answering(taken()).await;
    for nobody in [vec![], vec![Identity::Phone("".into())]] {
        let failure = graph(&fake).send(&nobody, &Outgoing::text("x"), "r").await;
        assert!(matches!(failure, Err(Failure::Permanent { .. })));
    }
}

#[tokio::test]
async fn templates_have_parameters_by_number_or_by_name() {
    let template = |parameters: &[(&str, &str)]| {
        let parameters: BTreeMap<_, _> = parameters.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        message(OutgoingContent::Template { name: "update".into(), language: "en_GB".into(), parameters })
    };
    let body = posted(&phone(), &template(&[]), "r").await;
    assert_eq!(body["template"], json!({ "name": "update", "language": { "code": "en_GB" } }));

    let twelve: Vec<(String, String)> = (1..=12).map(|at| (at.to_string(), format!("p{at}"))).collect();
    let twelve: Vec<_> = twelve.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let body = posted(&phone(), &template(&twelve), "r").await;
    let texts: Vec<_> = body["template"]["components"][0]["parameters"].as_array().unwrap().iter().collect();
    assert_eq!(texts[1], &json!({ "type": "text", "text": "p2" }));
    assert_eq!(texts[11], &json!({ "type": "text", "text": "p12" }));

    let body = posted(&phone(), &template(&[("order", "17")]), "r").await;
    assert_eq!(
        body["template"]["components"],
        json!([{ "type": "body", "parameters": [{ "type": "text", "parameter_name": "order", "text": "17" }] }])
    );
    for odd in [&[("1", "a"), ("3", "b")][..], &[("1", "a"), ("name", "b")], &[("0", "a")]] {
        assert!(refused(&template(odd)).await.contains("from 1 on"), "{odd:?}");
    }
}

#[tokio::test]
async fn questions_have_buttons_or_a_list() {
    let option = |id: &str, title: &str| (id.to_owned(), title.to_owned());
    let buttons = |options: Vec<(String, String)>| message(OutgoingContent::Buttons { text: "Which?".into(), options });
    let body = posted(&phone(), &buttons(vec![option("y", "Yes"), option("n", "No")]), "r").await;
    assert_eq!(
        body["interactive"],
        json!({ "type": "button", "body": { "text": "Which?" }, "action": { "buttons": [
            { "type": "reply", "reply": { "id": "y", "title": "Yes" } },
            { "type": "reply", "reply": { "id": "n", "title": "No" } } ] } })
    );
    assert!(refused(&buttons(vec![])).await.contains("0 buttons"));
    assert!(
        refused(&buttons((0..4).map(|at| option(&at.to_string(), &at.to_string())).collect())).await.contains("1 to 3")
    );
    assert!(refused(&buttons(vec![option("y", &"é".repeat(21))])).await.contains("21 characters"));
    assert!(refused(&buttons(vec![option("y", "Yes"), option("n", "Yes")])).await.contains("same"));

    let row = |id: &str| Row { id: id.into(), title: "Row".into(), description: Some("below".into()) };
    let list = |sections: Vec<Section>| {
        message(OutgoingContent::Choices { text: "When?".into(), button: "Choose".into(), sections })
    };
    let body = posted(&phone(), &list(vec![Section { title: String::new(), rows: vec![row("a")] }]), "r").await;
    assert_eq!(
        body["interactive"],
        json!({ "type": "list", "body": { "text": "When?" }, "action": { "button": "Choose", "sections": [
            { "rows": [{ "id": "a", "title": "Row", "description": "below" }] } ] } })
    );
    let eleven: Vec<_> = (0..11).map(|at| row(&at.to_string())).collect();
    assert!(refused(&list(vec![Section { title: "S".into(), rows: eleven }])).await.contains("11 rows"));
    let untitled = |id: &str| Section { title: String::new(), rows: vec![row(id)] };
    assert!(refused(&list(vec![untitled("a"), untitled("b")])).await.contains("section's title is empty"));
}

#[tokio::test]
async fn reactions_have_no_context() {
    let mut reaction = message(OutgoingContent::Reaction { message: "wamid.1".into(), emoji: String::new() });
    reaction.reply_to = Some("wamid.1".into());
    let body = posted(&phone(), &reaction, "r").await;
    assert_eq!(body["reaction"], json!({ "message_id": "wamid.1", "emoji": "" }));
    assert!(body.get("context").is_none());
}

#[tokio::test]
async fn raw_messages_stand_under_their_type() {
    let raw = |kind: &str, body: &str| message(OutgoingContent::Raw { kind: kind.into(), body: body.into() });
    let body = posted(&phone(), &raw("location", r#"{"latitude":1,"longitude":2}"#), "r").await;
    assert_eq!((&body["type"], &body["location"]), (&json!("location"), &json!({ "latitude": 1, "longitude": 2 })));
    for kind in ["to", "recipient", "", "Text", "a.b"] {
        assert!(refused(&raw(kind, "{}")).await.contains("not a type"), "{kind}");
    }
    let reason = refused(&raw("text", "{447700900001")).await;
    assert!(reason.contains("not JSON") && !reason.contains("4477"), "{reason}");
}

#[tokio::test]
async fn what_meta_would_not_take_is_refused_before_it_is_asked() {
    assert!(refused(&Outgoing::text("x".repeat(4097))).await.contains("4097 characters, and WhatsApp takes 4096"));
    assert!(refused(&Outgoing::text(" \n")).await.contains("empty"));
    let media = OutgoingContent::Media { media: MediaId::derive(&[b"m"]), caption: None };
    assert!(refused(&message(media)).await.contains("stored media"));
    posted(&phone(), &Outgoing::text("é".repeat(4096)), "r").await;
    let fake = Fake::answering(taken()).await;
    let long = graph(&fake).send(&phone(), &Outgoing::text("x"), &"r".repeat(513)).await;
    assert!(matches!(long, Err(Failure::Permanent { .. })));
}

#[tokio::test]
async fn metas_errors_have_their_consequences() {
    for (answer, expected) in [
        (error(401, 190), "credential"),
        (error(400, 131_047), "permanent"),
        (error(400, 131_056), "retry 6"),
        (error(400, 131_000), "retry"),
        (error(500, 131_000), "uncertain"),
        (error(500, 131_016), "retry"),
        (error(503, 2).retry_after("30"), "retry 30"),
        (Answer::text(429, "slow down").retry_after("2"), "retry 2"),
        (Answer::text(500, "<html>"), "uncertain"),
        (Answer::text(503, "<html>").retry_after("5"), "retry 5"),
        (Answer::text(520, "<html>"), "uncertain"),
        (Answer::text(504, "<html>"), "uncertain"),
        (Answer::text(302, "").header("location", "https://example.org/"), "retry"),
        (Answer::json(200, json!({ "messages": [] })), "uncertain"),
        (Answer::text(200, "<html>"), "uncertain"),
        (Answer::Hang, "uncertain"),
        (Answer::Drop, "uncertain"),
    ] {
        let fake = Fake::answering(answer.clone()).await;
        let found = match graph(&fake).send(&phone(), &Outgoing::text("x"), "r").await {
            Ok(id) => id,
            Err(Failure::Retry { uncertain: true, .. }) => "uncertain".to_owned(),
            Err(Failure::Retry { after: Some(after), .. }) => format!("retry {}", after.as_secs()),
            Err(Failure::Retry { .. }) => "retry".to_owned(),
            Err(Failure::Credential { .. }) => "credential".to_owned(),
            Err(Failure::Permanent { .. }) => "permanent".to_owned(),
        };
        assert_eq!(found, expected, "{answer:?}");
        assert_eq!(fake.connections(), 1, "{answer:?}: it is not for this client to try again, or to follow");
    }
}

#[tokio::test]
async fn what_was_never_sent_is_certain() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let graph = Graph::new(options(&format!("http://{address}"), Duration::from_secs(30))).unwrap();
    let failure = graph.send(&phone(), &Outgoing::text("x"), "r").await.unwrap_err();
    assert!(matches!(failure, Failure::Retry { uncertain: false, after: None, .. }), "{failure}");
}

#[tokio::test]
async fn reading_and_typing_are_shown() {
    let fake = Fake::answering(Answer::json(200, json!({ "success": true }))).await;
    graph(&fake).mark_read("wamid.1", true).await.unwrap();
    assert_eq!(
        fake.only_request().body,
        json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1", "typing_indicator": { "type": "text" } })
    );
    let fake = Fake::answering(Answer::json(200, json!({ "success": true }))).await;
    graph(&fake).mark_read("wamid.1", false).await.unwrap();
    assert!(fake.only_request().body.get("typing_indicator").is_none());

    for answer in [Answer::Drop, Answer::text(504, "<html>"), error(500, 131_000)] {
        let fake = Fake::answering(answer).await;
        let failure = graph(&fake).mark_read("wamid.1", false).await;
        assert!(matches!(failure, Err(Failure::Retry { uncertain: false, .. })), "it may be done twice");
    }
}

#[test]
fn options_that_are_of_no_use_are_named() {
    let good = options("https://graph.facebook.com", Duration::from_secs(30));
    let wrong = |change: fn(&mut patchbay_whatsapp::graph::GraphOptions)| {
        let mut options = good.clone();
        change(&mut options);
        Graph::new(options).unwrap_err().to_string()
    };
    assert!(wrong(|options| options.version = "24".into()).starts_with("version"));
    assert!(wrong(|options| options.base_url = "file:///tmp".parse().unwrap()).starts_with("base_url"));
    assert!(wrong(|options| options.phone_number_id = "../1".into()).starts_with("phone_number_id"));
    assert!(wrong(|options| options.access_token = "a\nb".into()).starts_with("access_token"));
    assert!(wrong(|options| options.access_token = "".into()).starts_with("access_token"));
    let shown = format!("{:?}", Graph::new(good).unwrap());
    assert!(!shown.contains("EAAG"), "{shown}");
}

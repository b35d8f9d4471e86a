//! A desk's verbs, its webhooks and the media that it may read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::collections::BTreeMap;

use common::*;
use hmac::{Hmac, Mac as _};
use patchbay_model::desk::{Added, Author, Draft, Entry, Webhook};
use patchbay_model::event::Activity;
use patchbay_model::{Failure, Ticket, Timestamp};
use patchbay_runtime::{CallError, Engine, HostPattern, HttpGrant, Plugin};

async fn desk(engine: &Engine) -> Plugin {
    let mut spec = spec("zen", "desk");
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("desk.example").unwrap()));
    spec.grants.media = true;
    let secrets = |all: &[&str]| all.iter().map(|secret| (*secret).to_owned().into()).collect();
    spec.secrets = BTreeMap::from([
        ("webhook".to_owned(), secrets(&["old-secret", "new-secret"])),
        ("none".to_owned(), Vec::new()),
    ]);
    engine.load(spec).await.unwrap()
}

fn entry(text: &str, author: Author) -> Entry {
    Entry { author, text: text.into(), media: Vec::new(), public: true, at: Timestamp::from_millis(9) }
}

fn ticket() -> Ticket {
    Ticket {
        desk: "zendesk".into(),
        id: "7".into(),
        url: None,
        status: "new".into(),
        data: [("user".to_owned(), "9".to_owned())].into(),
    }
}

#[tokio::test]
async fn the_verbs() {
    let engine = engine();
    let plugin = desk(&engine).await;
    let call = desk_call();

    assert_eq!(plugin.find_ticket("nothing", &call).await.unwrap(), None);
    let found = plugin.find_ticket("ta_1", &call).await.unwrap().unwrap();
    assert_eq!((found.ticket.desk.as_str(), found.ticket.id.as_str(), found.entry), ("zendesk", "7", None));

    let draft = Draft {
        subject: "Help".into(),
        conversation: conversation(),
        tickets: vec![ticket()],
        fields: [("queue".to_owned(), "billing".to_owned())].into(),
        entries: vec![
            entry("one", Author::Customer(conversation().customer)),
            entry("two", Author::Bot("triage".into())),
            entry("three", Author::Agent("Bea".into())),
            entry("four", Author::Gateway),
        ],
    };
    let created = plugin.create_ticket("ta_1", &draft, &call).await.unwrap();
    assert_eq!(created.entry.as_deref(), Some("e1"));
    assert_eq!(created.ticket.data["key"], "ta_1");
    let seen = &created.ticket.data["draft"];
    let words =
        ["Help", "billing", "one", "447700900001", "Bot(\"triage\")", "Agent(\"Bea\")", "Author::Gateway", "user"];
    for word in words {
        assert!(seen.contains(word), "no {word} in {seen}");
    }

    assert_eq!(plugin.find_entry("nothing", &ticket(), &call).await.unwrap(), None);
    let found = plugin.find_entry("ta_2", &ticket(), &call).await.unwrap().unwrap();
    assert_eq!(found, Added { entry: Some("ta_2".into()), ticket: ticket() });
    let added = plugin.add_entry("ta_2", &ticket(), &entry("more", Author::Gateway), &call).await.unwrap();
    assert!(added.ticket.data["entry"].contains("more"), "{added:?}");

    let fields = [("priority".to_owned(), "high".to_owned())].into();
    let updated = plugin.update_ticket("ta_3", &ticket(), &fields, &call).await.unwrap();
    assert_eq!((updated.status.as_str(), updated.data), ("solved", fields));

    let snapshot = plugin.read_ticket("7", &call).await.unwrap();
    assert_eq!(snapshot.entries, [("unknown".to_owned(), "7".into())]);
}

fn webhook(headers: &[(&str, &str)]) -> Webhook {
    Webhook {
        method: "POST".into(),
        path: "/events".into(),
        query: "a=b".into(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        body: b"the body".to_vec().into(),
    }
}

fn hmac<D>(secret: &str) -> String
where
    Hmac<D>: hmac::Mac + hmac::KeyInit,
    D: hmac::EagerHash,
{
    let mut mac = <Hmac<D> as hmac::KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    hmac::Mac::update(&mut mac, b"the body");
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn signatures_are_checked_with_secrets_that_the_plugin_does_not_have() {
    let engine = engine();
    let plugin = desk(&engine).await;
    let receive = async |headers: &[(&str, &str)]| plugin.receive(&webhook(headers), &desk_call()).await;
    let wrong =
        |result: Result<Vec<_>, CallError>| matches!(result, Err(CallError::Failed(Failure::Credential { .. })));

    for secret in ["new-secret", "old-secret"] {
        assert!(receive(&[("x-signature", &hmac::<sha2::Sha256>(secret))]).await.is_ok(), "{secret}");
        let sha1 = hmac::<sha1::Sha1>(secret);
        assert!(receive(&[("x-signature", &sha1), ("x-algorithm", "hmac-sha1")]).await.is_ok(), "{secret}");
        assert!(receive(&[("x-signature", secret), ("x-algorithm", "equal")]).await.is_ok(), "{secret}");
    }
    assert!(wrong(receive(&[("x-signature", &hmac::<sha2::Sha256>("other"))]).await));
    assert!(wrong(
        receive(&[("x-signature", &hmac::<sha2::Sha256>("new-secret")), ("x-algorithm", "hmac-sha1")]).await
    ));
    assert!(wrong(receive(&[("x-signature", "new-secre"), ("x-algorithm", "equal")]).await));
    assert!(wrong(receive(&[]).await));
    for (header, value) in [("x-secret", "unknown"), ("x-secret", "none"), ("x-algorithm", "md5")] {
        match receive(&[(header, value)]).await {
            Err(CallError::Failed(Failure::Permanent { reason })) => assert!(reason.contains(value), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn activities_come_back_with_the_desks_name() {
    let engine = engine();
    let plugin = desk(&engine).await;
    let signature = hmac::<sha2::Sha256>("new-secret");
    let activities = plugin.receive(&webhook(&[("x-signature", &signature)]), &desk_call()).await.unwrap();
    assert!(activities.iter().all(|activity| activity.desk == "zendesk" && activity.ticket == "7"));
    let kinds: Vec<_> = activities.iter().map(|activity| activity.what.kind()).collect();
    assert_eq!(kinds, ["entry", "status", "assigned", "merged", "seen"]);
    let Activity::Entry(entry) = &activities[0].what else { panic!("{activities:?}") };
    assert_eq!((entry.text.as_deref(), entry.attachments.len()), ("the body", 1));
    let Activity::Other(other) = &activities[4].what else { panic!("{activities:?}") };
    assert_eq!(other.data.as_deref(), "POST /events a=b");
}

#[tokio::test]
async fn stored_media_is_read_in_pieces() {
    let bytes: Vec<u8> = (0..=255).cycle().take(10_500).collect();
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    let engine = engine_with(|options| options.media = shelf(bytes));
    let plugin = desk(&engine).await;
    let snapshot = plugin.read_ticket("blob photo", &desk_call()).await.unwrap();
    let values: Vec<_> = snapshot.entries.iter().map(|(_, value)| value.as_deref().to_owned()).collect();
    assert_eq!(values, ["10500".to_owned(), "10500".to_owned(), sum.to_string()]);
    match plugin.read_ticket("blob other", &desk_call()).await {
        Err(CallError::Failed(failure)) => assert!(failure.reason().contains("there is no `other`")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_secret_that_a_plugin_prints_is_masked() {
    let engine = engine();
    let plugin = desk(&engine).await;
    match plugin.read_ticket("shout it is new-secret", &desk_call()).await {
        Err(CallError::Broken(report)) => {
            assert!(report.stderr.contains("it is [secret]"), "{report:?}");
            assert!(!format!("{report:?}").contains("new-secret"), "{report:?}");
        }
        other => panic!("{other:?}"),
    }
}

//! What an inspector is lent, what it may say, and what becomes of one that says too much.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::time::Duration;

use common::*;
use patchbay_model::message::MediaKind;
use patchbay_model::verdict::{Decision, Verdict};
use patchbay_model::{Failure, Media, MediaId};
use patchbay_runtime::{Call, CallError, Cause, Engine, Plugin, PluginReport, Role};

/// An inspector of each version of the contract.
const GUESTS: [(&str, &str); 2] = [("inspector_0_1", "0.1.0"), ("inspector", "0.2.0")];

const BYTES: usize = 10_500;

fn bytes() -> Vec<u8> {
    (0..=255).cycle().take(BYTES).collect()
}

/// An engine whose media has the id that the gateway would give it.
fn engine() -> Engine {
    engine_with(|options| options.media = shelf_with(photo().as_str(), bytes()))
}

async fn load(engine: &Engine, guest: &str) -> Plugin {
    let mut spec = spec("eyes", guest);
    spec.grants.media = true;
    spec.limits.cpu = Duration::from_millis(300);
    let plugin = engine.load(spec).await.unwrap();
    assert_eq!(plugin.roles(), [Role::Inspector]);
    plugin
}

fn photo() -> MediaId {
    MediaId::derive(&[b"photo"])
}

fn media(caption: &str) -> Media {
    Media {
        id: photo(),
        platform_id: "1".into(),
        kind: MediaKind::Sticker,
        mime: "image/webp".into(),
        size: Some(BYTES as u64),
        sha256: None,
        file_name: Some("cat.webp".into()),
        caption: Some(caption.into()),
    }
}

fn call() -> Call {
    Call { deterministic: false, ..common::call("me_1") }
}

async fn inspect(plugin: &Plugin, caption: &str) -> Result<Verdict, CallError> {
    plugin.inspect(&media(caption), &call()).await
}

async fn broken(plugin: &Plugin, caption: &str) -> PluginReport {
    match inspect(plugin, caption).await {
        Err(CallError::Broken(report)) => report,
        other => panic!("{caption}: {other:?}"),
    }
}

#[tokio::test]
async fn it_is_lent_the_bytes_and_gives_its_verdict() {
    let engine = engine();
    let sum: u64 = bytes().iter().map(|byte| u64::from(*byte)).sum();
    for (guest, version) in GUESTS {
        let plugin = load(&engine, guest).await;
        assert_eq!(plugin.contract(), version);
        let verdict = inspect(&plugin, "").await.unwrap();
        assert_eq!(verdict.decision, Decision::Warn);
        assert_eq!(verdict.labels, [("MediaKind::Sticker".to_owned(), 0.9), ("image/webp".to_owned(), 1.0)]);
        assert_eq!(verdict.text, Some("cat.webp".into()));
        let (all, sum) = (BYTES as f64, sum as f64);
        let measures = [("size".to_owned(), all), ("read".to_owned(), all), ("sum".to_owned(), sum)];
        assert_eq!(verdict.measures, measures);
        let [finding] = verdict.findings.as_slice() else { panic!("{verdict:?}") };
        assert_eq!((finding.code.as_str(), finding.detail.as_deref(), finding.score), ("id", photo().as_str(), 0.25));

        assert_eq!(inspect(&plugin, "quarantine").await.unwrap().decision, Decision::Quarantine);
        // Beyond the end there is nothing, however much is asked for.
        let end = inspect(&plugin, "beyond end").await.unwrap();
        assert_eq!(end.text, Some("[Ok(0), Ok(0), Ok(0)]".into()));
        // Other media is read as in every role: by its id, if it is there.
        let other = inspect(&plugin, &format!("open {}", photo())).await.unwrap();
        assert_eq!(other.text, Some(format!("{BYTES} bytes").into()));
        let other = inspect(&plugin, "open me_other").await.unwrap();
        assert_eq!(other.text, Some("there is no `me_other`".into()));
    }
}

#[tokio::test]
async fn its_failures_are_the_plugins_own() {
    let engine = engine();
    for (guest, _) in GUESTS {
        let plugin = load(&engine, guest).await;
        match inspect(&plugin, "retry the model is loading").await {
            Err(CallError::Failed(Failure::Retry { after, reason, uncertain: false })) => {
                assert_eq!((after, reason.as_str()), (Some(Duration::from_millis(5)), "the model is loading"));
            }
            other => panic!("{other:?}"),
        }
        let failed = inspect(&plugin, "permanent no such format").await;
        assert!(matches!(failed, Err(CallError::Failed(Failure::Permanent { .. }))), "{failed:?}");
    }
}

#[tokio::test]
async fn media_that_cannot_be_opened_is_not_the_plugins_fault() {
    let engine = engine();
    for (guest, _) in GUESTS {
        let plugin = load(&engine, guest).await;
        let gone = Media { id: MediaId::derive(&[b"gone"]), ..media("") };
        match plugin.inspect(&gone, &call()).await {
            Err(CallError::Broken(report)) => {
                assert_eq!(report.cause, Cause::Host);
                assert!(report.detail.starts_with("the media cannot be opened: there is no `me_"), "{report:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_no_verdict_can_be_is_an_answer_that_does_not_count() {
    let engine = engine();
    for (guest, _) in GUESTS {
        let plugin = load(&engine, guest).await;
        for (caption, why) in [
            ("nan label", "the confidence of a label is not between 0 and 1"),
            ("beyond label", "the confidence of a label is not between 0 and 1"),
            ("nan finding", "the confidence of a finding is not between 0 and 1"),
            ("beyond finding", "the confidence of a finding is not between 0 and 1"),
            ("nan measure", "the value of a measure is no number"),
            ("beyond measure", "the value of a measure is no number"),
        ] {
            let report = broken(&plugin, caption).await;
            assert_eq!((report.cause, report.detail.as_str()), (Cause::Answer, why), "{caption}");
        }
        for (caption, cause) in
            [("many", Cause::HostBytes), ("spin", Cause::CpuTime), ("panic at the sight", Cause::Trap)]
        {
            assert_eq!(broken(&plugin, caption).await.cause, cause, "{caption}");
        }
        // And the next one is looked at as if nothing had been.
        assert_eq!(inspect(&plugin, "").await.unwrap().decision, Decision::Warn);
    }
}

#[tokio::test]
async fn nobody_else_is_asked_to_inspect() {
    let engine = engine();
    let handler = handler(&engine).await;
    match handler.inspect(&media(""), &call()).await {
        Err(CallError::Broken(report)) => assert_eq!(report.cause, Cause::Role),
        other => panic!("{other:?}"),
    }
}

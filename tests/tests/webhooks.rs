//! Webhooks: what is accepted, what is refused, and what is never taken twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::house::{sign, text_webhook};
use patchbay_tests::{House, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

const ADA: &str = "447700900001";
const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn the_same_message_is_one_entry_however_often_and_in_whatever_body_it_comes() -> Result<()> {
    let house = House::open().await?;
    let body = text_webhook("wamid.once", ADA, "only once", &Value::Null);
    for _ in 0..3 {
        assert_eq!(house.deliver_signed(body.clone()).await?, StatusCode::OK);
    }
    let another = text_webhook("wamid.once", ADA, "only once", &json!("a body of its own"));
    assert_eq!(house.deliver_signed(another).await?, StatusCode::OK);
    let at_once = (0..8).map(|turn| house.deliver_signed(text_webhook("wamid.once", ADA, "only once", &json!(turn))));
    for status in futures::future::join_all(at_once).await {
        assert_eq!(status?, StatusCode::OK);
    }
    assert_eq!(house.deliver_signed(text_webhook("wamid.last", ADA, "the last", &Value::Null)).await?, StatusCode::OK);
    house.expect_entries(ADA, &["only once", "the last"]).await?;
    assert_eq!(house.events("kind=message").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_not_from_meta_leaves_no_trace() -> Result<()> {
    let house = House::open().await?;
    let body = text_webhook("wamid.forged", ADA, "a forged message", &Value::Null);
    let good = sign(&body)?;
    let wrong = format!("sha256={}", "0".repeat(64));
    let truncated = good[..good.len() - 2].to_owned();
    let of_another = sign(b"another body")?;
    for signature in [None, Some(wrong), Some(truncated), Some(of_another), Some(String::new()), Some("sha256=".into())]
    {
        assert_eq!(house.deliver(body.clone(), signature.clone()).await?, StatusCode::UNAUTHORIZED, "{signature:?}");
    }
    // One good message behind them: when it is handled, everything before it would be too.
    assert_eq!(
        house.deliver_signed(text_webhook("wamid.good", ADA, "a real one", &Value::Null)).await?,
        StatusCode::OK
    );
    house.expect_entries(ADA, &["a real one"]).await?;
    assert_eq!(house.events("limit=100&kind=message").await?.len(), 1);
    assert_eq!(house.events("kind=unparsed").await?.len(), 0);
    assert!(!house.gateway()?.log().contains("a forged message"));
    Ok(())
}

#[tokio::test]
async fn four_mebibytes_are_accepted_and_more_than_the_cap_is_not() -> Result<()> {
    let house = House::open().await?;
    let empty = text_webhook("wamid.large", ADA, "large", &json!("")).len();
    let body = text_webhook("wamid.large", ADA, "large", &json!("x".repeat(4 * MIB - empty)));
    assert_eq!(body.len(), 4 * MIB);
    assert_eq!(house.deliver_signed(body).await?, StatusCode::OK);
    house.expect_entries(ADA, &["large"]).await?;
    let above = text_webhook("wamid.above", ADA, "too large", &json!("x".repeat(5 * MIB)));
    assert_eq!(house.deliver_signed(above).await?, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(house.events("kind=message").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn malformed_json_with_a_good_signature_is_kept_and_shown() -> Result<()> {
    let house = House::open().await?;
    assert_eq!(
        house.deliver_signed(b"{\"object\": \"whatsapp_business_account\", \"entry\": [".to_vec()).await?,
        StatusCode::OK
    );
    assert_eq!(house.deliver_signed(vec![0xff, 0x00, 0xfe]).await?, StatusCode::OK);
    let events = eventually("the unparsed bodies", || async {
        let events = house.events("kind=unparsed").await?;
        Ok(if events.len() == 2 { Ok(events) } else { Err(format!("{events:?}")) })
    })
    .await?;
    assert_eq!(events[0]["body"]["base64"], "/wD+", "{}", events[0]);
    assert!(events[1]["body"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{}", events[1]);
    Ok(())
}

#[tokio::test]
async fn one_bad_item_never_takes_its_neighbours_with_it() -> Result<()> {
    let house = House::open().await?;
    let mut body: Value = serde_json::from_slice(&text_webhook("wamid.a", ADA, "before", &Value::Null))?;
    let value = &mut body["entry"][0]["changes"][0]["value"];
    let after =
        json!({ "from": ADA, "id": "wamid.b", "timestamp": "1764000001", "type": "text", "text": { "body": "after" } });
    let messages = value["messages"].as_array_mut().unwrap();
    messages.extend([json!(17), json!({ "type": "hologram", "from": ADA, "id": "wamid.x", "hologram": {} }), after]);
    value["statuses"] = json!([{ "id": null }, "no status"]);
    assert_eq!(house.deliver_signed(body.to_string().into_bytes()).await?, StatusCode::OK);
    eventually("both neighbours in the ticket", || async {
        let entries = house.entries_of(ADA).await?;
        let whole =
            entries.first().is_some_and(|text| text == "before") && entries.last().is_some_and(|text| text == "after");
        Ok(if whole { Ok(()) } else { Err(format!("{entries:?}")) })
    })
    .await?;
    let all = house.events("limit=100").await?;
    assert!(all.iter().filter(|event| event["kind"] == "unknown").count() >= 2, "{all:?}");
    Ok(())
}

#[tokio::test]
async fn a_body_for_another_number_is_acknowledged_and_dropped() -> Result<()> {
    let house = House::open().await?;
    let mut body: Value = serde_json::from_slice(&text_webhook("wamid.other", ADA, "not for us", &Value::Null))?;
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("999");
    assert_eq!(house.deliver_signed(body.to_string().into_bytes()).await?, StatusCode::OK);
    assert_eq!(house.deliver_signed(text_webhook("wamid.ours", ADA, "for us", &Value::Null)).await?, StatusCode::OK);
    house.expect_entries(ADA, &["for us"]).await?;
    assert_eq!(house.events("limit=100&kind=message").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_desks_webhook_needs_its_signature_too() -> Result<()> {
    let house = House::open().await?;
    let url = format!("{}/webhooks/desk/zendesk", house.gateway()?.url());
    let client = reqwest::Client::new();
    let answer = client.post(&url).body("{}").send().await?;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = client.post(url.replace("zendesk", "nobody")).body("{}").send().await?;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    Ok(())
}

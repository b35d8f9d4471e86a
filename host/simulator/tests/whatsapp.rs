//! The WhatsApp side: webhooks, sending, statuses, media, faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use hmac::{Hmac, KeyInit as _, Mac as _};
use patchbay_simulator::{Simulator, SimulatorOptions};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{TOKEN, World, until};

const ADA: &str = "447700900001";

fn text(body: &str) -> Value {
    json!({"from": ADA, "type": "text", "text": {"body": body}, "name": "Ada Brooks"})
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let options = SimulatorOptions { listen: listen.parse().unwrap(), ..SimulatorOptions::default() };
        let error = Simulator::start(options).await.unwrap_err().to_string();
        assert!(error.contains("loopback"), "{error}");
    }
    let world = World::start().await;
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let answer = world.http.get(world.sim("faults")).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}");
    }
}

#[tokio::test]
async fn a_customers_message_arrives_signed_and_in_the_shape_of_2026() {
    let world = World::start().await;
    let answer: Value = world
        .http
        .post(world.sim("whatsapp/inbound?wait=1"))
        .json(&text("Grüße 🎉 a/b"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["status"], 200);
    assert!(answer["id"].as_str().unwrap().starts_with("wamid."));
    let arrived = world.receiver.all("whatsapp");
    assert_eq!(arrived.len(), 1);
    assert_eq!(*world.receiver.handshakes.lock().unwrap(), 1);
    let body = &arrived[0].body;
    assert!(body.is_ascii());
    let raw = std::str::from_utf8(body).unwrap();
    assert!(raw.contains("Gr\\u00fc\\u00dfe \\ud83c\\udf89 a\\/b"), "{raw}");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"simulated-app-secret").unwrap();
    mac.update(body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(arrived[0].headers["x-hub-signature-256"], signature.as_str());
    let value = &arrived[0].json()["entry"][0]["changes"][0]["value"];
    let message = &value["messages"][0];
    assert_eq!(message["from"], ADA);
    assert_eq!(message["text"]["body"], "Grüße 🎉 a/b");
    assert_eq!(message["id"], answer["id"]);
    assert_eq!(value["contacts"][0]["wa_id"], ADA);
    assert_eq!(value["contacts"][0]["user_id"], message["from_user_id"]);
    assert_eq!(value["contacts"][0]["profile"]["name"], "Ada Brooks");
}

#[tokio::test]
async fn a_person_with_a_username_shows_no_phone_number() {
    let world = World::start().await;
    let card = world.state.set_customer(&json!({"phone": ADA, "username": "ada.b", "hide_phone": true})).unwrap();
    world.state.inbound(text("hello")).unwrap();
    let arrived = until("a webhook", || world.receiver.all("whatsapp").pop()).await;
    assert!(!std::str::from_utf8(&arrived.body).unwrap().contains(&format!("\"from\":\"{ADA}\"")));
    let value = &arrived.json()["entry"][0]["changes"][0]["value"];
    assert!(value["messages"][0].get("from").is_none());
    assert!(value["contacts"][0].get("wa_id").is_none());
    assert_eq!(value["contacts"][0]["profile"]["username"], "ada.b");
    assert_eq!(value["messages"][0]["from_user_id"], card["user_id"]);
    let body =
        json!({"messaging_product": "whatsapp", "recipient": card["user_id"], "type": "text", "text": {"body": "hi"}});
    let answer: Value = world.send(body).await.json().await.unwrap();
    assert!(answer["contacts"][0].get("wa_id").is_none());
    until("three statuses", || (world.receiver.statuses().len() == 3).then_some(())).await;
    let last = world.receiver.all("whatsapp").pop().unwrap().json();
    let status = &last["entry"][0]["changes"][0]["value"]["statuses"][0];
    assert!(status.get("recipient_id").is_none());
    assert_eq!(status["recipient_user_id"], card["user_id"]);
}

#[tokio::test]
async fn anything_but_200_is_delivered_again_with_growing_pauses() {
    let world = World::start().await;
    world.receiver.answers.lock().unwrap().extend([500, 401, 204, 302]);
    world.state.inbound(text("again")).unwrap();
    until("five attempts", || (world.receiver.all("whatsapp").len() == 5).then_some(())).await;
    let delivery =
        until("delivered", || world.state.deliveries().into_iter().find(|delivery| delivery["state"] == "delivered"))
            .await;
    assert_eq!(delivery["attempts"], 5);
    assert_eq!(delivery["status"], 200);
    let arrived = world.receiver.all("whatsapp");
    assert!(arrived.iter().all(|each| each.body == arrived[0].body), "the bytes stay the same");
    let pauses: Vec<_> = arrived.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (pause, least) in pauses.iter().zip([20, 40, 80, 160]) {
        assert!(pause.as_millis() >= least, "{pauses:?}");
    }
}

#[tokio::test]
async fn statuses_follow_in_order_and_a_fault_turns_them_round() {
    let world = World::start().await;
    world.state.inbound(text("hi")).unwrap();
    let names = |id: &str| {
        let of: Vec<_> = world.receiver.statuses().into_iter().filter(|(found, _)| found == id).collect();
        of.into_iter().map(|(_, status)| status).collect::<Vec<_>>()
    };
    let id = world.send_text("+44 7700 900001", "hello").await;
    until("three statuses", || (names(&id).len() == 3).then_some(())).await;
    assert_eq!(names(&id), ["sent", "delivered", "read"]);
    let row = &world.state.sent()[0];
    assert_eq!((&row["id"], &row["text"], &row["reference"]), (&json!(id), &json!("hello"), &json!("pb1:c:t")));
    assert_eq!(row["status"], "read");
    let status = world.receiver.all("whatsapp").pop().unwrap().json();
    let value = &status["entry"][0]["changes"][0]["value"];
    assert_eq!(value["statuses"][0]["biz_opaque_callback_data"], "pb1:c:t");
    assert_eq!(value["statuses"][0]["recipient_id"], ADA);
    assert!(value["contacts"][0].get("profile").is_none());

    world.fault(json!({"target": "webhooks", "order": "reversed", "next": 1})).await;
    let id = world.send_text(ADA, "second").await;
    until("three statuses", || (names(&id).len() == 3).then_some(())).await;
    assert_eq!(names(&id), ["read", "delivered", "sent"]);

    world.fault(json!({"target": "webhooks", "kind": "statuses", "duplicate": 1, "next": 1})).await;
    let id = world.send_text(ADA, "third").await;
    until("four statuses", || (names(&id).len() == 4).then_some(())).await;
    assert_eq!(names(&id), ["sent", "sent", "delivered", "read"]);
}

#[tokio::test]
async fn what_cannot_arrive_fails_with_metas_code() {
    let world = World::start().await;
    world.state.set_customer(&json!({"phone": "447700900002", "reachable": false})).unwrap();
    for (to, code) in [(ADA, 131_047), ("447700900002", 131_026)] {
        let id = world.send_text(to, "anybody?").await;
        let status = until("failed", || {
            world.receiver.all("whatsapp").iter().map(|arrived| arrived.json()).find_map(|body| {
                let value = body["entry"][0]["changes"][0]["value"].clone();
                (value["statuses"][0]["id"] == id.as_str()).then_some(value)
            })
        })
        .await;
        assert_eq!(status["statuses"][0]["status"], "failed");
        assert_eq!(status["statuses"][0]["errors"][0]["code"], code);
        assert!(status.get("contacts").is_none());
    }
    let wrong = json!({"messaging_product": "whatsapp", "to": "GB.4711", "type": "text", "text": {"body": "lost"}});
    assert_eq!(world.send(wrong).await.status(), 200);
    assert_eq!(world.state.sent().last().unwrap()["status"], "accepted");
}

#[tokio::test]
async fn tokens_and_objects_are_checked() {
    let world = World::start().await;
    let body = json!({"messaging_product": "whatsapp", "to": ADA, "type": "text", "text": {"body": "a"}});
    let url = world.graph("106540352242922/messages");
    let wrong = world.http.post(&url).bearer_auth("other").json(&body).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let error: Value = wrong.json().await.unwrap();
    assert_eq!(error["error"]["code"], 190);
    assert_eq!(error["error"]["type"], "OAuthException");
    assert!(error["error"]["fbtrace_id"].is_string());
    assert_eq!(world.http.post(&url).json(&body).send().await.unwrap().status(), 401);
    let other = world.http.post(world.graph("1/messages")).bearer_auth(TOKEN).json(&body).send().await.unwrap();
    let error: Value = other.json().await.unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["error_subcode"]), (&json!(100), &json!(33)));
    let long = json!({"messaging_product": "whatsapp", "to": ADA, "type": "text", "text": {"body": "x".repeat(4097)}});
    let error: Value = world.send(long).await.json().await.unwrap();
    assert_eq!(error["error"]["code"], 100);
    assert!(error["error"]["error_data"]["details"].is_string());
}

#[tokio::test]
async fn read_marks_colour_the_ticks_of_all_earlier_messages() {
    let world = World::start().await;
    let ids: Vec<String> = ["one", "two"].iter().flat_map(|body| world.state.inbound(text(body)).unwrap()).collect();
    let states = || {
        let chats = world.state.chats();
        let messages = chats[0]["messages"].as_array().unwrap().clone();
        messages.iter().map(|item| item["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("two ticks", || (states() == ["delivered", "delivered"]).then_some(())).await;
    let mark = json!({"messaging_product": "whatsapp", "status": "read", "message_id": ids[1],
        "typing_indicator": {"type": "text"}});
    let answer: Value = world.send(mark).await.json().await.unwrap();
    assert_eq!(answer, json!({"success": true}));
    assert_eq!(states(), ["read", "read"]);
    let unknown = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.nothing"});
    assert_eq!(world.send(unknown).await.status(), 400);
}

#[tokio::test]
async fn media_addresses_need_the_token_and_expire() {
    let world = World::start().await;
    let form = reqwest::multipart::Form::new().text("from", ADA).text("caption", "the receipt").part(
        "file",
        reqwest::multipart::Part::bytes(b"not really a picture".to_vec())
            .file_name("receipt.jpg")
            .mime_str("image/jpeg")
            .unwrap(),
    );
    world.http.post(world.sim("whatsapp/inbound?wait=1")).multipart(form).send().await.unwrap();
    let message = world.receiver.all("whatsapp")[0].json()["entry"][0]["changes"][0]["value"]["messages"][0].clone();
    assert_eq!(message["type"], "image");
    assert_eq!(message["image"]["caption"], "the receipt");
    let id = message["image"]["id"].as_str().unwrap();
    let described = async || -> Value {
        world.http.get(world.graph(id)).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap()
    };
    let media = described().await;
    assert_eq!(media["mime_type"], "image/jpeg");
    let url = media["url"].as_str().unwrap();
    assert_eq!(world.http.get(url).send().await.unwrap().status(), 401);
    let content = world.http.get(url).bearer_auth(TOKEN).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(content.as_ref(), b"not really a picture");
    world.fault(json!({"target": "whatsapp", "media_url_lifetime_ms": 0})).await;
    assert_eq!(world.http.get(url).bearer_auth(TOKEN).send().await.unwrap().status(), 404);
    world.http.delete(world.sim("faults")).send().await.unwrap();
    let fresh = described().await;
    let url = fresh["url"].as_str().unwrap();
    assert_eq!(world.http.get(url).bearer_auth(TOKEN).send().await.unwrap().status(), 200);

    let form = reqwest::multipart::Form::new().text("messaging_product", "whatsapp").part(
        "file",
        reqwest::multipart::Part::bytes(b"%PDF-".to_vec()).file_name("a.pdf").mime_str("application/pdf").unwrap(),
    );
    let upload = world.http.post(world.graph("106540352242922/media")).bearer_auth(TOKEN).multipart(form);
    let uploaded: Value = upload.send().await.unwrap().json().await.unwrap();
    let send = |id: Value| {
        world.send(json!({"messaging_product": "whatsapp", "to": ADA, "type": "document",
            "document": {"id": id, "filename": "a.pdf"}}))
    };
    assert_eq!(send(uploaded["id"].clone()).await.status(), 200);
    assert_eq!(send(json!("4711")).await.status(), 400);
}

#[tokio::test]
async fn faults_answer_break_off_and_hang() {
    let world = World::start().await;
    world.state.inbound(text("hi")).unwrap();
    world
        .fault(json!({"target": "whatsapp", "route": "POST /*/messages", "next": 1, "answer": 429, "retry_after": 7}))
        .await;
    let body = json!({"messaging_product": "whatsapp", "to": ADA, "type": "text", "text": {"body": "a"}});
    let answer = world.send(body.clone()).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], 130_429);
    assert!(world.state.sent().is_empty());

    world.fault(json!({"target": "whatsapp", "next": 1, "code": 131_047})).await;
    let answer = world.send(body.clone()).await;
    assert_eq!(answer.status(), 400);

    world.fault(json!({"target": "whatsapp", "next": 1, "drop_after_commit": true})).await;
    let request = world.http.post(world.graph("106540352242922/messages")).bearer_auth(TOKEN).json(&body);
    request.send().await.unwrap_err();
    assert_eq!(world.state.sent().len(), 1, "it was carried out, only the answer was lost");

    world.fault(json!({"target": "whatsapp", "next": 1, "hang": true})).await;
    let hanging =
        tokio::spawn(world.http.post(world.graph("106540352242922/messages")).bearer_auth(TOKEN).json(&body).send());
    until("the fault strikes", || {
        let sim = world.state.clone();
        (sim.sent().len() == 1).then_some(())
    })
    .await;
    let struck = async || {
        let faults: Vec<Value> = world.http.get(world.sim("faults")).send().await.unwrap().json().await.unwrap();
        faults.last().unwrap()["hits"] == 1
    };
    while !struck().await {
        tokio::task::yield_now().await;
    }
    assert!(!hanging.is_finished());
    world.http.post(world.sim("reset")).send().await.unwrap();
    hanging.await.unwrap().unwrap_err();
    assert!(world.state.sent().is_empty());
    let wrong =
        world.http.post(world.sim("faults")).json(&json!({"target": "whatsapp", "anser": 5})).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
}

#[tokio::test]
async fn a_request_that_breaks_metas_description_is_refused_and_recorded() {
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/specs/whatsapp-business-messaging-v23.yaml");
    let world = World::with(|options| options.graph_spec = Some(spec.into())).await;
    world.state.inbound(text("hi")).unwrap();
    world.send_text(ADA, "fine").await;
    assert!(world.state.violations().is_empty());
    let slip =
        json!({"messaging_product": "whatsapp", "to": ADA, "type": "text", "text": {"body": "a"}, "refernce": "x"});
    let answer = world.send(slip).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], 100);
    let violations: Vec<Value> = world.http.get(world.sim("violations")).send().await.unwrap().json().await.unwrap();
    assert_eq!(violations.len(), 1);
    assert!(violations[0]["problems"][0].as_str().unwrap().contains("refernce"), "{violations:?}");
}

#[tokio::test]
async fn odd_bodies_are_signed_as_they_are_and_the_pages_are_there() {
    let world = World::start().await;
    let answer: Value = world
        .http
        .post(world.sim("whatsapp/webhook?wait=1"))
        .body("{ not json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["status"], 200);
    assert_eq!(world.receiver.all("whatsapp")[0].body.as_ref(), b"{ not json");
    for path in [
        "",
        "phone",
        "desk",
        "assets/phone.js",
        "assets/bubbles.js",
        "assets/phone.css",
        "assets/desk.js",
        "assets/icon.svg",
    ] {
        let page = world.http.get(format!("{}/{path}", world.simulator.url())).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        assert!(page.text().await.unwrap().len() > 100, "{path}");
    }
    world.simulator.stop().await;
}

#[tokio::test]
async fn webhooks_that_wait_go_to_the_new_address_at_once() {
    let world = World::with(|options| options.whatsapp.retry_base = std::time::Duration::from_secs(3600)).await;
    let hooks = world.receiver_url();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    world.simulator.set_webhooks(closed.clone(), closed);
    world.state.inbound(text("anybody there?")).unwrap();
    // Answered by nobody, so that the handshake is tried again in an hour.
    world.simulator.set_webhooks(format!("{hooks}/webhooks/whatsapp"), format!("{hooks}/webhooks/desk/zendesk"));
    until("the webhook", || world.receiver.all("whatsapp").pop()).await;
}

#[tokio::test]
async fn the_pages_hear_what_happens() {
    use futures::StreamExt as _;
    let world = World::start().await;
    let answer = world.http.get(world.sim("events")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.bytes_stream();
    let id = world.state.inbound(text("hi")).unwrap().remove(0);
    let mark = json!({"messaging_product": "whatsapp", "status": "read", "message_id": id,
        "typing_indicator": {"type": "text"}});
    world.send(mark).await;
    let mut heard = String::new();
    while !heard.contains("\"kind\":\"typing\"") {
        heard.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(heard.contains(&id), "{heard}");
    world.simulator.stop().await;
    // The stream ends with the simulator, so that stopping does not wait for open pages.
    while let Some(Ok(_)) = stream.next().await {}
}

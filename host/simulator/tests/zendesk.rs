//! The ticket system: tickets, idempotency, echoes, files, faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{World, until};

async fn customer(world: &World) -> u64 {
    let user = json!({"user": {"name": "Ada Brooks", "phone": "+447700900001", "external_id": "customer-1"}});
    let answer = world.call("POST", "users/create_or_update", Some(user)).await;
    answer.json::<Value>().await.unwrap()["user"]["id"].as_u64().unwrap()
}

fn ticket(requester: u64, body: &str) -> Value {
    json!({"ticket": {"subject": "Broken kettle", "requester_id": requester, "external_id": "key-1",
        "comment": {"body": body, "public": true, "author_id": requester}, "tags": ["queue:returns", "Two Words"],
        "priority": "high", "metadata": {"custom": {"patchbay_key": "key-1"}}}})
}

#[tokio::test]
async fn one_customer_stays_one_user() {
    let world = World::start().await;
    let first =
        world.call("POST", "users/create_or_update", Some(json!({"user": {"name": "A", "external_id": "c"}}))).await;
    assert_eq!(first.status(), 201);
    let again = world
        .call("POST", "users/create_or_update.json", Some(json!({"user": {"name": "Ada", "external_id": "c"}})))
        .await;
    assert_eq!(again.status(), 200);
    let (first, again): (Value, Value) = (first.json().await.unwrap(), again.json().await.unwrap());
    assert_eq!(first["user"]["id"], again["user"]["id"]);
    assert_eq!(again["user"]["name"], "Ada");
    let nameless = world.call("POST", "users/create_or_update", Some(json!({"user": {"phone": "+44"}}))).await;
    assert_eq!(nameless.status(), 422);
    let stranger = world.http.get(world.zendesk("users/me")).basic_auth("x", Some("y")).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert_eq!(stranger.json::<Value>().await.unwrap(), json!({"error": "Couldn't authenticate you"}));
}

#[tokio::test]
async fn one_idempotency_key_makes_one_ticket() {
    let world = World::start().await;
    let ada = customer(&world).await;
    let post = async |body: Value| world.try_call("POST", "tickets", Some(body), Some("key-1")).await;
    world
        .fault(json!({"target": "zendesk", "route": "POST /api/v2/tickets", "next": 1, "drop_after_commit": true}))
        .await;
    post(ticket(ada, "It leaks")).await.unwrap_err();
    let hit = post(ticket(ada, "It leaks")).await.unwrap();
    assert_eq!((hit.status().as_u16(), hit.headers()["x-idempotency-lookup"].to_str().unwrap()), (201, "hit"));
    let made: Value = hit.json().await.unwrap();
    assert_eq!(made["audit"]["metadata"]["custom"]["patchbay_key"], "key-1");
    assert_eq!(made["audit"]["events"][0]["type"], "Comment");
    let other = post(ticket(ada, "Something else")).await.unwrap();
    assert_eq!(other.status(), 400);
    assert_eq!(other.json::<Value>().await.unwrap()["error"], "IdempotentRequestError");
    let tickets = world.state.tickets("zendesk").unwrap();
    assert_eq!(tickets.len(), 1);
    let shown = &tickets[0];
    assert_eq!(shown["queue"], "returns");
    assert_eq!(shown["tags"], json!(["queue:returns", "two_words"]));
    assert_eq!(shown["requester"], json!({"name": "Ada Brooks", "phone": "+447700900001"}));
    let entry = &shown["entries"][0];
    assert_eq!(
        (&entry["text"], &entry["author_role"], &entry["key"], &entry["public"]),
        (&json!("It leaks"), &json!("customer"), &json!("key-1"), &json!(true))
    );
    let second = world.try_call("POST", "tickets", Some(ticket(ada, "It leaks")), Some("key-2")).await.unwrap();
    assert_eq!(second.headers()["x-idempotency-lookup"], "miss");
    assert_eq!(world.state.tickets("zendesk").unwrap().len(), 2, "an external id is not unique");
}

#[tokio::test]
async fn every_comment_is_told_with_a_signature_also_our_own() {
    let world = World::start().await;
    let ada = customer(&world).await;
    world.call("POST", "tickets", Some(ticket(ada, "It leaks"))).await;
    let comments = || {
        let all = world.receiver.all("zendesk");
        all.into_iter()
            .filter(|arrived| arrived.json()["type"] == "zen:event-type:ticket.comment_added")
            .collect::<Vec<_>>()
    };
    let echo = until("the echo of our own comment", || comments().pop()).await;
    let body = echo.json();
    assert_eq!(body["event"]["comment"]["author"]["is_staff"], false);
    assert_eq!(body["event"]["comment"]["author"]["id"], ada.to_string());
    assert_eq!(body["detail"]["requester_id"], ada.to_string());
    assert_eq!((&body["subject"], &body["detail"]["id"]), (&json!("zen:ticket:1"), &json!("1")));
    let at = echo.headers["x-zendesk-webhook-signature-timestamp"].to_str().unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"simulated-zendesk-webhook-secret").unwrap();
    mac.update(at.as_bytes());
    mac.update(&echo.body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(echo.headers["x-zendesk-webhook-signature"], signature.as_str());
    assert_eq!(echo.headers["x-zendesk-account-id"], "21000001");

    let file = STANDARD.encode(b"a label");
    let reply = json!({"ticket": "1", "public": true, "text": "Send it back, please.", "status": "solved",
        "attachments": [{"name": "label.txt", "mime": "text/plain", "base64": file}]});
    let answer = world.http.post(world.sim("desks/zendesk/reply")).json(&reply).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    until("the agent's comment and the new status", || (world.receiver.all("zendesk").len() == 3).then_some(())).await;
    let told: Vec<Value> = world.receiver.all("zendesk").iter().map(|arrived| arrived.json()).collect();
    assert_eq!(told[1]["event"]["comment"]["author"]["is_staff"], true);
    assert_eq!(told[1]["event"]["comment"]["body"], "Send it back, please.");
    let url = told[1]["event"]["comment"]["attachments"][0]["content_url"].as_str().unwrap();
    assert_eq!(world.http.get(url).send().await.unwrap().text().await.unwrap(), "a label");
    assert_eq!(told[2]["type"], "zen:event-type:ticket.status_changed");
    assert_eq!(told[2]["event"], json!({"current": "SOLVED", "previous": "NEW"}));
}

#[tokio::test]
async fn webhooks_are_repeated_only_where_zendesk_would() {
    let world = World::start().await;
    let ada = customer(&world).await;
    world.receiver.answers.lock().unwrap().extend([409, 409]);
    world.call("POST", "tickets", Some(ticket(ada, "one"))).await;
    until("third time", || (world.receiver.all("zendesk").len() == 3).then_some(())).await;
    world.receiver.answers.lock().unwrap().push_back(500);
    world.call("POST", "tickets", Some(ticket(ada, "two"))).await;
    until("given up", || world.state.deliveries().into_iter().find(|delivery| delivery["state"] == "given-up")).await;
    assert_eq!(world.receiver.all("zendesk").len(), 4);
    world.fault(json!({"target": "webhooks", "route": "POST /webhooks/desk", "stale_seconds": 600, "next": 1})).await;
    world.call("POST", "tickets", Some(ticket(ada, "three"))).await;
    let late = until("a stale webhook", || world.receiver.all("zendesk").get(4).cloned()).await;
    let at: jiff::Timestamp = late.headers["x-zendesk-webhook-signature-timestamp"].to_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(at).as_secs() >= 600);
}

#[tokio::test]
async fn changes_follow_zendesks_rules() {
    let world = World::start().await;
    let ada = customer(&world).await;
    world.call("POST", "tickets", Some(ticket(ada, "It leaks"))).await;
    let note = json!({"ticket": {"comment": {"body": "checked", "public": false},
        "metadata": {"custom": {"patchbay_key": "key-2"}}, "status": "pending"}});
    let answer: Value = world.call("PUT", "tickets/1", Some(note)).await.json().await.unwrap();
    assert_eq!(answer["ticket"]["status"], "pending");
    let audits: Value =
        world.call("GET", "tickets/1/audits?page[size]=1&sort=-created_at", None).await.json().await.unwrap();
    assert_eq!(audits["audits"][0]["metadata"]["custom"]["patchbay_key"], "key-2");
    assert_eq!(audits["audits"][0]["events"][0]["public"], false);
    assert_eq!(audits["meta"]["has_more"], true);
    let next = audits["links"]["next"].as_str().unwrap();
    let older = world.http.get(next).basic_auth("agent@example.com/token", Some("simulated-zendesk-token"));
    let older: Value = older.send().await.unwrap().json().await.unwrap();
    assert_eq!(older["audits"][0]["metadata"]["custom"]["patchbay_key"], "key-1", "the next page is older");
    assert_eq!(older["meta"]["has_more"], false);
    let comments: Value = world.call("GET", "tickets/1/comments", None).await.json().await.unwrap();
    assert_eq!(comments["count"], 2);
    let stale = json!({"ticket": {"status": "open", "safe_update": true, "updated_stamp": "2020-01-01T00:00:00Z"}});
    assert_eq!(world.call("PUT", "tickets/1", Some(stale)).await.status(), 409);
    let wrong = json!({"ticket": {"status": "finished"}});
    let wrong = world.call("PUT", "tickets/1", Some(wrong)).await;
    assert_eq!(wrong.status(), 422);
    assert!(wrong.json::<Value>().await.unwrap()["details"]["status"][0]["description"].is_string());
    world.call("PUT", "tickets/1", Some(json!({"ticket": {"status": "closed"}}))).await;
    let late = world.call("PUT", "tickets/1", Some(json!({"ticket": {"comment": {"body": "hello?"}}}))).await;
    assert_eq!(late.status(), 422);
    let follow = json!({"ticket": {"via_followup_source_id": 1, "requester_id": ada, "comment": {"body": "hello?"}}});
    assert_eq!(world.call("POST", "tickets", Some(follow)).await.status(), 201);
    assert_eq!(world.call("GET", "tickets/77", None).await.status(), 404);
    assert!(
        world
            .http
            .post(world.sim("desks/zendesk/reply"))
            .json(&json!({"ticket": "1", "text": "x"}))
            .send()
            .await
            .unwrap()
            .status()
            .is_client_error()
    );
}

#[tokio::test]
async fn searches_lag_behind_when_told_to() {
    let world = World::start().await;
    let ada = customer(&world).await;
    world.fault(json!({"target": "zendesk", "lag_search_ms": 3_600_000})).await;
    world.call("POST", "tickets", Some(ticket(ada, "It leaks"))).await;
    let found = async |path: &str, list: &str| {
        let answer: Value = world.call("GET", path, None).await.json().await.unwrap();
        answer[list].as_array().unwrap().len()
    };
    assert_eq!(found("tickets?external_id=key-1", "tickets").await, 0);
    assert_eq!(found("search?query=type:ticket%20external_id:key-1", "results").await, 0);
    assert_eq!(world.call("GET", "tickets/1", None).await.status(), 200, "the ticket itself is there");
    world.http.delete(world.sim("faults")).send().await.unwrap();
    assert_eq!(found("tickets?external_id=key-1", "tickets").await, 1);
    assert_eq!(found("tickets?external_id=key-9", "tickets").await, 0);
    assert_eq!(found("search?query=type:ticket%20external_id:key-1", "results").await, 1);
}

#[tokio::test]
async fn files_are_uploaded_chained_and_kept() {
    let world = World::start().await;
    let ada = customer(&world).await;
    let upload = async |query: &str, content: &'static [u8]| -> Value {
        let request = world.http.post(world.zendesk(&format!("uploads?{query}"))).header("content-type", "image/png");
        let request = request.basic_auth("agent@example.com/token", Some("simulated-zendesk-token")).body(content);
        request.send().await.unwrap().json().await.unwrap()
    };
    let first = upload("filename=a.png", b"first").await;
    let token = first["upload"]["token"].as_str().unwrap();
    let both = upload(&format!("filename=b.png&token={token}"), b"second").await;
    assert_eq!(both["upload"]["attachments"].as_array().unwrap().len(), 2);
    let mut body = ticket(ada, "two pictures");
    body["ticket"]["comment"]["uploads"] = json!([token]);
    assert_eq!(world.call("POST", "tickets", Some(body.clone())).await.status(), 201);
    let files = world.state.tickets("zendesk").unwrap()[0]["entries"][0]["attachments"].clone();
    assert_eq!(files.as_array().unwrap().len(), 2);
    assert_eq!(
        (&files[1]["name"], &files[1]["mime"], &files[1]["size"]),
        (&json!("b.png"), &json!("image/png"), &json!(6))
    );
    let content = world.http.get(files[1]["url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(content.as_ref(), b"second");
    assert_eq!(world.call("POST", "tickets", Some(body)).await.status(), 422, "a token is good for one comment");
    let unused = upload("filename=c.png", b"third").await;
    let token = unused["upload"]["token"].as_str().unwrap();
    assert_eq!(world.call("DELETE", &format!("uploads/{token}"), None).await.status(), 204);
}

#[tokio::test]
async fn limits_are_shown_and_enforced_when_set() {
    let world = World::with(|options| options.zendesk.requests_per_minute = Some(2)).await;
    let statuses = [
        world.call("GET", "users/me", None).await,
        world.call("GET", "users/me", None).await,
        world.call("GET", "users/me", None).await,
        world.call("GET", "users/me", None).await,
        world.call("GET", "users/me", None).await,
    ];
    assert_eq!(statuses[0].headers()["x-rate-limit"], "2");
    // A minute may turn over once in between.
    let refused: Vec<_> = statuses.into_iter().filter(|answer| answer.status() == 429).collect();
    assert!(!refused.is_empty());
    assert!(refused[0].headers().contains_key("retry-after"));
    let world = World::start().await;
    world
        .fault(json!({"target": "zendesk", "route": "GET /api/v2/users", "answer": 429, "next": 1, "retry_after": 2,
        "body": "Rate limit exceeded"}))
        .await;
    let plain = world.call("GET", "users/me", None).await;
    assert_eq!((plain.status().as_u16(), plain.text().await.unwrap()), (429, "Rate limit exceeded".to_owned()));
}

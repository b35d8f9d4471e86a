use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchbay_plugin::testing::{FakeHost, FakeHttp, NOW, hmac_sha256};
use patchbay_plugin::{Activity, AgentEntry, Desk, DeskActivity, Failure, Notice, Period, RemoteFile, Webhook};
use serde_json::{Value, json};

use super::given;
use crate::Zendesk;

const STAMP: &str = "2026-11-21T10:00:00Z";

fn signed(body: &str, stamp: &str) -> Webhook {
    let signature = hmac_sha256(b"secret", format!("{stamp}{body}").as_bytes());
    Webhook {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers: vec![
            ("x-zendesk-webhook-signature".into(), BASE64_STANDARD.encode(signature)),
            ("x-zendesk-webhook-signature-timestamp".into(), stamp.into()),
        ],
        body: body.into(),
    }
}

fn happened(kind: &str, event: &Value) -> String {
    json!({
        "account_id": 1,
        "detail": { "id": "7", "requester_id": "50", "external_id": "key-1", "status": "OPEN" },
        "event": event,
        "id": "e-1",
        "subject": "zen:ticket:7",
        "time": "2026-11-21T09:59:58.123456789Z",
        "type": format!("zen:event-type:{kind}"),
        "zendesk_event_version": "2022-11-06",
    })
    .to_string()
}

fn comment(id: u64, author: u64, is_staff: bool, attachments: &Value) -> Value {
    let mut comment = json!({
        "id": id,
        "body": "We are on it",
        "is_public": true,
        "author": { "id": author, "is_staff": is_staff, "name": "Grace" },
    });
    if !attachments.is_null() {
        comment["attachments"] = attachments.clone();
    }
    json!({ "comment": comment })
}

fn receive(host: FakeHost, body: &str) -> Result<Vec<DeskActivity>, Failure> {
    let host = host.secret("webhook", "secret");
    let result = Zendesk::receive(&given(), &signed(body, STAMP), &host.context());
    host.finish();
    result
}

fn what(kind: &str, event: &Value) -> Option<Activity> {
    receive(FakeHost::new(), &happened(kind, event)).unwrap().pop().map(|activity| activity.what)
}

fn entry(attachments: Vec<RemoteFile>) -> AgentEntry {
    AgentEntry { id: "61".into(), public: true, author: "Grace".into(), text: "We are on it".into(), attachments }
}

fn file() -> RemoteFile {
    RemoteFile {
        name: "a.pdf".into(),
        mime: "application/pdf".into(),
        url: "https://acme.example/attachments/token/a".into(),
        size: Some(12),
    }
}

#[test]
fn an_agents_comment_is_an_entry() {
    let attachments = json!([{
        "filename": "a.pdf", "content_type": "application/pdf", "size": 12,
        "content_url": "https://acme.example/attachments/token/a",
    }]);
    let body = happened("ticket.comment_added", &comment(61, 60, true, &attachments));
    let activity = receive(FakeHost::new(), &body).unwrap();
    assert_eq!(
        activity,
        [DeskActivity {
            id: "e-1".into(),
            desk: String::new(),
            ticket: "7".into(),
            key: Some("key-1".into()),
            occurred_at: NOW - 1877,
            what: Activity::Entry(entry(vec![file()])),
        }]
    );
}

#[test]
fn files_that_the_webhook_leaves_out_are_looked_up() {
    let body = happened("ticket.comment_added", &comment(61, 60, true, &Value::Null));
    let api_file = json!({
        "file_name": "a.pdf", "content_type": "application/pdf", "size": 12,
        "content_url": "https://acme.example/attachments/token/a",
    });
    let comments =
        json!({ "comments": [{ "id": 62 }, { "id": 61, "body": "We are on it", "attachments": [api_file] }] });
    for (http, attachments) in [
        (FakeHttp::new().expect("GET", "/api/v2/tickets/7/comments").answer(200, comments), vec![file()]),
        // The words count more than the files.
        (FakeHttp::new().expect("GET", "/api/v2/tickets/7/comments").answer_with(503, &[], "down"), Vec::new()),
        (FakeHttp::new().expect("GET", "/api/v2/tickets/7/comments").answer_with(404, &[], ""), Vec::new()),
        (FakeHttp::new().expect("GET", "/api/v2/tickets/7/comments").answer_with(200, &[], "<html>"), Vec::new()),
        (FakeHttp::new().expect("GET", "/api/v2/tickets/7/comments").break_off("no whole answer"), Vec::new()),
    ] {
        let host = FakeHost::new().http(http);
        let activity = receive(host.clone(), &body).unwrap().pop().unwrap();
        assert_eq!(activity.what, Activity::Entry(entry(attachments)));
        // The gateway waits four seconds for the whole call.
        assert_eq!(host.requests()[0].timeout, Some(Period::from_millis(1500)));
    }
}

#[test]
fn what_the_customer_and_the_gateway_wrote_is_no_news() {
    for (author, is_staff) in [(51, false), (50, true), (900, true)] {
        assert_eq!(what("ticket.comment_added", &comment(61, author, is_staff, &json!([]))), None, "{author}");
    }
}

#[test]
fn changes_are_told_in_the_contracts_words() {
    let data = json!({ "current": "HIGH", "previous": null });
    for (kind, event, expected) in [
        (
            "ticket.status_changed",
            json!({ "current": "SOLVED", "previous": "OPEN" }),
            Activity::Status("solved".into()),
        ),
        ("ticket.status_changed", json!({ "current": "HOLD" }), Activity::Status("on-hold".into())),
        ("ticket.group_assignment_changed", json!({ "current": "11" }), Activity::Assigned("billing".into())),
        ("ticket.group_assignment_changed", json!({ "current": 12 }), Activity::Assigned("group 12".into())),
        ("ticket.merged", json!({ "target_ticket_id": "9" }), Activity::MergedInto("9".into())),
        (
            "ticket.priority_changed",
            data.clone(),
            Activity::Other(Notice { kind: "ticket.priority_changed".into(), data: data.to_string() }),
        ),
    ] {
        assert_eq!(what(kind, &event), Some(expected), "{kind}");
    }
    assert_eq!(what("user.created", &json!({})), None);
    assert_eq!(receive(FakeHost::new(), "").unwrap(), []);
}

#[test]
fn what_is_not_signed_is_refused() {
    let body = happened("ticket.status_changed", &json!({ "current": "OPEN" }));
    let host = FakeHost::new().secret("webhook", "secret");
    let reason = |request: &Webhook| match Zendesk::receive(&given(), request, &host.context()) {
        Err(Failure::Credential(reason)) => reason,
        other => panic!("{other:?}"),
    };

    let mut other_body = signed(&body, STAMP);
    other_body.body.push(b' ');
    assert_eq!(reason(&other_body), "the webhook's signature is wrong");

    let mut unsigned = signed(&body, STAMP);
    unsigned.headers.remove(0);
    assert_eq!(reason(&unsigned), "the webhook has no x-zendesk-webhook-signature header");

    let mut garbage = signed(&body, STAMP);
    garbage.headers[0].1 = "??".into();
    assert_eq!(reason(&garbage), "the webhook's signature is no base64");

    for stamp in ["2026-11-21T10:05:01Z", "2026-11-21T09:54:59Z"] {
        assert!(reason(&signed(&body, stamp)).contains("not within 5 minutes"));
    }
    assert_eq!(reason(&signed(&body, "now")), "the webhook's signature has no readable time");
    assert!(Zendesk::receive(&given(), &signed(&body, "2026-11-21T10:04:59Z"), &host.context()).is_ok());
}

#[test]
fn a_body_that_is_no_event_stays_wrong() {
    for body in ["hello", "{}", r#"{"id":1}"#, r#"{"id":1,"type":"zen:event-type:ticket.merged","detail":{}}"#] {
        let failure = receive(FakeHost::new(), body).unwrap_err();
        assert!(matches!(failure, Failure::Permanent(_)), "{failure:?}");
    }
}

#[test]
fn a_secret_that_is_not_bound_is_said() {
    let request = signed("", STAMP);
    let failure = Zendesk::receive(&given(), &request, &FakeHost::new().context()).unwrap_err();
    assert_eq!(failure, Failure::permanent("secret `webhook`: no secret of this name is bound"));
}

use patchbay_plugin::testing::{FakeHost, FakeHttp};
use patchbay_plugin::{Added, Desk, Snapshot, Ticket};
use serde_json::json;

use super::{given, known};
use crate::Zendesk;

#[test]
fn a_ticket_is_found_by_its_key() {
    for (tickets, found) in
        [(json!([]), None), (json!([{ "id": 7, "status": "hold", "requester_id": 50 }, { "id": 9 }]), Some("on-hold"))]
    {
        let http = FakeHttp::new()
            .expect("GET", "/api/v2/tickets?external_id=key%201")
            .answer(200, json!({ "tickets": tickets }));
        let host = FakeHost::new().http(http);
        let added = Zendesk::find_ticket(&given(), "key 1", &host.context()).unwrap();
        assert_eq!(
            added.map(|added| added.ticket),
            found.map(|status| Ticket { desk: String::new(), ..known(status) })
        );
        host.finish();
    }
}

#[test]
fn an_entry_is_found_by_its_key_on_a_later_page() {
    let audit = |key: &str, comment: u64| {
        json!({
            "metadata": { "custom": { "patchbay_key": key }, "system": {} },
            "events": [{ "id": 1, "type": "Change" }, { "id": comment, "type": "Comment" }],
        })
    };
    let second = "https://acme.example/api/v2/tickets/7/audits?page=2";
    let http = FakeHttp::new()
        .expect("GET", "/api/v2/tickets/7/audits")
        .answer(200, json!({ "audits": [{ "events": [] }, audit("other", 60)], "next_page": second }))
        .expect("GET", "/api/v2/tickets/7/audits?page=2")
        .answer(200, json!({ "audits": [audit("key-2", 41)], "next_page": null }));
    let host = FakeHost::new().http(http);
    let added = Zendesk::find_entry(&given(), "key-2", &known("open"), &host.context()).unwrap();
    assert_eq!(added, Some(Added { entry: Some("41".into()), ticket: known("open") }));
    host.finish();
}

#[test]
fn an_entry_may_be_in_a_follow_up_and_pages_elsewhere_are_not_followed() {
    let http = FakeHttp::new()
        .expect("GET", "/api/v2/tickets/7/audits")
        .answer(200, json!({ "audits": [], "next_page": "https://evil.example/api" }))
        .expect("GET", "/api/v2/tickets?external_id=key-2")
        .answer(200, json!({ "tickets": [{ "id": 8, "status": "new", "requester_id": 50 }] }));
    let host = FakeHost::new().http(http);
    let added = Zendesk::find_entry(&given(), "key-2", &known("closed"), &host.context()).unwrap().unwrap();
    assert_eq!((added.ticket.desk.as_str(), added.ticket.id.as_str()), ("zd", "8"));
    host.finish();
}

#[test]
fn a_ticket_is_read_with_its_comments() {
    let http = FakeHttp::new()
        .expect("GET", "/api/v2/tickets/7")
        .answer(200, json!({ "ticket": { "id": 7, "status": "pending", "requester_id": 50 } }))
        .expect("GET", "/api/v2/tickets/7/comments")
        .answer(200, json!({ "comments": [{ "id": 31, "body": "Hi" }, { "id": 32, "body": "Hello" }] }));
    let host = FakeHost::new().http(http);
    let snapshot = Zendesk::read_ticket(&given(), "7", &host.context()).unwrap();
    assert_eq!(
        snapshot,
        Snapshot {
            ticket: Ticket { desk: String::new(), ..known("pending") },
            entries: vec![("31".into(), "Hi".into()), ("32".into(), "Hello".into())],
        }
    );
    host.finish();
}

use patchbay_plugin::testing::{FakeHost, FakeHttp};
use patchbay_plugin::{Added, Desk, Failure, Level, Snapshot, Ticket};
use serde_json::{Value, json};

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

const NEWEST_AUDITS: &str = "/api/v2/tickets/7/audits?page%5Bsize%5D=100&sort=-created_at";

fn audit(key: &str, comment: u64) -> Value {
    json!({
        "metadata": { "custom": { "patchbay_key": key }, "system": {} },
        "events": [{ "id": 1, "type": "Change" }, { "id": comment, "type": "Comment" }],
    })
}

/// A page of audits, with a link to the page `next`.
fn audits(audits: &[Value], next: u32, has_more: bool) -> Value {
    json!({
        "audits": audits,
        "meta": { "has_more": has_more, "after_cursor": "c" },
        "links": { "prev": null, "next": format!("https://acme.example/api/v2/tickets/7/audits?page%5Bafter%5D={next}") },
    })
}

fn find_entry(http: FakeHttp) -> (Result<Option<Added>, Failure>, FakeHost) {
    let host = FakeHost::new().http(http);
    let found = Zendesk::find_entry(&given(), "key-2", &known("open"), &host.context());
    host.finish();
    (found, host)
}

#[test]
fn an_entry_is_found_by_its_key_on_a_later_page() {
    let mut http = FakeHttp::new()
        .expect("GET", NEWEST_AUDITS)
        .answer(200, audits(&[json!({ "events": [] }), audit("other", 60)], 2, true));
    for page in 2..10 {
        let path = format!("/api/v2/tickets/7/audits?page%5Bafter%5D={page}");
        http = http.expect("GET", &path).answer(200, audits(&[audit("other", 60)], page + 1, true));
    }
    let tenth = "/api/v2/tickets/7/audits?page%5Bafter%5D=10";
    let http = http.expect("GET", tenth).answer(200, audits(&[audit("key-2", 41)], 11, true));
    let (added, host) = find_entry(http);
    assert_eq!(added, Ok(Some(Added { entry: Some("41".into()), ticket: known("open") })));
    assert_eq!(host.logged(), []);
}

#[test]
fn the_last_page_of_audits_ends_the_search() {
    let http = FakeHttp::new()
        .expect("GET", NEWEST_AUDITS)
        .answer(200, audits(&[audit("other", 60)], 2, false))
        .expect("GET", "/api/v2/tickets?external_id=key-2")
        .answer(200, json!({ "tickets": [] }));
    let (added, host) = find_entry(http);
    assert_eq!((added, host.logged()), (Ok(None), Vec::new()));
}

#[test]
fn a_search_that_gives_up_says_so() {
    let mut http = FakeHttp::new().expect("GET", NEWEST_AUDITS).answer(200, audits(&[audit("other", 60)], 2, true));
    for page in 2..11 {
        let path = format!("/api/v2/tickets/7/audits?page%5Bafter%5D={page}");
        http = http.expect("GET", &path).answer(200, audits(&[audit("other", 60)], page + 1, true));
    }
    let http = http.expect("GET", "/api/v2/tickets?external_id=key-2").answer(200, json!({ "tickets": [] }));
    let (added, host) = find_entry(http);
    assert_eq!(added, Ok(None));
    assert_eq!(host.logged(), [(Level::Warn, "ticket 7: key key-2 is not in 1000 of its audits".to_owned())]);
}

#[test]
fn an_entry_may_be_in_the_fresh_ticket_after_a_deleted_one() {
    let http = FakeHttp::new()
        .expect("GET", NEWEST_AUDITS)
        .answer(404, json!({ "error": "RecordNotFound" }))
        .expect("GET", "/api/v2/tickets?external_id=key-2")
        .answer(200, json!({ "tickets": [{ "id": 8, "status": "new", "requester_id": 50 }] }));
    let (added, _) = find_entry(http);
    assert_eq!(added.unwrap().unwrap().ticket.id, "8");
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

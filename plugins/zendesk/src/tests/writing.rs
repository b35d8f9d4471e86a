use patchbay_plugin::testing::{FakeHost, FakeHttp, customer, draft, entry, media};
use patchbay_plugin::{Added, Assignment, Author, Desk, Entry, Failure, MediaKind, Priority};
use serde_json::{Value, json};

use super::{given, known, written};
use crate::Zendesk;

const CLOSED: &str = r#"{"error":"RecordInvalid","description":"Record validation errors",
    "details":{"status":[{"description":"Status: closed prevents ticket update"}]}}"#;

const NOT_FOUND: &str = r#"{"error":"RecordNotFound","description":"Not found"}"#;

/// What Zendesk answers if a user cannot be what they are to be.
fn refused(role: &str) -> Value {
    let mut refused = json!({ "error": "RecordInvalid", "description": "Record validation errors" });
    refused["details"][role] = json!([{ "description": format!("{role}: is invalid") }]);
    refused
}

fn user() -> FakeHttp {
    FakeHttp::new()
        .expect("POST", "/api/v2/users/create_or_update")
        .json(json!({ "user": { "name": "Ada", "phone": "+447700900001", "external_id": "cu_1" } }))
        .answer(201, json!({ "user": { "id": 50 } }))
}

fn said(text: &str) -> Entry {
    entry(Author::Customer(customer()), text)
}

fn add(host: &FakeHost, status: &str, entry: &Entry) -> Result<Added, Failure> {
    Zendesk::add_entry(&given(), "key-2", &known(status), entry, &host.context())
}

#[test]
fn a_ticket_is_created_once_for_a_user() {
    let http = user()
        .expect("POST", "/api/v2/tickets")
        .header("idempotency-key", "key-1")
        .json(json!({ "ticket": {
            "subject": "Where is my invoice?",
            "external_id": "key-1",
            "requester_id": 50,
            "comment": { "body": "Where is my invoice?", "public": true, "author_id": 50, "uploads": null },
            "tags": ["whatsapp", "queue:billing"],
            "group_id": 11,
            "priority": "high",
            "metadata": { "custom": { "patchbay_key": "key-1" } },
        } }))
        .answer(201, written(7, "new", 31));
    let host = FakeHost::new().http(http);
    let mut draft = draft("Where is my invoice?");
    // The gateway has put the conversation's queue and priority there, where the action named none.
    draft.fields = vec![("priority".into(), "high".into()), ("queue".into(), "billing".into())];
    draft.conversation.assignment = Some(Assignment::to("other").priority(Priority::Urgent));
    let added = Zendesk::create_ticket(&given(), "key-1", &draft, &host.context()).unwrap();
    let mut ticket = known("new");
    // The host knows the desk's name.
    ticket.desk = String::new();
    assert_eq!(added, Added { entry: Some("31".into()), ticket });
    host.finish();
}

#[test]
fn what_was_said_before_becomes_one_comment() {
    let http = user()
        .expect("POST", "/api/v2/uploads?filename=image.jpg")
        .header("content-type", "image/jpeg")
        .answer(201, json!({ "upload": { "token": "t1" } }))
        .expect("POST", "/api/v2/tickets")
        .json(json!({ "ticket": { "comment": {
            "body": "Ada: Hello\n\nAcknowledge: Thanks!\n\nAda: [image.jpg]",
            "uploads": ["t1"],
        } } }))
        .answer(201, written(7, "new", 31));
    let host = FakeHost::new().http(http).media("m1", "bytes");
    let mut draft = draft("Hello");
    draft.entries.push(entry(Author::Bot("Acknowledge".into()), "Thanks!"));
    draft.entries.push(Entry { media: vec![media(MediaKind::Image, "image/jpeg")], ..said("") });
    Zendesk::create_ticket(&given(), "key-1", &draft, &host.context()).unwrap();
    assert_eq!(host.requests()[1].body, b"bytes");
    host.finish();
}

#[test]
fn a_number_that_another_user_has_is_left_out() {
    let http = FakeHttp::new()
        .expect("POST", "/api/v2/users/create_or_update")
        .answer(422, json!({ "error": "RecordInvalid" }))
        .expect("POST", "/api/v2/users/create_or_update")
        .json(json!({ "user": { "name": "Ada", "phone": null, "external_id": "cu_1" } }))
        .answer(200, json!({ "user": { "id": 50 } }))
        .expect("POST", "/api/v2/tickets")
        .answer(201, written(7, "new", 31));
    let host = FakeHost::new().http(http);
    Zendesk::create_ticket(&given(), "key-1", &draft("Hi"), &host.context()).unwrap();
    host.finish();
}

#[test]
fn a_key_used_with_other_upload_tokens_means_that_the_ticket_is_there() {
    let http = user()
        .expect("POST", "/api/v2/tickets")
        .answer(400, json!({ "error": "IdempotentRequestError" }))
        .expect("GET", "/api/v2/tickets?external_id=key-1")
        .answer(200, json!({ "tickets": [{ "id": 7, "status": "new", "requester_id": 50 }] }));
    let host = FakeHost::new().http(http).attempt(2);
    let added = Zendesk::create_ticket(&given(), "key-1", &draft("Hi"), &host.context()).unwrap();
    assert_eq!(added.ticket.id, "7");
    host.finish();
}

#[test]
fn entries_are_written_in_the_name_of_who_said_them() {
    for (author, public, status, ticket) in [
        (
            Author::Customer(customer()),
            true,
            "solved",
            json!({ "comment": { "body": "text", "public": true, "author_id": 50 }, "status": "open" }),
        ),
        (
            Author::Customer(customer()),
            true,
            "open",
            json!({ "comment": { "body": "text", "author_id": 50 }, "status": null }),
        ),
        (
            Author::Bot("Router".into()),
            false,
            "solved",
            json!({ "comment": { "body": "Router: text", "public": false, "author_id": null }, "status": null }),
        ),
        (Author::Gateway, false, "open", json!({ "comment": { "body": "text", "public": false } })),
    ] {
        let mut body = json!({ "ticket": ticket });
        body["ticket"]["metadata"] = json!({ "custom": { "patchbay_key": "key-2" } });
        let http = FakeHttp::new().expect("PUT", "/api/v2/tickets/7").json(body).answer(200, written(7, "open", 41));
        let host = FakeHost::new().http(http);
        let added = add(&host, status, &Entry { public, ..entry(author, "text") }).unwrap();
        assert_eq!(added, Added { entry: Some("41".into()), ticket: known("open") });
        host.finish();
    }
}

#[test]
fn a_closed_ticket_gets_a_follow_up() {
    let http = FakeHttp::new()
        .expect("PUT", "/api/v2/tickets/7")
        .answer_with(422, &[], CLOSED)
        .expect("POST", "/api/v2/tickets")
        .header("idempotency-key", "key-2")
        .json(json!({ "ticket": {
            "via_followup_source_id": 7,
            "external_id": "key-2",
            "requester_id": 50,
            "comment": { "body": "Me again", "author_id": 50 },
            "metadata": { "custom": { "patchbay_key": "key-2" } },
        } }))
        .answer(201, written(8, "new", 51));
    let host = FakeHost::new().http(http);
    let added = add(&host, "closed", &said("Me again")).unwrap();
    assert_eq!((added.ticket.id.as_str(), added.ticket.desk.as_str()), ("8", "zd"));
    assert_eq!(added.entry.as_deref(), Some("51"));
    host.finish();
}

#[test]
fn a_deleted_ticket_gets_a_fresh_one() {
    let http = FakeHttp::new()
        .expect("PUT", "/api/v2/tickets/7")
        .answer_with(404, &[], NOT_FOUND)
        .expect("POST", "/api/v2/tickets")
        .header("idempotency-key", "key-2")
        .json(json!({ "ticket": {
            "via_followup_source_id": null,
            "external_id": "key-2",
            "requester_id": 50,
            "comment": { "body": "Me again", "author_id": 50 },
            "tags": ["whatsapp"],
            "metadata": { "custom": { "patchbay_key": "key-2" } },
        } }))
        .answer(201, written(8, "new", 51));
    let host = FakeHost::new().http(http);
    let added = add(&host, "open", &said("Me again")).unwrap();
    assert_eq!((added.ticket.id.as_str(), added.ticket.desk.as_str()), ("8", "zd"));
    assert_eq!(added.entry.as_deref(), Some("51"));
    host.finish();

    // It is the place that is wrong, and not the ticket.
    let http = FakeHttp::new()
        .expect("PUT", "/api/v2/tickets/7")
        .answer_with(404, &[], NOT_FOUND)
        .expect("POST", "/api/v2/tickets")
        .answer_with(404, &[], "nobody here");
    let failure = add(&FakeHost::new().http(http), "open", &said("Me again")).unwrap_err();
    assert_eq!(failure, Failure::permanent("POST acme.example: 404 nobody here"));
}

#[test]
fn a_customer_whose_user_is_gone_gets_another() {
    for (role, requester) in [("author", Value::Null), ("requester", json!(77))] {
        let http = FakeHttp::new()
            .expect("PUT", "/api/v2/tickets/7")
            .json(json!({ "ticket": { "comment": { "author_id": 50 }, "requester_id": null } }))
            .answer(422, refused(role))
            .expect("POST", "/api/v2/users/create_or_update")
            .json(json!({ "user": { "external_id": "cu_1" } }))
            .answer(201, json!({ "user": { "id": 77 } }))
            .expect("PUT", "/api/v2/tickets/7")
            .json(json!({ "ticket": {
                "comment": { "body": "Hi", "author_id": 77 },
                "requester_id": requester,
                "status": "open",
                "metadata": { "custom": { "patchbay_key": "key-2" } },
            } }))
            .answer(200, written(7, "open", 41));
        let host = FakeHost::new().http(http);
        let added = add(&host, "solved", &said("Hi")).unwrap();
        // The ticket may still name the old one: what is kept is who the customer is now.
        assert_eq!(added.ticket.data, [("user".to_owned(), "77".to_owned())]);
        host.finish();
    }
}

#[test]
fn another_user_is_tried_once() {
    let http = FakeHttp::new()
        .expect("PUT", "/api/v2/tickets/7")
        .answer(422, refused("author"))
        .expect("POST", "/api/v2/users/create_or_update")
        .answer(200, json!({ "user": { "id": 50 } }))
        .expect("PUT", "/api/v2/tickets/7")
        .answer(422, refused("author"));
    let host = FakeHost::new().http(http);
    assert!(matches!(add(&host, "open", &said("Hi")), Err(Failure::Permanent(_))));
    host.finish();

    // Nobody knows the customer of an entry that is not theirs.
    let http = FakeHttp::new().expect("PUT", "/api/v2/tickets/7").answer(422, refused("requester"));
    let entry = entry(Author::Bot("Router".into()), "Hi");
    assert!(matches!(add(&FakeHost::new().http(http), "open", &entry), Err(Failure::Permanent(_))));
}

#[test]
fn a_deleted_ticket_of_a_deleted_user_is_no_dead_end() {
    let http = FakeHttp::new()
        .expect("PUT", "/api/v2/tickets/7")
        .answer_with(404, &[], NOT_FOUND)
        .expect("POST", "/api/v2/tickets")
        .answer(422, refused("requester"))
        .expect("POST", "/api/v2/users/create_or_update")
        .answer(201, json!({ "user": { "id": 77 } }))
        .expect("PUT", "/api/v2/tickets/7")
        .answer_with(404, &[], NOT_FOUND)
        .expect("POST", "/api/v2/tickets")
        .json(json!({ "ticket": { "requester_id": 77, "comment": { "author_id": 77 } } }))
        .answer(201, written(8, "new", 51));
    let host = FakeHost::new().http(http);
    assert_eq!(add(&host, "open", &said("Hi")).unwrap().ticket.id, "8");
    host.finish();
}

#[test]
fn a_file_whose_upload_is_not_granted_is_left_out_at_once() {
    let text = "plugin `zendesk` is not granted this path of acme.example; to allow it:\n…";
    let http = FakeHttp::new()
        .expect("POST", "/api/v2/uploads")
        .answer_with(403, &[("x-patchbay-denied", "path")], text)
        .expect("PUT", "/api/v2/tickets/7")
        .answer(200, written(7, "open", 41));
    let host = FakeHost::new().http(http).media("m1", "bytes");
    let entry = Entry { media: vec![media(MediaKind::Video, "video/mp4")], ..said("Look") };
    add(&host, "open", &entry).unwrap();
    let body = host.requests()[1].json()["ticket"]["comment"]["body"].clone();
    assert!(body.as_str().unwrap().starts_with("Look\n[video.mp4: could not be attached: "), "{body}");
    host.finish();
}

#[test]
fn a_file_that_zendesk_refuses_is_named_in_the_comment() {
    let http = FakeHttp::new()
        .expect("POST", "/api/v2/uploads")
        .answer_with(413, &[], "too large")
        .expect("PUT", "/api/v2/tickets/7")
        .answer(200, written(7, "open", 41));
    let host = FakeHost::new().http(http).media("m1", "bytes");
    let entry = Entry { media: vec![media(MediaKind::Video, "video/mp4")], ..said("Look") };
    add(&host, "open", &entry).unwrap();
    assert_eq!(
        host.requests()[1].json()["ticket"]["comment"]["body"],
        "Look\n[video.mp4: could not be attached: POST acme.example: 413 too large]"
    );
}

#[test]
fn words_do_not_wait_for_ever_for_a_file_that_cannot_be_sent() {
    let entry = Entry { media: vec![media(MediaKind::Video, "video/mp4")], ..said("Look") };
    // The host has no such media.
    assert!(matches!(add(&FakeHost::new().attempt(4), "open", &entry), Err(Failure::Retry(_))));
    let http = FakeHttp::new().expect("PUT", "/api/v2/tickets/7").answer(200, written(7, "open", 41));
    let host = FakeHost::new().http(http).attempt(5);
    add(&host, "open", &entry).unwrap();
    let body = host.requests()[0].json()["ticket"]["comment"]["body"].clone();
    assert!(body.as_str().unwrap().starts_with("Look\n[video.mp4: could not be attached"), "{body}");
}

#[test]
fn answers_say_what_to_do_next() {
    let reason = |rest: &str| format!("PUT acme.example: {rest}");
    for (status, headers, body, failure) in [
        (401, [].as_slice(), "no", Failure::credential(reason("401 no"))),
        (403, &[], "", Failure::credential(reason("403"))),
        (
            403,
            &[("x-patchbay-denied", "method")],
            "plugin `zendesk` is not granted the method PUT at acme.example; to allow it:\n…",
            Failure::permanent(reason(
                "not granted (method): plugin `zendesk` is not granted the method PUT at acme.example",
            )),
        ),
        (409, &[], "", Failure::retry(reason("409"))),
        (422, &[], "Record invalid", Failure::permanent(reason("422 Record invalid"))),
        (429, &[("retry-after", "7")], "Too many", Failure::retry_after(7000, reason("429 Too many"))),
        (502, &[], "<html>Bad gateway</html>", Failure::retry(reason("502 <html>Bad gateway</html>"))),
    ] {
        let http = FakeHttp::new().expect("PUT", "/api/v2/tickets/7").answer_with(status, headers, body);
        assert_eq!(add(&FakeHost::new().http(http), "open", &said("Hi")), Err(failure));
    }
    let http = FakeHttp::new().expect("PUT", "/api/v2/tickets/7").break_off("reset");
    assert_eq!(add(&FakeHost::new().http(http), "open", &said("Hi")), Err(Failure::retry(reason("reset"))));
}

#[test]
fn another_queue_is_another_group_and_tag() {
    let fields = [("queue".to_owned(), "billing".to_owned()), ("priority".to_owned(), "urgent".to_owned())];
    let read: Value = json!({ "ticket": {
        "id": 7, "status": "open", "tags": ["vip", "queue:general"], "updated_at": "2026-11-21T09:00:00Z",
    } });
    let http = FakeHttp::new()
        .expect("GET", "/api/v2/tickets/7")
        .answer(200, read)
        .expect("PUT", "/api/v2/tickets/7")
        .json(json!({ "ticket": {
            "group_id": 11,
            "priority": "urgent",
            "tags": ["vip", "queue:billing"],
            "safe_update": true,
            "updated_stamp": "2026-11-21T09:00:00Z",
        } }))
        .answer(200, json!({ "ticket": { "id": 7, "status": "open" } }));
    let host = FakeHost::new().http(http);
    let updated = Zendesk::update_ticket(&given(), "key-3", &known("new"), &fields, &host.context()).unwrap();
    assert_eq!(updated, known("open"));
    host.finish();

    // Nothing that Zendesk has a place for: nothing is asked of it.
    let nothing = [("colour".to_owned(), "red".to_owned())];
    let cx = FakeHost::new().context();
    assert_eq!(Zendesk::update_ticket(&given(), "key-3", &known("new"), &nothing, &cx).unwrap(), known("new"));
}

//! What was written elsewhere, and what the platform tells of the conversation.

use patchbay_model::desk::{Author, Entry};
use patchbay_model::event::{Call, Handover, IdentityChange, IdentityChanged, Overheard, Preference, Speaker};
use patchbay_model::message::Participant;
use patchbay_model::{Notice, Private};

use super::*;

fn heard(body: Body, by: Speaker) -> Overheard {
    let Body::Message(message) = body else { panic!("a message") };
    Overheard { message, by, state: None }
}

fn entries(commit: &Commit) -> Vec<Entry> {
    let entry = |task: &Task| match &task.effect {
        Effect::AddEntry { entry } => Some(entry.clone()),
        _ => None,
    };
    commit.put_tasks.iter().filter_map(entry).collect()
}

fn preference(value: &str) -> Body {
    Body::Preference(Preference { category: "marketing_messages".into(), value: value.into(), detail: None })
}

#[test]
fn what_the_business_wrote_from_its_phone_is_a_note_and_a_person_has_the_conversation() {
    let echo = || Body::Echo(heard(text("I called you back"), Speaker::Business));
    let commit = simple(Some(opened()), &record(2, echo()), vec![]);
    let entry = &entries(&commit)[0];
    assert_eq!((entry.text.reveal().as_str(), entry.public), ("I called you back", false));
    assert_eq!(entry.author, Author::Agent("WhatsApp Business app".into()));
    assert!(after(&commit).human);
    let unfiled = after(&simple(None, &record(1, echo()), vec![]));
    assert_eq!(unfiled.unfiled.len(), 1, "it is there for the ticket that is to come");
    assert_eq!(unfiled.window_until, None, "only the customer opens the window");
    let ticket = simple(Some(unfiled), &record(2, text("my invoice is wrong")), vec![open("zendesk")]);
    let Effect::CreateTicket { subject, entries: said, .. } = &ticket.put_tasks[0].effect else { panic!() };
    assert_eq!(
        (subject.reveal().as_str(), said.len()),
        ("my invoice is wrong", 2),
        "the customer's words are its subject"
    );
    let photo = simple(Some(opened()), &record(2, Body::Echo(heard(photo(), Speaker::Business))), vec![]);
    assert_eq!(effects(&photo), [("media:support".into(), "fetch-media"), ("desk:zendesk".into(), "add-entry")]);
}

#[test]
fn history_is_kept_and_nothing_else() {
    let history = |name: &str| {
        let mut record = record(2, Body::History(heard(text("long ago"), Speaker::Customer)));
        if let Route::Customer { profile, identities, .. } = &mut record.route {
            profile.name = Some(name.into());
            *identities = vec![Identity::Phone("447700900009".into())];
        }
        record
    };
    let commit = simple(Some(opened()), &history("Old name"), vec![]);
    assert!(commit.put_tasks.is_empty());
    let customer = after(&commit).customer;
    assert_eq!((customer.name, customer.phone), (Some("Ada".into()), Some("447700900001".into())));
    let first = after(&simple(None, &history("Old name"), vec![]));
    assert_eq!((first.customer.name, first.window_until), (Some("Old name".into()), None));
}

#[test]
fn while_the_platforms_agent_answers_what_is_said_is_filed_and_no_receipt_is_shown() {
    let policy = Policy { read_receipts: true, fallback: None };
    let standby = |by| record(2, Body::Standby(heard(text("and then?"), by)));
    let commit = plan(Some(opened()), &standby(Speaker::Customer), vec![], policy, QUIET);
    assert_eq!(effects(&commit), [("desk:zendesk".into(), "add-entry")]);
    assert!(entries(&commit)[0].public);
    let conversation = after(&commit);
    assert!(conversation.standby && !conversation.human);
    assert!(conversation.window_until > opened().window_until);
    let commit = simple(Some(conversation.clone()), &standby(Speaker::Business), vec![]);
    assert!(matches!(&entries(&commit)[0], Entry { author: Author::Bot(_), public: false, .. }));
    let back = after(&simple(Some(conversation), &record(3, text("hello")), vec![]));
    assert!(!back.standby, "a message to us shows that the agent has it no more");
}

#[test]
fn a_handover_is_told_to_the_readers_of_the_ticket() {
    let handover = |to: &str| Body::Handover(Handover { from: String::new(), to: to.into(), data: "{}".into() });
    let taken = simple(Some(opened()), &record(2, handover("META_BUSINESS_AGENT")), vec![]);
    assert!(after(&taken).standby);
    assert!(note_of(&taken).contains("has the conversation now"));
    let given = simple(Some(after(&taken)), &record(3, handover("app")), vec![]);
    assert!(!after(&given).standby);
}

#[test]
fn a_new_number_replaces_the_old_one_and_is_not_printed() {
    let mut changed = record(2, Body::IdentityChanged(IdentityChanged { what: IdentityChange::Number, note: None }));
    if let Route::Customer { identities, former, .. } = &mut changed.route {
        *identities = vec![Identity::Phone("447700900002".into())];
        *former = vec![Identity::UserId("GB.1".into()), Identity::Phone("447700900001".into())];
    }
    let commit = simple(Some(opened()), &changed, vec![]);
    let customer = after(&commit).customer;
    assert_eq!((customer.phone, customer.user_id), (Some("447700900002".into()), None));
    assert_eq!(note_of(&commit), "The customer's number has changed.");
    let answer = record(3, activity(Activity::Entry(agent_entry("c9", true, "hello"))));
    let mut before = after(&commit);
    before.customer.name = None;
    let answer = EventRecord { route: Route::Conversation(before.id.clone()), ..answer };
    let sent = simple(Some(before), &answer, vec![]);
    let Effect::Send { to, .. } = &sent.put_tasks[0].effect else { panic!() };
    assert_eq!(*to, [Identity::Phone("447700900002".into())]);
}

#[test]
fn marketing_is_stopped_and_taken_up_again() {
    let stopped = after(&simple(Some(opened()), &record(2, preference("stop")), vec![]));
    assert!(stopped.no_marketing);
    for value in ["resume", "signup"] {
        assert!(!after(&simple(Some(stopped.clone()), &record(3, preference(value)), vec![])).no_marketing);
    }
    let other = Body::Preference(Preference { category: "other".into(), value: "resume".into(), detail: None });
    assert!(after(&simple(Some(stopped), &record(3, other), vec![])).no_marketing);
}

#[test]
fn the_address_book_names_only_who_shows_no_name() {
    let mut listed = record(2, Body::Contact(Notice { kind: "added".into(), data: "{}".into() }));
    if let Route::Customer { profile, .. } = &mut listed.route {
        profile.name = Some("Plumber".into());
    }
    assert_eq!(after(&simple(None, &listed, vec![])).customer.name, Some("Plumber".into()));
    assert_eq!(after(&simple(Some(opened()), &listed, vec![])).customer.name, Some("Ada".into()));
}

#[test]
fn a_group_speaks_with_its_participants_names() {
    let Body::Message(mut message) = text("we are three") else { panic!() };
    let mut author = Participant {
        identities: vec![Identity::UserId("GB.7".into()), Identity::Phone("447700900007".into())],
        profile: patchbay_model::arrival::Profile { name: Some("Grace".into()), username: None },
    };
    let mut said = |author: &Participant| {
        message.author = Some(author.clone());
        let mut record = record(1, Body::Message(message.clone()));
        if let Route::Customer { identities, profile, .. } = &mut record.route {
            *identities = vec![Identity::Group("g1".into())];
            profile.name = None;
        }
        simple(None, &record, vec![Action::Send(Outgoing::text("hi"))])
    };
    let commit = said(&author);
    assert_eq!(after(&commit).unfiled[0].text.reveal(), "Grace: we are three");
    let Effect::Send { to, .. } = &commit.put_tasks[0].effect else { panic!() };
    assert_eq!(*to, [Identity::Group("g1".into())]);
    author.profile.name = None;
    assert_eq!(after(&said(&author)).unfiled[0].text.reveal(), "+447700900007: we are three");
    author.identities.pop();
    assert_eq!(after(&said(&author)).unfiled[0].text.reveal(), "A participant: we are three");
}

#[test]
fn a_call_opens_the_window_and_one_that_nobody_answered_is_noted() {
    let call = |state: &str, data: &str| {
        let call = Call { id: "wacid.1".into(), state: state.into(), data: Private::new(data.to_owned()) };
        simple(Some(opened()), &record(2_000, Body::Call(call)), vec![])
    };
    let rings = call("connect", r#"{"direction":"USER_INITIATED"}"#);
    assert!(after(&rings).window_until > opened().window_until);
    assert!(rings.put_tasks.is_empty());
    let missed = call("terminate", r#"{"direction":"USER_INITIATED","status":"FAILED"}"#);
    assert_eq!(note_of(&missed), "The customer called, and nobody answered.");
    for (state, data) in [
        ("terminate", r#"{"direction":"USER_INITIATED","status":"COMPLETED","duration":12}"#),
        ("terminate", r#"{"direction":"BUSINESS_INITIATED","status":"FAILED"}"#),
        ("connect", r#"{"direction":"BUSINESS_INITIATED"}"#),
        ("ringing", "{}"),
        ("terminate", "no json"),
    ] {
        let commit = call(state, data);
        assert!(commit.put_tasks.is_empty(), "{state} {data}");
        assert_eq!(after(&commit).window_until, opened().window_until, "{state} {data}");
    }
}

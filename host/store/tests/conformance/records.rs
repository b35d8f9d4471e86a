//! Media, reports and the lists of events.

use patchbay_model::event::{
    Activity, AgentEntry, Call, Delivery, DeliveryState, DeskActivity, EffectFailed, MediaChecked, TimerFired, Unparsed,
};
use patchbay_model::message::{Location, Media, MediaKind};
use patchbay_model::{Arrival, Body, Content, MediaId, Message, Notice, Route};
use patchbay_store::{Appended, Commit, EventFilter, MediaRecord, MediaState};

use super::data::{
    START, arrival, at, channel, conversation, conversation_id, customer, dead, event_id, known, phone, report, task,
    task_id, timer, user, written,
};
use super::{Instance, journal, own};

pub(crate) async fn media_is_kept(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let media = MediaId::derive(&[b"photo"]);
    assert_eq!(store.media(&media).await.unwrap(), None);
    let lease = own(&store, &id).await;
    let state = |state| MediaRecord { id: media.clone(), conversation: id.clone(), state };
    let failed = state(MediaState::Failed { reason: "too large".into() });
    let stored = state(MediaState::Stored {
        blob: "5f".repeat(32),
        size: 70_311,
        mime: "image/jpeg".into(),
        file_name: Some("Quittung.jpg".into()),
    });
    for record in [failed, stored] {
        store.commit(&lease, Commit { media: vec![record.clone()], ..Commit::default() }).await.unwrap();
        assert_eq!(store.media(&media).await.unwrap(), Some(record));
    }
}

pub(crate) async fn reports_are_listed_newest_first(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let commit = |reports| Commit { reports, ..Commit::default() };
    store.commit(&lease, commit(vec![report("1", 1), report("2", 2)])).await.unwrap();
    store.commit(&lease, commit(vec![report("3", 3)])).await.unwrap();
    assert_eq!(store.reports(2).await.unwrap(), [report("3", 3), report("2", 2)]);
    assert_eq!(store.reports(9).await.unwrap().len(), 3);
}

pub(crate) async fn events_are_listed_newest_first(instance: &mut impl Instance) {
    let store = instance.store();
    let (a, b) = (conversation_id("a"), conversation_id("b"));
    let notice = |kind: &str| Notice { kind: kind.into(), data: "{}".into() };
    let of = |name: &str, id, seconds, body| Arrival { received_at: at(seconds), body, ..known(name, id) };
    let arrivals = vec![
        of("1", &a, 1, super::data::text("1")),
        of("2", &b, 2, super::data::text("2")),
        of("3", &a, 3, Body::AccountNotice(notice("quality"))),
        of("4", &a, 4, Body::Custom(notice("messages"))),
        // Kept for a while before it could be appended: it is older than its neighbours.
        of("5", &b, 0, super::data::text("5")),
        of("6", &b, 4, Body::Unknown(notice("x"))),
    ];
    store.append(arrivals).await.unwrap();
    let lease = own(&store, &a).await;
    let first = store.event(&event_id("1")).await.unwrap().unwrap();
    store.commit(&lease, Commit { handled: Some(first.position), ..Commit::default() }).await.unwrap();

    let list = async |filter: EventFilter| {
        let records = store.events(&filter).await.unwrap();
        let name = |id| ["1", "2", "3", "4", "5", "6"].into_iter().find(|name| event_id(name) == id).unwrap();
        records.into_iter().map(|record| name(record.event.id)).collect::<Vec<_>>().join(" ")
    };
    let all = EventFilter { limit: 100, ..EventFilter::default() };
    let kind = |kind: &str| EventFilter { kind: Some(kind.into()), ..all.clone() };
    assert_eq!(list(all.clone()).await, "6 4 3 2 1 5");
    assert_eq!(list(EventFilter { limit: 2, ..all.clone() }).await, "6 4");
    assert_eq!(list(EventFilter { limit: 0, ..all.clone() }).await, "");
    assert_eq!(list(EventFilter { conversation: Some(a.clone()), ..all.clone() }).await, "4 3 1");
    assert_eq!(list(EventFilter { conversation: Some(conversation_id("c")), ..all.clone() }).await, "");
    assert_eq!(list(EventFilter { since: Some(at(3)), ..all.clone() }).await, "6 4 3");
    assert_eq!(list(kind("message")).await, "2 1 5");
    assert_eq!(list(kind("message.text")).await, "2 1 5");
    assert_eq!(list(kind("mess")).await, "", "a word is matched whole");
    assert_eq!(list(kind("account")).await, "3");
    assert_eq!(list(kind("custom.messages")).await, "4");
    assert_eq!(list(EventFilter { limit: 1, ..kind("message") }).await, "2");
    let together = EventFilter { conversation: Some(b), since: Some(at(1)), ..kind("message") };
    assert_eq!(list(together).await, "2");
    assert_eq!(list(EventFilter { pending: true, ..all.clone() }).await, "6 4 3 2 5", "the first one is handled");
    assert_eq!(list(EventFilter { pending: true, conversation: Some(a), ..all.clone() }).await, "4 3");
}

pub(crate) async fn every_event_kind_and_route_comes_back_whole(instance: &mut impl Instance) {
    let store = instance.store();
    let notice = || Notice { kind: "quality \"update\"".into(), data: "{\"a\":[1,2.5,null]}".into() };
    let location = Location { latitude: 51.5.into(), longitude: (-0.125).into(), name: None, address: None };
    let media = Media {
        id: MediaId::derive(&[b"1"]),
        platform_id: "1037543291543636".into(),
        kind: MediaKind::Document,
        mime: "application/pdf".into(),
        file_name: Some("Rechnung №1.pdf".into()),
        size: Some(3_000_000_000),
        caption: None,
        sha256: None,
    };
    let message = |content| {
        let (id, reply_to) = ("wamid.1".into(), Some("wamid.0".into()));
        Body::Message(Message { id, content, reply_to, forwarded: true, referral: Some(notice()), author: None })
    };
    let activity = |what| {
        let (id, desk, ticket) = ("w1".into(), "zendesk".into(), "4711".into());
        Body::DeskActivity(DeskActivity { id, desk, ticket, key: None, occurred_at: START, what })
    };
    let entry = AgentEntry {
        id: "e9".into(),
        public: true,
        author: "Sam".into(),
        text: "Hallo \u{0}\u{202e} 👋".into(),
        attachments: Vec::new(),
    };
    let bodies = vec![
        message(Content::Location(location)),
        message(Content::Media(media.clone())),
        message(Content::Withdrawn("wamid.0".into())),
        message(Content::Other(notice())),
        Body::MediaChecked(MediaChecked { message: "wamid.1".into(), media, problem: Some("gone".into()) }),
        Body::Delivery(Delivery {
            message: "wamid.2".into(),
            state: DeliveryState::Played,
            error: None,
            reference: Some(task_id("1")),
            pricing: None,
            participant: None,
        }),
        activity(Activity::Entry(entry)),
        activity(Activity::Status("solved".into())),
        Body::Timer(TimerFired { name: "sla".into(), data: "null".into() }),
        Body::EffectFailed(EffectFailed {
            task: task_id("1"),
            effect: "send".into(),
            target: "support".into(),
            reason: "131026".into(),
            attempts: 3,
        }),
        Body::Call(Call { id: "wacid.1".into(), state: "ringing".into(), data: "{}".into() }),
        Body::AccountNotice(notice()),
        Body::Custom(notice()),
        Body::Unknown(notice()),
        Body::Unparsed(Unparsed { reason: "no JSON".into(), base64: "AP8=".into() }),
    ];
    let routes = [
        Route::Conversation(conversation_id("a")),
        customer(&[user("GB.1"), phone("447700900001")]),
        Route::Account(channel("support")),
    ];
    let arrivals: Vec<Arrival> = (bodies.into_iter().enumerate())
        .map(|(n, body)| {
            let route = routes[n % routes.len()].clone();
            let raw = (n % 2 == 0).then(|| super::data::raw("x"));
            Arrival { body, raw, occurred_at: at(n as u64), ..arrival(&format!("{n}"), route) }
        })
        .collect();
    let appended = store.append(arrivals.clone()).await.unwrap();
    for (arrival, appended) in arrivals.into_iter().zip(appended) {
        let Appended::New { conversation, .. } = appended else { panic!("{appended:?}") };
        let record = store.event(&arrival.id).await.unwrap().unwrap();
        assert_eq!(record.event.conversation, conversation);
        let event = record.event;
        let (route, raw, received_at) = (record.route, record.raw, event.received_at);
        let back = Arrival { id: event.id, route, occurred_at: event.occurred_at, received_at, body: event.body, raw };
        assert_eq!(back, arrival);
    }
}

pub(crate) async fn reopening_keeps_everything(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    store.append(vec![known("1", &id), known("2", &id), known("3", &id)]).await.unwrap();
    let lease = own(&store, &id).await;
    let first = store.event(&event_id("1")).await.unwrap().unwrap();
    let commit = Commit {
        handled: Some(first.position),
        conversation: Some((0, conversation(&id, "kept"))),
        put_tasks: vec![task("one", &id, 1), task("two", &id, 2)],
        set_timers: vec![timer("sla", &id, 9)],
        links: vec![written(&id, "zendesk", "4711")],
        reports: vec![report("1", 1)],
        ..Commit::default()
    };
    store.commit(&lease, commit).await.unwrap();
    let letter = dead(task("two", &id, 2), 7);
    store.commit(&lease, Commit { dead_letters: vec![letter], ..Commit::default() }).await.unwrap();
    let all = EventFilter { limit: 100, ..EventFilter::default() };
    let pending = (store.load(&lease).await.unwrap(), journal(&store, &lease).await);
    let before = (
        store.events(&all).await.unwrap(),
        store.conversation(&id).await.unwrap(),
        store.links(&id).await.unwrap(),
        store.dead_letters(9).await.unwrap(),
        store.reports(9).await.unwrap(),
        store.partitions(),
    );
    assert_eq!((pending.0.tasks.len(), pending.0.timers.len(), pending.1.len()), (1, 1, 2));
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    let lease = own(&store, &id).await;
    assert_eq!((store.load(&lease).await.unwrap(), journal(&store, &lease).await), pending);
    let after = (
        store.events(&all).await.unwrap(),
        store.conversation(&id).await.unwrap(),
        store.links(&id).await.unwrap(),
        store.dead_letters(9).await.unwrap(),
        store.reports(9).await.unwrap(),
        store.partitions(),
    );
    assert_eq!(after, before);
    // Positions go on where they were.
    store.append(vec![known("4", &id)]).await.unwrap();
    let fourth = store.event(&event_id("4")).await.unwrap().unwrap();
    assert!(before.0.iter().all(|record| record.position < fourth.position));
}

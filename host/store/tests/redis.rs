//! The store on one Redis keeps the contract, and what it promises besides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod conformance;
mod redis_support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use conformance::data::{arrival, conversation_id, customer, event_id, known, phone, user};
use conformance::shelf::{put, remove, written};
use patchbay_store::{
    Appended, DocumentWrite, Partition, RedisOptions, RedisStore, RedisTls, Shelved, Store, StoreError,
};
use patchbay_test_redis::{Options, Redis};
use redis_support::{OnRedis, eventually, losing_an_answer, open, prefix};

static REDIS: LazyLock<Redis> = LazyLock::new(|| Redis::start(Options { shared: true, ..Options::default() }));

fn options() -> RedisOptions {
    RedisOptions { addresses: vec![REDIS.addr()], ..RedisOptions::default() }
}

async fn make() -> OnRedis {
    OnRedis::new(options(), vec![&REDIS]).await
}

conformance!(make);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_leaves_no_document() {
    conformance::documents::a_conflict_leaves_no_document(&mut make().await).await;
}

/// A server that nobody else uses.
async fn alone(redis: &Redis) -> (Arc<RedisStore>, RedisOptions) {
    let options = RedisOptions { addresses: vec![redis.addr()], ..RedisOptions::default() };
    (open(&options).await, options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_when_the_server_is_back() {
    let mut redis = Redis::start(Options { appendfsync: "always", ..Options::default() });
    let (store, _) = alone(&redis).await;
    let id = conversation_id("a");
    store.append(vec![known("before", &id)]).await.unwrap();
    let (losses, wakeup) = (store.losses(), store.wakeup(store.partition_of(&id)));
    redis.kill();
    let asked = Instant::now();
    assert!(matches!(store.append(vec![known("meanwhile", &id)]).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.conversation(&id).await, Err(StoreError::Unavailable(_))));
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?} for two calls", asked.elapsed());
    redis.restart();
    eventually("it takes events again", async || store.append(vec![known("after", &id)]).await.is_ok()).await;
    assert!(store.event(&event_id("before")).await.unwrap().is_some());
    eventually("it says what may be lost", async || *losses.borrow() >= 1).await;
    wakeup.notified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_holds_nobody_up() {
    let redis = Redis::start(Options::default());
    let (store, _) = alone(&redis).await;
    let id = conversation_id("a");
    redis.stop_signal();
    let asked = Instant::now();
    assert!(matches!(store.append(vec![known("1", &id)]).await, Err(StoreError::Unavailable(_))));
    assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
    redis.cont();
    eventually("it goes on", async || store.append(vec![known("1", &id)]).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_empty_is_not_used() {
    let mut redis = Redis::start(Options::default());
    let (store, options) = alone(&redis).await;
    let id = conversation_id("a");
    store.append(vec![known("1", &id)]).await.unwrap();
    redis.restart_empty();
    eventually("it says what is wrong", async || {
        let refused = store.append(vec![known("2", &id)]).await;
        matches!(refused, Err(StoreError::Unavailable(reason)) if reason.contains("no longer holds this store"))
    })
    .await;
    let anew = open(&options).await;
    assert_ne!(anew.store_id(), store.store_id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_were_forgotten_are_given_again() {
    let redis = Redis::start(Options::default());
    let (store, _) = alone(&redis).await;
    let _: String = redis.ask(&["SCRIPT", "FLUSH"]);
    let appended = store.append(vec![known("1", &conversation_id("a"))]).await.unwrap();
    assert!(matches!(appended.as_slice(), [Appended::New { .. }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_by_the_servers_clock() {
    let options = RedisOptions { prefix: prefix(), lease: Duration::from_millis(300), ..options() };
    let (one, other) = (open(&options).await, open(&options).await);
    assert_eq!(one.lease_time(), Some(options.lease));
    let lease = one.acquire(Partition(0)).await.unwrap().unwrap();
    assert_eq!(other.acquire(Partition(0)).await.unwrap(), None);
    eventually("it ends", async || other.acquire(Partition(0)).await.unwrap().is_some()).await;
    assert!(matches!(one.renew(&lease).await, Err(StoreError::Fenced(Partition(0)))));
    assert_eq!(*one.losses().borrow(), 0, "it was past its time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_lease_that_is_unknown_is_a_loss() {
    let options = RedisOptions { prefix: prefix(), ..options() };
    let store = open(&options).await;
    let lease = store.acquire(Partition(3)).await.unwrap().unwrap();
    let _: u64 = REDIS.ask(&["HDEL", &format!("{{{}:3}}:owner", options.prefix), "token"]);
    assert!(matches!(store.renew(&lease).await, Err(StoreError::Fenced(_))));
    assert_eq!(*store.losses().borrow(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_wake_each_other() {
    let options = RedisOptions { prefix: prefix(), ..options() };
    let (one, other) = (open(&options).await, open(&options).await);
    let id = conversation_id("a");
    let wakeup = other.wakeup(other.partition_of(&id));
    // It wakes everybody when it begins to listen.
    wakeup.notified().await;
    let mut number = 0;
    eventually("it hears", async || {
        number += 1;
        one.append(vec![known(&format!("{number}"), &id)]).await.unwrap();
        tokio::time::timeout(Duration::from_millis(500), wakeup.notified()).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_claims_of_two_nodes_agree() {
    let options = RedisOptions { prefix: prefix(), ..options() };
    let (one, other) = (open(&options).await, open(&options).await);
    for round in 0..20 {
        let route = || customer(&[user(&format!("GB.{round}")), phone(&format!("4477009{round:05}"))]);
        let first = arrival(&format!("first {round}"), route());
        let second = arrival(&format!("second {round}"), route());
        let (first, second) = tokio::join!(one.append(vec![first]), other.append(vec![second]));
        let [Appended::New { conversation: a, .. }] = &first.unwrap()[..] else { panic!("not taken") };
        let [Appended::New { conversation: b, .. }] = &second.unwrap()[..] else { panic!("not taken") };
        assert_eq!(a, b);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_was_lost_does_not_meet_itself() {
    let (address, lost) = losing_an_answer(REDIS.addr(), b"lose the answer").await;
    let store: Arc<dyn Store> = open(&RedisOptions { addresses: vec![address], prefix: prefix(), ..options() }).await;
    let before = written(&store, "s", vec![put("a", "1")]).await[0];
    let write = DocumentWrite { expected: Some(before), ..put("a", "lose the answer") };
    let shelved = store.write_documents("s", vec![write], None).await.unwrap();
    assert!(lost.load(Ordering::SeqCst));
    let found = store.document("s", "a").await.unwrap().unwrap();
    assert!(found.revision > before && found.body == "lose the answer");
    assert_eq!(shelved, Shelved::Written(vec![found.revision]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_space_has_one_slot_and_leaves_nothing_but_its_revision() {
    let options = RedisOptions { prefix: prefix(), ..options() };
    let store: Arc<dyn Store> = open(&options).await;
    let keys = || -> BTreeSet<String> {
        let all: Vec<String> = REDIS.ask(&["KEYS", &format!("*{}:*", options.prefix)]);
        all.into_iter().filter(|key| key.contains("}:s") || key.contains("}:revision")).collect()
    };
    written(&store, "kv/{router}", vec![put("a", "1"), put("b", "2")]).await;
    let tags: BTreeSet<String> = keys().iter().map(|key| key.split('}').next().unwrap().to_owned()).collect();
    assert_eq!(tags.len(), 1, "{tags:?}");
    let tag = format!("{}}}", tags.first().unwrap());
    let answers = keys().into_iter().filter(|key| key.starts_with(&format!("{tag}:shelved:")));
    for answer in answers {
        let left: i64 = REDIS.ask(&["PTTL", &answer]);
        assert!((0..=10_000).contains(&left), "an answer is kept for {left} ms");
    }
    written(&store, "kv/{router}", vec![remove("a"), remove("b")]).await;
    let left: Vec<_> = keys().into_iter().filter(|key| !key.contains(":shelved:")).collect();
    assert_eq!(left, [format!("{tag}:revision")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_is_refused() {
    let redis = Redis::start(Options::default().with("maxmemory-policy", "allkeys-lru"));
    let refused = RedisStore::connect(RedisOptions { addresses: vec![redis.addr()], ..RedisOptions::default() }).await;
    let Err(StoreError::Unsuitable(sentence)) = refused else { panic!("{refused:?}") };
    assert!(sentence.contains("CONFIG SET maxmemory-policy noeviction"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_format_is_refused() {
    let options = RedisOptions { prefix: prefix(), ..options() };
    drop(open(&options).await);
    let _: u64 = REDIS.ask(&["HSET", &format!("{}:meta", options.prefix), "format", "7"]);
    let refused = RedisStore::connect(options).await;
    let Err(StoreError::Unsuitable(sentence)) = refused else { panic!("{refused:?}") };
    assert!(sentence.contains("format 7"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_lose_data_is_warned_of() {
    let redis = Redis::start(Options { appendonly: false, ..Options::default() });
    let options = RedisOptions { addresses: vec![redis.addr()], replicas: 1, ..RedisOptions::default() };
    let (_store, warnings) = RedisStore::connect(options).await.unwrap();
    let all = warnings.iter().map(|warning| warning.0.as_str()).collect::<Vec<_>>().join("\n");
    assert!(all.contains("appendonly yes") && all.contains("0 replicas, and 1 must confirm"), "{all}");
    let always = Redis::start(Options { appendfsync: "always", ..Options::default() });
    let options = RedisOptions { addresses: vec![always.addr()], ..RedisOptions::default() };
    let (store, warnings) = RedisStore::connect(options).await.unwrap();
    assert_eq!(warnings, []);
    store.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_config_is_served_with_a_warning() {
    let redis = Redis::start(Options { password: Some("root".into()), ..Options::default() });
    let rules = ["ACL", "SETUSER", "patchbay", "on", ">secret", "~pb:*", "~{pb:*", "&pb:*", "+@all", "-config"];
    let _: String = redis.ask(&rules);
    let options = RedisOptions {
        addresses: vec![redis.addr()],
        username: Some("patchbay".into()),
        password: Some("secret".into()),
        ..RedisOptions::default()
    };
    let (store, warnings) = RedisStore::connect(options.clone()).await.unwrap();
    assert!(warnings.iter().any(|warning| warning.0.contains("does not let CONFIG be asked")), "{warnings:?}");
    store.append(vec![known("1", &conversation_id("a"))]).await.unwrap();
    let wrong = RedisOptions { password: Some("wrong".into()), ..options };
    assert!(!format!("{wrong:?}").contains("\"wrong\""));
    let refused = RedisStore::connect(wrong).await;
    let Err(StoreError::Unavailable(sentence)) = refused else { panic!("{refused:?}") };
    assert!(!sentence.contains("secret"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_talks_tls_to_who_is_certified() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let tls = patchbay_test_redis::Tls {
        certificate: write("cert.pem", &certificate.pem()),
        key: write("key.pem", &key.serialize_pem()),
        ca: write("ca.pem", &authority_pem),
    };
    let redis = Redis::start(Options { tls: Some(tls), ..Options::default() });
    let with = |ca: Option<Vec<u8>>| RedisOptions {
        addresses: vec![redis.tls_addr()],
        tls: Some(RedisTls { ca }),
        ..RedisOptions::default()
    };
    let store = open(&with(Some(authority_pem.into_bytes()))).await;
    let id = conversation_id("a");
    let wakeup = store.wakeup(store.partition_of(&id));
    store.append(vec![known("1", &id)]).await.unwrap();
    wakeup.notified().await;
    let refused = RedisStore::connect(with(None)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_lets_go() {
    let store = open(&RedisOptions { prefix: prefix(), ..options() }).await;
    let id = conversation_id("a");
    let appending: Vec<_> = (0..20)
        .map(|number| {
            let (store, arrival) = (Arc::clone(&store), known(&format!("{number}"), &id));
            tokio::spawn(async move { store.append(vec![arrival]).await })
        })
        .collect();
    store.close().await;
    store.close().await;
    for task in appending {
        assert!(matches!(task.await.unwrap().as_deref(), Ok([Appended::New { .. }]) | Err(StoreError::Unavailable(_))));
    }
    assert!(matches!(store.append(vec![known("late", &id)]).await, Err(StoreError::Unavailable(_))));
}

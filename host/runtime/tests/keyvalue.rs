//! What plugins remember: whose it is, when it is kept, and how much of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::*;
use patchbay_model::Failure;
use patchbay_runtime::{Call, CallError, Cause, Engine, KeyValue, KeyValueError, LoadError, Mode, Plugin};

/// Keys and values in memory, by plugin.
#[derive(Debug, Default)]
struct InMemory {
    kept: Mutex<BTreeMap<String, BTreeMap<String, Bytes>>>,
    /// How often it was written to.
    writes: Mutex<usize>,
    away: AtomicBool,
    /// What another call writes just before the next one.
    before_writing: Mutex<Option<Bytes>>,
}

impl InMemory {
    fn of(&self, plugin: &str) -> BTreeMap<String, Bytes> {
        self.kept.lock().unwrap().get(plugin).cloned().unwrap_or_default()
    }

    fn there(&self) -> Result<(), KeyValueError> {
        if self.away.load(Ordering::Relaxed) { Err(KeyValueError::Unavailable("it is away".into())) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl KeyValue for InMemory {
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Bytes>, KeyValueError> {
        self.there()?;
        Ok(self.of(plugin).remove(key))
    }

    async fn keys(&self, plugin: &str) -> Result<Vec<String>, KeyValueError> {
        self.there()?;
        Ok(self.of(plugin).into_keys().collect())
    }

    async fn used(&self, plugin: &str) -> Result<u64, KeyValueError> {
        self.there()?;
        Ok(self.of(plugin).iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    async fn write(&self, plugin: &str, writes: Vec<(String, Option<Bytes>)>, quota: u64) -> Result<(), KeyValueError> {
        self.there()?;
        if let Some(value) = self.before_writing.lock().unwrap().take() {
            self.kept.lock().unwrap().entry(plugin.to_owned()).or_default().insert("other".to_owned(), value);
        }
        let before = self.used(plugin).await?;
        let mut after = self.of(plugin);
        for (key, value) in writes {
            match value {
                Some(value) => after.insert(key, value),
                None => after.remove(&key),
            };
        }
        let would_be = after.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        if would_be > quota.max(before) {
            return Err(KeyValueError::Full { would_be, quota });
        }
        self.kept.lock().unwrap().insert(plugin.to_owned(), after);
        *self.writes.lock().unwrap() += 1;
        Ok(())
    }
}

struct House {
    kept: Arc<InMemory>,
    engine: Engine,
}

impl House {
    fn new() -> Self {
        let kept = Arc::new(InMemory::default());
        let engine = engine_with(|options| options.keyvalue = kept.clone());
        Self { kept, engine }
    }

    async fn plugin(&self, name: &str, quota: u64) -> Plugin {
        let mut spec = spec(name, "keeper");
        spec.grants.keyvalue = Some(quota);
        spec.limits.cpu = std::time::Duration::from_millis(300);
        self.engine.load(spec).await.unwrap()
    }
}

/// What the plugin said to each line.
async fn say(plugin: &Plugin, lines: &[&str]) -> Vec<String> {
    let outcome = plugin.handle(&text(&lines.join("\n")), &call("ev_1")).await.unwrap();
    let said = attributes(&outcome);
    (0..lines.len()).map(|line| said[&line.to_string()].clone()).collect()
}

async fn failed(plugin: &Plugin, lines: &[&str]) -> Failure {
    match plugin.handle(&text(&lines.join("\n")), &call("ev_1")).await {
        Err(CallError::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_call_sees_what_it_wrote_and_the_next_call_too() {
    let house = House::new();
    let plugin = house.plugin("one", MIB).await;
    let lines = ["get a", "set a 1", "get a", "exists a", "set b 2", "delete b", "get b", "set c 3", "keys"];
    let said = say(&plugin, &lines).await;
    assert_eq!(said, ["none", "set", "1", "true", "set", "deleted", "none", "set", "2 in 1: a to c"]);
    assert_eq!(*house.kept.writes.lock().unwrap(), 1, "all at once, when it had answered");
    assert_eq!(
        say(&plugin, &["get a", "exists b", "delete a", "keys"]).await,
        ["1", "false", "deleted", "1 in 1: c to c"]
    );
    assert_eq!(house.kept.of("one"), [("c".to_owned(), Bytes::from("3"))].into());
    say(&plugin, &["get c"]).await;
    assert_eq!(*house.kept.writes.lock().unwrap(), 2, "a call that wrote nothing writes nothing");
}

#[tokio::test]
async fn plugins_do_not_see_each_other() {
    let house = House::new();
    let (one, other) = (house.plugin("one", MIB).await, house.plugin("other", MIB).await);
    say(&one, &["set a mine"]).await;
    assert_eq!(say(&other, &["get a", "keys", "set a theirs"]).await, ["none", "0 in 1:  to ", "set"]);
    assert_eq!(say(&one, &["get a"]).await, ["mine"]);
    let opened = say(&one, &["open default", "open ", "open other", "open kv/other"]).await;
    assert_eq!(opened[..2], ["Ok(\"opened\")", "Ok(\"opened\")"]);
    assert!(opened[2..].iter().all(|opened| opened.contains("NoSuchStore")), "{opened:?}");
}

#[tokio::test]
async fn a_call_that_gives_no_answer_leaves_nothing() {
    let house = House::new();
    let plugin = house.plugin("one", MIB).await;
    for (last, cause) in [("trap", Cause::Trap), ("spin", Cause::CpuTime)] {
        assert_eq!(broken(&plugin, &format!("set a 1\n{last}")).await.cause, cause);
    }
    assert_eq!(failed(&plugin, &["set a 1", "fail"]).await, Failure::permanent("as it was told"));
    assert_eq!((house.kept.of("one").len(), *house.kept.writes.lock().unwrap()), (0, 0));
}

#[tokio::test]
async fn a_rehearsal_reads_and_leaves_nothing() {
    let house = House::new();
    let plugin = house.plugin("one", MIB).await;
    say(&plugin, &["set a 1"]).await;
    let rehearsal = Call { mode: Mode::Rehearsal, ..call("ev_2") };
    let outcome = plugin.handle(&text("get a\nset a 2\nget a"), &rehearsal).await.unwrap();
    assert_eq!(attributes(&outcome).into_values().collect::<Vec<_>>(), ["1", "set", "2"]);
    assert_eq!(say(&plugin, &["get a"]).await, ["1"]);
}

#[tokio::test]
async fn more_than_granted_is_refused_with_the_line_to_write() {
    let house = House::new();
    let plugin = house.plugin("one", 1000).await;
    // What can never fit, the plugin is told itself.
    let said = say(&plugin, &["long 1 600", "long 2 600", "long 1 500"]).await;
    assert_eq!((said[0].as_str(), said[2].as_str()), ("set", "set"));
    for part in
        ["keeps 0 bytes, would keep 1203, and is granted 1000", "[plugins.one.grants]", "keyvalue = \\\"1MiB\\\""]
    {
        assert!(said[1].contains(part), "{}", said[1]);
    }
    assert_eq!(house.kept.of("one")["k"].len(), 500);
    // So does what does not fit beside what is kept, and the call goes on.
    let said = say(&plugin, &["long 3 600", "set a 1"]).await;
    assert!(said[0].contains("keeps 501 bytes, would keep 1104, and is granted 1000"), "{}", said[0]);
    assert_eq!((said[1].as_str(), house.kept.of("one").len()), ("set", 2));
    // What takes another's place counts for what it adds, also where it is removed first.
    let said = say(&plugin, &["long 1 998", "long 1 997", "delete a", "long 1 999", "long 1 1000"]).await;
    assert!(said[0].contains("would keep 1001"), "{}", said[0]);
    assert_eq!(said[1..4], ["set", "deleted", "set"]);
    assert!(said[4].contains("would keep 1001"), "{}", said[4]);
    assert_eq!(house.kept.of("one").into_values().map(|value| value.len()).collect::<Vec<_>>(), [999]);
    // Where the quota has been lowered, what is there may shrink.
    let less = house.plugin("one", 100).await;
    let said = say(&less, &["long 1 999", "set a 1", "long 1 500", "long 1 1000"]).await;
    assert_eq!((said[0].as_str(), said[2].as_str()), ("set", "set"));
    assert!(said[1].contains("keeps 1000 bytes, would keep 1002"), "{}", said[1]);
    assert!(said[3].contains("would keep 1001"), "{}", said[3]);
    assert_eq!(house.kept.of("one")["k"].len(), 500);
}

#[tokio::test]
async fn two_calls_at_once_find_out_at_the_end() {
    let house = House::new();
    let plugin = house.plugin("one", 1000).await;
    // The other one writes after this one has looked.
    house.kept.before_writing.lock().unwrap().replace(Bytes::from(vec![b'v'; 700]));
    let failure = failed(&plugin, &["long 3 600"]).await;
    assert!(matches!(&failure, Failure::Permanent { reason } if reason.contains("keyvalue = \"1MiB\"")), "{failure:?}");
    assert_eq!(house.kept.of("one").keys().collect::<Vec<_>>(), ["other"]);
}

#[tokio::test]
async fn keys_values_and_calls_have_limits() {
    let house = House::new();
    let plugin = house.plugin("one", 64 * MIB).await;
    let said = say(&plugin, &["long 512 262144", "long 0 1", "long 513 1", "long 1 262145", "set  1", "get "]).await;
    assert_eq!(said[0], "set");
    for (at, word) in [(1, "1 to 512"), (2, "513"), (3, "262144 are the most"), (4, "1 to 512"), (5, "1 to 512")] {
        assert!(said[at].contains(word), "{at}: {said:?}");
    }
    let said = say(&plugin, &["many 256", "set 00000 again", "set one more", "set more 1"]).await;
    assert_eq!((said[0].as_str(), said[1].as_str()), ("set", "set"));
    assert!(said[3].contains("256 keys at the most"), "{said:?}");
    let large: Vec<String> = (1..=16).map(|key| format!("long {key} 262144")).collect();
    let said = say(&plugin, &large.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(said.iter().filter(|said| *said == "set").count(), 15, "{said:?}");
    assert!(said[15].contains("4194304 bytes at the most"), "{said:?}");
}

#[tokio::test]
async fn many_keys_come_in_pages() {
    let house = House::new();
    let plugin = house.plugin("one", MIB).await;
    let keys = (0..2500).map(|key| (format!("{key:05}"), Bytes::from("v"))).collect();
    house.kept.kept.lock().unwrap().insert("one".into(), keys);
    let said = say(&plugin, &["delete 00000", "set zzz last", "keys"]).await;
    assert_eq!(said[2], "2500 in 3: 00001 to zzz");
}

#[tokio::test]
async fn a_store_that_is_away_is_worth_another_try() {
    let house = House::new();
    let plugin = house.plugin("one", MIB).await;
    house.kept.away.store(true, Ordering::Relaxed);
    assert!(say(&plugin, &["get a"]).await[0].contains("it is away"));
    let failure = failed(&plugin, &["set a 1"]).await;
    assert!(matches!(&failure, Failure::Retry { uncertain: true, reason, .. } if reason.contains("it is away")));
    house.kept.away.store(false, Ordering::Relaxed);
    assert_eq!(say(&plugin, &["set a 1", "get a"]).await, ["set", "1"]);
}

#[tokio::test]
async fn without_a_grant_it_is_not_loaded() {
    let house = House::new();
    let error = house.engine.load(spec("one", "keeper")).await.unwrap_err();
    assert!(matches!(error, LoadError::Import { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("wasi:keyvalue/store") && text.contains("[plugins.one.grants]\nkeyvalue = \"1MiB\""),
        "{text}"
    );
}

#[tokio::test]
async fn the_sdk_remembers() {
    let house = House::new();
    let mut spec = spec("sdk", "remember");
    spec.grants.keyvalue = Some(MIB);
    let plugin = house.engine.load(spec).await.unwrap();
    for times in 1..=2 {
        let outcome = plugin.handle(&text("hello"), &call("ev_1")).await.unwrap();
        let key = format!("seen/{}", text("hello").event.id);
        assert_eq!(attributes(&outcome)["said"], format!("{times} true false [{key:?}]"));
        assert_eq!(house.kept.of("sdk")[&key], times.to_string());
    }
    let failure = failed(&plugin, &["too much"]).await;
    let why = "store: the value has 1048576 bytes; 262144 are the most";
    assert_eq!(failure, Failure::permanent(why));
    house.kept.away.store(true, Ordering::Relaxed);
    let failure = failed(&plugin, &["hello"]).await;
    assert!(matches!(&failure, Failure::Retry { reason, .. } if reason.contains("it is away")), "{failure:?}");
}

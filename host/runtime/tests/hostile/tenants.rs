//! What is left of one call in the next one, and of one plugin in another: nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use patchbay_model::Failure;
use patchbay_runtime::{Call, CallError, KeyValue, KeyValueError, Mode, Plugin};
use wit_component::StringEncoding;

use super::common::*;
use super::wat::{Module, bare_spec};

/// Looks through 16 MiB of fresh memory and 1,000 elements of a table, and soils them all. `dirt` is told when it finds
/// something, as `permanent`.
const RESIDUE: &str = "
    (if (i32.eq (memory.grow (i32.const 256)) (i32.const -1)) (then unreachable))
    (if (i32.ne (global.get $calls) (i32.const 0)) (then (global.set $dirty (i32.const 1))))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (local.set $at (i32.const 131072))
    (local.set $end (i32.mul (memory.size) (i32.const 65536)))
    (loop $words
      (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (global.set $dirty (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $words (i32.lt_u (local.get $at) (local.get $end))))
    (local.set $at (table.grow $many (ref.null func) (i32.const 1000)))
    (local.set $end (i32.add (local.get $at) (i32.const 1000)))
    (loop $elements
      (if (i32.eqz (ref.is_null (table.get $many (local.get $at)))) (then (global.set $dirty (i32.const 1))))
      (table.set $many (local.get $at) (ref.func $hello))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $elements (i32.lt_u (local.get $at) (local.get $end))))
    (memory.fill (i32.const 131072) (i32.const 0xaa)
      (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 131072)))
    (i32.store8 (i32.const 1024) (global.get $dirty))
    (i32.store8 (i32.const 1032) (global.get $dirty))";

const RESIDUE_MORE: &str = "
    (global $calls (mut i32) (i32.const 0))
    (global $dirty (mut i32) (i32.const 0))
    (table $many 1 funcref)
    (func $hello)
    (elem declare func $hello)";

#[tokio::test]
async fn nothing_of_a_customers_event_is_there_for_the_next_one() {
    // One slot: every call gets the memory, the table and the stack that the call before it had.
    let engine = engine_with(|options| {
        options.concurrent_calls = 1;
        options.guest_threads = 1;
    });
    let module = Module { handle: RESIDUE, more: RESIDUE_MORE, ..Module::default() };
    let mut plugins = Vec::new();
    for name in ["one", "two"] {
        let mut spec = bare_spec(name, module.component(StringEncoding::UTF8));
        spec.limits.cpu = std::time::Duration::from_secs(20);
        plugins.push(engine.load(spec).await.unwrap());
    }
    let rust = handler(&engine).await;
    for turn in 0..20 {
        for plugin in &plugins {
            let found = plugin.handle(&text("hello"), &call("ev_1")).await;
            assert!(found.is_ok(), "turn {turn}, {}: {found:?}", plugin.name());
        }
        // After a trap and after a deadline as well, which end in the middle of a call.
        match turn % 3 {
            0 => assert_well(&rust).await,
            1 => drop(broken(&rust, "allocate").await),
            _ => {
                let short = Call { timeout: std::time::Duration::from_millis(30), ..call("ev_1") };
                assert!(rust.handle(&text("spin"), &short).await.is_err());
            }
        }
    }
}

/// Keys and values in memory, by plugin.
#[derive(Debug, Default)]
struct InMemory(Mutex<BTreeMap<(String, String), Bytes>>);

#[async_trait::async_trait]
impl KeyValue for InMemory {
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Bytes>, KeyValueError> {
        Ok(self.0.lock().unwrap().get(&(plugin.to_owned(), key.to_owned())).cloned())
    }

    async fn keys(&self, plugin: &str) -> Result<Vec<String>, KeyValueError> {
        let kept = self.0.lock().unwrap();
        Ok(kept.keys().filter(|(of, _)| of == plugin).map(|(_, key)| key.clone()).collect())
    }

    async fn used(&self, _: &str) -> Result<u64, KeyValueError> {
        Ok(0)
    }

    async fn write(&self, plugin: &str, writes: Vec<(String, Option<Bytes>)>, _: u64) -> Result<(), KeyValueError> {
        let mut kept = self.0.lock().unwrap();
        for (key, value) in writes {
            match value {
                Some(value) => kept.insert((plugin.to_owned(), key), value),
                None => kept.remove(&(plugin.to_owned(), key)),
            };
        }
        Ok(())
    }
}

async fn keep(plugin: &Plugin, lines: &str, mode: Mode) -> Result<BTreeMap<String, String>, Failure> {
    match plugin.handle(&text(lines), &Call { mode, ..call("ev_1") }).await {
        Ok(outcome) => Ok(attributes(&outcome)),
        Err(CallError::Failed(failure)) => Err(failure),
        Err(other) => panic!("{lines}: {other}"),
    }
}

#[tokio::test]
async fn one_plugins_keys_are_not_anothers() {
    let kept = Arc::new(InMemory::default());
    let engine = engine_with(|options| options.keyvalue = kept.clone());
    let mut plugins = Vec::new();
    for name in ["victim", "thief"] {
        let mut spec = spec(name, "keeper");
        spec.grants.keyvalue = Some(1 << 20);
        plugins.push(engine.load(spec).await.unwrap());
    }
    let [victim, thief] = plugins.as_slice() else { panic!() };
    keep(victim, "set card 4111", Mode::Live).await.unwrap();
    for key in ["card", "victim/card", "../victim/card", "kv/victim/card", "victim\0card", "../kv/victim/card"] {
        let said = keep(thief, &format!("get {key}\nexists {key}\nkeys"), Mode::Live).await.unwrap();
        assert!(!format!("{said:?}").contains("4111") && said["1"] == "false", "{key}: {said:?}");
    }
    for bucket in ["victim", "kv/victim", "default/../victim", "*", "../default"] {
        let said = keep(thief, &format!("open {bucket}"), Mode::Live).await.unwrap();
        assert!(said["0"].starts_with("Err("), "{bucket}: {said:?}");
    }
    // Writing and deleting under the same name is about its own.
    keep(thief, "set card mine\ndelete card", Mode::Live).await.unwrap();
    assert_eq!(keep(victim, "get card", Mode::Live).await.unwrap()["0"], "4111");
    // A rehearsal sees what is there, and leaves nothing.
    let said = keep(victim, "set card 9\nget card", Mode::Rehearsal).await.unwrap();
    assert_eq!(said["1"], "9");
    assert_eq!(keep(victim, "get card", Mode::Live).await.unwrap()["0"], "4111");
}

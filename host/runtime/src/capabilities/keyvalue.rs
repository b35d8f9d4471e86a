//! What a plugin remembers, as `wasi:keyvalue/store` shows it.
//!
//! A call's writes are kept beside the store until it has answered, and are written all at once then. So a call that
//! broke off leaves nothing half done, and a rehearsal leaves nothing at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use patchbay_model::Failure;
use wasmtime::component::{HasSelf, Linker, Resource};

use self::bindings::wasi::keyvalue::store::{self, Error, KeyResponse};
use super::denials::Denials;
use super::policy::Denial;
use crate::call::Mode;
use crate::keyvalue::{KeyValue, KeyValueError};
use crate::limits;
use crate::state::{Facts, State};

/// Generated from the shape of `wasi:keyvalue` that the contract comes with.
mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    #![allow(clippy::all, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "generated")]

    wasmtime::component::bindgen!({
        path: "../../wit/0.2/deps/wasi-keyvalue",
        inline: "
            package patchbay:host;

            world storage {
                import wasi:keyvalue/store@0.2.0-draft;
            }
        ",
        world: "patchbay:host/storage",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": crate::capabilities::keyvalue::Bucket },
    });
}

/// The names of the one bucket that a plugin has.
const BUCKETS: [&str; 2] = ["default", ""];

/// A plugin's handle of its bucket. There is one, so it says nothing.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket;

/// Links what a plugin may import for it, in every version of the contract.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    store::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// What one call has written, over what is kept.
pub(crate) struct Overlay {
    kept: Arc<dyn KeyValue>,
    mode: Mode,
    denials: Denials,
    /// No value: removed.
    writes: BTreeMap<String, Option<Bytes>>,
    /// What is kept, bytes; asked for at the first write.
    used: Option<u64>,
    /// What the keys that are written had before, bytes; asked for when it matters.
    replaced: BTreeMap<String, u64>,
    /// The keys as they were when the plugin began to list them, so that its pages fit together.
    listed: Vec<String>,
}

impl Overlay {
    pub(crate) const fn new(kept: Arc<dyn KeyValue>, mode: Mode, denials: Denials) -> Self {
        Self { kept, mode, denials, writes: BTreeMap::new(), used: None, replaced: BTreeMap::new(), listed: Vec::new() }
    }

    async fn get(&self, facts: &Facts, key: &str) -> Result<Option<Bytes>, Error> {
        check_key(key)?;
        match self.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.kept.get(&facts.name, key).await.map_err(unreadable),
        }
    }

    async fn put(&mut self, facts: &Facts, key: String, value: Option<Bytes>) -> Result<(), Error> {
        check_key(&key)?;
        if let Some(value) = value.as_ref().filter(|value| value.len() > limits::KEYVALUE_VALUE) {
            let (size, most) = (value.len(), limits::KEYVALUE_VALUE);
            return Err(Error::Other(format!("the value has {size} bytes; {most} are the most")));
        }
        if self.writes.len() >= limits::KEYVALUE_WRITES && !self.writes.contains_key(&key) {
            let most = limits::KEYVALUE_WRITES;
            return Err(Error::Other(format!("a call may write {most} keys at the most: write fewer")));
        }
        let others = self.writes.iter().filter(|(other, _)| **other != key);
        let written = others.map(|(key, value)| size(key, value.as_ref())).sum::<u64>();
        let written = written.saturating_add(size(&key, value.as_ref()));
        if value.is_some() {
            if written > limits::KEYVALUE_BYTES {
                let most = limits::KEYVALUE_BYTES;
                return Err(Error::Other(format!("a call may write {most} bytes at the most: write fewer")));
            }
            self.check_room(facts, &key, written).await?;
        }
        self.writes.insert(key, value);
        Ok(())
    }

    /// Whether there is room for `written` bytes in this call's keys, of which `key` is to be one. What others write
    /// meanwhile shows when all is kept; so does a store that cannot be asked now, which is no fault of the write.
    async fn check_room(&mut self, facts: &Facts, key: &str, written: u64) -> Result<(), Error> {
        let quota = facts.keyvalue.unwrap_or_default();
        if self.used.is_none() {
            self.used = self.kept.used(&facts.name).await.ok();
        }
        let Some(used) = self.used else { return Ok(()) };
        let mut after = used.saturating_add(written);
        if after <= quota {
            return Ok(());
        }
        // What these keys had before goes.
        for each in self.writes.keys().map(String::as_str).filter(|other| *other != key).chain([key]) {
            let before = match self.replaced.get(each) {
                Some(before) => *before,
                None => {
                    let Ok(kept) = self.kept.get(&facts.name, each).await else { return Ok(()) };
                    let before = size(each, kept.as_ref());
                    if self.replaced.len() < limits::KEYVALUE_WRITES {
                        self.replaced.insert(each.to_owned(), before);
                    }
                    before
                }
            };
            after = after.saturating_sub(before);
        }
        if after <= quota.max(used) { Ok(()) } else { Err(Error::Other(self.full(facts, used, after, quota))) }
    }

    /// A page of the keys; without a cursor, the first one of a new listing.
    async fn keys(&mut self, facts: &Facts, cursor: Option<u64>) -> Result<KeyResponse, Error> {
        if cursor.is_none() {
            let kept = self.kept.keys(&facts.name).await.map_err(unreadable)?;
            let mut keys: BTreeSet<String> = kept.into_iter().collect();
            for (key, value) in &self.writes {
                if value.is_some() {
                    keys.insert(key.clone());
                } else {
                    keys.remove(key);
                }
            }
            self.listed = keys.into_iter().collect();
        }
        let begin = usize::try_from(cursor.unwrap_or_default()).unwrap_or(usize::MAX).min(self.listed.len());
        let end = begin.saturating_add(limits::KEYVALUE_PAGE).min(self.listed.len());
        let keys = self.listed.get(begin..end).unwrap_or_default().to_vec();
        Ok(KeyResponse { keys, cursor: (end < self.listed.len()).then_some(end as u64) })
    }

    /// Writes what the call wrote; to be called when it has answered well, and before anybody sees the answer. A
    /// rehearsal's writes are thrown away.
    pub(crate) async fn keep(&mut self, facts: &Facts) -> Result<(), Failure> {
        if self.writes.is_empty() || self.mode == Mode::Rehearsal {
            return Ok(());
        }
        let writes = std::mem::take(&mut self.writes).into_iter().collect();
        let quota = facts.keyvalue.unwrap_or_default();
        match self.kept.write(&facts.name, writes, quota).await {
            Ok(()) => Ok(()),
            Err(KeyValueError::Full { would_be, quota }) => {
                // Others have written since this call looked.
                let used = self.used.unwrap_or_default();
                Err(Failure::permanent(self.full(facts, used, would_be, quota)))
            }
            // The call itself has ended, and may have told somebody.
            Err(error @ KeyValueError::Unavailable(_)) => {
                Err(Failure::uncertain(format!("what the plugin wrote could not be kept: {error}")))
            }
        }
    }

    /// Tells the operator, and whoever asked, what to write for a plugin that wants to keep more than it may.
    fn full(&self, facts: &Facts, used: u64, would_be: u64, quota: u64) -> String {
        let (plugin, mebibytes) = (&facts.name, would_be.div_ceil(1 << 20));
        let denial = Denial {
            reason: "keyvalue-quota",
            why: format!("plugin `{plugin}` keeps {used} bytes, would keep {would_be}, and is granted {quota}"),
            remedy: format!("[plugins.{plugin}.grants]\nkeyvalue = \"{mebibytes}MiB\""),
        };
        self.denials.tell(&denial, None);
        denial.text()
    }
}

/// What a key and its value count for.
fn size(key: &str, value: Option<&Bytes>) -> u64 {
    value.map_or(0, |value| (key.len() as u64).saturating_add(value.len() as u64))
}

/// The sentence names no key: a plugin may have made it of a phone number.
fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        1..=limits::KEYVALUE_KEY => Ok(()),
        length => {
            Err(Error::Other(format!("a key has 1 to {} bytes, and this one has {length}", limits::KEYVALUE_KEY)))
        }
    }
}

fn unreadable(error: KeyValueError) -> Error {
    Error::Other(error.to_string())
}

impl store::Host for State {
    async fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        if self.facts.keyvalue.is_none() {
            // The check of the imports refuses such a plugin; this one does not depend on it.
            return Ok(Err(Error::AccessDenied));
        }
        if !BUCKETS.contains(&identifier.as_str()) {
            return Ok(Err(Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket)?))
    }
}

impl store::HostBucket for State {
    async fn get(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(self.overlay.get(&self.facts, &key).await.map(|value| value.map(Into::into)))
    }

    async fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.overlay.put(&self.facts, key, Some(value.into())).await)
    }

    async fn delete(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.overlay.put(&self.facts, key, None).await)
    }

    async fn exists(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.overlay.get(&self.facts, &key).await.map(|value| value.is_some()))
    }

    async fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        Ok(self.overlay.keys(&self.facts, cursor).await)
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

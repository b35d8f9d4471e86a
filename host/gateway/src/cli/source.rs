//! Where a command looks: a running gateway, or a store that no gateway runs on.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use patchbay_store::embedded::EmbeddedOptions;
use patchbay_store::{EmbeddedStore, Stats, Store, StoreError, Verification};
use serde_json::Value;

use super::args::SourceArgs;
use super::client::Client;
use super::failure::{failed, refused, wrong};
use crate::config::{Config, Secrets, StoreKind};
use crate::http::api::decisions::{self, Found};
use crate::http::api::events::{self, EventsQuery};
use crate::http::api::letters::{self, LettersQuery};
use crate::serve::build;

/// Where a command looks.
#[derive(Debug)]
pub enum Source {
    /// A running gateway.
    Gateway(Client),
    /// A store that no gateway runs on.
    Store(Arc<dyn Store>),
}

impl Source {
    /// As the flags say.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn open(args: &SourceArgs) -> anyhow::Result<Self> {
        match &args.config {
            Some(path) => Ok(Self::Store(store(&config(path)?).await?)),
            None => Ok(Self::Gateway(Client::new(&args.gateway)?)),
        }
    }

    /// Lets go of the store.
    pub async fn close(self) {
        if let Self::Store(store) = self {
            store.close().await;
        }
    }

    /// The events that match, newest first.
    ///
    /// # Errors
    /// When the gateway does not answer, or the store cannot be read; so for all that follow.
    pub async fn events(&self, query: &EventsQuery) -> anyhow::Result<Vec<Value>> {
        match self {
            Self::Gateway(client) => {
                let texts = [
                    ("conversation", query.conversation.clone()),
                    ("kind", query.kind.clone()),
                    ("since", query.since.clone()),
                    ("limit", query.limit.map(|limit| limit.to_string())),
                    ("pending", query.pending.then(|| "true".to_owned())),
                ];
                rows(client.get("/v1/events", &given(texts)).await?)
            }
            Self::Store(store) => Ok(events::listed(&**store, &query.filter().map_err(wrong)?).await?),
        }
    }

    /// One event.
    pub async fn event(&self, id: &str) -> anyhow::Result<Option<Value>> {
        match self {
            Self::Gateway(client) => client.find(&format!("/v1/events/{}", plain(id)?)).await,
            Self::Store(store) => Ok(events::shown(&**store, id).await?),
        }
    }

    /// How an event was decided.
    pub async fn decision(&self, id: &str) -> anyhow::Result<Found> {
        match self {
            Self::Gateway(client) => {
                let answer = client.find(&format!("/v1/events/{}/decision", plain(id)?)).await?;
                let Some(answer) = answer else { return Ok(Found::NoEvent) };
                let read = serde_json::from_value(answer);
                Ok(Found::Decided(read.context("the gateway's answer cannot be read: is it of this version?")?))
            }
            Self::Store(store) => Ok(decisions::found(&**store, id).await?),
        }
    }

    /// The dead letters that match, newest first.
    pub async fn letters(&self, query: &LettersQuery) -> anyhow::Result<Vec<Value>> {
        match self {
            Self::Gateway(client) => {
                let texts = [("lane", query.lane.clone()), ("limit", query.limit.map(|limit| limit.to_string()))];
                rows(client.get("/v1/dead-letters", &given(texts)).await?)
            }
            Self::Store(store) => Ok(letters::listed(&**store, query).await?),
        }
    }

    /// One dead letter.
    pub async fn letter(&self, task: &str) -> anyhow::Result<Option<Value>> {
        match self {
            Self::Gateway(client) => client.find(&format!("/v1/dead-letters/{}", plain(task)?)).await,
            Self::Store(store) => Ok(letters::shown(&**store, task).await?),
        }
    }

    /// The store in numbers.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        match self {
            Self::Gateway(client) => {
                let stats = client.get("/v1/store/stats", &[]).await?;
                serde_json::from_value(stats).context("the gateway's numbers cannot be read: is it of this version?")
            }
            Self::Store(store) => Ok(store.stats().await?),
        }
    }

    /// What is wrong with the store.
    pub async fn verify(&self) -> anyhow::Result<Verification> {
        match self {
            Self::Gateway(client) => {
                let found = client.post("/v1/store/verify", &Value::Null, None).await?;
                serde_json::from_value(found).context("the gateway's answer cannot be read: is it of this version?")
            }
            Self::Store(store) => Ok(store.verify().await?),
        }
    }
}

/// An id as a part of a path: whatever is no word is no id.
pub(super) fn plain(id: &str) -> anyhow::Result<&str> {
    let word = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if word { Ok(id) } else { Err(wrong(format!("`{id}` is no id: events begin with `ev_`, tasks with `ta_`"))) }
}

fn given<const N: usize>(texts: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    texts.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
}

fn rows(answer: Value) -> anyhow::Result<Vec<Value>> {
    match answer {
        Value::Array(rows) => Ok(rows),
        _ => Err(failed("the gateway's answer is no list: is it of this version?")),
    }
}

/// The configuration of a file. Secrets are looked at where they are needed.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn config(path: &Path) -> anyhow::Result<Config> {
    let checked = Config::check(path, Secrets::Unseen);
    checked.config.ok_or_else(|| checked.problems.into())
}

/// The store that a configuration names, which is there already.
///
/// # Errors
/// There is none, or a gateway runs on it.
pub(super) async fn store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    if config.store.kind == StoreKind::Embedded && !config.store_path().exists() {
        return Err(failed(format!("there is no store at {}", config.store_path().display())));
    }
    build::store(config).await.map_err(in_use)
}

/// The embedded store of a file, which is made where it is missing.
///
/// # Errors
/// A gateway runs on it, or it is no store.
pub(super) fn embedded(path: &Path, partitions: u16) -> anyhow::Result<Arc<dyn Store>> {
    let options = EmbeddedOptions { partitions, ..EmbeddedOptions::default() };
    let store = EmbeddedStore::open(path, options);
    let store = store.with_context(|| format!("cannot open the store {}", path.display()));
    Ok(Arc::new(store.map_err(in_use)?))
}

/// What to type where another process has the file.
pub(super) fn in_use(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(StoreError::Unsuitable(reason)) if reason.contains("in use by another process") => refused(format!(
            "{reason}. A running gateway is asked with --url URL instead of --config, where the command has it"
        )),
        _ => error,
    }
}

//! How the configuration's plugins come into their slots: at the start, and at each reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use patchbay_runtime::Role;

use crate::config::Config;
use crate::engine::slot::Slot;

/// Brings what runs up to the `[plugins]` of a configuration, in two steps, so that a reload is all or nothing.
#[async_trait]
pub trait Deploy: std::fmt::Debug + Send + Sync {
    /// Makes everything ready that these plugins need (read, checked, compiled), and changes nothing.
    ///
    /// # Errors
    /// What is wrong with which plugin, for people, with what to write or type next.
    async fn prepare(&self, config: &Config) -> anyhow::Result<Box<dyn Ready>>;
}

/// Plugins that are ready to run.
#[async_trait]
pub trait Ready: Send + Sync {
    /// The slot of each plugin of the configuration: the ones that there are, still with what runs in them, and new ones.
    fn slots(&self) -> &BTreeMap<String, Arc<Slot>>;

    /// What this plugin can do as it will be; none: there is no such plugin.
    fn roles(&self, plugin: &str) -> Option<Vec<Role>>;

    /// Swaps all of it in, or nothing. Slots of plugins that are in the configuration no more are taken out by the caller.
    /// Gives a sentence for each plugin that is another one now, for people.
    ///
    /// # Errors
    /// When it could not be written down; nothing has changed then.
    async fn apply(self: Box<Self>) -> anyhow::Result<Vec<String>>;
}

//! A plugin in the real runtime, without a gateway around it: for what one credential does to one request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use patchbay_model::Timestamp;
use patchbay_runtime::{
    Call, Credential, Engine, EngineOptions, Grants, HostPattern, HttpGrant, Limits, Mode, Plugin, PluginSpec,
    TokenStore,
};

use crate::binary::{asking_guest, compiled_guests};

/// The plugin, and the engine that it runs in.
#[derive(Debug)]
pub struct Sandbox {
    _engine: Engine,
    plugin: Plugin,
}

impl Sandbox {
    /// A plugin that may ask this port of this machine, with this credential. `tokens`: where refresh tokens are kept; in
    /// memory, if nowhere else.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn open(port: u16, credential: Credential, tokens: Option<Arc<dyn TokenStore>>) -> Result<Self> {
        let mut options = EngineOptions { cache_dir: Some(compiled_guests()), ..EngineOptions::default() };
        if let Some(tokens) = tokens {
            options.tokens = tokens;
        }
        let engine = Engine::new(options)?;
        let grant = HttpGrant {
            ports: vec![port],
            plain_http: true,
            private_network: true,
            credential: Some(credential),
            ..HttpGrant::https(HostPattern::parse("127.0.0.1")?)
        };
        let spec = PluginSpec {
            name: "asking".into(),
            generation: 1,
            component: std::fs::read(asking_guest()?).context("the guest")?.into(),
            settings: serde_json::Map::new(),
            grants: Grants { http: vec![grant], media: true, keyvalue: None },
            secrets: BTreeMap::new(),
            limits: Limits::default(),
        };
        let plugin = engine.load(spec).await?;
        Ok(Self { _engine: engine, plugin })
    }

    /// Has the plugin do this; gives what came of it: `status`, the headers and `body`.
    ///
    /// # Errors
    /// When the plugin fails.
    pub async fn ask(&self, command: &str) -> Result<BTreeMap<String, String>> {
        let call = Call {
            subject: "ta_1".into(),
            attempt: 1,
            now: Timestamp::now(),
            deterministic: false,
            mode: Mode::Live,
            timeout: Duration::from_secs(60),
            desk: Some("asking".into()),
        };
        let said = self.plugin.read_ticket(command, &call).await;
        let said = said.map_err(|error| anyhow::anyhow!("{command}: {error}"))?;
        Ok(said.entries.into_iter().map(|(key, value)| (key, value.into_inner())).collect())
    }
}

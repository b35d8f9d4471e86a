//! Versions of a plugin, made of one component: each with a manifest of its own, and with golden events where they are wanted.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use patchbay_artefact::component::pack;
use patchbay_artefact::manifest::{Manifest, WantedHost, Wants};
use patchbay_model::golden::Golden;

/// What a version is to be.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// As in `1.2.0`.
    pub version: String,
    /// Hosts that it asks for.
    pub hosts: Vec<String>,
    /// The JSON Schema of its settings.
    pub schema: Option<serde_json::Value>,
    /// Its golden events.
    pub golden: Vec<Golden>,
}

impl Version {
    /// This version, which asks for nothing.
    #[must_use]
    pub fn of(version: &str) -> Self {
        Self { version: version.to_owned(), ..Self::default() }
    }

    /// The shipped router as this version, in a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn of_router(&self, folder: &Path) -> Result<PathBuf> {
        let component = patchbay_builtin::component("keyword-router").context("no such plugin")?;
        self.write(component, folder)
    }

    /// This component as this version, in a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn write(&self, component: &[u8], folder: &Path) -> Result<PathBuf> {
        let host = |host: &String| WantedHost {
            host: host.clone(),
            methods: vec!["GET".into()],
            paths: Vec::new(),
            about: "to look things up".into(),
        };
        let manifest = Manifest {
            name: "acme-router".into(),
            version: self.version.clone(),
            description: "Routes.".into(),
            wants: Wants { http: self.hosts.iter().map(host).collect(), ..Wants::default() },
            settings: self.schema.clone(),
            secrets: Vec::new(),
        };
        let file = folder.join(format!("router-{}.wasm", self.version));
        std::fs::write(&file, pack(component, &manifest, &self.golden)?)?;
        Ok(file)
    }
}

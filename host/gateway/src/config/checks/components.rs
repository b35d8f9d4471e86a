//! What the components that a file names say about themselves, against what the file says of them: settings, secrets, grants,
//! roles.

use std::collections::BTreeSet;

use bytes::Bytes;
use patchbay_artefact::component::{self, COMPONENT_MOST};
use patchbay_artefact::manifest::Manifest;
use patchbay_artefact::settings::{misfits, missing_secrets};
use patchbay_runtime::{Inspection, Need, Role, inspect};

use super::Check;
use crate::config::{Config, Plugin, Source};

/// Checks every plugin whose component is at hand: one that ships with the gateway, or in a file. What a registry has is
/// looked at when it is pulled.
pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, plugin) in &config.plugins {
        let Some(bytes) = bytes(&plugin.source) else { continue };
        let source = format!("plugins.{name}.source");
        match read(&bytes) {
            Ok((inspection, manifest)) => {
                roles(check, name, &inspection);
                grants(check, name, plugin, &inspection);
                if let Some(manifest) = manifest {
                    secrets(check, name, plugin, &manifest);
                    settings(check, name, plugin, &manifest);
                }
            }
            Err(problem) => check.error(&source, problem, "build or fetch the plugin again"),
        }
    }
}

/// Nothing where the file cannot be read, or is something else: that is said already.
fn bytes(source: &Source) -> Option<Bytes> {
    match source {
        Source::Builtin(name) => patchbay_builtin::component(name).map(Bytes::from_static),
        Source::File(path) => {
            let size = std::fs::metadata(path).ok()?.len();
            let fits = usize::try_from(size).is_ok_and(|size| size <= COMPONENT_MOST);
            let bytes = if fits { std::fs::read(path).ok()? } else { return None };
            super::references::is_component(&bytes).then(|| bytes.into())
        }
        Source::Registry(_) => None,
    }
}

fn read(bytes: &[u8]) -> Result<(Inspection, Option<Manifest>), String> {
    let inspection = inspect(bytes).map_err(|error| error.to_string())?;
    Ok((inspection, component::manifest(bytes).map_err(|error| error.to_string())?))
}

/// What desks and chains ask of it.
fn roles(check: &mut Check<'_>, name: &str, inspection: &Inspection) {
    let config: &Config = check.config;
    let has: Vec<&str> = inspection.roles.iter().map(|role| role.as_str()).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    let desks = config.desks.iter().filter(|(_, desk)| desk.plugin == name);
    let mut wrong: Vec<(String, Role)> = desks.map(|(desk, _)| (format!("desks.{desk}.plugin"), Role::Desk)).collect();
    for (index, chain) in config.chains.iter().enumerate() {
        let steps = chain.steps.iter().enumerate().filter(|(_, step)| step.plugin == name);
        wrong.extend(steps.map(|(step, _)| (format!("chains[{index}].steps[{step}].plugin"), Role::Handler)));
    }
    for (key, role) in wrong.into_iter().filter(|(_, role)| !inspection.roles.contains(role)) {
        let role = role.as_str();
        check.error(&key, format!("the plugin `{name}` is no {role}: its roles are {has}"), format!("name a {role}"));
    }
}

/// Without these the component is not loaded.
fn grants(check: &mut Check<'_>, name: &str, plugin: &Plugin, inspection: &Inspection) {
    let section = format!("plugins.{name}.grants");
    if check.findings.is_broken(&section) {
        return;
    }
    let (mut http, mut media, mut keyvalue) = (false, false, false);
    for import in &inspection.imports {
        match &import.need {
            Need::Nothing => {}
            Need::Grants { http: its_http, media: its_media, keyvalue: its_keyvalue } => {
                (http, media, keyvalue) = (http || *its_http, media || *its_media, keyvalue || *its_keyvalue);
            }
            Need::Never { why, remedy } => {
                let message = format!("the component imports {}: {why}", import.name);
                check.error(&format!("plugins.{name}.source"), message, remedy.clone());
            }
        }
    }
    let mut missing = |needed: bool, message: &str, fix: String| {
        if needed {
            check.error(&section, format!("the plugin `{name}` {message}"), fix);
        }
    };
    let hosts = format!("add [[{section}.http]] with host = \"…\"");
    missing(http && plugin.grants.http.is_empty(), "makes requests, and no host is granted to it", hosts);
    let fix = |line: &str| format!("write {line} under [{section}]");
    missing(media && !plugin.grants.media, "handles stored media, which are not granted to it", fix("media = true"));
    let bytes = fix("keyvalue = \"1MiB\"");
    missing(keyvalue && plugin.grants.keyvalue.is_none(), "keeps keys and values, which are not granted to it", bytes);
}

/// Those that its manifest wants. That a desk has no `webhook` is said of every desk.
fn secrets(check: &mut Check<'_>, name: &str, plugin: &Plugin, manifest: &Manifest) {
    let section = format!("plugins.{name}.secrets");
    let desk = check.config.desks.values().any(|desk| desk.plugin == name);
    let absent = manifest.secrets.iter().filter(|wanted| !plugin.secrets.contains_key(&wanted.name));
    for wanted in absent.filter(|wanted| !(desk && wanted.name == "webhook")) {
        let about = if wanted.about.is_empty() { String::new() } else { format!(" ({})", wanted.about) };
        let message = format!("the plugin `{name}` wants the secret `{}`{about}", wanted.name);
        check.warning(&section, message, format!("write {} = \"env:…\" under [{section}]", wanted.name));
    }
}

fn settings(check: &mut Check<'_>, name: &str, plugin: &Plugin, manifest: &Manifest) {
    let Some(schema) = &manifest.settings else { return };
    let section = format!("plugins.{name}.settings");
    for misfit in misfits(schema, &plugin.settings) {
        let key = if misfit.at.is_empty() { section.clone() } else { format!("{section}.{}", misfit.at) };
        if misfit.hidden {
            check.tree.texts_of(&key, &mut check.findings.hidden);
        }
        check.error(&key, misfit.problem, misfit.fix);
    }
    let given: BTreeSet<String> = plugin.secrets.keys().cloned().collect();
    for secret in missing_secrets(schema, &given) {
        let section = format!("plugins.{name}.secrets");
        let fix = format!("write {secret} = \"env:…\" under [{section}]");
        check.error(&format!("{section}.{secret}"), format!("the secret `{secret}` is missing"), fix);
    }
}

//! Names that one section says and another has to know; files and built-in plugins that have to exist.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use super::Check;
use crate::config::rules::covers;
use crate::config::shape::nearest;
use crate::config::{Chain, Source};

/// The first bytes of a WebAssembly component: the magic number, then version 13 and layer 1.
const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
/// The first bytes of a core module.
const MODULE: [u8; 8] = [0, b'a', b's', b'm', 1, 0, 0, 0];

pub(super) fn check(check: &mut Check<'_>) {
    names(check);
    sources(check);
    unused(check);
    desks(check);
    chains(check);
}

/// Says which of `known` was probably meant, or which section is missing.
fn instead<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone, section: &str) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("write \"{near}\""),
        None if known.clone().next().is_none() => format!("add a section {section}"),
        None => format!("write one of {}, or add a section {section}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn names(check: &mut Check<'_>) {
    let config = check.config;
    let plugin = |name: &str| instead(name, config.plugins.keys().map(String::as_str), &format!("[plugins.{name}]"));
    for (desk, settings) in &config.desks {
        if !config.plugins.contains_key(&settings.plugin) {
            let message = format!("there is no plugin `{}`", settings.plugin);
            check.error(&format!("desks.{desk}.plugin"), message, plugin(&settings.plugin));
        }
    }
    for (index, chain) in config.chains.iter().enumerate() {
        for (step_index, step) in chain.steps.iter().enumerate() {
            if !config.plugins.contains_key(&step.plugin) {
                let key = format!("chains[{index}].steps[{step_index}].plugin");
                check.error(&key, format!("there is no plugin `{}`", step.plugin), plugin(&step.plugin));
            }
        }
        if let Some(fallback) = chain.fallback.as_ref().filter(|fallback| !config.desks.contains_key(&fallback.desk)) {
            let desks = config.desks.keys().map(String::as_str);
            let fix = instead(&fallback.desk, desks, &format!("[desks.{}]", fallback.desk));
            let message = format!("there is no desk `{}`", fallback.desk);
            check.error(&format!("chains[{index}].fallback.desk"), message, fix);
        }
        let not = chain.matches.not.as_ref();
        let unwanted = not.into_iter().flat_map(|not| not.channels.iter().enumerate());
        let listed = chain.matches.channels.iter().enumerate().map(|place| ("match", place));
        for (table, (place, channel)) in listed.chain(unwanted.map(|place| ("match.not", place))) {
            let numbers = config.whatsapp.numbers.iter().map(|number| number.name.as_str());
            if !numbers.clone().any(|name| name == channel) {
                let fix = instead(channel, numbers, "[[whatsapp.numbers]] with that name");
                check.error(
                    &format!("chains[{index}].{table}.channels[{place}]"),
                    format!("there is no number `{channel}`"),
                    fix,
                );
            }
        }
    }
    for (name, settings) in &config.plugins {
        for (index, grant) in settings.grants.http.iter().enumerate() {
            let Some(credential) = grant.credential.as_ref().filter(|name| !config.credentials.contains_key(*name))
            else {
                continue;
            };
            let known = config.credentials.keys().map(String::as_str);
            let fix = instead(credential, known, &format!("[credentials.{credential}]"));
            let key = format!("plugins.{name}.grants.http[{index}].credential");
            check.error(&key, format!("there is no credential `{credential}`"), fix);
        }
    }
}

/// Whether what a plugin comes from is there.
fn sources(check: &mut Check<'_>) {
    let config = check.config;
    for (name, plugin) in &config.plugins {
        let key = format!("plugins.{name}.source");
        match &plugin.source {
            Source::Builtin(builtin) => {
                let known = patchbay_builtin::names();
                if !known.contains(&builtin.as_str()) {
                    let fix = match nearest(builtin, known.iter().copied()) {
                        Some(near) => format!("write \"builtin:{near}\""),
                        None => format!("write one of builtin:{}, or file:PATH", known.join(", builtin:")),
                    };
                    check.error(&key, format!("no plugin `{builtin}` ships with the gateway"), fix);
                }
            }
            Source::File(path) => {
                if let Err((message, fix)) = component(path) {
                    check.error(&key, message, fix);
                }
            }
            // Whether it is there, the registry says when the gateway starts.
            Source::Registry(_) => {}
        }
    }
}

/// Whether the file begins like a component.
fn component(path: &Path) -> Result<(), (String, String)> {
    let mut begin = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(8).read_to_end(&mut begin));
    let shown = path.display();
    match read {
        Err(error) => Err((
            format!("cannot read {shown}: {error}"),
            "write the path of the plugin's .wasm file; a relative one counts from this configuration file".into(),
        )),
        Ok(_) if begin == COMPONENT => Ok(()),
        Ok(_) if begin == MODULE => Err((
            format!("{shown} is a core WebAssembly module, not a component"),
            "build the plugin with --target wasm32-wasip2".into(),
        )),
        Ok(_) => Err((
            format!("{shown} is not a WebAssembly component"),
            "name the .wasm file that the plugin's build gives".into(),
        )),
    }
}

/// Whether the bytes begin like a component.
pub(super) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(&COMPONENT)
}

/// Plugins and credentials that nothing uses.
fn unused(check: &mut Check<'_>) {
    let config = check.config;
    let steps = config.chains.iter().flat_map(|chain| &chain.steps).map(|step| step.plugin.as_str());
    let used: BTreeSet<&str> = steps.chain(config.desks.values().map(|desk| desk.plugin.as_str())).collect();
    for name in config.plugins.keys().filter(|name| !used.contains(name.as_str())) {
        check.warning(
            &format!("plugins.{name}"),
            format!("nothing uses the plugin `{name}`"),
            format!("name it in a chain's steps or in a desk, or take [plugins.{name}] out"),
        );
    }
    let bound: BTreeSet<&str> = config
        .plugins
        .values()
        .flat_map(|plugin| &plugin.grants.http)
        .filter_map(|grant| grant.credential.as_deref())
        .collect();
    for name in config.credentials.keys().filter(|name| !bound.contains(name.as_str())) {
        check.warning(
            &format!("credentials.{name}"),
            format!("no grant uses the credential `{name}`"),
            format!("write credential = \"{name}\" in a [[plugins.NAME.grants.http]], or take it out"),
        );
    }
}

/// What a desk needs of its plugin.
fn desks(check: &mut Check<'_>) {
    let config = check.config;
    for (name, desk) in &config.desks {
        let Some(plugin) = config.plugins.get(&desk.plugin) else { continue };
        let section = format!("plugins.{}", desk.plugin);
        if plugin.grants.http.is_empty() && !check.findings.is_broken(&format!("{section}.grants")) {
            check.warning(
                &format!("desks.{name}"),
                format!("the desk's plugin `{}` may call no host: it cannot reach its ticket system", desk.plugin),
                format!("add [[{section}.grants.http]] with host = \"…\""),
            );
        }
        if !plugin.secrets.contains_key("webhook") && !check.findings.is_broken(&format!("{section}.secrets")) {
            check.warning(
                &format!("desks.{name}"),
                format!("the desk's plugin `{}` has no secret `webhook`: agents' replies are refused", desk.plugin),
                format!("add [{section}.secrets] with webhook = \"env:…\""),
            );
        }
    }
}

/// Chains that decide about nothing.
fn chains(check: &mut Check<'_>) {
    let config = check.config;
    if config.chains.is_empty() {
        check.warning(
            "chains",
            "there is no chain: events are kept, and nothing is done about them",
            "add a section [[chains]]",
        );
    }
    for (index, chain) in config.chains.iter().enumerate() {
        let before = config.chains.iter().take(index).find(|before| swallows(before, chain));
        if let Some(before) = before {
            check.warning(
                &format!("chains[{index}].name"),
                format!("`{}` never decides: the chain `{}` before it takes the same events", chain.name, before.name),
                "put it in front, or make the other one's match narrower",
            );
        }
    }
}

/// Whether every event that `later` matches is one of `before`.
fn swallows(before: &Chain, later: &Chain) -> bool {
    let (wide, narrow) = (&before.matches, &later.matches);
    if !wide.is_plain() {
        return false;
    }
    let channels = wide.channels.is_empty()
        || (!narrow.channels.is_empty() && narrow.channels.iter().all(|channel| wide.channels.contains(channel)));
    channels && narrow.kinds.iter().all(|kind| wide.kinds.iter().any(|prefix| covers(prefix, kind)))
}

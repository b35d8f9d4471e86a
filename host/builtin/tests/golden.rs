//! What the shipped components say about themselves: their manifests fit their READMEs and each other, and every golden event
//! comes out as expected in the real sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use patchbay_artefact::settings::{misfits, missing_secrets, secrets};
use patchbay_artefact::{Manifest, Project, component};
use patchbay_runtime::{
    Engine, EngineOptions, Grants, HostPattern, HttpGrant, Limits, NoMedia, Plugin, PluginSpec, rehearse,
};
use serde_json::{Map, Value};

/// Golden events that each plugin has at the least.
const LEAST: usize = 3;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(name)
}

fn bytes(name: &str) -> Bytes {
    Bytes::from_static(patchbay_builtin::component(name).unwrap())
}

fn manifest(name: &str) -> Manifest {
    component::manifest(&bytes(name)).unwrap().unwrap()
}

/// As the manifest wants it.
async fn load(engine: &Engine, name: &str) -> Plugin {
    let wants = manifest(name).wants;
    let grant =
        |wanted: &patchbay_artefact::manifest::WantedHost| HttpGrant::https(HostPattern::parse(&wanted.host).unwrap());
    let spec = PluginSpec {
        name: name.to_owned(),
        generation: 1,
        component: bytes(name),
        settings: Map::new(),
        grants: Grants { http: wants.http.iter().map(grant).collect(), media: wants.media, keyvalue: wants.keyvalue },
        secrets: BTreeMap::new(),
        limits: Limits::default(),
    };
    engine.load(spec).await.unwrap()
}

#[tokio::test]
async fn every_golden_event_comes_out_as_expected() {
    let mut options = EngineOptions::new(Arc::new(NoMedia));
    options.concurrent_calls = 4;
    let engine = Engine::new(options).unwrap();
    let mut wrong = Vec::new();
    for name in patchbay_builtin::names() {
        let plugin = load(&engine, name).await;
        let golden = component::golden(&bytes(name)).unwrap();
        assert!(golden.len() >= LEAST, "{name} has {} golden events", golden.len());
        let schema = manifest(name).settings.unwrap();
        let begun = Instant::now();
        for golden in &golden {
            assert_eq!(misfits(&schema, &golden.settings), [], "{name}, {}", golden.name);
            let result = rehearse(&plugin, golden).await;
            if !result.passed {
                wrong.push(format!("{name}, {}: {}", result.name, result.differences.join("\n  ")));
            }
        }
        println!("{name}: {} golden events in {:.1?}", golden.len(), begun.elapsed());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The versions of a build belong together, and what is packed is what lies in the folder.
#[test]
fn manifests_are_those_of_the_folders() {
    for name in patchbay_builtin::names() {
        let project = Project::read(folder(name)).unwrap();
        assert_eq!(&manifest(name), project.manifest(), "{name}");
        assert_eq!(component::golden(&bytes(name)).unwrap(), project.golden(), "{name}");
        assert_eq!(manifest(name).version, env!("CARGO_PKG_VERSION"), "{name}");
        assert!(!manifest(name).description.is_empty(), "{name}");
    }
}

/// Every setting is explained to whoever fills in a form, and every example fits.
#[test]
fn every_setting_has_a_title_a_description_and_what_to_write() {
    for name in patchbay_builtin::names() {
        let schema = manifest(name).settings.unwrap();
        let all = schema["properties"].as_object().unwrap();
        let rule = schema.pointer("/$defs/rule/properties").and_then(Value::as_object);
        for (setting, own) in all.iter().chain(rule.into_iter().flatten()) {
            let inherited = own["$ref"].as_str().map_or(own, |to| schema.pointer(&to[1..]).unwrap());
            for key in ["title", "description"] {
                let said = own.get(key).or_else(|| inherited.get(key)).and_then(Value::as_str);
                assert!(said.is_some_and(|said| !said.is_empty()), "{name}: {setting} has no {key}");
            }
            if own["writeOnly"] == Value::Bool(true) {
                continue;
            }
            let shown = own
                .get("examples")
                .or_else(|| inherited.get("examples"))
                .map_or_else(Vec::new, |examples| examples.as_array().unwrap().clone());
            let default = own.get("default").or_else(|| inherited.get("default")).cloned();
            assert!(default.is_some() || !shown.is_empty(), "{name}: nothing shows what to write for {setting}");
            let mut part = schema.clone();
            part["properties"] = serde_json::json!({ setting: own });
            part["required"] = serde_json::json!([]);
            for value in shown.into_iter().chain(default) {
                let settings = Map::from_iter([(setting.clone(), value)]);
                assert_eq!(misfits(&part, &settings), [], "{name}: an example of {setting}");
            }
        }
        let of_manifest: Vec<String> = manifest(name).secrets.into_iter().map(|secret| secret.name).collect();
        assert_eq!(secrets(&schema).into_iter().collect::<Vec<_>>(), of_manifest, "{name}");
    }
}

/// The configuration in each README fits, and its table has every setting.
#[test]
fn readmes_show_what_fits() {
    for name in patchbay_builtin::names() {
        let schema = manifest(name).settings.unwrap();
        let readme = fs::read_to_string(folder(name).join("README.md")).unwrap();
        let block = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config: toml::Table = block.parse().unwrap();
        let plugin = &config["plugins"][*name];
        let settings: Value = plugin["settings"].clone().try_into().unwrap();
        assert_eq!(misfits(&schema, settings.as_object().unwrap()), [], "{name}");
        let given = plugin.get("secrets").and_then(|secrets| secrets.as_table());
        let given = given.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        assert!(missing_secrets(&schema, &given).is_empty(), "{name}");
        for setting in schema["properties"].as_object().unwrap().keys() {
            assert!(readme.contains(&format!("`{setting}`")) || readme.contains(&format!("`{setting}.")), "{setting}");
        }
    }
}

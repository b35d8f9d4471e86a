//! Functions that have the right name and another type: refused when they are loaded, with the function's name.

use std::path::Path;

use bytes::Bytes;
use patchbay_runtime::{HostPattern, HttpGrant, LoadError, Role};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use super::common::*;
use super::wat::bare_spec;

/// A component of this version's world, with one thing changed in the text of the contract. Its functions trap.
fn nearly(version: &str, world: &str, (from, to): (&str, &str)) -> Bytes {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(version);
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(contract.join("patchbay.wit")).unwrap();
    assert!(text.contains(from), "{version} has no `{from}`");
    std::fs::write(folder.path().join("patchbay.wit"), text.replacen(from, to, 1)).unwrap();
    if let Ok(packages) = std::fs::read_dir(contract.join("deps")) {
        for package in packages.map(|package| package.unwrap()) {
            let copy = folder.path().join("deps").join(package.file_name());
            std::fs::create_dir_all(&copy).unwrap();
            for file in std::fs::read_dir(package.path()).unwrap().map(|file| file.unwrap()) {
                std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
    }
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder.path()).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap().into()
}

/// With everything granted: what is refused is refused for its types.
async fn load(component: Bytes) -> Result<Vec<Role>, LoadError> {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let mut spec = bare_spec("acme", component);
    spec.grants.media = true;
    spec.grants.keyvalue = Some(1 << 20);
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("acme.com").unwrap()));
    engine.load(spec).await.map(|plugin| plugin.roles().to_vec())
}

#[tokio::test]
async fn the_contract_as_released_is_loaded() {
    for version in ["0.1", "0.2"] {
        for role in [Role::Handler, Role::Desk, Role::Inspector] {
            let world = format!("{}-plugin", role.as_str());
            let component = nearly(version, &world, ("package", "package"));
            assert_eq!(load(component).await.unwrap(), [role], "{version}");
        }
    }
}

#[tokio::test]
async fn another_type_under_the_right_name_is_refused() {
    for (world, change, function, what) in [
        ("handler", ("handle: func(event: event)", "handle: func(event: string)"), "handle", "a parameter"),
        ("handler", ("handle: func(event: event)", "handle: func()"), "handle", "a parameter too few"),
        ("handler", ("-> result<outcome, failure>", "-> outcome"), "handle", "a result"),
        ("handler", ("received-at: timestamp", "received-at: u32"), "handle", "a field of a record"),
        ("handler", ("received-at: timestamp", "accepted-at: timestamp"), "handle", "the name of a field"),
        ("handler", ("record retry { after-ms", "record retry { more: bool, after-ms"), "handle", "a field too many"),
        ("handler", ("enum flow { next, stop }", "enum flow { stop, next }"), "handle", "the order of an enum"),
        ("handler", ("permanent(string)", "permanent(u8)"), "handle", "a case of a variant"),
        ("desk", ("find-ticket: func(key: string)", "find-ticket: func(key: u64)"), "find-ticket", "a key"),
        ("desk", ("result<option<added>, failure>", "result<added, failure>"), "find-ticket", "an option"),
        ("desk", ("read-ticket: func(id: string)", "read-ticket: func(id: list<u8>)"), "read-ticket", "bytes for text"),
        ("desk", ("result<list<desk-activity>", "result<option<desk-activity>"), "receive", "a list"),
        ("inspector", ("bytes: borrow<blob>", "bytes: list<u8>"), "inspect", "a resource"),
        ("inspector", ("result<verdict, failure>", "result<verdict, string>"), "inspect", "an error"),
    ] {
        for version in ["0.1", "0.2"] {
            let error = load(nearly(version, &format!("{world}-plugin"), change)).await.unwrap_err();
            let text = error.to_string();
            // Records that our own imports share do not link; all others are found in the exports.
            assert!(matches!(error, LoadError::Link { .. }), "{version}, {what}: {text}");
            assert!(
                text.contains(&format!("does not fit version {version}.0 of the plugin contract")),
                "{what}: {text}"
            );
            assert!(text.contains("build it with the contract as released"), "{what}: {text}");
            let named = format!("`{function}` of patchbay:plugin/{world}@{version}.0 has another type");
            assert!(text.contains(&named), "{what}: {text}");
        }
    }
}

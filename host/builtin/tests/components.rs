//! What is embedded is what it should be: small, of the right role, and without imports that nobody would grant.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;

use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload, Validator};

/// A component larger than this has something in it that does not belong there.
const LARGEST: usize = 440 * 1024;

/// Interfaces that Rust's standard library imports for itself on wasm32-wasip2; the host links inert ones.
const OF_STD: [&str; 2] = ["wasi:cli/", "wasi:io/"];

#[derive(Debug, Default)]
struct Interfaces {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

/// The names of the interfaces that the outermost component imports and exports.
fn interfaces(component: &[u8]) -> Interfaces {
    let mut interfaces = Interfaces::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { encoding, .. } => {
                if depth == 0 {
                    assert_eq!(encoding, Encoding::Component);
                }
                depth += 1;
            }
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                interfaces.imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                let exports = section.into_iter().map(Result::unwrap);
                let instances = exports.filter(|export| export.kind == ComponentExternalKind::Instance);
                interfaces.exports.extend(instances.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    interfaces
}

/// Without versions, and without what the standard library brings.
fn asked_for(imports: &BTreeSet<String>) -> BTreeSet<&str> {
    let own = imports.iter().filter(|name| !OF_STD.iter().any(|prefix| name.starts_with(prefix)));
    own.filter_map(|name| name.split('@').next()).collect()
}

#[test]
fn every_plugin_is_a_valid_small_component_of_its_role() {
    let handler = "patchbay:plugin/handler@0.2.0";
    let desk = "patchbay:plugin/desk@0.2.0";
    let expected: [(&str, &str, &[&str]); 3] = [
        ("acknowledge", handler, &["patchbay:plugin/types", "wasi:clocks/wall-clock", "wasi:config/store"]),
        ("keyword-router", handler, &["patchbay:plugin/types", "wasi:config/store"]),
        (
            "zendesk",
            desk,
            &[
                "patchbay:plugin/context",
                "patchbay:plugin/types",
                "patchbay:plugin/uploads",
                "wasi:clocks/monotonic-clock",
                "wasi:clocks/wall-clock",
                "wasi:config/store",
                "wasi:http/outgoing-handler",
                "wasi:http/types",
            ],
        ),
    ];
    assert_eq!(patchbay_builtin::names(), expected.map(|(name, ..)| name));
    for (name, role, imports) in expected {
        let component = patchbay_builtin::component(name).unwrap();
        assert!(component.len() < LARGEST, "{name} has {} bytes", component.len());
        Validator::new().validate_all(component).unwrap();
        let interfaces = interfaces(component);
        assert_eq!(interfaces.exports.iter().collect::<Vec<_>>(), [role], "{name}");
        assert_eq!(asked_for(&interfaces.imports).into_iter().collect::<Vec<_>>(), imports, "{name}");
    }
}

#[test]
fn an_unknown_plugin_is_not_there() {
    assert_eq!(patchbay_builtin::component("nobody"), None);
}

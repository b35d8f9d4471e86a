//! Manifest and golden events inside of components: what goes in comes out, and what is broken is told and never panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use patchbay_artefact::component::{self, ArtefactError, golden, manifest, outside, pack};
use patchbay_artefact::manifest::{GOLDEN_SECTION, Manifest, SECTION, Wants};
use patchbay_model::golden::Golden;
use proptest::prelude::*;
use serde_json::json;
use wasmparser::{Parser, Payload, Validator};

/// A component with a nested module, an import, an export and a custom section, in the binary format.
fn component() -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // A core module that is empty.
    bytes.extend(section(1, b"\0asm\x01\0\0\0"));
    // A type: an instance without anything in it. It is imported as `a:b/c`, and exported again as `d:e/f`.
    bytes.extend(section(7, &[1, 0x42, 0]));
    bytes.extend(section(10, &[&[1, 0, 5][..], b"a:b/c", &[5, 0]].concat()));
    bytes.extend(section(11, &[&[1, 0, 5][..], b"d:e/f", &[5, 0, 0]].concat()));
    bytes.extend(custom("producers-of-others", b"stays as it is"));
    Validator::new().validate_all(&bytes).unwrap();
    bytes
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id, u8::try_from(body.len()).unwrap()][..], body].concat()
}

fn custom(name: &str, content: &[u8]) -> Vec<u8> {
    section(0, &[&[u8::try_from(name.len()).unwrap()], name.as_bytes(), content].concat())
}

fn about(version: &str) -> Manifest {
    Manifest {
        name: "acme-router".into(),
        version: version.into(),
        description: "Routes.".into(),
        wants: Wants { media: true, keyvalue: Some(1 << 20), ..Wants::default() },
        settings: Some(json!({ "type": "object", "properties": { "queue": { "type": "string" } } })),
        secrets: Vec::new(),
    }
}

fn golden_events(names: &[&str]) -> Vec<Golden> {
    let one = |name: &&str| {
        let text = include_str!("golden.json");
        let mut golden: Golden = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}"));
        golden.name = (*name).to_owned();
        golden
    };
    names.iter().map(one).collect()
}

fn custom_sections(bytes: &[u8]) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(bytes).map(|payload| payload.unwrap());
    payloads
        .filter_map(|payload| match payload {
            Payload::CustomSection(section) => Some(section.name().to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn what_is_packed_comes_out_of_a_component_that_is_valid_still() {
    let plain = component();
    assert_eq!(manifest(&plain), Ok(None));
    assert_eq!(golden(&plain).unwrap(), []);
    let packed = pack(&plain, &about("1.2.0"), &golden_events(&["one", "two"])).unwrap();
    Validator::new().validate_all(&packed).unwrap();
    assert_eq!(manifest(&packed).unwrap(), Some(about("1.2.0")));
    assert_eq!(golden(&packed).unwrap(), golden_events(&["one", "two"]));
    assert_eq!(custom_sections(&packed), ["producers-of-others", SECTION, GOLDEN_SECTION]);
    assert_eq!(outside(&packed).unwrap(), outside(&plain).unwrap());
    assert_eq!(outside(&packed).unwrap().imports, ["a:b/c"]);
    assert_eq!(outside(&packed).unwrap().exports, ["d:e/f"]);
}

#[test]
fn packing_again_changes_nothing_or_replaces() {
    let once = pack(&component(), &about("1.2.0"), &golden_events(&["one"])).unwrap();
    assert_eq!(pack(&once, &about("1.2.0"), &golden_events(&["one"])).unwrap(), once);
    let other = pack(&once, &about("1.3.0"), &[]).unwrap();
    assert_eq!(other, pack(&component(), &about("1.3.0"), &[]).unwrap());
    assert_eq!(custom_sections(&other), ["producers-of-others", SECTION]);
}

#[test]
fn a_manifest_in_a_nested_component_is_not_the_components_own() {
    let inner = pack(&component(), &about("6.6.6"), &[]).unwrap();
    let mut outer = b"\0asm\x0d\0\x01\0".to_vec();
    outer.push(4);
    // 16384 and up would be one byte more.
    assert!((128..16384).contains(&inner.len()));
    outer.extend([u8::try_from(inner.len() & 0x7f).unwrap() | 0x80, u8::try_from(inner.len() >> 7).unwrap()]);
    outer.extend(&inner);
    Validator::new().validate_all(&outer).unwrap();
    assert_eq!(manifest(&outer), Ok(None));
    assert_eq!(manifest(&pack(&outer, &about("1.0.0"), &[]).unwrap()).unwrap().unwrap().version, "1.0.0");
}

#[test]
fn what_is_no_component_is_told() {
    assert_eq!(manifest(b""), Err(ArtefactError::Foreign));
    assert_eq!(manifest(b"#!/bin/sh"), Err(ArtefactError::Foreign));
    assert_eq!(manifest(b"\0asm\x01\0\0\0"), Err(ArtefactError::Module));
    assert_eq!(outside(b"\0asm\x01\0\0\0"), Err(ArtefactError::Module));
    let broken = [component(), vec![0, 200]].concat();
    assert!(matches!(manifest(&broken), Err(ArtefactError::Damaged(_))));
    let endless = [component(), vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]].concat();
    assert!(matches!(manifest(&endless), Err(ArtefactError::Damaged(_))));
    // Sections that fit, with nonsense in them.
    let nonsense = [component(), section(11, &[9, 9, 9])].concat();
    assert!(matches!(pack(&nonsense, &about("1.2.0"), &[]), Err(ArtefactError::Damaged(_))));
}

#[test]
fn a_manifest_that_is_there_twice_or_wrong_is_told() {
    let packed = pack(&component(), &about("1.2.0"), &[]).unwrap();
    let twice = [packed.clone(), custom(SECTION, b"{}")].concat();
    assert_eq!(manifest(&twice), Err(ArtefactError::Twice(SECTION)));
    assert_eq!(custom_sections(&pack(&twice, &about("1.2.0"), &[]).unwrap()), custom_sections(&packed));
    for (content, what) in [
        (&b"{"[..], "EOF"),
        (b"{\"name\":\"a\",\"version\":\"1.0.0\",\"wants\":{\"medai\":true}}", "wants.medai: unknown field `medai`"),
        (b"{\"name\":\"A\",\"version\":\"1.0.0\"}", "`A` is no name of a plugin"),
        (b"{\"name\":\"a\",\"version\":\"1\"}", "`1` is no version"),
    ] {
        let said = manifest(&[component(), custom(SECTION, content)].concat()).unwrap_err().to_string();
        assert!(said.contains(what), "{said}");
    }
    let wrong = golden(&[component(), custom(GOLDEN_SECTION, b"[{\"event\":{}}]")].concat()).unwrap_err().to_string();
    assert!(wrong.contains(GOLDEN_SECTION) && wrong.contains("[0].event"), "{wrong}");
    assert!(matches!(pack(&component(), &about("one"), &[]), Err(ArtefactError::Manifest(_))));
}

/// All that reads; none may panic, and each may only tell of what is broken.
fn read_all(bytes: &[u8]) {
    let _told = (manifest(bytes).is_ok(), golden(bytes).is_ok(), outside(bytes).is_ok());
    let _told =
        component::pack(bytes, &about("1.0.0"), &[]).map(|packed| Validator::new().validate_all(&packed).unwrap());
}

#[test]
fn a_component_that_breaks_off_anywhere_is_told() {
    let packed = pack(&component(), &about("1.2.0"), &golden_events(&["one"])).unwrap();
    for length in 0..packed.len() {
        read_all(&packed[..length]);
    }
}

proptest! {
    #[test]
    fn any_bytes_behind_the_header_are_read_or_told(body in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&body);
        read_all(&[b"\0asm\x0d\0\x01\0".as_slice(), &body].concat());
    }

    #[test]
    fn any_change_of_a_component_is_read_or_told(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = pack(&component(), &about("1.2.0"), &golden_events(&["one"])).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        read_all(&bytes);
    }

    #[test]
    fn custom_sections_of_any_size_stay(sizes in prop::collection::vec(0_usize..40_000, 0..4)) {
        let mut bytes = component();
        for size in &sizes {
            // Names of one letter, and lengths of up to three bytes.
            let length = size + 2;
            bytes.push(0);
            bytes.extend([length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8]);
            bytes.extend([1, b'x']);
            bytes.extend(vec![b'y'; *size]);
        }
        let packed = pack(&bytes, &about("1.2.0"), &[]).unwrap();
        Validator::new().validate_all(&packed).unwrap();
        prop_assert!(packed.starts_with(&bytes));
        prop_assert_eq!(manifest(&packed).unwrap(), Some(about("1.2.0")));
    }
}

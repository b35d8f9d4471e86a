//! Bytes that are no plugin: cut off, changed, of another world. Each is refused with a sentence, or is a plugin like any
//! other; nothing else comes of it.

use patchbay_runtime::{CallError, LoadError};
use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::common::*;
use super::wat::{bare_spec, encode, tiny};

/// Whether these bytes are whole sections that mean nothing to the code: custom ones.
fn only_remarks(mut bytes: &[u8]) -> bool {
    while let [kind, rest @ ..] = bytes {
        let (mut size, mut taken) = (0, 0);
        for byte in rest {
            size |= usize::from(byte & 0x7f) << (7 * taken);
            taken += 1;
            if byte & 0x80 == 0 || taken == 5 {
                break;
            }
        }
        if *kind != 0 || rest.len() < taken + size {
            return false;
        }
        bytes = &rest[taken + size..];
    }
    true
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused_wherever_that_was() {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let whole = tiny();
    for length in 0..whole.len() {
        let loaded = engine.load(bare_spec("cut", whole.slice(..length))).await;
        if only_remarks(&whole[length..]) {
            // Names for debuggers stand at the end: it is the same plugin without them.
            loaded.unwrap().handle(&text("hello"), &call("ev_1")).await.unwrap();
            continue;
        }
        let error = loaded.err().unwrap_or_else(|| panic!("{length} of {} bytes were loaded", whole.len()));
        assert!(error.to_string().contains("plugin `cut`"), "{length}: {error}");
        // Between two sections it is a component still: one without a role, or with half of what its parts need.
        assert!(
            matches!(
                error,
                LoadError::NoComponent { .. }
                    | LoadError::NoRole { .. }
                    | LoadError::Compile { .. }
                    | LoadError::Link { .. }
            ),
            "{length}: {error}"
        );
    }
    engine.load(bare_spec("whole", whole)).await.unwrap();
}

#[tokio::test]
async fn a_file_with_a_changed_byte_is_refused_or_does_no_harm() {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let whole = tiny();
    let (mut refused, mut ran) = (0, 0);
    // A prime step: other bits of other parts each time.
    for (turn, at) in (0..whole.len()).step_by(5).enumerate() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (turn % 8);
        let mut spec = bare_spec("bent", bytes.into());
        spec.limits.cpu = std::time::Duration::from_millis(100);
        let Ok(plugin) = engine.load(spec).await else {
            refused += 1;
            continue;
        };
        ran += 1;
        match plugin.handle(&text("hello"), &call("ev_1")).await {
            Ok(_) | Err(CallError::Failed(_)) => {}
            Err(CallError::Broken(report)) => assert_eq!(report.plugin, "bent", "byte {at}: {report:?}"),
        }
    }
    assert!(refused > 50, "only {refused} were refused, {ran} ran");
    let plugin = engine.load(bare_spec("whole", whole)).await.unwrap();
    plugin.handle(&text("hello"), &call("ev_1")).await.unwrap();
}

#[tokio::test]
async fn components_of_other_worlds() {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let module = "(module
        (memory (export \"memory\") 1)
        (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 16))
        (func (export \"acme:things/door@1.0.0#open\") (param i32 i32) (result i32) (i32.const 16)))";
    let wit = "package acme:things@1.0.0;
        interface door { open: func(event: string) -> string; }
        world house { export door; }";
    let mut resolve = Resolve::default();
    let package = resolve.push_str("acme.wit", wit).unwrap();
    let other = encode(&resolve, package, "house", module, StringEncoding::UTF8);
    for (bytes, what) in [(other, "another package"), (b"\0asm\x0d\0\x01\0".to_vec().into(), "an empty component")] {
        let error = engine.load(bare_spec("acme", bytes)).await.unwrap_err();
        assert!(matches!(error, LoadError::NoRole { .. }), "{what}: {error}");
        assert!(error.to_string().contains("must export handler, desk or inspector"), "{what}: {error}");
    }
    for (bytes, what) in [
        (&b""[..], "nothing"),
        (b"\0", "one byte"),
        (b"\0asm", "half a head"),
        (b"\0asm\x01\0\0\0", "a core module"),
        (b"\0asm\x0d\0\x02\0", "a layer that there is not"),
        (b"\x7fELF\x02\x01\x01\0", "a program"),
        (b"PK\x03\x04", "an archive"),
        (b"#!/bin/sh\nexit 0\n", "a script"),
    ] {
        let error = engine.load(bare_spec("acme", bytes::Bytes::from_static(bytes))).await.unwrap_err();
        assert!(matches!(error, LoadError::NoComponent { .. }), "{what}: {error}");
    }
}

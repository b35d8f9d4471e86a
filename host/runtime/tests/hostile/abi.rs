//! Answers that are no answers: odd texts, lists without end, numbers that mean nothing, and code where none should run.

use std::time::Duration;

use patchbay_model::Failure;
use patchbay_runtime::{CallError, Cause, LoadError, PluginReport};
use wit_component::StringEncoding;

use super::common::*;
use super::wat::{Module, bare_spec, tiny};

/// `err(permanent(text))`, with the text's address and length.
fn says(address: u32, length: u32) -> String {
    format!(
        "(i32.store8 (i32.const 1024) (i32.const 1))
         (i32.store8 (i32.const 1032) (i32.const 1))
         (i32.store (i32.const 1040) (i32.const {address}))
         (i32.store (i32.const 1044) (i32.const {length}))"
    )
}

/// `ok` with a list of actions at this address.
fn acts(address: u32, length: u32) -> String {
    format!(
        "(i32.store (i32.const 1032) (i32.const {address}))
         (i32.store (i32.const 1036) (i32.const {length}))"
    )
}

async fn ends(module: Module<'_>, encoding: StringEncoding) -> PluginReport {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let plugin = module.load_as(&engine, "bare", encoding).await;
    let report = broken(&plugin, "hello").await;
    assert_eq!((report.plugin.as_str(), report.generation, report.subject.as_str()), ("bare", 3, "ev_1"), "{report:?}");
    assert!(!report.detail.is_empty(), "{report:?}");
    // The engine goes on.
    let other = engine.load(bare_spec("tiny", tiny())).await.unwrap();
    other.handle(&text("hello"), &call("ev_2")).await.unwrap();
    report
}

async fn said(module: Module<'_>, encoding: StringEncoding) -> String {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let plugin = module.load_as(&engine, "bare", encoding).await;
    match plugin.handle(&text("hello"), &call("ev_1")).await {
        Err(CallError::Failed(Failure::Permanent { reason })) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_text_in_each_encoding_is_a_text() {
    for (encoding, data, length) in [
        (StringEncoding::UTF8, "h\\c3\\a9", 3),
        (StringEncoding::UTF16, "h\\00\\e9\\00", 2),
        (StringEncoding::CompactUTF16, "h\\e9", 2),
        // The highest bit says that this one is UTF-16.
        (StringEncoding::CompactUTF16, "h\\00\\e9\\00", 0x8000_0002_u32),
    ] {
        let data = format!("(data (i32.const 2048) \"{data}\")");
        let handle = says(2048, length);
        let module = Module { handle: &handle, more: &data, ..Module::default() };
        assert_eq!(said(module, encoding).await, "hé", "{encoding}");
    }
}

#[tokio::test]
async fn texts_that_are_none() {
    let (utf8, utf16, compact) = (StringEncoding::UTF8, StringEncoding::UTF16, StringEncoding::CompactUTF16);
    for (encoding, data, address, length, what) in [
        (utf8, "\\ff\\fe\\fd", 2048, 3, "no UTF-8"),
        (utf8, "\\c3", 2048, 1, "half a letter"),
        (utf8, "\\ed\\a0\\80", 2048, 3, "a surrogate in UTF-8"),
        (utf8, "\\c0\\80", 2048, 2, "a zero in two bytes"),
        (utf8, "", 131_071, 2, "beyond the end"),
        (utf8, "", 0xffff_fff0, 0x20, "around the end of the address space"),
        (utf8, "", 0, 0x7fff_ffff, "longer than memory"),
        (utf16, "\\00\\d8", 2048, 1, "half a pair"),
        (utf16, "\\00\\dc\\00\\d8", 2048, 2, "a pair the wrong way round"),
        (utf16, "", 2049, 1, "at an odd address"),
        (utf16, "", 2048, 0x7fff_ffff, "longer than memory, in pairs"),
        (compact, "\\00\\d8", 2048, 0x8000_0001, "half a pair, marked"),
        (compact, "", 2048, 0xffff_ffff, "longer than memory, marked"),
    ] {
        let data = format!("(data (i32.const 2048) \"{data}\")");
        let handle = says(address, length);
        let report = ends(Module { handle: &handle, more: &data, ..Module::default() }, encoding).await;
        assert_eq!(report.cause, Cause::Trap, "{what}: {report:?}");
    }
}

#[tokio::test]
async fn texts_that_are_none_on_their_way_to_the_log() {
    let data = "(data (i32.const 2048) \"\\ff\\fe\")";
    for (address, length) in [(2048, 2), (131_000, 1000), (0, 0x7fff_ffff)] {
        let handle = format!("(call $log (i32.const 1) (i32.const {address}) (i32.const {length}))");
        let report = ends(Module { handle: &handle, more: data, ..Module::default() }, StringEncoding::UTF8).await;
        assert_eq!(report.cause, Cause::Trap, "{address} {length}: {report:?}");
    }
    // A level that there is not.
    let handle = "(call $log (i32.const 9) (i32.const 2048) (i32.const 0))";
    let report = ends(Module { handle, ..Module::default() }, StringEncoding::UTF8).await;
    assert_eq!(report.cause, Cause::Trap, "{report:?}");
}

#[tokio::test]
async fn lists_and_words_that_are_none() {
    for (handle, what) in [
        (acts(2048, 0x0fff_ffff), "a list longer than memory"),
        (acts(2049, 1), "a list at an odd address"),
        (acts(131_064, 1), "a list over the end"),
        (acts(2048, 1) + "(i32.store8 (i32.const 2048) (i32.const 99))", "an action that there is not"),
        ("(i32.store8 (i32.const 1040) (i32.const 7))".to_owned(), "a flow that there is not"),
        ("(i32.store8 (i32.const 1024) (i32.const 2))".to_owned(), "neither ok nor err"),
        ("(return (i32.const 131064))".to_owned(), "an answer over the end"),
        ("(return (i32.const 1025))".to_owned(), "an answer at an odd address"),
        ("(return (i32.const -8))".to_owned(), "an answer nowhere"),
    ] {
        let report = ends(Module { handle: &handle, ..Module::default() }, StringEncoding::UTF8).await;
        assert_eq!(report.cause, Cause::Trap, "{what}: {report:?}");
    }
}

#[tokio::test]
async fn a_list_of_many_empty_actions_takes_no_more_than_a_call_may_hand_over() {
    // Each is a few bytes here and a hundred there: 60 MiB of memory, all zeros, are a list of millions of actions.
    let handle = acts(65_536, 500_000) + "(i32.store8 (i32.const 1024) (i32.const 0))";
    let report = ends(Module { pages: 960, handle: &handle, ..Module::default() }, StringEncoding::UTF8).await;
    assert!(matches!(report.cause, Cause::HostBytes | Cause::Trap), "{report:?}");
}

#[tokio::test]
async fn memory_for_the_event_that_is_none() {
    for (realloc, cause, what) in [
        ("(i32.const -16)", Cause::Trap, "nowhere"),
        ("(i32.const 131071)", Cause::Trap, "over the end"),
        ("(i32.const 65537)", Cause::Trap, "at an odd address"),
        ("unreachable", Cause::Trap, "a trap"),
        ("(loop $for_ever (br $for_ever)) (i32.const 0)", Cause::CpuTime, "never"),
        (
            "(call $log (i32.const 1) (i32.const 0) (i32.const 0)) (i32.const 65536)",
            Cause::Trap,
            "a call of the host while the host calls",
        ),
    ] {
        let module = Module { realloc: Some(realloc), ..Module::default() };
        let report = ends(module, StringEncoding::UTF8).await;
        assert_eq!(report.cause, cause, "{what}: {report:?}");
    }
}

#[tokio::test]
async fn code_before_and_after_the_call() {
    let after =
        |body: &str| format!("(func (export \"cabi_post_patchbay:plugin/handler@0.1.0#handle\") (param i32) {body})");
    let start = |body: &str| format!("(func $begin {body}) (start $begin)");
    for (more, cause, what) in [
        (start("unreachable"), Cause::Trap, "a trap at the start"),
        (start("(loop $for_ever (br $for_ever))"), Cause::CpuTime, "an endless start"),
        (start("(call $begin)"), Cause::Stack, "a start without a ground"),
        (
            start("(if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1)) (then unreachable))"),
            Cause::Memory,
            "a start that takes 125 MiB",
        ),
        (start("(i32.store (i32.const -4) (i32.const 1))"), Cause::Trap, "a start that writes beyond its memory"),
        (after("unreachable"), Cause::Trap, "a trap after the answer"),
        (after("(loop $for_ever (br $for_ever))"), Cause::CpuTime, "an endless end"),
    ] {
        let report = ends(Module { more: &more, ..Module::default() }, StringEncoding::UTF8).await;
        assert_eq!(report.cause, cause, "{what}: {report:?}");
    }
}

#[tokio::test]
async fn tables_end_at_their_limit() {
    let handle = "(loop $more
        (br_if $more (i32.ne (table.grow $many (ref.null func) (i32.const 1000)) (i32.const -1))))
        unreachable";
    let module = Module { handle, more: "(table $many 1 funcref)", ..Module::default() };
    let report = ends(module, StringEncoding::UTF8).await;
    assert_eq!(report.cause, Cause::Table, "{report:?}");
    assert!(report.detail.contains("20000 are the most"), "{report:?}");
    assert!(!report.frames.is_empty(), "{report:?}");
}

#[tokio::test]
async fn what_begins_too_large_is_not_loaded() {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    for (module, what) in [
        (Module { pages: 5000, ..Module::default() }, "313 MiB of memory"),
        (Module { more: "(table 20001 funcref)", ..Module::default() }, "a table of 20,001"),
    ] {
        let loaded = engine.load(bare_spec("large", module.component(StringEncoding::UTF8))).await;
        let error = loaded.expect_err(what);
        assert!(matches!(error, LoadError::Memory { .. } | LoadError::Table { .. }), "{what}: {error}");
        assert!(error.to_string().contains("plugin `large` starts with"), "{what}: {error}");
    }
}

#[tokio::test]
async fn bulk_work_is_interrupted_as_well() {
    // One instruction fills 60 MiB; it cannot be stopped in its middle, and the loop around it can.
    let handle = "(loop $again
        (memory.fill (i32.const 131072) (i32.const 7) (i32.const 62783488))
        (br $again))";
    let module = Module { pages: 960, handle, ..Module::default() };
    let begun = std::time::Instant::now();
    let report = ends(module, StringEncoding::UTF8).await;
    assert_eq!(report.cause, Cause::CpuTime, "{report:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

//! What one call may use: each limit ends it as a report, and the next call does not notice.

use std::time::{Duration, Instant};

use patchbay_runtime::{Call, CallError, Cause};
use wit_component::StringEncoding;

use super::common::*;
use super::wat::{Module, bare_spec};

#[tokio::test]
async fn an_endless_loop_ends_at_its_budget_while_others_go_on() {
    // One thread for guests: the others only get their turn if the loop gives way.
    let engine = engine_with(|options| options.guest_threads = 1);
    let plugin = handler(&engine).await;
    let spinning = {
        let plugin = plugin.clone();
        tokio::spawn(async move { broken(&plugin, "spin").await })
    };
    let mut answered = 0;
    while !spinning.is_finished() {
        assert_well(&plugin).await;
        answered += 1;
    }
    let report = spinning.await.unwrap();
    assert_eq!(report.cause, Cause::CpuTime, "{report:?}");
    assert_eq!((report.plugin.as_str(), report.generation, report.subject.as_str()), ("triage", 3, "ev_1"));
    assert!(report.detail.contains("300 ms"), "{report:?}");
    assert!(answered > 3, "only {answered} calls were answered beside it");
}

#[tokio::test]
async fn an_endless_loop_of_host_calls_ends_too() {
    let engine = engine_with(|options| options.guest_threads = 1);
    let plugin = handler(&engine).await;
    for words in ["poll", "yield"] {
        let looping = {
            let plugin = plugin.clone();
            tokio::spawn(async move { broken(&plugin, words).await })
        };
        assert_well(&plugin).await;
        let report = looping.await.unwrap();
        assert_eq!(report.cause, Cause::CpuTime, "{words}: {report:?}");
    }
}

#[tokio::test]
async fn a_guest_that_waits_for_ever_meets_the_deadline() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let short = Call { timeout: Duration::from_millis(200), ..call("ev_1") };
    let begun = Instant::now();
    match plugin.handle(&text("sleep"), &short).await {
        Err(CallError::Broken(report)) => assert_eq!(report.cause, Cause::Deadline, "{report:?}"),
        other => panic!("{other:?}"),
    }
    // Far from the hour that it wants to sleep, and from the processor time that it does not use.
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_well(&plugin).await;
}

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let report = broken(&plugin, "allocate").await;
    assert_eq!(report.cause, Cause::Memory, "{report:?}");
    assert!(report.detail.contains("its limit is 64 MiB"), "{report:?}");
    assert!(!report.frames.is_empty());
    assert_well(&plugin).await;
}

#[tokio::test]
async fn recursion_ends_at_the_stack() {
    let engine = engine();
    let plugin = handler(&engine).await;
    // The stack that the engine keeps, and the one that the compiler put into linear memory.
    for words in ["dive", "recurse"] {
        let report = broken(&plugin, words).await;
        assert_eq!(report.cause, Cause::Stack, "{report:?}");
        assert!(report.frames.iter().all(|frame| frame.contains(words)), "{report:?}");
    }
    assert_well(&plugin).await;
}

#[tokio::test]
async fn a_panic_is_told_with_its_words_and_its_place() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let report = broken(&plugin, "panic the list for +44 7700 900001 was empty").await;
    assert_eq!(report.cause, Cause::Trap, "{report:?}");
    assert!(report.stderr.contains("the list for [number] was empty"), "{report:?}");
    assert!(report.stderr.contains("answers.rs"), "{report:?}");
    assert!(report.frames.iter().any(|frame| frame.contains("panic")), "{report:?}");
    assert_well(&plugin).await;
}

#[tokio::test]
async fn a_guest_that_exits_is_a_report() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let report = broken(&plugin, "exit").await;
    assert_eq!(report.cause, Cause::Trap);
    assert!(report.detail.contains("exit code"), "{report:?}");
}

#[tokio::test]
async fn a_flood_of_errors_keeps_the_last_words() {
    let engine = engine();
    let plugin = handler_with(&engine, |spec| spec.limits.cpu = Duration::from_secs(20)).await;
    let report = broken(&plugin, "stderr here").await;
    assert_eq!(report.cause, Cause::Trap, "{report:?}");
    assert!(report.stderr.contains("last words here"), "{}", report.stderr);
    assert!(report.stderr.len() < 9 * 1024, "{} bytes", report.stderr.len());
    assert!(report.stderr.starts_with("… "), "{}", report.stderr);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_no_error() {
    let engine = engine();
    let plugin = handler_with(&engine, |spec| spec.limits.cpu = Duration::from_secs(20)).await;
    for words in ["log line", "huge-log"] {
        plugin.handle(&text(words), &call("ev_1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_million_log_lines_are_no_error_and_no_log() {
    let engine = engine();
    let handle = "(local.set $end (i32.const 1000000))
        (loop $again
          (call $log (i32.const 1) (i32.const 2048) (i32.const 11))
          (local.set $end (i32.sub (local.get $end) (i32.const 1)))
          (br_if $again (local.get $end)))";
    let more = "(data (i32.const 2048) \"hello there\")";
    let module = Module { handle, more, ..Module::default() };
    let mut spec = bare_spec("talker", module.component(StringEncoding::UTF8));
    spec.limits.cpu = Duration::from_secs(50);
    let plugin = engine.load(spec).await.unwrap();
    plugin.handle(&text("hello"), &call("ev_1")).await.unwrap();
}

#[tokio::test]
async fn a_huge_answer_is_refused_before_it_is_taken() {
    let engine = engine();
    let plugin = handler(&engine).await;
    plugin.handle(&text("huge 4"), &call("ev_1")).await.unwrap();
    let report = broken(&plugin, "huge 20").await;
    assert_eq!(report.cause, Cause::HostBytes, "{report:?}");
    assert!(report.detail.contains("8 MiB"), "{report:?}");
    assert_well(&plugin).await;
}

#[tokio::test]
async fn handles_and_random_bytes_have_an_end() {
    let engine = engine();
    let plugin = handler(&engine).await;
    assert_eq!(broken(&plugin, "handles").await.cause, Cause::Handles);
    plugin.handle(&text("random 65536"), &call("ev_1")).await.unwrap();
    assert_eq!(broken(&plugin, "random 65537").await.cause, Cause::Trap);
    assert_eq!(broken(&plugin, "dice").await.cause, Cause::CpuTime);
    assert_well(&plugin).await;
}

#[tokio::test]
async fn more_calls_than_slots_wait_their_turn() {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let plugin = handler(&engine).await;
    let calls = (0..40).map(|_| assert_well(&plugin));
    futures::future::join_all(calls).await;

    let blocked: Vec<_> = (0..2)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move { plugin.handle(&text("sleep"), &call("ev_1")).await })
        })
        .collect();
    let short = Call { timeout: Duration::from_millis(100), ..call("ev_3") };
    let report = loop {
        // Until both slots are taken, the call is answered.
        match plugin.handle(&text("state"), &short).await {
            Err(CallError::Broken(report)) => break report,
            Ok(_) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(report.cause, Cause::Busy, "{report:?}");
    // A caller that goes away frees its slot.
    blocked.iter().for_each(tokio::task::JoinHandle::abort);
    assert_well(&plugin).await;
}

#[tokio::test]
async fn a_desk_is_not_asked_of_a_handler() {
    let engine = engine();
    let plugin = handler(&engine).await;
    match plugin.read_ticket("1", &desk_call()).await {
        Err(CallError::Broken(report)) => assert_eq!(report.cause, Cause::Role),
        other => panic!("{other:?}"),
    }
}

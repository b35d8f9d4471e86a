//! Guests that take what they can get. Each ends as a report, and the next call does not notice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use patchbay_runtime::{Call, CallError, Cause};

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
    assert!(report.stderr.contains("handler.rs"), "{report:?}");
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

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn two_thousand_calls_leave_no_trace() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let round = async |calls: usize| {
        for at in 0..calls {
            match at % 10 {
                0 => drop(plugin.handle(&text("panic again"), &call("ev_1")).await),
                1 => drop(plugin.handle(&text("huge 2"), &call("ev_1")).await),
                _ => drop(plugin.handle(&text("bench"), &call("ev_1")).await.unwrap()),
            }
        }
    };
    round(300).await;
    let before = resident();
    round(2_000).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 48 << 20, "{} KiB more than before", grown >> 10);
}

//! `patchbay store …`

use patchbay_model::Timestamp;
use patchbay_store::{EmbeddedStore, Stats, Verification};
use serde_json::json;

use super::args::{StoreArgs, StoreCommand};
use super::failure::{DONE, FAILED, failed};
use super::output::{age, bytes, count, json_lines, number, print};
use super::source::{Source, config, in_use, store};
use crate::config::{Config, StoreKind};

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(command: StoreCommand) -> anyhow::Result<u8> {
    match command {
        StoreCommand::Stats(args) => stats(args).await,
        StoreCommand::Verify(args) => verify(args).await,
    }
}

async fn stats(args: StoreArgs) -> anyhow::Result<u8> {
    let source = Source::open(&args.source).await?;
    let stats = source.stats().await?;
    source.close().await;
    if args.json {
        json_lines([&json!(stats)])?;
    } else {
        print(&shown(&stats, Timestamp::now()))?;
    }
    Ok(DONE)
}

/// The numbers in two columns.
fn shown(stats: &Stats, now: Timestamp) -> String {
    let pending = match stats.oldest_pending {
        Some(oldest) if stats.pending_events > 0 => {
            format!("{}, the oldest for {}", number(stats.pending_events), age(now.since(oldest)))
        }
        _ => number(stats.pending_events),
    };
    let size = stats.bytes.map(|size| match stats.free_bytes {
        Some(free) => format!("{}, of which {} are free", bytes(size), bytes(free)),
        None => bytes(size),
    });
    let rows = [
        ("store", Some(stats.kind.clone())),
        ("partitions", Some(number(stats.partitions.into()))),
        ("size", size),
        ("events", Some(number(stats.events))),
        ("pending events", Some(pending)),
        ("conversations", Some(number(stats.conversations))),
        ("tasks", Some(number(stats.tasks))),
        ("timers", Some(number(stats.timers))),
        ("links", Some(number(stats.links))),
        ("media", Some(number(stats.media))),
        ("dead letters", Some(number(stats.dead_letters))),
        ("reports", Some(number(stats.reports))),
        ("documents", Some(number(stats.documents))),
    ];
    rows.into_iter().filter_map(|(name, value)| Some(format!("{name:<16}{}\n", value?))).collect()
}

async fn verify(args: StoreArgs) -> anyhow::Result<u8> {
    let found = match &args.source.config {
        Some(path) => offline(&config(path)?).await?,
        None => Source::open(&args.source).await?.verify().await?,
    };
    if args.json {
        json_lines([&json!(found)])?;
    } else {
        let mut text: String = found.problems.iter().map(|problem| format!("{problem}\n")).collect();
        let checked = count(found.checked, "thing was checked", "things were checked");
        let problems = match found.problems.len() as u64 {
            0 => "all is well".to_owned(),
            problems => count(problems, "problem", "problems"),
        };
        text.push_str(&format!("{checked}: {problems}\n"));
        print(&text)?;
    }
    Ok(if found.problems.is_empty() { DONE } else { FAILED })
}

/// A file is looked at more deeply while nobody works with it.
async fn offline(config: &Config) -> anyhow::Result<Verification> {
    if config.store.kind == StoreKind::Embedded {
        let path = config.store_path();
        if !path.exists() {
            return Err(failed(format!("there is no store at {}", path.display())));
        }
        return EmbeddedStore::check(&path).map_err(|error| in_use(error.into()));
    }
    let store = store(config).await?;
    let found = store.verify().await;
    store.close().await;
    Ok(found?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_in_numbers_is_readable() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let stats = Stats {
            kind: "embedded".into(),
            partitions: 16,
            events: 1_234_567,
            pending_events: 2,
            oldest_pending: Some(Timestamp::from_millis(now.as_millis() - 180_000)),
            bytes: Some(3 << 20),
            free_bytes: Some(1 << 20),
            ..Stats::default()
        };
        let text = shown(&stats, now);
        assert!(text.contains("\nevents          1,234,567\n"), "{text}");
        assert!(text.contains("\npending events  2, the oldest for 3 minutes\n"), "{text}");
        assert!(text.contains("\nsize            3.0 MiB, of which 1.0 MiB are free\n"), "{text}");
        assert!(!shown(&Stats::default(), now).contains("size"));
    }
}

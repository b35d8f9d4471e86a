//! `patchbay migrate`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use patchbay_store::redis::{RedisOptions, RedisStore};
use patchbay_store::{Lease, Node, Partition, Stats, Store, StoreError};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::json;
use tokio::time::Instant;

use super::args::MigrateArgs;
use super::failure::{DONE, FAILED, failed, refused, wrong};
use super::output::{count, json_lines, number, print, progress_of_things};
use super::redis;
use super::source::{config, embedded, store};
use crate::config::{Config, StoreKind};

/// Characters of the name by which this process asks who else is there.
const NAME_CHARS: usize = 16;

/// A store as the command line names it.
#[derive(Debug)]
enum Place {
    /// The file of an embedded store.
    File(PathBuf),
    /// A Redis.
    Redis(Box<RedisOptions>),
    /// The store of a configuration.
    Config(Box<Config>),
}

impl Place {
    fn parse(text: &str) -> anyhow::Result<Self> {
        if let Some(options) = redis::options(text, |name| std::env::var(name).ok()) {
            return options.map(|options| Self::Redis(Box::new(options))).map_err(wrong);
        }
        match text.split_once(':') {
            Some(("embedded", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("config", path)) if !path.is_empty() => {
                let config = Box::new(config(Path::new(path))?);
                match config.store.kind {
                    StoreKind::Embedded => Ok(Self::File(config.store_path())),
                    StoreKind::Redis => Ok(Self::Config(config)),
                }
            }
            _ => Err(wrong(format!(
                "`{text}` is no store: write embedded:PATH, redis://HOST:PORT, or \
                 config:FILE for a configuration's"
            ))),
        }
    }

    /// Opens it; `partitions`: it may be made, with so many.
    async fn open(&self, partitions: Option<u16>) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::File(path) if partitions.is_none() && !path.exists() => {
                Err(failed(format!("there is no store at {}", path.display())))
            }
            Self::File(path) => embedded(path, partitions.unwrap_or(1)),
            Self::Redis(options) => {
                let mut options = RedisOptions::clone(options);
                options.partitions = partitions.unwrap_or(options.partitions);
                let (store, warnings) = RedisStore::connect(options).await.context("cannot open the store in Redis")?;
                warnings.iter().for_each(|warning| anstream::eprintln!("{warning}"));
                Ok(Arc::new(store))
            }
            Self::Config(config) => store(config).await,
        }
    }
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: MigrateArgs) -> anyhow::Result<u8> {
    let (from, to) = (Place::parse(&args.from)?, Place::parse(&args.to)?);
    if let (Place::File(from), Place::File(to)) = (&from, &to)
        && (from == to || (to.exists() && from.canonicalize().ok() == to.canonicalize().ok()))
    {
        return Err(wrong("--from and --to are the same store"));
    }
    let source = from.open(None).await?;
    let moved = match to.open(Some(source.partitions())).await {
        Ok(target) => {
            let moved = between(&*source, &*target, &args).await;
            target.close().await;
            moved
        }
        Err(error) => Err(error),
    };
    source.close().await;
    let Moved { records, before, after } = moved?;
    let differences = differences(&before, &after);
    if args.json {
        json_lines([&json!({ "moved": records, "from": before, "to": after })])?;
    } else {
        print(&format!("{}: {}\n", args.to, count(records, "thing moved", "things moved")))?;
    }
    if differences.is_empty() {
        return Ok(DONE);
    }
    for (name, from, to) in differences {
        anstream::eprintln!("{name}: {} in {}, {} in {}", number(from), args.from, number(to), args.to);
    }
    anstream::eprintln!("the stores differ: do not use {} before `patchbay store verify` says why", args.to);
    Ok(FAILED)
}

/// What a migration did.
struct Moved {
    records: u64,
    /// The source in numbers.
    before: Stats,
    /// The target in numbers.
    after: Stats,
}

async fn between(source: &dyn Store, target: &dyn Store, args: &MigrateArgs) -> anyhow::Result<Moved> {
    let mut source_watch = Watch::begin(source, &args.from).await?;
    let mut target_watch = Watch::begin(target, &args.to).await?;
    let moved = transfer(source, target, args, &mut source_watch, &mut target_watch).await;
    source_watch.end().await;
    target_watch.end().await;
    moved
}

async fn transfer(
    source: &dyn Store,
    target: &dyn Store,
    args: &MigrateArgs,
    source_watch: &mut Watch<'_>,
    target_watch: &mut Watch<'_>,
) -> anyhow::Result<Moved> {
    let before = source.stats().await.with_context(|| format!("cannot read {}", args.from))?;
    if counts(&before).iter().all(|(_, count)| *count == 0) {
        return Err(failed(format!("{} holds nothing: is it the right one?", args.from)));
    }
    let there = target.stats().await.with_context(|| format!("cannot read {}", args.to))?;
    check_target(&before, &there, args)?;
    let bar = progress_of_things(counts(&before).iter().map(|(_, count)| count).sum()).with_message("moving");
    let (mut records, mut from) = (0, None);
    loop {
        let page = source.export(from).await.with_context(|| format!("cannot read {}", args.from))?;
        let size = page.records.len() as u64;
        if size > 0 {
            let imported = target.import(page.records).await;
            imported.with_context(|| {
                format!("cannot write {}; when that is mended, run the same again with --continue", args.to)
            })?;
        }
        records += size;
        bar.inc(size);
        source_watch.keep().await?;
        target_watch.keep().await?;
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    bar.finish_and_clear();
    let after = target.stats().await.with_context(|| format!("cannot read {}", args.to))?;
    Ok(Moved { records, before, after })
}

/// A target has to be empty, or hold a part of what is moved.
fn check_target(before: &Stats, there: &Stats, args: &MigrateArgs) -> anyhow::Result<()> {
    let to = &args.to;
    if counts(there).iter().all(|(_, count)| *count == 0) {
        return Ok(());
    }
    if !args.go_on {
        return Err(refused(format!(
            "{to} is not empty ({}): name a store that is, or add --continue if it is what an earlier run of the same \
             migration left",
            count(there.events, "event", "events")
        )));
    }
    let more = counts(before).into_iter().zip(counts(there)).find(|((_, from), (_, to))| to > from);
    match more {
        Some(((name, in_source), (_, in_target))) => Err(refused(format!(
            "{to} holds more than {}: {} {name} and not {}. It is no part of this migration",
            args.from,
            number(in_target),
            number(in_source)
        ))),
        None => Ok(()),
    }
}

/// What is compared, by name.
fn counts(stats: &Stats) -> [(&'static str, u64); 10] {
    [
        ("events", stats.events),
        ("pending events", stats.pending_events),
        ("conversations", stats.conversations),
        ("tasks", stats.tasks),
        ("timers", stats.timers),
        ("links", stats.links),
        ("media", stats.media),
        ("dead letters", stats.dead_letters),
        ("reports", stats.reports),
        ("documents", stats.documents),
    ]
}

fn differences(before: &Stats, after: &Stats) -> Vec<(&'static str, u64, u64)> {
    let pairs = counts(before).into_iter().zip(counts(after));
    pairs.filter(|((_, from), (_, to))| from != to).map(|((name, from), (_, to))| (name, from, to)).collect()
}

/// Every partition of a store, held while its content moves, so that no gateway begins to work with it.
struct Watch<'a> {
    store: &'a dyn Store,
    name: &'a str,
    leases: Vec<Lease>,
    renewed: Instant,
}

impl<'a> Watch<'a> {
    async fn begin(store: &'a dyn Store, name: &'a str) -> anyhow::Result<Self> {
        let id = format!("migrate-{}", Alphanumeric.sample_string(&mut rand::rng(), NAME_CHARS));
        let node =
            Node { id, name: "patchbay migrate".into(), since: store.now(), owned: 0, skew_ms: 0, leaving: true };
        let nodes = store.beat(&node).await.with_context(|| format!("cannot write {name}"))?;
        store.leave(&node.id).await.with_context(|| format!("cannot write {name}"))?;
        let others: Vec<&str> =
            nodes.iter().filter(|other| other.id != node.id).map(|other| other.name.as_str()).collect();
        if !others.is_empty() {
            return Err(refused(format!("gateways run on {name}: {}. Stop them first", others.join(", "))));
        }
        let mut watch = Self { store, name, leases: Vec::new(), renewed: Instant::now() };
        for partition in (0..store.partitions()).map(Partition) {
            match store.acquire(partition).await {
                Ok(Some(lease)) => watch.leases.push(lease),
                Ok(None) => {
                    watch.end().await;
                    return Err(refused(format!(
                        "partition {partition} of {name} is held by a gateway: stop it; should it have crashed, its \
                         hold ends in {}s",
                        store.lease_time().map_or(0, |time| time.as_secs())
                    )));
                }
                Err(error) => {
                    watch.end().await;
                    return Err(anyhow::Error::new(error).context(format!("cannot write {name}")));
                }
            }
        }
        Ok(watch)
    }

    /// Keeps the partitions, where they would be lost after a time.
    async fn keep(&mut self) -> anyhow::Result<()> {
        let Some(time) = self.store.lease_time() else { return Ok(()) };
        if self.renewed.elapsed() < time / 3 {
            return Ok(());
        }
        self.renewed = Instant::now();
        for lease in &self.leases {
            match self.store.renew(lease).await {
                Ok(()) => {}
                Err(StoreError::Fenced(_)) => {
                    return Err(failed(format!(
                        "a gateway has begun to work with {}: stop it, and begin again with an empty target",
                        self.name
                    )));
                }
                Err(error) => return Err(anyhow::Error::new(error).context(format!("cannot write {}", self.name))),
            }
        }
        Ok(())
    }

    async fn end(self) {
        for lease in self.leases {
            // One that was lost needs no giving back.
            let _lost = self.store.release(lease).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(go_on: bool) -> MigrateArgs {
        MigrateArgs { from: "embedded:a".into(), to: "embedded:b".into(), go_on, json: false }
    }

    fn with(events: u64, links: u64) -> Stats {
        Stats { events, links, ..Stats::default() }
    }

    #[test]
    fn a_target_is_empty_or_a_part() {
        let check =
            |there: &Stats, go_on| check_target(&with(5, 2), there, &args(go_on)).map_err(|error| error.to_string());
        assert_eq!(check(&with(0, 0), false), Ok(()));
        assert!(check(&with(3, 0), false).unwrap_err().contains("embedded:b is not empty (3 events)"));
        assert_eq!(check(&with(3, 0), true), Ok(()));
        assert!(check(&with(3, 4), true).unwrap_err().contains("4 links and not 2"));
    }

    #[test]
    fn what_differs_is_named() {
        assert_eq!(differences(&with(5, 2), &with(5, 1)), [("links", 2, 1)]);
    }

    #[test]
    fn a_store_is_named_by_its_kind() {
        assert!(
            matches!(Place::parse("embedded:a b/c.redb"), Ok(Place::File(path)) if path == Path::new("a b/c.redb"))
        );
        for text in ["a.redb", "embedded:", "sqlite:a", "config:"] {
            assert!(Place::parse(text).unwrap_err().to_string().contains("is no store"), "{text}");
        }
    }
}

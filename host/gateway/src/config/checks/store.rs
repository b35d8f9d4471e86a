//! Durable state: what one kind of store needs, and the other has no use for.

use super::Check;
use crate::config::{Period, Redis, RedisMode, Size, StoreKind};

/// Partitions below which a few nodes cannot share the work evenly.
const PARTITIONS_LEAST: u16 = 16;
/// A shorter lease is lost by a pause of a busy machine.
const LEASE_LEAST: Period = Period::seconds(3);
/// A longer one leaves customers without an answer for as long, when a node dies.
const LEASE_MOST: Period = Period::seconds(5 * 60);

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    periods(check);
    match (config.store.kind, &config.store.redis) {
        (StoreKind::Redis, Some(redis)) => {
            with_redis(check);
            redis_itself(check, redis);
        }
        (StoreKind::Redis, None) if !check.findings.is_broken("store.redis") => {
            check.error(
                "store.kind",
                "`kind` is `redis`, and nothing says where it is",
                "add a section [store.redis] with addresses = [\"redis.example.com:6379\"]",
            );
        }
        (StoreKind::Redis, None) => {}
        (StoreKind::Embedded, redis) => {
            if redis.is_some() {
                let fix = "write kind = \"redis\" under [store], or take [store.redis] out";
                check.warning("store.redis", "the store is the embedded one: nothing uses this section", fix);
            }
            if config.spool.accept {
                let message = "the embedded store is on this machine already: there is nothing to keep before it";
                check.warning("spool.accept", message, "take it out; it is for kind = \"redis\" under [store]");
            }
        }
    }
}

fn periods(check: &mut Check<'_>) {
    let (config, hour, century) = (check.config, Period::seconds(3600), Period::days(36_500));
    let kept = &config.retention;
    let mut periods = vec![
        ("retention.raw", kept.raw, hour, century),
        ("retention.events", kept.events, hour, century),
        // WhatsApp lets a customer be answered for a day.
        ("retention.conversations", kept.conversations, Period::days(1), century),
        ("retention.dead_letters", kept.dead_letters, hour, century),
        ("retention.reports", kept.reports, hour, century),
    ];
    periods
        .extend(config.store.redis.as_ref().map(|redis| ("store.redis.lease", redis.lease, LEASE_LEAST, LEASE_MOST)));
    for (key, value, least, most) in periods {
        if value < least || value > most {
            check.error(key, format!("{value} is out of range"), format!("write a duration from {least} to {most}"));
        }
    }
    let (spool, least) = (config.spool.max, Size::mebibytes(1));
    if spool < least {
        check.error("spool.max", format!("{spool} is out of range"), format!("write a size of at least {least}"));
    }
}

/// What only the embedded store uses.
fn with_redis(check: &mut Check<'_>) {
    let store = &check.config.store;
    if store.path.is_some() {
        let fix = "take it out; [store.redis] says where the data is";
        check.warning("store.path", "the store is a Redis: nothing uses this file", fix);
    }
    if store.quick_repair {
        check.warning("store.quick_repair", "the store is a Redis: it has no file to repair", "take it out");
    }
    if store.partitions < PARTITIONS_LEAST {
        check.warning(
            "store.partitions",
            format!("{} partitions cannot be shared evenly by several nodes", store.partitions),
            "write 64 or more before the store has data; the number is fixed after that",
        );
    }
}

fn redis_itself(check: &mut Check<'_>, redis: &Redis) {
    if redis.mode == RedisMode::Cluster && redis.database != 0 {
        let message = format!("a Redis Cluster has no database {}", redis.database);
        check.error("store.redis.database", message, "write database = 0, or take it out");
    }
    if redis.mode != RedisMode::Sentinel && redis.sentinel_password.is_some() {
        let fix = "write mode = \"sentinel\", or take it out";
        check.warning("store.redis.sentinel_password", "no Sentinel is asked: nothing uses this password", fix);
    }
    if redis.mode == RedisMode::Standalone && redis.addresses.len() > 1 {
        check.error(
            "store.redis.addresses",
            format!("{} addresses, and one server", redis.addresses.len()),
            "leave one, or write mode = \"sentinel\" or mode = \"cluster\"",
        );
    }
    if redis.username.is_some() && redis.password.is_none() {
        let fix = "write password = \"env:STORE_REDIS_PASSWORD\" and set that variable";
        check.error("store.redis.username", "a user without a password", fix);
    }
    if !redis.tls && redis.tls_ca.is_some() {
        let fix = "write tls = true, or take it out";
        check.warning("store.redis.tls_ca", "without `tls` nothing is encrypted, and nothing is checked", fix);
    }
    let remote = |address: &String| {
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let loopback = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        !loopback && host != "localhost"
    };
    if redis.password.is_none()
        && let Some(index) = redis.addresses.iter().position(remote)
    {
        let fix = "set `requirepass` or an ACL user there, and write password = \"env:STORE_REDIS_PASSWORD\"";
        check.warning(
            &format!("store.redis.addresses[{index}]"),
            "whoever reaches this Redis reads what customers wrote",
            fix,
        );
    }
}

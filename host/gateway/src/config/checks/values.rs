//! Durations and sizes within reason, names said once.

use std::collections::BTreeMap;

use url::Host;

use super::Check;
use crate::config::gateway::{MAX_BODY_LEAST, MAX_BODY_MOST};
use crate::config::{Config, Period, Size};

/// The most memory that a plugin can be given: the size of a slot in the sandbox's pool.
const MEMORY_MOST: Size = Size::mebibytes(256);
/// The least that a plugin can be given: a guest's own start needs about as much.
const MEMORY_LEAST: Size = Size::mebibytes(1);

/// The least quota of keys and values that means anything.
const KEYVALUE_LEAST: Size = Size::bytes(1 << 10);
/// The most that a plugin may keep in the store, which is no file server.
const KEYVALUE_MOST: Size = Size::mebibytes(64);

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (key, value, least, most) in periods(config) {
        if value < least || value > most {
            let message = format!("{value} is out of range");
            check.error(&key, message, format!("write a duration from {least} to {most}"));
        }
    }
    for (key, value, least, most) in sizes(config) {
        if value < least || value > most {
            check.error(&key, format!("{value} is out of range"), format!("write a size from {least} to {most}"));
        }
    }
    let retry = &config.retry;
    if retry.longest < retry.first {
        check.error(
            "retry.longest",
            format!("the longest wait ({}) is shorter than the first one ({})", retry.longest, retry.first),
            format!("write a duration of at least {}", retry.first),
        );
    }
    if retry.give_up_after < retry.longest {
        check.warning(
            "retry.give_up_after",
            format!(
                "tasks are given up after {}, before the longest wait ({}) is ever reached",
                retry.give_up_after, retry.longest
            ),
            "make it longer, or `longest` shorter",
        );
    }
    once(check, "name", "a name", |config| &config.whatsapp.numbers, |number| &number.name, "whatsapp.numbers");
    once(
        check,
        "phone_number_id",
        "an id",
        |config| &config.whatsapp.numbers,
        |number| &number.phone_number_id,
        "whatsapp.numbers",
    );
    once(check, "name", "a name", |config| &config.chains, |chain| &chain.name, "chains");
    let graph = &config.whatsapp.graph_url;
    if graph.scheme() == "http" && !is_loopback(graph.host()) {
        check.warning(
            "whatsapp.graph_url",
            "access tokens go to this address without encryption",
            "write https://, unless it is a simulator",
        );
    }
}

/// Keys, values and their ranges.
fn periods(config: &Config) -> Vec<(String, Period, Period, Period)> {
    let (instant, second) = (Period::millis(1), Period::seconds(1));
    let (minutes, hour, week) = (Period::seconds(600), Period::seconds(3600), Period::seconds(7 * 86_400));
    let mut found = vec![
        ("gateway.shutdown_grace".to_owned(), config.gateway.shutdown_grace, Period::millis(0), minutes),
        ("whatsapp.reconcile_wait".to_owned(), config.whatsapp.reconcile_wait, second, hour),
        ("retry.first".to_owned(), config.retry.first, Period::millis(10), hour),
        ("retry.longest".to_owned(), config.retry.longest, Period::millis(10), Period::seconds(86_400)),
        // Meta itself stops after seven days, and a conversation has gone on long before.
        ("retry.give_up_after".to_owned(), config.retry.give_up_after, second, week),
    ];
    for (name, desk) in &config.desks {
        found.push((format!("desks.{name}.timeout"), desk.timeout, Period::millis(100), minutes));
        found.push((format!("desks.{name}.media_wait"), desk.media_wait, Period::millis(0), hour));
    }
    for (index, chain) in config.chains.iter().enumerate() {
        for (step_index, step) in chain.steps.iter().enumerate() {
            // A handler holds up its conversation: a minute is longer than a customer waits.
            found.push((
                format!("chains[{index}].steps[{step_index}].timeout"),
                step.timeout,
                instant,
                Period::seconds(60),
            ));
        }
    }
    for (name, plugin) in &config.plugins {
        let cpu =
            plugin.limits.cpu.map(|cpu| (format!("plugins.{name}.limits.cpu"), cpu, instant, Period::seconds(60)));
        found.extend(cpu);
    }
    found
}

fn sizes(config: &Config) -> Vec<(String, Size, Size, Size)> {
    let mut found = vec![("gateway.max_body".to_owned(), config.gateway.max_body, MAX_BODY_LEAST, MAX_BODY_MOST)];
    for (name, plugin) in &config.plugins {
        let memory = plugin.limits.memory;
        found.extend(memory.map(|memory| (format!("plugins.{name}.limits.memory"), memory, MEMORY_LEAST, MEMORY_MOST)));
        let quota = plugin.grants.keyvalue;
        let key = format!("plugins.{name}.grants.keyvalue");
        found.extend(quota.map(|quota| (key, quota, KEYVALUE_LEAST, KEYVALUE_MOST)));
    }
    found
}

/// Reports what two entries of a list have in common and must not.
fn once<T>(
    check: &mut Check<'_>,
    field: &str,
    word: &str,
    list: impl Fn(&Config) -> &[T],
    value: impl Fn(&T) -> &str,
    key: &str,
) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let config = check.config;
    for (index, item) in list(config).iter().enumerate() {
        let this = format!("{key}[{index}].{field}");
        if check.findings.is_broken(&this) {
            continue;
        }
        match seen.get(value(item)) {
            Some(first) => {
                let message = format!("`{}` stands at {key}[{first}] already", value(item));
                check.error(&this, message, format!("give each one {word} of its own"));
            }
            None => drop(seen.insert(value(item), index)),
        }
    }
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

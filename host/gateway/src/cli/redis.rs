//! A store in Redis as the command line names it.
//!
//! | form | what |
//! | --- | --- |
//! | `redis://HOST:PORT[/DATABASE]` | one server |
//! | `redis+sentinel://HOST:PORT,…/MASTER[/DATABASE]` | Sentinels |
//! | `redis+cluster://HOST:PORT,…` | some nodes of a Cluster |
//!
//! `rediss` instead of `redis` talks TLS; `USER@` before the hosts is the ACL user; `?prefix=WORD` is what keys begin with.
//! Passwords come from the environment: other users of the machine see command lines.

use patchbay_store::redis::{RedisMode, RedisOptions, RedisTls};
use secrecy::SecretString;

/// The variable with the user's password.
pub const PASSWORD: &str = "PATCHBAY_REDIS_PASSWORD";
/// The variable with the Sentinels' own password.
pub const SENTINEL_PASSWORD: &str = "PATCHBAY_REDIS_SENTINEL_PASSWORD";

/// The port where none is said.
const PORT: u16 = 6379;
/// The Sentinels' port where none is said.
const SENTINEL_PORT: u16 = 26379;

/// What a text says; none: it is no Redis that it names.
///
/// # Errors
/// A sentence about what is wrong with it. It does not repeat the text, which may hold a password.
pub fn options(text: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Result<RedisOptions, String>> {
    let (scheme, rest) = text.split_once("://")?;
    let (base, mode) = match scheme.split_once('+') {
        None => (scheme, RedisMode::Standalone),
        Some((base, "sentinel")) => (base, RedisMode::Sentinel),
        Some((base, "cluster")) => (base, RedisMode::Cluster),
        Some(_) => return None,
    };
    let tls = match base {
        "redis" => None,
        "rediss" => Some(RedisTls::default()),
        _ => return None,
    };
    let secret = |name: &str| variable(name).filter(|value| !value.is_empty()).map(SecretString::from);
    let (password, sentinel_password) = (secret(PASSWORD), secret(SENTINEL_PASSWORD));
    let options = RedisOptions { mode, tls, password, sentinel_password, ..RedisOptions::default() };
    Some(fill(options, rest))
}

fn fill(mut options: RedisOptions, rest: &str) -> Result<RedisOptions, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = match hosts.rsplit_once('@') {
        None => hosts,
        Some((user, _)) if user.contains(':') => {
            return Err(format!("a password in a command is seen by others: put it into {PASSWORD}"));
        }
        Some((user, hosts)) => {
            options.username = Some(user.to_owned());
            hosts
        }
    };
    let port = if options.mode == RedisMode::Sentinel { SENTINEL_PORT } else { PORT };
    let with_port = |host: &str| match host.rsplit_once(':') {
        Some((_, number)) if number.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:{port}"),
    };
    options.addresses = hosts.split(',').filter(|host| !host.is_empty()).map(with_port).collect();
    if options.addresses.is_empty() {
        return Err("it names no host: write redis://HOST:6379".into());
    }
    let mut path = path.split('/').filter(|part| !part.is_empty());
    if options.mode == RedisMode::Sentinel {
        options.master = path.next().ok_or("it names no master: write redis+sentinel://HOST:26379/MASTER")?.to_owned();
    }
    if let Some(database) = path.next() {
        let number = database.parse().ok().filter(|_| options.mode != RedisMode::Cluster);
        options.database = number.ok_or("the database is a number, and a Cluster has only 0")?;
    }
    if path.next().is_some() {
        return Err("there is too much behind its hosts: write redis://HOST:6379/0".into());
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("prefix", prefix)) if !prefix.is_empty() => prefix.clone_into(&mut options.prefix),
            _ => return Err("behind `?` only prefix=WORD is known".into()),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RedisOptions, String> {
        options(text, |_| None).unwrap()
    }

    #[test]
    fn the_three_deployments() {
        let one = read("redis://127.0.0.1/3?prefix=shop").unwrap();
        assert_eq!((one.addresses, one.database, one.prefix.as_str()), (vec!["127.0.0.1:6379".into()], 3, "shop"));
        let sentinels = read("rediss+sentinel://ops@a,b:26380/mymaster").unwrap();
        assert_eq!(sentinels.addresses, ["a:26379", "b:26380"]);
        assert_eq!((sentinels.mode, sentinels.master.as_str()), (RedisMode::Sentinel, "mymaster"));
        assert_eq!((sentinels.username.as_deref(), sentinels.tls.is_some()), (Some("ops"), true));
        let cluster = read("redis+cluster://a:7000,b:7001").unwrap();
        assert_eq!((cluster.mode, cluster.addresses.len(), cluster.tls), (RedisMode::Cluster, 2, None));
        assert!(options("embedded:a", |_| None).is_none());
    }

    #[test]
    fn a_password_comes_from_the_environment_only() {
        let refused = read("redis://ops:hunter2@a").unwrap_err();
        assert!(refused.contains(PASSWORD) && !refused.contains("hunter2"), "{refused}");
        let given = options("redis://a", |name| (name == PASSWORD).then(|| "hunter2".into())).unwrap().unwrap();
        assert!(given.password.is_some() && given.sentinel_password.is_none());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("redis://", "no host"),
            ("redis+sentinel://a", "no master"),
            ("redis://a/b", "is a number"),
            ("redis+cluster://a/1", "only 0"),
            ("redis://a/1/2", "too much"),
            ("redis://a?tls=1", "prefix=WORD"),
        ] {
            assert!(read(text).unwrap_err().contains(part), "{text}");
        }
    }
}

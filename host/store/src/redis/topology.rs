//! Finding out which server has what.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::redis::{Cmd, RedisConnectionInfo, Value};
use secrecy::ExposeSecret;

use super::server::{Server, Trouble, client, text, timeouts};
use super::servers::{Map, Servers, reason};
use crate::StoreError;

/// One server that has everything.
pub(super) fn standalone(servers: &Servers) -> Result<Map, StoreError> {
    Ok(Map::of_one(servers.at(first(servers)?)?))
}

fn first(servers: &Servers) -> Result<&str, StoreError> {
    let first = servers.options.addresses.first();
    first.map(String::as_str).ok_or_else(|| StoreError::Unsuitable("the Redis has no address".into()))
}

/// The master that the Sentinels know: after a failover some of them know it earlier than others, so the one with the
/// latest configuration is believed.
pub(super) async fn sentinel(servers: &Servers) -> Result<Map, StoreError> {
    let asked: Vec<_> = servers.options.addresses.iter().map(|address| ask_sentinel(servers, address)).collect();
    let mut latest: Option<(u64, String)> = None;
    let mut problems = Vec::new();
    for answer in futures::future::join_all(asked).await {
        match answer {
            Ok(found) if latest.as_ref().is_none_or(|(epoch, _)| found.0 > *epoch) => latest = Some(found),
            Ok(_) => {}
            Err(problem) => problems.push(problem),
        }
    }
    match latest {
        Some((_, address)) => Ok(Map::of_one(servers.at(&address)?)),
        None => Err(StoreError::Unavailable(format!("no Sentinel says who the master is: {}", problems.join("; ")))),
    }
}

/// The configuration's epoch and the master's address, by one Sentinel.
async fn ask_sentinel(servers: &Servers, address: &str) -> Result<(u64, String), String> {
    let options = &servers.options;
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(password) = &options.sentinel_password {
        login = login.set_password(password.expose_secret());
    }
    let problem = |error: String| format!("{address}: {error}");
    let client = client(address, options, login).map_err(|error| problem(reason(error)))?;
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&timeouts())
        .await
        .map_err(|error| problem(error.to_string()))?;
    let mut request = ::redis::cmd("SENTINEL");
    request.arg("MASTER").arg(&options.master);
    let fields: BTreeMap<String, String> =
        request.query_async(&mut connection).await.map_err(|error| problem(error.to_string()))?;
    let of = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let epoch = of("config-epoch").parse().unwrap_or_default();
    Ok((epoch, join(of("ip"), of("port"))))
}

/// The masters of a Cluster and their slots, by the first node that answers.
pub(super) async fn cluster(servers: &Servers) -> Result<Map, StoreError> {
    let known =
        servers.current().map(|map| map.servers.iter().map(|server| server.address.clone()).collect::<Vec<_>>());
    let mut request = ::redis::cmd("CLUSTER");
    request.arg("SLOTS");
    let mut problems = Vec::new();
    for address in known.unwrap_or_default().iter().chain(&servers.options.addresses) {
        match slots(servers, address, &request).await {
            Ok(map) if !map.ranges.is_empty() => return Ok(map),
            Ok(_) => problems.push(format!("{address}: it serves no slots")),
            Err(problem) => problems.push(format!("{address}: {problem}")),
        }
    }
    Err(StoreError::Unavailable(format!("no node of the Cluster answers: {}", problems.join("; "))))
}

async fn slots(servers: &Servers, address: &str, request: &Cmd) -> Result<Map, String> {
    let node = servers.at(address).map_err(reason)?;
    // A replica knows the slots as well, but is no server of ours: it is asked on a connection that is not kept.
    let answer = match node.send(request).await {
        Err(Trouble::NotMaster) => node.ask_once(request).await,
        answer => answer,
    };
    let answer = answer.map_err(|trouble| reason(trouble.into_error()))?;
    let mut map = Map { servers: Vec::new(), ranges: Vec::new() };
    let Value::Array(ranges) = answer else { return Err("it is not in a Cluster".into()) };
    for range in ranges {
        let Value::Array(parts) = range else { continue };
        let mut parts = parts.into_iter();
        let (Some(Value::Int(from)), Some(Value::Int(to)), Some(Value::Array(master))) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let mut master = master.into_iter();
        let (Some(host), Some(Value::Int(port))) = (master.next(), master.next()) else { continue };
        let address = resolve(&join(&text(host), &port.to_string()), &node);
        let server = servers.at(&address).map_err(reason)?;
        let place = map.servers.iter().position(|known| Arc::ptr_eq(known, &server)).unwrap_or_else(|| {
            map.servers.push(server);
            map.servers.len() - 1
        });
        if let (Ok(from), Ok(to)) = (u16::try_from(from), u16::try_from(to)) {
            map.ranges.push((from, to, place));
        }
    }
    Ok(map)
}

fn join(host: &str, port: &str) -> String {
    format!("{host}:{port}")
}

/// An address as a node gives it: without a host it is the node's own.
pub(super) fn resolve(address: &str, node: &Server) -> String {
    match address.strip_prefix(':') {
        Some(port) => {
            let host = node.address.rsplit_once(':').map_or("", |(host, _)| host);
            join(host, port)
        }
        None => address.to_owned(),
    }
}

/// A map without its connections, to be compared.
pub(super) fn outline(map: &Map) -> Vec<(u16, u16, String)> {
    let of = |place: usize| map.servers.get(place).map(|server| server.address.clone()).unwrap_or_default();
    map.ranges.iter().map(|(from, to, place)| (*from, *to, of(*place))).collect()
}

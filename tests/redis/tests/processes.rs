//! The processes do what the tests of the store rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use patchbay_test_redis::{Cluster, Options, Redis, SentinelGroup, SentinelOptions};

#[test]
fn a_server_keeps_its_data_over_a_restart() {
    let mut redis = Redis::start(Options { appendfsync: "always", password: Some("p".into()), ..Options::default() });
    let _: String = redis.ask(&["SET", "a", "1"]);
    redis.kill();
    assert!(redis.try_ask::<String>(&["GET", "a"]).is_err());
    redis.restart();
    assert_eq!(redis.ask::<String>(&["GET", "a"]), "1");
    redis.restart_empty();
    assert_eq!(redis.ask::<Option<String>>(&["GET", "a"]), None);
}

#[test]
fn sentinels_replace_a_master_that_is_killed() {
    let mut group = SentinelGroup::start(SentinelOptions::default());
    let old = group.kill_master();
    let new = group.wait_for_another_master(&old);
    assert_ne!(old, new);
    group.restart(&old);
    group.wait_until_it_follows(&old);
}

#[test]
fn a_master_that_is_cut_off_still_serves_its_clients() {
    let group = SentinelGroup::start(SentinelOptions { sentinel_password: Some("s".into()), ..Default::default() });
    let old = group.cut_master_off();
    let new = group.wait_for_another_master(&old);
    let first = group.servers().first().unwrap();
    assert_eq!(first.addr(), old);
    let _: String = first.ask(&["SET", "lost", "1"]);
    group.let_in_again(&old);
    group.wait_until_it_follows(&old);
    assert_eq!(group.master().addr(), new);
    assert_eq!(first.ask::<Option<String>>(&["GET", "lost"]), None);
}

#[test]
fn a_cluster_is_whole_and_moves_a_slot() {
    let cluster = Cluster::start(0);
    let slot = cluster.slot("{pb:1}:owner");
    let from = cluster.master_of(slot);
    let to = (from + 1) % 3;
    let _: String = cluster.nodes().get(from).unwrap().ask(&["SET", "{pb:1}:owner", "1"]);
    assert_eq!(cluster.begin_move(slot, to), from);
    assert_eq!(cluster.move_keys(slot, from, to, 10), 1);
    cluster.end_move(slot, to);
    assert_eq!(cluster.master_of(slot), to);
}

//! Three gateways on one Redis: what is deployed on one runs on all, and a node that cannot load it says so and keeps what
//! it runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::time::{Duration, Instant};

use anyhow::Result;
use patchbay_test_redis::{Options as RedisOptions, Redis};
use patchbay_tests::command::text;
use patchbay_tests::components::Version;
use patchbay_tests::config::Options;
use patchbay_tests::{Fleet, Patchbay, eventually};
use serde_json::{Value, json};
use tokio::task::block_in_place;

const GATEWAYS: usize = 3;

fn redis() -> (Redis, String) {
    let redis = block_in_place(|| Redis::start(RedisOptions::default()));
    let more = format!(
        "[store]\nkind = \"redis\"\npartitions = 6\n[store.redis]\naddresses = [\"{}\"]\nlease = \"3s\"\n\
         [deployments]\nunsigned = true\n",
        redis.addr()
    );
    (redis, more)
}

/// The configuration of a node with a name of its own: they are on one machine.
async fn fleet(more: &str) -> Result<Fleet> {
    let mut fleet = Fleet::open(GATEWAYS, &Options { more: more.to_owned(), ..Options::default() }).await?;
    for number in 0..GATEWAYS {
        let named = format!("[gateway]\nnode_name = \"node-{number}\"");
        let toml = std::fs::read_to_string(fleet.config(number))?.replacen("[gateway]", &named, 1);
        std::fs::write(fleet.config(number), toml)?;
        fleet.take(number)?.terminate().await?;
        fleet.start(number).await?;
    }
    Ok(fleet)
}

async fn router(patchbay: &Patchbay) -> Result<Value> {
    let rows = patchbay.rows(&["plugin", "list", "--json"]).await?;
    Ok(rows.into_iter().find(|row| row["deployment"] == "router").unwrap())
}

/// What each node runs: its name, the generation, whether it says what is wrong.
fn nodes(row: &Value) -> Vec<(String, u64, bool)> {
    let nodes = row["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let name = node["node"].as_str().unwrap().to_owned();
            (name, node["active"].as_u64().unwrap(), node["problem"].is_string())
        })
        .collect()
}

fn all(generation: u64) -> Vec<(String, u64, bool)> {
    (0..GATEWAYS).map(|number| (format!("node-{number}"), generation, false)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deployed_on_one_runs_on_all() -> Result<()> {
    let (_redis, more) = redis();
    let fleet = fleet(&more).await?;
    let folder = tempfile::tempdir()?;
    let one = Patchbay::of(fleet.gateway(0).unwrap()).await?;
    let other = Patchbay::of(fleet.gateway(2).unwrap()).await?;
    let second = Version::of("2.0.0").of_router(folder.path())?;
    let done = one.rows(&["plugin", "deploy", "router", text(&second), "--wait", "--json"]).await?;
    assert_eq!(done[0]["nodes"], json!(["node-0", "node-1", "node-2"]), "{done:?}");
    assert_eq!(nodes(&router(&other).await?), all(2));
    for (number, name) in ["447700900001", "447700900002", "447700900003"].into_iter().enumerate() {
        let words = format!("hello {number}");
        fleet.text(name, &words).await?;
        fleet.expect_entries(name, &[&words]).await?;
    }
    // Two who order at the same time: both are carried out, one after the other.
    let third = Version::of("3.0.0").of_router(folder.path())?;
    let fourth = Version::of("4.0.0").of_router(folder.path())?;
    let first = ["plugin", "deploy", "router", text(&third)];
    let second = ["plugin", "deploy", "router", text(&fourth)];
    tokio::try_join!(one.done(&first), other.done(&second))?;
    eventually("the fourth generation everywhere", || async {
        let nodes = nodes(&router(&other).await?);
        Ok(if nodes == all(4) { Ok(()) } else { Err(format!("{nodes:?}")) })
    })
    .await?;
    other.done(&["plugin", "rollback", "router", "--wait"]).await?;
    assert_eq!(nodes(&router(&one).await?), all(3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_load_a_generation_says_so_and_keeps_the_old_one() -> Result<()> {
    let (_redis, more) = redis();
    let mut fleet = fleet(&more).await?;
    // The other two get a secret that this one does not know of.
    for number in [0, 1] {
        let toml = std::fs::read_to_string(fleet.config(number))?;
        let secret = "[plugins.router]\nsecrets = { lookup = \"env:PB_ZENDESK_WEBHOOK\" }\n";
        std::fs::write(fleet.config(number), toml.replacen("[plugins.router]\n", secret, 1))?;
        fleet.take(number)?.terminate().await?;
        fleet.start(number).await?;
    }
    let patchbay = Patchbay::of(fleet.gateway(0).unwrap()).await?;
    let row = eventually("the third node's word", || async {
        let row = router(&patchbay).await?;
        let ready = nodes(&row)
            == [("node-0".to_owned(), 2, false), ("node-1".to_owned(), 2, false), ("node-2".to_owned(), 1, true)];
        Ok(if ready { Ok(row) } else { Err(row.to_string()) })
    })
    .await?;
    let problem = row["nodes"][2]["problem"].as_str().unwrap();
    assert!(problem.contains("generation 2 cannot be loaded") && problem.contains("`lookup`"), "{problem}");
    assert!(problem.contains("[plugins.router.secrets]"), "{problem}");
    // It handles its part of the events all the same.
    for number in 0..6 {
        fleet.text(&format!("44770090001{number}"), "hello").await?;
    }
    for number in 0..6 {
        fleet.expect_entries(&format!("44770090001{number}"), &["hello"]).await?;
    }
    // Whoever waits for all nodes is told.
    let folder = tempfile::tempdir()?;
    let next = Version::of("2.0.0").of_router(folder.path())?;
    let told = patchbay.run(&["plugin", "deploy", "router", text(&next), "--wait"]).await?;
    assert!(told.code == 1 && told.err.contains("node-2 keeps what it runs"), "{told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_run_what_its_own_policy_does_not_allow() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let offline = Patchbay::offline();
    for key in ["acme", "bolt"] {
        offline.done(&["plugin", "keygen", text(&folder.path().join(key))]).await?;
        let policy = format!("[[allow]]\nnames = [\"acme-*\"]\nkeys = [\"{key}.pub\"]\n");
        std::fs::write(folder.path().join(format!("{key}.toml")), policy)?;
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (_redis, more) = redis();
    let policy = |name: &str| format!("policy = \"{}\"\n", path(name));
    let mut fleet = fleet(&more.replace("unsigned = true\n", &policy("acme.toml"))).await?;
    let toml = std::fs::read_to_string(fleet.config(2))?;
    std::fs::write(fleet.config(2), toml.replace(&policy("acme.toml"), &policy("bolt.toml")))?;
    fleet.take(2)?.terminate().await?;
    fleet.start(2).await?;

    let patchbay = Patchbay::of(fleet.gateway(0).unwrap()).await?;
    let second = Version::of("2.0.0").of_router(folder.path())?;
    offline.done(&["plugin", "sign", text(&second), "--key", &path("acme.key")]).await?;
    let told = patchbay.run(&["plugin", "deploy", "router", text(&second), "--wait"]).await?;
    assert!(told.code == 1 && told.err.contains("node-2 keeps what it runs"), "{told:?}");
    assert!(told.err.contains("bolt.toml allows: bolt.pub"), "{told:?}");
    eventually("the others", || async {
        let nodes = nodes(&router(&patchbay).await?);
        let expected =
            [("node-0".to_owned(), 2, false), ("node-1".to_owned(), 2, false), ("node-2".to_owned(), 1, true)];
        Ok(if nodes == expected { Ok(()) } else { Err(format!("{nodes:?}")) })
    })
    .await?;
    // Signed by the other vendor too, the same component may run there.
    offline.done(&["plugin", "sign", text(&second), "--key", &path("bolt.key")]).await?;
    patchbay.done(&["plugin", "deploy", "router", text(&second), "--wait"]).await?;
    assert_eq!(nodes(&router(&patchbay).await?), all(3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_killed_is_not_waited_for_long_and_is_named() -> Result<()> {
    let (_redis, more) = redis();
    let mut fleet = fleet(&more).await?;
    let folder = tempfile::tempdir()?;
    let second = Version::of("2.0.0").of_router(folder.path())?;
    let patchbay = Patchbay::of(fleet.gateway(0).unwrap()).await?;
    fleet.kill(2).await?;
    let begun = Instant::now();
    let told = patchbay.run(&["plugin", "deploy", "router", text(&second), "--wait"]).await?;
    let took = begun.elapsed();
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.err.contains("waiting for node-2, which has said nothing for")
            && told.err.contains("counts as gone after"),
        "{told:?}"
    );
    assert!(told.out.contains("on node-0, node-1\nnot on node-2, which has ended meanwhile"), "{told:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    fleet.start(2).await?;
    assert_eq!(nodes(&router(&patchbay).await?), all(2), "it follows when it is started again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_without_the_store_runs_the_configuration_and_follows_later() -> Result<()> {
    let (mut redis, more) = redis();
    let mut fleet = fleet(&more).await?;
    let folder = tempfile::tempdir()?;
    let second = Version::of("2.0.0").of_router(folder.path())?;
    let patchbay = Patchbay::of(fleet.gateway(0).unwrap()).await?;
    patchbay.done(&["plugin", "deploy", "router", text(&second), "--wait"]).await?;
    fleet.take(2)?.terminate().await?;
    block_in_place(|| redis.kill());
    fleet.spawn(2)?;
    eventually("the third node's plugins", || async {
        let log = fleet.gateway(2).unwrap().log();
        let own = log.contains("the configuration's own component runs");
        Ok(if own { Ok(()) } else { Err("its log does not say so".to_owned()) })
    })
    .await?;
    block_in_place(|| redis.restart());
    eventually("the second generation everywhere", || async {
        let nodes = match router(&patchbay).await {
            Ok(row) => nodes(&row),
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(if nodes == all(2) { Ok(()) } else { Err(format!("{nodes:?}")) })
    })
    .await?;
    let history = patchbay.rows(&["plugin", "history", "router", "--json"]).await?;
    assert_eq!(history.len(), 2, "it made no generation of its own: {history:?}");
    Ok(())
}

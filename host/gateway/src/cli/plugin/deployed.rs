//! What the commands about deployments share: where they ask, how they wait, what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::client::Client;
use crate::cli::failure::{DONE, Failure, REFUSED, failed, wrong};
use crate::cli::output::{json_lines, print, text_of};
use crate::deploy::nodes::{GONE_AFTER, SAID_EVERY};

/// The pause between two looks at what the nodes run.
const LOOK: Duration = Duration::from_millis(200);
/// How long nodes that live are waited for: a large component compiles for two minutes on a busy one. One that has ended is
/// waited for no longer than [`GONE_AFTER`].
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// After so long it is said what is waited for.
const SAY_AFTER: Duration = Duration::from_secs(3);

/// The address of a deployment in the API.
///
/// # Errors
/// When it is no name of a plugin.
pub(super) fn path(name: &str) -> anyhow::Result<String> {
    let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !word {
        return Err(wrong(format!("`{name}` is no deployment: write the name in [plugins.NAME] of the configuration")));
    }
    Ok(format!("/v1/deployments/{name}"))
}

/// Orders something about a deployment.
///
/// # Errors
/// When the gateway refuses it, or does not answer.
pub(super) async fn order(client: &Client, name: &str, verb: &str, body: &Value) -> anyhow::Result<Value> {
    client.post(&format!("{}/{verb}", path(name)?), body, None).await
}

/// The deployment whole.
///
/// # Errors
/// When there is none, or the gateway does not answer.
pub(super) async fn whole(client: &Client, name: &str) -> anyhow::Result<Value> {
    client.get(&path(name)?, &[]).await
}

/// The values of a list in an answer.
pub(super) fn list<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Says what became of an order, and waits for the nodes where that is wanted. A held generation exits with 3.
///
/// # Errors
/// When a node cannot do it, or the nodes take too long.
pub(super) async fn conclude(client: &Client, name: &str, done: Value, wait: bool, json: bool) -> anyhow::Result<u8> {
    let held = text_of(&done, "state") == "held";
    let waited = if wait && !held { wait_for_all(client, name, &done).await? } else { Waited::default() };
    if json {
        let mut row = done;
        if let Some(object) = row.as_object_mut().filter(|_| wait && !held) {
            object.insert("nodes".into(), json!(waited.nodes));
            object.insert("gone".into(), json!(waited.gone));
        }
        json_lines([&row])?;
        return Ok(if held { REFUSED } else { DONE });
    }
    print(&said(name, &done, &waited))?;
    Ok(if held { REFUSED } else { DONE })
}

fn said(name: &str, done: &Value, Waited { nodes, gone }: &Waited) -> String {
    let mut text = String::new();
    for stage in list(done, "stages") {
        text += &format!(
            "  {:<9} {} ({} ms)\n",
            text_of(stage, "stage"),
            text_of(stage, "said"),
            text_of(stage, "took_ms")
        );
    }
    let (number, state) = (text_of(done, "generation"), text_of(done, "state"));
    match state.as_str() {
        "held" => {
            text += &format!("{name}: generation {number} is held. It asks for more than the one before:\n");
            for missing in list(done, "missing") {
                text += &format!("  + {}\n", missing.as_str().unwrap_or_default());
            }
            text += &format!("To let it have that: {}\n", text_of(done, "next"));
        }
        "active" => text += &format!("{name}: generation {number} is active\n"),
        _ => text += &format!("{name}: generation {number} runs as {state}; go on with {}\n", text_of(done, "next")),
    }
    if !nodes.is_empty() {
        text += &format!("on {}\n", nodes.join(", "));
    }
    for node in gone {
        text += &format!("not on {node}, which has ended meanwhile; it follows when it is started again\n");
    }
    text
}

/// What waiting came to.
#[derive(Debug, Default)]
struct Waited {
    /// The nodes that run it.
    nodes: Vec<String>,
    /// Those that were there and have gone.
    gone: Vec<String>,
}

/// Why a node is waited for.
fn reason(node: &Value) -> String {
    let name = text_of(node, "node");
    let silent = Duration::from_millis(node.get("silent_ms").and_then(Value::as_u64).unwrap_or_default());
    // It speaks more often than that: something is wrong there.
    if silent > SAID_EVERY + SAY_AFTER {
        let (silent, gone) = (silent.as_secs(), GONE_AFTER.as_secs());
        return format!("{name}, which has said nothing for {silent} s and counts as gone after {gone} s");
    }
    format!("{name}, which runs generation {}", text_of(node, "active"))
}

/// Waits until every node runs what the order came to, and says what it waits for.
async fn wait_for_all(client: &Client, name: &str, done: &Value) -> anyhow::Result<Waited> {
    let bar = ProgressBar::new_spinner();
    let begun = Instant::now();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    // What was said last of each node.
    let mut told: BTreeMap<String, bool> = BTreeMap::new();
    let waited = loop {
        let now = whole(client, name).await?;
        let nodes = list(&now, "nodes");
        let named = |wanted: bool| -> Vec<String> {
            let is = |node: &&Value| (node.get("follows") == Some(&Value::Bool(true))) == wanted;
            nodes.iter().filter(is).map(|node| text_of(node, "node")).collect()
        };
        if now.get("active") != done.get("active") {
            bar.finish_and_clear();
            let active = text_of(&now, "active");
            return Err(failed(format!(
                "generation {active} of `{name}` is active now: somebody was faster, or it was taken back; see `patchbay \
                 plugin history {name}`"
            )));
        }
        // What a node said about the record before this one says nothing about this one, for a while.
        let late = begun.elapsed() >= GONE_AFTER;
        let told_now = |node: &&Value| late || node.get("revision") == now.get("revision");
        let problem = |node| Some((node, Value::get(node, "problem")?.as_str()?));
        if let Some((node, problem)) = nodes.iter().filter(told_now).find_map(problem) {
            bar.finish_and_clear();
            return Err(failed(format!(
                "the node {} keeps what it runs: {problem}; put that right there, or take it back with `patchbay plugin \
                 rollback {name}`",
                text_of(node, "node")
            )));
        }
        seen.extend(nodes.iter().map(|node| text_of(node, "node")));
        let waiting = named(false);
        if waiting.is_empty() && !nodes.is_empty() {
            let nodes = named(true);
            let gone = seen.into_iter().filter(|node| !nodes.contains(node)).collect();
            break Waited { nodes, gone };
        }
        if begun.elapsed() >= SAY_AFTER {
            for node in nodes.iter().filter(|node| waiting.contains(&text_of(node, "node"))) {
                let reason = reason(node);
                let silent = reason.contains("nothing");
                if told.insert(text_of(node, "node"), silent) != Some(silent) {
                    bar.suspend(|| anstream::eprintln!("waiting for {reason}"));
                }
            }
        }
        if begun.elapsed() >= PATIENCE {
            bar.finish_and_clear();
            return Err(failed(format!(
                "not all nodes run it yet: {} do not; `patchbay plugin list` shows how it goes on",
                waiting.join(", ")
            )));
        }
        bar.set_message(format!("{} of {} nodes run it", nodes.len() - waiting.len(), nodes.len()));
        bar.tick();
        tokio::time::sleep(LOOK).await;
    };
    bar.finish_and_clear();
    Ok(waited)
}

/// A component that the gateway does not take is refused by a rule, and the command line was right.
pub(super) fn refused_by_a_rule(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Failure>() {
        Ok(failure) if failure.code == crate::cli::failure::WRONG => Failure { code: REFUSED, ..failure }.into(),
        Ok(failure) => failure.into(),
        Err(error) => error,
    }
}

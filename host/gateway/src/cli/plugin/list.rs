//! `patchbay plugin list`

use serde_json::Value;

use super::deployed::list;
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;
use crate::cli::failure::{DONE, failed};
use crate::cli::output::{json_lines, print, table, text_of};

/// What its help says.
pub const ABOUT: &str = "Shows the deployments: on each node the generations that run there, how many calls they had since they \
                  began there, how many of them failed, and how long half of them and 99 of 100 took. A node that cannot \
                  run what it should says why.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin list\n  \
                       patchbay plugin list --json | jq '.nodes[] | select(.problem)'";

/// `patchbay plugin list`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// Write one JSON object a line: deployment, active, version, digest, canary, shadow, held, previous, nodes.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let answer = client.get("/v1/deployments", &[]).await?;
    let rows = answer.as_array().ok_or_else(|| failed("the gateway's answer is no list: is it of this version?"))?;
    if args.json {
        json_lines(rows)?;
        return Ok(DONE);
    }
    let heading = ["DEPLOYMENT", "NODE", "GENERATION", "STATE", "VERSION", "CALLS", "FAILED", "P50", "P99", "NOTE"];
    print(&table(&heading, &rows.iter().flat_map(of_deployment).collect::<Vec<_>>()))?;
    Ok(DONE)
}

/// A line for each generation that runs on each node, and one for a generation that waits.
fn of_deployment(row: &Value) -> Vec<Vec<String>> {
    let name = text_of(row, "deployment");
    let mut lines = Vec::new();
    for node in list(row, "nodes") {
        let states = [("active", "active"), ("canary", "canary"), ("shadow", "shadow")];
        for (key, state) in states {
            let Some(number) = node.get(key).and_then(Value::as_u64) else { continue };
            let calls = list(node, "calls")
                .iter()
                .find(|calls| calls.get("generation").and_then(Value::as_u64) == Some(number));
            let figure = |key: &str| calls.map(|calls| text_of(calls, key)).unwrap_or_default();
            let rate = calls.and_then(|calls| calls.get("failure_rate")?.as_f64()).unwrap_or_default();
            let version = if state == "active" { text_of(row, "version") } else { String::new() };
            let state = match (state, row.pointer("/canary/share").and_then(Value::as_str)) {
                ("canary", Some(share)) => format!("canary {share}"),
                (state, _) => state.to_owned(),
            };
            let time = |key: &str| Some(figure(key)).filter(|text| !text.is_empty()).map(|text| format!("{text} ms"));
            lines.push(vec![
                name.clone(),
                text_of(node, "node"),
                number.to_string(),
                state.clone(),
                version,
                figure("calls"),
                if calls.is_some() { format!("{:.1}%", rate * 100.0) } else { String::new() },
                time("p50_ms").unwrap_or_default(),
                time("p99_ms").unwrap_or_default(),
                note(node, key),
            ]);
        }
    }
    if let Some(held) = row.get("held").and_then(Value::as_u64) {
        let note = format!("asks for more: patchbay plugin approve {name}");
        let mut line = vec![name, String::new(), held.to_string(), "held".to_owned()];
        line.resize(9, String::new());
        line.push(note);
        lines.push(line);
    }
    lines
}

/// What there is to say beside the figures.
fn note(node: &Value, key: &str) -> String {
    let problem = node.get("problem").and_then(Value::as_str);
    match (key, problem, node.get("comparison").filter(|comparison| comparison.is_object())) {
        ("active", Some(problem), _) => problem.to_owned(),
        ("shadow", _, Some(comparison)) => {
            let count = |key: &str| text_of(comparison, key);
            format!("{} same, {} different, {} not asked", count("same"), count("different"), count("passed_over"))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_generation_on_every_node_has_a_line() {
        let row = json!({
            "deployment": "router", "version": "1.2.0", "held": 5, "canary": { "generation": 4, "share": "10%" },
            "nodes": [{
                "node": "one", "active": 3, "canary": 4, "shadow": null, "problem": null,
                "calls": [{ "generation": 3, "calls": 200, "failed": 1, "failure_rate": 0.005, "p50_ms": 0.4, "p99_ms": 2.5 }],
            }, { "node": "two", "active": 2, "problem": "no secret", "calls": [] }],
        });
        let lines: Vec<String> = of_deployment(&row).iter().map(|line| line.join("|")).collect();
        assert_eq!(
            lines,
            [
                "router|one|3|active|1.2.0|200|0.5%|0.4 ms|2.5 ms|",
                "router|one|4|canary 10%|||||||".replacen("|||||||", "||||||", 1).as_str(),
                "router|two|2|active|1.2.0|||||no secret",
                "router||5|held||||||asks for more: patchbay plugin approve router",
            ]
        );
    }
}

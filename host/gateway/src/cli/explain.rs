//! `patchbay explain`

use std::time::Duration;

use clap::Args;
use owo_colors::{OwoColorize, Style};
use patchbay_model::decision::{Considered, StepResult, StepTaken};

use super::args::SourceArgs;
use super::failure::{DONE, failed};
use super::output::{json_lines, print};
use super::source::Source;
use crate::http::api::decisions::{Explanation, Found};

/// `patchbay explain`
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// From where.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The event's id.
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Write one JSON object in one line; times that things took are microseconds.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When there is no such event or no decision about it; the error says what to type next.
pub async fn run(args: ExplainArgs) -> anyhow::Result<u8> {
    let source = Source::open(&args.source).await?;
    let found = source.decision(&args.event).await;
    source.close().await;
    let explanation = match found? {
        Found::Decided(explanation) => explanation,
        Found::NoEvent => {
            let event = &args.event;
            return Err(failed(format!(
                "there is no event {event}; `patchbay journal list` shows those that are kept"
            )));
        }
        Found::Undecided(reason) => return Err(failed(reason)),
    };
    if args.json {
        json_lines([&serde_json::to_value(&*explanation)?])?;
    } else {
        print(&told(&explanation))?;
    }
    Ok(DONE)
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = Style::new().green();
const BAD: Style = Style::new().red();

/// For people.
fn told(explanation: &Explanation) -> String {
    let Explanation { event, kind, conversation, received_at, node, attempts, took, .. } = explanation;
    let mut text = format!("{} {kind}\n", event.style(BOLD));
    text.push_str(&format!("{}\n", format_args!("in {conversation}, accepted {received_at}").style(DIM)));
    text.push_str(&format!("\n{}\n", "Chains".style(BOLD)));
    for considered in &explanation.considered {
        text.push_str(&chain(considered));
    }
    if explanation.chain.is_none() {
        text.push_str("  no chain is for it: it is kept, and nothing else is done\n");
    }
    if !explanation.steps.is_empty() {
        text.push_str(&format!("\n{}\n", "Steps".style(BOLD)));
    }
    for (number, taken) in explanation.steps.iter().enumerate() {
        text.push_str(&step(number + 1, taken));
    }
    if !explanation.notes.is_empty() {
        text.push_str(&format!("\n{}\n", "Besides".style(BOLD)));
        for note in &explanation.notes {
            text.push_str(&format!("  {note}\n"));
        }
    }
    let again = if *attempts > 1 { format!(" in {attempts} attempts") } else { String::new() };
    let took = shown(Duration::from_micros(*took));
    let end = format!("decided {} by {node} in {took}{again}", explanation.decided_at);
    text.push_str(&format!("\n{}\n", end.style(DIM)));
    text
}

/// One line for a chain that was considered.
pub(super) fn chain(considered: &Considered) -> String {
    let name = &considered.chain;
    match &considered.passed_over {
        Some(reason) => format!("  {} {name}: {reason}\n", "-".style(DIM)),
        None => format!("  {} {}\n", "✓".style(GOOD), name.style(BOLD)),
    }
}

fn step(number: usize, taken: &StepTaken) -> String {
    let StepTaken { plugin, generation, canary, result, took } = taken;
    let canary = if *canary { ", the canary" } else { "" };
    let head =
        format!("  {number}. {} {}", plugin.style(BOLD), format_args!("(generation {generation}{canary})").style(DIM));
    let took = format_args!("  {}", shown(*took)).style(DIM).to_string();
    match result {
        StepResult::NotInShare => format!("{head}  not asked: the conversation is not in its share\n"),
        StepResult::Decided { actions, stopped } => {
            let mut text = format!("{head}{took}\n");
            if actions.is_empty() {
                text.push_str("     wanted nothing\n");
            }
            for action in actions {
                text.push_str(&format!("     {} {action}\n", "→".style(GOOD)));
            }
            if *stopped {
                text.push_str("     ended the chain\n");
            }
            text
        }
        StepResult::Failed { cause, detail, policy } => {
            let what = match policy.as_str() {
                "stop" => "the chain ended here",
                "park" => "the event was put aside",
                _ => "the next one was asked",
            };
            format!(
                "{head}{took}\n     {} {detail}\n     {what} (on_failure = \"{policy}\")\n",
                format!("failed ({cause}):").style(BAD)
            )
        }
    }
}

/// `85 µs`, `1.2 ms`, `3.4 s`
fn shown(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1_000.0),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use patchbay_model::EventId;

    use super::*;

    fn taken(plugin: &str, result: StepResult) -> StepTaken {
        StepTaken { plugin: plugin.into(), generation: 3, canary: false, result, took: Duration::from_micros(1_250) }
    }

    #[test]
    fn it_tells_chains_steps_and_what_was_done_besides() {
        let decided = StepResult::Decided { actions: vec!["assign billing (rule 1)".into()], stopped: true };
        let failed = StepResult::Failed { cause: "trap".into(), detail: "unreachable".into(), policy: "skip".into() };
        let explanation = Explanation {
            event: EventId::derive(&[b"1"]),
            kind: "message.text".into(),
            conversation: "co_1".into(),
            received_at: "2026-01-31T12:00:00.000Z".into(),
            decided_at: "2026-01-31T12:00:00.250Z".into(),
            chain: Some("default".into()),
            node: "gateway-1".into(),
            attempts: 2,
            took: 250_000,
            considered: vec![
                Considered { chain: "night".into(), passed_over: Some("it was day".into()) },
                Considered { chain: "default".into(), passed_over: None },
            ],
            steps: vec![taken("greeter", failed), taken("sampler", StepResult::NotInShare), taken("router", decided)],
            notes: vec!["a note".into()],
        };
        let text = anstream::adapter::strip_str(&told(&explanation)).to_string();
        let expected = format!(
            "{} message.text\nin co_1, accepted 2026-01-31T12:00:00.000Z\n\n\
             Chains\n  - night: it was day\n  ✓ default\n\n\
             Steps\n  1. greeter (generation 3)  1.2 ms\n     failed (trap): unreachable\n     the next one was asked \
             (on_failure = \"skip\")\n  2. sampler (generation 3)  not asked: the conversation is not in its share\n  3. router \
             (generation 3)  1.2 ms\n     → assign billing (rule 1)\n     ended the chain\n\n\
             Besides\n  a note\n\ndecided 2026-01-31T12:00:00.250Z by gateway-1 in 250.0 ms in 2 attempts\n",
            explanation.event
        );
        assert_eq!(text, expected);
    }
}

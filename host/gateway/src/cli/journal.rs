//! `patchbay journal …`

use anyhow::Context;
use patchbay_model::Timestamp;
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};

use super::args::{EventArgs, JournalCommand, JournalListArgs, JournalShowArgs, ReplayArgs};
use super::client::Client;
use super::failure::{DONE, FAILED, Failure, REFUSED, failed};
use super::output::{confirm, count, json_lines, print, table, text_of};
use super::source::{Source, plain};
use crate::config::Period;
use crate::http::api::events::EventsQuery;

/// Characters of a drawn key: 22 out of 62 are 130 bits.
const KEY_CHARS: usize = 22;

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(command: JournalCommand) -> anyhow::Result<u8> {
    match command {
        JournalCommand::List(args) => list(args).await,
        JournalCommand::Show(args) => show(args).await,
        JournalCommand::Replay(args) => replay(args).await,
    }
}

fn query(args: EventArgs, now: Timestamp) -> EventsQuery {
    let since = args.since.map(|text| since(&text, now));
    EventsQuery { kind: args.kind, since, limit: usize::try_from(args.limit).ok(), ..EventsQuery::default() }
}

/// `2h` is so long before now; anything else is left to whoever is asked.
fn since(text: &str, now: Timestamp) -> String {
    let Ok(period) = text.parse::<Period>() else { return text.to_owned() };
    let before = u64::try_from(period.get().as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(before)).to_string()
}

async fn list(args: JournalListArgs) -> anyhow::Result<u8> {
    let source = Source::open(&args.source).await?;
    let query =
        EventsQuery { conversation: args.conversation, pending: args.pending, ..query(args.filter, Timestamp::now()) };
    let mut events = source.events(&query).await?;
    source.close().await;
    if args.json {
        if !args.bodies {
            for event in events.iter_mut().filter_map(Value::as_object_mut) {
                event.retain(|key, _| key != "body" && key != "customer");
            }
        }
        json_lines(&events)?;
    } else if events.is_empty() {
        anstream::eprintln!("no events");
    } else {
        let keys = ["received_at", "kind", "conversation", "id"];
        let rows: Vec<Vec<String>> =
            events.iter().map(|event| keys.iter().map(|key| text_of(event, key)).collect()).collect();
        print(&table(&["ACCEPTED AT", "KIND", "CONVERSATION", "EVENT"], &rows))?;
    }
    Ok(DONE)
}

async fn show(args: JournalShowArgs) -> anyhow::Result<u8> {
    let source = Source::open(&args.source).await?;
    let event = source.event(&args.event).await?.ok_or_else(|| no_such(&args.event))?;
    source.close().await;
    let shown = if args.raw { raw(&event)? } else { event };
    match shown {
        Value::String(text) => print(&format!("{text}\n"))?,
        shown if args.json => json_lines([&shown])?,
        shown => print(&format!("{}\n", serde_json::to_string_pretty(&shown)?))?,
    }
    Ok(DONE)
}

/// What WhatsApp sent.
fn raw(event: &Value) -> anyhow::Result<Value> {
    let kept = event.get("raw").filter(|raw| !raw.is_null());
    let kept = kept.or_else(|| event.get("body")?.get("base64"));
    kept.cloned().ok_or_else(|| {
        failed(
            "nothing of WhatsApp's own JSON is kept of this event: it did not come from WhatsApp, or its time is over",
        )
    })
}

async fn replay(args: ReplayArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let events = if args.events.is_empty() {
        let source = Source::Gateway(Client::new(&args.gateway)?);
        let found = source.events(&query(args.filter, Timestamp::now())).await?;
        // In the order in which they came.
        found.iter().rev().map(|event| text_of(event, "id")).collect()
    } else {
        args.events
    };
    if events.is_empty() {
        anstream::eprintln!("no events");
        return Ok(DONE);
    }
    if args.as_new && !args.dry_run {
        let events = count(events.len() as u64, "event", "events");
        let question = format!("Handle {events} again, with all effects? Customers may be answered again.");
        if !confirm(&question, args.yes)? {
            anstream::eprintln!("nothing was replayed");
            return Ok(FAILED);
        }
    }
    let drawn = || Alphanumeric.sample_string(&mut rand::rng(), KEY_CHARS);
    let key = args.as_new.then(|| args.key.unwrap_or_else(drawn));
    if let Some(key) = key.as_ref().filter(|_| !args.dry_run) {
        anstream::eprintln!("should this break off, repeat it with --key {key}: nothing is done twice then");
    }
    let order = json!({ "as_new": args.as_new, "dry_run": args.dry_run });
    let mut replayed = Replayed { json: args.json, rows: Vec::new(), code: DONE };
    for event in events {
        let path = format!("/v1/events/{}/replay", plain(&event)?);
        match client.post(&path, &order, key.as_deref()).await {
            Ok(answer) => replayed.results(&event, &answer)?,
            Err(error) => replayed.failed(&event, error)?,
        }
    }
    replayed.finish()
}

/// What became of each event.
struct Replayed {
    json: bool,
    rows: Vec<Vec<String>>,
    code: u8,
}

impl Replayed {
    fn results(&mut self, replayed: &str, answer: &Value) -> anyhow::Result<()> {
        let results = answer.get("results").and_then(Value::as_array).context("the gateway's answer has no results")?;
        for result in results {
            let (event, kind, outcome) =
                (text_of(result, "event"), text_of(result, "kind"), text_of(result, "outcome"));
            self.add(json!({ "replayed": replayed, "event": event, "kind": kind, "outcome": outcome }))?;
        }
        if results.is_empty() {
            self.add(json!({ "replayed": replayed, "outcome": "nothing" }))?;
        }
        Ok(())
    }

    /// One event that cannot be replayed does not stop the others; that the gateway is away does.
    fn failed(&mut self, replayed: &str, error: anyhow::Error) -> anyhow::Result<()> {
        let failure = error.downcast::<Failure>()?;
        if failure.code != REFUSED && !failure.is_no_such() {
            return Err(failure.into());
        }
        self.code = self.code.max(failure.code);
        self.add(json!({ "replayed": replayed, "outcome": "refused", "reason": failure.sentence }))
    }

    fn add(&mut self, row: Value) -> anyhow::Result<()> {
        if self.json {
            return json_lines([&row]);
        }
        let outcome = match text_of(&row, "outcome").as_str() {
            "new" => "new: it is handled now".to_owned(),
            "already-handled" => "already handled".to_owned(),
            "would-be-new" => "would be new".to_owned(),
            "nobodys" => "of a ticket that no conversation has".to_owned(),
            "nothing" => "nothing came of it".to_owned(),
            _ => text_of(&row, "reason"),
        };
        self.rows.push(vec![text_of(&row, "replayed"), text_of(&row, "kind"), text_of(&row, "event"), outcome]);
        Ok(())
    }

    fn finish(self) -> anyhow::Result<u8> {
        if !self.rows.is_empty() {
            print(&table(&["REPLAYED", "KIND", "EVENT", "OUTCOME"], &self.rows))?;
        }
        Ok(self.code)
    }
}

fn no_such(event: &str) -> anyhow::Error {
    failed(format!("there is no event {event}; `patchbay journal list` shows those that are kept"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_or_a_time() {
        let now = Timestamp::from_millis(1_764_000_000_250);
        assert_eq!(since("1h", now), "2025-11-24T15:00:00.250Z");
        assert_eq!(since("2026-01-31T12:00:00Z", now), "2026-01-31T12:00:00Z");
    }
}

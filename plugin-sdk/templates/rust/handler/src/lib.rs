//! Puts messages with a certain word into a queue of their own.

use patchbay_plugin::{Assignment, Context, Event, Failure, Handler, Outcome, Priority, handler};
use serde::Deserialize;

/// What the operator writes under `[plugins.NAME.settings]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The word to look for.
    word: String,
    /// The queue for messages with the word.
    queue: String,
}

/// The handler.
pub struct ExamplePlugin;

#[handler]
impl Handler for ExamplePlugin {
    type Settings = Settings;

    fn handle(settings: &Settings, event: &Event, _cx: &Context) -> Result<Outcome, Failure> {
        let word = settings.word.to_lowercase();
        if !event.text().is_some_and(|text| text.to_lowercase().contains(&word)) {
            return Ok(Outcome::next());
        }
        let reason = format!("the word “{}” was there", settings.word);
        let assignment = Assignment::to(&settings.queue).priority(Priority::High).reason(reason);
        Ok(Outcome::next().assign(assignment).send_text("We are on it."))
    }
}

#[cfg(test)]
mod tests {
    use patchbay_plugin::testing::{FakeHost, text_event};
    use serde_json::json;

    use super::ExamplePlugin;

    #[test]
    fn the_word_decides_the_queue() {
        let settings = json!({ "word": "invoice", "queue": "billing" });
        let outcome = FakeHost::new().handle::<ExamplePlugin>(&settings, &text_event("My INVOICE?")).unwrap();
        assert_eq!(outcome.assignment().unwrap().queue, "billing");
    }
}

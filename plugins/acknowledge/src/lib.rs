//! Tells a customer at once, in their language, that the message has arrived.
//!
//! At most one acknowledgement goes to a conversation in each quiet period, and none while a person has it. See the
//! README for the settings.

mod language;

use std::collections::BTreeMap;

use patchbay_plugin::time::{format_rfc3339, parse_rfc3339};
use patchbay_plugin::{Content, Context, Conversation, Event, Failure, Handler, Outcome, Period, Timestamp, handler};
use serde::Deserialize;

/// The attribute that holds when the last acknowledgement was sent, as RFC 3339.
const SENT_AT: &str = "acknowledge.at";

/// See the README.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The text for each language, by BCP 47 tag.
    texts: BTreeMap<String, String>,
    /// The language for everybody whose own has no text.
    default_language: String,
    /// How long nothing more is said after an acknowledgement.
    #[serde(default = "half_a_day")]
    quiet_period: Period,
    /// The language spoken behind a calling code: `49 = "de"`.
    #[serde(default)]
    countries: BTreeMap<String, String>,
}

/// A conversation that goes on over a working day is acknowledged once.
const fn half_a_day() -> Period {
    Period::from_hours(12)
}

/// The handler.
#[derive(Debug)]
pub struct Acknowledge;

#[handler]
impl Handler for Acknowledge {
    type Settings = Settings;

    fn handle(settings: &Settings, event: &Event, cx: &Context) -> Result<Outcome, Failure> {
        let conversation = &event.conversation;
        let now = cx.now();
        if conversation.human || !is_said(event) || is_quiet(conversation, settings.quiet_period, now) {
            return Ok(Outcome::next());
        }
        let text = language::text_for(settings, conversation).ok_or_else(|| {
            let language = &settings.default_language;
            Failure::permanent(format!("settings: texts has no text for the default_language `{language}`"))
        })?;
        let text = fill(text, conversation);
        Ok(Outcome::next().send_text(text).set_attribute(SENT_AT, format_rfc3339(now)))
    }
}

/// Whether the customer said something new: a reaction, a correction or a withdrawal is about what was said before.
const fn is_said(event: &Event) -> bool {
    match event.message() {
        Some(message) => !matches!(message.content, Content::Reaction(_) | Content::Edited(_) | Content::Withdrawn(_)),
        None => false,
    }
}

/// Whether the last acknowledgement is too recent for another.
fn is_quiet(conversation: &Conversation, period: Period, now: Timestamp) -> bool {
    let sent_at = conversation.attribute(SENT_AT).and_then(parse_rfc3339);
    sent_at.is_some_and(|at| now < at.saturating_add(period.as_millis()))
}

/// Puts the customer's name in the place of `{name}`. Without a name, the place and the comma or space before it go:
/// `Hello, {name}!` becomes `Hello!`.
fn fill(text: &str, conversation: &Conversation) -> String {
    const PLACE: &str = "{name}";
    let name = conversation.customer.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let Some(name) = name else {
        let mut parts = text.split(PLACE);
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            filled.truncate(filled.trim_end_matches([' ', ',', '、', '،', '\u{a0}']).len());
            // With the name gone from the beginning, what followed it is the beginning.
            filled.push_str(if filled.is_empty() { part.trim_start_matches([' ', ',', '、', '،']) } else { part });
        }
        return filled;
    };
    text.replace(PLACE, name)
}

#[cfg(test)]
mod tests {
    use patchbay_plugin::testing::{FakeHost, NOW, media, message_event, text_event};
    use patchbay_plugin::{Action, Body, Edited, MediaKind, Outgoing, Reaction, TimerFired};
    use serde_json::{Value, json};

    use super::*;

    fn settings() -> Value {
        json!({
            "texts": { "en": "Thanks, {name}! We are reading.", "de": "Danke, {name}!", "pt-BR": "Oi {name}" },
            "default_language": "en",
            "quiet_period": "12h",
            "countries": { "49": "de", "1": "en" },
        })
    }

    fn said(event: &Event) -> Option<String> {
        let outcome = FakeHost::new().handle::<Acknowledge>(&settings(), event).unwrap();
        outcome.actions.iter().find_map(|action| match action {
            Action::Send(Outgoing { content: patchbay_plugin::OutgoingContent::Text(text), .. }) => Some(text.clone()),
            _ => None,
        })
    }

    #[test]
    fn the_first_message_is_acknowledged_and_remembered() {
        let outcome = FakeHost::new().handle::<Acknowledge>(&settings(), &text_event("Hi")).unwrap();
        let expected = Outcome::next()
            .send_text("Thanks, Ada! We are reading.")
            .set_attribute("acknowledge.at", "2026-11-21T10:00:00.000Z");
        assert_eq!(outcome, expected);
    }

    #[test]
    fn nothing_is_said_again_in_the_quiet_period() {
        for (at, quiet) in [
            (NOW, true),
            (NOW - 12 * 3_600_000 + 1, true),
            (NOW - 12 * 3_600_000, false),
            // A clock that ran ahead does not silence the plugin for longer than the period.
            (NOW + 1000, true),
        ] {
            let mut event = text_event("Hi again");
            event.conversation.attributes.push((SENT_AT.into(), format_rfc3339(at)));
            assert_eq!(said(&event).is_none(), quiet, "{at}");
        }
        let mut event = text_event("Hi again");
        event.conversation.attributes.push((SENT_AT.into(), "not a time".into()));
        assert!(said(&event).is_some());
    }

    #[test]
    fn only_what_is_new_from_the_customer_is_acknowledged() {
        let reaction = Content::Reaction(Reaction { message: "wamid.0".into(), emoji: Some("👍".into()) });
        let edited = Content::Edited(Edited { message: "wamid.0".into(), text: Some("Hello".into()) });
        for (content, answered) in [
            (Content::Media(media(MediaKind::Voice, "audio/ogg")), true),
            (reaction, false),
            (edited, false),
            (Content::Withdrawn("wamid.0".into()), false),
        ] {
            assert_eq!(said(&message_event(content.clone())).is_some(), answered, "{content:?}");
        }
        let timer = Body::Timer(TimerFired { name: "x".into(), data: "{}".into() });
        assert_eq!(said(&patchbay_plugin::testing::event(timer)), None);
    }

    #[test]
    fn people_are_not_interrupted() {
        let mut event = text_event("Hi");
        event.conversation.human = true;
        assert_eq!(said(&event), None);
    }

    #[test]
    fn the_place_of_a_missing_name_is_closed() {
        for (text, filled) in [
            ("Hello, {name}!", "Hello!"),
            ("{name}, hello", "hello"),
            ("Hi {name}. Bye {name}.", "Hi. Bye."),
            ("No place", "No place"),
        ] {
            let mut event = text_event("Hi");
            event.conversation.customer.name = Some(" ".into());
            assert_eq!(fill(text, &event.conversation), filled);
        }
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let reason = |settings: &Value| {
            let failure = FakeHost::new().handle::<Acknowledge>(settings, &text_event("Hi")).unwrap_err();
            assert!(matches!(failure, Failure::Permanent(_)));
            failure.reason().to_owned()
        };
        let mut wrong = settings();
        wrong["quiet_period"] = json!("soon");
        assert_eq!(reason(&wrong), "settings: quiet_period: `soon` is no period: write it like 30m, 12h or 1d12h");
        wrong = settings();
        wrong["default_language"] = json!("fr");
        assert_eq!(reason(&wrong), "settings: texts has no text for the default_language `fr`");
        wrong = settings();
        wrong["text"] = json!({});
        assert!(reason(&wrong).starts_with("settings: text: unknown field `text`"), "{}", reason(&wrong));
    }
}

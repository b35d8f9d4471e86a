//! Puts customers who give a VIP number into a queue of their own.

use patchbay_plugin::{Assignment, Context, Event, Failure, Handler, OpenTicket, Outcome, Priority, handler};
use serde::Deserialize;

/// What the operator writes under `[plugins.NAME.settings]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The queue for VIPs.
    queue: String,
    /// The desk in which they get a ticket.
    desk: String,
    /// How VIP numbers begin.
    #[serde(default = "default_prefix")]
    prefix: String,
}

fn default_prefix() -> String {
    "VIP-".into()
}

/// The handler.
pub struct VipRouter;

#[handler]
impl Handler for VipRouter {
    type Settings = Settings;

    fn handle(settings: &Settings, event: &Event, _cx: &Context) -> Result<Outcome, Failure> {
        let Some(number) = event.text().and_then(|text| vip_number(text, &settings.prefix)) else {
            return Ok(Outcome::next());
        };
        let assignment = Assignment::to(&settings.queue).priority(Priority::Urgent).reason("gave a VIP number");
        let mut outcome = Outcome::next()
            .assign(assignment)
            .open_ticket(OpenTicket::in_desk(&settings.desk))
            .set_attribute("vip.number", number);
        if event.conversation.attribute("vip.number").is_none() {
            outcome = outcome.send_text("Thank you! Your personal team has your message.");
        }
        // The handlers after this one are not asked.
        Ok(outcome.stop())
    }
}

/// The first word that begins with `prefix` and has digits after it.
fn vip_number<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    words.find(|word| {
        let digits = word.strip_prefix(prefix).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|letter| letter.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use patchbay_plugin::testing::{FakeHost, text_event};
    use patchbay_plugin::{Flow, Priority};
    use serde_json::json;

    use super::VipRouter;

    #[test]
    fn a_vip_number_decides_the_queue() {
        let settings = json!({ "queue": "vip", "desk": "zendesk" });
        let outcome = FakeHost::new().handle::<VipRouter>(&settings, &text_event("Hi, it is VIP-42.")).unwrap();
        let assignment = outcome.assignment().unwrap();
        assert_eq!((assignment.queue.as_str(), assignment.priority), ("vip", Priority::Urgent));
        assert_eq!(outcome.flow, Flow::Stop);
    }

    #[test]
    fn everybody_else_goes_on_to_the_next_handler() {
        let settings = json!({ "queue": "vip", "desk": "zendesk" });
        let outcome = FakeHost::new().handle::<VipRouter>(&settings, &text_event("VIP-lounge?")).unwrap();
        assert!(outcome.actions.is_empty());
        assert_eq!(outcome.flow, Flow::Next);
    }

    #[test]
    fn a_setting_that_is_missing_is_named() {
        let failure = FakeHost::new().handle::<VipRouter>(&json!({ "queue": "vip" }), &text_event("VIP-42"));
        assert!(failure.unwrap_err().to_string().contains("missing field `desk`"));
    }
}

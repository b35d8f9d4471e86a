//! The routing logic of the bench, in Rust.

use patchbay_plugin::{Assignment, Context, Event, Failure, Handler, Outcome, Priority, handler};
use routing::{ATTRIBUTE, Settings};

/// The handler.
pub struct Routing;

#[handler]
impl Handler for Routing {
    type Settings = Settings;

    fn handle(settings: &Settings, event: &Event, _cx: &Context) -> Result<Outcome, Failure> {
        let Some(text) = event.text() else { return Ok(Outcome::next()) };
        let decision = settings.decide(text);
        let priority = match decision.priority {
            routing::Priority::Low => Priority::Low,
            routing::Priority::Normal => Priority::Normal,
            routing::Priority::High => Priority::High,
            routing::Priority::Urgent => Priority::Urgent,
        };
        let assignment = Assignment::to(decision.queue).tier(decision.tier).priority(priority).reason(&decision.reason);
        Ok(Outcome::next().assign(assignment).set_attribute(ATTRIBUTE, decision.word).note(decision.reason))
    }
}

//! Puts conversations into queues by the words that customers use.
//!
//! The first rule with a word in the message wins; see the README for the settings and for what counts as a word.

mod words;

use patchbay_plugin::{
    Action, Assignment, Content, Context, Conversation, Event, Failure, Handler, Media, Message, OpenTicket, Outcome,
    Priority, handler,
};
use serde::Deserialize;

use crate::words::{Text, quote};

/// See the README.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// In their order: the first that matches wins.
    #[serde(default)]
    rules: Vec<Rule>,
    /// For what no rule matches. None: nothing is done then.
    default_queue: Option<String>,
    /// For media without words. None: the default queue.
    media_queue: Option<String>,
    /// The desk in which the conversation gets a ticket. None: no tickets.
    desk: Option<String>,
    #[serde(default)]
    sticky: Sticky,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    words: Vec<String>,
    queue: String,
    #[serde(default = "normal")]
    priority: Priority,
    #[serde(default = "first_line")]
    tier: u8,
    /// Instead of the desk of the settings.
    desk: Option<String>,
}

const fn normal() -> Priority {
    Priority::Normal
}

const fn first_line() -> u8 {
    1
}

/// What happens to a conversation that has a queue already.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sticky {
    /// Whether it keeps its queue when no rule matches.
    enabled: bool,
    /// Whether a rule that matches moves it.
    rules_move: bool,
}

impl Default for Sticky {
    fn default() -> Self {
        Self { enabled: true, rules_move: true }
    }
}

/// The handler.
#[derive(Debug)]
pub struct KeywordRouter;

#[handler]
impl Handler for KeywordRouter {
    type Settings = Settings;

    fn handle(settings: &Settings, event: &Event, _cx: &Context) -> Result<Outcome, Failure> {
        let Some(text) = event.message().and_then(words_of) else { return Ok(Outcome::next()) };
        let conversation = &event.conversation;
        let target = match (&conversation.assignment, settings.target(event, &text)) {
            (None, target) => target,
            (Some(current), Some(target)) if settings.moves(conversation, &target) => {
                Some(target).filter(|target| !same_place(current, &target.assignment))
            }
            // It stays; but the ticket may still be missing.
            (Some(_), _) => None,
        };
        let Some(place) = target.as_ref().map(|target| &target.assignment).or(conversation.assignment.as_ref()) else {
            return Ok(Outcome::next());
        };
        let mut outcome = Outcome::next();
        if let Some(target) = &target {
            outcome = outcome.assign(target.assignment.clone());
        }
        let desk = match &target {
            Some(target) => target.desk,
            None => settings.desk_of(&place.queue),
        };
        if let Some(action) = desk.and_then(|desk| ticket_action(conversation, desk, place, target.is_some())) {
            outcome = outcome.action(action);
        }
        Ok(outcome)
    }
}

/// Where a message says that the conversation belongs.
struct Target<'a> {
    assignment: Assignment,
    desk: Option<&'a str>,
    /// By a rule, and not for the want of one.
    by_rule: bool,
}

impl Settings {
    /// Where this message belongs; nowhere if no rule matches and there is no default.
    fn target(&self, event: &Event, text: &Text) -> Option<Target<'_>> {
        let mut buffer = String::new();
        let matching = self.rules.iter().enumerate().find_map(|(at, rule)| {
            let word = rule.words.iter().find(|word| text.has(word, &mut buffer))?;
            let assignment = Assignment::to(&rule.queue).tier(rule.tier).priority(rule.priority).reason(format!(
                "rule {} matched {}",
                at + 1,
                quote(word)
            ));
            Some(Target { assignment, desk: rule.desk.as_deref().or(self.desk.as_deref()), by_rule: true })
        });
        matching.or_else(|| {
            let is_media = matches!(event.message(), Some(Message { content: Content::Media(_), .. }));
            let wordless = is_media && event.text().is_none_or(|caption| Text::of([caption]).is_empty());
            let (queue, reason) = match (&self.media_queue, &self.default_queue) {
                (Some(queue), _) if wordless => (queue, "media without words"),
                (_, Some(queue)) if wordless => (queue, "media without words"),
                (_, queue) => (queue.as_ref()?, "no rule matched"),
            };
            let assignment = Assignment::to(queue).reason(reason);
            Some(Target { assignment, desk: self.desk.as_deref(), by_rule: false })
        })
    }

    /// Whether a conversation that has a queue goes where this message says. With a person it stays: they decide.
    const fn moves(&self, conversation: &Conversation, target: &Target<'_>) -> bool {
        let Sticky { enabled, rules_move } = self.sticky;
        !conversation.human && (!enabled || (target.by_rule && rules_move))
    }

    /// The desk of a queue that was assigned earlier: that of the first rule for the queue.
    fn desk_of(&self, queue: &str) -> Option<&str> {
        let rule = self.rules.iter().find(|rule| rule.queue == queue);
        rule.and_then(|rule| rule.desk.as_deref()).or(self.desk.as_deref())
    }
}

/// Assignments that differ in their reason only are the same place.
fn same_place(one: &Assignment, other: &Assignment) -> bool {
    (&one.queue, one.tier, one.priority) == (&other.queue, other.tier, other.priority)
}

/// What the desk has to be told: of a conversation that it has no ticket for, or of one that moved.
fn ticket_action(conversation: &Conversation, desk: &str, place: &Assignment, moved: bool) -> Option<Action> {
    let ticket = OpenTicket::in_desk(desk).field("queue", &place.queue).field("priority", place.priority.as_str());
    match conversation.ticket(desk) {
        None => Some(Action::OpenTicket(ticket)),
        Some(_) if moved => {
            let OpenTicket { desk, fields, .. } = ticket;
            Some(Action::UpdateTicket(patchbay_plugin::UpdateTicket { desk, fields }))
        }
        Some(_) => None,
    }
}

/// The words of a message, wherever they are in it; nothing for what is about an earlier message only.
fn words_of(message: &Message) -> Option<Text> {
    let text = match &message.content {
        Content::Text(text) => Text::of([text.as_str()]),
        Content::Media(Media { caption, file_name, .. }) => {
            Text::of([caption, file_name].into_iter().flatten().map(String::as_str))
        }
        Content::Choice(choice) => {
            Text::of([Some(&choice.title), choice.description.as_ref()].into_iter().flatten().map(String::as_str))
        }
        Content::Location(location) => {
            Text::of([&location.name, &location.address].into_iter().flatten().map(String::as_str))
        }
        Content::Order(order) => Text::of(order.note.as_deref()),
        Content::Edited(edited) => Text::of([edited.text.as_deref()?]),
        Content::Contacts(_) | Content::Form(_) | Content::Other(_) => Text::default(),
        Content::Reaction(_) | Content::Withdrawn(_) => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests;

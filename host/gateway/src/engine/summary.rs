//! What a handler wants in a few words, without what customers wrote: for decisions, and to compare two generations.

use patchbay_model::{Action, Flow, Outcome, OutgoingContent, Priority};

/// Characters of a reason that are shown: a sentence.
const REASON_CHARS: usize = 120;

/// Each action in a few words: `assign billing (rule 2 matched)`.
#[must_use]
pub fn actions(outcome: &Outcome) -> Vec<String> {
    outcome.actions.iter().map(action).collect()
}

/// One action in a few words.
#[must_use]
pub fn action(action: &Action) -> String {
    match action {
        Action::Send(outgoing) => sending(&outgoing.content),
        Action::Assign(assignment) => {
            let priority = match assignment.priority {
                Priority::Normal => String::new(),
                other => format!(", {}", other.as_str()),
            };
            format!("assign {}{priority}{}", assignment.queue, because(&assignment.reason))
        }
        Action::SetAttribute(key, Some(_)) => format!("set {key}"),
        Action::SetAttribute(key, None) => format!("remove {key}"),
        Action::Note(_) => "note".into(),
        Action::OpenTicket { desk, .. } => format!("open a ticket in {desk}"),
        Action::UpdateTicket { desk, fields } => {
            let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("update the ticket in {desk} ({})", keys.join(", "))
        }
        Action::SetTimer { name, at, .. } => format!("set the timer {name} for {at}"),
        Action::CancelTimer(name) => format!("cancel the timer {name}"),
        Action::Sla(name, verb) => format!("{verb} the SLA clock {name}"),
        Action::Quarantine(media) => format!("quarantine {media}"),
        Action::Release(media) => format!("release {media}"),
        Action::Escalate(reason) => format!("escalate{}", because(reason)),
        Action::Handoff(reason) => format!("hand to a person{}", because(reason)),
        Action::Emit(name, _) => format!("emit {name}"),
    }
}

fn sending(content: &OutgoingContent) -> String {
    match content {
        OutgoingContent::Text(_) => "send text".into(),
        OutgoingContent::Template { name, .. } => format!("send the template {name}"),
        OutgoingContent::Buttons { options, .. } => format!("send {} buttons", options.len()),
        OutgoingContent::Choices { .. } => "send a list".into(),
        OutgoingContent::Media { .. } => "send a file".into(),
        OutgoingContent::Reaction { .. } => "send a reaction".into(),
        OutgoingContent::Raw { kind, .. } => format!("send {kind}"),
    }
}

fn because(reason: &str) -> String {
    match reason.trim() {
        "" => String::new(),
        reason => format!(" ({})", shortened(reason, REASON_CHARS)),
    }
}

/// At most so many characters of one line.
#[must_use]
pub fn shortened(text: &str, chars: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= chars && line.len() == text.len() {
        return line.to_owned();
    }
    line.chars().take(chars).chain(['…']).collect()
}

/// What differs between two answers to one question, as a sentence; none: nothing does.
#[must_use]
pub fn difference(active: &Outcome, other: &Outcome) -> Option<String> {
    if active == other {
        return None;
    }
    let (ours, theirs) = (actions(active), actions(other));
    if ours != theirs {
        return Some(format!("{} instead of {}", list(&theirs), list(&ours)));
    }
    if active.flow != other.flow {
        let verb = if other.flow == Flow::Stop { "ends" } else { "does not end" };
        return Some(format!("it {verb} the chain"));
    }
    let differs = active.actions.iter().zip(&other.actions).zip(&ours).find(|((one, two), _)| one != two);
    let what = differs.map(|(_, words)| words.as_str()).unwrap_or_default();
    Some(format!("another content of `{what}`"))
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "nothing".into() } else { format!("[{}]", words.join("; ")) }
}

#[cfg(test)]
mod tests {
    use patchbay_model::{Assignment, Outgoing};

    use super::*;

    fn outcome(actions: Vec<Action>, flow: Flow) -> Outcome {
        Outcome { actions, flow }
    }

    fn assign(queue: &str, reason: &str) -> Action {
        let (queue, reason) = (queue.to_owned(), reason.to_owned());
        Action::Assign(Assignment { queue, tier: 1, priority: Priority::High, reason })
    }

    #[test]
    fn an_action_is_a_few_words_without_what_was_said() {
        let said = Action::Send(Outgoing::text("Dear Ada, your account 4711 …"));
        assert_eq!(action(&said), "send text");
        assert_eq!(action(&assign("billing", "rule 2\nmatched")), "assign billing, high (rule 2…)");
        assert_eq!(action(&Action::Note("4711".into())), "note");
        assert_eq!(action(&Action::SetAttribute("account".into(), Some("4711".into()))), "set account");
    }

    #[test]
    fn a_difference_is_told_without_what_was_said() {
        let one = outcome(vec![assign("billing", ""), Action::Send(Outgoing::text("4711"))], Flow::Next);
        assert_eq!(difference(&one, &one.clone()), None);
        let other = outcome(vec![assign("sales", "")], Flow::Next);
        assert_eq!(
            difference(&one, &other).unwrap(),
            "[assign sales, high] instead of [assign billing, high; send text]"
        );
        assert_eq!(
            difference(&one, &outcome(Vec::new(), Flow::Next)).unwrap(),
            "nothing instead of [assign billing, high; send text]"
        );
        let stops = outcome(one.actions.clone(), Flow::Stop);
        assert_eq!(difference(&one, &stops).unwrap(), "it ends the chain");
        assert_eq!(difference(&stops, &one).unwrap(), "it does not end the chain");
        let says = outcome(vec![assign("billing", ""), Action::Send(Outgoing::text("4712"))], Flow::Next);
        assert_eq!(difference(&one, &says).unwrap(), "another content of `send text`");
    }
}

//! The routing logic of the bench: the first rule with a word in the text decides, whatever the case of its letters.
//!
//! The native function, the plugin in Rust and the Extism plugin share it; those in JavaScript and Python say the same in
//! their own words, and the bench checks that they do.

use serde::{Deserialize, Serialize};

/// What the operator sets. Parsed for every event, as a fresh sandbox has to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// In their order: the first with a word in the text wins.
    pub rules: Vec<Rule>,
    /// For a text that no rule has a word of.
    pub default_queue: String,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Words or phrases; one of them is enough.
    pub words: Vec<String>,
    /// The queue's name.
    pub queue: String,
    /// How urgent it is.
    pub priority: Priority,
    /// 1 is the first line.
    pub tier: u8,
}

/// How urgent a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Can wait.
    Low,
    /// As usual.
    Normal,
    /// Before the usual.
    High,
    /// Now.
    Urgent,
}

/// Where a text belongs.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The queue's name.
    pub queue: &'a str,
    /// How urgent it is.
    pub priority: Priority,
    /// 1 is the first line.
    pub tier: u8,
    /// The word that decided; empty: none did.
    pub word: &'a str,
    /// Why, for the people who will ask.
    pub reason: String,
}

/// The attribute that keeps the word which decided.
pub const ATTRIBUTE: &str = "routing.word";

impl Settings {
    /// Where a text belongs.
    #[must_use]
    pub fn decide(&self, text: &str) -> Decision<'_> {
        let text = text.to_lowercase();
        for (at, rule) in self.rules.iter().enumerate() {
            if let Some(word) = rule.words.iter().find(|word| text.contains(&word.to_lowercase())) {
                let reason = format!("rule {} has “{word}”", at + 1);
                return Decision { queue: &rule.queue, priority: rule.priority, tier: rule.tier, word, reason };
            }
        }
        let reason = "no rule has a word of it".to_owned();
        Decision { queue: &self.default_queue, priority: Priority::Normal, tier: 1, word: "", reason }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Priority, Rule, Settings};

    #[test]
    fn the_first_rule_with_a_word_in_the_text_decides() {
        let rule = |word: &str, queue: &str| Rule {
            words: vec!["nothing".into(), word.into()],
            queue: queue.into(),
            priority: Priority::High,
            tier: 2,
        };
        let settings = Settings {
            rules: vec![rule("Störung", "repair"), rule("late", "parcels")],
            default_queue: "support".into(),
        };
        let decided = |text| {
            let Decision { queue, word, .. } = settings.decide(text);
            (queue, word)
        };
        assert_eq!(decided("STÖRUNG, and late"), ("repair", "Störung"));
        assert_eq!(decided("It is Late."), ("parcels", "late"));
        assert_eq!(decided("Hello"), ("support", ""));
    }
}

//! Match rules that say nothing, or that nothing can meet.

use super::Check;
use crate::config::OnFailure;
use crate::config::rules::{Content, Time, has_no_letter};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (index, chain) in config.chains.iter().enumerate() {
        let key = format!("chains[{index}]");
        let rules = &chain.matches;
        conditions(check, &format!("{key}.match"), rules.content.as_ref(), rules.time.as_ref());
        if let Some(not) = &rules.not {
            let key = format!("{key}.match.not");
            conditions(check, &key, not.content.as_ref(), not.time.as_ref());
            if not.says().is_empty() {
                let message = format!("`not` is empty: the chain `{}` decides about nothing", chain.name);
                check.error(&key, message, "write what the events have that it is not for, or take it out");
            }
        }
        let parks = |step: &crate::config::Step| step.on_failure == OnFailure::Park;
        if chain.fallback.is_some() && !chain.steps.is_empty() && chain.steps.iter().all(parks) {
            check.warning(
                &format!("{key}.fallback"),
                "the fallback is never used: every step of the chain puts the event aside when it fails",
                "take it out, or write another on_failure for one of the steps",
            );
        }
    }
}

fn conditions(check: &mut Check<'_>, key: &str, content: Option<&Content>, time: Option<&Time>) {
    if let Some(content) = content {
        let key = format!("{key}.content");
        for (index, word) in content.words.iter().enumerate().filter(|(_, word)| has_no_letter(word)) {
            let message = format!("`{word}` has no letter or digit: it is in no text");
            check.error(&format!("{key}.words[{index}]"), message, "write a word, or use `pattern` for signs");
        }
        if content.has_media == Some(false) && !content.media.is_empty() {
            let message = "nothing is both: `media` asks for a file, and `has_media` for none";
            check.error(&format!("{key}.has_media"), message, "take one of them out");
        }
        let parts = ["words", "pattern", "media", "has_media"];
        if *content == Content::default() && is_whole(check, &key, &parts) {
            check.warning(
                &key,
                "`content` says nothing: every event meets it",
                "write words, pattern, media or has_media",
            );
        }
    }
    let nothing = time.filter(|time| time.days.is_empty() && time.between.is_empty());
    if let Some(time) = nothing.filter(|_| is_whole(check, &format!("{key}.time"), &["days", "between"])) {
        let message = format!("`time` says nothing but where ({}): every event meets it", time.time_zone);
        check.error(
            &format!("{key}.time"),
            message,
            "write days = [\"mon\"] or between = [\"09:00-17:30\"], or take it out",
        );
    }
}

/// Whether nothing was said about these keys already: their values would be stand-ins.
fn is_whole(check: &Check<'_>, key: &str, parts: &[&str]) -> bool {
    !parts.iter().any(|part| check.findings.is_broken(&format!("{key}.{part}")))
}

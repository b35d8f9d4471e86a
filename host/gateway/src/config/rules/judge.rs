//! Holding rules against facts.

use std::collections::BTreeMap;

use super::text::{has, row};
use super::{Content, Customer, Facts, Match, Not, Wanted, covers};

impl Match {
    /// Whether an event of this kind on this channel can be one of them.
    #[must_use]
    pub fn accepts(&self, kind: &str, channel: &str) -> bool {
        kinds(&self.kinds, kind).is_ok() && channels(&self.channels, channel).is_ok()
    }

    /// Whether an event is one of them. What costs least is looked at first.
    ///
    /// # Errors
    /// Why not, as a sentence about the chain, without what customers wrote.
    pub fn judge(&self, facts: &Facts<'_>) -> Result<(), String> {
        kinds(&self.kinds, facts.kind)?;
        channels(&self.channels, facts.channel)?;
        attributes(&self.attributes, facts)?;
        self.customer.as_ref().map_or(Ok(()), |customer| customer.judge(facts))?;
        self.time.as_ref().map_or(Ok(()), |time| time.judge(facts.at))?;
        self.content.as_ref().map_or(Ok(()), |content| content.judge(facts))?;
        match &self.not {
            Some(not) if not.holds(facts) => Err(format!("all that `not` says holds: {}", not.says().join(", "))),
            _ => Ok(()),
        }
    }
}

impl Not {
    /// Whether all of it holds.
    fn holds(&self, facts: &Facts<'_>) -> bool {
        (self.kinds.is_empty() || kinds(&self.kinds, facts.kind).is_ok())
            && channels(&self.channels, facts.channel).is_ok()
            && attributes(&self.attributes, facts).is_ok()
            && self.customer.as_ref().is_none_or(|customer| customer.judge(facts).is_ok())
            && self.time.as_ref().is_none_or(|time| time.judge(facts.at).is_ok())
            && self.content.as_ref().is_none_or(|content| content.judge(facts).is_ok())
    }

    /// What it looks at, by its keys.
    #[must_use]
    pub fn says(&self) -> Vec<&'static str> {
        let Self { kinds, channels, content, attributes, customer, time } = self;
        let said = [
            (!kinds.is_empty(), "kinds"),
            (!channels.is_empty(), "channels"),
            (content.is_some(), "content"),
            (!attributes.is_empty(), "attributes"),
            (customer.is_some(), "customer"),
            (time.is_some(), "time"),
        ];
        said.into_iter().filter(|(said, _)| *said).map(|(_, key)| key).collect()
    }
}

fn kinds(kinds: &[String], kind: &str) -> Result<(), String> {
    if kinds.iter().any(|prefix| covers(prefix, kind)) {
        return Ok(());
    }
    Err(format!("it is for {}, and this is `{kind}`", list(kinds)))
}

fn channels(channels: &[String], channel: &str) -> Result<(), String> {
    if channels.is_empty() || channels.iter().any(|name| name == channel) {
        return Ok(());
    }
    Err(format!("it is for the channel {}, and this is `{channel}`", list(channels)))
}

fn attributes(wanted: &BTreeMap<String, Wanted>, facts: &Facts<'_>) -> Result<(), String> {
    wanted.iter().try_for_each(|(key, wanted)| {
        let is = facts.attributes.get(key);
        match (wanted, is) {
            (Wanted::Present(true), None) | (Wanted::One(_) | Wanted::AnyOf(_), None) => {
                Err(format!("the attribute `{key}` is not set"))
            }
            (Wanted::Present(false), Some(_)) => Err(format!("the attribute `{key}` is set")),
            (Wanted::One(one), Some(is)) if one != is => Err(format!("the attribute `{key}` is not `{one}`")),
            (Wanted::AnyOf(any), Some(is)) if !any.contains(is) => {
                Err(format!("the attribute `{key}` is not {}", list(any)))
            }
            _ => Ok(()),
        }
    })
}

impl Customer {
    fn judge(&self, facts: &Facts<'_>) -> Result<(), String> {
        let prefixes = &self.phone_prefixes;
        if prefixes.is_empty() {
            return Ok(());
        }
        match facts.phone {
            None => Err("the customer's number is not known".into()),
            Some(phone) if prefixes.iter().any(|prefix| phone.starts_with(prefix.as_str())) => Ok(()),
            Some(_) => Err(format!("the customer's number does not begin with {}", list(prefixes))),
        }
    }
}

impl Content {
    fn judge(&self, facts: &Facts<'_>) -> Result<(), String> {
        match (self.has_media, facts.media) {
            (Some(true), None) => return Err("it is for files, and there is none".into()),
            (Some(false), Some(media)) => return Err(format!("there is a file ({})", media.as_str())),
            _ => {}
        }
        if !self.media.is_empty() && !facts.media.is_some_and(|media| self.media.iter().any(|kind| kind.is(media))) {
            let names: Vec<&str> = self.media.iter().map(|kind| kind.as_str()).collect();
            return Err(format!("there is no file of the kind {}", list(&names)));
        }
        if self.words.is_empty() && self.pattern.is_none() {
            return Ok(());
        }
        let Some(text) = facts.text else { return Err("there is no text".into()) };
        if self.pattern.as_ref().is_some_and(|pattern| pattern.is_in(text)) {
            return Ok(());
        }
        if !self.words.is_empty() {
            let row = row(text);
            if self.words.iter().any(|word| has(&row, word)) {
                return Ok(());
            }
        }
        Err(match (&self.pattern, self.words.is_empty()) {
            (Some(_), true) => "its pattern is not in the text".into(),
            (Some(_), false) => "neither its pattern nor one of its words is in the text".into(),
            (None, _) => "none of its words is in the text".into(),
        })
    }
}

impl super::MediaKind {
    fn is(self, media: patchbay_model::message::MediaKind) -> bool {
        self.as_str() == media.as_str()
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

/// `a`, `b` or `c`
fn list<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match words.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

//! What can happen to a deployment: each step makes a new record of an old one, or a sentence that says why not.

use patchbay_artefact::Digest;
use patchbay_model::Timestamp;

use super::asks::Asks;
use super::record::{
    Configured, Entry, FAILED_KEPT, Generation, HISTORY_MOST, KEPT, Origin, REFUSED_MOST, Record, Rollout, State,
    Title, Trust, WHY_MOST,
};
use super::section::Section;
use crate::config::Share;

/// A generation before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The component.
    pub digest: Digest,
    /// Its size, bytes.
    pub size: u64,
    /// Where it came from, for people.
    pub source: String,
    /// What the policy said of it.
    pub verified: String,
    /// How far it is believed before any policy.
    pub trust: Trust,
    /// What it calls itself.
    pub manifest: Option<Title>,
    /// How the plugin is set, and what the configuration grants it.
    pub section: Section,
    /// What it asks for.
    pub asks: Asks,
    /// Who makes it.
    pub origin: Origin,
}

/// Who did something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// A token's subject, `the configuration`, or `node NAME`.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotNow(pub String);

/// A record after a step.
pub type Next = Result<Record, NotNow>;

fn not_now(sentence: impl Into<String>) -> NotNow {
    NotNow(sentence.into())
}

impl Record {
    /// What of a draft needs an operator's word: more than the active generation asks for, and than was approved for it. The
    /// configuration is an operator's word, and so nothing of what stands in it.
    #[must_use]
    pub fn missing(&self, draft: &Draft) -> Asks {
        match (&draft.origin, self.active()) {
            (Origin::Configuration, _) => Asks::default(),
            (Origin::Operator { .. }, Some(active)) => draft.asks.beyond(&active.asks.with(&active.approved)),
            (Origin::Operator { .. }, None) => draft.asks.clone(),
        }
    }

    /// What is approved for a draft already: what was for the active generation, as far as it is still asked for.
    #[must_use]
    pub fn approved(&self, draft: &Draft) -> Asks {
        self.active().map(|active| draft.asks.still(&active.approved)).unwrap_or_default()
    }

    /// A new generation that has passed every stage begins, or is held where it asks for more than the one before.
    ///
    /// # Errors
    /// A canary or a shadow where nothing is active.
    pub fn deployed(&self, draft: Draft, rollout: Rollout, by: &By) -> Next {
        if rollout != Rollout::Full && self.active().is_none() {
            return Err(not_now("nothing is active yet, so there is nothing to stand beside: deploy it in full"));
        }
        let missing = self.missing(&draft);
        let mut next = self.clone();
        next.supersede();
        let held = !missing.is_empty();
        let asked = missing.lines().join("; ");
        let number = next.push(draft, State::Held { missing, rollout }, by);
        if held {
            next.note(number, "held", by, &format!("it asks for more than the generation before: {asked}"));
        } else {
            next.begin(number, rollout, by, "deployed");
        }
        next.prune();
        Ok(next)
    }

    /// A section of the configuration has changed, and its generation has passed every stage: it takes the place of the one
    /// before.
    #[must_use]
    pub fn configured(&self, draft: Draft, configured: Configured, by: &By) -> Self {
        let mut next = self.clone();
        next.supersede();
        let number = next.push(draft, State::Retired, by);
        next.begin(number, Rollout::Full, by, "deployed");
        next.configured = Some(configured);
        next.prune();
        next
    }

    /// A new generation did not pass a stage.
    #[must_use]
    pub fn failed(&self, draft: Draft, why: &str, by: &By) -> Self {
        let mut next = self.clone();
        let number = next.push(draft, State::Failed { why: cut(why) }, by);
        next.note(number, "failed", by, why);
        next.prune();
        next
    }

    /// A generation that was held did not pass a stage after it was approved.
    #[must_use]
    pub fn failed_when_approved(&self, number: u64, why: &str, by: &By) -> Self {
        let mut next = self.clone();
        next.set(number, State::Failed { why: cut(why) });
        next.note(number, "failed", by, why);
        next.prune();
        next
    }

    /// Something was refused, to a generation or before it became one.
    #[must_use]
    pub fn refused(&self, generation: Option<u64>, why: &str, by: &By) -> Self {
        self.told(REFUSED, generation, why, by)
    }

    /// Something that changes nothing stands in the history. The same once more is no new line there.
    #[must_use]
    pub fn told(&self, what: &str, generation: Option<u64>, why: &str, by: &By) -> Self {
        let mut next = self.clone();
        let entry = Entry { at: by.at, generation, what: what.to_owned(), who: by.who.clone(), why: cut(why) };
        let same = |last: &Entry| Entry { at: by.at, ..last.clone() } == entry;
        match next.history.last_mut().filter(|last| same(last)) {
            Some(last) => *last = entry,
            None => next.history.push(entry),
        }
        next.shorten();
        next
    }

    /// An operator lets a held generation have what it asks for, and it begins.
    ///
    /// # Errors
    /// It is not held.
    pub fn approved_by(&self, number: u64, by: &By) -> Next {
        let Some(Generation { state: State::Held { missing, rollout }, approved, .. }) = self.generation(number) else {
            return Err(self.is_not(number, "held"));
        };
        let (rollout, missing, approved) = (*rollout, missing.clone(), approved.with(missing));
        let rollout = if self.active().is_none() { Rollout::Full } else { rollout };
        let mut next = self.clone();
        if let Some(generation) = next.generation_mut(number) {
            generation.approved = approved;
        }
        next.note(number, "approved", by, &missing.lines().join("; "));
        next.begin(number, rollout, by, "deployed");
        next.prune();
        Ok(next)
    }

    /// A canary or a shadow becomes the active generation; or, with a share, the canary for that.
    ///
    /// # Errors
    /// It is neither.
    pub fn promoted(&self, number: u64, share: Option<Share>, by: &By) -> Next {
        let runs_beside = |state: &State| matches!(state, State::Canary { .. } | State::Shadow);
        if !self.generation(number).is_some_and(|generation| runs_beside(&generation.state)) {
            return Err(self.is_not(number, "a canary or a shadow"));
        }
        let rollout = share.map_or(Rollout::Full, |share| Rollout::Canary { share });
        let mut next = self.clone();
        next.begin(number, rollout, by, "promoted");
        next.prune();
        Ok(next)
    }

    /// What a rollback without a target would end: the canary, or else the active generation.
    #[must_use]
    pub fn suspect(&self) -> Option<u64> {
        self.canary().map(|(canary, _)| canary.number).or(self.active)
    }

    /// Back to an earlier generation. Without a target: a canary is ended, and without one the active generation goes back to
    /// the one before. Going back to the active generation ends canary and shadow.
    ///
    /// # Errors
    /// There is nothing to go back to, or the target has never run.
    pub fn rolled_back(&self, target: Option<u64>, why: &str, by: &By) -> Next {
        let Some(active) = self.active else {
            return Err(not_now("nothing is active, so there is nothing to go back from"));
        };
        let canary = self.canary().map(|(canary, _)| canary.number);
        let target = match (target, canary) {
            (Some(target), _) => target,
            (None, Some(_)) => active,
            (None, None) => self.previous.ok_or_else(|| {
                not_now("there is no generation before the active one; `patchbay plugin history` shows those that there were")
            })?,
        };
        let Some(goal) = self.generation(target) else {
            return Err(not_now(format!("there is no generation {target} any more: {} are kept", self.numbers())));
        };
        if !goal.state.has_run() {
            let (state, number) = (goal.state.word(), goal.number);
            return Err(not_now(format!("generation {number} is {state}: one goes back to what has run")));
        }
        let mut next = self.clone();
        let mut ended = Vec::from_iter(canary);
        if target == active {
            ended.extend(self.shadow().map(|shadow| shadow.number));
        } else {
            ended.push(active);
            next.retire(|state| *state == State::Shadow);
        }
        if ended.is_empty() {
            return Err(not_now(format!("generation {active} is active already, and nothing stands beside it")));
        }
        for number in ended {
            next.set(number, State::RolledBack { why: cut(why) });
            next.note(number, "rolled-back", by, why);
        }
        if target != active {
            next.set(target, State::Active);
            next.active = Some(target);
            next.active_since = Some(by.at);
            next.watched = false;
            let retired = next.generations.iter().rev().find(|one| one.number < target && one.state == State::Retired);
            next.previous = retired.map(|one| one.number);
            next.note(target, "active", by, &format!("generation {active} was rolled back"));
        }
        next.prune();
        Ok(next)
    }

    /// Puts a generation in its place among those that run.
    fn begin(&mut self, number: u64, rollout: Rollout, by: &By, what: &str) {
        let how = match rollout {
            Rollout::Full => {
                self.retire(|state| matches!(state, State::Active | State::Canary { .. } | State::Shadow));
                self.previous = self.active.filter(|active| *active != number).or(self.previous);
                self.active = Some(number);
                self.active_since = Some(by.at);
                self.watched = true;
                self.set(number, State::Active);
                "in full".to_owned()
            }
            Rollout::Canary { share } => {
                // One that stands beside as a shadow and becomes the canary leaves its old place.
                self.retire(|state| matches!(state, State::Canary { .. }));
                self.set(number, State::Canary { share });
                format!("as a canary for {share} of the conversations")
            }
            Rollout::Shadow => {
                self.retire(|state| *state == State::Shadow);
                self.set(number, State::Shadow);
                "as a shadow".to_owned()
            }
        };
        self.note(number, what, by, &how);
    }

    fn push(&mut self, draft: Draft, state: State, by: &By) -> u64 {
        let approved = self.approved(&draft);
        let number = self.next;
        self.next += 1;
        let Draft { digest, size, source, verified, trust, manifest, section, asks, origin } = draft;
        let hash = section.hash();
        let made_at = by.at;
        self.generations.push(Generation {
            number,
            digest,
            size,
            source,
            verified,
            trust,
            manifest,
            section,
            hash,
            asks,
            approved,
            origin,
            made_at,
            state,
        });
        number
    }

    /// Whatever waited for an approval waits no more: there is something newer to decide about. It has never run, and is
    /// nothing that one goes back to.
    fn supersede(&mut self) {
        for generation in &mut self.generations {
            if matches!(generation.state, State::Held { .. }) {
                generation.state = State::Failed { why: "a newer one came before it was approved".into() };
            }
        }
    }

    fn retire(&mut self, which: impl Fn(&State) -> bool) {
        for generation in self.generations.iter_mut().filter(|generation| which(&generation.state)) {
            generation.state = State::Retired;
        }
    }

    fn set(&mut self, number: u64, state: State) {
        if let Some(generation) = self.generation_mut(number) {
            generation.state = state;
        }
    }

    fn generation_mut(&mut self, number: u64) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| generation.number == number)
    }

    /// Adds a line to the history.
    pub fn note(&mut self, generation: u64, what: &str, by: &By, why: &str) {
        let By { who, at } = by.clone();
        self.history.push(Entry { at, generation: Some(generation), what: what.to_owned(), who, why: cut(why) });
        self.shorten();
    }

    /// Forgets the oldest lines: first those about what was refused, where there are too many of them alone.
    fn shorten(&mut self) {
        let refused = |entry: &Entry| entry.what == REFUSED;
        forget_oldest(&mut self.history, REFUSED_MOST, refused);
        forget_oldest(&mut self.history, HISTORY_MOST, |_| true);
    }

    /// Forgets the oldest generations that neither run nor are gone back to. Those that failed are counted by themselves:
    /// however often a version does not pass, what one goes back to stays.
    fn prune(&mut self) {
        let previous = self.previous;
        let failed = |generation: &Generation| matches!(generation.state, State::Failed { .. });
        let has_run = |generation: &Generation| {
            let idle = matches!(generation.state, State::Retired | State::RolledBack { .. });
            idle && previous != Some(generation.number)
        };
        forget_oldest(&mut self.generations, FAILED_KEPT, failed);
        forget_oldest(&mut self.generations, KEPT, has_run);
    }

    fn is_not(&self, number: u64, what: &str) -> NotNow {
        match self.generation(number) {
            Some(generation) => not_now(format!("generation {number} is {}, not {what}", generation.state.word())),
            None => not_now(format!("there is no generation {number} any more: {} are kept", self.numbers())),
        }
    }

    fn numbers(&self) -> String {
        let numbers: Vec<String> = self.generations.iter().map(|generation| generation.number.to_string()).collect();
        numbers.join(", ")
    }
}

/// The word for what changed nothing.
const REFUSED: &str = "refused";

/// A reason, no longer than [`WHY_MOST`].
fn cut(why: &str) -> String {
    match why.char_indices().nth(WHY_MOST) {
        Some((end, _)) => format!("{} …", why.get(..end).unwrap_or_default()),
        None => why.to_owned(),
    }
}

/// Of those that `which` names, only the last `kept` stay.
fn forget_oldest<T>(list: &mut Vec<T>, kept: usize, which: impl Fn(&T) -> bool) {
    let mut more = list.iter().filter(|one| which(one)).count().saturating_sub(kept);
    list.retain(|one| {
        let goes = more > 0 && which(one);
        more -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;

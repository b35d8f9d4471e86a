//! What an operator orders: a new generation, an approval, a promotion, a rollback. And what a node orders by itself.

use patchbay_runtime::Plugin;

use super::fetch::{self, Fetched, Trust};
use super::pipeline::{Done, examine};
use super::record::{Origin, Record, Rollout};
use super::section::Section;
use super::shelf::{self, Kept, ShelfError, TRIES};
use super::state::By;
use super::{Deployments, Given, Outcome, Refused, figures};
use crate::config::Share;

impl Deployments {
    /// Makes a new generation of a deployment and lets it begin, or holds it where it asks for more than the one before.
    ///
    /// # Errors
    /// The stage that it did not pass; the old generation goes on, and the history says so.
    pub async fn deploy(&self, name: &str, given: Given, rollout: Rollout, who: &str) -> Result<Outcome, Refused> {
        let config = self.config(name)?;
        let (source, fetched) = match given {
            Given::Component(bytes, signatures) => {
                let fetched = Fetched::uploaded(bytes, signatures);
                (fetched.source.clone(), Ok(fetched))
            }
            Given::Source(source) => {
                let fetched = fetch::fetch(&config, name, &source, Trust::Sent).await;
                (source.to_string(), fetched.map_err(|error| Refused::Invalid(format!("{error:#}"))))
            }
        };
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(refused) => return Err(self.note_refused(name, None, &source, refused, who).await),
        };
        let (by, origin) = (self.by(who), Origin::Operator { subject: who.to_owned() });
        for _ in 0..TRIES {
            let Kept { record, revision, .. } = self.latest(name).await?;
            // How the active one is set at this moment; the configuration says so, unless a rollback has brought an older
            // section back.
            let plugin = || config.plugins.get(name).map(Section::of).unwrap_or_default();
            let section = record.active().map_or_else(plugin, |active| active.section.clone());
            let mut examined = match examine(&config, name, fetched.clone(), section, origin.clone()) {
                Ok(examined) => examined,
                Err(refused) => return Err(self.note_refused(name, None, &source, refused, who).await),
            };
            let (number, draft) = (record.next, examined.draft.clone());
            let held = !record.missing(&draft).is_empty();
            let mut loaded = None;
            if !held {
                // What is held does not run before somebody has agreed: nor is it compiled.
                match examined.load(&self.runtime, &config, name, number, &record.approved(&draft)).await {
                    Ok(plugin) => loaded = Some(plugin),
                    Err(why) => {
                        let failed = record.failed(draft, &why, &by);
                        if shelf::put(&*self.store, name, failed, revision).await?.is_none() {
                            continue;
                        }
                        figures::came_of(name, "failed");
                        return Err(Refused::Invalid(format!("generation {number} of `{name}` does not run: {why}")));
                    }
                }
            }
            let next = record.deployed(draft, rollout, &by)?;
            examined.put(&*self.store).await?;
            if let Some(kept) = shelf::put(&*self.store, name, next, revision).await? {
                return Ok(self.carried_out(name, kept, number, loaded, examined.stages).await);
            }
        }
        Err(ShelfError::Busy(name.to_owned()).into())
    }

    /// Lets a held generation have what it asks for; without a number the one that is held. It has to pass the stages that
    /// are left, and the policy once more.
    ///
    /// # Errors
    /// None is held, or it did not pass a stage. Where the policy does not allow it any more, it stays held.
    pub async fn approve(&self, name: &str, number: Option<u64>, who: &str) -> Result<Outcome, Refused> {
        let config = self.config(name)?;
        let by = self.by(who);
        for _ in 0..TRIES {
            let Kept { record, revision, .. } = shelf::get(&*self.store, name).await?;
            let number = match number.or_else(|| record.held().map(|held| held.number)) {
                Some(number) => number,
                None => return Err(Refused::Conflict(format!("no generation of `{name}` is held"))),
            };
            let next = record.approved_by(number, &by)?;
            let generation = next.generation(number).cloned();
            let generation = generation.ok_or_else(|| Refused::Absent(format!("there is no generation {number}")))?;
            let mut examined = match self.take_from_shelf(&config, name, &generation).await {
                Ok(examined) => examined,
                Err(refused) => return Err(self.note_refused(name, Some(number), "", refused, who).await),
            };
            let loaded = examined.load(&self.runtime, &config, name, number, &generation.approved).await;
            let (next, outcome) = match loaded {
                Ok(plugin) => (next, Ok(plugin)),
                Err(why) => (record.failed_when_approved(number, &why, &by), Err(why)),
            };
            let Some(kept) = shelf::put(&*self.store, name, next, revision).await? else { continue };
            return match outcome {
                Ok(plugin) => Ok(self.carried_out(name, kept, number, Some(plugin), examined.stages).await),
                Err(why) => {
                    figures::came_of(name, "failed");
                    Err(Refused::Invalid(format!("generation {number} of `{name}` does not run: {why}")))
                }
            };
        }
        Err(ShelfError::Busy(name.to_owned()).into())
    }

    /// The record is written: what runs here follows it.
    async fn carried_out(
        &self,
        name: &str,
        kept: Kept,
        number: u64,
        loaded: Option<Plugin>,
        stages: Vec<Done>,
    ) -> Outcome {
        let record = kept.record.clone();
        if let Some((plugin, generation)) = loaded.zip(record.generation(number)) {
            self.local(name).keep(plugin, generation).await;
        }
        self.follow(name, kept).await;
        if let Some(generation) = record.generation(number) {
            figures::came_of(name, generation.state.word());
        }
        Outcome { generation: number, record, stages }
    }

    /// Leaves a line in the history about what was refused, and gives the refusal back. What says nothing about the thing
    /// itself leaves none: a store that is away, a deployment that is in no state for it.
    pub(super) async fn note_refused(
        &self,
        name: &str,
        number: Option<u64>,
        what: &str,
        refused: Refused,
        who: &str,
    ) -> Refused {
        if matches!(refused, Refused::Invalid(_) | Refused::Forbidden(_)) {
            figures::came_of(name, "refused");
            let why = if what.is_empty() { refused.to_string() } else { format!("{what}: {refused}") };
            for _ in 0..TRIES {
                let Ok(Kept { record, revision, .. }) = shelf::get(&*self.store, name).await else { break };
                let next = record.refused(number, &why, &self.by(who));
                match shelf::put(&*self.store, name, next, revision).await {
                    Ok(None) => {}
                    Ok(Some(_)) => break,
                    Err(error) => {
                        tracing::debug!(deployment = name, %error, "a refusal is not in the history");
                        break;
                    }
                }
            }
        }
        refused
    }

    /// A canary or a shadow becomes the active generation, or with a share the canary for that; without a number the canary,
    /// and without one the shadow.
    ///
    /// # Errors
    /// There is none.
    pub async fn promote(
        &self,
        name: &str,
        number: Option<u64>,
        share: Option<Share>,
        who: &str,
    ) -> Result<Outcome, Refused> {
        self.change(name, who, |record, by| {
            let beside = || record.canary().map(|(canary, _)| canary).or(record.shadow()).map(|one| one.number);
            let number = number.or_else(beside).ok_or_else(|| {
                Refused::Conflict(format!("`{name}` has no canary and no shadow: nothing to promote"))
            })?;
            Ok((number, record.promoted(number, share, by)?))
        })
        .await
        .inspect(|_| figures::came_of(name, if share.is_some() { "canary" } else { "active" }))
    }

    /// Back to an earlier generation: without a number from the canary, or else from the active one to the one before.
    ///
    /// # Errors
    /// There is nothing to go back to.
    pub async fn roll_back(
        &self,
        name: &str,
        number: Option<u64>,
        reason: &str,
        who: &str,
    ) -> Result<Outcome, Refused> {
        self.change(name, who, |record, by| {
            let next = record.rolled_back(number, reason, by)?;
            Ok((next.active.unwrap_or_default(), next))
        })
        .await
        .inspect(|_| figures::came_of(name, "rolled-back"))
    }

    /// Takes a generation back that is worse than the one before. `false`: somebody has done so already.
    pub(super) async fn roll_back_if(&self, name: &str, suspect: u64, why: &str, who: &str) -> Result<bool, Refused> {
        let done = self
            .change(name, who, |record, by| {
                let canary = record.canary().map(|(canary, _)| canary.number);
                let target = match (canary == Some(suspect), record.active == Some(suspect), record.previous) {
                    (true, ..) => None,
                    (false, true, Some(previous)) => Some(previous),
                    _ => return Err(Refused::Absent("it is gone already".into())),
                };
                Ok((suspect, record.rolled_back(target, why, by)?))
            })
            .await;
        match done {
            Ok(_) => {
                figures::came_of(name, "rolled-back");
                Ok(true)
            }
            Err(Refused::Absent(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes a record, again where somebody else came before. What decides from then on has to be allowed by the policy.
    async fn change(
        &self,
        name: &str,
        who: &str,
        step: impl Fn(&Record, &By) -> Result<(u64, Record), Refused>,
    ) -> Result<Outcome, Refused> {
        let config = self.config(name)?;
        for _ in 0..TRIES {
            let Kept { record, revision, .. } = shelf::get(&*self.store, name).await?;
            let (generation, next) = step(&record, &self.by(who))?;
            if let Err((number, refused)) = self.all_allowed(&config, name, &record, &next).await {
                return Err(self.note_refused(name, Some(number), "", refused, who).await);
            }
            if let Some(kept) = shelf::put(&*self.store, name, next, revision).await? {
                let record = kept.record.clone();
                self.follow(name, kept).await;
                return Ok(Outcome { generation, record, stages: Vec::new() });
            }
        }
        Err(ShelfError::Busy(name.to_owned()).into())
    }
}

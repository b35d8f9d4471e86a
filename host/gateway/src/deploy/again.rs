//! Generations once more, from the shelf: before they are loaded, and before they decide about more than they did, the policy
//! is asked as it reads then. What runs already goes on until somebody is there to be told: an operator who orders something,
//! reads the configuration again or starts the gateway.

use patchbay_runtime::Plugin;

use super::fetch::{self, Fetched};
use super::pipeline::{self, Examined, examine};
use super::record::{Generation, Record, State};
use super::refused::Refused;
use super::{Deployments, components};
use crate::config::Config;

impl Deployments {
    /// A generation's component, with everything that a policy asks about.
    async fn fetch_again(&self, generation: &Generation) -> Result<Fetched, Refused> {
        let stored = components::get(&*self.store, &generation.digest).await.map_err(|error| match error {
            components::NoComponent::Store(error) => Refused::Store(error),
            other => Refused::Conflict(other.to_string()),
        })?;
        Ok(Fetched {
            component: stored.bytes,
            digest: generation.digest,
            source: generation.source.clone(),
            // What came from a registry names it.
            reference: generation.source.strip_prefix("oci:").and_then(|reference| reference.parse().ok()),
            signatures: stored.signatures,
            trust: generation.trust,
        })
    }

    /// A held generation, or one that gets another section, through the stages again up to compiling.
    ///
    /// # Errors
    /// The stage that it does not pass now.
    pub(super) async fn take_from_shelf(
        &self,
        config: &Config,
        name: &str,
        generation: &Generation,
    ) -> Result<Examined, Refused> {
        let fetched = self.fetch_again(generation).await?;
        let examined = examine(config, name, fetched, generation.section.clone(), generation.origin.clone());
        examined.map_err(|refused| no_more(name, generation, refused))
    }

    /// Whether the policy allows a generation now.
    ///
    /// # Errors
    /// It does not, or what it judges by cannot be read.
    pub(super) async fn allowed(&self, config: &Config, name: &str, generation: &Generation) -> Result<(), Refused> {
        let fetched = self.fetch_again(generation).await?;
        let said = fetch::judge(config, name, &fetched);
        said.map(drop).map_err(|refused| no_more(name, generation, refused))
    }

    /// Whether the policy allows everything now that decides by `next` and did not, or not about as much, by `record`.
    ///
    /// # Errors
    /// Which generation it does not allow, and why.
    pub(super) async fn all_allowed(
        &self,
        config: &Config,
        name: &str,
        record: &Record,
        next: &Record,
    ) -> Result<(), (u64, Refused)> {
        for generation in &next.generations {
            let decides = matches!(generation.state, State::Active | State::Canary { .. });
            let same = record.generation(generation.number).is_some_and(|before| before.state == generation.state);
            if decides && !same {
                self.allowed(config, name, generation).await.map_err(|refused| (generation.number, refused))?;
            }
        }
        Ok(())
    }

    /// Loads a generation with this node's secrets, if this node's policy allows it.
    ///
    /// # Errors
    /// A sentence for people.
    pub(super) async fn load_generation(&self, name: &str, generation: &Generation) -> Result<Plugin, String> {
        let config = self.config.load_full().ok_or("the gateway has no configuration yet")?;
        self.load_with(&config, name, generation).await
    }

    /// As [`Deployments::load_generation`], with a configuration that does not count yet.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn load_with(
        &self,
        config: &Config,
        name: &str,
        generation: &Generation,
    ) -> Result<Plugin, String> {
        let fetched = self.fetch_again(generation).await.map_err(|error| error.to_string())?;
        fetch::judge(config, name, &fetched).map_err(|refused| no_more(name, generation, refused).to_string())?;
        let Generation { number, section, approved, .. } = generation;
        let spec = pipeline::spec(config, name, *number, fetched.component, section, approved);
        let plugin = self.runtime.load(spec.map_err(|error| format!("{error:#}"))?).await;
        let plugin = plugin.map_err(|error| error.to_string())?;
        pipeline::fits(config, name, &plugin)?;
        Ok(plugin)
    }
}

/// A policy's word about what it, or another one, has allowed before.
fn no_more(name: &str, generation: &Generation, refused: Refused) -> Refused {
    let Refused::Forbidden(why) = refused else { return refused };
    let Generation { number, verified, .. } = generation;
    Refused::Forbidden(format!(
        "generation {number} of `{name}` is not allowed any more. When it was deployed, this was said of it: {verified}. Now: \
         {why}. To do without it, deploy another one or go back: patchbay plugin rollback {name} --to N"
    ))
}

//! The document of a deployment: its generations, which of them run, and what has become of them.

use std::fmt;

use patchbay_artefact::Digest;
use patchbay_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::asks::Asks;
use super::section::Section;
use crate::config::Share;

/// The form of the document that this gateway writes and reads.
pub const VERSION: u32 = 1;
/// Generations that are kept besides those that run: what an operator goes back to.
pub const KEPT: usize = 5;
/// Generations that are kept of those that never ran: what did not pass, for `patchbay plugin diff`.
pub const FAILED_KEPT: usize = 3;
/// Entries of the history that are kept: some months of a busy deployment, in some tens of KiB.
pub const HISTORY_MOST: usize = 200;
/// Entries about what was refused, among them: a script that tries the same all night must not push out the rest.
pub const REFUSED_MOST: usize = 20;
/// The most characters of a reason. With these numbers a record stays far below what one document may have.
pub const WHY_MOST: usize = 1_000;

/// Everything that is known of a deployment, as all nodes share it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// The number of the next generation; they never repeat.
    pub next: u64,
    /// The generations that are kept, by number.
    pub generations: Vec<Generation>,
    /// Which one decides. None: none could be made yet.
    pub active: Option<u64>,
    /// Since when it does.
    pub active_since: Option<Timestamp>,
    /// Whether it is watched, and goes back by itself: it is new. One that was gone back to is not.
    #[serde(default)]
    pub watched: bool,
    /// Where a rollback goes to; it stays loaded.
    pub previous: Option<u64>,
    /// What the configuration said when it last made a generation, or was last seen to want none.
    pub configured: Option<Configured>,
    /// What has happened, oldest first.
    pub history: Vec<Entry>,
}

/// What a section of the configuration comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// Its `source`, as it is written.
    pub source: String,
    /// The component that its `source` names.
    pub digest: Digest,
    /// Its settings, grants, limits and names of secrets: [`Section::hash`].
    pub hash: String,
}

/// One version of a plugin with its configuration and its grants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// The component.
    pub digest: Digest,
    /// The component's size, bytes.
    pub size: u64,
    /// Where the component came from, for people.
    pub source: String,
    /// What the policy said of it when it was made: who signed it, or why nobody had to.
    #[serde(default)]
    pub verified: String,
    /// How far it was believed before any policy.
    #[serde(default)]
    pub trust: Trust,
    /// What the component calls itself; none: it has no manifest.
    pub manifest: Option<Title>,
    /// How the plugin is set, and what the configuration grants it.
    pub section: Section,
    /// [`Section::hash`] of it.
    pub hash: String,
    /// What the component asks for.
    pub asks: Asks,
    /// What an operator granted it beyond the configuration, without credentials.
    #[serde(default)]
    pub approved: Asks,
    /// Who made it.
    pub origin: Origin,
    /// When.
    pub made_at: Timestamp,
    /// What it does now.
    pub state: State,
}

/// How far a component is believed before any policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// It is a part of the gateway.
    Builtin,
    /// The configuration names it: the operator has written so himself. A policy, where there is one, decides all the same.
    #[default]
    Configured,
    /// Somebody with a token has sent or named it.
    Sent,
}

/// What a component calls itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Title {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Who made a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Origin {
    /// The configuration file.
    Configuration,
    /// Somebody with a token.
    Operator {
        /// The token's subject.
        subject: String,
    },
}

/// How a new generation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Rollout {
    /// In the place of the one before.
    Full,
    /// For a share of the conversations.
    Canary {
        /// Which share.
        share: Share,
    },
    /// Beside the active one, without effect.
    Shadow,
}

/// What a generation does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum State {
    /// It decides.
    Active,
    /// It waits for an operator: it asks for more than the one before had.
    Held {
        /// What it asks for beyond that.
        missing: Asks,
        /// How it begins once that is approved.
        rollout: Rollout,
    },
    /// It decides about a share of the conversations.
    Canary {
        /// Which share.
        share: Share,
    },
    /// It is asked beside the active one, without effect.
    Shadow,
    /// Another one took its place.
    Retired,
    /// It did not pass a stage on its way.
    Failed {
        /// Which, and why.
        why: String,
    },
    /// It ran, and was taken back.
    RolledBack {
        /// Why.
        why: String,
    },
}

/// One line of a deployment's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Which generation it was about; none: it was refused before it became one.
    pub generation: Option<u64>,
    /// What happened, in a word: `deployed`, `held`, `approved`, `promoted`, `active`, `rolled-back`, `failed`, `refused`,
    /// `goes-on`.
    pub what: String,
    /// Who did it: a token's subject, `the configuration`, or `node NAME`.
    pub who: String,
    /// Why, or how; may be empty.
    pub why: String,
}

impl Configured {
    /// Whether both name the same component, however it is set.
    #[must_use]
    pub fn same_source(&self, other: &Self) -> bool {
        self.source == other.source && self.digest == other.digest
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: VERSION,
            next: 1,
            generations: Vec::new(),
            active: None,
            active_since: None,
            watched: false,
            previous: None,
            configured: None,
            history: Vec::new(),
        }
    }
}

impl Record {
    /// A generation by its number.
    #[must_use]
    pub fn generation(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    /// The generation that decides.
    #[must_use]
    pub fn active(&self) -> Option<&Generation> {
        self.generation(self.active?)
    }

    /// The canary and its share.
    #[must_use]
    pub fn canary(&self) -> Option<(&Generation, Share)> {
        self.generations.iter().find_map(|generation| match generation.state {
            State::Canary { share } => Some((generation, share)),
            _ => None,
        })
    }

    /// The shadow.
    #[must_use]
    pub fn shadow(&self) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.state == State::Shadow)
    }

    /// The newest generation that waits for an operator.
    #[must_use]
    pub fn held(&self) -> Option<&Generation> {
        self.generations.iter().rev().find(|generation| matches!(generation.state, State::Held { .. }))
    }

    /// The generations that a node keeps loaded: active, canary, shadow and the one that a rollback goes to.
    #[must_use]
    pub fn loaded(&self) -> Vec<&Generation> {
        let canary = self.canary().map(|(generation, _)| generation);
        let previous = self.previous.and_then(|number| self.generation(number));
        [self.active(), canary, self.shadow(), previous].into_iter().flatten().collect()
    }

    /// The components that have to stay on the shelf.
    #[must_use]
    pub fn components(&self) -> Vec<Digest> {
        let kept = self.generations.iter().filter(|generation| !matches!(generation.state, State::Failed { .. }));
        kept.map(|generation| generation.digest).collect()
    }
}

impl State {
    /// In a word, as tables show it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Held { .. } => "held",
            Self::Canary { .. } => "canary",
            Self::Shadow => "shadow",
            Self::Retired => "retired",
            Self::Failed { .. } => "failed",
            Self::RolledBack { .. } => "rolled-back",
        }
    }

    /// Whether it runs, or has run to nobody's harm: one can go back to it.
    #[must_use]
    pub const fn has_run(&self) -> bool {
        matches!(self, Self::Active | Self::Retired | Self::RolledBack { .. })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("the configuration"),
            Self::Operator { subject } => f.write_str(subject),
        }
    }
}

//! KMS's part of a world file.
//!
//! The main type is [`KeySeed`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::state::{Alias, make_key};
use crate::world::World;
use crate::worldfile::Problems;

/// A key in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeySeed {
    /// Without `alias/`.
    alias: String,
    /// What it says of itself.
    #[serde(default)]
    description: String,
    /// Whether it can be used.
    #[serde(default = "yes")]
    enabled: bool,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn yes() -> bool {
    true
}

/// Put the keys of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[KeySeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("keys", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let key = make_key(&mut scope, seed.description.clone(), seed.enabled);
        let now = scope.now();
        let alias = Alias { target: key.id, created: now, updated: now };
        let name = format!("alias/{}", seed.alias);
        if scope.place().kms.aliases.insert(name, alias).is_some() {
            problems.add(&format!("keys: {}", seed.alias), "the alias is there twice");
        }
    }
}

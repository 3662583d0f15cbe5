//! KMS's part of a world file.
//!
//! The main type is [`KeySeed`].

use serde::Deserialize;

use super::state::{Alias, make_key};
use crate::world::World;
use crate::worldfile::Problems;

/// A key in a world file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeySeed {
    /// Without `alias/`.
    alias: String,
    #[serde(default)]
    description: String,
    #[serde(default = "yes")]
    enabled: bool,
    account: Option<String>,
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

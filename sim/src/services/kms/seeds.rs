//! KMS's part of a world file.
//!
//! The main type is [`KeySeed`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::grants::{GrantSeed, HeldGrant};
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
    /// Its policy: JSON. IAM of its account decides, unless told.
    policy: Option<String>,
    /// Its grants.
    #[serde(default)]
    grants: Vec<GrantSeed>,
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
        if let Some(Err(error)) = seed.policy.as_ref().map(|policy| serde_json::from_str::<serde_json::Value>(policy)) {
            problems.add(&format!("keys: {}", seed.alias), format!("the policy is no JSON: {error}"));
        }
        let issuer = format!("arn:{}:iam::{}:root", scope.at.partition(), scope.at.account);
        let mut grants = Vec::new();
        for grant in &seed.grants {
            let id = scope.world.ids.hex(&format!("kms/grant/{}", key.id), 64);
            let (grantee, operations, issuer) = (grant.grantee.clone(), grant.operations.clone(), issuer.clone());
            let (name, retiring, constraints) = (None, None, None);
            grants.push(HeldGrant { id, name, grantee, retiring, operations, constraints, created: now, issuer });
        }
        if let Some(key) = scope.place().kms.keys.get_mut(&key.id) {
            key.grants = grants;
            key.policy = seed.policy.clone().unwrap_or_else(|| key.policy.clone());
        }
        let alias = Alias { target: key.id, created: now, updated: now };
        let name = format!("alias/{}", seed.alias);
        if scope.place().kms.aliases.insert(name, alias).is_some() {
            problems.add(&format!("keys: {}", seed.alias), "the alias is there twice");
        }
    }
}

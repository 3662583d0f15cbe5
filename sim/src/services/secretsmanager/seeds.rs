//! Secrets Manager's part of a world file.
//!
//! The main type is [`SecretSeed`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::state::{CURRENT, Payload, Rotation, Secret};
use crate::tags::Tags;
use crate::world::World;
use crate::worldfile::Problems;

/// A secret in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SecretSeed {
    /// Its name.
    name: String,
    /// Its value: text, often a JSON object.
    value: String,
    /// What it says of itself.
    description: Option<String>,
    /// A key id, ARN or alias.
    kms_key: Option<String>,
    /// The ARN of the function that rotates it.
    rotation_lambda: Option<String>,
    /// Its tags.
    #[serde(default)]
    tags: Tags,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

/// Put the secrets of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[SecretSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("secrets", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let mut secret = Secret::new(&mut scope, &seed.name);
        secret.description.clone_from(&seed.description);
        secret.kms_key_id.clone_from(&seed.kms_key);
        secret.tags.clone_from(&seed.tags);
        if seed.rotation_lambda.is_some() {
            secret.rotation = Some(Rotation { lambda: seed.rotation_lambda.clone(), after_days: Some(30) });
        }
        let version = scope.world.ids.uuid(&format!("secretsmanager/version/{}", secret.arn));
        secret.put(&version, Payload::Text(seed.value.clone()), &[CURRENT.to_owned()], scope.now());
        if scope.place().secretsmanager.secrets.insert(seed.name.clone(), secret).is_some() {
            problems.add(&format!("secrets: {}", seed.name), "the secret is there twice");
        }
    }
}

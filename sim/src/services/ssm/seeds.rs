//! Systems Manager's part of a world file.
//!
//! The main type is [`ParameterSeed`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::state::{DEFAULT_KEY, HeldParameter, ParameterKind};
use super::writing::check_name;
use crate::world::World;
use crate::worldfile::Problems;

/// A parameter in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ParameterSeed {
    /// Its name, with all slashes.
    name: String,
    /// `String`, `StringList` or `SecureString`.
    #[serde(default, rename = "type")]
    kind: ParameterKind,
    /// The values of its versions, the oldest first.
    #[schemars(length(min = 1))]
    values: Vec<String>,
    /// `text` or `aws:ec2:image`.
    #[serde(default = "text")]
    data_type: String,
    /// What it says of itself.
    description: Option<String>,
    /// Labels of its newest version.
    #[serde(default)]
    labels: Vec<String>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn text() -> String {
    "text".to_owned()
}

/// Put the parameters of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[ParameterSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("parameters", index);
        let place = format!("parameters: {}", seed.name);
        if let Err(error) = check_name(&seed.name) {
            problems.add(&place, error.message);
        }
        if seed.values.is_empty() {
            problems.add(&place, "a parameter has at least one value");
        }
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let (now, account) = (scope.now(), scope.at.account.clone());
        let user = format!("arn:{}:iam::{account}:root", scope.at.partition());
        let mut parameter = HeldParameter {
            name: seed.name.clone(),
            kind: seed.kind,
            data_type: seed.data_type.clone(),
            description: seed.description.clone(),
            key: (seed.kind == ParameterKind::SecureString).then(|| DEFAULT_KEY.to_owned()),
            versions: Vec::new(),
        };
        for value in &seed.values {
            if let Err(error) = parameter.add(value.clone(), now, user.clone()) {
                problems.add(&place, error.message);
            }
        }
        if let Some(newest) = parameter.versions.last_mut() {
            newest.labels = seed.labels.iter().cloned().collect();
        }
        if scope.place().ssm.parameters.insert(seed.name.clone(), parameter).is_some() {
            problems.add(&place, "the parameter is there twice");
        }
    }
}

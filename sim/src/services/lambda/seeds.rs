//! Lambda's part of a world file.
//!
//! The main type is [`FunctionSeed`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::functions::image;
use super::state::{Function, FunctionImage};
use crate::ctx::Scope;
use crate::world::World;
use crate::worldfile::Problems;

/// A function in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct FunctionSeed {
    /// Its name.
    name: String,
    /// `REPOSITORY:TAG` of this account. Without it the function is an archive.
    image: Option<String>,
    /// The images of its published versions, the first first.
    #[serde(default)]
    versions: Vec<String>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

/// Put the functions of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[FunctionSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("functions", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        match function(&mut scope, seed) {
            Err(problem) => problems.add(&format!("functions: {}", seed.name), problem),
            Ok(function) => {
                if scope.place().lambda.functions.insert(seed.name.clone(), function).is_some() {
                    problems.add(&format!("functions: {}", seed.name), "the function is there twice");
                }
            }
        }
    }
}

fn function(scope: &mut Scope<'_>, seed: &FunctionSeed) -> Result<Function, String> {
    let versions = seed.versions.iter().map(|version| planted(scope, version).map(Some));
    Ok(Function {
        versions: versions.collect::<Result<_, _>>()?,
        image: seed.image.as_ref().map(|given| planted(scope, given)).transpose()?,
        arn: scope.arn("lambda", &format!("function:{}", seed.name)),
        role: format!("arn:{}:iam::{}:role/{}", scope.at.partition(), scope.at.account, seed.name),
        modified: scope.now(),
    })
}

/// An image of this account's registry, unless it names another.
fn planted(scope: &mut Scope<'_>, given: &str) -> Result<FunctionImage, String> {
    let names_registry = given.split_once('/').is_some_and(|(registry, _)| registry.contains('.'));
    let uri = if names_registry { given.to_owned() } else { format!("{}/{given}", scope.at.registry()) };
    image(scope, &uri)
}

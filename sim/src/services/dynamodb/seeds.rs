//! DynamoDB's part of a world file.
//!
//! The main type is [`TableSeed`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::state::new;
use crate::world::World;
use crate::worldfile::Problems;

/// A table in a world file. Its keys are strings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TableSeed {
    /// Its name.
    name: String,
    /// The name of the partition key.
    partition_key: String,
    /// The name of the sort key, if it has one.
    sort_key: Option<String>,
    /// The account and the region that it belongs to: the world's own unless told.
    account: Option<String>,
    region: Option<String>,
}

/// Put the tables of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[TableSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("tables", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let table = new(&scope, &seed.name, &seed.partition_key, seed.sort_key.as_deref());
        if scope.place().dynamodb.tables.insert(seed.name.clone(), table).is_some() {
            problems.add(&format!("tables: {}", seed.name), "the table is there twice");
        }
    }
}

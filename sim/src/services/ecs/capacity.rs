//! Capacity providers: which one a task goes to.
//!
//! The main type is [`Strategy`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::state::{Cluster, invalid};
use crate::error::AwsError;

/// Those that every cluster may use: the simulator has no groups of instances.
const OF_FARGATE: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];
const MOST_PROVIDERS: usize = 20;

/// A capacity provider strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Strategy(Vec<StrategyItem>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StrategyItem {
    capacity_provider: String,
    #[serde(default)]
    weight: u64,
    #[serde(default)]
    base: u64,
}

impl Strategy {
    /// The strategy that an input gives, or the cluster's own where it gives neither that nor a launch type.
    pub(super) fn of(given: &Map<String, Value>, cluster: &Cluster) -> Result<Strategy, AwsError> {
        let own = match given.get("capacityProviderStrategy") {
            Some(strategy) => Some(strategy),
            None if given.contains_key("launchType") => None,
            None => cluster.settings.get("defaultCapacityProviderStrategy"),
        };
        let Some(own) = own else { return Ok(Strategy::default()) };
        let items: Vec<StrategyItem> = Vec::deserialize(own)
            .map_err(|error| AwsError::new("SerializationException", format!("capacityProviderStrategy: {error}")))?;
        if items.len() > MOST_PROVIDERS {
            return Err(invalid("A capacity provider strategy can contain a maximum of 20 capacity providers."));
        }
        if let Some(unknown) = items.iter().find(|item| !OF_FARGATE.contains(&item.capacity_provider.as_str())) {
            return Err(invalid(format!(
                "The specified capacity provider '{}' was not found.",
                unknown.capacity_provider
            )));
        }
        if items.iter().any(|item| item.weight > 1000 || item.base > 100_000) {
            return Err(invalid("The weight of a capacity provider is at most 1000, and its base at most 100000."));
        }
        if items.iter().filter(|item| item.base > 0).count() > 1 {
            return Err(invalid(
                "Only one capacity provider in a capacity provider strategy can have a base value defined.",
            ));
        }
        if !items.is_empty() && items.iter().all(|item| item.weight == 0) {
            return Err(invalid("At least one capacity provider in the strategy must have a weight greater than 0."));
        }
        Ok(Strategy(items))
    }

    /// The provider of the next task, where `held` counts those that a provider has: bases first, then by weight.
    pub(super) fn next(&self, held: impl Fn(&str) -> u64) -> Option<String> {
        let below = self.0.iter().find(|item| held(&item.capacity_provider) < item.base);
        let weighed = self.0.iter().filter(|item| item.weight > 0).min_by_key(|item| {
            // Those within the base do not count; in thousands, for whole numbers.
            (held(&item.capacity_provider).saturating_sub(item.base) + 1) * 1_000_000 / item.weight
        });
        below.or(weighed).map(|item| item.capacity_provider.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn bases_are_filled_first_and_then_the_weights_hold() {
        let item = |capacity_provider: &str, weight: u64, base: u64| StrategyItem {
            capacity_provider: capacity_provider.to_owned(),
            weight,
            base,
        };
        let strategy = Strategy(vec![item("FARGATE", 1, 2), item("FARGATE_SPOT", 3, 0)]);
        let mut held: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..10 {
            let next = strategy.next(|provider| held.get(provider).copied().unwrap_or(0));
            *held.entry(next.unwrap_or_default()).or_default() += 1;
        }
        assert_eq!(held, BTreeMap::from([("FARGATE".to_owned(), 4), ("FARGATE_SPOT".to_owned(), 6)]));
        assert_eq!(Strategy::default().next(|_| 0), None);
    }
}

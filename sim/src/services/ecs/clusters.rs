//! Operations on clusters.
//!
//! The main function is [`describe_clusters`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::definitions::{bad_token, size};
use super::state::{Cluster, ResourceFailure, cluster, cluster_name, invalid, is_foreign, last_part};
use super::tags::ResourceTags;
use super::task::{TaskPhase, Timings};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{SmallTag, Tagged, listed};

/// What a cluster keeps of its making as it was given.
pub(super) const SETTINGS: [&str; 5] =
    ["settings", "configuration", "capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"];

#[derive(Serialize)]
pub(super) struct OneCluster {
    cluster: Value,
}

pub(super) fn create_cluster(ctx: &mut Ctx<'_>, mut input: Map<String, Value>) -> Result<OneCluster, AwsError> {
    let name = input.get("clusterName").and_then(Value::as_str).unwrap_or("default").to_owned();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !(1..=255).contains(&name.len()) || !name.chars().all(fits) {
        return Err(invalid("Identifier contains invalid characters."));
    }
    let tags: Vec<SmallTag> = match input.remove("tags") {
        None => Vec::new(),
        Some(tags) => serde_json::from_value(tags)
            .map_err(|error| AwsError::new("SerializationException", format!("tags: {error}")))?,
    };
    let tags = ResourceTags::checked(tags)?;
    // A cluster that is there already is answered as it is.
    if let Some(existing) = ctx.scope.place().ecs.clusters.get(&name).filter(|cluster| cluster.active) {
        let cluster = existing.described(true);
        ctx.unchanged();
        return Ok(OneCluster { cluster });
    }
    let cluster = Cluster {
        arn: ctx.arn("ecs", &format!("cluster/{name}")),
        name: name.clone(),
        active: true,
        settings: input.into_iter().filter(|(field, _)| SETTINGS.contains(&field.as_str())).collect(),
        tags,
        services: BTreeMap::new(),
        tasks: BTreeMap::new(),
        timings: Timings::default(),
        capacity: None,
    };
    ctx.touch(cluster.arn.clone());
    let described = cluster.described(true);
    ctx.place().ecs.clusters.insert(name, cluster);
    Ok(OneCluster { cluster: described })
}

impl Cluster {
    fn described(&self, whole: bool) -> Value {
        let count = |phase: fn(TaskPhase) -> bool| self.tasks.values().filter(|task| phase(task.phase)).count();
        let mut described = if whole { self.settings.clone() } else { Map::new() };
        for (name, value) in [
            ("clusterArn", json!(self.arn)),
            ("clusterName", json!(self.name)),
            ("status", json!(if self.active { "ACTIVE" } else { "INACTIVE" })),
            ("registeredContainerInstancesCount", json!(0)),
            ("runningTasksCount", json!(count(TaskPhase::is_running))),
            ("pendingTasksCount", json!(count(TaskPhase::is_pending))),
            ("activeServicesCount", json!(self.services.values().filter(|service| service.is_active()).count())),
            ("statistics", json!([])),
        ] {
            described.insert(name.to_owned(), value);
        }
        for list in ["settings", "capacityProviders", "defaultCapacityProviderStrategy"] {
            described.entry(list).or_insert_with(|| json!([]));
        }
        let tags: Vec<SmallTag> = if whole { listed(&self.tags) } else { Vec::new() };
        described.insert("tags".to_owned(), json!(tags));
        Value::Object(described)
    }
}

#[derive(Deserialize)]
pub(super) struct DescribeClusters {
    #[serde(default)]
    clusters: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Clusters {
    clusters: Vec<Value>,
    failures: Vec<ResourceFailure>,
}

pub(super) fn describe_clusters(ctx: &mut Ctx<'_>, mut input: DescribeClusters) -> Result<Clusters, AwsError> {
    if input.clusters.len() > 100 {
        return Err(invalid("Clusters can have at most 100 items."));
    }
    if input.clusters.is_empty() {
        input.clusters.push("default".to_owned());
    }
    let mut found = Clusters { clusters: Vec::new(), failures: Vec::new() };
    for given in input.clusters {
        let foreign = is_foreign(ctx, &given);
        match ctx.place().ecs.clusters.get(&cluster_name(Some(&given))) {
            Some(cluster) if !foreign => found.clusters.push(cluster.described(!input.include.is_empty())),
            Some(_) | None => found.failures.push(ResourceFailure::missing(ctx, "cluster", &given)),
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListClusters {
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterArns {
    cluster_arns: Vec<String>,
    next_token: Option<String>,
}

pub(super) fn list_clusters(ctx: &mut Ctx<'_>, input: ListClusters) -> Result<ClusterArns, AwsError> {
    let size = size(input.max_results)?;
    let clusters = ctx.scope.place().ecs.clusters.values().filter(|cluster| cluster.active);
    let arns: Vec<String> = clusters.map(|cluster| cluster.arn.clone()).collect();
    let (cluster_arns, next_token) =
        ctx.page("clusters", arns, size, input.next_token.as_deref(), |arn| last_part(arn)).map_err(bad_token)?;
    Ok(ClusterArns { cluster_arns, next_token })
}

#[derive(Deserialize)]
pub(super) struct WhichCluster {
    cluster: String,
}

pub(super) fn delete_cluster(ctx: &mut Ctx<'_>, input: WhichCluster) -> Result<OneCluster, AwsError> {
    let cluster = cluster(ctx, Some(&input.cluster))?;
    if cluster.services.values().any(|service| service.is_active()) {
        let message = "The Cluster cannot be deleted while Services are active.";
        return Err(AwsError::new("ClusterContainsServicesException", message));
    }
    if cluster.tasks.values().any(|task| task.phase != TaskPhase::Stopped) {
        let message = "The Cluster cannot be deleted while Tasks are active.";
        return Err(AwsError::new("ClusterContainsTasksException", message));
    }
    cluster.active = false;
    let (arn, described) = (cluster.arn.clone(), cluster.described(true));
    ctx.touch(arn);
    Ok(OneCluster { cluster: described })
}

//! What ECS holds: clusters with their services and tasks, and task definitions.
//!
//! The main types are [`State`] and [`Cluster`]; [`ServiceKey`] names a service.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::behaviour::TaskBehaviour;
use super::definition::{Family, TaskDefinition};
use super::service::EcsService;
use super::task::{Task, TaskPhase, Timings};
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::ids;
use crate::tags::Tags;

/// What ECS holds in an account's region.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) clusters: BTreeMap<String, Cluster>,
    /// Task definitions by family.
    pub(super) families: BTreeMap<String, Family>,
    /// How tasks behave; the first that matches counts.
    #[serde(skip)]
    pub(super) behaviours: Vec<TaskBehaviour>,
}

/// A cluster.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) active: bool,
    /// What was given and only describes: `settings`, `configuration`, capacity providers.
    pub(super) settings: Map<String, Value>,
    pub(super) tags: Tags,
    pub(super) services: BTreeMap<String, EcsService>,
    /// By id.
    pub(super) tasks: BTreeMap<String, Task>,
    /// How long the tasks of its services take, where the service does not say otherwise.
    #[serde(skip)]
    pub(super) timings: Timings,
    /// How many tasks there is room for.
    #[serde(skip)]
    pub(super) capacity: Option<usize>,
}

impl Cluster {
    /// How many more tasks there is room for. What a task uses is free when it has stopped.
    pub(super) fn room(&self) -> usize {
        let taken = self.tasks.values().filter(|task| task.phase != TaskPhase::Stopped).count();
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(taken))
    }
}

/// A service's cluster and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct ServiceKey {
    pub(super) cluster: String,
    pub(super) service: String,
}

impl State {
    pub(super) fn service(&self, key: &ServiceKey) -> Option<&EcsService> {
        self.clusters.get(&key.cluster)?.services.get(&key.service)
    }

    pub(super) fn service_mut(&mut self, key: &ServiceKey) -> Option<&mut EcsService> {
        self.clusters.get_mut(&key.cluster)?.services.get_mut(&key.service)
    }

    /// The task definition of an ARN.
    pub(super) fn definition(&self, arn: &str) -> Option<&TaskDefinition> {
        let name = arn.rsplit_once("task-definition/").map_or(arn, |(_, name)| name);
        let (family, revision) = name.rsplit_once(':')?;
        self.families.get(family)?.revisions.get(&revision.parse().ok()?)
    }

    pub(super) fn task_mut(&mut self, cluster: &str, id: &str) -> Option<&mut Task> {
        self.clusters.get_mut(cluster)?.tasks.get_mut(id)
    }

    /// The tasks of a service, stopped ones too.
    pub(super) fn tasks_of(&self, key: &ServiceKey) -> impl Iterator<Item = &Task> {
        let tasks = self.clusters.get(&key.cluster).map(|cluster| cluster.tasks.values());
        tasks.into_iter().flatten().filter(|task| task.service.as_ref() == Some(&key.service))
    }
}

/// The name behind a cluster's name or ARN.
pub(super) fn cluster_name(given: Option<&str>) -> String {
    let given = given.unwrap_or("default");
    given.rsplit_once(":cluster/").map_or(given, |(_, name)| name).to_owned()
}

/// The active cluster of a name or ARN.
pub(super) fn cluster<'s>(scope: &'s mut Scope<'_>, given: Option<&str>) -> Result<&'s mut Cluster, AwsError> {
    let foreign = given.is_some_and(|given| is_foreign(scope, given));
    let name = cluster_name(given);
    let cluster = scope.place().ecs.clusters.get_mut(&name);
    cluster.filter(|cluster| cluster.active && !foreign).ok_or_else(no_cluster)
}

pub(super) fn no_cluster() -> AwsError {
    AwsError::new("ClusterNotFoundException", "Cluster not found.")
}

pub(super) fn no_service() -> AwsError {
    AwsError::new("ServiceNotFoundException", "Service not found.")
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

/// Whether this is the ARN of something elsewhere.
pub(super) fn is_foreign(scope: &Scope<'_>, given: &str) -> bool {
    given.starts_with("arn:") && !given.starts_with(&scope.arn("ecs", ""))
}

/// The id of the container instance that a cluster with a capacity has.
pub(super) fn container_instance(cluster: &str) -> String {
    let mut id = ids::sha256(cluster.as_bytes());
    id.truncate(32);
    id
}

/// The last part of a name or an ARN such as `arn:…:service/web/api`.
pub(super) fn last_part(given: &str) -> &str {
    given.rsplit_once('/').map_or(given, |(_, last)| last)
}

/// The service of a name or ARN in a cluster, whatever its status.
pub(super) fn find(scope: &mut Scope<'_>, cluster_given: Option<&str>, given: &str) -> Result<ServiceKey, AwsError> {
    let cluster = cluster(scope, cluster_given)?.name.clone();
    let elsewhere = match given.split('/').collect::<Vec<_>>().as_slice() {
        [_, of, _] => *of != cluster,
        _ => false,
    };
    let foreign = elsewhere || is_foreign(scope, given);
    let key = ServiceKey { cluster, service: last_part(given).to_owned() };
    match scope.place().ecs.service(&key) {
        Some(_) if !foreign => Ok(key),
        Some(_) | None => Err(no_service()),
    }
}

/// Something that was asked for and is not there, or not as it should be.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ResourceFailure {
    arn: String,
    reason: &'static str,
}

impl ResourceFailure {
    /// No container instance has enough memory left.
    pub(super) fn no_room(scope: &Scope<'_>, cluster: &str) -> Self {
        let arn = scope.arn("ecs", &format!("container-instance/{cluster}/{}", container_instance(cluster)));
        Self { arn, reason: "RESOURCE:MEMORY" }
    }

    /// There is no such thing.
    pub(super) fn missing(scope: &Scope<'_>, kind: &str, given: &str) -> Self {
        let arn =
            if given.starts_with("arn:") { given.to_owned() } else { scope.arn("ecs", &format!("{kind}/{given}")) };
        Self { arn, reason: "MISSING" }
    }
}

//! A service: what it is to run, how it gets there, and what it says about it.
//!
//! The main types are [`EcsService`] and [`Configuration`], its deployment configuration.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Map, Value};

use super::deployment::{Deployment, Revision, ServiceDeployment};
use super::plan::Limits;
use super::state::{ServiceKey, invalid};
use super::task::Timings;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::tags::Tags;

/// How many of its newest events a service shows.
const EVENTS: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ServiceStatus {
    Active,
    /// Deleted, with tasks that still stop.
    Draining,
    /// Deleted.
    Inactive,
}

/// A service.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EcsService {
    pub(super) key: ServiceKey,
    pub(super) arn: String,
    pub(super) cluster_arn: String,
    pub(super) status: ServiceStatus,
    pub(super) desired: usize,
    pub(super) task_definition: String,
    pub(super) configuration: Configuration,
    /// Whatever else was given, as it was given: network, load balancers, placement.
    pub(super) settings: Map<String, Value>,
    pub(super) tags: Tags,
    /// Newest first.
    pub(super) deployments: Vec<Deployment>,
    /// Oldest first.
    pub(super) service_deployments: Vec<ServiceDeployment>,
    pub(super) revisions: Vec<Revision>,
    /// Newest first.
    pub(super) events: VecDeque<ServiceEvent>,
    pub(super) created: Timestamp,
    pub(super) created_by: String,
    /// Whether the steady state was told.
    pub(super) steady: bool,
    /// What it goes back to: the last deployment that completed, and its revision.
    pub(super) completed: Option<Completed>,
    /// When it tries again to place tasks that there was no room for.
    #[serde(skip)]
    pub(super) places_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) timings: Timings,
}

/// A deployment that completed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Completed {
    pub(super) deployment: String,
    pub(super) revision: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceEvent {
    pub(super) id: String,
    pub(super) created_at: Timestamp,
    pub(super) message: String,
}

impl EcsService {
    pub(super) fn is_active(&self) -> bool {
        self.status == ServiceStatus::Active
    }

    /// How many tasks it is to have now.
    pub(super) fn wanted(&self) -> usize {
        if self.is_active() { self.desired } else { 0 }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits::new(self.wanted(), self.configuration.minimum(), self.configuration.maximum())
    }

    pub(super) fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.primary)
    }

    pub(super) fn primary_mut(&mut self) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|deployment| deployment.primary)
    }

    /// The service deployment that has not ended.
    pub(super) fn current(&self) -> Option<&ServiceDeployment> {
        self.service_deployments.last().filter(|deployment| deployment.status.is_open())
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut ServiceDeployment> {
        self.service_deployments.last_mut().filter(|deployment| deployment.status.is_open())
    }

    pub(super) fn revision(&self, arn: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.arn == arn)
    }

    /// Whether its tasks are behind a load balancer.
    pub(super) fn is_balanced(&self) -> bool {
        self.settings.get("loadBalancers").and_then(Value::as_array).is_some_and(|balancers| !balancers.is_empty())
    }

    /// Whether Fargate runs its tasks.
    pub(super) fn is_on_fargate(&self) -> bool {
        let strategy = self.settings.get("capacityProviderStrategy").and_then(Value::as_array);
        let first = strategy.and_then(|items| items.first()?.get("capacityProvider")?.as_str());
        launch_type(&self.settings, first) == FARGATE
    }

    /// What its tasks run on; none where a capacity provider strategy decides.
    pub(super) fn launch_type(&self) -> Option<String> {
        let by_strategy = self.settings.contains_key("capacityProviderStrategy");
        (!by_strategy).then(|| launch_type(&self.settings, None))
    }
}

/// The launch type, and the capacity provider, that AWS runs the machines of.
pub(super) const FARGATE: &str = "FARGATE";

/// What a task of such settings runs on.
pub(super) fn launch_type(settings: &Map<String, Value>, capacity_provider: Option<&str>) -> String {
    let given = settings.get("launchType").and_then(Value::as_str);
    let kind = match capacity_provider {
        Some(provider) if provider.starts_with(FARGATE) => FARGATE,
        Some(_) => "EC2",
        None => given.unwrap_or("EC2"),
    };
    kind.to_owned()
}

/// Let a service say something now.
pub(super) fn say(scope: &mut Scope<'_>, key: &ServiceKey, message: String) {
    let id = scope.world.ids.uuid(&format!("ecs/event/{}/{}/{}", scope.at, key.cluster, key.service));
    let event = ServiceEvent { id, created_at: scope.now(), message };
    if let Some(service) = scope.place().ecs.service_mut(key) {
        service.events.push_front(event);
        service.events.truncate(EVENTS);
    }
}

/// A deployment configuration, with every field as it was given.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Configuration(pub(super) Map<String, Value>);

/// The alarms that fail a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AlarmGuard {
    pub(super) names: Vec<String>,
    pub(super) rollback: bool,
}

impl Configuration {
    /// The configuration that a caller gives, over the one that there is: a field that is not given stays.
    pub(super) fn merged(&self, given: Map<String, Value>) -> Result<Configuration, AwsError> {
        let mut fields = self.0.clone();
        fields.extend(given);
        let configuration = Configuration(fields);
        configuration.check()?;
        Ok(configuration)
    }

    fn check(&self) -> Result<(), AwsError> {
        match self.0.get("strategy").and_then(Value::as_str) {
            None | Some("ROLLING") => {}
            Some(other) => {
                let message = format!("the simulator does not offer deployments of the strategy {other} yet");
                return Err(AwsError::new("UnsupportedFeatureException", message));
            }
        }
        let percents = ["minimumHealthyPercent", "maximumPercent"].map(|field| self.0.get(field));
        if percents.into_iter().flatten().any(|percent| percent.as_u64().is_none_or(|percent| percent > 10_000)) {
            return Err(invalid("The minimumHealthyPercent and the maximumPercent must be whole numbers from 0 on."));
        }
        if self.maximum() <= self.minimum() {
            return Err(invalid("The max running tasks value must be greater than the min running tasks value."));
        }
        if self.flag("alarms", "enable") && self.alarms().is_none_or(|alarms| alarms.names.is_empty()) {
            return Err(invalid("At least one alarm name is required where deployment alarms are enabled."));
        }
        if self.bake_minutes().is_some_and(|minutes| minutes > 1440) {
            return Err(invalid("bakeTimeInMinutes must be between 0 and 1440."));
        }
        Ok(())
    }

    fn flag(&self, field: &str, name: &str) -> bool {
        self.0.get(field).and_then(|value| value.get(name)).and_then(Value::as_bool).unwrap_or(false)
    }

    fn percent(&self, field: &str, usual: usize) -> usize {
        let given = self.0.get(field).and_then(Value::as_u64);
        given.and_then(|percent| usize::try_from(percent).ok()).unwrap_or(usual)
    }

    pub(super) fn minimum(&self) -> usize {
        self.percent("minimumHealthyPercent", 100)
    }

    pub(super) fn maximum(&self) -> usize {
        self.percent("maximumPercent", 200)
    }

    /// Whether the circuit breaker is on, and whether it goes back.
    pub(super) fn breaker(&self) -> Option<bool> {
        self.flag("deploymentCircuitBreaker", "enable").then(|| self.flag("deploymentCircuitBreaker", "rollback"))
    }

    pub(super) fn alarms(&self) -> Option<AlarmGuard> {
        if !self.flag("alarms", "enable") {
            return None;
        }
        let names = self.0.get("alarms").and_then(|alarms| alarms.get("alarmNames")).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(AlarmGuard { names, rollback: self.flag("alarms", "rollback") })
    }

    pub(super) fn bake_minutes(&self) -> Option<u64> {
        self.0.get("bakeTimeInMinutes").and_then(Value::as_u64)
    }

    /// As the API answers it, with what holds where nothing was given.
    pub(super) fn described(&self) -> Value {
        let mut fields = self.0.clone();
        fields.entry("strategy").or_insert_with(|| Value::from("ROLLING"));
        fields.entry("minimumHealthyPercent").or_insert_with(|| Value::from(self.minimum()));
        fields.entry("maximumPercent").or_insert_with(|| Value::from(self.maximum()));
        fields
            .entry("deploymentCircuitBreaker")
            .or_insert_with(|| serde_json::json!({ "enable": false, "rollback": false }));
        fields.entry("bakeTimeInMinutes").or_insert_with(|| Value::from(0));
        Value::Object(fields)
    }
}

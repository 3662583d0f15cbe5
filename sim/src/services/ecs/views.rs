//! How the API shows services and their deployments.
//!
//! The main functions are [`service`] and [`service_deployment`].

use serde_json::{Map, Value, json};

use super::deployment::{Deployment, ServiceDeployment};
use super::service::EcsService;
use super::state::{ServiceKey, State};
use super::task::{Platform, Task};
use crate::tags::{SmallTag, listed};

/// What a deployment and a revision show of a service's settings.
const DEPLOYED: [&str; 7] = [
    "launchType",
    "platformVersion",
    "capacityProviderStrategy",
    "networkConfiguration",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

fn pick(settings: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let picked = settings.iter().filter(|(name, _)| names.contains(&name.as_str()));
    picked.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn with(mut members: Map<String, Value>, more: Value) -> Value {
    if let Value::Object(more) = more {
        members.extend(more);
    }
    Value::Object(members)
}

/// How many of these tasks run, and how many start.
fn counts<'t>(tasks: impl Iterator<Item = &'t Task>) -> (usize, usize) {
    tasks.fold((0, 0), |(running, pending), task| {
        (running + usize::from(task.phase.is_running()), pending + usize::from(task.phase.is_pending()))
    })
}

/// A service as `DescribeServices` shows it.
pub(super) fn service(ecs: &State, key: &ServiceKey, with_tags: bool) -> Option<Value> {
    let service = ecs.service(key)?;
    let (running, pending) = counts(ecs.tasks_of(key));
    let deployments: Vec<Value> =
        service.deployments.iter().map(|deployment| deployed(ecs, service, deployment)).collect();
    let mut settings = service.settings.clone();
    for list in ["loadBalancers", "serviceRegistries", "placementConstraints", "placementStrategy"] {
        settings.entry(list).or_insert_with(|| json!([]));
    }
    for (name, usual) in [
        ("schedulingStrategy", json!("REPLICA")),
        ("deploymentController", json!({ "type": "ECS" })),
        ("healthCheckGracePeriodSeconds", json!(0)),
        ("enableECSManagedTags", json!(false)),
        ("propagateTags", json!("NONE")),
        ("enableExecuteCommand", json!(false)),
        ("availabilityZoneRebalancing", json!("DISABLED")),
    ] {
        settings.entry(name).or_insert(usual);
    }
    if let Some(launch_type) = service.launch_type() {
        settings.insert("launchType".to_owned(), json!(launch_type));
    }
    if service.is_on_fargate() {
        settings.entry("platformVersion").or_insert_with(|| json!("LATEST"));
        settings.insert("platformFamily".to_owned(), json!(platform(ecs, service, &service.task_definition).family));
    }
    let revisions: Vec<Value> = service
        .deployments
        .iter()
        .map(|deployment| {
            let (running, pending) = counts(tasks_of(ecs, key, deployment));
            json!({
                "arn": deployment.revision,
                "requestedTaskCount": requested(ecs, service, deployment),
                "runningTaskCount": running,
                "pendingTaskCount": pending,
            })
        })
        .collect();
    Some(with(
        settings,
        json!({
            "serviceArn": service.arn,
            "serviceName": key.service,
            "clusterArn": service.cluster_arn,
            "status": service.status,
            "desiredCount": service.wanted(),
            "runningCount": running,
            "pendingCount": pending,
            "taskDefinition": service.task_definition,
            "deploymentConfiguration": service.configuration.described(),
            "deployments": deployments,
            "currentServiceDeployment": service.current().map(|current| &current.arn),
            "currentServiceRevisions": revisions,
            "events": service.events,
            "createdAt": service.created,
            "createdBy": service.created_by,
            "tags": if with_tags { listed::<SmallTag>(&service.tags) } else { Vec::new() },
        }),
    ))
}

fn tasks_of<'s>(ecs: &'s State, key: &ServiceKey, deployment: &'s Deployment) -> impl Iterator<Item = &'s Task> {
    ecs.tasks_of(key).filter(|task| task.deployment.as_ref() == Some(&deployment.id))
}

/// How many tasks a deployment is to have: older ones those that they still have.
fn requested(ecs: &State, service: &EcsService, deployment: &Deployment) -> usize {
    if deployment.primary {
        return service.wanted();
    }
    tasks_of(ecs, &service.key, deployment).filter(|task| task.stays()).count()
}

/// The platform that tasks of a service and a definition run on.
fn platform(ecs: &State, service: &EcsService, definition: &str) -> Platform {
    let empty = Map::new();
    let document = ecs.definition(definition).map_or(&empty, |definition| &definition.document);
    Platform::of(document, &service.settings)
}

fn deployed(ecs: &State, service: &EcsService, deployment: &Deployment) -> Value {
    let (running, pending) = counts(tasks_of(ecs, &service.key, deployment));
    let settings = service.revision(&deployment.revision).map(|revision| &revision.settings);
    let mut picked = pick(settings.unwrap_or(&service.settings), &DEPLOYED);
    if service.is_on_fargate() {
        let Platform { version, family } = platform(ecs, service, &deployment.task_definition);
        picked.insert("platformVersion".to_owned(), json!(version));
        picked.insert("platformFamily".to_owned(), json!(family));
    }
    with(
        picked,
        json!({
            "id": deployment.id,
            "status": if deployment.primary { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": deployment.task_definition,
            "desiredCount": requested(ecs, service, deployment),
            "runningCount": running,
            "pendingCount": pending,
            "failedTasks": deployment.failed,
            "createdAt": deployment.created,
            "updatedAt": deployment.updated,
            "rolloutState": deployment.rollout,
            "rolloutStateReason": deployment.rollout_reason,
        }),
    )
}

/// A service deployment as `DescribeServiceDeployments` shows it.
pub(super) fn service_deployment(service: &EcsService, deployment: &ServiceDeployment) -> Value {
    let alarms = deployment.configuration.alarms();
    json!({
        "serviceDeploymentArn": deployment.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": deployment.created,
        "startedAt": deployment.started,
        "finishedAt": deployment.finished,
        "stoppedAt": deployment.stopped,
        "updatedAt": deployment.updated,
        "sourceServiceRevisions": deployment.sources,
        "targetServiceRevision": deployment.target,
        "status": deployment.status,
        "statusReason": deployment.reason,
        "lifecycleStage": deployment.stage,
        "deploymentConfiguration": deployment.configuration.described(),
        "rollback": deployment.rollback,
        "deploymentCircuitBreaker": {
            "status": deployment.breaker,
            "failureCount": deployment.failures,
            "threshold": deployment.threshold,
        },
        "alarms": {
            "status": deployment.alarms,
            "alarmNames": alarms.map(|alarms| alarms.names).unwrap_or_default(),
            "triggeredAlarmNames": deployment.triggered_alarms,
        },
    })
}

/// A service deployment as `ListServiceDeployments` shows it.
pub(super) fn brief(service: &EcsService, deployment: &ServiceDeployment) -> Value {
    json!({
        "serviceDeploymentArn": deployment.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": deployment.created,
        "startedAt": deployment.started,
        "finishedAt": deployment.finished,
        "targetServiceRevisionArn": deployment.target.arn,
        "status": deployment.status,
        "statusReason": deployment.reason,
    })
}

/// A service revision as `DescribeServiceRevisions` shows it; none where there is no such one.
pub(super) fn revision(service: &EcsService, arn: &str) -> Option<Value> {
    let revision = service.revision(arn)?;
    let mut settings = pick(&revision.settings, &DEPLOYED);
    settings.extend(pick(&revision.settings, &["loadBalancers", "serviceRegistries"]));
    Some(with(
        settings,
        json!({
            "serviceRevisionArn": revision.arn,
            "serviceArn": service.arn,
            "clusterArn": service.cluster_arn,
            "taskDefinition": revision.task_definition,
            "containerImages": revision.images,
            "guardDutyEnabled": false,
            "createdAt": revision.created,
        }),
    ))
}

//! Operations that make and change services.
//!
//! The main functions are [`create_service`] and [`update_service`].

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::capacity::Strategy;
use super::definition::{TaskDefinition, runnable};
use super::fargate;
use super::reconcile::reconcile;
use super::rollout::deploy;
use super::service::{Configuration, EcsService, FARGATE, ServiceStatus, launch_type};
use super::state::{ServiceKey, cluster, find, invalid};
use super::tags::ResourceTags;
use super::views;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::services::cloudwatch;
use crate::tags::{SmallTag, Tagged};

/// How long a client token means the same call.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);
/// The most tasks of a service.
const MOST_TASKS: i64 = 5000;

/// What else a service is made of.
pub(super) const CREATED: [&str; 7] =
    ["cluster", "serviceName", "clientToken", "taskDefinition", "desiredCount", "deploymentConfiguration", "tags"];

/// What else of a service is changed.
pub(super) const UPDATED: [&str; 6] =
    ["cluster", "service", "taskDefinition", "desiredCount", "deploymentConfiguration", "forceNewDeployment"];

/// The settings that can be changed.
pub(super) const CHANGED: [&str; 16] = [
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// Settings that a service keeps as they were given.
pub(super) const SETTINGS: [&str; 18] = [
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "schedulingStrategy",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// Those of them whose change starts a deployment. That of a capacity provider strategy does not: tasks that start later
/// follow it.
const DEPLOYED: [&str; 7] = [
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

#[derive(Serialize)]
pub(super) struct OneService {
    service: Option<Value>,
}

pub(super) fn shown(ctx: &mut Ctx<'_>, key: &ServiceKey) -> OneService {
    OneService { service: views::service(&ctx.scope.place().ecs, key, true) }
}

/// A member of an input, typed.
pub(super) fn take<T: DeserializeOwned>(input: &mut Map<String, Value>, name: &str) -> Result<Option<T>, AwsError> {
    let member = input.remove(name).map(serde_json::from_value).transpose();
    member.map_err(|error| AwsError::new("SerializationException", format!("{name}: {error}")))
}

fn wanted(input: &mut Map<String, Value>, name: &str) -> Result<String, AwsError> {
    take(input, name)?.ok_or_else(|| invalid(format!("{name} cannot be null.")))
}

fn count(input: &mut Map<String, Value>) -> Result<Option<usize>, AwsError> {
    match take::<i64>(input, "desiredCount")? {
        Some(count @ 0..=MOST_TASKS) => Ok(usize::try_from(count).ok()),
        Some(_) => Err(invalid(format!("The desired count must be between 0 and {MOST_TASKS}."))),
        None => Ok(None),
    }
}

fn check(settings: &Map<String, Value>, definition: &TaskDefinition) -> Result<(), AwsError> {
    let unsupported =
        |what: &str| AwsError::new("UnsupportedFeatureException", format!("the simulator does not offer {what} yet"));
    let controller = settings.get("deploymentController").and_then(|controller| controller.get("type"));
    if controller.is_some_and(|kind| kind != "ECS") {
        return Err(unsupported("deployment controllers other than ECS"));
    }
    if settings.get("schedulingStrategy").is_some_and(|strategy| strategy != "REPLICA") {
        return Err(unsupported("scheduling strategies other than REPLICA"));
    }
    for (list, what) in
        [("placementConstraints", "placement constraints"), ("placementStrategy", "placement strategies")]
    {
        let given = settings.get(list).and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        if given && launch_type(settings, None) == FARGATE {
            return Err(invalid(format!("Tasks using FARGATE launch type do not support {what}.")));
        }
    }
    check_launch(settings, definition)
}

/// Whether tasks of a definition can be run with such settings.
pub(super) fn check_launch(settings: &Map<String, Value>, definition: &TaskDefinition) -> Result<(), AwsError> {
    if settings.contains_key("launchType") && settings.contains_key("capacityProviderStrategy") {
        return Err(invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    let strategy = settings.get("capacityProviderStrategy").and_then(Value::as_array);
    let first = strategy.and_then(|items| items.first()?.get("capacityProvider")?.as_str());
    let on_fargate = launch_type(settings, first) == FARGATE;
    if on_fargate && fargate::check(&definition.document).is_err() {
        return Err(invalid("Task definition does not support launch_type FARGATE."));
    }
    if !on_fargate && settings.contains_key("platformVersion") {
        return Err(invalid("The platform version must be null when specifying an EC2 launch type."));
    }
    check_network(settings, definition)
}

/// Tasks with a network interface of their own want to know where it is.
fn check_network(settings: &Map<String, Value>, definition: &TaskDefinition) -> Result<(), AwsError> {
    let own = definition.document.get("networkMode").is_some_and(|mode| mode == "awsvpc");
    if own && !settings.contains_key("networkConfiguration") {
        return Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified."));
    }
    Ok(())
}

pub(super) fn create_service(ctx: &mut Ctx<'_>, mut input: Map<String, Value>) -> Result<OneService, AwsError> {
    let given: Option<String> = take(&mut input, "cluster")?;
    let name = wanted(&mut input, "serviceName")?;
    let token: Option<String> = take(&mut input, "clientToken")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !(1..=255).contains(&name.len()) || !name.chars().all(fits) {
        return Err(invalid("The service name must be 1 to 255 letters, numbers, underscores and hyphens."));
    }
    let at = cluster(ctx, given.as_deref())?;
    let (cluster_arn, timings) = (at.arn.clone(), at.timings);
    let key = ServiceKey { cluster: at.name.clone(), service: name };
    let other = || invalid("The client token was used with other parameters.");
    if ctx.made(token.as_deref(), other)?.is_some() {
        return Ok(shown(ctx, &key));
    }
    match ctx.scope.place().ecs.service(&key).map(|service| service.status) {
        Some(ServiceStatus::Active) => return Err(invalid("Creation of service was not idempotent.")),
        Some(ServiceStatus::Draining) => {
            return Err(invalid("Unable to Start a service that is still Draining."));
        }
        Some(ServiceStatus::Inactive) | None => {}
    }
    let definition: Option<String> = take(&mut input, "taskDefinition")?;
    let definition = definition.ok_or_else(|| invalid("TaskDefinition can not be blank."))?;
    let definition = runnable(ctx, &definition)?;
    let desired = count(&mut input)?.unwrap_or(0);
    let configuration = take(&mut input, "deploymentConfiguration")?.unwrap_or_default();
    let configuration = Configuration::default().merged(configuration)?;
    let tags = ResourceTags::checked(take::<Vec<SmallTag>>(&mut input, "tags")?.unwrap_or_default())?;
    // All else that is let in is settings.
    let settings = input;
    check(&settings, &definition)?;
    Strategy::of(&settings, cluster(ctx, given.as_deref())?)?;

    let service = EcsService {
        arn: ctx.arn("ecs", &format!("service/{}/{}", key.cluster, key.service)),
        key: key.clone(),
        cluster_arn,
        status: ServiceStatus::Active,
        desired,
        task_definition: definition.arn,
        configuration,
        settings,
        tags,
        deployments: Vec::new(),
        service_deployments: Vec::new(),
        revisions: Vec::new(),
        events: VecDeque::new(),
        created: ctx.now(),
        created_by: ctx.caller.arn.clone(),
        steady: false,
        completed: None,
        places_at: None,
        timings,
    };
    ctx.touch(service.arn.clone());
    if let Some(cluster) = ctx.scope.place().ecs.clusters.get_mut(&key.cluster) {
        cluster.services.insert(key.service.clone(), service);
    }
    ctx.remember(token.as_deref(), TOKEN_LIFETIME, &key.service);
    deploy(ctx, &key);
    cloudwatch::deployment_started(ctx, &key.cluster, &key.service);
    Ok(shown(ctx, &key))
}

pub(super) fn update_service(ctx: &mut Ctx<'_>, mut input: Map<String, Value>) -> Result<OneService, AwsError> {
    let cluster: Option<String> = take(&mut input, "cluster")?;
    let name = wanted(&mut input, "service")?;
    let key = find(ctx, cluster.as_deref(), &name)?;
    let given: Option<String> = take(&mut input, "taskDefinition")?;
    let definition = given.map(|given| runnable(ctx, &given)).transpose()?;
    let desired = count(&mut input)?;
    let configuration: Option<Map<String, Value>> = take(&mut input, "deploymentConfiguration")?;
    let force = take(&mut input, "forceNewDeployment")?.unwrap_or(false);
    let given = input;

    let Some(service) = ctx.scope.place().ecs.service(&key) else { return Err(super::state::no_service()) };
    if !service.is_active() {
        return Err(AwsError::new("ServiceNotActiveException", "Service was not ACTIVE."));
    }
    let configuration = configuration.map(|given| service.configuration.merged(given)).transpose()?;
    let mut settings = service.settings.clone();
    let changed = |name: &&str| given.get(*name).is_some_and(|value| service.settings.get(*name) != Some(value));
    let news = DEPLOYED.iter().any(changed);
    let (serves, arn) = (service.task_definition.clone(), service.arn.clone());
    // An empty strategy gives the service back to its launch type.
    let back = given.get("capacityProviderStrategy").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if given.contains_key("capacityProviderStrategy") && !back {
        settings.remove("launchType");
    }
    settings.extend(given);
    if back {
        settings.remove("capacityProviderStrategy");
    }
    let at = ctx.scope.place().ecs.clusters.get(&key.cluster);
    at.map_or(Ok(()), |cluster| Strategy::of(&settings, cluster).map(drop))?;
    match &definition {
        Some(definition) => check(&settings, definition)?,
        None => {
            let definition = super::definition::resolve(ctx, &serves).map(|definition| definition.clone());
            definition.map_or(Ok(()), |definition| check(&settings, &definition))?;
        }
    }
    let redeploy = force || news || definition.as_ref().is_some_and(|definition| definition.arn != serves);
    let Some(service) = ctx.scope.place().ecs.service_mut(&key) else { return Err(super::state::no_service()) };
    service.settings = settings;
    if let Some(configuration) = configuration {
        service.configuration = configuration;
    }
    if let Some(desired) = desired {
        service.desired = desired;
    }
    if let Some(definition) = definition {
        service.task_definition = definition.arn;
    }
    ctx.touch(arn);
    if redeploy {
        deploy(ctx, &key);
        cloudwatch::deployment_started(ctx, &key.cluster, &key.service);
    } else if desired.is_some() {
        reconcile(ctx, &key);
    }
    Ok(shown(ctx, &key))
}

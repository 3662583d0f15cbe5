//! Operations on tasks.
//!
//! The main functions are [`list_tasks`] and [`run_task`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::capacity::Strategy;
use super::definition::{TaskDefinition, runnable};
use super::definitions::{bad_token, size};
use super::lifecycle::{NewTask, start, stop};
use super::reconcile::reconcile;
use super::service::EcsService;
use super::state::{ResourceFailure, ServiceKey, cluster, find, invalid, is_foreign, last_part};
use super::tags::ResourceTags;
use super::task::{DescribedTask, StopCode, Task};
use super::updates::{check_launch, take};
use super::words;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{SmallTag, Tagged, Tags};

/// How long a client token means the same call.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// What else `RunTask` reads.
pub(super) const RUN: [&str; 8] =
    ["cluster", "clientToken", "taskDefinition", "count", "tags", "group", "startedBy", "overrides"];

/// What a task that is run keeps of the input as it was given.
pub(super) const RUN_SETTINGS: [&str; 7] = [
    "capacityProviderStrategy",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "launchType",
    "networkConfiguration",
    "platformVersion",
    "propagateTags",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTasks {
    cluster: Option<String>,
    container_instance: Option<String>,
    family: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
    started_by: Option<String>,
    service_name: Option<String>,
    desired_status: Option<String>,
    launch_type: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskArns {
    task_arns: Vec<String>,
    next_token: Option<String>,
}

pub(super) fn list_tasks(ctx: &mut Ctx<'_>, input: ListTasks) -> Result<TaskArns, AwsError> {
    let size = size(input.max_results)?;
    let cluster_name = cluster(ctx, input.cluster.as_deref())?.name.clone();
    let service = match &input.service_name {
        Some(name) => Some(find(ctx, Some(&cluster_name), name)?.service),
        None => None,
    };
    let stopped = match input.desired_status.as_deref() {
        None | Some("RUNNING") => Some(false),
        Some("STOPPED") => Some(true),
        // ECS never sets a desired status of PENDING.
        Some("PENDING") => None,
        Some(other) => return Err(invalid(format!("Invalid desiredStatus: {other}"))),
    };
    let wanted = |task: &&Task| {
        stopped == Some(task.stopping)
            && input.container_instance.is_none()
            && input.family.as_ref().is_none_or(|family| *family == task.family)
            && input.started_by.as_ref().is_none_or(|by| Some(by) == task.started_by.as_ref())
            && service.as_ref().is_none_or(|name| Some(name) == task.service.as_ref())
            && input.launch_type.as_ref().is_none_or(|kind| *kind == task.launch_type)
    };
    let tasks = cluster(ctx, Some(&cluster_name))?.tasks.values();
    let arns: Vec<String> = tasks.filter(wanted).map(|task| task.arn.clone()).collect();
    let list = format!("tasks/{cluster_name}");
    let (task_arns, next_token) =
        ctx.page(&list, arns, size, input.next_token.as_deref(), |arn| last_part(arn)).map_err(bad_token)?;
    Ok(TaskArns { task_arns, next_token })
}

#[derive(Deserialize)]
pub(super) struct DescribeTasks {
    cluster: Option<String>,
    tasks: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Tasks {
    tasks: Vec<DescribedTask>,
    failures: Vec<ResourceFailure>,
}

pub(super) fn describe_tasks(ctx: &mut Ctx<'_>, input: DescribeTasks) -> Result<Tasks, AwsError> {
    let cluster_name = cluster(ctx, input.cluster.as_deref())?.name.clone();
    match input.tasks.len() {
        0 => return Err(invalid("Tasks cannot be empty.")),
        1..=100 => {}
        _ => return Err(invalid("Tasks can have at most 100 items.")),
    }
    let with_tags = input.include.iter().any(|field| field == "TAGS");
    let mut found = Tasks { tasks: Vec::new(), failures: Vec::new() };
    for given in &input.tasks {
        match task(ctx, &cluster_name, given) {
            Some(task) => found.tasks.push(task.described(with_tags)),
            None => found.failures.push(ResourceFailure::missing(ctx, &format!("task/{cluster_name}"), given)),
        }
    }
    Ok(found)
}

/// The task of an id or ARN in a cluster.
fn task<'c>(ctx: &'c mut Ctx<'_>, cluster: &str, given: &str) -> Option<&'c Task> {
    let elsewhere = match given.split('/').collect::<Vec<_>>().as_slice() {
        [_, of, _] => *of != cluster,
        _ => false,
    };
    if elsewhere || is_foreign(ctx, given) {
        return None;
    }
    ctx.scope.place().ecs.clusters.get(cluster)?.tasks.get(last_part(given))
}

pub(super) fn run_task(ctx: &mut Ctx<'_>, mut input: Map<String, Value>) -> Result<Tasks, AwsError> {
    let given: Option<String> = take(&mut input, "cluster")?;
    let token: Option<String> = take(&mut input, "clientToken")?;
    let at = cluster(ctx, given.as_deref())?;
    let (cluster, timings) = (at.name.clone(), at.timings);
    let conflict = || AwsError::new("ConflictException", "The client token was used with other parameters.");
    if let Some(ids) = ctx.made(token.as_deref(), conflict)? {
        let tasks = ids.split(',').filter_map(|id| task(ctx, &cluster, id).map(|task| task.described(true))).collect();
        return Ok(Tasks { tasks, failures: Vec::new() });
    }
    let definition: Option<String> = take(&mut input, "taskDefinition")?;
    let definition = runnable(ctx, &definition.ok_or_else(|| invalid("TaskDefinition can not be blank."))?)?;
    let count = take::<u64>(&mut input, "count")?.unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(invalid("The count must be between 1 and 10."));
    }
    let tags = ResourceTags::checked(take::<Vec<SmallTag>>(&mut input, "tags")?.unwrap_or_default())?;
    let group: Option<String> = take(&mut input, "group")?;
    let group = group.unwrap_or_else(|| format!("family:{}", definition.family));
    let started_by: Option<String> = take(&mut input, "startedBy")?;
    let overrides = input.remove("overrides").unwrap_or_default();
    // All else that is let in is settings.
    let settings = input;
    check_launch(&settings, &definition)?;
    let strategy = Strategy::of(&settings, self::cluster(ctx, given.as_deref())?)?;
    let tags = task_tags(&settings, &definition, &cluster, None, tags);
    let room = self::cluster(ctx, given.as_deref())?.room();
    let placed = usize::try_from(count).unwrap_or(usize::MAX).min(room);
    let mut ids = Vec::new();
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..placed {
        let capacity_provider = strategy.next(|provider| held.get(provider).copied().unwrap_or(0));
        if let Some(provider) = &capacity_provider {
            *held.entry(provider.clone()).or_default() += 1;
        }
        let new = NewTask {
            definition: definition.clone(),
            service: None,
            deployment: None,
            group: group.clone(),
            started_by: started_by.clone(),
            balanced: false,
            settings: settings.clone(),
            capacity_provider,
            overrides: overrides.clone(),
            tags: tags.clone(),
            timings,
        };
        ids.push(start(ctx, &cluster, new));
    }
    if ids.is_empty() {
        ctx.unchanged();
    } else {
        ctx.remember(token.as_deref(), TOKEN_LIFETIME, &ids.join(","));
    }
    let mut tasks = Vec::new();
    for id in &ids {
        if let Some(task) = task(ctx, &cluster, id) {
            let (arn, described) = (task.arn.clone(), task.described(true));
            ctx.touch(arn);
            tasks.push(described);
        }
    }
    let failures = (ids.len() as u64..count).map(|_| ResourceFailure::no_room(ctx, &cluster)).collect();
    Ok(Tasks { tasks, failures })
}

/// The tags of a task: those of its service or caller, and what these let ECS add.
pub(super) fn task_tags(
    settings: &Map<String, Value>,
    definition: &TaskDefinition,
    cluster: &str,
    service: Option<&EcsService>,
    mut tags: Tags,
) -> Tags {
    let propagated = match settings.get("propagateTags").and_then(Value::as_str) {
        Some("SERVICE") => service.map(|service| service.tags.clone()).unwrap_or_default(),
        Some("TASK_DEFINITION") => definition.tags.clone(),
        Some(_) | None => Tags::new(),
    };
    for (key, value) in propagated {
        tags.entry(key).or_insert(value);
    }
    if settings.get("enableECSManagedTags").and_then(Value::as_bool).unwrap_or(false) {
        tags.insert("aws:ecs:clusterName".to_owned(), cluster.to_owned());
        if let Some(service) = service {
            tags.insert("aws:ecs:serviceName".to_owned(), service.key.service.clone());
        }
    }
    tags
}

#[derive(Deserialize)]
pub(super) struct StopTask {
    cluster: Option<String>,
    task: String,
    reason: Option<String>,
}

#[derive(Serialize)]
pub(super) struct OneTask {
    task: Option<DescribedTask>,
}

pub(super) fn stop_task(ctx: &mut Ctx<'_>, input: StopTask) -> Result<OneTask, AwsError> {
    let cluster = cluster(ctx, input.cluster.as_deref())?.name.clone();
    let unknown = || invalid("The referenced task was not found.");
    let found = task(ctx, &cluster, &input.task).ok_or_else(unknown)?;
    let (id, arn, service, stays) = (found.id.clone(), found.arn.clone(), found.service.clone(), found.stays());
    if stays {
        let reason = input.reason.unwrap_or_else(|| words::STOPPED_BY_USER.to_owned());
        stop(ctx, &cluster, &id, StopCode::UserInitiated, reason);
        if let Some(service) = service {
            reconcile(ctx, &ServiceKey { cluster: cluster.clone(), service });
        }
        ctx.touch(arn);
    } else {
        ctx.unchanged();
    }
    Ok(OneTask { task: task(ctx, &cluster, &id).map(|task| task.described(true)) })
}

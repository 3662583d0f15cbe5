//! A task's way from provisioning to its end.
//!
//! The main functions are [`start`], [`stop`] and [`step`], which takes a task one phase further; [`TaskStep`] is what falls
//! due. A step that does not fit the task any more, because it was stopped meanwhile, does nothing.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::behaviour::fate;
use super::definition::TaskDefinition;
use super::events::Event;
use super::image;
use super::logging;
use super::network::Interface;
use super::reconcile::reconcile;
use super::rollout::{task_failed, task_ready};
use super::service::{FARGATE, launch_type, say};
use super::state::ServiceKey;
use super::task::{Container, ContainerStatus, Health, Platform, StopCode, Task, TaskPhase, Times, Timings};
use super::words;
use crate::ctx::Scope;
use crate::tags::Tags;

/// How long ECS remembers a stopped task.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// What a container ends with that was killed because another one ended.
const KILLED: i64 = 137;

/// What falls due for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskStep {
    /// Its network is there: the images are pulled.
    Provisioned,
    /// The images are there, or not.
    Pulled,
    Started,
    /// A container ends by itself.
    Crashed,
    /// Its health is known.
    Checked,
    /// Its containers have ended, as they were told.
    Drained,
    Stopped,
    Forgotten,
}

/// A task to start.
pub(super) struct NewTask {
    pub(super) definition: TaskDefinition,
    pub(super) service: Option<String>,
    pub(super) deployment: Option<String>,
    pub(super) group: String,
    pub(super) started_by: Option<String>,
    pub(super) balanced: bool,
    /// What its caller or its service gives: launch type, platform, network.
    pub(super) settings: Map<String, Value>,
    pub(super) capacity_provider: Option<String>,
    pub(super) overrides: Value,
    pub(super) tags: Tags,
    pub(super) timings: Timings,
}

/// Start a task in a cluster, and tell its id.
pub(super) fn start(scope: &mut Scope<'_>, cluster: &str, new: NewTask) -> String {
    let fate = fate(scope, &new.definition);
    let id = place(scope, cluster, new);
    if let Some(task) = scope.place().ecs.task_mut(cluster, &id) {
        task.fate = fate;
        let provision = task.timings.provision;
        later(scope, cluster, &id, TaskStep::Provisioned, provision);
    }
    id
}

/// A task that is being provisioned, with nothing to come.
pub(super) fn place(scope: &mut Scope<'_>, cluster: &str, new: NewTask) -> String {
    let kind = format!("ecs/task/{}/{cluster}/{}", scope.at, new.group);
    let id = scope.world.ids.hex(&kind, 32);
    let arn = scope.arn("ecs", &format!("task/{cluster}/{id}"));
    let mut containers = Vec::new();
    for container in new.definition.containers() {
        let uuid = scope.world.ids.uuid(&format!("{kind}/container"));
        containers.push(Container {
            arn: scope.arn("ecs", &format!("container/{cluster}/{id}/{uuid}")),
            name: container.name,
            image: container.image,
            digest: None,
            runtime_id: None,
            status: ContainerStatus::Pending,
            checked: container.checked,
            health: Health::Unknown,
            exit_code: None,
            reason: None,
            cpu: container.cpu,
            memory: container.memory,
            log: container.log,
        });
    }
    let launch_type = launch_type(&new.settings, new.capacity_provider.as_deref());
    let text = |field: &str| new.definition.document.get(field).and_then(Value::as_str).map(str::to_owned);
    // The zones of a region are used in turn, as near as chance does it.
    let zone = if id.bytes().next().is_some_and(|first| first % 2 == 0) { "a" } else { "b" };
    let task = Task {
        id: id.clone(),
        arn,
        cluster_arn: scope.arn("ecs", &format!("cluster/{cluster}")),
        service: new.service,
        deployment: new.deployment,
        cpu: text("cpu"),
        memory: text("memory"),
        group: new.group,
        started_by: new.started_by,
        phase: TaskPhase::Provisioning,
        stopping: false,
        ready: false,
        balanced: new.balanced,
        containers,
        times: Times { created: scope.now(), ..Times::default() },
        stop_code: None,
        stopped_reason: None,
        platform: (launch_type == FARGATE).then(|| Platform::of(&new.definition.document, &new.settings)),
        interface: Interface::of(&id, &new.definition.document, &new.settings, &scope.at.region),
        capacity_provider: new.capacity_provider,
        execute_command: new.settings.get("enableExecuteCommand").and_then(Value::as_bool).unwrap_or(false),
        launch_type,
        overrides: if new.overrides.is_null() { json!({ "containerOverrides": [] }) } else { new.overrides },
        tags: new.tags,
        zone: format!("{}{zone}", scope.at.region),
        version: 1,
        fate: super::behaviour::Fate::default(),
        timings: new.timings,
        definition: new.definition.arn,
        family: new.definition.family,
    };
    if let Some(cluster) = scope.place().ecs.clusters.get_mut(cluster) {
        cluster.tasks.insert(id.clone(), task);
    }
    id
}

fn later(scope: &mut Scope<'_>, cluster: &str, id: &str, step: TaskStep, after: Duration) {
    let event = Event::Task { cluster: cluster.to_owned(), task: id.to_owned(), step };
    scope.schedule(after, event);
}

/// Take a task one step further.
pub(super) fn step(scope: &mut Scope<'_>, cluster: &str, id: &str, step: TaskStep) {
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    task.version += 1;
    match (step, task.phase, task.stopping) {
        (TaskStep::Provisioned, TaskPhase::Provisioning, false) => provisioned(scope, cluster, id),
        (TaskStep::Pulled, TaskPhase::Pending, false) => pulled(scope, cluster, id),
        (TaskStep::Started, TaskPhase::Pending, false) => started(scope, cluster, id),
        (TaskStep::Crashed, TaskPhase::Running, false) => crashed(scope, cluster, id),
        (TaskStep::Checked, TaskPhase::Running, false) => checked(scope, cluster, id),
        (TaskStep::Drained, TaskPhase::Deactivating | TaskPhase::Stopping, true) => drained(scope, cluster, id),
        (TaskStep::Stopped, TaskPhase::Deprovisioning, true) => stopped(scope, cluster, id),
        (TaskStep::Forgotten, TaskPhase::Stopped, true) => {
            if let Some(cluster) = scope.place().ecs.clusters.get_mut(cluster) {
                cluster.tasks.remove(id);
            }
        }
        _ => task.version -= 1,
    }
}

fn provisioned(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    let now = scope.now();
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    task.phase = TaskPhase::Pending;
    task.times.pull_started = Some(now);
    let pull = task.timings.pull;
    later(scope, cluster, id, TaskStep::Pulled, pull);
}

fn pulled(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    let now = scope.now();
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    let (fate, start) = (task.fate.clone(), task.timings.start);
    let images: Vec<String> = task.containers.iter().map(|container| container.image.clone()).collect();
    let mut digests: Vec<Result<String, String>> = images.iter().map(|image| image::pull(scope, image)).collect();
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    if let Some(reason) = &fate.never_starts
        && let Some(place) = task.containers.iter().position(|container| container.name == fate.container)
        && let (Some(digest), Some(image)) = (digests.get_mut(place), images.get(place))
    {
        *digest = Err(if reason.is_empty() {
            format!(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref \
                 {image}: {image}: not found"
            )
        } else {
            reason.clone()
        });
    }
    let mut failure = None;
    for (container, digest) in task.containers.iter_mut().zip(digests) {
        match digest {
            Ok(digest) => container.digest = Some(digest),
            Err(text) => {
                container.reason = Some(text.clone());
                failure.get_or_insert(text);
            }
        }
    }
    let task = task.clone();
    match failure.or_else(|| logging::refusal(scope, &task)) {
        Some(text) => ends(scope, cluster, id, StopCode::TaskFailedToStart, text),
        None => {
            if let Some(task) = scope.place().ecs.task_mut(cluster, id) {
                task.times.pull_stopped = Some(now);
            }
            later(scope, cluster, id, TaskStep::Started, start);
        }
    }
}

/// It runs. Where nobody checks its health, that is all that is wanted of it.
fn started(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    let now = scope.now();
    let kind = format!("ecs/runtime/{}/{cluster}", scope.at);
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    task.phase = TaskPhase::Running;
    task.times.started = Some(now);
    let count = task.containers.len();
    let (crash, health, is_checked) = (task.fate.crash.clone(), task.timings.health, task.is_checked());
    let runtime_ids: Vec<String> = (0..count).map(|_| format!("{}-{}", id, scope.world.ids.hex(&kind, 10))).collect();
    if let Some(task) = scope.place().ecs.task_mut(cluster, id) {
        for (container, runtime_id) in task.containers.iter_mut().zip(runtime_ids) {
            container.status = ContainerStatus::Running;
            container.runtime_id = Some(runtime_id);
        }
    }
    if let Some(task) = scope.place().ecs.task_mut(cluster, id).cloned() {
        logging::open(scope, &task);
    }
    if let Some(crash) = crash {
        later(scope, cluster, id, TaskStep::Crashed, crash.after);
    }
    if is_checked {
        later(scope, cluster, id, TaskStep::Checked, health);
    } else {
        ready(scope, cluster, id);
    }
}

fn checked(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    let ill = task.fate.unhealthy;
    let befallen = task.fate.container.clone();
    for container in task.containers.iter_mut().filter(|container| container.checked) {
        let is_ill = ill && container.name == befallen;
        container.health = if is_ill { Health::Unhealthy } else { Health::Healthy };
    }
    let service = task.service.clone();
    match service {
        _ if !ill => ready(scope, cluster, id),
        Some(service) => {
            let key = ServiceKey { cluster: cluster.to_owned(), service };
            say(scope, &key, words::unhealthy(&key.service, id));
            let deployment = scope.place().ecs.task_mut(cluster, id).and_then(|task| task.deployment.clone());
            stop(scope, cluster, id, StopCode::ServiceSchedulerInitiated, words::UNHEALTHY_TASK.to_owned());
            task_failed(scope, &key, deployment.as_deref());
            reconcile(scope, &key);
        }
        // Nobody stops a task of no service for its health.
        None => {}
    }
}

fn ready(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    task.ready = true;
    let deployment = task.deployment.clone();
    if let Some(service) = task.service.clone() {
        let key = ServiceKey { cluster: cluster.to_owned(), service };
        task_ready(scope, &key, deployment.as_deref());
        reconcile(scope, &key);
    }
}

fn crashed(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    let (crash, befallen) = (task.fate.crash.clone(), task.fate.container.clone());
    if let Some(crash) = crash
        && let Some(container) = task.containers.iter_mut().find(|container| container.name == befallen)
    {
        container.exit_code = Some(crash.exit_code);
        container.reason = crash.reason;
    }
    if let Some(task) = scope.place().ecs.task_mut(cluster, id).cloned() {
        logging::last_words(scope, &task);
    }
    ends(scope, cluster, id, StopCode::EssentialContainerExited, words::ESSENTIAL_EXITED.to_owned());
}

/// A task ends by itself.
fn ends(scope: &mut Scope<'_>, cluster: &str, id: &str, code: StopCode, reason: String) {
    let now = scope.now();
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    task.stopping = true;
    task.ready = false;
    task.stop_code = Some(code);
    task.stopped_reason = Some(reason);
    task.times.stopping = Some(now);
    let (deployment, service) = (task.deployment.clone(), task.service.clone());
    deprovision(scope, cluster, id, KILLED);
    if let Some(service) = service {
        let key = ServiceKey { cluster: cluster.to_owned(), service };
        task_failed(scope, &key, deployment.as_deref());
        reconcile(scope, &key);
    }
}

/// Tell a task to stop. One that does not run yet goes at once; one that is stopping stays as it is.
pub(super) fn stop(scope: &mut Scope<'_>, cluster: &str, id: &str, code: StopCode, reason: String) {
    let now = scope.now();
    let Some(task) = scope.place().ecs.task_mut(cluster, id).filter(|task| task.stays()) else { return };
    task.version += 1;
    task.stopping = true;
    task.ready = false;
    task.stop_code = Some(code);
    task.stopped_reason = Some(reason);
    task.times.stopping = Some(now);
    let drain = task.timings.drain;
    if task.phase.is_running() {
        task.phase = if task.balanced { TaskPhase::Deactivating } else { TaskPhase::Stopping };
        later(scope, cluster, id, TaskStep::Drained, drain);
    } else {
        deprovision(scope, cluster, id, 0);
    }
}

fn drained(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    deprovision(scope, cluster, id, 0);
}

/// The containers have ended, those that ran and said nothing else with `exit_code`.
fn deprovision(scope: &mut Scope<'_>, cluster: &str, id: &str, exit_code: i64) {
    let now = scope.now();
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    for container in &mut task.containers {
        if container.status == ContainerStatus::Running {
            container.exit_code.get_or_insert(exit_code);
        }
        container.status = ContainerStatus::Stopped;
        container.health = Health::Unknown;
    }
    task.phase = TaskPhase::Deprovisioning;
    task.times.execution_stopped = Some(now);
    let deprovision = task.timings.deprovision;
    later(scope, cluster, id, TaskStep::Stopped, deprovision);
}

fn stopped(scope: &mut Scope<'_>, cluster: &str, id: &str) {
    let now = scope.now();
    let Some(task) = scope.place().ecs.task_mut(cluster, id) else { return };
    task.phase = TaskPhase::Stopped;
    task.times.stopped = Some(now);
    let service = task.service.clone();
    later(scope, cluster, id, TaskStep::Forgotten, REMEMBERED);
    if let Some(service) = service {
        reconcile(scope, &ServiceKey { cluster: cluster.to_owned(), service });
    }
}

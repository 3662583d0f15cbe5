//! A service looks at its tasks and does what is to be done next.
//!
//! The main function is [`reconcile`]. It is called whenever something changed, and never waits: what takes time comes
//! back as an event.

use std::collections::BTreeMap;
use std::time::Duration;

use super::capacity::Strategy;
use super::definition::resolve;
use super::deployment::{DeploymentStatus, RolloutState, Stage};
use super::events::Event;
use super::lifecycle::{NewTask, start, stop};
use super::plan::{Limits, StandingTask, decide};
use super::rollout::{bake, complete};
use super::service::{ServiceStatus, say};
use super::state::{Cluster, ServiceKey, container_instance};
use super::task::{StopCode, Task, TaskPhase};
use super::tasks::task_tags;
use super::words;
use crate::ctx::Scope;

/// When ECS tries again to place what it had no room for.
const PLACED_AGAIN: Duration = Duration::from_secs(15);

/// Start and stop tasks as the plan says, then see what has been reached.
pub(super) fn reconcile(scope: &mut Scope<'_>, key: &ServiceKey) {
    let Some((limits, tasks, may_start)) = look(scope, key) else {
        settle(scope, key);
        return;
    };
    let plan = decide(limits, &tasks, may_start);
    if plan.stuck {
        told_once(scope, key, words::stuck(&key.service));
    }
    stop_all(scope, key, &plan.stop);
    start_all(scope, key, plan.start);
    settle(scope, key);
}

/// What the plan is made of; none where nothing is to be started or stopped.
fn look(scope: &mut Scope<'_>, key: &ServiceKey) -> Option<(Limits, Vec<StandingTask>, bool)> {
    let now = scope.now();
    let ecs = &scope.place().ecs;
    let service = ecs.service(key)?;
    let primary = service.primary()?;
    let paused = service.current().is_some_and(|current| !current.status.is_moving());
    let failed = primary.rollout == RolloutState::Failed;
    if (paused || failed) && service.wanted() > 0 {
        return None;
    }
    let held = primary.held_until.is_some_and(|until| until > now);
    let may_start = service.is_active() && !failed && !held;
    let mut tasks: Vec<&Task> = ecs.tasks_of(key).filter(|task| task.stays()).collect();
    tasks.sort_by_key(|task| (task.times.created, &task.id));
    let seen = |task: &Task| StandingTask {
        id: task.id.clone(),
        primary: task.deployment.as_ref() == Some(&primary.id),
        healthy: task.ready,
    };
    Some((service.limits(), tasks.into_iter().map(seen).collect(), may_start))
}

fn stop_all(scope: &mut Scope<'_>, key: &ServiceKey, ids: &[String]) {
    let balanced = scope.place().ecs.service(key).is_some_and(|service| service.is_balanced());
    let (mut running, mut pending) = (Vec::new(), 0);
    for id in ids {
        let Some(task) = scope.place().ecs.task_mut(&key.cluster, id) else { continue };
        if task.phase.is_running() {
            running.push(id.clone());
        } else {
            pending += 1;
        }
        let reason = words::scaling(task.deployment.as_deref().unwrap_or_default());
        stop(scope, &key.cluster, id, StopCode::ServiceSchedulerInitiated, reason);
    }
    if pending > 0 {
        say(scope, key, words::stopped_pending(&key.service, pending));
    }
    if !running.is_empty() {
        if balanced {
            say(scope, key, words::draining(&key.service, running.len()));
        }
        say(scope, key, words::stopped_running(&key.service, &running));
    }
}

fn start_all(scope: &mut Scope<'_>, key: &ServiceKey, count: usize) {
    if count == 0 {
        return;
    }
    let Some(service) = scope.place().ecs.service(key) else { return };
    let Some(primary) = service.primary() else { return };
    let (deployment, definition) = (primary.id.clone(), primary.task_definition.clone());
    let (timings, balanced) = (service.timings, service.is_balanced());
    let settings = service.settings.clone();
    let service = service.clone();
    let Some(definition) = resolve(scope, &definition).map(|definition| definition.clone()) else { return };
    let tags = task_tags(&settings, &definition, &key.cluster, Some(&service), BTreeMap::new());
    let room = scope.place().ecs.clusters.get(&key.cluster).map_or(0, Cluster::room);
    let strategy = scope.place().ecs.clusters.get(&key.cluster).map(|cluster| Strategy::of(&settings, cluster));
    let strategy = strategy.and_then(Result::ok).unwrap_or_default();
    let mut ids = Vec::new();
    for _ in 0..count.min(room) {
        let ecs = &scope.place().ecs;
        let held = |provider: &str| {
            let standing = ecs.tasks_of(key).filter(|task| task.stays());
            standing.filter(|task| task.capacity_provider.as_deref() == Some(provider)).count() as u64
        };
        let capacity_provider = strategy.next(held);
        let new = NewTask {
            definition: definition.clone(),
            service: Some(key.service.clone()),
            deployment: Some(deployment.clone()),
            group: format!("service:{}", key.service),
            started_by: Some(deployment.clone()),
            balanced,
            settings: settings.clone(),
            capacity_provider,
            overrides: serde_json::Value::Null,
            tags: tags.clone(),
            timings,
        };
        ids.push(start(scope, &key.cluster, new));
    }
    if !ids.is_empty() {
        say(scope, key, words::started(&key.service, &ids));
    }
    if room < count {
        told_once(scope, key, words::unplaced(&key.service, &container_instance(&key.cluster)));
        place_again(scope, key);
    }
}

/// Look for room again later; once, however often there was none meanwhile.
fn place_again(scope: &mut Scope<'_>, key: &ServiceKey) {
    let now = scope.now();
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    if service.places_at.is_none_or(|at| at <= now) {
        service.places_at = Some(now + PLACED_AGAIN);
        let again = Event::Reconcile { cluster: key.cluster.clone(), service: key.service.clone() };
        scope.schedule(PLACED_AGAIN, again);
    }
}

/// Say something, unless the service said it last.
pub(super) fn told_once(scope: &mut Scope<'_>, key: &ServiceKey, message: String) {
    let last = scope.place().ecs.service(key).and_then(|service| service.events.front());
    if last.is_none_or(|last| last.message != message) {
        say(scope, key, message);
    }
}

/// What has been reached: deployments without tasks go, a deployment completes, a deleted service ends.
fn settle(scope: &mut Scope<'_>, key: &ServiceKey) {
    count(scope, key);
    let ecs = &mut scope.place().ecs;
    let Some(service) = ecs.service(key) else { return };
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for task in ecs.tasks_of(key).filter(|task| task.phase != TaskPhase::Stopped) {
        *left.entry(task.deployment.clone().unwrap_or_default()).or_default() += 1;
    }
    let wanted = service.wanted();
    let draining = service.status == ServiceStatus::Draining;
    let primary = service.primary().map(|primary| primary.id.clone()).unwrap_or_default();
    let ready = ecs.tasks_of(key).filter(|task| task.stays() && task.ready).count();
    let alone = left.keys().all(|deployment| *deployment == primary);
    let steady = alone && ready == wanted && left.get(&primary).copied().unwrap_or(0) == wanted;

    let Some(service) = ecs.service_mut(key) else { return };
    service.deployments.retain(|deployment| deployment.primary || left.contains_key(&deployment.id));
    if draining {
        if left.is_empty() {
            service.status = ServiceStatus::Inactive;
            service.deployments.clear();
        }
        return;
    }
    match service.current().map(|current| (current.status, current.stage, current.baked)) {
        Some((DeploymentStatus::InProgress, Some(Stage::ScaleUp), false)) if steady => bake(scope, key),
        Some((DeploymentStatus::InProgress, _, true)) | Some((DeploymentStatus::RollbackInProgress, _, _))
            if steady =>
        {
            complete(scope, key)
        }
        Some(_) => {}
        None => reached(scope, key, steady),
    }
}

/// Tell that the steady state is reached, once.
fn reached(scope: &mut Scope<'_>, key: &ServiceKey, steady: bool) {
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    // A deployment that failed and did not go back leaves a service that is to run what it cannot.
    let failed = service.primary().is_none_or(|primary| primary.rollout == RolloutState::Failed);
    let news = steady && !service.steady && !failed;
    service.steady = steady;
    if news {
        say(scope, key, words::steady(&key.service));
    }
}

/// Write down how many tasks each revision of the current service deployment has.
fn count(scope: &mut Scope<'_>, key: &ServiceKey) {
    let now = scope.now();
    let ecs = &mut scope.place().ecs;
    let Some(service) = ecs.service(key) else { return };
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for task in ecs.tasks_of(key) {
        let deployment = service.deployments.iter().find(|deployment| task.deployment.as_ref() == Some(&deployment.id));
        if let Some(deployment) = deployment {
            let counted = counts.entry(deployment.revision.clone()).or_default();
            counted.0 += usize::from(task.phase.is_running());
            counted.1 += usize::from(task.phase.is_pending());
        }
    }
    let (wanted, primary) = (service.wanted(), service.primary().map(|primary| primary.revision.clone()));
    let Some(current) = ecs.service_mut(key).and_then(|service| service.current_mut()) else { return };
    current.updated = now;
    for summary in current.sources.iter_mut().chain([&mut current.target]) {
        let (running, pending) = counts.get(&summary.arn).copied().unwrap_or_default();
        summary.running_task_count = running;
        summary.pending_task_count = pending;
        summary.requested_task_count = if primary.as_ref() == Some(&summary.arn) { wanted } else { running };
    }
}

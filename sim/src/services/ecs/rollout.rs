//! Deployments through time: begin, bake, complete, fail, go back.
//!
//! The main functions are [`deploy`], [`turn`], [`complete`] and [`fail`].

use std::time::Duration;

use serde_json::{Map, Value};

use super::deployment::{
    ContainerImage, Deployment, DeploymentStatus, Guard, Revision, RevisionSummary, Rollback, RolloutState,
    ServiceDeployment, Stage, threshold,
};
use super::events::{Event, Turn};
use super::image;
use super::reconcile::{reconcile, told_once};
use super::service::{Completed, say};
use super::state::ServiceKey;
use super::words;
use crate::ctx::Scope;
use crate::services::cloudwatch::{self, AlarmState};

const ID: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
const DIGITS: &str = "123456789";
/// Tasks that fail one after the other are started at ever longer intervals: from this one on …
const FIRST_HOLD: Duration = Duration::from_secs(10);
/// … up to this one.
const LONGEST_HOLD: Duration = Duration::from_secs(900);

/// Why a deployment fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Breaker,
    Alarm,
    User,
}

impl Cause {
    /// What the deployment's event says.
    fn event(self) -> &'static str {
        match self {
            Cause::Breaker => "tasks failed to start",
            Cause::Alarm => "alarm detected",
            Cause::User => "stopped by user",
        }
    }

    /// How a rollout's reasons begin.
    fn guard(self) -> &'static str {
        match self {
            Cause::Breaker => "ECS deployment circuit breaker",
            Cause::Alarm => "ECS deployment alarms",
            Cause::User => "ECS deployment stop request",
        }
    }

    fn rolled_back(self) -> &'static str {
        match self {
            Cause::Breaker => "Service deployment rolled back because the circuit breaker threshold was exceeded.",
            Cause::Alarm => "Service deployment rolled back because a CloudWatch alarm was triggered.",
            Cause::User => "Service deployment rolled back because of a user request.",
        }
    }

    fn stopped(self) -> &'static str {
        match self {
            Cause::Breaker => "Service deployment stopped because the circuit breaker threshold was exceeded.",
            Cause::Alarm => "Service deployment stopped because a CloudWatch alarm was triggered.",
            Cause::User => "Service deployment stopped because of a user request.",
        }
    }
}

/// A new revision of the service, made of what it says now, and the deployment that brings it.
pub(super) fn deploy(scope: &mut Scope<'_>, key: &ServiceKey) {
    let now = scope.now();
    let Some(service) = scope.place().ecs.service(key) else { return };
    let (task_definition, settings) = (service.task_definition.clone(), service.settings.clone());
    let (wanted, configuration) = (service.wanted(), service.configuration.clone());
    let schedule = service.timings.schedule;
    let sources: Vec<RevisionSummary> = service
        .deployments
        .iter()
        .map(|deployment| RevisionSummary {
            arn: deployment.revision.clone(),
            requested_task_count: wanted,
            running_task_count: 0,
            pending_task_count: 0,
        })
        .collect();

    let name = format!("ecs/{}/{}/{}", scope.at, key.cluster, key.service);
    let deployment_id = format!("ecs-svc/{}", scope.world.ids.characters(&format!("{name}/deployment"), DIGITS, 19));
    let id = scope.world.ids.characters(&format!("{name}/service-deployment"), ID, 21);
    let revision = revise(scope, key, &task_definition, settings);
    let arn = scope.arn("ecs", &format!("service-deployment/{}/{}/{id}", key.cluster, key.service));

    let deployment = Deployment {
        id: deployment_id.clone(),
        primary: true,
        revision: revision.arn.clone(),
        task_definition,
        failed: 0,
        created: now,
        updated: now,
        rollout: RolloutState::InProgress,
        rollout_reason: words::in_progress(&deployment_id),
        held_until: None,
    };
    let guard = |on: bool| if on { Guard::Monitoring } else { Guard::Disabled };
    let service_deployment = ServiceDeployment {
        arn,
        id: id.clone(),
        deployment: deployment_id,
        target: RevisionSummary {
            arn: revision.arn.clone(),
            requested_task_count: wanted,
            running_task_count: 0,
            pending_task_count: 0,
        },
        sources,
        status: DeploymentStatus::Pending,
        reason: None,
        created: now,
        started: None,
        finished: None,
        stopped: None,
        updated: now,
        stage: None,
        baked: false,
        rollback: None,
        breaker: guard(configuration.breaker().is_some()),
        failures: 0,
        threshold: threshold(wanted),
        alarms: guard(configuration.alarms().is_some()),
        triggered_alarms: Vec::new(),
        configuration,
    };
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    if let Some(current) = service.current_mut() {
        current.status = DeploymentStatus::Stopped;
        current.reason = Some("Service deployment stopped because a new service deployment started.".to_owned());
        current.stopped = Some(now);
        current.finished = Some(now);
        current.updated = now;
    }
    for older in &mut service.deployments {
        older.primary = false;
    }
    service.deployments.insert(0, deployment);
    service.revisions.push(revision);
    service.service_deployments.push(service_deployment);
    service.steady = false;
    later(scope, key, &id, Turn::Begin, schedule);
}

fn revise(scope: &mut Scope<'_>, key: &ServiceKey, task_definition: &str, settings: Map<String, Value>) -> Revision {
    let name = format!("ecs/{}/{}/{}", scope.at, key.cluster, key.service);
    let number = scope.world.ids.characters(&format!("{name}/revision"), DIGITS, 19);
    let definition = super::definition::resolve(scope, task_definition).map(|definition| definition.containers());
    let images = definition.unwrap_or_default().into_iter().map(|container| ContainerImage {
        container_name: container.name,
        image_digest: image::pull(scope, &container.image).ok(),
        image: container.image,
    });
    Revision {
        images: images.collect(),
        arn: scope.arn("ecs", &format!("service-revision/{}/{}/{number}", key.cluster, key.service)),
        task_definition: task_definition.to_owned(),
        settings,
        created: scope.now(),
    }
}

fn later(scope: &mut Scope<'_>, key: &ServiceKey, id: &str, turn: Turn, after: Duration) {
    let (cluster, service) = (key.cluster.clone(), key.service.clone());
    let event = Event::Rollout { cluster, service, id: id.to_owned(), turn };
    scope.schedule(after, event);
}

/// Something falls due for a service deployment; nothing, where it has ended meanwhile.
pub(super) fn turn(scope: &mut Scope<'_>, key: &ServiceKey, id: &str, turn: Turn) {
    let service = scope.place().ecs.service(key);
    let current = service.and_then(|service| service.current()).filter(|current| current.id == id);
    let Some(status) = current.map(|current| current.status) else { return };
    match (turn, status) {
        (Turn::Begin, DeploymentStatus::Pending) => begin(scope, key),
        (Turn::Stop, DeploymentStatus::RollbackRequested) => fail(scope, key, Cause::User, true),
        (Turn::Stop, DeploymentStatus::StopRequested) => fail(scope, key, Cause::User, false),
        (Turn::Baked, DeploymentStatus::InProgress) => {
            if let Some(current) = scope.place().ecs.service_mut(key).and_then(|service| service.current_mut()) {
                current.baked = true;
                current.stage = Some(Stage::CleanUp);
            }
            reconcile(scope, key);
        }
        _ => {}
    }
}

/// A pending service deployment begins. Alarms that are on already say nothing about it: they are not watched.
fn begin(scope: &mut Scope<'_>, key: &ServiceKey) {
    let now = scope.now();
    let alarms = scope.place().ecs.service(key).and_then(|service| service.configuration.alarms());
    let names = alarms.map(|alarms| alarms.names).unwrap_or_default();
    let alight = names.iter().any(|name| cloudwatch::state_of(scope, name) == Some(AlarmState::Alarm));
    let Some(current) = scope.place().ecs.service_mut(key).and_then(|service| service.current_mut()) else { return };
    current.status = DeploymentStatus::InProgress;
    current.started = Some(now);
    current.stage = Some(Stage::ScaleUp);
    if alight {
        current.alarms = Guard::Disabled;
    }
    reconcile(scope, key);
}

/// All tasks are new and healthy: wait for the bake time, if there is one. Where alarms watch and no bake time is given,
/// it is as long as the slowest of them needs to see something.
pub(super) fn bake(scope: &mut Scope<'_>, key: &ServiceKey) {
    let Some(service) = scope.place().ecs.service(key) else { return };
    let Some(current) = service.current() else { return };
    let (id, watched) = (current.id.clone(), current.alarms == Guard::Monitoring);
    let (given, alarms) = (current.configuration.bake_minutes(), current.configuration.alarms());
    let time = match (given, alarms) {
        (Some(minutes), _) if minutes > 0 => Duration::from_secs(minutes * 60),
        (_, Some(alarms)) if watched => {
            let windows = alarms.names.iter().filter_map(|name| cloudwatch::window_of(scope, name));
            windows.max().unwrap_or_default()
        }
        _ => Duration::ZERO,
    };
    let Some(current) = scope.place().ecs.service_mut(key).and_then(|service| service.current_mut()) else { return };
    if time.is_zero() {
        current.baked = true;
        complete(scope, key);
    } else {
        current.stage = Some(Stage::BakeTime);
        later(scope, key, &id, Turn::Baked, time);
    }
}

/// The current service deployment ends well: it, or its rollback, is what serves.
pub(super) fn complete(scope: &mut Scope<'_>, key: &ServiceKey) {
    let now = scope.now();
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    let Some(primary) = service.primary_mut() else { return };
    primary.rollout = RolloutState::Completed;
    primary.rollout_reason = words::rollout_completed(&primary.id);
    primary.updated = now;
    let completed = Completed { deployment: primary.id.clone(), revision: primary.revision.clone() };
    let id = primary.id.clone();
    service.completed = Some(completed);
    service.steady = true;
    if let Some(current) = service.current_mut() {
        let back = current.status == DeploymentStatus::RollbackInProgress;
        current.status = if back { DeploymentStatus::RollbackSuccessful } else { DeploymentStatus::Successful };
        current.finished = Some(now);
        current.updated = now;
        current.stage = None;
        for guard in [&mut current.breaker, &mut current.alarms] {
            if *guard == Guard::Monitoring {
                *guard = Guard::MonitoringComplete;
            }
        }
    }
    say(scope, key, words::completed(&key.service, &id));
    say(scope, key, words::steady(&key.service));
}

/// The current service deployment fails: it goes back to what completed last, or stays where it is. A rollback that fails
/// goes nowhere.
pub(super) fn fail(scope: &mut Scope<'_>, key: &ServiceKey, cause: Cause, go_back: bool) {
    let now = scope.now();
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    let completed = service.completed.clone();
    let Some(primary) = service.primary_mut() else { return };
    primary.rollout = RolloutState::Failed;
    primary.rollout_reason = format!("{}: {}.", cause.guard(), cause.event());
    primary.updated = now;
    let failed = primary.id.clone();
    let Some(current) = service.current_mut() else { return };
    current.updated = now;
    let was_back = current.status == DeploymentStatus::RollbackInProgress;
    match cause {
        Cause::Breaker => current.breaker = Guard::Triggered,
        Cause::Alarm => current.alarms = Guard::Triggered,
        Cause::User => {}
    }
    let target = completed.filter(|_| go_back && !was_back);
    match &target {
        Some(target) => {
            let reason = cause.rolled_back().to_owned();
            current.status = DeploymentStatus::RollbackInProgress;
            current.stage = None;
            current.rollback = Some(Rollback {
                reason: reason.clone(),
                started_at: now,
                service_revision_arn: target.revision.clone(),
            });
            current.reason = Some(reason);
        }
        None => {
            current.status = if was_back { DeploymentStatus::RollbackFailed } else { DeploymentStatus::Stopped };
            current.reason.get_or_insert_with(|| cause.stopped().to_owned());
            current.finished = Some(now);
            current.stopped = Some(now);
            current.stage = None;
        }
    }
    say(scope, key, words::failed(&key.service, &failed, cause.event()));
    if let Some(target) = target {
        say(scope, key, words::rolling_back(&key.service, &target.deployment));
        go_back_to(scope, key, &target, cause);
    }
    reconcile(scope, key);
}

/// Make the deployment that completed last the primary one again, with the settings of its revision.
fn go_back_to(scope: &mut Scope<'_>, key: &ServiceKey, target: &Completed, cause: Cause) {
    let now = scope.now();
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    let Some(revision) = service.revision(&target.revision).cloned() else { return };
    let place = service.deployments.iter().position(|deployment| deployment.id == target.deployment);
    let mut deployment = match place {
        Some(place) => service.deployments.remove(place),
        None => Deployment {
            id: target.deployment.clone(),
            primary: true,
            revision: revision.arn.clone(),
            task_definition: revision.task_definition.clone(),
            failed: 0,
            created: now,
            updated: now,
            rollout: RolloutState::InProgress,
            rollout_reason: String::new(),
            held_until: None,
        },
    };
    for other in &mut service.deployments {
        other.primary = false;
    }
    deployment.primary = true;
    deployment.failed = 0;
    deployment.held_until = None;
    deployment.updated = now;
    deployment.rollout = RolloutState::InProgress;
    deployment.rollout_reason = format!("{}: rolling back to deploymentId {}.", cause.guard(), deployment.id);
    service.deployments.insert(0, deployment);
    service.task_definition = revision.task_definition;
    service.settings = revision.settings;
}

/// A task of the service is healthy: failures before it do not count any more.
pub(super) fn task_ready(scope: &mut Scope<'_>, key: &ServiceKey, deployment: Option<&str>) {
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    let Some(primary) = service.primary_mut().filter(|primary| Some(primary.id.as_str()) == deployment) else { return };
    primary.failed = 0;
    primary.held_until = None;
    if let Some(current) = service.current_mut().filter(|current| current.status == DeploymentStatus::InProgress) {
        current.failures = 0;
    }
}

/// A task of the service failed. Too many fail the deployment; where nothing guards it, its tasks start ever later.
pub(super) fn task_failed(scope: &mut Scope<'_>, key: &ServiceKey, deployment: Option<&str>) {
    let now = scope.now();
    let Some(service) = scope.place().ecs.service_mut(key) else { return };
    let most = threshold(service.wanted());
    let Some(primary) = service.primary_mut().filter(|primary| Some(primary.id.as_str()) == deployment) else { return };
    primary.failed += 1;
    primary.updated = now;
    let failed = primary.failed;
    let breaker = service.configuration.breaker();
    let moving = service.current_mut().filter(|current| current.status.is_moving());
    if let Some(current) = moving {
        if current.status == DeploymentStatus::InProgress {
            current.failures = failed;
        }
        if let Some(go_back) = breaker {
            if failed >= most {
                fail(scope, key, Cause::Breaker, go_back);
            }
            return;
        }
    }
    if failed < most {
        return;
    }
    let doublings = u32::try_from(failed - most).unwrap_or(u32::MAX).min(16);
    let hold = FIRST_HOLD.saturating_mul(1 << doublings).min(LONGEST_HOLD);
    if let Some(primary) = scope.place().ecs.service_mut(key).and_then(|service| service.primary_mut()) {
        primary.held_until = Some(now + hold);
    }
    told_once(scope, key, words::inconsistent(&key.service));
    let event = Event::Reconcile { cluster: key.cluster.clone(), service: key.service.clone() };
    scope.schedule(hold, event);
}

/// An alarm changed its state: deployments that it guards fail.
pub(crate) fn alarm_changed(scope: &mut Scope<'_>, name: &str, state: AlarmState) {
    if state != AlarmState::Alarm {
        return;
    }
    let services = scope.place().ecs.clusters.values().flat_map(|cluster| cluster.services.values());
    let guarded: Vec<(ServiceKey, bool)> = services
        .filter_map(|service| {
            let current = service.current()?;
            let alarms = current.configuration.alarms()?;
            let watches = current.status == DeploymentStatus::InProgress && current.alarms == Guard::Monitoring;
            (watches && alarms.names.iter().any(|watched| watched == name))
                .then(|| (service.key.clone(), alarms.rollback))
        })
        .collect();
    for (key, rollback) in guarded {
        if let Some(current) = scope.place().ecs.service_mut(&key).and_then(|service| service.current_mut()) {
            current.triggered_alarms.push(name.to_owned());
        }
        fail(scope, &key, Cause::Alarm, rollback);
    }
}

//! Tasks: what they are, and how the API shows them.
//!
//! The main types are [`Task`] and [`TaskPhase`]; [`Timings`] says how long the phases last.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::behaviour::Fate;
use super::fargate;
use super::logging::Logging;
use super::network::Interface;
use crate::clock::Timestamp;
use crate::tags::{SmallTag, Tags, listed};

/// How far a task is: ECS's `lastStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum TaskPhase {
    Provisioning,
    Pending,
    Running,
    /// It is taken out of its load balancers.
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl TaskPhase {
    pub(super) fn is_running(self) -> bool {
        self == TaskPhase::Running
    }

    pub(super) fn is_pending(self) -> bool {
        matches!(self, TaskPhase::Provisioning | TaskPhase::Pending)
    }
}

/// How long the phases of a task last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timings {
    /// From the call that deploys to the first task that starts.
    pub(super) schedule: Duration,
    pub(super) provision: Duration,
    pub(super) pull: Duration,
    /// From the images to running.
    pub(super) start: Duration,
    /// From running to healthy, where somebody checks.
    pub(super) health: Duration,
    /// From being told to stop to the last container's end.
    pub(super) drain: Duration,
    pub(super) deprovision: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            schedule: seconds(2),
            provision: seconds(10),
            pull: seconds(20),
            start: seconds(5),
            health: seconds(30),
            drain: seconds(30),
            deprovision: seconds(10),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Health {
    Healthy,
    Unhealthy,
    Unknown,
}

/// Why a task stopped: ECS's `stopCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum StopCode {
    TaskFailedToStart,
    EssentialContainerExited,
    UserInitiated,
    ServiceSchedulerInitiated,
}

/// A task.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) cluster_arn: String,
    pub(super) service: Option<String>,
    /// The deployment that started it.
    pub(super) deployment: Option<String>,
    pub(super) definition: String,
    pub(super) family: String,
    pub(super) group: String,
    pub(super) started_by: Option<String>,
    pub(super) phase: TaskPhase,
    /// Whether it is to stop: ECS's `desiredStatus` is `STOPPED`.
    pub(super) stopping: bool,
    /// Whether it runs and, where somebody checks, is healthy.
    pub(super) ready: bool,
    /// Whether it is behind a load balancer.
    pub(super) balanced: bool,
    pub(super) containers: Vec<Container>,
    pub(super) times: Times,
    pub(super) stop_code: Option<StopCode>,
    pub(super) stopped_reason: Option<String>,
    pub(super) cpu: Option<String>,
    pub(super) memory: Option<String>,
    pub(super) launch_type: String,
    pub(super) capacity_provider: Option<String>,
    /// Whether somebody may look into it.
    pub(super) execute_command: bool,
    /// Where it runs on Fargate.
    pub(super) platform: Option<Platform>,
    /// Where it has a network of its own.
    pub(super) interface: Option<Interface>,
    pub(super) overrides: Value,
    pub(super) tags: Tags,
    pub(super) zone: String,
    pub(super) version: u64,
    #[serde(skip)]
    pub(super) fate: Fate,
    #[serde(skip)]
    pub(super) timings: Timings,
}

/// The machine that Fargate runs a task on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Platform {
    pub(super) version: String,
    pub(super) family: &'static str,
}

impl Platform {
    /// What a definition and the settings of its service or caller ask for.
    pub(super) fn of(document: &Map<String, Value>, settings: &Map<String, Value>) -> Self {
        let asked = settings.get("platformVersion").and_then(Value::as_str);
        let version = asked.filter(|asked| *asked != "LATEST").unwrap_or(fargate::PLATFORM);
        Self { version: version.to_owned(), family: fargate::platform_family(document) }
    }
}

/// When what happened to a task.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Times {
    pub(super) created: Timestamp,
    pub(super) pull_started: Option<Timestamp>,
    pub(super) pull_stopped: Option<Timestamp>,
    pub(super) started: Option<Timestamp>,
    pub(super) stopping: Option<Timestamp>,
    pub(super) execution_stopped: Option<Timestamp>,
    pub(super) stopped: Option<Timestamp>,
}

/// A container of a task.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Container {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) digest: Option<String>,
    pub(super) runtime_id: Option<String>,
    pub(super) status: ContainerStatus,
    /// Whether it has a health check.
    pub(super) checked: bool,
    pub(super) health: Health,
    pub(super) exit_code: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) cpu: Option<u64>,
    pub(super) memory: Option<u64>,
    #[serde(skip)]
    pub(super) log: Option<Logging>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ContainerStatus {
    Pending,
    Running,
    Stopped,
}

impl Task {
    /// Whether it is or will be there: neither stopped nor told to stop.
    pub(super) fn stays(&self) -> bool {
        !self.stopping && self.phase != TaskPhase::Stopped
    }

    /// Whether somebody checks its health.
    pub(super) fn is_checked(&self) -> bool {
        self.balanced || self.fate.unhealthy || self.containers.iter().any(|container| container.checked)
    }

    fn health(&self) -> Health {
        let checked: Vec<Health> =
            self.containers.iter().filter(|container| container.checked).map(|container| container.health).collect();
        match checked.as_slice() {
            [] => Health::Unknown,
            states if states.contains(&Health::Unhealthy) => Health::Unhealthy,
            states if states.iter().all(|state| *state == Health::Healthy) => Health::Healthy,
            _ => Health::Unknown,
        }
    }

    /// The task as the API answers it.
    pub(super) fn described(&self, tags: bool) -> DescribedTask {
        DescribedTask {
            task_arn: self.arn.clone(),
            cluster_arn: self.cluster_arn.clone(),
            task_definition_arn: self.definition.clone(),
            availability_zone: self.zone.clone(),
            attachments: self.interface.iter().map(|interface| interface.attachment(self.phase)).collect(),
            containers: self.containers.iter().map(|container| self.container(container)).collect(),
            cpu: self.cpu.clone(),
            memory: self.memory.clone(),
            created_at: self.times.created,
            desired_status: if self.stopping { "STOPPED" } else { "RUNNING" },
            last_status: self.phase,
            group: self.group.clone(),
            health_status: self.health(),
            launch_type: self.launch_type.clone(),
            capacity_provider_name: self.capacity_provider.clone(),
            enable_execute_command: self.execute_command,
            platform_version: self.platform.as_ref().map(|platform| platform.version.clone()),
            platform_family: self.platform.as_ref().map(|platform| platform.family),
            overrides: self.overrides.clone(),
            connectivity: self.times.started.map(|_| "CONNECTED"),
            connectivity_at: self.times.pull_started,
            pull_started_at: self.times.pull_started,
            pull_stopped_at: self.times.pull_stopped,
            started_at: self.times.started,
            started_by: self.started_by.clone(),
            stop_code: self.stop_code,
            stopped_reason: self.stopped_reason.clone(),
            stopping_at: self.times.stopping,
            execution_stopped_at: self.times.execution_stopped,
            stopped_at: self.times.stopped,
            version: self.version,
            tags: if tags { listed(&self.tags) } else { Vec::new() },
        }
    }

    /// Its network interface, once that is there.
    fn shown_interface(&self) -> Option<&Interface> {
        self.interface.as_ref().filter(|_| self.phase != TaskPhase::Provisioning)
    }

    fn container(&self, container: &Container) -> Value {
        json!({
            "containerArn": container.arn,
            "taskArn": self.arn,
            "name": container.name,
            "image": container.image,
            "imageDigest": container.digest,
            "runtimeId": container.runtime_id,
            "lastStatus": container.status,
            "exitCode": container.exit_code,
            "reason": container.reason,
            "healthStatus": container.health,
            "networkBindings": [],
            "networkInterfaces": self.shown_interface().map(Interface::of_container).into_iter().collect::<Vec<_>>(),
            "cpu": container.cpu.unwrap_or(0).to_string(),
            "memory": container.memory.map(|memory| memory.to_string()),
        })
    }
}

/// A task in an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribedTask {
    task_arn: String,
    cluster_arn: String,
    task_definition_arn: String,
    availability_zone: String,
    attachments: Vec<Value>,
    containers: Vec<Value>,
    cpu: Option<String>,
    memory: Option<String>,
    created_at: Timestamp,
    desired_status: &'static str,
    last_status: TaskPhase,
    group: String,
    health_status: Health,
    launch_type: String,
    capacity_provider_name: Option<String>,
    enable_execute_command: bool,
    platform_version: Option<String>,
    platform_family: Option<&'static str>,
    overrides: Value,
    connectivity: Option<&'static str>,
    connectivity_at: Option<Timestamp>,
    pull_started_at: Option<Timestamp>,
    pull_stopped_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    started_by: Option<String>,
    stop_code: Option<StopCode>,
    stopped_reason: Option<String>,
    stopping_at: Option<Timestamp>,
    execution_stopped_at: Option<Timestamp>,
    stopped_at: Option<Timestamp>,
    version: u64,
    tags: Vec<SmallTag>,
}

//! Deployments of a service in both of ECS's views: `deployments` of a service, and service deployments with the service
//! revisions that they bring.
//!
//! The main types are [`Deployment`], [`ServiceDeployment`] and [`Revision`].

use serde::Serialize;
use serde_json::{Map, Value};

use super::service::Configuration;
use crate::clock::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RolloutState {
    InProgress,
    Completed,
    Failed,
}

/// A deployment as `DescribeServices` lists it: the set of tasks that run one revision.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Deployment {
    /// `ecs-svc/…`.
    pub(super) id: String,
    /// `PRIMARY`: what the service is to run. The others are `ACTIVE` as long as they have tasks.
    pub(super) primary: bool,
    pub(super) revision: String,
    pub(super) task_definition: String,
    /// Tasks that failed, one after the other.
    pub(super) failed: usize,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) rollout: RolloutState,
    pub(super) rollout_reason: String,
    /// No task starts before this instant, since too many failed.
    pub(super) held_until: Option<Timestamp>,
}

/// What a deployment made of a service.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Revision {
    pub(super) arn: String,
    pub(super) task_definition: String,
    /// The service's settings then.
    pub(super) settings: Map<String, Value>,
    pub(super) images: Vec<ContainerImage>,
    pub(super) created: Timestamp,
}

/// A container's image in a revision.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerImage {
    pub(super) container_name: String,
    pub(super) image: String,
    pub(super) image_digest: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DeploymentStatus {
    Pending,
    InProgress,
    StopRequested,
    RollbackRequested,
    RollbackInProgress,
    Successful,
    Stopped,
    RollbackSuccessful,
    RollbackFailed,
}

impl DeploymentStatus {
    /// Whether it has not ended.
    pub(super) fn is_open(self) -> bool {
        match self {
            DeploymentStatus::Pending
            | DeploymentStatus::InProgress
            | DeploymentStatus::StopRequested
            | DeploymentStatus::RollbackRequested
            | DeploymentStatus::RollbackInProgress => true,
            DeploymentStatus::Successful
            | DeploymentStatus::Stopped
            | DeploymentStatus::RollbackSuccessful
            | DeploymentStatus::RollbackFailed => false,
        }
    }

    /// Whether tasks are replaced now.
    pub(super) fn is_moving(self) -> bool {
        matches!(self, DeploymentStatus::InProgress | DeploymentStatus::RollbackInProgress)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            DeploymentStatus::Pending => "PENDING",
            DeploymentStatus::InProgress => "IN_PROGRESS",
            DeploymentStatus::StopRequested => "STOP_REQUESTED",
            DeploymentStatus::RollbackRequested => "ROLLBACK_REQUESTED",
            DeploymentStatus::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            DeploymentStatus::Successful => "SUCCESSFUL",
            DeploymentStatus::Stopped => "STOPPED",
            DeploymentStatus::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            DeploymentStatus::RollbackFailed => "ROLLBACK_FAILED",
        }
    }
}

/// Whether a guard of a deployment watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Guard {
    Disabled,
    Monitoring,
    MonitoringComplete,
    Triggered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Stage {
    ScaleUp,
    BakeTime,
    CleanUp,
}

/// A revision in a service deployment, with its tasks.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevisionSummary {
    pub(super) arn: String,
    pub(super) requested_task_count: usize,
    pub(super) running_task_count: usize,
    pub(super) pending_task_count: usize,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rollback {
    pub(super) reason: String,
    pub(super) started_at: Timestamp,
    pub(super) service_revision_arn: String,
}

/// The replacement of what a service runs by a new revision, with its outcome.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ServiceDeployment {
    pub(super) arn: String,
    pub(super) id: String,
    /// The deployment that it began with.
    pub(super) deployment: String,
    pub(super) target: RevisionSummary,
    pub(super) sources: Vec<RevisionSummary>,
    pub(super) status: DeploymentStatus,
    pub(super) reason: Option<String>,
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
    pub(super) stopped: Option<Timestamp>,
    pub(super) updated: Timestamp,
    pub(super) stage: Option<Stage>,
    /// Whether the bake time is over.
    pub(super) baked: bool,
    pub(super) rollback: Option<Rollback>,
    pub(super) breaker: Guard,
    pub(super) failures: usize,
    pub(super) threshold: usize,
    pub(super) alarms: Guard,
    pub(super) triggered_alarms: Vec<String>,
    pub(super) configuration: Configuration,
}

/// How many tasks may fail one after the other before the circuit breaker fails a deployment.
pub(super) fn threshold(desired: usize) -> usize {
    desired.div_ceil(2).clamp(3, 200)
}

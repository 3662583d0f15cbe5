//! Refreshes: what they bring a group to, and how far they are.
//!
//! The main type is [`Refresh`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::configuration::{DesiredConfiguration, LaunchSource};
use super::state::invalid;
use crate::clock::Timestamp;
use crate::error::AwsError;

/// How a refresh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum RefreshStatus {
    Pending,
    InProgress,
    Baking,
    Successful,
    Failed,
    Cancelling,
    Cancelled,
    RollbackInProgress,
    RollbackFailed,
    RollbackSuccessful,
}

impl RefreshStatus {
    /// Whether it is under way: no other can begin.
    pub(super) fn is_active(self) -> bool {
        match self {
            RefreshStatus::Pending
            | RefreshStatus::InProgress
            | RefreshStatus::Baking
            | RefreshStatus::Cancelling
            | RefreshStatus::RollbackInProgress => true,
            RefreshStatus::Successful
            | RefreshStatus::Failed
            | RefreshStatus::Cancelled
            | RefreshStatus::RollbackFailed
            | RefreshStatus::RollbackSuccessful => false,
        }
    }

    /// Whether it goes forward.
    pub(super) fn is_forward(self) -> bool {
        matches!(self, RefreshStatus::Pending | RefreshStatus::InProgress | RefreshStatus::Baking)
    }
}

/// How a refresh brings instances to what they are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum RefreshStrategy {
    /// They end, and others are launched.
    #[default]
    Rolling,
    /// They get another root volume, and stay.
    ReplaceRootVolume,
}

/// What becomes of instances that scaling in may not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProtectedOnes {
    Refresh,
    Ignore,
    Wait,
}

/// What becomes of instances in standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StandbyOnes {
    Terminate,
    Ignore,
    Wait,
}

/// Alarms that fail a refresh.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RefreshAlarms {
    #[serde(default)]
    pub(super) alarms: Vec<String>,
}

/// How a refresh goes, as the API spells it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RefreshPreferences {
    pub(super) min_healthy_percentage: Option<usize>,
    pub(super) max_healthy_percentage: Option<usize>,
    pub(super) instance_warmup: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) checkpoint_percentages: Vec<usize>,
    pub(super) checkpoint_delay: Option<u64>,
    pub(super) skip_matching: Option<bool>,
    pub(super) auto_rollback: Option<bool>,
    pub(super) scale_in_protected_instances: Option<ProtectedOnes>,
    pub(super) standby_instances: Option<StandbyOnes>,
    pub(super) alarm_specification: Option<RefreshAlarms>,
    pub(super) bake_time: Option<u64>,
}

impl RefreshPreferences {
    /// Refuse what AWS refuses.
    pub(super) fn check(&self, reversible: bool) -> Result<(), AwsError> {
        let ascend = |points: &[usize]| points.iter().zip(points.iter().skip(1)).all(|(one, next)| one < next);
        if !ascend(&self.checkpoint_percentages) {
            return Err(invalid("The checkpoint percentages must be unique and in ascending order."));
        }
        match (self.min_healthy_percentage, self.max_healthy_percentage) {
            (None, Some(_)) => {
                return Err(invalid("MinHealthyPercentage is required when MaxHealthyPercentage is given."));
            }
            (Some(min), Some(max)) if max > min + 100 => {
                return Err(invalid(
                    "The difference between MinHealthyPercentage and MaxHealthyPercentage cannot be greater than 100.",
                ));
            }
            (Some(_), Some(_)) | (Some(_), None) | (None, None) => {}
        }
        if self.auto_rollback == Some(true) && !reversible {
            return Err(invalid(
                "AutoRollback is not supported without a desired configuration that names a version by its number.",
            ));
        }
        Ok(())
    }

    /// With what holds where nothing was said.
    pub(super) fn filled(mut self, maintenance: Option<(usize, usize)>, warmup: Duration) -> Self {
        let (min, max) = maintenance.unwrap_or((90, 100));
        let (given_min, given_max) = (self.min_healthy_percentage, self.max_healthy_percentage);
        self.min_healthy_percentage = Some(given_min.unwrap_or(min));
        self.max_healthy_percentage = Some(given_max.unwrap_or(if given_min.is_some() { 100 } else { max }));
        self.instance_warmup.get_or_insert(warmup.as_secs());
        self.skip_matching.get_or_insert(false);
        self.auto_rollback.get_or_insert(false);
        self.scale_in_protected_instances.get_or_insert(ProtectedOnes::Wait);
        self.standby_instances.get_or_insert(StandbyOnes::Wait);
        self.bake_time.get_or_insert(0);
        if !self.checkpoint_percentages.is_empty() {
            self.checkpoint_delay.get_or_insert(3600);
        }
        self
    }

    /// Alarms that watch.
    pub(super) fn alarms(&self) -> &[String] {
        self.alarm_specification.as_ref().map(|given| given.alarms.as_slice()).unwrap_or_default()
    }
}

/// How a refresh turned back.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RefreshRollback {
    pub(super) reason: String,
    pub(super) at: Timestamp,
    pub(super) percentage: usize,
    pub(super) left: usize,
}

/// A refresh.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Refresh {
    pub(super) id: String,
    pub(super) strategy: RefreshStrategy,
    pub(super) status: RefreshStatus,
    pub(super) reason: Option<String>,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// What it was told to bring the group to.
    #[serde(skip)]
    pub(super) desired: Option<DesiredConfiguration>,
    pub(super) to: LaunchSource,
    pub(super) from: LaunchSource,
    #[serde(skip)]
    pub(super) preferences: RefreshPreferences,
    /// How many checkpoints are behind it.
    pub(super) checkpoint: usize,
    pub(super) waits_until: Option<Timestamp>,
    /// How many instances it wants beyond the desired capacity now.
    pub(super) ahead: usize,
    /// When something last changed.
    pub(super) progress: Timestamp,
    /// How many were done and how many were left then.
    pub(super) seen: (usize, usize),
    pub(super) percentage: usize,
    pub(super) left: usize,
    pub(super) rollback: Option<RefreshRollback>,
}

impl Refresh {
    /// What instances are launched of while it goes on.
    pub(super) fn launches(&self) -> Option<&LaunchSource> {
        match self.status {
            RefreshStatus::Pending | RefreshStatus::InProgress | RefreshStatus::Baking => Some(&self.to),
            RefreshStatus::RollbackInProgress => Some(&self.from),
            RefreshStatus::Successful
            | RefreshStatus::Failed
            | RefreshStatus::Cancelling
            | RefreshStatus::Cancelled
            | RefreshStatus::RollbackFailed
            | RefreshStatus::RollbackSuccessful => None,
        }
    }

    /// Whether it is on its way back.
    pub(super) fn is_back(&self) -> bool {
        self.status == RefreshStatus::RollbackInProgress
    }

    /// What instances are marked with that it launches.
    pub(super) fn stamp(&self) -> (String, bool) {
        (self.id.clone(), self.is_back())
    }

    pub(super) fn warmup(&self, usual: Duration) -> Duration {
        self.preferences.instance_warmup.map_or(usual, Duration::from_secs)
    }

    /// As the API shows it.
    pub(super) fn shown(&self, group: &str) -> Value {
        let rollback = self.rollback.as_ref().map(|back| {
            json!({
                "RollbackReason": back.reason,
                "RollbackStartTime": back.at,
                "PercentageCompleteOnRollback": back.percentage,
                "InstancesToUpdateOnRollback": back.left,
            })
        });
        json!({
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": group,
            "Status": self.status,
            "StatusReason": self.reason,
            "StartTime": self.started,
            "EndTime": self.ended,
            "PercentageComplete": self.percentage,
            "InstancesToUpdate": self.left,
            "ProgressDetails": { "LivePoolProgress": { "PercentageComplete": self.percentage, "InstancesToUpdate": self.left } },
            "Preferences": self.preferences,
            "DesiredConfiguration": self.desired,
            "RollbackDetails": rollback,
            "Strategy": self.strategy,
        })
    }
}

//! The instances of a group.
//!
//! The main type is [`Member`].

use serde::Serialize;
use serde_json::{Value, json};

use super::configuration::LaunchSource;
use crate::clock::Timestamp;
use crate::services::ec2::Market;

/// Where an instance stands in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum MemberPhase {
    Pending,
    #[serde(rename = "Pending:Wait")]
    PendingWait,
    InService,
    Terminating,
    #[serde(rename = "Terminating:Wait")]
    TerminatingWait,
    Standby,
    ReplacingRootVolume,
    #[serde(rename = "Warmed:Pending")]
    WarmedPending,
    #[serde(rename = "Warmed:Stopped")]
    WarmedStopped,
}

impl MemberPhase {
    /// Whether it begins.
    pub(super) fn is_coming(self) -> bool {
        matches!(self, MemberPhase::Pending | MemberPhase::PendingWait)
    }

    /// Whether it is of the warm pool, and not of the group.
    pub(super) fn is_warm(self) -> bool {
        matches!(self, MemberPhase::WarmedPending | MemberPhase::WarmedStopped)
    }

    /// Whether it ends.
    pub(super) fn is_leaving(self) -> bool {
        matches!(self, MemberPhase::Terminating | MemberPhase::TerminatingWait)
    }
}

/// A hook that an instance waits for.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct HookWait {
    pub(super) name: String,
    pub(super) token: String,
}

/// An instance of a group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) zone: String,
    pub(super) instance_type: String,
    pub(super) market: Market,
    /// The image of its root volume.
    pub(super) image: String,
    /// Whether that is another than the launch template's, which is when the API shows it.
    pub(super) is_own_image: bool,
    /// What it was brought to by a new root volume, where it was launched of something else.
    #[serde(skip)]
    pub(super) brought: Option<LaunchSource>,
    /// The launch template's id and name, and the number of its version.
    pub(super) template: Option<(String, String, u64)>,
    pub(super) configuration: Option<String>,
    pub(super) phase: MemberPhase,
    pub(super) healthy: bool,
    pub(super) protected: bool,
    pub(super) launched: Timestamp,
    pub(super) in_service: Option<Timestamp>,
    /// The refresh that it was launched by, and whether that was on its way back.
    pub(super) made_by: Option<(String, bool)>,
    /// The activity that is under way for it.
    pub(super) activity: String,
    pub(super) hook: Option<HookWait>,
}

impl Member {
    /// As the API shows it.
    pub(super) fn shown(&self) -> Value {
        let template = self.template.as_ref().map(|(id, name, version)| {
            json!({ "LaunchTemplateId": id, "LaunchTemplateName": name, "Version": version.to_string() })
        });
        json!({
            "InstanceId": self.id,
            "InstanceType": self.instance_type,
            "AvailabilityZone": self.zone,
            "LifecycleState": self.phase,
            "HealthStatus": if self.healthy { "Healthy" } else { "Unhealthy" },
            "LaunchTemplate": template,
            "LaunchConfigurationName": self.configuration,
            "ImageId": self.is_own_image.then_some(&self.image),
            "ProtectedFromScaleIn": self.protected,
        })
    }
}

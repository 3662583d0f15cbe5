//! Groups.
//!
//! The main type is [`FleetGroup`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::activities::FleetActivity;
use super::configuration::LaunchSource;
use super::hooks::LifecycleHook;
use super::member::{Member, MemberPhase};
use super::refresh::Refresh;
use crate::clock::Timestamp;
use crate::tags::Tags;

/// A group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FleetGroup {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) source: LaunchSource,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) desired: usize,
    pub(super) zones: Vec<String>,
    pub(super) subnets: Vec<String>,
    /// By ARN.
    pub(super) target_groups: Vec<String>,
    /// Whether health checks of load balancers count.
    pub(super) elb_checked: bool,
    #[serde(skip)]
    pub(super) grace: Duration,
    #[serde(skip)]
    pub(super) warmup: Duration,
    /// The least and the most that is healthy, in percent.
    pub(super) maintenance: Option<(usize, usize)>,
    pub(super) capacity_rebalance: bool,
    pub(super) suspended: BTreeSet<String>,
    /// By which its instances end where there are too many: AWS's own way where none is told.
    pub(super) termination_policies: Vec<String>,
    pub(super) tags: Tags,
    /// By id.
    pub(super) members: BTreeMap<String, Member>,
    /// The oldest first.
    pub(super) activities: Vec<FleetActivity>,
    /// As the API shows them.
    pub(super) policies: Vec<Value>,
    pub(super) hooks: Vec<LifecycleHook>,
    /// As the API shows it.
    pub(super) warm_pool: Option<Value>,
    /// The oldest first.
    pub(super) refreshes: Vec<Refresh>,
    /// Nothing is launched until then, because it did not succeed.
    pub(super) held_until: Option<Timestamp>,
    /// The refresh that the group's stack began and waits for.
    #[serde(skip)]
    pub(super) awaited: Option<String>,
}

impl FleetGroup {
    /// The refresh that is under way.
    pub(super) fn active(&self) -> Option<&Refresh> {
        self.refreshes.iter().find(|refresh| refresh.status.is_active())
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Refresh> {
        self.refreshes.iter_mut().find(|refresh| refresh.status.is_active())
    }

    /// Those that count for the capacity: that serve, or will.
    pub(super) fn standing(&self) -> impl Iterator<Item = &Member> {
        let stands = |phase: MemberPhase| {
            phase.is_coming() || matches!(phase, MemberPhase::InService | MemberPhase::ReplacingRootVolume)
        };
        self.members.values().filter(move |member| stands(member.phase))
    }

    /// How many there are to be, with those that a refresh wants ahead.
    pub(super) fn wanted(&self) -> usize {
        self.desired + self.active().map_or(0, |refresh| refresh.ahead)
    }

    /// What instances are launched of now: a refresh decides.
    pub(super) fn launches(&self) -> &LaunchSource {
        self.active().and_then(Refresh::launches).unwrap_or(&self.source)
    }

    pub(super) fn is_suspended(&self, process: &str) -> bool {
        self.suspended.contains(process)
    }
}

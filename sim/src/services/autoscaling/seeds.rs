//! Auto Scaling's part of a world file.
//!
//! The main type is [`GroupSeed`].

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::hooks::{HookResult, Transition};
use super::refresh::{RefreshAlarms, RefreshPreferences};
use crate::tags::Tags;
use crate::worldfile::Span;

/// A launch configuration in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LaunchConfigurationSeed {
    /// Its name.
    pub(super) name: String,
    /// The image, by its name or id.
    pub(super) image: String,
    /// `t3.micro`, for one.
    #[serde(default = "usual_type")]
    pub(super) instance_type: String,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn usual_type() -> String {
    "t3.micro".to_owned()
}

/// A group of instances in a world file. Those that it is to have run and are healthy at the start.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GroupSeed {
    /// Its name.
    pub(super) name: String,
    /// The name of its launch template.
    pub(super) launch_template: Option<String>,
    /// The version: a number, `$Latest` or `$Default`.
    #[serde(default = "first")]
    pub(super) version: String,
    /// The name of its launch configuration, in the place of a launch template.
    pub(super) launch_configuration: Option<String>,
    /// The types that it mixes; none unless told.
    #[serde(default)]
    pub(super) overrides: Vec<OverrideSeed>,
    /// Of a group that mixes: so many on demand, and above that …
    pub(super) on_demand_base: Option<i64>,
    /// … so many percent: all unless told. The rest are spot instances.
    pub(super) on_demand_percentage: Option<i64>,
    /// The fewest: 1 unless told.
    #[serde(default = "one")]
    pub(super) min: usize,
    /// The most: twice as many as desired unless told.
    pub(super) max: Option<usize>,
    /// How many it is to have.
    pub(super) desired: usize,
    /// Its subnets, by their ids.
    #[serde(default)]
    pub(super) subnets: Vec<String>,
    /// Its zones, where it has no subnets: the region's `a` and `b` unless told.
    #[serde(default)]
    pub(super) zones: Vec<String>,
    /// The names of its target groups.
    #[serde(default)]
    pub(super) target_groups: Vec<String>,
    /// Whether health checks of load balancers count: where it has target groups unless told.
    pub(super) elb_health_check: Option<bool>,
    /// For how long the health of a new instance does not count: 60 s unless told.
    pub(super) grace: Option<Span>,
    /// How long new instances warm up: 30 s unless told.
    pub(super) warmup: Option<Span>,
    /// The least and the most that is healthy while instances are replaced, in percent: 90 and 100 unless told.
    pub(super) maintenance: Option<(usize, usize)>,
    /// Whether it replaces spot instances as soon as it is known that they will be taken away.
    #[serde(default)]
    pub(super) capacity_rebalance: bool,
    /// Processes that are suspended: `Launch`, `Terminate`, `HealthCheck`, `ReplaceUnhealthy`.
    #[serde(default)]
    pub(super) suspended: BTreeSet<String>,
    /// So many of its instances are protected from scaling in.
    #[serde(default)]
    pub(super) protected: usize,
    /// So many more are in standby.
    #[serde(default)]
    pub(super) standby: usize,
    /// So many more are in its warm pool, stopped. Without it there is no warm pool.
    pub(super) warm: Option<usize>,
    /// What instances wait for when they begin or end.
    #[serde(default)]
    pub(super) hooks: Vec<HookSeed>,
    /// Its policies: the average load of the processors that each keeps, by its name.
    #[serde(default)]
    pub(super) cpu_targets: BTreeMap<String, f64>,
    /// What demand makes of the capacity.
    #[serde(default)]
    pub(super) demand: Vec<DemandSeed>,
    /// Refreshes that somebody else starts.
    #[serde(default)]
    pub(super) refreshes: Vec<RefreshSeed>,
    /// Its tags, which its instances have, too.
    #[serde(default)]
    pub(super) tags: Tags,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn first() -> String {
    "1".to_owned()
}

fn one() -> usize {
    1
}

/// A type that a group mixes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OverrideSeed {
    /// `t3.micro`, for one.
    pub(super) instance_type: String,
    /// An image of its own, by its name or id, in the place of the launch template's.
    pub(super) image: Option<String>,
    /// The name of another launch template for it.
    pub(super) launch_template: Option<String>,
    /// That one's version.
    #[serde(default = "first")]
    pub(super) version: String,
}

/// What instances wait for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct HookSeed {
    /// Its name.
    pub(super) name: String,
    /// When they wait: while `launching` or while `terminating`.
    pub(super) transition: Transition,
    /// For how long: 5 min unless told.
    pub(super) timeout: Option<Span>,
    /// What it means that nobody answered: `ABANDON` unless told.
    pub(super) default: Option<HookResult>,
    /// What is answered; nobody answers unless told. The first that is of the instance's image counts.
    #[serde(default)]
    pub(super) answers: Vec<AnswerSeed>,
}

/// What whoever is told of a waiting instance answers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AnswerSeed {
    /// For instances of this image, by its name or id: every image unless told.
    pub(super) image: Option<String>,
    /// How long after.
    pub(super) after: Span,
    /// `CONTINUE` or `ABANDON`.
    pub(super) result: HookResult,
}

/// What demand makes of the capacity of a group.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DemandSeed {
    /// This time after the world's beginning.
    pub(super) after: Span,
    /// So many instances, within the group's bounds.
    pub(super) desired: usize,
}

/// A refresh that somebody else starts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RefreshSeed {
    /// This time after the world's beginning.
    pub(super) after: Span,
    /// The version of the group's launch template that it goes to.
    pub(super) version: String,
    /// The least that is healthy, in percent.
    pub(super) min_healthy_percentage: Option<usize>,
    /// How long it bakes.
    pub(super) bake: Option<Span>,
    /// Alarms that fail it.
    #[serde(default)]
    pub(super) alarms: Vec<String>,
}

impl RefreshSeed {
    /// How it goes.
    pub(super) fn preferences(&self) -> RefreshPreferences {
        RefreshPreferences {
            min_healthy_percentage: self.min_healthy_percentage,
            bake_time: self.bake.map(|bake| bake.duration().as_secs()),
            alarm_specification: (!self.alarms.is_empty()).then(|| RefreshAlarms { alarms: self.alarms.clone() }),
            ..RefreshPreferences::default()
        }
    }
}

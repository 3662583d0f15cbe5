//! What EventBridge Scheduler holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;

/// Schedules by group and name. The group `default` is the only one.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) schedules: BTreeMap<String, Schedule>,
}

/// A schedule.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Schedule {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) expression: String,
    pub(super) state: String,
    /// As AWS's `FlexibleTimeWindow` and `Target` have it.
    pub(super) window: Value,
    pub(super) target: Value,
    pub(super) created: Timestamp,
}

/// The one group that there is.
pub(super) const DEFAULT: &str = "default";

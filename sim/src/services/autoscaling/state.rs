//! What Auto Scaling holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::group::FleetGroup;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;

/// What it holds in an account's region, by name.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) groups: BTreeMap<String, FleetGroup>,
    pub(super) configurations: BTreeMap<String, LaunchConfig>,
}

/// A launch configuration: what there was before launch templates.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LaunchConfig {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) image: String,
    pub(super) instance_type: String,
    pub(super) created: Timestamp,
}

pub(super) fn group<'s>(scope: &'s mut Scope<'_>, name: &str) -> Option<&'s mut FleetGroup> {
    scope.place().autoscaling.groups.get_mut(name)
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

/// The group of this name, or AWS's refusal.
pub(super) fn found<'s>(scope: &'s mut Scope<'_>, name: &str) -> Result<&'s mut FleetGroup, AwsError> {
    group(scope, name)
        .ok_or_else(|| invalid(format!("AutoScalingGroup name not found - AutoScalingGroup {name} not found")))
}

/// The ARN of what IAM checks a change of a group against.
pub(super) fn arn_of(scope: &mut Scope<'_>, input: &serde_json::Value) -> String {
    let name = input.get("AutoScalingGroupName").and_then(serde_json::Value::as_str).unwrap_or_default();
    let known = group(scope, name).map(|group| group.arn.clone());
    known.unwrap_or_else(|| scope.arn("autoscaling", &format!("autoScalingGroup:none:autoScalingGroupName/{name}")))
}

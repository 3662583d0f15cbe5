//! Operations on the targets of a group.
//!
//! The main function is [`describe_target_health`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::health;
use super::record::Taken;
use super::state::{LbTarget, TargetGroup, TargetPhase, missing};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::services::ec2;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GivenTarget {
    id: String,
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeTargetHealth {
    target_group_arn: String,
    #[serde(default)]
    targets: Vec<GivenTarget>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetHealthFound {
    target_health_descriptions: Vec<Value>,
}

/// Word, reason and description of a target's health.
fn words(target: Option<&LbTarget>, in_use: bool) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    let Some(target) = target else {
        return ("unused", Some("Target.NotRegistered"), Some("Target is not registered to the target group"));
    };
    match target.phase {
        TargetPhase::Draining => {
            ("draining", Some("Target.DeregistrationInProgress"), Some("Target deregistration is in progress"))
        }
        _ if !in_use => (
            "unused",
            Some("Target.NotInUse"),
            Some("Target group is not configured to receive traffic from the load balancer"),
        ),
        TargetPhase::Initial => {
            ("initial", Some("Elb.InitialHealthChecking"), Some("Initial health checks in progress"))
        }
        TargetPhase::Healthy => ("healthy", None, None),
        TargetPhase::Unhealthy => {
            ("unhealthy", Some("Target.ResponseCodeMismatch"), Some("Health checks failed with these codes: [503]"))
        }
    }
}

pub(super) fn describe_target_health(
    ctx: &mut Ctx<'_>,
    input: DescribeTargetHealth,
) -> Result<TargetHealthFound, AwsError> {
    let state = &ctx.scope.place().elasticloadbalancing;
    let group = state.target_groups.get(&input.target_group_arn).ok_or_else(|| missing("target group"))?;
    let in_use = !state.balancers_of(&group.arn).is_empty();
    let shown = |id: &str, port: u16| {
        let (state, reason, description) = words(group.targets.get(id), in_use);
        json!({
            "Target": { "Id": id, "Port": port },
            "HealthCheckPort": port.to_string(),
            "TargetHealth": { "State": state, "Reason": reason, "Description": description },
        })
    };
    let port = |id: &str| group.targets.get(id).map_or(group.port, |target| target.port);
    let descriptions = match input.targets.as_slice() {
        [] => group.targets.values().map(|target| shown(&target.id, target.port)).collect(),
        asked => {
            asked.iter().map(|target| shown(&target.id, target.port.unwrap_or_else(|| port(&target.id)))).collect()
        }
    };
    Ok(TargetHealthFound { target_health_descriptions: descriptions })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeTargets {
    target_group_arn: String,
    targets: Vec<GivenTarget>,
}

#[derive(Serialize)]
pub(super) struct TargetsChanged {}

fn has_group(ctx: &mut Ctx<'_>, arn: &str) -> Result<(), AwsError> {
    let groups = &ctx.place().elasticloadbalancing.target_groups;
    groups.get(arn).map(|_: &TargetGroup| ()).ok_or_else(|| missing("target group"))
}

pub(super) fn register_targets(ctx: &mut Ctx<'_>, input: ChangeTargets) -> Result<TargetsChanged, AwsError> {
    has_group(ctx, &input.target_group_arn)?;
    for target in &input.targets {
        if ec2::instance(ctx, &target.id).is_none_or(|instance| instance.is_ending()) {
            let message =
                format!("The following targets are not in a running state and cannot be registered: '{}'", target.id);
            return Err(AwsError::new("InvalidTarget", message).shape("InvalidTargetException"));
        }
    }
    for target in &input.targets {
        if health::phase_of(ctx, &input.target_group_arn, &target.id).is_none_or(|phase| phase == TargetPhase::Draining)
        {
            health::register(ctx, &input.target_group_arn, &target.id, target.port, false);
        }
    }
    ctx.touch(input.target_group_arn);
    Ok(TargetsChanged {})
}

pub(super) fn deregister_targets(ctx: &mut Ctx<'_>, input: ChangeTargets) -> Result<TargetsChanged, AwsError> {
    has_group(ctx, &input.target_group_arn)?;
    for target in &input.targets {
        health::deregister(ctx, &input.target_group_arn, &target.id, Taken::Step);
    }
    ctx.touch(input.target_group_arn);
    Ok(TargetsChanged {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeTargetGroupAttributes {
    target_group_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetGroupAttributes {
    attributes: Vec<Value>,
}

pub(super) fn describe_target_group_attributes(
    ctx: &mut Ctx<'_>,
    input: DescribeTargetGroupAttributes,
) -> Result<TargetGroupAttributes, AwsError> {
    let groups = &ctx.scope.place().elasticloadbalancing.target_groups;
    let group = groups.get(&input.target_group_arn).ok_or_else(|| missing("target group"))?;
    let delay = group.deregistration.as_secs().to_string();
    let attributes = [
        ("deregistration_delay.timeout_seconds", delay.as_str()),
        ("load_balancing.algorithm.type", "round_robin"),
        ("slow_start.duration_seconds", "0"),
        ("stickiness.enabled", "false"),
    ];
    let attributes = attributes.map(|(key, value)| json!({ "Key": key, "Value": value })).into();
    Ok(TargetGroupAttributes { attributes })
}

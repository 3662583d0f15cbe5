//! What a group has besides its instances: policies, a warm pool, traffic sources, protection and standby of instances, capacity.
//!
//! The main functions are [`describe_policies`] and [`set_desired_capacity`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::activities::{must_be, no_page};
use super::member::Member;
use super::scaling::demand;
use super::state::{found, group, invalid};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::Empty;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribePolicies {
    auto_scaling_group_name: Option<String>,
    #[serde(default)]
    policy_names: Vec<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PoliciesFound {
    scaling_policies: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_policies(ctx: &mut Ctx<'_>, input: DescribePolicies) -> Result<PoliciesFound, AwsError> {
    let name = input.auto_scaling_group_name.as_ref();
    let groups = ctx.scope.place().autoscaling.groups.values();
    let of = |policy: &Value| policy.get("PolicyName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let found: Vec<(String, Value)> = groups
        .filter(|group| name.is_none_or(|name| *name == group.name))
        .flat_map(|group| {
            group.policies.iter().map(move |policy| (format!("{}/{}", group.name, of(policy)), policy.clone()))
        })
        .filter(|(_, policy)| input.policy_names.is_empty() || input.policy_names.contains(&of(policy)))
        .collect();
    let size = input.max_records.unwrap_or(50).min(100);
    let page = ctx.page("policies", found, size, input.next_token.as_deref(), |(name, _)| name);
    let (page, next_token) = page.map_err(|_| no_page())?;
    Ok(PoliciesFound { scaling_policies: page.into_iter().map(|(_, policy)| policy).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeWarmPool {
    auto_scaling_group_name: String,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WarmPoolFound {
    warm_pool_configuration: Option<Value>,
    instances: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_warm_pool(ctx: &mut Ctx<'_>, input: DescribeWarmPool) -> Result<WarmPoolFound, AwsError> {
    let name = input.auto_scaling_group_name;
    must_be(ctx, &name)?;
    let Some(fleet) = group(ctx, &name).cloned() else { return Err(invalid("Group not found")) };
    let warm = fleet.members.values().filter(|member| member.phase.is_warm());
    let warm: Vec<&Member> = warm.collect();
    let size = input.max_records.unwrap_or(50).min(50);
    let page = ctx.page("warm-pool", warm, size, input.next_token.as_deref(), |member| &member.id);
    let (page, next_token) = page.map_err(|_| no_page())?;
    let instances = page.into_iter().map(Member::shown).collect();
    Ok(WarmPoolFound { warm_pool_configuration: fleet.warm_pool, instances, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeTrafficSources {
    auto_scaling_group_name: String,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TrafficSourcesFound {
    traffic_sources: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_traffic_sources(
    ctx: &mut Ctx<'_>,
    input: DescribeTrafficSources,
) -> Result<TrafficSourcesFound, AwsError> {
    let name = input.auto_scaling_group_name;
    must_be(ctx, &name)?;
    let sources = group(ctx, &name).map(|group| group.target_groups.clone()).unwrap_or_default();
    let size = input.max_records.unwrap_or(50).min(50);
    let page = ctx.page("traffic-sources", sources, size, input.next_token.as_deref(), |arn| arn);
    let (page, next_token) = page.map_err(|_| no_page())?;
    let shown = |arn: String| json!({ "TrafficSource": arn, "State": "InService", "Identifier": arn, "Type": "elbv2" });
    Ok(TrafficSourcesFound { traffic_sources: page.into_iter().map(shown).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetDesiredCapacity {
    auto_scaling_group_name: String,
    desired_capacity: i64,
}

pub(super) fn set_desired_capacity(ctx: &mut Ctx<'_>, input: SetDesiredCapacity) -> Result<Empty, AwsError> {
    let name = input.auto_scaling_group_name;
    let fleet = found(ctx, &name)?;
    let (min, max, arn) = (fleet.min, fleet.max, fleet.arn.clone());
    let desired = usize::try_from(input.desired_capacity).ok().filter(|desired| (min..=max).contains(desired));
    let desired = desired.ok_or_else(|| {
        let asked = input.desired_capacity;
        invalid(format!("New SetDesiredCapacity value {asked} is not between the min value {min} and the max value {max} for the AutoScalingGroup."))
    })?;
    demand(ctx, &name, desired);
    ctx.touch(arn);
    Ok(Empty)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetInstanceProtection {
    auto_scaling_group_name: String,
    instance_ids: Vec<String>,
    protected_from_scale_in: bool,
}

#[derive(Serialize)]
pub(super) struct ProtectionSet {}

pub(super) fn set_instance_protection(
    ctx: &mut Ctx<'_>,
    input: SetInstanceProtection,
) -> Result<ProtectionSet, AwsError> {
    let fleet = found(ctx, &input.auto_scaling_group_name)?;
    let arn = fleet.arn.clone();
    if let Some(absent) = input.instance_ids.iter().find(|id| !fleet.members.contains_key(*id)) {
        return Err(invalid(format!("The instance {absent} is not part of Auto Scaling group {}.", fleet.name)));
    }
    for member in fleet.members.values_mut().filter(|member| input.instance_ids.contains(&member.id)) {
        member.protected = input.protected_from_scale_in;
    }
    ctx.touch(arn);
    Ok(ProtectionSet {})
}

//! What there is: groups and launch configurations.
//!
//! The main function is [`describe_auto_scaling_groups`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::activities::no_page;
use super::configuration::LaunchSource;
use super::group::FleetGroup;
use super::member::Member;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAutoScalingGroups {
    #[serde(default)]
    auto_scaling_group_names: Vec<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GroupsFound {
    auto_scaling_groups: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_auto_scaling_groups(
    ctx: &mut Ctx<'_>,
    input: DescribeAutoScalingGroups,
) -> Result<GroupsFound, AwsError> {
    let names = &input.auto_scaling_group_names;
    let groups: Vec<FleetGroup> = ctx.scope.place().autoscaling.groups.values().cloned().collect();
    let wanted = |group: &FleetGroup| names.is_empty() || names.contains(&group.name) || names.contains(&group.arn);
    let found: Vec<(String, Value)> =
        groups.into_iter().filter(wanted).map(|group| (group.name.clone(), shown(ctx, &group))).collect();
    let size = input.max_records.unwrap_or(50).min(100);
    let page = ctx.page("groups", found, size, input.next_token.as_deref(), |(name, _)| name);
    let (page, next_token) = page.map_err(|_| no_page())?;
    Ok(GroupsFound { auto_scaling_groups: page.into_iter().map(|(_, shown)| shown).collect(), next_token })
}

fn shown(scope: &mut Scope<'_>, group: &FleetGroup) -> Value {
    let (template, policy, configuration) = match group.source.told(scope) {
        LaunchSource::Template(spec) => (Some(spec), None, None),
        LaunchSource::Mixed(policy) => (None, Some(policy), None),
        LaunchSource::Configuration(name) => (None, None, Some(name)),
    };
    let is_warm = |member: &&Member| member.phase.is_warm();
    let members: Vec<Value> = group.members.values().filter(|member| !is_warm(member)).map(Member::shown).collect();
    let warm = group.members.values().filter(is_warm).count();
    let sources: Vec<Value> =
        group.target_groups.iter().map(|arn| json!({ "Identifier": arn, "Type": "elbv2" })).collect();
    let tags: Vec<Value> = group
        .tags
        .iter()
        .map(|(key, value)| {
            json!({
                "ResourceId": group.name, "ResourceType": "auto-scaling-group", "Key": key, "Value": value,
                "PropagateAtLaunch": true,
            })
        })
        .collect();
    let suspended: Vec<Value> = group
        .suspended
        .iter()
        .map(|process| json!({ "ProcessName": process, "SuspensionReason": format!("User suspended at {}", group.created) }))
        .collect();
    let maintenance =
        group.maintenance.map(|(min, max)| json!({ "MinHealthyPercentage": min, "MaxHealthyPercentage": max }));
    let termination = match group.termination_policies.as_slice() {
        [] => vec!["Default".to_owned()],
        told => told.to_vec(),
    };
    json!({
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "LaunchConfigurationName": configuration,
        "LaunchTemplate": template,
        "MixedInstancesPolicy": policy,
        "MinSize": group.min,
        "MaxSize": group.max,
        "DesiredCapacity": group.desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": group.zones,
        "LoadBalancerNames": [],
        "TargetGroupARNs": group.target_groups,
        "HealthCheckType": if group.elb_checked { "ELB" } else { "EC2" },
        "HealthCheckGracePeriod": group.grace.as_secs(),
        "Instances": members,
        "CreatedTime": group.created,
        "SuspendedProcesses": suspended,
        "VPCZoneIdentifier": group.subnets.join(","),
        "EnabledMetrics": [],
        "Tags": tags,
        "TerminationPolicies": termination,
        "NewInstancesProtectedFromScaleIn": false,
        "ServiceLinkedRoleARN": format!(
            "arn:{}:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            scope.at.partition(), scope.at.account
        ),
        "CapacityRebalance": group.capacity_rebalance,
        "DefaultInstanceWarmup": group.warmup.as_secs(),
        "InstanceMaintenancePolicy": maintenance,
        "WarmPoolConfiguration": group.warm_pool,
        "WarmPoolSize": group.warm_pool.as_ref().map(|_| warm),
        "TrafficSources": sources,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeLaunchConfigurations {
    #[serde(default)]
    launch_configuration_names: Vec<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LaunchConfigurationsFound {
    launch_configurations: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_launch_configurations(
    ctx: &mut Ctx<'_>,
    input: DescribeLaunchConfigurations,
) -> Result<LaunchConfigurationsFound, AwsError> {
    let names = &input.launch_configuration_names;
    let all = ctx.scope.place().autoscaling.configurations.values();
    let found: Vec<(String, Value)> = all
        .filter(|one| names.is_empty() || names.contains(&one.name))
        .map(|one| {
            (
                one.name.clone(),
                json!({
                    "LaunchConfigurationName": one.name,
                    "LaunchConfigurationARN": one.arn,
                    "ImageId": one.image,
                    "SecurityGroups": [],
                    "UserData": "",
                    "InstanceType": one.instance_type,
                    "BlockDeviceMappings": [],
                    "InstanceMonitoring": { "Enabled": true },
                    "CreatedTime": one.created,
                    "EbsOptimized": false,
                }),
            )
        })
        .collect();
    let size = input.max_records.unwrap_or(50).min(100);
    let page = ctx.page("launch-configurations", found, size, input.next_token.as_deref(), |(name, _)| name);
    let (page, next_token) = page.map_err(|_| no_page())?;
    let launch_configurations = page.into_iter().map(|(_, shown)| shown).collect();
    Ok(LaunchConfigurationsFound { launch_configurations, next_token })
}

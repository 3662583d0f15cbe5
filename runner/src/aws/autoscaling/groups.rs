//! Groups, their instances and what these are launched of.
//!
//! Every request record about them is an [`Operation`](crate::aws::operation::Operation); [`DescribeAutoScalingGroupsRequest`] is the
//! one that most begins with.

use aws_sdk_autoscaling::types as sdk;
use serde_json::Value;

use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, from_sdk, invalid};
use crate::aws::limits::{Pages, gather};
use crate::aws::names::{self, Given};
use crate::aws::operation::{Read, heads};
use crate::aws::raw_query::RawQuery;
use crate::aws::values::{count, list, millis, word};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_autoscaling::autoscaling::{
    AutoScalingGroup, DescribeAutoScalingGroupsRequest, DescribeAutoScalingGroupsResponse,
    DescribeLaunchConfigurationsRequest, DescribeLaunchConfigurationsResponse, GroupInstance, LaunchConfiguration,
    LaunchTemplate,
};
use crate::types::{Arn, Place};

heads! {
    DescribeAutoScalingGroupsRequest => DescribeAutoScalingGroupsResponse:
        "autoscaling:DescribeAutoScalingGroups" on |_, _| [];
    DescribeLaunchConfigurationsRequest => DescribeLaunchConfigurationsResponse:
        "autoscaling:DescribeLaunchConfigurations" on |_, _| [];
}

/// The most names of one request: more do not fit into its address where somebody writes it there.
const MOST: usize = 50;

/// What the permission to change a group is checked against. Its ARN holds an id that only Auto Scaling knows.
pub(super) fn arn(at: &Place, group: &str) -> Arn {
    names::here(at, "autoscaling", &format!("autoScalingGroup:*:autoScalingGroupName/{group}"))
}

/// Refuse what is not the name of a group.
pub(super) fn check(group: &str) -> Result<(), AwsError> {
    match Given::from(group) {
        Given::Arn(_) => Err(invalid(format_args!("{group:?} is an ARN: Auto Scaling takes the name of a group"))),
        Given::Name(name) => names::check("a group", name, "-_./ +=,@#()[]{}!$&'"),
    }
}

/// Refuse names that no group has, and more than AWS takes.
fn check_all(groups: &[String]) -> Result<(), AwsError> {
    if groups.len() > MOST {
        return Err(invalid(format_args!("the list of groups has {} entries; it takes {MOST} at most", groups.len())));
    }
    groups.iter().try_for_each(|group| check(group))
}

impl Read for DescribeAutoScalingGroupsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_all(&self.names)?;
        let names = (!self.names.is_empty()).then(|| self.names.clone());
        let mut pages = Pages::of("groups");
        while let Some(token) = pages.next()? {
            let raw = RawQuery::received();
            let request = aws.autoscaling().describe_auto_scaling_groups().set_auto_scaling_group_names(names.clone());
            let request = request.max_records(100).set_next_token(token).customize().interceptor(raw.clone());
            let page = request.send().await.map_err(from_sdk)?;
            let mut documents = raw.items("AutoScalingGroups")?.into_iter();
            let groups = list(page.auto_scaling_groups, |one| group(one, documents.next().unwrap_or_default()));
            pages.add(groups, page.next_token);
        }
        let groups = pages.all();
        Ok(DescribeAutoScalingGroupsResponse { groups })
    }
}

/// A group, with what AWS's own answer says of it.
fn group(group: sdk::AutoScalingGroup, mut document: Value) -> AutoScalingGroup {
    document.sort_all_objects();
    let policy = group.instance_maintenance_policy;
    // -1 is how AWS writes that there is no limit.
    let percentage = |given: Option<i32>| given.and_then(|given| u32::try_from(given).ok());
    let tag =
        |tag: sdk::TagDescription| Pair { name: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() };
    AutoScalingGroup {
        name: group.auto_scaling_group_name.unwrap_or_default(),
        arn: group.auto_scaling_group_arn.unwrap_or_default(),
        status: group.status,
        min_size: group.min_size.map_or(0, count),
        max_size: group.max_size.map_or(0, count),
        desired: group.desired_capacity.map_or(0, count),
        launch_template: group.launch_template.map(template),
        launch_configuration: group.launch_configuration_name,
        mixed_instances_policy: document.get("MixedInstancesPolicy").map(Value::to_string),
        instances: list(group.instances, instance),
        target_groups: group.target_group_arns.unwrap_or_default(),
        load_balancers: group.load_balancer_names.unwrap_or_default(),
        health_check: group.health_check_type.unwrap_or_default(),
        grace_seconds: group.health_check_grace_period.map(count),
        warmup_seconds: percentage(group.default_instance_warmup),
        min_healthy_percentage: percentage(policy.as_ref().and_then(|policy| policy.min_healthy_percentage)),
        max_healthy_percentage: percentage(policy.and_then(|policy| policy.max_healthy_percentage)),
        capacity_rebalance: group.capacity_rebalance.unwrap_or(false),
        warm_pool_size: group.warm_pool_size.map(count),
        suspended: list(group.suspended_processes, |process| process.process_name.unwrap_or_default()),
        tags: list(group.tags, tag),
        document: document.to_string(),
    }
}

/// A version of a launch template.
pub(super) fn template(template: sdk::LaunchTemplateSpecification) -> LaunchTemplate {
    LaunchTemplate { id: template.launch_template_id, name: template.launch_template_name, version: template.version }
}

/// An instance of a group or of a warm pool.
pub(super) fn instance(instance: sdk::Instance) -> GroupInstance {
    GroupInstance {
        id: instance.instance_id.unwrap_or_default(),
        instance_type: instance.instance_type,
        zone: instance.availability_zone.unwrap_or_default(),
        state: word(instance.lifecycle_state),
        health: instance.health_status.unwrap_or_default(),
        protected_from_scale_in: instance.protected_from_scale_in.unwrap_or(false),
        launch_template: instance.launch_template.map(template),
        launch_configuration: instance.launch_configuration_name,
        image: instance.image_id,
        weight: instance.weighted_capacity,
    }
}

impl Read for DescribeLaunchConfigurationsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_all(&self.names)?;
        let names = (!self.names.is_empty()).then(|| self.names.clone());
        let request = aws.autoscaling().describe_launch_configurations().set_launch_configuration_names(names);
        let pages = request.max_records(100).into_paginator().send();
        let configurations = gather("launch configurations", pages, |page| {
            list(page.launch_configurations, |found: sdk::LaunchConfiguration| LaunchConfiguration {
                name: found.launch_configuration_name.unwrap_or_default(),
                arn: found.launch_configuration_arn.unwrap_or_default(),
                image: found.image_id.unwrap_or_default(),
                instance_type: found.instance_type.unwrap_or_default(),
                created: millis(found.created_time),
            })
        })
        .await?;
        Ok(DescribeLaunchConfigurationsResponse { configurations })
    }
}

//! What Auto Scaling offers.
//!
//! The main function is [`service`].

use super::state::arn_of;
use super::{activities, describe, hooks, refreshes, settings};
use crate::service::Service;
use crate::services::ServiceId;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .xml("http://autoscaling.amazonaws.com/doc/2011-01-01/")
        .invalid_input("ValidationError")
        .read("DescribeAutoScalingGroups", describe::describe_auto_scaling_groups)
        .read("DescribeLaunchConfigurations", describe::describe_launch_configurations)
        .read("DescribeScalingActivities", activities::describe_scaling_activities)
        .read("DescribeInstanceRefreshes", refreshes::describe_instance_refreshes)
        .write("StartInstanceRefresh", refreshes::start_instance_refresh)
        .on_found(arn_of)
        .needs("DesiredConfiguration", "ec2:RunInstances", "instance/*")
        .write("CancelInstanceRefresh", refreshes::cancel_instance_refresh)
        .on_found(arn_of)
        .write("RollbackInstanceRefresh", refreshes::rollback_instance_refresh)
        .on_found(arn_of)
        .read("DescribeTrafficSources", settings::describe_traffic_sources)
        .read("DescribePolicies", settings::describe_policies)
        .read("DescribeLifecycleHooks", hooks::describe_lifecycle_hooks)
        .read("DescribeWarmPool", settings::describe_warm_pool)
        .write("CompleteLifecycleAction", hooks::complete_lifecycle_action)
        .on_found(arn_of)
        .write("SetDesiredCapacity", settings::set_desired_capacity)
        .on_found(arn_of)
        .write("SetInstanceProtection", settings::set_instance_protection)
        .on_found(arn_of)
}

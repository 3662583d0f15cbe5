//! What this stage asks of Auto Scaling, EC2 and load balancers, a question a function.
//! The main functions are [`group`], [`refresh`] and [`version`].

use kiln_plugin::aws::autoscaling::{
    AutoScalingGroup, DescribeAutoScalingGroupsRequest, DescribeInstanceRefreshesRequest,
    DescribeLifecycleHooksRequest, DescribePoliciesRequest, DescribeScalingActivitiesRequest, DescribeWarmPoolRequest,
    DescribeWarmPoolResponse, InstanceRefresh, LifecycleHook, ScalingActivity, ScalingPolicy,
    describe_auto_scaling_groups, describe_instance_refreshes, describe_lifecycle_hooks, describe_policies,
    describe_scaling_activities, describe_warm_pool,
};
use kiln_plugin::aws::ec2::{
    DescribeImagesRequest, DescribeLaunchTemplateVersionsRequest, LaunchTemplateVersion, describe_images,
    describe_launch_template_versions,
};
use kiln_plugin::aws::elasticloadbalancing::{DescribeTargetHealthRequest, TargetHealth, describe_target_health};
use kiln_plugin::{During, Failure, count};

use crate::config::{Config, Strategy};

/// How many of a group's newest refreshes are looked at.
const NEWEST: u32 = 20;
/// How many of its newest activities.
const ACTIVITIES: u32 = 100;

/// The group.
pub(crate) fn group(config: &Config) -> Result<AutoScalingGroup, Failure> {
    let request = DescribeAutoScalingGroupsRequest { names: vec![config.group.clone()] };
    let response = describe_auto_scaling_groups(&request).during(format!("reading the group {}", config.group))?;
    response.groups.into_iter().find(|group| group.name == config.group).ok_or_else(|| {
        Failure::not_found(format!("there is no Auto Scaling group {}", config.group))
            .help("Correct `group`, or create the group: kiln deploys to groups but makes none.")
    })
}

/// A version of a launch template: a number, `$Latest` or `$Default`.
pub(crate) fn version(template: &str, which: &str) -> Result<LaunchTemplateVersion, Failure> {
    let request =
        DescribeLaunchTemplateVersionsRequest { template: Some(template.to_owned()), versions: vec![which.to_owned()] };
    let what = format!("reading version {which} of the launch template {template}");
    let found = describe_launch_template_versions(&request).during(&what)?.versions.into_iter().next();
    found.ok_or_else(|| Failure::not_found(format!("the launch template {template} has no version {which}")))
}

/// The newest refreshes of the group, the newest first.
pub(crate) fn refreshes(config: &Config) -> Result<Vec<InstanceRefresh>, Failure> {
    let request = DescribeInstanceRefreshesRequest { group: config.group.clone(), ids: Vec::new(), limit: NEWEST };
    let what = format!("reading the refreshes of {}", config.group);
    Ok(describe_instance_refreshes(&request).during(what)?.refreshes)
}

/// A refresh of the group; none where it is not there.
pub(crate) fn refresh(config: &Config, id: &str) -> Result<Option<InstanceRefresh>, Failure> {
    let request = DescribeInstanceRefreshesRequest { group: config.group.clone(), ids: vec![id.to_owned()], limit: 1 };
    let found = describe_instance_refreshes(&request).during(format!("reading the refresh of {}", config.group))?;
    Ok(found.refreshes.into_iter().find(|refresh| refresh.id == id))
}

/// What the group did, newest first.
pub(crate) fn activities(config: &Config) -> Result<Vec<ScalingActivity>, Failure> {
    let request = DescribeScalingActivitiesRequest { group: config.group.clone(), limit: ACTIVITIES };
    let what = format!("reading what {} did", config.group);
    Ok(describe_scaling_activities(&request).during(what)?.activities)
}

/// What its instances wait for when they begin and end.
pub(crate) fn hooks(config: &Config) -> Result<Vec<LifecycleHook>, Failure> {
    let request = DescribeLifecycleHooksRequest { group: config.group.clone() };
    Ok(describe_lifecycle_hooks(&request).during(format!("reading the lifecycle hooks of {}", config.group))?.hooks)
}

/// How it scales.
pub(crate) fn policies(config: &Config) -> Result<Vec<ScalingPolicy>, Failure> {
    let request = DescribePoliciesRequest { group: config.group.clone() };
    Ok(describe_policies(&request).during(format!("reading the scaling policies of {}", config.group))?.policies)
}

/// Its warm pool.
pub(crate) fn warm_pool(config: &Config) -> Result<DescribeWarmPoolResponse, Failure> {
    let request = DescribeWarmPoolRequest { group: config.group.clone() };
    describe_warm_pool(&request).during(format!("reading the warm pool of {}", config.group))
}

/// The targets of each target group of the group, by its name.
pub(crate) fn targets(group: &AutoScalingGroup) -> Result<Vec<(String, Vec<TargetHealth>)>, Failure> {
    let of = |arn: &String| {
        let name = arn.split('/').nth(1).unwrap_or(arn).to_owned();
        let request = DescribeTargetHealthRequest { target_group: arn.clone() };
        let found =
            describe_target_health(&request).during(format!("looking at the health of the targets in {name}"))?;
        Ok::<_, Failure>((name, found.targets))
    };
    group.target_groups.iter().map(of).collect()
}

/// How many of these are healthy, each with the name of its group.
pub(crate) fn healthy(targets: &[(String, Vec<TargetHealth>)]) -> Vec<(String, u32)> {
    let count = |targets: &[TargetHealth]| targets.iter().filter(|target| target.state == "healthy").count();
    targets.iter().map(|(name, targets)| (name.clone(), u32::try_from(count(targets)).unwrap_or(u32::MAX))).collect()
}

/// The AMI must be one that can be launched.
pub(crate) fn must_be_launchable(image: &str, strategy: Strategy) -> Result<(), Failure> {
    let request = DescribeImagesRequest {
        ids: vec![image.to_owned()],
        owners: Vec::new(),
        filters: Vec::new(),
        include_disabled: true,
    };
    let found = describe_images(&request).during(format!("looking for the AMI {image}"))?.images.into_iter().next();
    match found {
        None => Err(Failure::not_found(format!("there is no AMI {image} in this account and region"))
            .help("Distribute the image to this region and share it with this account, or correct `image`.")),
        Some(found) if found.state != "available" => {
            Err(Failure::config(format!("the AMI {image} is {}: no instance can be launched of it", found.state))
                .help("Wait until it is available, or deploy another."))
        }
        Some(found) if strategy == Strategy::ReplaceRootVolume && found.devices.len() > 1 => {
            let volumes = count(found.devices.len(), "volume");
            Err(Failure::config(format!(
                "the AMI {image} has {volumes}, and AWS replaces root volumes by AMIs of one alone"
            ))
            .help("Leave `strategy` out, so that instances are replaced."))
        }
        Some(_) => Ok(()),
    }
}

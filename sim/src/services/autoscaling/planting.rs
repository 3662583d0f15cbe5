//! Puts the groups of a world file into the world.
//!
//! The main function is [`plant`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::configuration::{
    InstancesDistribution, LaunchSource, MixedPolicy, MixedTemplate, TemplateSpec, TypeOverride,
};
use super::events::Event;
use super::group::FleetGroup;
use super::hooks::{HookResult, LifecycleHook};
use super::launching::launch;
use super::member::MemberPhase;
use super::seeds::{GroupSeed, LaunchConfigurationSeed, RefreshSeed};
use super::state::{LaunchConfig, group};
use crate::ctx::Scope;
use crate::services::{ec2, elasticloadbalancing};
use crate::world::World;
use crate::worldfile::{Problems, Span};

/// Put launch configurations and groups into the world.
pub(crate) fn plant(
    world: &mut World,
    configurations: &[LaunchConfigurationSeed],
    groups: &[GroupSeed],
    problems: &mut Problems,
) {
    for (index, seed) in configurations.iter().enumerate() {
        problems.reading("launch-configurations", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if let Err(problem) = configuration(&mut scope, seed) {
            problems.add(&format!("launch-configurations: {}", seed.name), problem);
        }
    }
    for (index, seed) in groups.iter().enumerate() {
        problems.reading("auto-scaling-groups", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if let Err(problem) = fleet(&mut scope, seed) {
            problems.add(&format!("auto-scaling-groups: {}", seed.name), problem);
        }
    }
}

fn configuration(scope: &mut Scope<'_>, seed: &LaunchConfigurationSeed) -> Result<(), String> {
    let id = scope.world.ids.uuid(&format!("autoscaling/configuration/{}", scope.at));
    let name = &seed.name;
    let configuration = LaunchConfig {
        name: name.clone(),
        arn: scope.arn("autoscaling", &format!("launchConfiguration:{id}:launchConfigurationName/{name}")),
        image: ec2::image_named(scope, &seed.image)?,
        instance_type: seed.instance_type.clone(),
        created: scope.now(),
    };
    match scope.place().autoscaling.configurations.insert(name.clone(), configuration) {
        Some(_) => Err("the launch configuration is there twice".to_owned()),
        None => Ok(()),
    }
}

fn spec(name: &str, version: &str) -> TemplateSpec {
    TemplateSpec {
        launch_template_id: None,
        launch_template_name: Some(name.to_owned()),
        version: Some(version.to_owned()),
    }
}

fn source(scope: &mut Scope<'_>, seed: &GroupSeed) -> Result<LaunchSource, String> {
    let source = match (&seed.launch_template, &seed.launch_configuration) {
        (Some(name), None)
            if seed.overrides.is_empty() && seed.on_demand_base.is_none() && seed.on_demand_percentage.is_none() =>
        {
            LaunchSource::Template(spec(name, &seed.version))
        }
        (Some(name), None) => {
            let mut overrides = Vec::new();
            for one in &seed.overrides {
                overrides.push(TypeOverride {
                    instance_type: Some(one.instance_type.clone()),
                    weighted_capacity: None,
                    launch_template_specification: one.launch_template.as_ref().map(|name| spec(name, &one.version)),
                    image_id: one.image.as_ref().map(|image| ec2::image_named(scope, image)).transpose()?,
                });
            }
            LaunchSource::Mixed(MixedPolicy {
                launch_template: MixedTemplate { launch_template_specification: spec(name, &seed.version), overrides },
                instances_distribution: InstancesDistribution {
                    on_demand_allocation_strategy: Some("prioritized".to_owned()),
                    on_demand_base_capacity: Some(seed.on_demand_base.unwrap_or(0)),
                    on_demand_percentage_above_base_capacity: Some(seed.on_demand_percentage.unwrap_or(100)),
                    spot_allocation_strategy: Some("price-capacity-optimized".to_owned()),
                    spot_instance_pools: None,
                    spot_max_price: None,
                },
            })
        }
        (None, Some(name)) => {
            if !scope.place().autoscaling.configurations.contains_key(name) {
                return Err(format!("there is no launch configuration {name:?} beside it"));
            }
            LaunchSource::Configuration(name.clone())
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err("it needs one of `launch-template` and `launch-configuration`".to_owned());
        }
    };
    let specs: Vec<TemplateSpec> = source.specs().into_iter().cloned().collect();
    for spec in specs {
        spec.resolve(scope).map_err(|error| error.message)?;
    }
    Ok(source)
}

fn fleet(scope: &mut Scope<'_>, seed: &GroupSeed) -> Result<(), String> {
    if group(scope, &seed.name).is_some() {
        return Err("the group is there twice".to_owned());
    }
    let mut target_groups = Vec::new();
    for name in &seed.target_groups {
        let arn = elasticloadbalancing::named(scope, name);
        target_groups.push(arn.ok_or_else(|| format!("there is no target group {name:?} beside it"))?);
    }
    let (region, name) = (scope.at.region.clone(), seed.name.clone());
    let mut zones = seed.zones.clone();
    if zones.is_empty() {
        zones = vec![format!("{region}a"), format!("{region}b")];
    }
    for subnet in &seed.subnets {
        ec2::subnet_zone(scope, subnet).ok_or_else(|| format!("there is no subnet {subnet:?} beside it"))?;
    }
    if !seed.subnets.is_empty() {
        zones = seed.subnets.iter().filter_map(|subnet| ec2::subnet_zone(scope, subnet)).collect();
    }
    let id = scope.world.ids.uuid(&format!("autoscaling/group/{}", scope.at));
    let span = |given: Option<Span>, usual: u64| given.map_or(Duration::from_secs(usual), Span::duration);
    let arn = scope.arn("autoscaling", &format!("autoScalingGroup:{id}:autoScalingGroupName/{name}"));
    let group_arn = arn.clone();
    let policies =
        seed.cpu_targets.iter().map(|(policy, target)| policy_of(&name, &group_arn, policy, *target)).collect();
    let fleet = FleetGroup {
        name: name.clone(),
        arn,
        created: scope.now(),
        source: source(scope, seed)?,
        min: seed.min,
        max: seed.max.unwrap_or(seed.desired * 2),
        desired: seed.desired,
        zones,
        subnets: seed.subnets.clone(),
        elb_checked: seed.elb_health_check.unwrap_or(!target_groups.is_empty()),
        target_groups,
        grace: span(seed.grace, 60),
        warmup: span(seed.warmup, 30),
        maintenance: seed.maintenance,
        capacity_rebalance: seed.capacity_rebalance,
        suspended: seed.suspended.clone(),
        termination_policies: Vec::new(),
        tags: seed.tags.clone(),
        members: BTreeMap::new(),
        activities: Vec::new(),
        policies,
        hooks: Vec::new(),
        warm_pool: seed.warm.map(|warm| json!({ "MinSize": warm, "PoolState": "Stopped" })),
        refreshes: Vec::new(),
        held_until: None,
        awaited: None,
    };
    if !(fleet.min..=fleet.max).contains(&fleet.desired) {
        return Err(format!("{} instances are not between {} and {}", fleet.desired, fleet.min, fleet.max));
    }
    scope.place().autoscaling.groups.insert(name.clone(), fleet);
    populate(scope, &seed.name, (seed.desired, seed.standby, seed.warm.unwrap_or(0)), seed.protected)?;
    if let Some(fleet) = group(scope, &name) {
        fleet.hooks = seed
            .hooks
            .iter()
            .map(|hook| LifecycleHook {
                name: hook.name.clone(),
                transition: hook.transition,
                heartbeat: span(hook.timeout, 300),
                default: hook.default.unwrap_or(HookResult::Abandon),
                answers: hook.answers.iter().map(|one| (one.image.clone(), one.after.duration(), one.result)).collect(),
            })
            .collect();
    }
    for demand in &seed.demand {
        scope.schedule(demand.after.duration(), Event::Demand { group: name.clone(), desired: demand.desired });
    }
    foretell(scope, &name, &seed.refreshes);
    Ok(())
}

/// Somebody is going to start these refreshes of a group.
pub(crate) fn foretell(scope: &mut Scope<'_>, name: &str, refreshes: &[RefreshSeed]) {
    for refresh in refreshes {
        let event = Event::Starts { group: name.to_owned(), seed: Box::new(refresh.clone()) };
        scope.schedule(refresh.after.duration(), event);
    }
}

/// The world begins with the instances of a group that a stack has made: as many as the group is to have, or as many as are told.
pub(crate) fn complete(scope: &mut Scope<'_>, name: &str, size: Option<usize>) -> Result<(), String> {
    let Some(fleet) = group(scope, name) else { return Err(format!("it has no group {name:?}")) };
    if let Some(size) = size {
        if !(fleet.min..=fleet.max).contains(&size) {
            return Err(format!("{size} instances are not between {} and {}", fleet.min, fleet.max));
        }
        fleet.desired = size;
    }
    let missing = fleet.desired.saturating_sub(fleet.standing().count());
    populate(scope, name, (missing, 0, 0), 0)
}

fn policy_of(group: &str, arn: &str, name: &str, target: f64) -> Value {
    json!({
        "AutoScalingGroupName": group,
        "PolicyName": name,
        "PolicyARN": format!("{}:policyName/{name}", arn.replacen(":autoScalingGroup:", ":scalingPolicy:", 1)),
        "PolicyType": "TargetTrackingScaling",
        "StepAdjustments": [],
        "Alarms": [],
        "TargetTrackingConfiguration": {
            "PredefinedMetricSpecification": { "PredefinedMetricType": "ASGAverageCPUUtilization" },
            "TargetValue": target,
            "DisableScaleIn": false,
        },
        "Enabled": true,
    })
}

/// Its instances run and are healthy: so many that serve, in standby, and in its warm pool.
fn populate(
    scope: &mut Scope<'_>,
    name: &str,
    (serving, standby, warm): (usize, usize, usize),
    protected: usize,
) -> Result<(), String> {
    let now = scope.now();
    for number in 0..serving + standby + warm {
        if !launch(scope, name, "the world begins", MemberPhase::Pending) {
            let activity =
                group(scope, name).and_then(|group| group.activities.last()).and_then(|last| last.message.clone());
            return Err(activity.unwrap_or_else(|| "its instances cannot be launched".to_owned()));
        }
        let joined = group(scope, name).and_then(|group| {
            group.members.values().find(|member| member.phase == MemberPhase::Pending).map(|member| member.id.clone())
        });
        let Some(id) = joined else { return Err("its instances cannot be launched".to_owned()) };
        let phase = match number {
            _ if number < serving => MemberPhase::InService,
            _ if number < serving + standby => MemberPhase::Standby,
            _ => MemberPhase::WarmedStopped,
        };
        ec2::settle(scope, &id, phase == MemberPhase::WarmedStopped);
        let Some(fleet) = group(scope, name) else { return Ok(()) };
        let (targets, warmup) = (fleet.target_groups.clone(), fleet.warmup);
        if let Some(member) = fleet.members.get_mut(&id) {
            member.phase = phase;
            member.in_service = Some(now.before(warmup));
            member.protected = number < protected;
        }
        if phase == MemberPhase::InService {
            targets.iter().for_each(|target| elasticloadbalancing::register(scope, target, &id, None, true));
        }
    }
    if let Some(fleet) = group(scope, name) {
        fleet.activities.clear();
    }
    Ok(())
}

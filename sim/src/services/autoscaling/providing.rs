//! Groups and policies that CloudFormation makes.
//!
//! The main functions are [`make`], [`update`] and [`leave`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::configuration::{LaunchSource, MixedPolicy, TemplateSpec};
use super::events::Event;
use super::group::FleetGroup;
use super::member::MemberPhase;
use super::refresh::{RefreshAlarms, RefreshPreferences, RefreshStatus};
use super::refreshes::begin_by;
use super::rolling::later;
use super::state::group;
use crate::ctx::Scope;
use crate::services::ec2;
use crate::tags::Tags;

fn text(given: &Value, name: &str) -> Option<String> {
    match given.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn number(given: &Value, name: &str) -> Option<usize> {
    text(given, name)?.parse().ok()
}

fn list(given: &Value, name: &str) -> Vec<String> {
    given
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| Some(one.as_str()?.to_owned()))
        .collect()
}

/// What instances are launched of.
fn source(scope: &mut Scope<'_>, given: &Value) -> Result<LaunchSource, String> {
    let source = match (
        given.get("LaunchTemplate"),
        given.get("MixedInstancesPolicy"),
        text(given, "LaunchConfigurationName"),
    ) {
        (Some(spec), None, None) => {
            LaunchSource::Template(TemplateSpec::deserialize(&texts(spec)).map_err(|error| error.to_string())?)
        }
        (None, Some(policy), None) => {
            LaunchSource::Mixed(MixedPolicy::deserialize(&numbers(policy)).map_err(|error| error.to_string())?)
        }
        (None, None, Some(name)) => LaunchSource::Configuration(name),
        _ => {
            return Err("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.".to_owned());
        }
    };
    let specs: Vec<TemplateSpec> = source.specs().into_iter().cloned().collect();
    for spec in specs {
        spec.resolve(scope).map_err(|error| error.message)?;
    }
    Ok(source)
}

/// A version may stand there as a number.
fn texts(spec: &Value) -> Value {
    let members = spec.as_object().into_iter().flatten();
    Value::Object(members.map(|(name, _)| (name.clone(), json!(text(spec, name)))).collect())
}

/// The numbers of a policy that mixes instances may stand there as texts, and its versions as numbers.
fn numbers(policy: &Value) -> Value {
    const NUMBERS: [&str; 3] = ["OnDemandBaseCapacity", "OnDemandPercentageAboveBaseCapacity", "SpotInstancePools"];
    const TEXTS: [&str; 3] = ["Version", "WeightedCapacity", "SpotMaxPrice"];
    match policy {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| {
                    let told = match value {
                        _ if NUMBERS.contains(&name.as_str()) => json!(number(policy, name)),
                        _ if TEXTS.contains(&name.as_str()) => json!(text(policy, name)),
                        other => numbers(other),
                    };
                    (name.clone(), told)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(numbers).collect()),
        other => other.clone(),
    }
}

/// A group as these properties say, with the state of the one that is there.
fn built(scope: &mut Scope<'_>, name: &str, given: &Value, owner: Tags) -> Result<FleetGroup, String> {
    let old = group(scope, name).cloned();
    let region = scope.at.region.clone();
    let subnets = list(given, "VPCZoneIdentifier");
    let mut zones = list(given, "AvailabilityZones");
    if !subnets.is_empty() {
        zones = subnets.iter().filter_map(|subnet| ec2::subnet_zone(scope, subnet)).collect();
        if zones.len() != subnets.len() {
            return Err(format!("The subnet ID '{}' does not exist", subnets.join(", ")));
        }
    }
    if zones.is_empty() {
        zones = vec![format!("{region}a"), format!("{region}b")];
    }
    let (min, max) = (number(given, "MinSize").unwrap_or(0), number(given, "MaxSize").unwrap_or(0));
    let asked = number(given, "DesiredCapacity");
    // Where nothing is said, what scaling made of it stays.
    let desired = asked.or(old.as_ref().map(|old| old.desired.clamp(min, max.max(min)))).unwrap_or(min);
    if min > max || !(min..=max).contains(&desired) {
        return Err("Desired capacity must be between the specified min size and max size".to_owned());
    }
    let source = source(scope, given)?;
    let mut tags = owner;
    for tag in given.get("Tags").and_then(Value::as_array).into_iter().flatten() {
        tags.insert(text(tag, "Key").unwrap_or_default(), text(tag, "Value").unwrap_or_default());
    }
    let seconds = |name: &str, usual: usize| Duration::from_secs(number(given, name).unwrap_or(usual) as u64);
    let maintenance = given
        .get("InstanceMaintenancePolicy")
        .and_then(|policy| Some((number(policy, "MinHealthyPercentage")?, number(policy, "MaxHealthyPercentage")?)));
    let arn = match &old {
        Some(old) => old.arn.clone(),
        None => {
            let id = scope.world.ids.uuid(&format!("autoscaling/group/{}", scope.at));
            scope.arn("autoscaling", &format!("autoScalingGroup:{id}:autoScalingGroupName/{name}"))
        }
    };
    let fresh = FleetGroup {
        name: name.to_owned(),
        arn,
        created: scope.now(),
        source,
        min,
        max,
        desired,
        zones,
        subnets,
        target_groups: list(given, "TargetGroupARNs"),
        elb_checked: text(given, "HealthCheckType").is_some_and(|kind| kind.contains("ELB")),
        grace: seconds("HealthCheckGracePeriod", 0),
        warmup: seconds("DefaultInstanceWarmup", 0),
        maintenance,
        capacity_rebalance: given.get("CapacityRebalance").is_some_and(|value| value == true),
        suspended: BTreeSet::new(),
        termination_policies: list(given, "TerminationPolicies"),
        tags,
        members: BTreeMap::new(),
        activities: Vec::new(),
        policies: Vec::new(),
        hooks: Vec::new(),
        warm_pool: None,
        refreshes: Vec::new(),
        held_until: None,
        awaited: None,
    };
    Ok(match old {
        None => fresh,
        Some(old) => FleetGroup {
            created: old.created,
            suspended: old.suspended,
            members: old.members,
            activities: old.activities,
            policies: old.policies,
            hooks: old.hooks,
            warm_pool: old.warm_pool,
            refreshes: old.refreshes,
            held_until: old.held_until,
            awaited: None,
            ..fresh
        },
    })
}

/// Make a group: its ARN. Its instances are launched with time.
pub(crate) fn make(scope: &mut Scope<'_>, name: &str, given: &Value, owner: Tags) -> Result<String, String> {
    if group(scope, name).is_some() {
        return Err(format!(
            "AutoScalingGroup by this name already exists - A group with the name {name} already exists"
        ));
    }
    let fleet = built(scope, name, given, owner)?;
    let arn = fleet.arn.clone();
    scope.place().autoscaling.groups.insert(name.to_owned(), fleet);
    scope.schedule(Duration::ZERO, Event::Reconcile { group: name.to_owned() });
    Ok(arn)
}

/// Bring a group to other properties; where what it launches of changes, its instances are replaced as its policy says, or not at all.
pub(crate) fn update(
    scope: &mut Scope<'_>,
    name: &str,
    given: &Value,
    owner: Tags,
    policy: Option<&Value>,
) -> Result<(), String> {
    let Some(old) = group(scope, name).cloned() else {
        return Err(format!("AutoScalingGroup name not found - {name}"));
    };
    let fleet = built(scope, name, given, owner)?;
    let changed = fleet.source != old.source || fleet.subnets != old.subnets;
    let desired = fleet.desired.max(1);
    scope.place().autoscaling.groups.insert(name.to_owned(), fleet);
    given_up(scope, name, old.awaited.as_deref());
    later(scope, name);
    let Some(policy) = policy.filter(|_| changed) else { return Ok(()) };
    let preferences = if let Some(rolling) = policy.get("AutoScalingRollingUpdate") {
        let least = number(rolling, "MinInstancesInService").unwrap_or(0).min(desired);
        let batch = number(rolling, "MaxBatchSize").unwrap_or(1).max(1);
        let healthy = least.max(desired.saturating_sub(batch)) * 100 / desired;
        RefreshPreferences { min_healthy_percentage: Some(healthy), ..RefreshPreferences::default() }
    } else if let Some(refresh) = policy.get("AutoScalingInstanceRefresh") {
        let said = refresh.get("Preferences").cloned().unwrap_or_else(|| refresh.clone());
        let alarms = said.get("AlarmSpecification").map(|alarms| RefreshAlarms { alarms: list(alarms, "Alarms") });
        RefreshPreferences {
            min_healthy_percentage: number(&said, "MinHealthyPercentage"),
            max_healthy_percentage: number(&said, "MaxHealthyPercentage"),
            instance_warmup: number(&said, "InstanceWarmup").map(|seconds| seconds as u64),
            bake_time: number(&said, "BakeTime").map(|seconds| seconds as u64),
            checkpoint_percentages: said
                .get("CheckpointPercentages")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|point| point.as_u64().or_else(|| point.as_str()?.parse().ok()))
                .filter_map(|point| usize::try_from(point).ok())
                .collect(),
            checkpoint_delay: number(&said, "CheckpointDelay").map(|seconds| seconds as u64),
            skip_matching: said.get("SkipMatching").map(|value| value == true || value == "true"),
            alarm_specification: alarms,
            ..RefreshPreferences::default()
        }
    } else {
        return Ok(());
    };
    let id = begin_by(scope, name, preferences).map_err(|error| error.message)?;
    if let Some(fleet) = group(scope, name) {
        fleet.awaited = Some(id);
    }
    Ok(())
}

/// The refresh that an earlier update of the stack began and that goes on still is over: the stack goes elsewhere.
fn given_up(scope: &mut Scope<'_>, name: &str, awaited: Option<&str>) {
    let now = scope.now();
    let Some(refresh) = group(scope, name).and_then(|fleet| fleet.active_mut()) else { return };
    if Some(refresh.id.as_str()) == awaited {
        (refresh.status, refresh.ended, refresh.ahead) = (RefreshStatus::Cancelled, Some(now), 0);
        refresh.reason = Some("Cancelled due to user request.".to_owned());
    }
}

/// How far a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    Settled,
    Moving,
    Failed(String),
    Gone,
}

/// How far a group is with the refresh that its stack waits for. One of somebody else is no business of the stack.
pub(crate) fn progress(scope: &mut Scope<'_>, name: &str) -> Progress {
    let Some(fleet) = group(scope, name) else { return Progress::Gone };
    let Some(awaited) = &fleet.awaited else { return Progress::Settled };
    let Some(refresh) = fleet.refreshes.iter().find(|refresh| refresh.id == *awaited) else {
        return Progress::Settled;
    };
    match refresh.status {
        RefreshStatus::Successful => Progress::Settled,
        status if status.is_active() => Progress::Moving,
        _ => {
            let reason = refresh.reason.clone().unwrap_or_default();
            Progress::Failed(format!("Instance refresh {} did not succeed: {reason}", refresh.id))
        }
    }
}

/// The least, the most and the desired size of a group, and the version that it launches.
pub(crate) fn size(scope: &mut Scope<'_>, name: &str) -> Option<(usize, usize, usize, Option<String>)> {
    let fleet = group(scope, name)?;
    let version = match &fleet.source {
        LaunchSource::Template(spec) => spec.version.clone(),
        LaunchSource::Mixed(policy) => policy.launch_template.launch_template_specification.version.clone(),
        LaunchSource::Configuration(_) => None,
    };
    Some((fleet.min, fleet.max, fleet.desired, version))
}

/// A group goes: first its instances, then itself. Tells whether it is gone.
pub(crate) fn leave(scope: &mut Scope<'_>, name: &str) -> bool {
    let Some(fleet) = group(scope, name) else { return true };
    (fleet.min, fleet.desired) = (0, 0);
    for refresh in fleet.refreshes.iter_mut().filter(|refresh| refresh.status.is_active()) {
        (refresh.status, refresh.ahead) = (RefreshStatus::Cancelled, 0);
    }
    let left: Vec<String> = fleet.members.keys().cloned().collect();
    if left.is_empty() {
        scope.place().autoscaling.groups.remove(name);
        return true;
    }
    for id in left {
        let warm = group(scope, name)
            .and_then(|fleet| fleet.members.get(&id))
            .is_some_and(|member| !matches!(member.phase, MemberPhase::InService | MemberPhase::Terminating));
        if warm {
            super::leaving::end(scope, name, &id);
        }
    }
    later(scope, name);
    group(scope, name).is_none()
}

/// Give a group a policy, or another one: its ARN.
pub(crate) fn make_policy(scope: &mut Scope<'_>, policy: &str, given: &Value) -> Result<String, String> {
    let name = text(given, "AutoScalingGroupName").unwrap_or_default();
    let id = scope.world.ids.uuid(&format!("autoscaling/policy/{}/{name}", scope.at));
    let arn = scope.arn("autoscaling", &format!("scalingPolicy:{id}:autoScalingGroupName/{name}:policyName/{policy}"));
    let Some(fleet) = group(scope, &name) else { return Err(format!("AutoScalingGroup name not found - {name}")) };
    let old = fleet.policies.iter().find(|one| text(one, "PolicyName").as_deref() == Some(policy));
    let arn = old.and_then(|old| text(old, "PolicyARN")).unwrap_or(arn);
    let mut tracking = given.get("TargetTrackingConfiguration").cloned().unwrap_or(Value::Null);
    if let Some(target) = tracking.get("TargetValue").and_then(Value::as_str).and_then(|text| text.parse::<f64>().ok())
        && let Value::Object(members) = &mut tracking
    {
        members.insert("TargetValue".to_owned(), json!(target));
    }
    let shown = json!({
        "AutoScalingGroupName": name, "PolicyName": policy, "PolicyARN": arn,
        "PolicyType": text(given, "PolicyType").unwrap_or_else(|| "SimpleScaling".to_owned()),
        "StepAdjustments": given.get("StepAdjustments").cloned().unwrap_or_else(|| json!([])), "Alarms": [],
        "TargetTrackingConfiguration": tracking, "Enabled": true,
    });
    fleet.policies.retain(|one| text(one, "PolicyName").as_deref() != Some(policy));
    fleet.policies.push(shown);
    Ok(arn)
}

/// A policy goes. Tells whether it was there.
pub(crate) fn forget_policy(scope: &mut Scope<'_>, arn: &str, really: bool) -> bool {
    let mut there = false;
    for fleet in scope.place().autoscaling.groups.values_mut() {
        there |= fleet.policies.iter().any(|policy| text(policy, "PolicyARN").as_deref() == Some(arn));
        if really {
            fleet.policies.retain(|policy| text(policy, "PolicyARN").as_deref() != Some(arn));
        }
    }
    there
}

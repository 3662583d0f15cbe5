//! Load balancers and what belongs to them, that CloudFormation makes.
//!
//! The main functions are [`make_balancer`], [`make_group`], [`make_listener`] and [`make_rule`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::record::TrafficRecord;
use super::state::{LbListener, LbRule, LoadBalancer, TargetGroup};
use crate::ctx::Scope;
use crate::services::ec2;

fn text(given: &Value, name: &str) -> Option<String> {
    match given.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn number(given: &Value, name: &str, usual: u64) -> u64 {
    text(given, name).and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn drawn(scope: &mut Scope<'_>, kind: &str) -> String {
    let kind = format!("elb/{kind}/{}", scope.at);
    scope.world.ids.hex(&kind, 16)
}

/// An attribute of the list `name`, by its key.
fn attribute(given: &Value, name: &str, key: &str) -> Option<String> {
    let all = given.get(name)?.as_array()?;
    let found = all.iter().find(|one| one.get("Key").is_some_and(|found| found == key))?;
    text(found, "Value")
}

/// Make a load balancer, or bring the one of `arn` to other properties: its ARN.
pub(crate) fn make_balancer(
    scope: &mut Scope<'_>,
    name: &str,
    given: &Value,
    arn: Option<&str>,
) -> Result<String, String> {
    let balancers = &scope.place().elasticloadbalancing.load_balancers;
    if arn.is_none() && balancers.values().any(|one| one.name == name) {
        return Err(format!("A load balancer with the same name '{name}' exists, but with different settings"));
    }
    let network = text(given, "Type").as_deref() == Some("network");
    let (kind, short) = if network { ("network", "net") } else { ("application", "app") };
    let subnets: Vec<String> = given
        .get("Subnets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| Some(one.as_str()?.to_owned()))
        .collect();
    let region = scope.at.region.clone();
    let mut zones: Vec<String> = subnets.iter().filter_map(|subnet| ec2::subnet_zone(scope, subnet)).collect();
    let vpc = subnets.iter().find_map(|subnet| ec2::network_of(scope, subnet));
    if zones.is_empty() {
        zones = vec![format!("{region}a"), format!("{region}b")];
    }
    let arn = match arn {
        Some(arn) => arn.to_owned(),
        None => {
            let id = drawn(scope, "load-balancer");
            scope.arn("elasticloadbalancing", &format!("loadbalancer/{short}/{name}/{id}"))
        }
    };
    let balancer = LoadBalancer {
        arn: arn.clone(),
        name: name.to_owned(),
        kind,
        scheme: text(given, "Scheme").unwrap_or_else(|| "internet-facing".to_owned()),
        vpc: vpc.unwrap_or_else(|| "vpc-0a1b2c3d".to_owned()),
        zones,
        created: scope.now(),
    };
    scope.place().elasticloadbalancing.load_balancers.insert(arn.clone(), balancer);
    Ok(arn)
}

/// Make a target group, or bring the one of `arn` to other properties: its ARN.
pub(crate) fn make_group(
    scope: &mut Scope<'_>,
    name: &str,
    given: &Value,
    arn: Option<&str>,
) -> Result<String, String> {
    let old = arn.and_then(|arn| scope.place().elasticloadbalancing.target_groups.get(arn).cloned());
    if arn.is_none() && super::state::named(scope, name).is_some() {
        return Err(format!("A target group with the same name '{name}' exists, but with different settings"));
    }
    let arn = match arn {
        Some(arn) => arn.to_owned(),
        None => {
            let id = drawn(scope, "target-group");
            scope.arn("elasticloadbalancing", &format!("targetgroup/{name}/{id}"))
        }
    };
    let threshold = |name: &str, usual: u64| u32::try_from(number(given, name, usual)).unwrap_or(2);
    let delay = attribute(given, "TargetGroupAttributes", "deregistration_delay.timeout_seconds");
    let delay = delay.and_then(|text| text.parse().ok()).unwrap_or(300);
    let group = TargetGroup {
        arn: arn.clone(),
        name: name.to_owned(),
        protocol: text(given, "Protocol").unwrap_or_else(|| "HTTP".to_owned()),
        port: u16::try_from(number(given, "Port", 80)).unwrap_or(80),
        vpc: text(given, "VpcId").unwrap_or_else(|| "vpc-0a1b2c3d".to_owned()),
        path: text(given, "HealthCheckPath").unwrap_or_else(|| "/".to_owned()),
        interval: Duration::from_secs(number(given, "HealthCheckIntervalSeconds", 30)),
        healthy_threshold: threshold("HealthyThresholdCount", 5),
        unhealthy_threshold: threshold("UnhealthyThresholdCount", 2),
        deregistration: Duration::from_secs(delay),
        targets: old.as_ref().map_or_else(BTreeMap::new, |old| old.targets.clone()),
        record: old.map_or_else(TrafficRecord::default, |old| old.record),
    };
    scope.place().elasticloadbalancing.target_groups.insert(arn.clone(), group);
    Ok(arn)
}

/// Actions as the API shows them: one that forwards to a single group says so twice.
fn actions(given: Option<&Value>) -> Vec<Value> {
    let all = given.and_then(Value::as_array).cloned().unwrap_or_default();
    all.into_iter()
        .map(|mut action| {
            let groups = action.pointer("/ForwardConfig/TargetGroups").and_then(Value::as_array).cloned().unwrap_or_default();
            let alone = action.get("TargetGroupArn").cloned();
            if let Value::Object(members) = &mut action {
                match (alone, groups.as_slice()) {
                    (Some(arn), []) => {
                        members.insert(
                            "ForwardConfig".to_owned(),
                            json!({ "TargetGroups": [{ "TargetGroupArn": arn, "Weight": 1 }], "TargetGroupStickinessConfig": { "Enabled": false } }),
                        );
                    }
                    (None, [only]) => {
                        if let Some(arn) = only.get("TargetGroupArn").cloned() {
                            members.insert("TargetGroupArn".to_owned(), arn);
                        }
                    }
                    _ => {}
                }
            }
            action
        })
        .collect()
}

/// Make a listener, or bring the one of `arn` to other properties: its ARN.
pub(crate) fn make_listener(scope: &mut Scope<'_>, given: &Value, arn: Option<&str>) -> Result<String, String> {
    let balancer = text(given, "LoadBalancerArn").unwrap_or_default();
    if !scope.place().elasticloadbalancing.load_balancers.contains_key(&balancer) {
        return Err(format!("Load balancer '{balancer}' not found"));
    }
    let arn = match arn {
        Some(arn) => arn.to_owned(),
        None => {
            let id = drawn(scope, "listener");
            let path = balancer.split("loadbalancer/").nth(1).unwrap_or_default().to_owned();
            scope.arn("elasticloadbalancing", &format!("listener/{path}/{id}"))
        }
    };
    let listener = LbListener {
        arn: arn.clone(),
        load_balancer: balancer,
        port: u16::try_from(number(given, "Port", 80)).unwrap_or(80),
        protocol: text(given, "Protocol").unwrap_or_else(|| "HTTP".to_owned()),
        actions: actions(given.get("DefaultActions")),
    };
    scope.place().elasticloadbalancing.listeners.insert(arn.clone(), listener);
    Ok(arn)
}

/// Make a rule of a listener, or bring the one of `arn` to other properties: its ARN.
pub(crate) fn make_rule(scope: &mut Scope<'_>, given: &Value, arn: Option<&str>) -> Result<String, String> {
    let listener = match arn {
        Some(arn) => {
            scope.place().elasticloadbalancing.rules.get(arn).map(|rule| rule.listener.clone()).unwrap_or_default()
        }
        None => text(given, "ListenerArn").unwrap_or_default(),
    };
    if !scope.place().elasticloadbalancing.listeners.contains_key(&listener) {
        return Err("One or more listeners not found".to_owned());
    }
    let arn = match arn {
        Some(arn) => arn.to_owned(),
        None => {
            let id = drawn(scope, "rule");
            let path = listener.split(":listener/").nth(1).unwrap_or_default().to_owned();
            scope.arn("elasticloadbalancing", &format!("listener-rule/{path}/{id}"))
        }
    };
    let rule = LbRule {
        arn: arn.clone(),
        listener,
        priority: u32::try_from(number(given, "Priority", 1)).unwrap_or(1),
        conditions: given.get("Conditions").and_then(Value::as_array).cloned().unwrap_or_default(),
        actions: actions(given.get("Actions")),
    };
    scope.place().elasticloadbalancing.rules.insert(arn.clone(), rule);
    Ok(arn)
}

/// Whether something of this ARN is there.
pub(crate) fn is_there(scope: &mut Scope<'_>, arn: &str) -> bool {
    let state = &scope.place().elasticloadbalancing;
    state.load_balancers.contains_key(arn)
        || state.target_groups.contains_key(arn)
        || state.listeners.contains_key(arn)
        || state.rules.contains_key(arn)
}

/// Something of this ARN goes.
pub(crate) fn remove(scope: &mut Scope<'_>, arn: &str) -> Result<(), String> {
    let state = &mut scope.place().elasticloadbalancing;
    if state.target_groups.contains_key(arn) && !state.balancers_of(arn).is_empty() {
        return Err(format!("Target group '{arn}' is currently in use by a listener or a rule"));
    }
    state.rules.retain(|rule, one| rule != arn && one.listener != arn);
    state.listeners.retain(|listener, one| listener != arn && one.load_balancer != arn);
    state.load_balancers.remove(arn);
    state.target_groups.remove(arn);
    Ok(())
}

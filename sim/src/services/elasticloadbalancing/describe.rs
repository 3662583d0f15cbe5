//! What there is: load balancers, listeners, rules and target groups.
//!
//! The main functions are [`describe_load_balancers`] and [`describe_target_groups`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{LbListener, LbRule, LoadBalancer, TargetGroup, invalid, missing};
use crate::ctx::Ctx;
use crate::error::AwsError;

/// The most things of a page.
const PAGE: usize = 400;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeLoadBalancers {
    #[serde(default)]
    load_balancer_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LoadBalancersFound {
    load_balancers: Vec<Value>,
    next_marker: Option<String>,
}

/// Something that is asked for by its ARN or its name.
trait Findable {
    fn arn(&self) -> &str;

    /// Empty for what has none.
    fn name(&self) -> &str;
}

impl Findable for LoadBalancer {
    fn arn(&self) -> &str {
        &self.arn
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Findable for TargetGroup {
    fn arn(&self) -> &str {
        &self.arn
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Findable for LbListener {
    fn arn(&self) -> &str {
        &self.arn
    }

    fn name(&self) -> &str {
        ""
    }
}

impl Findable for LbRule {
    fn arn(&self) -> &str {
        &self.arn
    }

    fn name(&self) -> &str {
        ""
    }
}

/// Those of these ARNs or names, each of which must be there; all, where neither is given.
fn chosen<'a, T: Findable>(
    all: impl Iterator<Item = &'a T>,
    (arns, names): (&[String], &[String]),
    what: &'static str,
) -> Result<Vec<&'a T>, AwsError> {
    if !arns.is_empty() && !names.is_empty() {
        return Err(invalid(format!("You can specify either {what} ARNs or names, not both")));
    }
    if arns.is_empty() && names.is_empty() {
        return Ok(all.collect());
    }
    let is = |one: &T| arns.iter().any(|arn| arn == one.arn()) || names.iter().any(|name| name == one.name());
    let found: Vec<&T> = all.filter(|one| is(one)).collect();
    let wanted = arns.len() + names.len();
    if found.len() < wanted { Err(missing(what)) } else { Ok(found) }
}

fn page(
    ctx: &Ctx<'_>,
    list: &str,
    found: Vec<(String, Value)>,
    size: Option<usize>,
    marker: Option<&str>,
) -> Result<(Vec<Value>, Option<String>), AwsError> {
    let page = ctx.page(list, found, size.unwrap_or(PAGE).min(PAGE), marker, |(arn, _)| arn);
    let (page, next) = page.map_err(|_| invalid("Invalid marker"))?;
    Ok((page.into_iter().map(|(_, value)| value).collect(), next))
}

pub(super) fn describe_load_balancers(
    ctx: &mut Ctx<'_>,
    input: DescribeLoadBalancers,
) -> Result<LoadBalancersFound, AwsError> {
    let all = ctx.scope.place().elasticloadbalancing.load_balancers.values();
    let found = chosen(all, (&input.load_balancer_arns, &input.names), "load balancer")?;
    let found = found.into_iter().map(|one| (one.arn.clone(), one.shown())).collect();
    let (load_balancers, next_marker) = page(ctx, "load-balancers", found, input.page_size, input.marker.as_deref())?;
    Ok(LoadBalancersFound { load_balancers, next_marker })
}

impl LoadBalancer {
    fn shown(&self) -> Value {
        let zones: Vec<Value> = self.zones.iter().map(|zone| json!({ "ZoneName": zone })).collect();
        let region = self.arn.split(':').nth(3).unwrap_or_default();
        let id = self.arn.rsplit('/').next().unwrap_or_default();
        let digits: String = id.chars().take(10).collect();
        json!({
            "LoadBalancerArn": self.arn,
            "DNSName": format!("{}-{digits}.{region}.elb.amazonaws.com", self.name),
            "CanonicalHostedZoneId": "Z1H1FL5HABSF5",
            "CreatedTime": self.created,
            "LoadBalancerName": self.name,
            "Scheme": self.scheme,
            "VpcId": self.vpc,
            "State": { "Code": "active" },
            "Type": self.kind,
            "AvailabilityZones": zones,
            "IpAddressType": "ipv4",
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeListeners {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    listener_arns: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListenersFound {
    listeners: Vec<Value>,
    next_marker: Option<String>,
}

pub(super) fn describe_listeners(ctx: &mut Ctx<'_>, input: DescribeListeners) -> Result<ListenersFound, AwsError> {
    let state = &ctx.scope.place().elasticloadbalancing;
    let found: Vec<&LbListener> = match (&input.load_balancer_arn, input.listener_arns.as_slice()) {
        (Some(balancer), []) => {
            state.load_balancers.get(balancer).ok_or_else(|| missing("load balancer"))?;
            state.listeners.values().filter(|listener| listener.load_balancer == *balancer).collect()
        }
        (None, [_, ..]) => chosen(state.listeners.values(), (&input.listener_arns, &[]), "listener")?,
        _ => return Err(invalid("You must specify either listener ARNs or a load balancer ARN")),
    };
    let shown = |one: &LbListener| {
        json!({
            "ListenerArn": one.arn,
            "LoadBalancerArn": one.load_balancer,
            "Port": one.port,
            "Protocol": one.protocol,
            "DefaultActions": one.actions,
        })
    };
    let found = found.into_iter().map(|one| (one.arn.clone(), shown(one))).collect();
    let (listeners, next_marker) = page(ctx, "listeners", found, input.page_size, input.marker.as_deref())?;
    Ok(ListenersFound { listeners, next_marker })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeRules {
    listener_arn: Option<String>,
    #[serde(default)]
    rule_arns: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RulesFound {
    rules: Vec<Value>,
    next_marker: Option<String>,
}

pub(super) fn describe_rules(ctx: &mut Ctx<'_>, input: DescribeRules) -> Result<RulesFound, AwsError> {
    let state = &ctx.scope.place().elasticloadbalancing;
    let shown = |one: &LbRule| {
        let (priority, conditions, actions) = (one.priority.to_string(), &one.conditions, &one.actions);
        json!({ "RuleArn": one.arn, "Priority": priority, "Conditions": conditions, "Actions": actions, "IsDefault": false })
    };
    let mut found: Vec<(String, Value)> = Vec::new();
    match (&input.listener_arn, input.rule_arns.as_slice()) {
        (Some(listener), []) => {
            let listener = state.listeners.get(listener).ok_or_else(|| missing("listener"))?;
            let mut rules: Vec<&LbRule> = state.rules.values().filter(|rule| rule.listener == listener.arn).collect();
            rules.sort_by_key(|rule| rule.priority);
            found.extend(rules.into_iter().map(|rule| (rule.arn.clone(), shown(rule))));
            // Each listener has a rule for what no other one takes.
            let arn = format!("{}/default", listener.arn.replacen(":listener/", ":listener-rule/", 1));
            found.push((
                arn.clone(),
                json!({
                    "RuleArn": arn, "Priority": "default", "Conditions": [], "Actions": listener.actions, "IsDefault": true,
                }),
            ));
        }
        (None, [_, ..]) => {
            let rules = chosen(state.rules.values(), (&input.rule_arns, &[]), "rule")?;
            found.extend(rules.into_iter().map(|rule| (rule.arn.clone(), shown(rule))));
        }
        _ => return Err(invalid("You must specify either a listener ARN or rule ARNs")),
    }
    let (rules, next_marker) = page(ctx, "rules", found, input.page_size, input.marker.as_deref())?;
    Ok(RulesFound { rules, next_marker })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeTargetGroups {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    target_group_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetGroupsFound {
    target_groups: Vec<Value>,
    next_marker: Option<String>,
}

pub(super) fn describe_target_groups(
    ctx: &mut Ctx<'_>,
    input: DescribeTargetGroups,
) -> Result<TargetGroupsFound, AwsError> {
    let state = &ctx.scope.place().elasticloadbalancing;
    let found = chosen(state.target_groups.values(), (&input.target_group_arns, &input.names), "target group")?;
    if let Some(balancer) = &input.load_balancer_arn {
        state.load_balancers.get(balancer).ok_or_else(|| missing("load balancer"))?;
    }
    let of_balancer = |of: &[String]| input.load_balancer_arn.as_ref().is_none_or(|wanted| of.contains(wanted));
    let found = found
        .into_iter()
        .map(|one| (one, state.balancers_of(&one.arn)))
        .filter(|(_, balancers)| of_balancer(balancers))
        .map(|(one, balancers)| (one.arn.clone(), one.shown(balancers)))
        .collect();
    let (target_groups, next_marker) = page(ctx, "target-groups", found, input.page_size, input.marker.as_deref())?;
    Ok(TargetGroupsFound { target_groups, next_marker })
}

impl TargetGroup {
    fn shown(&self, balancers: Vec<String>) -> Value {
        json!({
            "TargetGroupArn": self.arn,
            "TargetGroupName": self.name,
            "Protocol": self.protocol,
            "Port": self.port,
            "VpcId": self.vpc,
            "HealthCheckProtocol": self.protocol,
            "HealthCheckPort": "traffic-port",
            "HealthCheckEnabled": true,
            "HealthCheckIntervalSeconds": self.interval.as_secs(),
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": self.healthy_threshold,
            "UnhealthyThresholdCount": self.unhealthy_threshold,
            "HealthCheckPath": self.path,
            "Matcher": { "HttpCode": "200" },
            "LoadBalancerArns": balancers,
            "TargetType": "instance",
            "ProtocolVersion": "HTTP1",
            "IpAddressType": "ipv4",
        })
    }
}

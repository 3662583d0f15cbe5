//! Elastic Load Balancing, version 2: load balancers, what they forward to, and how healthy that is.
//!
//! Every request record of the interface `elasticloadbalancing` is an [`Operation`](super::operation::Operation);
//! [`DescribeTargetHealthRequest`] is the plainest.

use aws_sdk_elasticloadbalancingv2::types as sdk;
use serde_json::Value;

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::limits::{Pages, gather};
use super::names::{self, ResourceKind};
use super::operation::{Read, heads};
use super::raw_query::RawQuery;
use super::values::{count, list, optional_word, word};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_elasticloadbalancing::elasticloadbalancing::{
    DescribeListenersRequest, DescribeListenersResponse, DescribeLoadBalancersRequest, DescribeLoadBalancersResponse,
    DescribeRulesRequest, DescribeRulesResponse, DescribeTargetGroupAttributesRequest,
    DescribeTargetGroupAttributesResponse, DescribeTargetGroupsRequest, DescribeTargetGroupsResponse,
    DescribeTargetHealthRequest, DescribeTargetHealthResponse, Forward, Listener, LoadBalancer, Rule, TargetGroup,
    TargetHealth,
};

// Named by ARN: names alone only where a request has a list of its own for them.
const BALANCER: ResourceKind = kind("a load balancer", "loadbalancer/");
const LISTENER: ResourceKind = kind("a listener", "listener/");
const RULE: ResourceKind = kind("a rule", "listener-rule/");
const TARGET_GROUP: ResourceKind = kind("a target group", "targetgroup/");

const fn kind(noun: &'static str, before: &'static str) -> ResourceKind {
    ResourceKind::new("elasticloadbalancing", noun, before, "-")
}

heads! {
    DescribeLoadBalancersRequest => DescribeLoadBalancersResponse:
        "elasticloadbalancing:DescribeLoadBalancers" on |_, _| [];
    DescribeListenersRequest => DescribeListenersResponse: "elasticloadbalancing:DescribeListeners" on |_, _| [];
    DescribeRulesRequest => DescribeRulesResponse: "elasticloadbalancing:DescribeRules" on |_, _| [];
    DescribeTargetGroupsRequest => DescribeTargetGroupsResponse:
        "elasticloadbalancing:DescribeTargetGroups" on |_, _| [];
    DescribeTargetHealthRequest => DescribeTargetHealthResponse:
        "elasticloadbalancing:DescribeTargetHealth" on |_, _| [];
    DescribeTargetGroupAttributesRequest => DescribeTargetGroupAttributesResponse:
        "elasticloadbalancing:DescribeTargetGroupAttributes" on |_, _| [];
}

/// A list of a request, where it is given: an empty one is not sent.
fn given(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// Refuse ARNs of other things, and names that are none. AWS refuses more than one way to say which.
fn check(kind: &ResourceKind, arns: &[String], names: &[String]) -> Result<(), AwsError> {
    if !arns.is_empty() && !names.is_empty() {
        return Err(invalid(format_args!("{} is asked for by ARN or by name, and not by both", kind.noun)));
    }
    arns.iter().try_for_each(|arn| kind.check_arn(arn))?;
    names.iter().try_for_each(|name| names::check(kind.noun, name, kind.letters))
}

impl Read for DescribeLoadBalancersRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&BALANCER, &self.arns, &self.names)?;
        let request = aws.elasticloadbalancing().describe_load_balancers();
        let request = request.set_load_balancer_arns(given(&self.arns)).set_names(given(&self.names));
        let load_balancers = gather("load balancers", request.into_paginator().send(), |page| {
            list(page.load_balancers, |found: sdk::LoadBalancer| {
                let (state, reason) = found.state.map(|state| (state.code, state.reason)).unwrap_or_default();
                LoadBalancer {
                    arn: found.load_balancer_arn.unwrap_or_default(),
                    name: found.load_balancer_name.unwrap_or_default(),
                    kind: word(found.r#type),
                    state: word(state),
                    state_reason: reason,
                    scheme: word(found.scheme),
                    dns_name: found.dns_name.unwrap_or_default(),
                    vpc: found.vpc_id,
                }
            })
        })
        .await?;
        Ok(DescribeLoadBalancersResponse { load_balancers })
    }
}

/// Where actions forward to. An action that names one target group alone says it twice.
fn forwards(actions: Option<Vec<sdk::Action>>) -> Vec<Forward> {
    let of = |action: sdk::Action| {
        let groups = action.forward_config.and_then(|config| config.target_groups).unwrap_or_default();
        let weighed = groups.into_iter().filter_map(|group| {
            Some(Forward { target_group: group.target_group_arn?, weight: group.weight.map_or(1, count) })
        });
        let mut forwards: Vec<Forward> = weighed.collect();
        if let (true, Some(target_group)) = (forwards.is_empty(), action.target_group_arn) {
            forwards.push(Forward { target_group, weight: 1 });
        }
        forwards
    };
    actions.unwrap_or_default().into_iter().flat_map(of).collect()
}

fn document(value: Option<Value>) -> String {
    let mut value = value.unwrap_or_default();
    value.sort_all_objects();
    value.to_string()
}

/// Refuse a question that says both, or neither: the latter would be answered by an error, or by everything.
fn one_way(what: &str, within: Option<&str>, arns: &[String]) -> Result<(), AwsError> {
    match within.is_some() == arns.is_empty() {
        true => Ok(()),
        false => Err(invalid(format_args!("{what} are asked for by what they belong to, or by their ARNs"))),
    }
}

impl Read for DescribeListenersRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        one_way("listeners", self.load_balancer.as_deref(), &self.arns)?;
        check(&LISTENER, &self.arns, &[])?;
        self.load_balancer.iter().try_for_each(|arn| BALANCER.check_arn(arn))?;
        let mut pages = Pages::of("listeners");
        while let Some(marker) = pages.next()? {
            let raw = RawQuery::received();
            let request = aws.elasticloadbalancing().describe_listeners().set_listener_arns(given(&self.arns));
            let request = request.set_load_balancer_arn(self.load_balancer.clone()).set_marker(marker);
            let page = request.customize().interceptor(raw.clone()).send().await.map_err(from_sdk)?;
            let mut documents = raw.items("Listeners")?.into_iter();
            let listeners = list(page.listeners, |found: sdk::Listener| Listener {
                arn: found.listener_arn.unwrap_or_default(),
                load_balancer: found.load_balancer_arn.unwrap_or_default(),
                port: found.port.map(count),
                protocol: optional_word(found.protocol),
                forwards: forwards(found.default_actions),
                document: document(documents.next()),
            });
            pages.add(listeners, page.next_marker);
        }
        let listeners = pages.all();
        Ok(DescribeListenersResponse { listeners })
    }
}

impl Read for DescribeRulesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        one_way("rules", self.listener.as_deref(), &self.arns)?;
        check(&RULE, &self.arns, &[])?;
        self.listener.iter().try_for_each(|arn| LISTENER.check_arn(arn))?;
        let mut pages = Pages::of("rules");
        while let Some(marker) = pages.next()? {
            let raw = RawQuery::received();
            let request = aws.elasticloadbalancing().describe_rules().set_rule_arns(given(&self.arns));
            let request = request.set_listener_arn(self.listener.clone()).set_marker(marker);
            let page = request.customize().interceptor(raw.clone()).send().await.map_err(from_sdk)?;
            let mut documents = raw.items("Rules")?.into_iter();
            let rules = list(page.rules, |found: sdk::Rule| Rule {
                arn: found.rule_arn.unwrap_or_default(),
                priority: found.priority.unwrap_or_default(),
                is_default: found.is_default.unwrap_or(false),
                forwards: forwards(found.actions),
                document: document(documents.next()),
            });
            pages.add(rules, page.next_marker);
        }
        let rules = pages.all();
        Ok(DescribeRulesResponse { rules })
    }
}

impl Read for DescribeTargetGroupsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&TARGET_GROUP, &self.arns, &self.names)?;
        self.load_balancer.iter().try_for_each(|arn| BALANCER.check_arn(arn))?;
        if self.load_balancer.is_some() && !(self.arns.is_empty() && self.names.is_empty()) {
            return Err(invalid("target groups are asked for by their load balancer, or by ARN or name"));
        }
        let request = aws.elasticloadbalancing().describe_target_groups();
        let request = request.set_target_group_arns(given(&self.arns)).set_names(given(&self.names));
        let request = request.set_load_balancer_arn(self.load_balancer.clone());
        let target_groups = gather("target groups", request.into_paginator().send(), |page| {
            list(page.target_groups, |found: sdk::TargetGroup| TargetGroup {
                arn: found.target_group_arn.unwrap_or_default(),
                name: found.target_group_name.unwrap_or_default(),
                kind: word(found.target_type),
                port: found.port.map(count),
                protocol: optional_word(found.protocol),
                load_balancers: found.load_balancer_arns.unwrap_or_default(),
                checked: found.health_check_enabled.unwrap_or(true),
                interval_seconds: found.health_check_interval_seconds.map(count),
                healthy_threshold: found.healthy_threshold_count.map(count),
                unhealthy_threshold: found.unhealthy_threshold_count.map(count),
            })
        })
        .await?;
        Ok(DescribeTargetGroupsResponse { target_groups })
    }
}

impl Read for DescribeTargetHealthRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        TARGET_GROUP.check_arn(&self.target_group)?;
        let request = aws.elasticloadbalancing().describe_target_health().target_group_arn(&self.target_group);
        let output = request.send().await.map_err(from_sdk)?;
        let targets = list(output.target_health_descriptions, |found: sdk::TargetHealthDescription| {
            let target = found.target;
            let health = found.target_health;
            TargetHealth {
                id: target.as_ref().and_then(|target| target.id.clone()).unwrap_or_default(),
                port: target.as_ref().and_then(|target| target.port).map(count),
                zone: target.and_then(|target| target.availability_zone),
                state: word(health.as_ref().and_then(|health| health.state.clone())),
                reason: optional_word(health.as_ref().and_then(|health| health.reason.clone())),
                description: health.and_then(|health| health.description),
            }
        });
        Ok(DescribeTargetHealthResponse { targets })
    }
}

impl Read for DescribeTargetGroupAttributesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        TARGET_GROUP.check_arn(&self.target_group)?;
        let request =
            aws.elasticloadbalancing().describe_target_group_attributes().target_group_arn(&self.target_group);
        let output = request.send().await.map_err(from_sdk)?;
        let attributes = list(output.attributes, |found: sdk::TargetGroupAttribute| Pair {
            name: found.key.unwrap_or_default(),
            value: found.value.unwrap_or_default(),
        });
        Ok(DescribeTargetGroupAttributesResponse { attributes })
    }
}

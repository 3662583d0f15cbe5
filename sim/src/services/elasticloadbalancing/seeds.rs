//! Elastic Load Balancing's part of a world file.
//!
//! The main types are [`LoadBalancerSeed`] and [`TargetGroupSeed`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::record::TrafficRecord;
use super::state::{LbListener, LbRule, LoadBalancer, TargetGroup, TrafficBehaviour, named};
use crate::ctx::Scope;
use crate::world::World;
use crate::worldfile::{Problems, Span};

/// A target group in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TargetGroupSeed {
    /// Its name.
    name: String,
    /// `HTTP`, `TCP`, …
    #[serde(default = "http")]
    protocol: String,
    /// The port of its targets.
    #[serde(default = "eighty")]
    port: u16,
    /// What is asked for by a health check.
    #[serde(default = "root")]
    path: String,
    /// How often it is: every 10 s unless told.
    interval: Option<Span>,
    /// So many good checks make an unhealthy target healthy: 2 unless told.
    healthy_threshold: Option<u32>,
    /// So many bad ones make a target unhealthy: 2 unless told.
    unhealthy_threshold: Option<u32>,
    /// How long a target that is taken out has for the requests that it has: 30 s unless told.
    deregistration_delay: Option<Span>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn http() -> String {
    "HTTP".to_owned()
}

fn eighty() -> u16 {
    80
}

fn root() -> String {
    "/".to_owned()
}

/// A load balancer in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LoadBalancerSeed {
    /// Its name.
    name: String,
    /// Whether it is one of layer 4.
    #[serde(default)]
    network: bool,
    /// Whether it is reached from within its network only.
    #[serde(default)]
    internal: bool,
    /// What it listens to.
    #[serde(default)]
    listeners: Vec<ListenerSeed>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

/// A listener of a load balancer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ListenerSeed {
    /// Its port.
    #[serde(default = "eighty")]
    port: u16,
    /// `HTTP`, `TCP`, …
    #[serde(default = "http")]
    protocol: String,
    /// The weights of target groups, by their names.
    forward: BTreeMap<String, u32>,
    /// What goes elsewhere.
    #[serde(default)]
    rules: Vec<ListenerRuleSeed>,
}

/// A rule of a listener.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ListenerRuleSeed {
    /// Rules are tried in the order of their priorities.
    priority: u32,
    /// A pattern of paths, such as `/api/*`.
    path: String,
    /// The weights of target groups, by their names.
    forward: BTreeMap<String, u32>,
}

/// How what runs of an image answers to health checks, in a world file. One of an image counts before one of all.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TrafficBehaviourSeed {
    /// The image, by its name or id: every image unless told.
    image: Option<String>,
    /// So long after its instance runs it answers well: 10 s unless told.
    healthy_after: Option<Span>,
    /// Whether it never does.
    #[serde(default)]
    never_healthy: bool,
    /// So long after it was put into a target group it does no more; it goes on unless told.
    unhealthy_after: Option<Span>,
    /// The account whose instances: the world's own unless told.
    account: Option<String>,
    /// The region that they are in: the world's own unless told.
    region: Option<String>,
}

/// Put the load balancers of a world file into the world.
pub(crate) fn plant(
    world: &mut World,
    groups: &[TargetGroupSeed],
    balancers: &[LoadBalancerSeed],
    behaviours: &[TrafficBehaviourSeed],
    problems: &mut Problems,
) {
    for (index, seed) in groups.iter().enumerate() {
        problems.reading("target-groups", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if named(&mut scope, &seed.name).is_some() {
            problems.add(&format!("target-groups: {}", seed.name), "the target group is there twice");
            continue;
        }
        let group = group(&mut scope, seed);
        scope.place().elasticloadbalancing.target_groups.insert(group.arn.clone(), group);
    }
    for (index, seed) in balancers.iter().enumerate() {
        problems.reading("load-balancers", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if let Err(problem) = balancer(&mut scope, seed) {
            problems.add(&format!("load-balancers: {}", seed.name), problem);
        }
    }
    for (index, seed) in behaviours.iter().enumerate() {
        problems.reading("traffic-behaviours", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if seed.never_healthy && seed.healthy_after.is_some() {
            problems.add("traffic-behaviours", "one of `healthy-after` and `never-healthy` is enough");
        }
        let usual = TrafficBehaviour::default();
        let healthy_after = match seed.never_healthy {
            true => None,
            false => seed.healthy_after.map(Span::duration).or(usual.healthy_after),
        };
        let unhealthy_after = seed.unhealthy_after.map(Span::duration);
        let behaviour = TrafficBehaviour { image: seed.image.clone(), healthy_after, unhealthy_after };
        scope.place().elasticloadbalancing.behaviours.push(behaviour);
    }
}

fn drawn(scope: &mut Scope<'_>, kind: &str) -> String {
    let kind = format!("elb/{kind}/{}", scope.at);
    scope.world.ids.hex(&kind, 16)
}

fn group(scope: &mut Scope<'_>, seed: &TargetGroupSeed) -> TargetGroup {
    let id = drawn(scope, "target-group");
    let span = |given: Option<Span>, usual: u64| given.map_or(Duration::from_secs(usual), Span::duration);
    TargetGroup {
        arn: scope.arn("elasticloadbalancing", &format!("targetgroup/{}/{id}", seed.name)),
        name: seed.name.clone(),
        protocol: seed.protocol.clone(),
        port: seed.port,
        vpc: "vpc-0a1b2c3d".to_owned(),
        path: seed.path.clone(),
        interval: span(seed.interval, 10),
        healthy_threshold: seed.healthy_threshold.unwrap_or(2),
        unhealthy_threshold: seed.unhealthy_threshold.unwrap_or(2),
        deregistration: span(seed.deregistration_delay, 30),
        targets: BTreeMap::new(),
        record: TrafficRecord::default(),
    }
}

/// What forwards to target groups by weight, as the API shows it.
fn actions(scope: &mut Scope<'_>, weights: &BTreeMap<String, u32>) -> Result<Vec<Value>, String> {
    let mut groups = Vec::new();
    for (name, weight) in weights {
        let arn = named(scope, name).ok_or_else(|| format!("there is no target group {name:?} beside it"))?;
        groups.push(json!({ "TargetGroupArn": arn, "Weight": weight }));
    }
    let alone = match groups.as_slice() {
        [] => return Err("it forwards to nothing".to_owned()),
        [alone] => alone.get("TargetGroupArn").cloned(),
        _ => None,
    };
    Ok(vec![json!({
        "Type": "forward", "Order": 1, "TargetGroupArn": alone,
        "ForwardConfig": { "TargetGroups": groups, "TargetGroupStickinessConfig": { "Enabled": false } },
    })])
}

fn balancer(scope: &mut Scope<'_>, seed: &LoadBalancerSeed) -> Result<(), String> {
    let (id, region) = (drawn(scope, "load-balancer"), scope.at.region.clone());
    let (kind, short) = if seed.network { ("network", "net") } else { ("application", "app") };
    let path = format!("{short}/{}/{id}", seed.name);
    let balancers = &scope.place().elasticloadbalancing.load_balancers;
    if balancers.values().any(|one| one.name == seed.name) {
        return Err("the load balancer is there twice".to_owned());
    }
    let balancer = LoadBalancer {
        arn: scope.arn("elasticloadbalancing", &format!("loadbalancer/{path}")),
        name: seed.name.clone(),
        kind,
        scheme: if seed.internal { "internal" } else { "internet-facing" }.to_owned(),
        vpc: "vpc-0a1b2c3d".to_owned(),
        zones: vec![format!("{region}a"), format!("{region}b")],
        created: scope.now(),
    };
    let load_balancer = balancer.arn.clone();
    scope.place().elasticloadbalancing.load_balancers.insert(load_balancer.clone(), balancer);
    for seed in &seed.listeners {
        let id = drawn(scope, "listener");
        let listener = LbListener {
            arn: scope.arn("elasticloadbalancing", &format!("listener/{path}/{id}")),
            load_balancer: load_balancer.clone(),
            port: seed.port,
            protocol: seed.protocol.clone(),
            actions: actions(scope, &seed.forward)?,
        };
        for rule in &seed.rules {
            let rule_id = drawn(scope, "rule");
            let rule = LbRule {
                arn: scope.arn("elasticloadbalancing", &format!("listener-rule/{path}/{id}/{rule_id}")),
                listener: listener.arn.clone(),
                priority: rule.priority,
                conditions: vec![json!({
                    "Field": "path-pattern", "Values": [rule.path], "PathPatternConfig": { "Values": [rule.path] },
                })],
                actions: actions(scope, &rule.forward)?,
            };
            scope.place().elasticloadbalancing.rules.insert(rule.arn.clone(), rule);
        }
        scope.place().elasticloadbalancing.listeners.insert(listener.arn.clone(), listener);
    }
    Ok(())
}

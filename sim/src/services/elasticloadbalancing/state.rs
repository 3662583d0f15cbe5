//! What Elastic Load Balancing holds.
//!
//! The main types are [`State`] and [`TargetGroup`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::record::TrafficRecord;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;

/// What it holds in an account's region, by ARN.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) load_balancers: BTreeMap<String, LoadBalancer>,
    pub(super) listeners: BTreeMap<String, LbListener>,
    pub(super) rules: BTreeMap<String, LbRule>,
    pub(super) target_groups: BTreeMap<String, TargetGroup>,
    /// How what runs of an image answers to health checks.
    #[serde(skip)]
    pub(super) behaviours: Vec<TrafficBehaviour>,
}

/// A load balancer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LoadBalancer {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) scheme: String,
    pub(super) vpc: String,
    pub(super) zones: Vec<String>,
    pub(super) created: Timestamp,
}

/// A listener.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LbListener {
    pub(super) arn: String,
    pub(super) load_balancer: String,
    pub(super) port: u16,
    pub(super) protocol: String,
    /// As the API shows them.
    pub(super) actions: Vec<Value>,
}

/// A rule of a listener, its default one not among them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LbRule {
    pub(super) arn: String,
    pub(super) listener: String,
    pub(super) priority: u32,
    /// As the API shows them.
    pub(super) conditions: Vec<Value>,
    pub(super) actions: Vec<Value>,
}

/// A target group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TargetGroup {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) port: u16,
    pub(super) vpc: String,
    pub(super) path: String,
    #[serde(skip)]
    pub(super) interval: Duration,
    pub(super) healthy_threshold: u32,
    pub(super) unhealthy_threshold: u32,
    #[serde(skip)]
    pub(super) deregistration: Duration,
    /// By id.
    pub(super) targets: BTreeMap<String, LbTarget>,
    /// What those who take targets away left of the healthy ones.
    pub(super) record: TrafficRecord,
}

/// A target of a group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LbTarget {
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) phase: TargetPhase,
    /// Which registration this is: checks of an earlier one do not count.
    #[serde(skip)]
    pub(super) registration: u64,
}

/// How a target is, where its group is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TargetPhase {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

/// How what runs of an image answers to health checks.
#[derive(Debug, Clone)]
pub(super) struct TrafficBehaviour {
    /// The image's id or name; every image's where there is none.
    pub(super) image: Option<String>,
    /// So long after it began to run it answers well; never, where there is none.
    pub(super) healthy_after: Option<Duration>,
    /// So long after it was registered it does no more.
    pub(super) unhealthy_after: Option<Duration>,
}

impl Default for TrafficBehaviour {
    fn default() -> Self {
        Self { image: None, healthy_after: Some(Duration::from_secs(10)), unhealthy_after: None }
    }
}

impl State {
    /// The ARNs of the load balancers that forward to a target group.
    pub(super) fn balancers_of(&self, group: &str) -> Vec<String> {
        let forwards = |actions: &[Value]| actions.iter().any(|action| mentions(action, group));
        let of_rules = self.rules.values().filter(|rule| forwards(&rule.actions)).map(|rule| rule.listener.as_str());
        let listeners: Vec<&str> = of_rules.collect();
        let mut found: Vec<String> = self
            .listeners
            .values()
            .filter(|listener| forwards(&listener.actions) || listeners.contains(&listener.arn.as_str()))
            .map(|listener| listener.load_balancer.clone())
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

/// Whether a value holds this text.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(members) => members.values().any(|member| mentions(member, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The ARN of the target group of this name.
pub(crate) fn named(scope: &mut Scope<'_>, name: &str) -> Option<String> {
    let mut groups = scope.place().elasticloadbalancing.target_groups.values();
    groups.find(|group| group.name == name).map(|group| group.arn.clone())
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

/// The error of a thing that is not there.
pub(super) fn missing(what: &'static str) -> AwsError {
    let (code, shape, words) = match what {
        "listener" => ("ListenerNotFound", "ListenerNotFoundException", "listeners"),
        "rule" => ("RuleNotFound", "RuleNotFoundException", "rules"),
        "target group" => ("TargetGroupNotFound", "TargetGroupNotFoundException", "target groups"),
        _ => ("LoadBalancerNotFound", "LoadBalancerNotFoundException", "load balancers"),
    };
    AwsError::new(code, format!("One or more {words} not found")).shape(shape)
}

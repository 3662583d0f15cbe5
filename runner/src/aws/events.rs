//! EventBridge: buses, rules and what they start.
//!
//! Every request record of the interface `events` is an [`Operation`](super::operation::Operation); [`ListRulesRequest`] is the plainest.

use aws_sdk_eventbridge::types as sdk;

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::limits::{ITEMS, PAGES, too_many};
use super::names::{self, ResourceKind};
use super::operation::{Read, heads};
use super::values::{list, word};
use crate::contract::bindings::kiln::aws_events::events::{
    EventBus, ListEventBusesRequest, ListEventBusesResponse, ListRulesRequest, ListRulesResponse,
    ListTargetsByRuleRequest, ListTargetsByRuleResponse, Rule, RuleTarget,
};

/// What names of buses and rules may hold besides letters and digits.
const NAME: &str = "-_.";
/// A bus of a partner is named with slashes.
const BUS: ResourceKind = ResourceKind::new("events", "an event bus", "event-bus/", "-_./");
/// A rule of the default bus, whose ARN alone leaves out the bus.
const RULE: ResourceKind = ResourceKind::new("events", "a rule", "rule/", "-_./");

heads! {
    ListEventBusesRequest => ListEventBusesResponse: "events:ListEventBuses" on |_, _| [];
    ListRulesRequest => ListRulesResponse: "events:ListRules" on |_, _| [];
    ListTargetsByRuleRequest => ListTargetsByRuleResponse: "events:ListTargetsByRule" on |it, at| {
        let name = match it.event_bus.as_str() {
            "default" => it.rule.clone(),
            bus => format!("{bus}/{}", it.rule),
        };
        [RULE.arn(at, &name)]
    };
}

/// Follow the pages of a request, for which this service's client has no stream.
macro_rules! pages {
    ($what:literal, $request:expr, $items:ident, $item:expr) => {{
        let (mut all, mut token) = (Vec::new(), None);
        for page in 0.. {
            let answered = $request.clone().set_next_token(token).send().await.map_err(from_sdk)?;
            all.extend(list(answered.$items, $item));
            token = answered.next_token;
            if token.is_none() {
                break;
            }
            // AWS may send empty pages, and an endless row of them must end too.
            if page >= PAGES || all.len() > ITEMS {
                return Err(too_many($what));
            }
        }
        all
    }};
}

/// Refuse an ARN: the permission is checked against a name in the stage's own place.
fn check_names(bus: &str, rule: Option<&str>) -> Result<(), AwsError> {
    if bus.starts_with("arn:") {
        return Err(invalid(format_args!("{bus:?} must be the name of an event bus, not its ARN")));
    }
    BUS.check(bus)?;
    match rule {
        Some(rule) if rule.starts_with("arn:") => {
            Err(invalid(format_args!("{rule:?} must be the name of a rule, not its ARN")))
        }
        Some(rule) => names::check("a rule", rule, NAME),
        None => Ok(()),
    }
}

impl Read for ListEventBusesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let request = aws.events().list_event_buses().set_name_prefix(self.name_prefix.clone()).limit(100);
        let bus =
            |bus: sdk::EventBus| EventBus { name: bus.name.unwrap_or_default(), arn: bus.arn.unwrap_or_default() };
        Ok(ListEventBusesResponse { buses: pages!("event buses", request, event_buses, bus) })
    }
}

impl Read for ListRulesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_names(&self.event_bus, None)?;
        let request = aws.events().list_rules().event_bus_name(&self.event_bus).limit(100);
        let rule = |rule: sdk::Rule| Rule {
            name: rule.name.unwrap_or_default(),
            arn: rule.arn.unwrap_or_default(),
            state: word(rule.state),
            schedule: rule.schedule_expression,
            managed_by: rule.managed_by,
        };
        Ok(ListRulesResponse { rules: pages!("rules", request, rules, rule) })
    }
}

impl Read for ListTargetsByRuleRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_names(&self.event_bus, Some(&self.rule))?;
        let request = aws.events().list_targets_by_rule().event_bus_name(&self.event_bus).rule(&self.rule).limit(100);
        let target = |target: sdk::Target| RuleTarget {
            id: target.id,
            arn: target.arn,
            task_definition: target.ecs_parameters.map(|task| task.task_definition_arn),
        };
        Ok(ListTargetsByRuleResponse { targets: pages!("targets", request, targets, target) })
    }
}

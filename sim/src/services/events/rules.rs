//! Rules, buses and targets.
//!
//! The main functions are [`put_rule`], [`put_targets`] and those that list them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::EventRule;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// The bus that there always is.
pub(super) const DEFAULT: &str = "default";
/// The most items of a page.
const PAGE: usize = 100;

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

fn no_token(_: crate::page::InvalidToken) -> AwsError {
    invalid("The nextToken is not valid.")
}

/// The bus of a call: by name, or by ARN.
fn bus(scope: &mut Scope<'_>, given: Option<&str>) -> Result<String, AwsError> {
    let given = given.unwrap_or(DEFAULT);
    let name = given.rsplit_once(":event-bus/").map_or(given, |(_, name)| name).to_owned();
    if name != DEFAULT && !scope.place().events.buses.contains(&name) {
        return Err(AwsError::new("ResourceNotFoundException", format!("Event bus {name} does not exist.")));
    }
    Ok(name)
}

/// The ARN of a rule: the default bus is left out of it.
pub(super) fn arn_of(scope: &Scope<'_>, bus: &str, rule: &str) -> String {
    let of_bus = if bus == DEFAULT { String::new() } else { format!("{bus}/") };
    scope.arn("events", &format!("rule/{of_bus}{rule}"))
}

/// What IAM checks a call about a rule against.
pub(super) fn rule_arn(scope: &mut Scope<'_>, input: &Value) -> String {
    let text = |member: &str| input.get(member).and_then(Value::as_str);
    let given = text("EventBusName").unwrap_or(DEFAULT);
    let bus = given.rsplit_once(":event-bus/").map_or(given, |(_, name)| name);
    arn_of(scope, bus, text("Rule").or_else(|| text("Name")).unwrap_or("*"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateEventBus {
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BusMade {
    event_bus_arn: String,
}

pub(super) fn create_event_bus(ctx: &mut Ctx<'_>, input: CreateEventBus) -> Result<BusMade, AwsError> {
    let name = input.name;
    if name == DEFAULT || ctx.place().events.buses.contains(&name) {
        let message = format!("Event bus {name} already exists.");
        return Err(AwsError::new("ResourceAlreadyExistsException", message));
    }
    let event_bus_arn = ctx.arn("events", &format!("event-bus/{name}"));
    ctx.place().events.buses.push(name);
    ctx.touch(event_bus_arn.clone());
    Ok(BusMade { event_bus_arn })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListEventBuses {
    name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Buses {
    event_buses: Vec<Bus>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Bus {
    name: String,
    arn: String,
}

pub(super) fn list_event_buses(ctx: &mut Ctx<'_>, input: ListEventBuses) -> Result<Buses, AwsError> {
    let mut names = vec![DEFAULT.to_owned()];
    names.extend(ctx.place().events.buses.iter().cloned());
    names.retain(|name| input.name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str())));
    let buses =
        names.into_iter().map(|name| Bus { arn: ctx.arn("events", &format!("event-bus/{name}")), name }).collect();
    let size = input.limit.unwrap_or(PAGE).min(PAGE);
    let (event_buses, next_token) =
        ctx.page("event-buses", buses, size, input.next_token.as_deref(), |bus: &Bus| &bus.name).map_err(no_token)?;
    Ok(Buses { event_buses, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRule {
    name: String,
    event_bus_name: Option<String>,
    schedule_expression: Option<String>,
    event_pattern: Option<String>,
    state: Option<String>,
    description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RuleMade {
    rule_arn: String,
}

pub(super) fn put_rule(ctx: &mut Ctx<'_>, input: PutRule) -> Result<RuleMade, AwsError> {
    let bus = bus(ctx, input.event_bus_name.as_deref())?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(1..=64).contains(&input.name.len()) || !input.name.chars().all(fits) {
        return Err(invalid(format!("{} is not the name of a rule", input.name)));
    }
    if input.schedule_expression.is_none() && input.event_pattern.is_none() {
        return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if input.schedule_expression.is_some() && bus != DEFAULT {
        return Err(invalid("ScheduleExpression is supported only on the default event bus."));
    }
    let state = input.state.unwrap_or_else(|| "ENABLED".to_owned());
    if !matches!(state.as_str(), "ENABLED" | "DISABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") {
        return Err(invalid(format!("{state} is not the state of a rule")));
    }
    let rule_arn = arn_of(ctx, &bus, &input.name);
    let rule = ctx.place().events.rules.entry(bus).or_default().entry(input.name).or_default();
    rule.schedule = input.schedule_expression;
    rule.pattern = input.event_pattern;
    rule.state = state;
    rule.description = input.description;
    ctx.touch(rule_arn.clone());
    Ok(RuleMade { rule_arn })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListRules {
    name_prefix: Option<String>,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Rules {
    rules: Vec<ListedRule>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedRule {
    name: String,
    arn: String,
    state: String,
    schedule_expression: Option<String>,
    event_pattern: Option<String>,
    description: Option<String>,
    event_bus_name: String,
}

pub(super) fn list_rules(ctx: &mut Ctx<'_>, input: ListRules) -> Result<Rules, AwsError> {
    let bus = bus(ctx, input.event_bus_name.as_deref())?;
    let rules = ctx.place().events.rules.get(&bus).cloned().unwrap_or_default();
    let prefix = input.name_prefix.unwrap_or_default();
    let listed = |(name, rule): (String, EventRule)| ListedRule {
        arn: arn_of(ctx, &bus, &name),
        name,
        state: rule.state,
        schedule_expression: rule.schedule,
        event_pattern: rule.pattern,
        description: rule.description,
        event_bus_name: bus.clone(),
    };
    let rules = rules.into_iter().filter(|(name, _)| name.starts_with(&prefix)).map(listed).collect();
    let (list, size) = (format!("rules:{bus}"), input.limit.unwrap_or(PAGE).min(PAGE));
    let (rules, next_token) =
        ctx.page(&list, rules, size, input.next_token.as_deref(), |rule: &ListedRule| &rule.name).map_err(no_token)?;
    Ok(Rules { rules, next_token })
}

fn rule<'s>(scope: &'s mut Scope<'_>, bus: &str, name: &str) -> Result<&'s mut EventRule, AwsError> {
    let rule = scope.place().events.rules.get_mut(bus).and_then(|rules| rules.get_mut(name));
    let missing = || format!("Rule {name} does not exist on EventBus {bus}.");
    rule.ok_or_else(|| AwsError::new("ResourceNotFoundException", missing()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutTargets {
    rule: String,
    event_bus_name: Option<String>,
    targets: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetsPut {
    failed_entry_count: u64,
    failed_entries: Vec<Value>,
}

pub(super) fn put_targets(ctx: &mut Ctx<'_>, input: PutTargets) -> Result<TargetsPut, AwsError> {
    let bus = bus(ctx, input.event_bus_name.as_deref())?;
    let arn = arn_of(ctx, &bus, &input.rule);
    let text = |target: &Value, member: &str| target.get(member).and_then(Value::as_str).map(str::to_owned);
    let mut targets = Vec::new();
    for target in input.targets {
        let (Some(id), Some(_)) = (text(&target, "Id"), text(&target, "Arn")) else {
            return Err(invalid("A target has an Id and an Arn."));
        };
        targets.push((id, target));
    }
    if !(1..=100).contains(&targets.len()) {
        return Err(invalid("1 to 100 targets can be put."));
    }
    rule(ctx, &bus, &input.rule)?.targets.extend(targets);
    ctx.touch(arn);
    Ok(TargetsPut { failed_entry_count: 0, failed_entries: Vec::new() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTargetsByRule {
    rule: String,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Targets {
    targets: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn list_targets_by_rule(ctx: &mut Ctx<'_>, input: ListTargetsByRule) -> Result<Targets, AwsError> {
    let bus = bus(ctx, input.event_bus_name.as_deref())?;
    let targets: Vec<(String, Value)> = rule(ctx, &bus, &input.rule)?.targets.clone().into_iter().collect();
    let list = format!("targets:{bus}:{}", input.rule);
    let size = input.limit.unwrap_or(PAGE).min(PAGE);
    let (targets, next_token) =
        ctx.page(&list, targets, size, input.next_token.as_deref(), |(id, _)| id).map_err(no_token)?;
    Ok(Targets { targets: targets.into_iter().map(|(_, target)| target).collect(), next_token })
}

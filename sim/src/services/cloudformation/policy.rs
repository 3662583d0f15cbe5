//! Stack policies: which resources an update may change.
//!
//! The main function is [`check`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::execution::ExecutionKind;
use super::properties::Recreation;
use super::stack::StackResource;
use super::state::{invalid, living, stack};
use super::templates::fetched;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Empty;

/// What is done by an update, as policies name it.
fn action(recreation: Recreation) -> &'static str {
    match recreation {
        Recreation::Always => "Update:Replace",
        Recreation::Never | Recreation::Conditionally => "Update:Modify",
    }
}

/// Whether the stack's policy allows an update of a resource.
pub(super) fn check(
    scope: &mut Scope<'_>,
    id: &str,
    resource: &StackResource,
    recreation: Recreation,
) -> Result<(), String> {
    allowed(scope, id, resource, action(recreation))
}

/// Whether the stack's policy allows that what is not among `kept` goes with an update.
pub(super) fn removals(
    scope: &mut Scope<'_>,
    id: &str,
    kept: &BTreeMap<String, BTreeSet<String>>,
) -> Result<(), String> {
    let Some(found) = stack(scope, id) else { return Ok(()) };
    if found.execution.as_ref().is_none_or(|execution| execution.kind != ExecutionKind::Update) {
        return Ok(());
    }
    let gone: Vec<StackResource> =
        found.resources.values().filter(|resource| !kept.contains_key(&resource.logical)).cloned().collect();
    gone.iter().try_for_each(|resource| allowed(scope, id, resource, "Update:Delete"))
}

/// Whether the stack's policy allows what is done with a resource.
pub(super) fn allowed(scope: &mut Scope<'_>, id: &str, resource: &StackResource, action: &str) -> Result<(), String> {
    let Some(found) = stack(scope, id) else { return Ok(()) };
    let during = found.execution.as_ref().and_then(|execution| execution.options.policy.clone());
    let Some(text) = during.or_else(|| found.policy.clone()) else { return Ok(()) };
    let Ok(policy) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
    let statements = match policy.get("Statement") {
        Some(Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let path = format!("LogicalResourceId/{}", resource.logical);
    let refused = |number: Option<usize>| {
        let which = number.map_or(String::new(), |number| format!("Statement [#{number}] "));
        Err(format!("Action denied by stack policy: {which}does not allow [{action}] for resource [{path}]"))
    };
    let mut may = false;
    for (number, statement) in statements.iter().enumerate() {
        if !matches(statement, action, &path, &resource.kind) {
            continue;
        }
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") => return refused(Some(number + 1)),
            _ => may = true,
        }
    }
    if may { Ok(()) } else { refused(None) }
}

fn matches(statement: &Value, action: &str, path: &str, kind: &str) -> bool {
    let any = |name: &str, test: &dyn Fn(&str) -> bool| match statement.get(name) {
        Some(Value::Array(items)) => Some(items.iter().filter_map(Value::as_str).any(test)),
        Some(Value::String(one)) => Some(test(one)),
        _ => None,
    };
    let acts = any("Action", &|pattern| like(pattern, action)).unwrap_or(false)
        || any("NotAction", &|pattern| like(pattern, action)) == Some(false);
    let on = any("Resource", &|pattern| like(pattern, path)).unwrap_or(false)
        || any("NotResource", &|pattern| like(pattern, path)) == Some(false);
    let of_kind = match statement.get("Condition").and_then(|condition| condition.as_object()?.values().next()) {
        Some(condition) => match condition.get("ResourceType") {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).any(|one| like(one, kind)),
            Some(Value::String(one)) => like(one, kind),
            _ => true,
        },
        None => true,
    };
    acts && on && of_kind
}

/// Whether a text is of this pattern, in which `*` stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            after.is_empty() || (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| like(after, rest)))
        }),
    }
}

/// A policy that was given: it must be one.
pub(super) fn given(
    scope: &mut Scope<'_>,
    body: Option<String>,
    url: Option<String>,
) -> Result<Option<String>, AwsError> {
    let text = match (body, url) {
        (Some(body), _) => body,
        (None, Some(url)) => fetched(scope, &url)?,
        (None, None) => return Ok(None),
    };
    let read: Result<Value, _> = serde_json::from_str(&text);
    match read {
        Ok(policy) if policy.get("Statement").is_some() => Ok(Some(text)),
        _ => Err(invalid("Error validating stack policy: Invalid stack policy")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetStackPolicy {
    stack_name: String,
    stack_policy_body: Option<String>,
    #[serde(rename = "StackPolicyURL")]
    stack_policy_url: Option<String>,
}

pub(super) fn set_stack_policy(ctx: &mut Ctx<'_>, input: SetStackPolicy) -> Result<Empty, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    let policy = given(ctx, input.stack_policy_body, input.stack_policy_url)?;
    let policy = policy.ok_or_else(|| invalid("You must specify either StackPolicyBody or StackPolicyURL."))?;
    if let Some(found) = stack(ctx, &id) {
        found.policy = Some(policy);
    }
    ctx.touch(id);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetStackPolicy {
    stack_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PolicyOfStack {
    stack_policy_body: Option<String>,
}

pub(super) fn get_stack_policy(ctx: &mut Ctx<'_>, input: GetStackPolicy) -> Result<PolicyOfStack, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    Ok(PolicyOfStack { stack_policy_body: stack(ctx, &id).and_then(|found| found.policy.clone()) })
}

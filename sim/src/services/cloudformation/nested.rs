//! Stacks within stacks.
//!
//! The main functions are those that a provider needs: [`create`], [`update`], [`delete`] and [`settling`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::engine::{ResourceFate, ResourceTarget};
use super::execution::{ExecutionStage, OnFailure, Options};
use super::prepare::{Asked, prepare};
use super::providers::{Provided, ProviderOrder, Settling};
use super::stack::{Stack, StackPhase, StackResource};
use super::state::{ResourceStep, stack};
use super::{finishing, lifecycle};
use crate::ctx::Scope;

/// The most capabilities: those of the parent count for its children.
fn asked(scope: &mut Scope<'_>, order: &ProviderOrder<'_>) -> Asked {
    let parameters = order.properties.get("Parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(finishing::shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let parent = stack(scope, order.stack).map(|found| (found.goal.capabilities.clone(), found.goal.role.clone()));
    let (capabilities, role) = parent.unwrap_or_default();
    let mut tags = order.tags.clone();
    for tag in order.properties.get("Tags").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        tags.insert(part("Key"), part("Value"));
    }
    Asked {
        body: None,
        url: order.properties.get("TemplateURL").and_then(Value::as_str).map(str::to_owned),
        previous: false,
        parameters: parameters.iter().map(|(name, value)| (name.clone(), Some(text(value)))).collect(),
        capabilities,
        tags: Some(tags),
        role,
        notifications: None,
        triggers: None,
    }
}

/// The name of a nested stack, and its id where it waits for its creation already.
pub(super) fn named(scope: &mut Scope<'_>, parent: &str, name: &str, logical: &str) -> (String, Option<String>) {
    let stem = format!("{name}-{logical}-");
    let waits = |stack: &&Stack| {
        stack.parent.as_deref() == Some(parent)
            && stack.phase == StackPhase::ReviewInProgress
            && stack.name.starts_with(&stem)
    };
    if let Some(found) = scope.place().cloudformation.stacks.values().find(waits) {
        return (found.name.clone(), Some(found.id.clone()));
    }
    let suffix = scope.world.ids.characters(&format!("cloudformation/nested/{parent}"), super::providers::UPPER, 12);
    (format!("{stem}{suffix}").chars().take(128).collect(), None)
}

/// What counts for a nested stack of what was asked for its parent.
fn inherited(scope: &mut Scope<'_>, parent: &str) -> Options {
    let options = stack(scope, parent).and_then(|found| found.execution.as_ref()).map(|execution| &execution.options);
    options.map_or_else(Options::default, |options| Options {
        express: options.express,
        requester: options.requester.clone(),
        retain_except_on_create: options.retain_except_on_create,
        ..Options::default()
    })
}

/// Make a stack for a resource of another one.
pub(super) fn create(scope: &mut Scope<'_>, order: &ProviderOrder<'_>) -> Result<Provided, String> {
    let asked = asked(scope, order);
    let (name, waiting) = named(scope, order.stack, order.name, order.logical);
    let goal = prepare(scope, &name, None, asked).map_err(|error| error.message)?;
    let id = match waiting {
        // A change set made it already, for a review.
        Some(id) => {
            if let Some(found) = stack(scope, &id) {
                found.goal = goal;
            }
            id
        }
        None => lifecycle::admit(scope, &name, goal, StackPhase::CreateInProgress),
    };
    let root = stack(scope, order.stack).and_then(|found| found.root.clone()).unwrap_or_else(|| order.stack.to_owned());
    if let Some(child) = stack(scope, &id) {
        (child.parent, child.root) = (Some(order.stack.to_owned()), Some(root));
    }
    // The parent takes back what its children made.
    let minutes = order.properties.get("TimeoutInMinutes").map(finishing::shown).and_then(|text| text.parse().ok());
    if let Some(child) = stack(scope, &id) {
        child.timeout_minutes = minutes;
    }
    let options = Options { on_failure: OnFailure::Nothing, ..inherited(scope, order.stack) };
    lifecycle::create(scope, &id, None, options);
    Ok(Provided { physical: id, attributes: Map::new() })
}

/// Bring a nested stack to what its parent says now; `back` to what it was before.
pub(super) fn update(
    scope: &mut Scope<'_>,
    order: &ProviderOrder<'_>,
    child: &str,
    back: bool,
) -> Result<Provided, String> {
    let made = Provided { physical: child.to_owned(), attributes: Map::new() };
    let held = stack(scope, child).is_some_and(|found| found.before.is_some());
    if back && held {
        let options = inherited(scope, order.stack);
        lifecycle::resume_rollback(scope, child, None, options, Some("Parent rollback".to_owned()));
        return Ok(made);
    }
    let asked = asked(scope, order);
    let name = stack(scope, child).map(|found| found.name.clone()).ok_or("the nested stack is gone")?;
    let goal = prepare(scope, &name, Some(child), asked).map_err(|error| error.message)?;
    let options = Options { on_failure: OnFailure::Nothing, ..inherited(scope, order.stack) };
    lifecycle::update(scope, child, goal, None, options);
    Ok(made)
}

/// Delete a nested stack.
pub(super) fn delete(scope: &mut Scope<'_>, child: &str) {
    if stack(scope, child).is_some_and(|found| found.is_there()) {
        let options = stack(scope, child)
            .and_then(|found| found.parent.clone())
            .map(|parent| inherited(scope, &parent))
            .unwrap_or_default();
        lifecycle::delete(scope, child, None, options);
    }
}

/// Whether a nested stack is done.
pub(super) fn settling(scope: &mut Scope<'_>, child: &str, step: ResourceStep) -> Settling {
    let Some(found) = stack(scope, child) else { return Settling::Failed("the nested stack is gone".to_owned()) };
    let held = found.execution.as_ref().is_some_and(|execution| execution.stage == ExecutionStage::Held);
    let reason = || found.reason.clone().unwrap_or_default();
    match (found.phase, step) {
        (StackPhase::CreateComplete | StackPhase::UpdateComplete | StackPhase::UpdateRollbackComplete, _) => {
            Settling::Done
        }
        (StackPhase::UpdateCompleteCleanup, _) if held => Settling::Done,
        (StackPhase::DeleteComplete, ResourceStep::Delete) => Settling::Done,
        (StackPhase::CreateFailed | StackPhase::RollbackComplete | StackPhase::RollbackFailed, _) => {
            Settling::Failed(format!("Embedded stack {child} was not successfully created: {}", reason()))
        }
        (StackPhase::UpdateFailed | StackPhase::UpdateRollbackFailed, _) => {
            Settling::Failed(format!("Embedded stack {child} was not successfully updated: {}", reason()))
        }
        (StackPhase::DeleteFailed, _) => {
            Settling::Failed(format!("Embedded stack {child} was not successfully deleted: {}", reason()))
        }
        _ => Settling::Wait,
    }
}

/// The outputs of a nested stack, as attributes.
pub(super) fn attributes(scope: &mut Scope<'_>, child: &str) -> Map<String, Value> {
    let outputs = stack(scope, child).map(|found| found.outputs.clone()).unwrap_or_default();
    outputs.into_iter().map(|output| (format!("Outputs.{}", output.output_key), json!(output.output_value))).collect()
}

/// The children of a stack that wait for it go on.
pub(super) fn release(scope: &mut Scope<'_>, id: &str) {
    let Some(found) = stack(scope, id) else { return };
    let is_child = |resource: &&StackResource| resource.kind == "AWS::CloudFormation::Stack";
    let children: BTreeSet<String> =
        found.resources.values().filter(is_child).filter_map(|resource| resource.physical.clone()).collect();
    for child in children {
        let held = stack(scope, &child)
            .and_then(|found| found.execution.as_ref())
            .is_some_and(|execution| execution.stage == ExecutionStage::Held);
        if held {
            finishing::clear(scope, &child);
        }
    }
}

/// Whether a nested stack is to be another one, though its resource says the same: its template may have changed.
pub(super) fn differs(scope: &mut Scope<'_>, id: &str, old: &StackResource, target: &ResourceTarget) -> bool {
    let Some(child) = old.physical.clone() else { return true };
    let Some(found) = stack(scope, id) else { return false };
    let (name, tags) = (found.name.clone(), found.goal.tags.clone());
    let order = ProviderOrder {
        stack: id,
        name: &name,
        logical: &old.logical,
        kind: &old.kind,
        properties: &target.properties,
        said: &target.said,
        tags: &tags,
    };
    let asked = asked(scope, &order);
    let Some(own) = stack(scope, &child).map(|found| found.goal.clone()) else { return true };
    let goal = prepare(scope, order.name, Some(&child), asked);
    goal.map_or(true, |goal| goal.text != own.text || goal.parameters != own.parameters || goal.tags != own.tags)
}

/// The nested stacks of a stack that are what their resources say.
pub(super) fn steady(scope: &mut Scope<'_>, id: &str) -> BTreeSet<String> {
    let Some(found) = stack(scope, id) else { return BTreeSet::new() };
    let nested = |resource: &&StackResource| resource.kind == "AWS::CloudFormation::Stack" && resource.is_made();
    let resources: Vec<StackResource> = found.resources.values().filter(nested).cloned().collect();
    let as_it_is = |scope: &mut Scope<'_>, old: &StackResource| {
        let (properties, said) = (old.properties.clone(), old.said.clone());
        let target = ResourceTarget { properties, said, replaces: false, fate: ResourceFate::default(), since: None };
        !differs(scope, id, old, &target)
    };
    resources.into_iter().filter(|old| as_it_is(scope, old)).map(|old| old.logical).collect()
}

/// The parameters of a nested stack, for a plan of it.
pub(super) fn parameters(properties: &Value) -> BTreeMap<String, Option<String>> {
    let given = properties.get("Parameters").and_then(Value::as_object);
    given.into_iter().flatten().map(|(name, value)| (name.clone(), Some(finishing::shown(value)))).collect()
}

//! What happens to stacks and to their resources, written down.
//!
//! The main functions are [`tell`] and [`tell_stack`].

use super::stack::{ResourcePhase, StackEvent, StackPhase, StackResource};
use super::state::stack;
use crate::ctx::Scope;

/// Tell that something happened to a stack's resource.
pub(super) fn tell(scope: &mut Scope<'_>, id: &str, logical: &str, phase: ResourcePhase, reason: Option<String>) {
    let now = scope.now();
    let Some(found) = stack(scope, id) else { return };
    let Some(resource) = found.resources.get_mut(logical) else { return };
    (resource.phase, resource.reason, resource.updated) = (phase, reason.clone(), now);
    let copy = resource.clone();
    record(scope, id, &copy, phase, reason);
}

/// Write down that something happened to a thing of a stack, whether or not it is one of its resources still.
pub(super) fn record(
    scope: &mut Scope<'_>,
    id: &str,
    resource: &StackResource,
    phase: ResourcePhase,
    reason: Option<String>,
) {
    let now = scope.now();
    let Some(found) = stack(scope, id) else { return };
    let (token, operation) =
        found.execution.as_ref().map(|one| (one.token.clone(), one.id.clone())).unwrap_or_default();
    let number = found.happened.len();
    found.happened.push(StackEvent {
        id: format!("{}-{}-{now}-{number}", resource.logical, phase.text()),
        at: now,
        logical: resource.logical.clone(),
        physical: resource.physical.clone().unwrap_or_default(),
        kind: resource.kind.clone(),
        status: phase.text(),
        reason,
        properties: Some(resource.properties.to_string()),
        token,
        operation,
        detailed: None,
    });
}

/// Tell that something happened to a stack.
pub(super) fn tell_stack(scope: &mut Scope<'_>, id: &str, phase: StackPhase, reason: Option<String>) {
    let now = scope.now();
    let event = scope.world.ids.uuid(&format!("cloudformation/event/{}", scope.at));
    let Some(found) = stack(scope, id) else { return };
    (found.phase, found.reason) = (phase, reason.clone());
    let (token, operation) =
        found.execution.as_ref().map(|one| (one.token.clone(), one.id.clone())).unwrap_or_default();
    found.happened.push(StackEvent {
        id: event,
        at: now,
        logical: found.name.clone(),
        physical: found.id.clone(),
        kind: "AWS::CloudFormation::Stack".to_owned(),
        status: phase.text(),
        reason,
        properties: None,
        token,
        operation,
        detailed: None,
    });
}

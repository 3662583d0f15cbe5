//! Makes or changes the thing of a resource, and takes down what came of it.
//!
//! The main functions are [`provided`] and [`taken`].

use super::engine::ResourceTarget;
use super::permissions::{self, PermissionAsked};
use super::properties::dynamic;
use super::providers::{self, Provided, ProviderOrder};
use super::stack::{ResourcePhase, StackResource};
use super::state::{ResourceStep, stack};
use super::telling::tell;
use crate::ctx::Scope;

/// Bring the thing of a resource to its target, if whoever acts for the stack may; `back` to what it was before.
pub(super) fn provided(
    scope: &mut Scope<'_>,
    id: &str,
    resource: &StackResource,
    target: &ResourceTarget,
    (step, back): (ResourceStep, bool),
) -> Result<Provided, String> {
    let Some(found) = stack(scope, id) else { return Err("the stack is gone".to_owned()) };
    let (name, tags) = (found.name.clone(), found.goal.tags.clone());
    let properties = dynamic(scope, target.properties.clone())?;
    let StackResource { logical, kind, physical, .. } = resource;
    let creates = step == ResourceStep::Create || target.replaces;
    let asked = PermissionAsked {
        kind,
        logical,
        step: if creates { ResourceStep::Create } else { step },
        properties: &properties,
        physical: physical.as_deref().filter(|_| !creates),
    };
    permissions::check(scope, id, &asked)?;
    let order = ProviderOrder {
        stack: id,
        name: &name,
        logical,
        kind,
        properties: &properties,
        said: &target.said,
        tags: &tags,
    };
    match creates {
        true => providers::create(scope, &order),
        false => providers::update(scope, &order, resource, back),
    }
}

/// A resource is what was made of it; what it replaces is to be deleted in the end.
pub(super) fn taken(
    scope: &mut Scope<'_>,
    id: &str,
    old: &StackResource,
    target: &ResourceTarget,
    (step, made): (ResourceStep, Provided),
) {
    let now = scope.now();
    let Some(found) = stack(scope, id) else { return };
    if let Some(execution) = &mut found.execution {
        if target.replaces {
            execution.discard(old.clone(), false, true);
        }
        if let Some(target) = execution.targets.get_mut(&old.logical) {
            target.since = Some(now);
        }
    }
    let Some(resource) = found.resources.get_mut(&old.logical) else { return };
    resource.physical = Some(made.physical);
    let early = resource.attributes.remove("Signals");
    resource.attributes = made.attributes;
    resource.attributes.extend(early.map(|signals| ("Signals".to_owned(), signals)));
    (resource.properties, resource.said) = (target.properties.clone(), target.said.clone());
    let phase = match (step, target.replaces) {
        (ResourceStep::Create, _) => ResourcePhase::CreateInProgress,
        (ResourceStep::Update | ResourceStep::Delete, true) => ResourcePhase::UpdateInProgress,
        (ResourceStep::Update | ResourceStep::Delete, false) => return,
    };
    tell(scope, id, &old.logical, phase, Some("Resource creation Initiated".to_owned()));
}

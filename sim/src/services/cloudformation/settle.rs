//! Stacks that are complete when the world begins.
//!
//! The main function is [`at_once`].

use std::collections::BTreeSet;

use super::execution::{ExecutionKind, Options};
use super::providers::{self, ProviderOrder};
use super::stack::{Before, ResourcePhase, StackPhase, StackResource};
use super::state::stack;
use super::{engine, finishing, lifecycle, properties, telling};
use crate::ctx::Scope;

/// Make all resources of a stack that was admitted, without time.
pub(super) fn at_once(scope: &mut Scope<'_>, id: &str, kind: ExecutionKind, options: Options) -> Result<(), String> {
    let needs = properties::needs_of(scope, id);
    lifecycle::enter(scope, id, kind, None, options);
    let mut left: BTreeSet<String> = engine::made_of(scope, id)?;
    while !left.is_empty() {
        let free = |name: &&String| needs.get(*name).is_none_or(|needs| !needs.iter().any(|need| left.contains(need)));
        let Some(logical) = left.iter().find(free).cloned() else {
            return Err("its resources need one another".to_owned());
        };
        left.remove(&logical);
        make(scope, id, &logical)?;
    }
    let outputs = finishing::outputs(scope, id)?;
    if let Some(found) = stack(scope, id) {
        found.outputs = outputs;
        found.execution = None;
    }
    Ok(())
}

fn make(scope: &mut Scope<'_>, id: &str, logical: &str) -> Result<(), String> {
    let (declared, said) = properties::computed(scope, id, logical)?;
    let read = properties::dynamic(scope, declared.clone())?;
    let needs = engine::needs(scope, id, logical);
    let Some(found) = stack(scope, id) else { return Ok(()) };
    let (name, tags) = (found.name.clone(), found.goal.tags.clone());
    let kind = found.goal.template.resources.get(logical).map(|resource| resource.kind.clone()).unwrap_or_default();
    let order =
        ProviderOrder { stack: id, name: &name, logical, kind: &kind, properties: &read, said: &said, tags: &tags };
    let made = providers::create(scope, &order)?;
    let resource = StackResource {
        logical: logical.to_owned(),
        kind: kind.clone(),
        physical: Some(made.physical),
        phase: ResourcePhase::CreateComplete,
        reason: None,
        updated: scope.now(),
        properties: declared,
        attributes: made.attributes,
        said,
        needs,
        drift: None,
    };
    providers::hasten(scope, &resource)?;
    if let Some(found) = stack(scope, id) {
        found.resources.insert(logical.to_owned(), resource);
    }
    Ok(())
}

/// How a stack was left.
pub(super) fn left(scope: &mut Scope<'_>, id: &str, phase: StackPhase, reason: Option<String>) {
    telling::tell_stack(scope, id, phase, reason);
    let Some(found) = stack(scope, id) else { return };
    match phase {
        StackPhase::UpdateRollbackFailed | StackPhase::UpdateFailed => {
            let before =
                Before { goal: found.goal.clone(), outputs: found.outputs.clone(), resources: found.resources.clone() };
            found.before = Some(Box::new(before));
        }
        StackPhase::RollbackComplete | StackPhase::DeleteComplete => {
            let resources: Vec<StackResource> = found.resources.values().cloned().collect();
            for resource in resources {
                // A world file that contradicts itself here is one whose stack never was.
                let _ = providers::delete(scope, id, &resource);
            }
            if let Some(found) = stack(scope, id) {
                found.outputs.clear();
                for resource in found.resources.values_mut() {
                    resource.phase = ResourcePhase::DeleteComplete;
                }
            }
        }
        _ => {}
    }
}

//! How operations on stacks end.
//!
//! The main functions are [`all_made`] and [`cleared`].

use std::collections::BTreeSet;
use std::time::Duration;

use kiln_template::Evaluation;
use serde_json::Value;

use super::engine::fail_stack;
use super::events::Event;
use super::execution::{ExecutionKind, ExecutionStage};
use super::facts::{self, StackFacts};
use super::stack::{StackOutput, StackPhase};
use super::state::stack;
use super::telling::tell_stack;
use super::{changesets, deleting, exports, nested};
use crate::ctx::Scope;

/// All is made and changed.
pub(super) fn all_made(scope: &mut Scope<'_>, id: &str) {
    let kind = match stack(scope, id).and_then(|found| found.execution.as_ref()) {
        Some(execution) if execution.stage == ExecutionStage::Making => execution.kind,
        _ => return,
    };
    if kind == ExecutionKind::UpdateRollback {
        return back(scope, id);
    }
    match outputs(scope, id) {
        Ok(outputs) => {
            if let Some(reason) = exports::refused(scope, id, &outputs) {
                return fail_stack(scope, id, reason);
            }
            if let Some(found) = stack(scope, id) {
                found.outputs = outputs;
            }
        }
        Err(reason) => return fail_stack(scope, id, reason),
    }
    let Some(found) = stack(scope, id) else { return };
    let minutes = match found.goal.triggers.rollback_triggers.is_empty() {
        true => 0,
        false => found.goal.triggers.monitoring_time_in_minutes.unwrap_or(0),
    };
    let Some(execution) = &mut found.execution else { return };
    execution.stage = ExecutionStage::Monitoring;
    let turn = execution.turn;
    match minutes {
        0 => monitored(scope, id, turn),
        minutes => scope.schedule(Duration::from_secs(minutes * 60), Event::Monitored { stack: id.to_owned(), turn }),
    }
}

/// Nothing went wrong while alarms were watched.
pub(super) fn monitored(scope: &mut Scope<'_>, id: &str, turn: u64) {
    let Some(found) = stack(scope, id) else { return };
    let is_nested = found.parent.is_some();
    let Some(execution) = &mut found.execution else { return };
    if execution.turn != turn || execution.stage != ExecutionStage::Monitoring {
        return;
    }
    match execution.kind {
        ExecutionKind::Create => finish(scope, id, StackPhase::CreateComplete, None),
        ExecutionKind::Update => {
            execution.stage = if is_nested { ExecutionStage::Held } else { ExecutionStage::Clearing };
            tell_stack(scope, id, StackPhase::UpdateCompleteCleanup, None);
            if !is_nested {
                clear(scope, id);
            }
        }
        ExecutionKind::Delete | ExecutionKind::Rollback | ExecutionKind::UpdateRollback => {}
    }
}

/// Delete what an update left over: what was replaced, and what the template has no more.
pub(super) fn clear(scope: &mut Scope<'_>, id: &str) {
    nested::release(scope, id);
    let made = made(scope, id);
    let Some(found) = stack(scope, id) else { return };
    let Some(execution) = &mut found.execution else { return };
    execution.stage = ExecutionStage::Clearing;
    let gone = found.resources.values().filter(|resource| !made.contains(&resource.logical)).cloned();
    for resource in gone.collect::<Vec<_>>() {
        execution.discard(resource, false, false);
    }
    deleting::start(scope, id);
}

/// The logical ids of what the stack is to have.
fn made(scope: &mut Scope<'_>, id: &str) -> BTreeSet<String> {
    let at = scope.at.clone();
    let state = &scope.place().cloudformation;
    let Some(found) = state.stacks.get(id) else { return BTreeSet::new() };
    let facts = StackFacts::of(&found.goal, &found.resources, Some(state), &at, (&found.name, &found.id));
    let made = Evaluation::new(&found.goal.template, &facts).made();
    made.map_or_else(
        |_| found.resources.keys().cloned().collect(),
        |made| made.into_iter().map(str::to_owned).collect(),
    )
}

/// An update is taken back: what it made is deleted.
fn back(scope: &mut Scope<'_>, id: &str) {
    tell_stack(scope, id, StackPhase::UpdateRollbackCleanup, None);
    nested::release(scope, id);
    let Some(found) = stack(scope, id) else { return };
    let before = found.before.clone();
    let known = |logical: &String| before.as_ref().is_some_and(|before| before.resources.contains_key(logical));
    let Some(execution) = &mut found.execution else { return };
    execution.stage = ExecutionStage::Clearing;
    for resource in found.resources.values().filter(|resource| !known(&resource.logical)) {
        execution.discard(resource.clone(), false, false);
    }
    if let Some(before) = &before {
        found.outputs = before.outputs.clone();
    }
    deleting::start(scope, id);
}

/// What is left over is deleted, as far as it can be.
pub(super) fn cleared(scope: &mut Scope<'_>, id: &str) {
    let Some(found) = stack(scope, id) else { return };
    let Some(execution) = &found.execution else { return };
    let failed = execution.failed.join(", ");
    let reason = (!failed.is_empty()).then(|| format!("The following resource(s) failed to delete: [{failed}]. "));
    let (kind, force) = (execution.kind, execution.options.force);
    let phase = match (kind, &reason) {
        (ExecutionKind::Create | ExecutionKind::Update, _) => StackPhase::UpdateComplete,
        (ExecutionKind::UpdateRollback, _) => StackPhase::UpdateRollbackComplete,
        (ExecutionKind::Rollback, None) => StackPhase::RollbackComplete,
        (ExecutionKind::Rollback, Some(_)) => StackPhase::RollbackFailed,
        (ExecutionKind::Delete, Some(_)) if !force => StackPhase::DeleteFailed,
        (ExecutionKind::Delete, _) => StackPhase::DeleteComplete,
    };
    // What an update could not delete is AWS's to try again, and none of the stack's any more.
    if matches!(kind, ExecutionKind::Update | ExecutionKind::UpdateRollback) {
        let failed = execution.failed.clone();
        let garbage: Vec<String> =
            execution.garbage.values().filter(|one| !one.replaced).map(|one| one.resource.logical.clone()).collect();
        found.resources.retain(|logical, _| !garbage.contains(logical) || !failed.contains(logical));
    }
    let reason = match kind {
        ExecutionKind::Update | ExecutionKind::UpdateRollback => None,
        ExecutionKind::Create | ExecutionKind::Delete | ExecutionKind::Rollback => reason,
    };
    finish(scope, id, phase, reason);
}

/// An operation is over.
pub(super) fn finish(scope: &mut Scope<'_>, id: &str, phase: StackPhase, reason: Option<String>) {
    let now = scope.now();
    tell_stack(scope, id, phase, reason);
    let Some(found) = stack(scope, id) else { return };
    let name = found.name.clone();
    let execution = found.execution.take();
    match phase {
        StackPhase::DeleteComplete => {
            found.deleted = Some(now);
            found.outputs.clear();
            found.change_sets.clear();
        }
        StackPhase::RollbackComplete => found.outputs.clear(),
        // It is needed as long as the way back is open, as is what was to be deleted in the end.
        StackPhase::UpdateFailed | StackPhase::UpdateRollbackFailed => {
            found.left = execution.map(|execution| execution.garbage).unwrap_or_default();
            return changesets::over(scope, id, false);
        }
        _ => {}
    }
    found.before = None;
    found.left.clear();
    changesets::over(scope, id, matches!(phase, StackPhase::CreateComplete | StackPhase::UpdateComplete));
    if phase == StackPhase::DeleteComplete {
        let state = &mut scope.place().cloudformation;
        if state.names.get(&name).is_some_and(|known| known == id) {
            state.names.remove(&name);
        }
    }
}

/// The outputs of what was made.
pub(super) fn outputs(scope: &mut Scope<'_>, id: &str) -> Result<Vec<StackOutput>, String> {
    let at = scope.at.clone();
    let state = &scope.place().cloudformation;
    let Some(found) = state.stacks.get(id) else { return Ok(Vec::new()) };
    let facts = StackFacts::of(&found.goal, &found.resources, Some(state), &at, (&found.name, &found.id));
    let template = &found.goal.template;
    let evaluation = Evaluation::new(template, &facts);
    let mut outputs = Vec::new();
    for (key, output) in &template.outputs {
        let condition = output.condition.as_ref().map(|(name, _)| name.as_str());
        if !evaluation.is_made(condition).map_err(|finding| finding.message)? {
            continue;
        }
        let text = |node| evaluation.present(node).map(|value| shown(&value)).map_err(|finding| finding.message);
        outputs.push(StackOutput {
            output_key: key.clone(),
            output_value: text(&output.value)?,
            description: output.description.clone(),
            export_name: output.export.as_ref().map(text).transpose()?,
        });
    }
    Ok(outputs)
}

/// A value as the text of an output.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Whether a stack's template imports this export.
pub(super) fn imports(scope: &mut Scope<'_>, id: &str) -> BTreeSet<String> {
    let at = scope.at.clone();
    let state = &scope.place().cloudformation;
    let Some(found) = state.stacks.get(id) else { return BTreeSet::new() };
    let facts = StackFacts::of(&found.goal, &found.resources, Some(state), &at, (&found.name, &found.id));
    let template = &found.goal.template;
    let evaluation = Evaluation::new(template, &facts);
    let Ok(made) = evaluation.made() else { return BTreeSet::new() };
    let mut names = BTreeSet::new();
    let resources =
        made.into_iter().filter_map(|name| template.resources.get(name)).map(|resource| &resource.properties);
    for node in resources.chain(template.outputs.values().map(|output| &output.value)) {
        facts::imports_of(node, &mut |argument| {
            if let Ok(Some(name)) = evaluation.value(argument) {
                names.insert(shown(&name));
            }
        });
    }
    names
}

//! Deletes what a stack has left over, each thing before those that it needs.
//!
//! The main function is [`start`].

use std::time::Duration;

use super::engine::fate;
use super::events::Event;
use super::execution::{ExecutionKind, Garbage};
use super::finishing;
use super::permissions;
use super::providers::{self, Settling};
use super::stack::{ResourcePhase, StackResource};
use super::state::{ResourceStep, stack};
use super::telling::record;
use crate::ctx::Scope;

/// Begin to delete the garbage of an operation.
pub(super) fn start(scope: &mut Scope<'_>, id: &str) {
    let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) else { return };
    // What an earlier operation left over begins anew.
    for one in execution.garbage.values_mut() {
        (one.holds, one.started) = (0, false);
    }
    let needs: Vec<String> = execution.garbage.values().flat_map(|one| one.resource.needs.iter().cloned()).collect();
    for need in needs {
        let prefix = format!("{need}\n");
        let others = execution.garbage.range_mut(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        others.for_each(|(_, other)| other.holds += 1);
    }
    go_on(scope, id);
}

/// Begin with all that nothing holds any more; where there is nothing left that can go, it is over.
fn go_on(scope: &mut Scope<'_>, id: &str) {
    loop {
        let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) else { return };
        let free = execution.garbage.iter_mut().filter(|(_, one)| !one.started && one.holds == 0);
        let free: Vec<String> = free
            .map(|(key, one)| {
                one.started = true;
                key.clone()
            })
            .collect();
        if free.is_empty() {
            if execution.running.is_empty() {
                finishing::cleared(scope, id);
            }
            return;
        }
        for key in free {
            begin(scope, id, &key);
        }
    }
}

fn begin(scope: &mut Scope<'_>, id: &str, key: &str) {
    let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) else { return };
    let Some(one) = execution.garbage.get(key).cloned() else { return };
    let stays = stays(execution.kind, &one, execution.options.retain_except_on_create)
        || execution.options.retain.contains(&one.resource.logical);
    let turn = execution.turn;
    if one.resource.physical.is_none() || one.resource.phase == ResourcePhase::DeleteComplete {
        note(scope, id, &one, ResourcePhase::DeleteComplete, None);
        return release(scope, id, key);
    }
    if stays {
        note(scope, id, &one, ResourcePhase::DeleteSkipped, None);
        return release(scope, id, key);
    }
    note(scope, id, &one, ResourcePhase::DeleteInProgress, None);
    let fate = fate(scope, id, &one.resource.logical, ResourceStep::Delete);
    let after = fate.takes.unwrap_or_else(|| providers::time(&one.resource.kind, ResourceStep::Delete)) / 2;
    let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) else { return };
    execution.running.insert(key.to_owned());
    execution.fates.insert(key.to_owned(), fate);
    scope.schedule(after, Event::Removed { stack: id.to_owned(), turn, key: key.to_owned() });
}

/// Whether a thing stays though its stack has it no more.
fn stays(kind: ExecutionKind, one: &Garbage, retain_except_on_create: bool) -> bool {
    if one.surely {
        return false;
    }
    match (one.replaced, kind) {
        (true, _) => one.resource.policy("UpdateReplacePolicy") == Some("Retain"),
        (false, ExecutionKind::Rollback | ExecutionKind::UpdateRollback) => {
            one.resource.policy("DeletionPolicy") == Some("Retain") && !retain_except_on_create
        }
        (false, ExecutionKind::Create | ExecutionKind::Update | ExecutionKind::Delete) => {
            matches!(one.resource.policy("DeletionPolicy"), Some("Retain" | "RetainExceptOnCreate"))
        }
    }
}

/// Tell what happens to a thing; a resource of the stack itself has it as its state.
fn note(scope: &mut Scope<'_>, id: &str, one: &Garbage, phase: ResourcePhase, reason: Option<String>) {
    let now = scope.now();
    if !one.replaced
        && let Some(resource) = stack(scope, id).and_then(|found| found.resources.get_mut(&one.resource.logical))
    {
        (resource.phase, resource.reason, resource.updated) = (phase, reason.clone(), now);
    }
    record(scope, id, &one.resource, phase, reason);
}

/// A thing is gone, or stays for good: what it needed may go.
fn release(scope: &mut Scope<'_>, id: &str, key: &str) {
    let Some(found) = stack(scope, id) else { return };
    let Some(execution) = &mut found.execution else { return };
    execution.running.remove(key);
    let Some(one) = execution.garbage.remove(key) else { return };
    for need in &one.resource.needs {
        let prefix = format!("{need}\n");
        let others = execution.garbage.range_mut(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        others.for_each(|(_, other)| other.holds = other.holds.saturating_sub(1));
    }
    let is_update = !matches!(execution.kind, ExecutionKind::Delete | ExecutionKind::Rollback);
    if is_update && !one.replaced {
        found.resources.remove(&one.resource.logical);
    }
}

fn current(scope: &mut Scope<'_>, id: &str, turn: u64, key: &str) -> Option<Garbage> {
    let execution = stack(scope, id)?.execution.as_ref()?;
    (execution.turn == turn).then(|| execution.garbage.get(key).cloned())?
}

/// Half of the time of a deletion is over: the thing goes, or does not.
pub(super) fn removed(scope: &mut Scope<'_>, id: &str, turn: u64, key: &str) {
    let Some(one) = current(scope, id, turn, key) else { return };
    let fate = stack(scope, id).and_then(|found| found.execution.as_mut()?.fates.remove(key)).unwrap_or_default();
    if let (Some(reason), false) = (fate.fails, fate.hangs) {
        return failed(scope, id, key, &one, reason);
    }
    if fate.hangs {
        scope.schedule(Duration::from_secs(3 * 3600), Event::Gone { stack: id.to_owned(), turn, key: key.to_owned() });
        return;
    }
    let asked = permissions::PermissionAsked {
        kind: &one.resource.kind,
        logical: &one.resource.logical,
        step: ResourceStep::Delete,
        properties: &one.resource.properties,
        physical: one.resource.physical.as_deref(),
    };
    let may = permissions::check(scope, id, &asked);
    if let Err(reason) = may.and_then(|()| providers::delete(scope, id, &one.resource)) {
        return failed(scope, id, key, &one, reason);
    }
    let after = fate.takes.unwrap_or_else(|| providers::time(&one.resource.kind, ResourceStep::Delete)) / 2;
    scope.schedule(after, Event::Gone { stack: id.to_owned(), turn, key: key.to_owned() });
}

/// Look whether a thing is gone.
pub(super) fn gone(scope: &mut Scope<'_>, id: &str, turn: u64, key: &str) {
    let Some(one) = current(scope, id, turn, key) else { return };
    match providers::going(scope, &one.resource) {
        Settling::Done => {
            note(scope, id, &one, ResourcePhase::DeleteComplete, None);
            release(scope, id, key);
            go_on(scope, id);
        }
        Settling::Wait => {
            scope.schedule(Duration::from_secs(10), Event::Gone { stack: id.to_owned(), turn, key: key.to_owned() });
        }
        Settling::Failed(reason) => failed(scope, id, key, &one, reason),
    }
}

fn failed(scope: &mut Scope<'_>, id: &str, key: &str, one: &Garbage, reason: String) {
    let StackResource { logical, .. } = &one.resource;
    note(scope, id, one, ResourcePhase::DeleteFailed, Some(reason));
    if let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) {
        execution.running.remove(key);
        execution.failed.push(logical.clone());
    }
    go_on(scope, id);
}

/// A deletion cannot go on.
pub(super) fn stuck(scope: &mut Scope<'_>, id: &str) {
    finishing::cleared(scope, id);
}

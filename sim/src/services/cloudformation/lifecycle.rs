//! How operations on stacks begin.
//!
//! The main functions are [`create`], [`update`] and [`delete`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine;
use super::events::Event;
use super::execution::{Execution, ExecutionKind, ExecutionStage, OnFailure, Options};
use super::stack::{Before, Goal, ResourcePhase, Stack, StackPhase};
use super::state::stack;
use super::telling::tell_stack;
use super::{deleting, exports, finishing, watch};
use crate::ctx::Scope;

/// How long AWS takes until an operation that was asked for begins.
const SETTING_OUT: Duration = Duration::from_secs(1);

/// A stack that is new: nothing is made yet.
pub(super) fn admit(scope: &mut Scope<'_>, name: &str, goal: Goal, phase: StackPhase) -> String {
    let uuid = scope.world.ids.uuid(&format!("cloudformation/stack/{}/{name}", scope.at));
    let id = scope.arn("cloudformation", &format!("stack/{name}/{uuid}"));
    let stack = Stack {
        id: id.clone(),
        name: name.to_owned(),
        phase,
        reason: None,
        created: scope.now(),
        updated: None,
        deleted: None,
        goal,
        outputs: Vec::new(),
        resources: BTreeMap::new(),
        happened: Vec::new(),
        change_sets: BTreeMap::new(),
        executed: None,
        policy: None,
        protected: false,
        disable_rollback: false,
        timeout_minutes: None,
        parent: None,
        root: None,
        drift: None,
        before: None,
        left: BTreeMap::new(),
        execution: None,
        operations: Vec::new(),
    };
    let state = &mut scope.place().cloudformation;
    state.stacks.insert(id.clone(), stack);
    state.names.insert(name.to_owned(), id.clone());
    id
}

/// An operation of this kind is what is done with a stack from now on.
pub(super) fn enter(
    scope: &mut Scope<'_>,
    id: &str,
    kind: ExecutionKind,
    token: Option<String>,
    options: Options,
) -> Option<(String, u64)> {
    let operation = scope.world.ids.uuid(&format!("cloudformation/operation/{}", scope.at));
    let found = stack(scope, id)?;
    let turn = found.happened.len() as u64 + 1 + found.execution.as_ref().map_or(0, |execution| execution.turn);
    let mut execution = Execution::new(operation.clone(), turn, kind, token, options);
    execution.garbage = std::mem::take(&mut found.left);
    found.execution = Some(execution);
    found.operations.insert(0, (kind.operation(), operation.clone()));
    found.operations.truncate(2);
    Some((operation, turn))
}

/// Make a stack that was admitted. Tells the id of the operation.
pub(super) fn create(scope: &mut Scope<'_>, id: &str, token: Option<String>, options: Options) -> String {
    let Some((operation, turn)) = enter(scope, id, ExecutionKind::Create, token, options) else { return String::new() };
    tell_stack(scope, id, StackPhase::CreateInProgress, Some("User Initiated".to_owned()));
    scope.schedule(SETTING_OUT, Event::Begin { stack: id.to_owned(), turn });
    let minutes = stack(scope, id).and_then(|found| found.timeout_minutes);
    if let Some(minutes) = minutes {
        let after = Duration::from_secs(u64::from(minutes) * 60);
        scope.schedule(after, Event::Late { stack: id.to_owned(), turn });
    }
    operation
}

/// Bring a stack to another goal. Tells the id of the operation.
pub(super) fn update(scope: &mut Scope<'_>, id: &str, goal: Goal, token: Option<String>, options: Options) -> String {
    let now = scope.now();
    if let Some(found) = stack(scope, id) {
        let resources = found.resources.clone();
        // Where an earlier update failed and stayed so, the way back leads to before that.
        if found.before.is_none() {
            let before = Before { goal: found.goal.clone(), outputs: found.outputs.clone(), resources };
            found.before = Some(Box::new(before));
        }
        found.goal = goal;
        found.updated = Some(now);
        found.drift = None;
    }
    let Some((operation, turn)) = enter(scope, id, ExecutionKind::Update, token, options) else { return String::new() };
    tell_stack(scope, id, StackPhase::UpdateInProgress, Some("User Initiated".to_owned()));
    scope.schedule(SETTING_OUT, Event::Begin { stack: id.to_owned(), turn });
    operation
}

/// Delete a stack. Tells the id of the operation.
pub(super) fn delete(scope: &mut Scope<'_>, id: &str, token: Option<String>, options: Options) -> String {
    let Some((operation, turn)) = enter(scope, id, ExecutionKind::Delete, token, options) else { return String::new() };
    tell_stack(scope, id, StackPhase::DeleteInProgress, Some("User Initiated".to_owned()));
    scope.schedule(SETTING_OUT, Event::Begin { stack: id.to_owned(), turn });
    operation
}

/// An operation that was asked for begins.
pub(super) fn begin(scope: &mut Scope<'_>, id: &str, turn: u64) {
    let Some(found) = stack(scope, id) else { return };
    let Some(execution) = found.execution.as_ref().filter(|execution| execution.turn == turn) else { return };
    match execution.kind {
        ExecutionKind::Create | ExecutionKind::Update | ExecutionKind::UpdateRollback => {
            watch::begin(scope, id);
            engine::start(scope, id);
        }
        ExecutionKind::Delete => match exports::holds(scope, id) {
            Some(reason) => finishing::finish(scope, id, StackPhase::DeleteFailed, Some(reason)),
            None => sweep(scope, id),
        },
        ExecutionKind::Rollback => sweep(scope, id),
    }
}

/// All resources go.
fn sweep(scope: &mut Scope<'_>, id: &str) {
    let Some(found) = stack(scope, id) else { return };
    let Some(execution) = &mut found.execution else { return };
    execution.stage = ExecutionStage::Clearing;
    for resource in found.resources.values().filter(|resource| resource.phase != ResourcePhase::DeleteComplete) {
        execution.discard(resource.clone(), false, false);
    }
    deleting::start(scope, id);
}

/// The options of what follows on a failure.
fn inherited(scope: &mut Scope<'_>, id: &str) -> (Option<String>, Options) {
    let execution = stack(scope, id).and_then(|found| found.execution.as_ref());
    execution.map(|execution| (execution.token.clone(), execution.options.clone())).unwrap_or_default()
}

/// Take back a creation.
pub(super) fn roll_back_creation(scope: &mut Scope<'_>, id: &str, reason: Option<String>) {
    let (token, options) = inherited(scope, id);
    let garbage = stack(scope, id).and_then(|found| found.execution.take()).map(|execution| execution.garbage);
    let Some((_, turn)) = enter(scope, id, ExecutionKind::Rollback, token, options) else { return };
    if let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) {
        execution.garbage = garbage.unwrap_or_default();
    }
    tell_stack(scope, id, StackPhase::RollbackInProgress, reason);
    begin(scope, id, turn);
}

/// Take back a creation that failed and was left as it was.
pub(super) fn begin_rollback_of_creation(scope: &mut Scope<'_>, id: &str, token: Option<String>, options: Options) {
    let Some((_, turn)) = enter(scope, id, ExecutionKind::Rollback, token, options) else { return };
    tell_stack(scope, id, StackPhase::RollbackInProgress, Some("User Initiated".to_owned()));
    scope.schedule(SETTING_OUT, Event::Begin { stack: id.to_owned(), turn });
}

/// Delete all that a creation made, and the stack with it.
pub(super) fn delete_all(scope: &mut Scope<'_>, id: &str, reason: Option<String>) {
    let (token, options) = inherited(scope, id);
    let Some((_, turn)) = enter(scope, id, ExecutionKind::Delete, token, options) else { return };
    tell_stack(scope, id, StackPhase::DeleteInProgress, reason);
    begin(scope, id, turn);
}

/// Take back an update.
pub(super) fn roll_back_update(scope: &mut Scope<'_>, id: &str, reason: Option<String>) {
    let (token, options) = inherited(scope, id);
    resume_rollback(scope, id, token, options, reason);
}

/// Take back an update, or go on with it.
pub(super) fn resume_rollback(
    scope: &mut Scope<'_>,
    id: &str,
    token: Option<String>,
    options: Options,
    reason: Option<String>,
) -> Option<String> {
    let found = stack(scope, id)?;
    if let Some(execution) = found.execution.take() {
        found.left = execution.garbage;
    }
    let options = Options { on_failure: OnFailure::Rollback, policy: None, ..options };
    let (operation, turn) = enter(scope, id, ExecutionKind::UpdateRollback, token, options)?;
    let found = stack(scope, id)?;
    if let Some(before) = &found.before {
        found.goal = before.goal.clone();
        // What was replaced is not garbage any more: it is what the stack goes back to.
        let kept = |physical: &Option<String>| before.resources.values().any(|resource| resource.physical == *physical);
        if let Some(execution) = &mut found.execution {
            execution.garbage.retain(|_, one| !kept(&one.resource.physical));
        }
    }
    tell_stack(scope, id, StackPhase::UpdateRollbackInProgress, reason);
    begin(scope, id, turn);
    Some(operation)
}

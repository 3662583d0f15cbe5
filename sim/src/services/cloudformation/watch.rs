//! Alarms that roll back.
//!
//! The main function is [`look`].

use std::time::Duration;

use super::engine::fail_stack;
use super::events::Event;
use super::execution::{ExecutionKind, ExecutionStage};
use super::state::stack;
use crate::ctx::Scope;
use crate::services::cloudwatch;

/// How often alarms are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Begin to watch, where there is something to watch.
pub(super) fn begin(scope: &mut Scope<'_>, id: &str) {
    let Some(found) = stack(scope, id) else { return };
    let Some(execution) = &found.execution else { return };
    let watches = matches!(execution.kind, ExecutionKind::Create | ExecutionKind::Update);
    if watches && !found.goal.triggers.rollback_triggers.is_empty() {
        let turn = execution.turn;
        scope.schedule(EVERY, Event::Watch { stack: id.to_owned(), turn });
    }
}

/// Look at the alarms: one that is in ALARM, or is not there, rolls back.
pub(super) fn look(scope: &mut Scope<'_>, id: &str, turn: u64) {
    let Some(found) = stack(scope, id) else { return };
    let watched = found.execution.as_ref().is_some_and(|execution| {
        execution.turn == turn && matches!(execution.stage, ExecutionStage::Making | ExecutionStage::Monitoring)
    });
    if !watched {
        return;
    }
    let triggers = found.goal.triggers.rollback_triggers.clone();
    for trigger in triggers {
        let name = trigger.arn.rsplit(':').next().unwrap_or_default().to_owned();
        let reason = match cloudwatch::is_alarming(scope, &name) {
            Some(false) => continue,
            Some(true) => format!("Rollback Trigger {} went into ALARM state", trigger.arn),
            None => format!("Rollback Trigger {} does not exist", trigger.arn),
        };
        return fail_stack(scope, id, reason);
    }
    scope.schedule(EVERY, Event::Watch { stack: id.to_owned(), turn });
}

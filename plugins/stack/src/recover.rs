//! Ways out of the states in which a stack is stuck.
//! The main function is [`until_changeable`]; what is done in which state is decided in [`way_out`].

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::cloudformation::{
    CancelUpdateStackRequest, ContinueUpdateRollbackRequest, DeleteStackRequest, RollbackStackRequest, Stack,
    cancel_update_stack, continue_update_rollback, delete_stack, rollback_stack,
};
use kiln_plugin::{Duration, During, Failure, JsonSchema, Look, log, poll, timer};
use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::{cause, follow, look};

/// A state whose way out is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Recover {
    /// A first creation failed, and nothing of it is left: the stack is deleted, and made anew.
    RollbackComplete,
    /// The way back failed: it is gone on with, without the resources that `skip` names.
    UpdateRollbackFailed,
    /// A deletion failed: it is tried again, and the resources that `retain` names stay.
    DeleteFailed,
    /// Something failed and was left as it is: the stack goes back to its last stable state.
    Failed,
}

/// What happens where somebody else's operation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenBusy {
    /// Nothing is done.
    #[default]
    Refuse,
    /// Its end is waited for.
    Wait,
}

/// What a config says of it.
#[derive(Debug, Clone, Copy)]
pub struct Recovery<'a> {
    /// The states whose way out is taken.
    pub recover: &'a [Recover],
    /// Resources that a way back leaves as they are.
    pub skip: &'a [String],
    /// Resources that stay where a deletion failed.
    pub retain: &'a [String],
    /// The role that CloudFormation acts in, where one is given.
    pub role: Option<&'a str>,
    /// What happens where somebody else's operation goes on.
    pub when_busy: WhenBusy,
    /// How often to look.
    pub every: Duration,
}

/// What is to be done about a state.
#[derive(Debug, PartialEq, Eq)]
pub enum WayOut {
    /// Nothing: it can be changed.
    None,
    /// Wait.
    Wait,
    /// Delete the stack, and make it anew.
    Delete,
    /// Go on with the way back.
    Continue,
    /// Go back to the last stable state.
    Rollback,
    /// Nothing can be done, or nothing is allowed to be: what stands in the way, and what to do.
    Refuse {
        /// What stands in the way.
        why: &'static str,
        /// What to do.
        help: String,
    },
}

/// What is done about a stack in this state.
pub fn way_out(state: State, recovery: &Recovery<'_>) -> WayOut {
    let allowed = |which: Recover, out: WayOut, why: &'static str, word: &str, by_hand: &str| match recovery
        .recover
        .contains(&which)
    {
        true => out,
        false => WayOut::Refuse { why, help: format!("Say `recover = [\"{word}\"]`, or {by_hand}.") },
    };
    match state {
        State::Absent | State::Review | State::Ready => WayOut::None,
        State::Forward | State::Back | State::Deleting => match recovery.when_busy {
            WhenBusy::Wait => WayOut::Wait,
            WhenBusy::Refuse => WayOut::Refuse {
                why: "another operation on it is in progress",
                help: "Wait for its end and run again, or say `when-busy = \"wait\"`. Nothing was changed.".to_owned(),
            },
        },
        State::Unmade => allowed(
            Recover::RollbackComplete,
            WayOut::Delete,
            "its first creation failed, and such a stack can only be deleted",
            "rollback-complete",
            "delete the stack by hand",
        ),
        State::Left => allowed(
            Recover::Failed,
            WayOut::Rollback,
            "an earlier operation failed, and what it made was left as it is",
            "failed",
            "roll the stack back by hand",
        ),
        State::BackFailed => allowed(
            Recover::UpdateRollbackFailed,
            WayOut::Continue,
            "the way back of an earlier update failed",
            "update-rollback-failed",
            "mend what failed and continue the rollback by hand; `skip` names resources that are left as they are",
        ),
        State::DeleteFailed => allowed(
            Recover::DeleteFailed,
            WayOut::Delete,
            "its deletion failed",
            "delete-failed",
            "delete it by hand; `retain` names resources that stay",
        ),
        State::Unknown => WayOut::Refuse {
            why: "kiln does not know that status",
            help: "A newer kiln may know it; look at the stack in CloudFormation.".to_owned(),
        },
    }
}

/// Bring a stack to where it can be changed, as far as the config allows. Answers it; none where there is none, or none any more.
pub fn until_changeable(name: &str, recovery: &Recovery<'_>) -> Result<Option<Stack>, Failure> {
    // A way out leads to another state, which may have one, too: deleted, and then absent.
    const STEPS: usize = 4;
    for _ in 0..STEPS {
        let Some(stack) = look::stack(name)? else { return Ok(None) };
        match way_out(State::of(&stack.status), recovery) {
            WayOut::None => return Ok(Some(stack)),
            WayOut::Refuse { why, help } => {
                let mut failure = Failure::conflict(format!("{name} is {}: {why}", stack.status)).help(help);
                failure.details = stuck_for(&stack);
                return Err(failure);
            }
            WayOut::Wait => until_free(&stack, recovery.every)?,
            WayOut::Delete => {
                log::info(format!("{name} is {}: it is deleted, and made anew", stack.status));
                delete(&stack, recovery)?;
                return Ok(None);
            }
            WayOut::Continue => {
                let skip = if recovery.skip.is_empty() {
                    String::new()
                } else {
                    format!(", without {}", recovery.skip.join(", "))
                };
                log::info(format!("{name} is {}: its way back goes on{skip}", stack.status));
                go_on_back(&stack, recovery)?;
            }
            WayOut::Rollback => {
                log::info(format!("{name} is {}: it goes back to its last stable state", stack.status));
                roll_back(&stack, recovery)?;
            }
        }
    }
    Err(Failure::conflict(format!("{name} comes to no state in which it can be changed")))
}

/// Bring an operation that goes on to its end, whatever that is. An update by one of these tokens is cancelled, so that it goes back;
/// somebody else's is waited for. Where no token is known, `executed` says that there was an operation whose answer never came.
pub fn stopped(stack: Stack, ours: &[String], executed: bool, every: Duration) -> Result<Stack, Failure> {
    if !State::of(&stack.status).is_under_way() {
        return Ok(stack);
    }
    if stack.status == "UPDATE_IN_PROGRESS" && executed && is_ours(&stack, ours)? {
        log::info(format!("cancelling the update of {}", stack.name));
        match cancel_update_stack(&CancelUpdateStackRequest { stack: stack.id.clone() }) {
            Ok(_) => {}
            // It has ended meanwhile.
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::Invalid) => {
                log::debug(format!("it cannot be cancelled: {}", error.message));
            }
            Err(error) => return Err(error).during(format!("cancelling the update of {}", stack.name)),
        }
    }
    let _ = follow::until_settled(&stack.id, None, Some(timer::now()), 0, every)?;
    look::existing(&stack.id)
}

/// Whether what goes on was begun with one of these tokens.
fn is_ours(stack: &Stack, ours: &[String]) -> Result<bool, Failure> {
    let events = look::events(&stack.id, None, stack.updated.or(stack.created))?;
    let newest = events.iter().rev().find_map(|event| event.token.as_ref());
    Ok(ours.is_empty() || newest.is_some_and(|token| ours.contains(token)))
}

/// Why a stack is stuck, as far as it can be told.
fn stuck_for(stack: &Stack) -> Vec<String> {
    let events = look::events(&stack.id, None, stack.updated.or(stack.created)).unwrap_or_default();
    let cause = cause::find(&stack.id, &events);
    let reason = stack.reason.clone().map(|reason| format!("CloudFormation says: {reason}"));
    reason.into_iter().chain(cause.map(|cause| cause.sentence())).collect()
}

/// Wait until nobody else's operation goes on.
fn until_free(stack: &Stack, every: Duration) -> Result<(), Failure> {
    log::info(format!("waiting for the operation on {}, which is not this stage's", stack.name));
    poll(every, &format!("somebody else's operation on {}", stack.name), || {
        Ok(match look::stack(&stack.id)? {
            Some(now) if State::of(&now.status).is_under_way() => {
                Look::waiting(format!("{} is {}", now.name, now.status))
            }
            _ => Look::Done(()),
        })
    })
}

/// Delete a stack that can only be deleted.
pub fn delete(stack: &Stack, recovery: &Recovery<'_>) -> Result<Vec<(String, String)>, Failure> {
    let may_retain = State::of(&stack.status) == State::DeleteFailed;
    let request = DeleteStackRequest {
        stack: stack.id.clone(),
        retain: if may_retain { recovery.retain.to_vec() } else { Vec::new() },
        role: recovery.role.map(str::to_owned),
    };
    let begun = delete_stack(&request).during(format!("deleting {}", stack.name))?;
    follow::until_gone(&stack.id, &begun.token, recovery.every)
}

/// Go on with a way back that failed.
pub fn go_on_back(stack: &Stack, recovery: &Recovery<'_>) -> Result<(), Failure> {
    let request = ContinueUpdateRollbackRequest {
        stack: stack.id.clone(),
        role: recovery.role.map(str::to_owned),
        skip: recovery.skip.to_vec(),
    };
    let begun = timer::now();
    let token =
        continue_update_rollback(&request).during(format!("going on with the way back of {}", stack.name))?.token;
    settled(stack, &token, begun, recovery)
}

/// Go back to the last stable state.
fn roll_back(stack: &Stack, recovery: &Recovery<'_>) -> Result<(), Failure> {
    let request = RollbackStackRequest {
        stack: stack.id.clone(),
        role: recovery.role.map(str::to_owned),
        retain_except_on_create: true,
    };
    let begun = timer::now();
    let token = rollback_stack(&request).during(format!("rolling {} back", stack.name))?.token;
    settled(stack, &token, begun, recovery)
}

fn settled(stack: &Stack, token: &str, begun: u64, recovery: &Recovery<'_>) -> Result<(), Failure> {
    match follow::until_settled(&stack.id, Some(token), Some(begun), 0, recovery.every)? {
        follow::Ending::Done(_) => Ok(()),
        follow::Ending::Failed { stack: Some(now), cause } if State::of(&now.status) == State::BackFailed => {
            let subject = format!("the way back of {} failed again", now.name);
            Err(cause::failure(&subject, cause.as_ref(), now.reason.as_deref()).help(
                "Mend what failed, or name it in `skip`: it is left as it is, and the stack goes back without it.",
            ))
        }
        // It went back, or is gone.
        follow::Ending::Failed { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovery(recover: &[Recover], when_busy: WhenBusy) -> Recovery<'_> {
        Recovery { recover, skip: &[], retain: &[], role: None, when_busy, every: Duration::from_secs(1) }
    }

    #[test]
    fn each_stuck_state_has_a_way_out_that_the_config_must_allow() {
        for (state, recover, out, word) in [
            (State::Unmade, Recover::RollbackComplete, WayOut::Delete, "rollback-complete"),
            (State::BackFailed, Recover::UpdateRollbackFailed, WayOut::Continue, "update-rollback-failed"),
            (State::DeleteFailed, Recover::DeleteFailed, WayOut::Delete, "delete-failed"),
            (State::Left, Recover::Failed, WayOut::Rollback, "failed"),
        ] {
            assert_eq!(way_out(state, &recovery(&[recover], WhenBusy::Refuse)), out);
            let refused = way_out(state, &recovery(&[], WhenBusy::Wait));
            let says =
                matches!(&refused, WayOut::Refuse { help, .. } if help.contains(&format!("`recover = [\"{word}\"]`")));
            assert!(says, "{refused:?}");
        }
    }

    #[test]
    fn somebody_else_s_operation_is_waited_for_only_where_the_config_says_so() {
        for state in [State::Forward, State::Back, State::Deleting] {
            assert_eq!(way_out(state, &recovery(&[], WhenBusy::Wait)), WayOut::Wait);
            assert!(matches!(way_out(state, &recovery(&[], WhenBusy::Refuse)), WayOut::Refuse { .. }));
        }
        for state in [State::Absent, State::Review, State::Ready] {
            assert_eq!(way_out(state, &recovery(&[], WhenBusy::Refuse)), WayOut::None);
        }
        assert!(matches!(way_out(State::Unknown, &recovery(&[], WhenBusy::Wait)), WayOut::Refuse { .. }));
    }
}

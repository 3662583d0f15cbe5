//! Lets a change happen and follows it, resource by resource, to its end.
//! The main functions are [`change`] and [`until_settled`].

use std::collections::BTreeMap;

use kiln_plugin::aws::cloudformation::{ExecuteChangeSetRequest, Stack, StackEvent, execute_change_set};
use kiln_plugin::{Duration, During, Failure, Look, log, poll, timer};

use crate::cause::{self, Cause};
use crate::look;
use crate::state::{State, is_success};

/// How an operation ended.
#[derive(Debug)]
pub enum Ending {
    /// The stack is what it was to be.
    Done(Box<Stack>),
    /// It is not.
    Failed {
        /// As it is now; none where it is gone.
        stack: Option<Box<Stack>>,
        /// Why.
        cause: Option<Cause>,
    },
}

/// The events of an operation, as far as they were read.
#[derive(Debug, Default)]
struct Course {
    /// The newest event that was read, of whatever operation.
    last: Option<String>,
    /// Those of the operation, the oldest first.
    events: Vec<StackEvent>,
    /// How each resource stands.
    resources: BTreeMap<String, String>,
}

impl Course {
    /// Take what is new; what failed is said at once.
    fn take(&mut self, stack_id: &str, token: Option<&str>, new: Vec<StackEvent>) {
        self.last = new.last().map(|event| event.id.clone()).or_else(|| self.last.take());
        for event in new {
            // What CloudFormation does by itself after an operation of ours carries the same token.
            if token.is_some_and(|token| event.token.as_deref().is_some_and(|other| other != token)) {
                continue;
            }
            if event.physical.as_deref() != Some(stack_id) && !event.status.is_empty() {
                self.say(&event);
                self.resources.insert(event.logical.clone(), event.status.clone());
            }
            self.events.push(event);
        }
    }

    fn say(&self, event: &StackEvent) {
        let reason =
            event.reason.as_deref().map(|reason| format!(": {}", reason.trim_end_matches('.'))).unwrap_or_default();
        let line = format!("{} ({}) is {}{reason}", event.logical, event.type_, event.status);
        match event.status.ends_with("_FAILED") {
            true => log::warn(line),
            false => log::debug(line),
        }
    }

    /// How far it is: what is under way, and how many resources are done of those that are touched so far.
    fn status(&self, stack: &Stack, all: usize) -> kiln_plugin::progress::Status {
        let done = self.resources.values().filter(|status| !status.ends_with("_IN_PROGRESS")).count();
        let going: Vec<&str> = self
            .resources
            .iter()
            .filter(|(_, status)| status.ends_with("_IN_PROGRESS"))
            .map(|(name, _)| name.as_str())
            .take(4)
            .collect();
        let going = if going.is_empty() { String::new() } else { format!(": {}", going.join(", ")) };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        kiln_plugin::progress::Status {
            message: format!("{}{going}", stack.status),
            done: Some(count(done)),
            total: Some(count(all.max(self.resources.len()))),
        }
    }
}

/// What else is done while a change is followed.
pub struct Watch<'w> {
    /// The change has begun, with this token.
    pub begun: &'w mut dyn FnMut(&str) -> Result<(), Failure>,
    /// As often as the stack is looked at.
    pub besides: &'w mut dyn FnMut() -> Result<(), Failure>,
}

/// Execute a change set of `changes` changes, and follow it. `begun` gets the token of the operation as soon as there is one: an undo must
/// know it, whatever becomes of the following.
pub fn change(
    request: &ExecuteChangeSetRequest,
    stack_id: &str,
    changes: usize,
    every: Duration,
    begun: &mut dyn FnMut(&str) -> Result<(), Failure>,
) -> Result<Ending, Failure> {
    change_watching(request, stack_id, changes, every, Watch { begun, besides: &mut || Ok(()) })
}

/// The same, with a look at something else besides.
pub fn change_watching(
    request: &ExecuteChangeSetRequest,
    stack_id: &str,
    changes: usize,
    every: Duration,
    watch: Watch<'_>,
) -> Result<Ending, Failure> {
    let since = timer::now();
    let token = match execute_change_set(request) {
        Ok(begun) => begun.token,
        // Whoever asks again because no answer came is told that it was executed: by this very stage. What cannot be looked up must not hide
        // the error.
        Err(error) => {
            let stack = look::stack(stack_id).ok().flatten();
            let begun = stack.and_then(|stack| own(&stack, &[], Some(&request.name)).ok().flatten());
            match begun {
                Some(token) => token,
                None => {
                    return Err(error)
                        .during(format!("executing the change set {} of {}", request.name, request.stack));
                }
            }
        }
    };
    (watch.begun)(&token)?;
    settled(stack_id, Some(&token), Some(since), changes, every, watch.besides)
}

/// The token of the operation that a stack was brought to last, where it is one of `ours`, or the one that executed this change set: its name
/// is of this stage alone.
pub fn own(stack: &Stack, ours: &[String], change_set: Option<&str>) -> Result<Option<String>, Failure> {
    let events = look::events(&stack.id, None, stack.updated.or(stack.created))?;
    Ok(own_among(stack, &events, ours, change_set))
}

fn own_among(stack: &Stack, events: &[StackEvent], ours: &[String], change_set: Option<&str>) -> Option<String> {
    // What the last event belongs to is what goes on.
    let token = events.iter().rev().find_map(|event| event.token.clone())?;
    let name = |arn: &str| Some(arn.split_once(":changeSet/")?.1.split('/').next()?.to_owned());
    let executed = stack.change_set.as_deref().and_then(name);
    let is_own = ours.contains(&token) || (executed.is_some() && executed.as_deref() == change_set);
    is_own.then_some(token)
}

/// Follow an operation on a stack until the stack rests. Without a token it is whatever goes on.
pub fn until_settled(
    stack_id: &str,
    token: Option<&str>,
    begun: Option<u64>,
    changes: usize,
    every: Duration,
) -> Result<Ending, Failure> {
    settled(stack_id, token, begun, changes, every, &mut || Ok(()))
}

fn settled(
    stack_id: &str,
    token: Option<&str>,
    begun: Option<u64>,
    changes: usize,
    every: Duration,
    besides: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<Ending, Failure> {
    let mut course = Course::default();
    // Clocks may differ.
    let since = begun.map(|begun| begun.saturating_sub(60_000));
    let stack = poll(every, &format!("the operation on {}", short(stack_id)), || {
        let after = course.last.clone();
        let new = look::events(stack_id, after.as_deref(), since)?;
        course.take(stack_id, token, new);
        besides()?;
        let Some(stack) = look::stack(stack_id)? else { return Ok(Look::Done(None)) };
        let state = State::of(&stack.status);
        // What was begun may not show yet.
        let has_begun = token.is_none() || !course.events.is_empty();
        Ok(match state.is_under_way() || !has_begun {
            true => Look::Waiting(course.status(&stack, changes)),
            false => Look::Done(Some(stack)),
        })
    });
    let stack = match stack {
        Ok(stack) => stack,
        Err(failure) => {
            let cause = cause::find(stack_id, &course.events);
            return Err(failure.details(
                cause
                    .into_iter()
                    .flat_map(|cause| std::iter::once(cause.sentence()).chain(cause.details()).collect::<Vec<_>>()),
            ));
        }
    };
    // The last events may be newer than the last look at them.
    let new = look::events(stack_id, course.last.clone().as_deref(), since)?;
    course.take(stack_id, token, new);
    match stack {
        Some(stack) if is_success(&stack.status) => Ok(Ending::Done(Box::new(stack))),
        stack => {
            let cause = cause::find(stack_id, &course.events).map(|cause| deeper(cause, since));
            Ok(Ending::Failed { stack: stack.map(Box::new), cause })
        }
    }
}

/// Where a nested stack failed, the resource in it that did. Evidence that cannot be had must not hide the failure.
fn deeper(cause: Cause, since: Option<u64>) -> Cause {
    let mut cause = cause;
    for _ in 0..5 {
        let Some(id) = cause.nested.clone().filter(|id| id.contains(":stack/")) else { break };
        let Ok(events) = look::events(&id, None, since) else { break };
        let Some(inner) = cause::find(&id, &events) else { break };
        let around = cause.resource.clone().unwrap_or_default();
        let resource = inner.resource.map_or_else(|| around.clone(), |inner| format!("{around}.{inner}"));
        cause = Cause { resource: Some(resource), followers: cause.followers, others: cause.others, ..inner };
    }
    cause
}

/// Follow a deletion until the stack is gone. Answers the resources that were left, each with its type.
pub fn until_gone(stack_id: &str, token: &str, every: Duration) -> Result<Vec<(String, String)>, Failure> {
    let begun = timer::now();
    match until_settled(stack_id, Some(token), Some(begun), 0, every)? {
        Ending::Done(stack) => {
            Err(Failure::conflict(format!("{} is {} although it was to be deleted", stack.name, stack.status)))
        }
        Ending::Failed { stack, cause } => match stack {
            Some(stack) if State::of(&stack.status) != State::Absent => {
                let subject = format!("{} was not deleted", stack.name);
                let failure = cause::failure(&subject, cause.as_ref(), stack.reason.as_deref());
                let left: Vec<String> = look::resources(&stack.id)?
                    .into_iter()
                    .filter(|resource| resource.status == "DELETE_FAILED")
                    .map(|resource| resource.logical)
                    .collect();
                let left = if left.is_empty() { "those that failed".to_owned() } else { left.join(", ") };
                Err(failure.help(format!(
                    "Mend what keeps it, or let it stay: `recover = [\"delete-failed\"]` with `retain` naming {left}."
                )))
            }
            _ => Ok(retained(&look::events(stack_id, None, Some(begun.saturating_sub(60_000)))?)),
        },
    }
}

/// The resources that a deletion left, by their policies.
fn retained(events: &[StackEvent]) -> Vec<(String, String)> {
    let skipped = events.iter().filter(|event| event.status == "DELETE_SKIPPED");
    let mut left: Vec<(String, String)> = skipped
        .map(|event| (event.logical.clone(), event.physical.clone().unwrap_or_else(|| event.type_.clone())))
        .collect();
    left.dedup();
    left
}

/// The name in a stack's id.
pub fn short(stack: &str) -> &str {
    stack.split_once(":stack/").map_or(stack, |(_, rest)| rest.split('/').next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::tests::{ID, event};
    use kiln_plugin::aws::cloudformation::RollbackTriggers;

    fn stack(status: &str) -> Stack {
        Stack {
            name: "web".to_owned(),
            id: ID.to_owned(),
            description: None,
            status: status.to_owned(),
            reason: None,
            detailed_status: None,
            parameters: Vec::new(),
            outputs: Vec::new(),
            tags: Vec::new(),
            capabilities: Vec::new(),
            role: None,
            notifications: Vec::new(),
            triggers: RollbackTriggers { alarms: Vec::new(), composites: Vec::new(), minutes: 0 },
            termination_protection: false,
            disable_rollback: false,
            created: Some(0),
            updated: None,
            deleted: None,
            change_set: None,
            parent: None,
            root: None,
            drift: "NOT_CHECKED".to_owned(),
            drift_checked: None,
            mode: None,
            operations: Vec::new(),
        }
    }

    fn of_operation(logical: &str, status: &str, token: &str) -> StackEvent {
        StackEvent { token: (!token.is_empty()).then(|| token.to_owned()), ..event(logical, status, "") }
    }

    #[test]
    fn only_the_operation_s_own_events_count_and_those_that_carry_no_token() {
        let mut course = Course::default();
        course.resources.clear();
        let new = vec![
            of_operation("Service", "UPDATE_COMPLETE", "other"),
            of_operation("Service", "UPDATE_IN_PROGRESS", "ours"),
            of_operation("Child", "UPDATE_COMPLETE", ""),
        ];
        // Nothing is said natively: there is no host to say it to.
        for event in new {
            let of_another = event.token.as_deref().is_some_and(|other| other != "ours");
            course.last = Some(event.id.clone());
            if !of_another {
                course.resources.insert(event.logical.clone(), event.status.clone());
            }
        }
        assert_eq!(course.resources.len(), 2);
        assert_eq!(course.resources.get("Service").map(String::as_str), Some("UPDATE_IN_PROGRESS"));
    }

    #[test]
    fn an_operation_is_one_s_own_by_its_token_or_by_the_change_set_that_it_executed() {
        let events = [
            of_operation("Queue", "UPDATE_COMPLETE", "old"),
            of_operation("Queue", "UPDATE_IN_PROGRESS", "new"),
            of_operation("Child", "UPDATE_IN_PROGRESS", ""),
        ];
        let arn = "arn:aws:cloudformation:us-west-2:1:changeSet/kiln-1/0a";
        let stack = Stack { change_set: Some(arn.to_owned()), ..stack("UPDATE_IN_PROGRESS") };
        let own =
            |events: &[StackEvent], ours: &str, set: &str| own_among(&stack, events, &[ours.to_owned()], Some(set));
        assert_eq!(own(&events, "new", "another").as_deref(), Some("new"), "by its token");
        assert_eq!(own(&events, "", "kiln-1").as_deref(), Some("new"), "whose token never came");
        assert_eq!(own(&events, "old", "another"), None, "it is somebody else's");
        assert_eq!(own(&[], "new", "kiln-1"), None, "nothing goes on");
    }

    #[test]
    fn what_a_deletion_left_is_named() {
        let events = [event("Role", "DELETE_COMPLETE", ""), event("Logs", "DELETE_SKIPPED", "")];
        assert_eq!(retained(&events), [("Logs".to_owned(), "Logs-1".to_owned())]);
        assert_eq!((short(ID), short("web")), ("web", "web"));
    }
}

//! Takes a deployment back: to the template, the parameters and the tags of before, or to no stack where there was none.
//! The main function is [`go`].

use kiln_plugin::aws::Pair;
use kiln_plugin::aws::cloudformation::{
    CreateChangeSetRequest, DeleteStackRequest, ExecuteChangeSetRequest, Stack, StackEvent, delete_stack,
};
use kiln_plugin::{During, Failure, log, timer};
use kiln_stack::follow::{self, Ending};
use kiln_stack::recover::{self, Recovery};
use kiln_stack::{Made, State, WhenBusy, cause, change_set, look};

use crate::config::Config;
use crate::deploy::request;
use crate::protection;
use crate::remembered::{Before, Remembered};

/// Go back.
pub(crate) fn go(config: &Config) -> Result<String, Failure> {
    let name = config.name();
    let Some(remembered) = Remembered::recall()? else { return Ok(format!("{name} was not changed")) };
    let Some(stack) = look::stack(&remembered.stack_id)?.filter(|stack| State::of(&stack.status) != State::Absent)
    else {
        return Ok(match remembered.before {
            None => format!("{name} is not there: nothing is left of it"),
            Some(_) => {
                format!("{name} is not there any more, although it was before: there is nothing to go back from")
            }
        });
    };
    let stack = recover::stopped(stack, &remembered.operations, remembered.executed, config.poll)?;
    match &remembered.before {
        None => unmade(config, &stack, &remembered),
        Some(before) => {
            foreign(config, &stack, &remembered)?;
            let sentence = back(config, &stack, before, &remembered)?;
            let now = look::existing(&stack.id)?;
            let told = protection::back(config, &now, &remembered)?;
            Ok(std::iter::once(sentence).chain(told).collect::<Vec<_>>().join("; "))
        }
    }
}

/// Delete a stack that this stage made.
fn unmade(config: &Config, stack: &Stack, remembered: &Remembered) -> Result<String, Failure> {
    protection::let_go(config, stack, remembered)?;
    let may_retain = State::of(&stack.status) == State::DeleteFailed;
    let request = DeleteStackRequest {
        stack: stack.id.clone(),
        retain: if may_retain { config.retain.clone() } else { Vec::new() },
        role: config.role.clone(),
    };
    let begun = delete_stack(&request).during(format!("deleting {}, which this stage made", config.name()))?;
    let left = follow::until_gone(&stack.id, &begun.token, config.poll)?;
    let left: Vec<String> = left.iter().map(|(logical, physical)| format!("{logical} ({physical})")).collect();
    Ok(match left.is_empty() {
        true => format!("{}, which this stage made, is deleted", config.name()),
        false => format!(
            "{}, which this stage made, is deleted; by their policies these stay: {}",
            config.name(),
            left.join(", ")
        ),
    })
}

/// Refuse to go back where somebody else changed the stack since.
fn foreign(config: &Config, stack: &Stack, remembered: &Remembered) -> Result<(), Failure> {
    let events = look::events(&stack.id, None, None)?;
    let is_as_left = || -> Result<bool, Failure> {
        let now = look::template(&stack.id)?;
        Ok(remembered.is_as_left(config, stack, &now, &config.template.text()?))
    };
    match others(&events, &stack.id, &remembered.operations) {
        None => Ok(()),
        // A stage that set a parameter which this one keeps, for one, and that was undone before it.
        Some(_) if is_as_left()? => Ok(()),
        Some(event) => Err(Failure::conflict(format!(
            "somebody else changed {} since this stage did ({} with the token {})",
            config.name(),
            event.status,
            event.token.as_deref().unwrap_or("none")
        ))
        .help("Nothing was changed. Decide by hand what the stack is to be.")),
    }
}

/// The first event of an operation that somebody else began after the last one of ours.
fn others<'e>(events: &'e [StackEvent], stack_id: &str, ours: &[String]) -> Option<&'e StackEvent> {
    let is_ours = |event: &&StackEvent| event.token.as_ref().is_some_and(|token| ours.contains(token));
    let last = events.iter().rposition(|event| is_ours(&event))?;
    let begins = |event: &&StackEvent| {
        event.physical.as_deref() == Some(stack_id)
            && matches!(event.status.as_str(), "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS" | "IMPORT_IN_PROGRESS")
            && !is_ours(event)
    };
    events.get(last + 1..).unwrap_or_default().iter().find(begins)
}

/// Bring a stack back to what it was, by a change set.
fn back(config: &Config, stack: &Stack, before: &Before, remembered: &Remembered) -> Result<String, Failure> {
    let name = config.name();
    let recovery = Recovery { when_busy: WhenBusy::Wait, ..config.recovery() };
    let Some(stack) = recover::until_changeable(&stack.id, &recovery)? else {
        return Err(Failure::conflict(format!("{name} is not there any more, and cannot go back")));
    };
    let Some(template) = before.template() else {
        return Err(Failure::failed(format!("the template that {name} had is too large to have been kept"))
            .help("Deploy the template of before again; `template-bucket` lets an undo go back the next time."));
    };
    let change = CreateChangeSetRequest {
        template: Some(template),
        parameters: before.parameters(&config.keep),
        capabilities: before.capabilities.clone(),
        tags: Some(
            before.tags().iter().map(|(name, value)| Pair { name: name.clone(), value: value.clone() }).collect(),
        ),
        role: config.role.clone().or_else(|| before.role.clone()),
        ..request(config, Some(&stack), before.triggers(&stack))?
    };
    let set = match change_set::make(&change, config.poll)? {
        Made::Nothing { .. } => return Ok(format!("{name} is as it was before")),
        Made::Changes(set) => set,
    };
    let execute = ExecuteChangeSetRequest {
        stack: name.to_owned(),
        name: set.name.clone(),
        disable_rollback: Some(false),
        retain_except_on_create: true,
    };
    let begun = timer::now();
    let mut remembered = remembered.clone();
    remembered.change_set = Some(set.name.clone());
    remembered.keep()?;
    let mut began = |token: &str| remembered.began(token);
    match follow::change(&execute, &set.stack_id, set.changes.len(), config.poll, &mut began)? {
        Ending::Done(_) => {
            let hidden = before.hidden();
            let hidden = match hidden.is_empty() {
                true => String::new(),
                false => format!("; what {} was is not shown by AWS, and stays as it is", hidden.join(", ")),
            };
            log::debug(format!("the way back took {} s", timer::now().saturating_sub(begun) / 1000));
            Ok(format!("{name} went back to the template, the parameters and the tags of before{hidden}"))
        }
        Ending::Failed { stack, cause } => {
            let reason = stack.as_ref().and_then(|stack| stack.reason.clone());
            Err(cause::failure(&format!("{name} did not go back"), cause.as_ref(), reason.as_deref())
                .help("Mend the cause, then undo again; what was done so far stays known."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "arn:aws:cloudformation:us-west-2:111111111111:stack/web/1";

    fn event(status: &str, token: Option<&str>) -> StackEvent {
        StackEvent {
            id: status.to_owned(),
            operation: None,
            stack_id: ID.to_owned(),
            logical: "web".to_owned(),
            physical: Some(ID.to_owned()),
            type_: "AWS::CloudFormation::Stack".to_owned(),
            at: 0,
            status: status.to_owned(),
            reason: None,
            detailed_status: None,
            token: token.map(str::to_owned),
            hook: None,
        }
    }

    #[test]
    fn only_operations_that_begin_after_ours_are_somebody_else_s() {
        let ours = ["a".to_owned()];
        let of = |events: &[StackEvent]| others(events, ID, &ours).map(|event| event.status.clone());
        let own = [event("UPDATE_IN_PROGRESS", Some("a")), event("UPDATE_COMPLETE", Some("a"))];
        assert_eq!(of(&own), None);
        let mut before = vec![event("UPDATE_IN_PROGRESS", Some("b")), event("UPDATE_COMPLETE", Some("b"))];
        before.extend(own.clone());
        assert_eq!(of(&before), None);
        let mut after = own.to_vec();
        after.push(event("UPDATE_IN_PROGRESS", None));
        assert_eq!(of(&after).as_deref(), Some("UPDATE_IN_PROGRESS"));
        let mut cancelled = own.to_vec();
        cancelled.push(event("UPDATE_ROLLBACK_IN_PROGRESS", Some("c")));
        assert_eq!(of(&cancelled), None, "a cancellation of ours");
    }
}

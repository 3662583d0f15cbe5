//! A run of the stage, step by step.
//! The main function is [`run`].

use kiln_plugin::aws::Pair;
use kiln_plugin::aws::cloudformation::{CreateChangeSetRequest, ExecuteChangeSetRequest, RollbackTriggers, Stack};
use kiln_plugin::{Failure, FailureKind, context, log};
use kiln_stack::follow::{self, Ending};
use kiln_stack::recover::{self, Recover};
use kiln_stack::{Cause, ChangeSet, Made, State, cause, change_set, guard, look, show};

use crate::config::{Config, Mode, OnStackFailure, Outputs};
use crate::remembered::{Remembered, values};
use crate::{alarms, drift, outline, parameters, protection, source};

/// Deploy.
pub(crate) fn run(config: &Config) -> Result<Outputs, Failure> {
    let (text, template) = source::read(config)?;
    let earlier = Remembered::recall()?;
    if let Some(earlier) = &earlier
        && let Some(outputs) = of_earlier(config, earlier)?
    {
        return Ok(outputs);
    }
    let triggers = alarms::triggers(config)?;
    let stack = recover::until_changeable(config.name(), &config.recovery())?;
    // One that is only under review was made for a change set that nobody executed.
    let ready = stack.as_ref().filter(|stack| State::of(&stack.status) == State::Ready);
    let reverts = match ready {
        Some(stack) => drift::look(config, stack)?,
        None => false,
    };
    let given = parameters::given(config, &template, ready)?;
    let request = CreateChangeSetRequest {
        template: Some(source::sent(config, &text)?),
        parameters: parameters::sent(&given)?,
        revert_drift: reverts,
        ..request(config, stack.as_ref(), triggers)?
    };
    let set = match change_set::make(&request, config.poll)? {
        Made::Changes(set) => set,
        Made::Nothing { .. } => return unchanged(config, ready, earlier),
    };
    if let Err(failure) = admit(config, &set) {
        change_set::discard(config.name(), &set.name, stack.is_some(), config.poll)?;
        return Err(failure);
    }
    if !config.execute {
        change_set::discard(config.name(), &set.name, stack.is_some(), config.poll)?;
        log::info(format!("{} was not changed: the config says `execute = false`", config.name()));
        return Ok(outline::outputs(config, ready, false, set.changes.len()));
    }
    execute(config, ready, &set, earlier)
}

/// What an earlier attempt began and what goes on is followed; none where there is nothing to follow.
fn of_earlier(config: &Config, earlier: &Remembered) -> Result<Option<Outputs>, Failure> {
    let Some(stack) = look::stack(&earlier.stack_id)?.filter(|_| earlier.executed) else { return Ok(None) };
    if !State::of(&stack.status).is_under_way() {
        return Ok(None);
    }
    let Some(token) = follow::own(&stack, &earlier.operations, earlier.change_set.as_deref())? else {
        return Ok(None);
    };
    let mut remembered = earlier.clone();
    if !remembered.operations.contains(&token) {
        remembered.began(&token)?;
    }
    log::info(format!("following the operation on {} that an earlier attempt began", config.name()));
    let ending = follow::until_settled(&stack.id, Some(&token), None, 0, config.poll)?;
    settled(config, ending, earlier.before.is_none(), 0, remembered).map(Some)
}

/// What is the same in each change set of the stack.
pub(crate) fn request(
    config: &Config,
    stack: Option<&Stack>,
    triggers: Option<RollbackTriggers>,
) -> Result<CreateChangeSetRequest, Failure> {
    let info = context::get();
    let state = State::of_stack(stack);
    let kind = state
        .change_set_type()
        .ok_or_else(|| Failure::internal(format!("{} is in no state in which it can be changed", config.name())))?;
    let mut tags = vec![Pair { name: "kiln:pipeline".to_owned(), value: info.pipeline.clone() }];
    for (name, value) in &config.tags {
        tags.retain(|tag| tag.name != *name);
        tags.push(Pair { name: name.clone(), value: value.get()?.clone() });
    }
    let is_new = kind == "CREATE";
    Ok(CreateChangeSetRequest {
        stack: config.name().to_owned(),
        type_: kind.to_owned(),
        template: None,
        parameters: Vec::new(),
        capabilities: config.acknowledged(),
        tags: Some(tags),
        role: config.role.clone(),
        triggers,
        notifications: None,
        description: Some(format!("kiln {} {}", info.pipeline, info.run_id).chars().take(1024).collect()),
        nested: config.nested,
        on_stack_failure: (is_new && config.on_failure == OnStackFailure::Delete).then(|| "DELETE".to_owned()),
        revert_drift: false,
        mode: (config.mode == Mode::Express).then(|| "EXPRESS".to_owned()),
        skip_validation: !config.early_validation,
    })
}

/// Nothing changes: what protects the stack may.
fn unchanged(config: &Config, ready: Option<&Stack>, earlier: Option<Remembered>) -> Result<Outputs, Failure> {
    log::info(format!("{} is as the template says already: nothing to deploy", config.name()));
    let Some(stack) = ready else { return Ok(outline::outputs(config, None, false, 0)) };
    if config.execute {
        let mut remembered = Remembered::of(config, &stack.id, Some(stack), earlier)?;
        protection::set_policy(config, &stack.id, &mut remembered)?;
        protection::set_termination(config, stack, &mut remembered)?;
    }
    declared(config, stack)?;
    Ok(outline::as_it_is(config, stack))
}

/// Show what a change set would do, and refuse it where a guard forbids that.
fn admit(config: &Config, set: &ChangeSet) -> Result<(), Failure> {
    let all = set.all();
    log::info(format!("the change set of {}: {}", config.name(), show::counts(&all)));
    set.changes.iter().map(show::line).for_each(log::info);
    set.nested.iter().for_each(|(stack, change)| log::info(format!("{stack}: {}", show::line(change))));
    guard::refusal(config.name(), guard::breaches(&all, &config.protect, config.max_changes)).map_or(Ok(()), Err)
}

/// Let it happen, and follow it.
fn execute(
    config: &Config,
    ready: Option<&Stack>,
    set: &ChangeSet,
    earlier: Option<Remembered>,
) -> Result<Outputs, Failure> {
    let mut remembered = Remembered::of(config, &set.stack_id, ready, earlier)?;
    remembered.executed = true;
    remembered.change_set = Some(set.name.clone());
    remembered.keep()?;
    // A policy holds for the change that comes with it; a stack that is not there yet has none.
    if ready.is_some() {
        protection::set_policy(config, &set.stack_id, &mut remembered)?;
    }
    let request = ExecuteChangeSetRequest {
        stack: config.name().to_owned(),
        name: set.name.clone(),
        disable_rollback: disable_rollback(config.on_failure, ready.is_none()),
        retain_except_on_create: true,
    };
    let mut begun = |token: &str| remembered.began(token);
    let ending = follow::change(&request, &set.stack_id, set.changes.len(), config.poll, &mut begun)?;
    settled(config, ending, ready.is_none(), set.changes.len(), remembered)
}

/// What is said of it when a change set is executed; none where the change set says it itself.
fn disable_rollback(on_failure: OnStackFailure, is_new: bool) -> Option<bool> {
    match (on_failure, is_new) {
        (OnStackFailure::Delete, true) => None,
        (OnStackFailure::Keep, _) => Some(true),
        (OnStackFailure::Rollback, _) | (OnStackFailure::Delete, false) => Some(false),
    }
}

/// What an operation came to.
fn settled(
    config: &Config,
    ending: Ending,
    is_new: bool,
    changes: usize,
    mut remembered: Remembered,
) -> Result<Outputs, Failure> {
    match ending {
        Ending::Done(stack) => {
            if is_new {
                protection::set_policy(config, &stack.id, &mut remembered)?;
            }
            protection::set_termination(config, &stack, &mut remembered)?;
            remembered.left = Some(values(&stack));
            remembered.keep()?;
            declared(config, &stack)?;
            log::info(format!("{} is {}", config.name(), stack.status));
            Ok(outline::outputs(config, Some(&stack), true, changes))
        }
        Ending::Failed { stack, cause } => {
            let told = failed(config, stack.as_deref(), cause.as_ref(), is_new);
            taken_out(config, stack.as_deref(), told)
        }
    }
}

/// The outputs that the config declares must be there: a condition of the template may leave one out.
fn declared(config: &Config, stack: &Stack) -> Result<(), Failure> {
    let missing: Vec<&str> = config
        .outputs
        .iter()
        .filter(|name| !stack.outputs.iter().any(|output| output.name == **name))
        .map(String::as_str)
        .collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(Failure::config(format!("{} has no output {first}", config.name()))
            .help("A condition of the template leaves it out: take it from `outputs`, or let the template always give it.")
            .details(missing.iter().map(|name| format!("missing: {name}")))),
    }
}

/// Why an operation failed, and what is left.
fn failed(config: &Config, stack: Option<&Stack>, cause: Option<&Cause>, is_new: bool) -> Failure {
    let name = config.name();
    let verb = if is_new { "created" } else { "updated" };
    let state = State::of_stack(stack);
    let left = match (state, is_new) {
        (State::Absent, _) => "and what was made is deleted again",
        (State::Unmade, _) => "and what was made is deleted again; the empty stack stays",
        (State::Ready, _) => "and is as it was before",
        (State::BackFailed, _) => "and could not go back",
        (State::Left, _) => "and stays as it is",
        _ => "and is in doubt",
    };
    let reason = stack.and_then(|stack| stack.reason.as_deref());
    let mut failure = cause::failure(&format!("{name} was not {verb}, {left}"), cause, reason);
    if cause.is_some_and(|cause| cause.resource.is_none() && cause.reason.to_ascii_lowercase().contains("alarm")) {
        failure.kind = FailureKind::Rejected;
    }
    failure.details.extend(stack.map(|stack| format!("the stack is {}", stack.status)));
    let help = match state {
        State::Unmade => {
            "Mend the cause. The empty stack must be deleted before the next creation: `recover = [\"rollback-complete\"]` does, and \
             `on-failure = \"delete\"` leaves none."
        }
        State::BackFailed => {
            "Mend what failed on the way back, or name it in `skip`; `recover = [\"update-rollback-failed\"]` then goes on with it."
        }
        State::Left => "Look at what is there; `recover = [\"failed\"]` brings the stack back before the next change.",
        _ => "Mend the cause and run again.",
    };
    failure.help(help)
}

/// Where the way back failed and the config says so, it is gone on with at once. The failure is the same.
fn taken_out(config: &Config, stack: Option<&Stack>, told: Failure) -> Result<Outputs, Failure> {
    let Some(stack) = stack.filter(|stack| State::of(&stack.status) == State::BackFailed) else { return Err(told) };
    if !config.recover.contains(&Recover::UpdateRollbackFailed) {
        return Err(told);
    }
    log::info(format!("the way back of {} failed, and is gone on with", config.name()));
    match recover::go_on_back(stack, &config.recovery()) {
        Ok(()) => Err(told.detail(format!("{} has gone back since", config.name()))),
        Err(again) => Err(told.detail(again.message).details(again.details)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remembered::tests::stack;
    use serde_json::json;

    fn config(with: serde_json::Value) -> Config {
        let mut all = json!({ "stack": "web", "template": "web.yaml" });
        if let (serde_json::Value::Object(all), serde_json::Value::Object(with)) = (&mut all, with) {
            all.extend(with);
        }
        match serde_json::from_value(all) {
            Ok(config) => config,
            Err(error) => unreachable!("{error}"),
        }
    }

    fn cause(resource: Option<&str>, reason: &str) -> Cause {
        Cause {
            resource: resource.map(str::to_owned),
            kind: "AWS::SQS::Queue".to_owned(),
            status: "UPDATE_FAILED".to_owned(),
            reason: reason.to_owned(),
            nested: None,
            followers: Vec::new(),
            others: Vec::new(),
        }
    }

    #[test]
    fn a_failure_says_the_cause_first_and_what_is_left() {
        let config = config(json!({}));
        let of =
            |status: &str, is_new| failed(&config, Some(&stack(status)), Some(&cause(Some("Queue"), "no.")), is_new);
        let back = of("UPDATE_ROLLBACK_COMPLETE", false);
        assert_eq!(
            back.message,
            "web was not updated, and is as it was before: Queue (AWS::SQS::Queue) is UPDATE_FAILED: no"
        );
        assert_eq!((back.kind, back.help.as_deref()), (FailureKind::Failed, Some("Mend the cause and run again.")));
        for (status, is_new, words, help) in [
            (
                "ROLLBACK_COMPLETE",
                true,
                "was not created, and what was made is deleted again; the empty stack",
                "rollback-complete",
            ),
            ("UPDATE_ROLLBACK_FAILED", false, "and could not go back", "update-rollback-failed"),
            ("UPDATE_FAILED", false, "and stays as it is", "recover = [\"failed\"]"),
        ] {
            let told = of(status, is_new);
            assert!(told.message.contains(words), "{}", told.message);
            assert!(told.help.is_some_and(|told| told.contains(help)), "{status}");
        }
        assert!(
            failed(&config, None, None, true)
                .message
                .starts_with("web was not created, and what was made is deleted again")
        );
    }

    #[test]
    fn an_alarm_that_rings_is_a_gate_that_closed() {
        let config = config(json!({}));
        let rang = cause(None, "Rollback triggered by alarm web-5xx");
        let told = failed(&config, Some(&stack("UPDATE_ROLLBACK_COMPLETE")), Some(&rang), false);
        assert_eq!(told.kind, FailureKind::Rejected);
    }

    #[test]
    fn what_becomes_of_a_failure_is_said_once() {
        use OnStackFailure::{Delete, Keep, Rollback};
        assert_eq!(disable_rollback(Delete, true), None, "the change set says it");
        assert_eq!([disable_rollback(Delete, false), disable_rollback(Rollback, true)], [Some(false); 2]);
        assert_eq!([disable_rollback(Keep, true), disable_rollback(Keep, false)], [Some(true); 2]);
    }

    #[test]
    fn outputs_that_a_condition_leaves_out_are_missed() {
        let config = config(json!({ "outputs": ["Url"] }));
        assert_eq!(declared(&config, &stack("CREATE_COMPLETE")).unwrap_err().message, "web has no output Url");
    }
}

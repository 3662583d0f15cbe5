//! The plan of the stage, for people.
//! The main function is [`plan`].

use std::collections::BTreeMap;

use kiln_plugin::aws::cloudformation::{ResourceChange, Stack};
use kiln_plugin::{ChangeAction, Failure, Plan, log};
use kiln_stack::forecast::{changes, unrolled};
use kiln_stack::recover::{WayOut, way_out};
use kiln_stack::{Side, State, guard, look, show, side};
use kiln_template::Template;
use serde_json::Value;

use crate::config::{Config, Fixed, Outputs};
use crate::parameters::{Given, given, had, is_hidden};
use crate::{alarms, source};

/// How many changes a plan tells one by one.
const TOLD: usize = 200;

/// What a run would do. A change set would be a write, so that this is a forecast.
pub(crate) fn plan(config: &Config) -> Result<Plan, Failure> {
    let (text, template) = source::read(config)?;
    let name = config.name();
    let stack = look::stack(name)?;
    let state = State::of_stack(stack.as_ref());
    alarms::triggers(config)?;
    let stack = match way_out(state, &config.recovery()) {
        WayOut::None => stack.filter(|_| state == State::Ready),
        WayOut::Refuse { why, help } => {
            log::warn(format!("{name} is {}: {why}; a run that comes here is refused. {help}", status(stack.as_ref())));
            stack
        }
        WayOut::Wait => {
            log::warn(format!("{name} is {}: a run waits for the end of that", status(stack.as_ref())));
            stack
        }
        WayOut::Delete => {
            log::warn(format!("{name} is {}: a run deletes it and makes it anew", status(stack.as_ref())));
            None
        }
        WayOut::Continue | WayOut::Rollback => {
            log::warn(format!("{name} is {}: a run first brings it back", status(stack.as_ref())));
            stack
        }
    };
    let given = given(config, &template, stack.as_ref())?;
    let values = values(config, &template, stack.as_ref(), &given);
    let template = unrolled_or(&text, &values, template);
    let now = Side { template: &template, values };
    let Some(stack) = stack else {
        let changes = changes(None, &now);
        return Ok(told(config, format!("the stack {name} would be created: {}", show::counts(&changes)), &changes));
    };
    let text = look::template(&stack.id)?;
    let Ok(old) = kiln_template::check(&text) else {
        let summary = format!(
            "the stack {name} would be updated; what that changes cannot be forecast, because kiln cannot read the template that it has"
        );
        return Ok(Plan::new(summary));
    };
    let values = side::values(name, &old, &stack);
    let old = unrolled_or(&text, &values, old);
    let before = Side { template: &old, values };
    let changes = changes(Some(&before), &now);
    if changes.is_empty() {
        let plan = Plan::new(format!("the stack {name} would stay as it is (a forecast)"));
        let is_sure = given.iter().all(|(_, given)| !matches!(given, Given::After(_)));
        return Ok(if is_sure { plan.outputs(&as_it_is(config, &stack)) } else { plan });
    }
    let breaches = guard::breaches(&changes, &config.protect, config.max_changes);
    if let Some(refusal) = guard::refusal(name, breaches) {
        log::warn(format!("a run that comes here would be refused: {}", refusal.message));
    }
    Ok(told(config, format!("the stack {name} would be updated: {} (a forecast)", show::counts(&changes)), &changes))
}

/// A template with its loops unrolled over the values of its parameters; where these are not known yet, over the defaults.
fn unrolled_or(text: &str, values: &BTreeMap<String, Value>, template: Template) -> Template {
    if !template.is_extended() {
        return template;
    }
    unrolled(text, values).unwrap_or_else(|| {
        log::warn("what the loops of the template make is not known yet: their defaults are forecast");
        template
    })
}

fn status(stack: Option<&Stack>) -> String {
    stack.map(|stack| stack.status.clone()).unwrap_or_default()
}

fn told(config: &Config, summary: String, changes: &[ResourceChange]) -> Plan {
    let mut plan = Plan::new(summary);
    for change in changes.iter().take(TOLD) {
        let subject = format!("{} {}", change.type_, change.logical);
        plan = plan.change(show::action(change), subject, show::why(change));
    }
    let more = changes.len().saturating_sub(TOLD);
    if more > 0 {
        plan = plan.change(ChangeAction::Update, format!("{more} more"), "not told one by one".to_owned());
    }
    if !config.execute {
        plan = plan.change(
            ChangeAction::Read,
            format!("stack {}", config.name()),
            "the change set is made, shown and deleted",
        );
    }
    plan
}

/// The outputs of a stack that stays as it is.
pub(crate) fn as_it_is(config: &Config, stack: &Stack) -> Outputs {
    outputs(config, Some(stack), false, 0)
}

/// The outputs of the stage.
pub(crate) fn outputs(config: &Config, stack: Option<&Stack>, changed: bool, changes: usize) -> Outputs {
    let fixed = Fixed {
        stack: config.name().to_owned(),
        stack_id: stack.map(|stack| stack.id.clone()),
        status: stack.map_or_else(|| "NONE".to_owned(), |stack| stack.status.clone()),
        changed,
        changes: u32::try_from(changes).unwrap_or(u32::MAX),
    };
    let of_stack = stack.map(|stack| stack.outputs.as_slice()).unwrap_or_default();
    let declared = of_stack.iter().filter(|output| config.outputs.contains(&output.name));
    Outputs::of(&fixed, declared.map(|output| (output.name.clone(), output.value.clone())))
}

/// What parameters and pseudo parameters are, for a forecast.
fn values(
    config: &Config,
    template: &Template,
    stack: Option<&Stack>,
    given: &[(String, Given)],
) -> BTreeMap<String, Value> {
    let mut values = side::pseudo(config.name(), stack);
    for (name, declared) in &template.parameters {
        let given = given.iter().find(|(known, _)| known == name).map(|(_, given)| given);
        let kept = stack.and_then(|stack| had(stack, name)).map(|has| has.value.clone());
        let text = match given {
            // What the stack has is not shown: whether this is the same cannot be told, and is taken to be.
            Some(Given::Value(_)) if kept.as_deref().is_some_and(is_hidden) => kept.unwrap_or_default(),
            Some(Given::Value(value)) => value.clone(),
            Some(Given::Kept) => kept.unwrap_or_default(),
            Some(Given::After(stage)) => format!("(known after {stage})"),
            None => declared.default.clone().unwrap_or_default(),
        };
        values.insert(name.clone(), declared.kind.value(&text));
    }
    values
}

//! Deploys by a stack that owns what is deployed to: one of its parameters gets another value, so that the stack and its template stay one.
//! The main type is [`Owner`]; [`Owner::change`] gives the value, [`Owner::back`] the one of before.

use kiln_plugin::aws::cloudformation::{
    CreateChangeSetRequest, ExecuteChangeSetRequest, Parameter, ParameterValue, Stack, StackResource,
};
use kiln_plugin::{Duration, Failure, Permission, context, log};
use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::change_set::{self, Made};
use crate::follow::{self, Ending, Watch};
use crate::guard::{self, Protect};
use crate::recover::{self, Recover, Recovery, WhenBusy};
use crate::state::State;
use crate::{look, show};

/// A stack and its parameter, as a config names them.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The parameter's name.
    pub parameter: &'a str,
    /// How often to look.
    pub every: Duration,
}

/// What an undo must know. Remembered before the stack is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The stack's id.
    pub stack_id: String,
    /// The parameter's value of before.
    pub before: String,
    /// What it was given.
    pub given: String,
    /// Whether the change set was executed, or is about to be.
    pub executed: bool,
    /// The tokens of the operations that this stage began.
    pub operations: Vec<String>,
}

impl Given {
    /// What is to be remembered of a stack that is about to be changed. What an earlier attempt found is what an undo goes back to.
    pub fn of(stack: &Stack, before: &str, given: &str, earlier: Option<Self>) -> Self {
        let earlier = earlier.filter(|earlier| earlier.stack_id == stack.id && earlier.given == given);
        earlier.unwrap_or_else(|| Self {
            stack_id: stack.id.clone(),
            before: before.to_owned(),
            given: given.to_owned(),
            executed: false,
            operations: Vec::new(),
        })
    }

    /// The change is about to happen, or has begun with a token.
    pub fn take(&mut self, step: Step<'_>) {
        self.executed = true;
        if let Step::Begun(token) = step {
            self.operations.push(token.to_owned());
        }
    }
}

/// A step of a change that has to be remembered.
#[derive(Debug, Clone, Copy)]
pub enum Step<'t> {
    /// It is about to happen.
    Executes,
    /// It has begun, with this token.
    Begun(&'t str),
}

/// What became of the change of a parameter.
#[derive(Debug)]
pub enum Changed {
    /// There is nothing to change.
    Nothing,
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

/// Remembers a step.
pub type Keep<'k> = &'k mut dyn FnMut(Step<'_>) -> Result<(), Failure>;
/// What is looked at while a stack changes.
pub type Besides<'b> = &'b mut dyn FnMut() -> Result<(), Failure>;

impl Owner<'_> {
    /// What whoever deploys by a stack must be allowed to do with it. `what` is what the parameter brings: `image`, `AMI`.
    pub fn permissions(what: &str) -> Vec<Permission> {
        let on_stack = |action: &str, reason: &str| {
            Permission::new(&format!("cloudformation:{action}"), reason).on("cloudformation", "stack/${with.stack}/*")
        };
        let nested =
            |action: &str, reason: &str| on_stack(action, reason).on("cloudformation", "stack/${with.stack}-*/*");
        vec![
            nested("DescribeStacks", "to see the stack that owns what is deployed to, and its parameter"),
            nested("DescribeStackEvents", "to follow the stack, and to find the first resource that failed"),
            nested("DescribeChangeSet", &format!("to read what the new {what} would change of the stack")),
            on_stack("DescribeEvents", "to tell which checks of AWS failed"),
            on_stack("ListStackResources", "to see that what is deployed to belongs to the stack"),
            on_stack("CreateChangeSet", &format!("to give the stack the new {what}")),
            on_stack("DeleteChangeSet", "to delete a change set that is not executed"),
            on_stack("ExecuteChangeSet", "to deploy by the stack, and to go back"),
            on_stack("ContinueUpdateRollback", "to go on with a way back that failed, where it is undone"),
            on_stack("CancelUpdateStack", "to bring an update back that is undone while it goes on"),
        ]
    }

    /// The stack, once it can be changed.
    pub fn changeable(&self, stack: &str, when_busy: WhenBusy) -> Result<Option<Stack>, Failure> {
        let recovery = Recovery { when_busy, ..self.recovery() };
        recover::until_changeable(stack, &recovery)
    }

    fn recovery(&self) -> Recovery<'static> {
        Recovery { recover: &[], skip: &[], retain: &[], role: None, when_busy: WhenBusy::Wait, every: self.every }
    }

    /// The stack, which must be there and can be changed.
    pub fn ready(&self, when_busy: WhenBusy) -> Result<Stack, Failure> {
        let stack = self.changeable(self.stack, when_busy)?;
        stack.filter(|stack| State::of(&stack.status) == State::Ready).ok_or_else(|| {
            Failure::not_found(format!("CloudFormation has no stack {} yet", self.stack))
                .help("Deploy the stack first, by a stage of `deploy-stack`.")
        })
    }

    /// The parameter that the stack has.
    pub fn has<'s>(&self, stack: &'s Stack) -> Result<&'s ParameterValue, Failure> {
        stack.parameters.iter().find(|has| has.name == self.parameter).ok_or_else(|| {
            let there: Vec<&str> = stack.parameters.iter().map(|has| has.name.as_str()).collect();
            Failure::config(format!("the stack {} has no parameter {}", self.stack, self.parameter)).help(
                match there.is_empty() {
                    true => "Its template has none: let it take what is deployed as a parameter.".to_owned(),
                    false => format!("It has {}.", there.join(", ")),
                },
            )
        })
    }

    /// The resource of the stack that is deployed to, which another stack's would not be: that would serve what it did before.
    /// `subject` is what it is, for people: `service web`.
    pub fn resource(
        &self,
        stack: &Stack,
        kind: &str,
        subject: &str,
        is_it: impl Fn(&str) -> bool,
    ) -> Result<StackResource, Failure> {
        let mut all = look::resources(&stack.id)?.into_iter();
        let found = all.find(|one| one.type_ == kind && one.physical.as_deref().is_some_and(&is_it));
        found.ok_or_else(|| {
            Failure::config(format!("the {subject} is no resource of the stack {}", self.stack))
                .help("Correct `stack`, or leave `stack` and `parameter` out: then the stage deploys without a stack.")
        })
    }

    /// The change of one parameter; all else stays as the stack has it.
    fn request(&self, stack: &Stack, value: &str) -> CreateChangeSetRequest {
        let info = context::get();
        let parameter =
            |name: &String| Parameter { name: name.clone(), value: (name == self.parameter).then(|| value.to_owned()) };
        CreateChangeSetRequest {
            stack: self.stack.to_owned(),
            type_: "UPDATE".to_owned(),
            template: None,
            parameters: stack.parameters.iter().map(|has| parameter(&has.name)).collect(),
            capabilities: stack.capabilities.clone(),
            tags: None,
            role: None,
            triggers: None,
            notifications: None,
            description: Some(format!("kiln {} {}", info.pipeline, info.run_id).chars().take(1024).collect()),
            nested: true,
            on_stack_failure: None,
            revert_drift: false,
            mode: None,
            skip_validation: false,
        }
    }

    /// What whoever reads a plan or a run should know of the stack.
    pub fn note(&self, stack: &Stack) -> Option<String> {
        stack.role.is_none().then(|| {
            format!(
                "the stack {} has no role: CloudFormation changes it, and goes back, with the rights of this stage alone; a stage of \
                 `deploy-stack` with `role` gives it one with its next change",
                self.stack
            )
        })
    }

    /// Give the parameter a value, and follow the stack to its end. What would change is shown first, and not done where it is against the
    /// guards. `keep` remembers its steps.
    pub fn change(&self, stack: &Stack, value: &str, keep: Keep<'_>, besides: Besides<'_>) -> Result<Changed, Failure> {
        let set = match change_set::make(&self.request(stack, value), self.every)? {
            Made::Nothing { .. } => return Ok(Changed::Nothing),
            Made::Changes(set) => set,
        };
        let all = set.all();
        self.note(stack).into_iter().for_each(log::warn);
        log::info(format!("the change set of {}: {}", self.stack, show::counts(&all)));
        all.iter().map(show::line).for_each(log::info);
        if let Some(refusal) = guard::refusal(self.stack, guard::breaches(&all, &Protect::default(), None)) {
            change_set::discard(self.stack, &set.name, true, self.every)?;
            return Err(refusal.help(format!(
                "A new value of {} must not do that: deploy the stack by a stage of `deploy-stack`, which can be told to.",
                self.parameter
            )));
        }
        keep(Step::Executes)?;
        let execute = ExecuteChangeSetRequest {
            stack: self.stack.to_owned(),
            name: set.name.clone(),
            disable_rollback: Some(false),
            retain_except_on_create: true,
        };
        let mut begun = |token: &str| keep(Step::Begun(token));
        let watch = Watch { begun: &mut begun, besides };
        Ok(match follow::change_watching(&execute, &set.stack_id, set.changes.len(), self.every, watch)? {
            Ending::Done(stack) => Changed::Done(stack),
            Ending::Failed { stack, cause } => Changed::Failed { stack, cause },
        })
    }

    /// Give the parameter its value of before. An update of this stage that goes on is cancelled first, and a way back that failed is gone on
    /// with: it leads where this one does.
    pub fn back(&self, given: &Given, keep: Keep<'_>, besides: Besides<'_>) -> Result<Changed, Failure> {
        let gone = || Failure::conflict(format!("the stack {} is not there any more", self.stack));
        let stack = look::stack(&given.stack_id)?.ok_or_else(gone)?;
        recover::stopped(stack, &given.operations, given.executed, self.every)?;
        let recovery = Recovery { recover: &[Recover::UpdateRollbackFailed], ..self.recovery() };
        let stack = recover::until_changeable(&given.stack_id, &recovery)?.ok_or_else(gone)?;
        let has = &self.has(&stack)?.value;
        if *has != given.given && *has != given.before {
            return Err(Failure::conflict(format!(
                "the stack {} now has {} for {}, which is neither what this stage gave it nor what it had before",
                self.stack,
                show::shown(has),
                self.parameter
            ))
            .help("Somebody deployed since. Nothing was changed: decide by hand what is to serve."));
        }
        if *has == given.before {
            return Ok(Changed::Nothing);
        }
        self.change(&stack, &given.before, keep, besides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(operations: &[&str]) -> Given {
        Given {
            stack_id: "web/1".to_owned(),
            before: "ami-1".to_owned(),
            given: "ami-2".to_owned(),
            executed: true,
            operations: operations.iter().map(|&token| token.to_owned()).collect(),
        }
    }

    #[test]
    fn each_step_of_a_change_is_known_to_an_undo() {
        let mut now = Given { executed: false, ..given(&[]) };
        now.take(Step::Executes);
        assert_eq!(now, given(&[]));
        now.take(Step::Begun("a"));
        now.take(Step::Executes);
        now.take(Step::Begun("b"));
        assert_eq!(now, given(&["a", "b"]));
    }
}

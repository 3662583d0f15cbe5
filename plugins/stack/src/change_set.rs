//! A change set is made, read, and deleted where it is not executed.
//! The main function is [`make`].

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::cloudformation::{
    CreateChangeSetRequest, DeleteChangeSetRequest, DeleteStackRequest, DescribeChangeSetRequest,
    DescribeChangeSetResponse, ResourceChange, create_change_set, delete_change_set, delete_stack, describe_change_set,
};
use kiln_plugin::{Duration, During, Failure, FailureKind, Look, log, poll};

use crate::look;
use crate::state::State;
use crate::{cause, follow};

/// A change set that can be executed.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    /// Its name.
    pub name: String,
    /// The stack's id.
    pub stack_id: String,
    /// What would happen to the stack's own resources.
    pub changes: Vec<ResourceChange>,
    /// What would happen to those of nested stacks: the name of the nested stack's resource, and each change.
    pub nested: Vec<(String, ResourceChange)>,
}

/// What came of it.
#[derive(Debug)]
pub enum Made {
    /// There is nothing to change.
    Nothing {
        /// The stack's id.
        stack_id: String,
    },
    /// There is.
    Changes(ChangeSet),
}

impl ChangeSet {
    /// All changes, with those of nested stacks.
    pub fn all(&self) -> Vec<ResourceChange> {
        self.changes.iter().chain(self.nested.iter().map(|(_, change)| change)).cloned().collect()
    }
}

/// Whether a change set has failed because nothing would change.
fn is_without_changes(reason: &str) -> bool {
    const WORDS: [&str; 3] = ["didn't contain changes", "no updates are to be performed", "no changes"];
    let reason = reason.to_ascii_lowercase();
    WORDS.iter().any(|words| reason.contains(&words.to_ascii_lowercase()))
}

/// Make a change set and wait until it says what would happen. One without changes is deleted again.
pub fn make(request: &CreateChangeSetRequest, every: Duration) -> Result<Made, Failure> {
    let stack = &request.stack;
    let was_there = look::stack(stack)?.is_some();
    let made = create_change_set(request).map_err(|error| refused(stack, error))?;
    log::debug(format!("made the change set {} of {stack}", made.name));
    let set = poll(every, &format!("the change set {} of {stack}", made.name), || {
        let set = described(stack, &made.name)?;
        Ok(match set.status.as_str() {
            "CREATE_COMPLETE" | "FAILED" => Look::Done(set),
            status => Look::waiting(format!("the change set is {status}")),
        })
    })?;
    if set.status == "CREATE_COMPLETE" {
        let nested = nested(&set)?;
        return Ok(Made::Changes(ChangeSet { name: set.name, stack_id: set.stack_id, changes: set.changes, nested }));
    }
    let reason = set.reason.clone().unwrap_or_default();
    let told = cause::told(&look::failures(stack, None, Some(&made.name)));
    discard(stack, &made.name, was_there, every)?;
    if is_without_changes(&reason) {
        return Ok(Made::Nothing { stack_id: set.stack_id });
    }
    let first = told.first().map_or_else(|| reason.trim_end_matches('.').to_owned(), Clone::clone);
    Err(Failure::new(FailureKind::Config, format!("CloudFormation can make no change set of {stack}: {first}"))
        .help("Correct the template or its parameters. Nothing was changed.")
        .details(told)
        .detail(format!("the change set's own reason: {reason}")))
}

fn described(stack: &str, name: &str) -> Result<DescribeChangeSetResponse, Failure> {
    let request = DescribeChangeSetRequest { stack: stack.to_owned(), name: name.to_owned(), values: true };
    describe_change_set(&request).during(format!("reading the change set {name} of {stack}"))
}

/// How deep stacks may be nested.
const DEEPEST: usize = 5;

/// What nested stacks would do: each has a change set of its own.
fn nested(set: &DescribeChangeSetResponse) -> Result<Vec<(String, ResourceChange)>, Failure> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, ResourceChange)> = set.changes.iter().map(|change| (1, change.clone())).collect();
    while let Some((depth, change)) = open.pop() {
        let (Some(set), Some(stack)) = (&change.change_set, &change.physical) else { continue };
        let Some(name) = name_in(set) else { continue };
        // A new nested stack has no change set that could be read before it is there.
        let within = match describe_change_set(&DescribeChangeSetRequest {
            stack: stack.clone(),
            name: name.to_owned(),
            values: true,
        }) {
            Ok(within) => within,
            Err(error) if error.kind == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).during(format!("reading the change set of the nested stack {}", change.logical));
            }
        };
        for inner in within.changes {
            if depth < DEEPEST {
                open.push((depth + 1, inner.clone()));
            }
            found.push((change.logical.clone(), inner));
        }
    }
    Ok(found)
}

/// `arn:…:changeSet/NAME/ID`.
fn name_in(arn: &str) -> Option<&str> {
    arn.split_once(":changeSet/")?.1.split('/').next().filter(|name| !name.is_empty())
}

/// Delete a change set that is not executed, and the stack that was only made for it.
pub fn discard(stack: &str, name: &str, was_there: bool, every: Duration) -> Result<(), Failure> {
    let request = DeleteChangeSetRequest { stack: stack.to_owned(), name: name.to_owned() };
    match delete_change_set(&request) {
        Ok(_) => {}
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(error).during(format!("deleting the change set {name} of {stack}")),
    }
    if was_there {
        return Ok(());
    }
    let Some(left) = look::stack(stack)? else { return Ok(()) };
    if State::of(&left.status) != State::Review || left.created.is_none() {
        return Ok(());
    }
    log::debug(format!("deleting {stack}, which was made for the change set alone"));
    let request = DeleteStackRequest { stack: left.id.clone(), retain: Vec::new(), role: None };
    let begun = delete_stack(&request).during(format!("deleting {stack}, which is only under review"))?;
    follow::until_gone(&left.id, &begun.token, every).map(|_| ())
}

fn refused(stack: &str, error: kiln_plugin::aws::Error) -> Failure {
    let capabilities = error.code == "InsufficientCapabilitiesException";
    let message = error.message.clone();
    let failure: Failure = error.into();
    if !capabilities {
        return Failure { message: format!("while making a change set of {stack}: {}", failure.message), ..failure };
    }
    Failure::config(format!("the template of {stack} does what has to be acknowledged: {}", message.trim_end_matches('.')))
        .help("Name it in `capabilities`: `iam` for roles and policies, `named-iam` where they have names, `auto-expand` for macros.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_set_without_changes_is_told_from_one_that_failed() {
        for without in [
            "The submitted information didn't contain changes. Submit different information to create a change set.",
            "No updates are to be performed.",
        ] {
            assert!(is_without_changes(without), "{without}");
        }
        for failed in ["", "Parameters: [A] must have values", "Transform X failed without an error message"] {
            assert!(!is_without_changes(failed), "{failed}");
        }
    }

    #[test]
    fn the_name_of_a_nested_change_set_stands_in_its_arn() {
        let arn = "arn:aws:cloudformation:us-west-2:1:changeSet/kiln-0-Inner-1X/0a";
        assert_eq!(name_in(arn), Some("kiln-0-Inner-1X"));
        assert_eq!(name_in("kiln-0"), None);
    }
}

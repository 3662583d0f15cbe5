//! CloudFormation: stacks, and the change sets by which they are changed.
//!
//! Every request record in here is an [`Operation`](crate::aws::operation::Operation); [`CreateChangeSetRequest`] is where a change of a
//! stack begins. CloudFormation has one error for most of what can be wrong, which [`understood`] tells apart by its words.
//!
//! [`CreateChangeSetRequest`]: crate::contract::bindings::kiln::aws_cloudformation::cloudformation::CreateChangeSetRequest

mod change_set_reads;
mod change_sets;
mod drift;
mod events;
mod exports;
mod operations;
mod settings;
mod stacks;
mod templates;
pub(super) mod wire;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::clients::Clients;
use super::error::{AwsError, ErrorKind, invalid};
use super::names::ResourceKind;
use super::values::millis;
use crate::types::{Arn, Place};

/// A stack. Behind its name in the ARN stands an id that AWS gives.
const STACK: ResourceKind =
    ResourceKind { service: "cloudformation", noun: "a stack", before: "stack/", behind: "/*", letters: "-" };

/// Whom roles are passed to.
const SERVICE: &str = "cloudformation.amazonaws.com";

/// Ask for `action`.
async fn call<I: Serialize, O: DeserializeOwned>(
    aws: &Clients,
    action: &'static str,
    input: &I,
) -> Result<O, AwsError> {
    aws.cloudformation().call(action, input).await.map(|(output, _)| output).map_err(understood)
}

/// Ask for `action`, whose answer says nothing. That its token is known already means that it was begun: tokens are derived from the
/// call, so that nobody else has it.
async fn begin<I: Serialize>(aws: &Clients, action: &'static str, input: &I) -> Result<(), AwsError> {
    match call::<I, wire::Nothing>(aws, action, input).await {
        Ok(wire::Nothing {}) => Ok(()),
        Err(error) if error.code == "TokenAlreadyExistsException" => Ok(()),
        Err(error) => Err(error),
    }
}

/// CloudFormation says `ValidationError` of nearly everything, and explains it in words.
fn understood(error: AwsError) -> AwsError {
    let kind = match error.code.as_str() {
        "ValidationError" if is_missing(&error.message) => ErrorKind::NotFound,
        "ValidationError" if is_in_the_way(&error.message) => ErrorKind::Conflict,
        // Of a change set that cannot be executed or deleted now.
        "InvalidChangeSetStatus" => ErrorKind::Conflict,
        "InsufficientCapabilitiesException" => ErrorKind::Invalid,
        _ => error.kind,
    };
    AwsError { kind, ..error }
}

/// `Stack with id web does not exist`, `Stack [web] does not exist`.
fn is_missing(message: &str) -> bool {
    message.starts_with("Stack") && message.trim_end_matches('.').ends_with("does not exist")
}

/// `Stack:arn:… is in UPDATE_IN_PROGRESS state and can not be updated.`
fn is_in_the_way(message: &str) -> bool {
    let in_a_state = message.contains("is in ") && message.contains(" state");
    let cannot = ["can not be", "cannot be", "must be", "can't be"].iter().any(|words| message.contains(words));
    (message.starts_with("Stack") && in_a_state && cannot) || message.contains("TerminationProtection is enabled")
}

/// Milliseconds since the Unix epoch.
fn when(instant: Option<String>) -> Option<u64> {
    millis(DateTime::from_str(&instant?, Format::DateTime).ok())
}

/// A text that says something.
fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The role that is handed on, as the permission is checked against it.
fn passed(role: Option<&String>) -> Vec<Arn> {
    role.and_then(|role| role.parse().ok()).into_iter().collect()
}

/// Refuse what is no ARN of a role.
fn check_role(role: Option<&String>) -> Result<(), AwsError> {
    let is_role = |role: &String| {
        role.parse::<Arn>().is_ok_and(|arn| arn.service() == "iam" && arn.resource().starts_with("role/"))
    };
    match role {
        Some(role) if !is_role(role) => Err(invalid(format_args!("{role:?} is not the ARN of a role"))),
        Some(_) | None => Ok(()),
    }
}

/// Refuse what is no name within a template: letters and digits; of a nested stack's resource, with the stack's name before it.
fn check_logical(names: &[String]) -> Result<(), AwsError> {
    const MOST: usize = 200;
    if names.len() > MOST {
        return Err(invalid(format_args!("the list of resources has {} entries; it takes up to {MOST}", names.len())));
    }
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_nested = |name: &str| {
        name.split_once('.').is_some_and(|(stack, name)| {
            is_name(name) && !stack.is_empty() && stack.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    };
    match names.iter().find(|name| !is_name(name) && !is_nested(name)) {
        Some(odd) => Err(invalid(format_args!("{odd:?} is no name of a resource in a template"))),
        None => Ok(()),
    }
}

/// Refuse what is no name of a change set: an ARN would be asked for whatever the stack.
fn check_change_set(name: &str) -> Result<(), AwsError> {
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let is_name = begins && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_name {
        true => Ok(()),
        false => Err(invalid(format_args!("{name:?} is no name of a change set"))),
    }
}

/// The stack that a request names, for its permission.
fn stack(at: &Place, given: &str) -> [Arn; 1] {
    [STACK.arn(at, given)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str, message: &str) -> ErrorKind {
        understood(AwsError { code: code.to_owned(), ..invalid(message) }).kind
    }

    #[test]
    fn what_cloudformation_calls_invalid_is_told_apart_by_its_words() {
        assert_eq!(kind("ValidationError", "Stack with id web does not exist"), ErrorKind::NotFound);
        assert_eq!(kind("ValidationError", "Stack [web] does not exist"), ErrorKind::NotFound);
        let stuck = "Stack:arn:aws:cloudformation:us-west-2:1:stack/web/1 is in UPDATE_ROLLBACK_FAILED state and can not be updated.";
        assert_eq!(kind("ValidationError", stuck), ErrorKind::Conflict);
        let kept = "Stack [web] cannot be deleted while TerminationProtection is enabled";
        assert_eq!(kind("ValidationError", kept), ErrorKind::Conflict);
        assert_eq!(kind("InvalidChangeSetStatus", "ChangeSet [x] cannot be executed"), ErrorKind::Conflict);
        let template = "Template format error: Unresolved resource dependencies [Stack] does not exist in the template";
        assert_eq!(kind("ValidationError", template), ErrorKind::Invalid);
        assert_eq!(kind("ValidationError", "Parameters: [A] must have values"), ErrorKind::Invalid);
    }

    #[test]
    fn names_that_are_none_are_refused() {
        assert!(check_change_set("kiln-0a").is_ok());
        for odd in ["", "1a", "a b", "arn:aws:cloudformation:us-west-2:1:changeSet/x/1", &"a".repeat(129)] {
            assert!(check_change_set(odd).is_err(), "{odd}");
        }
        assert!(check_logical(&["Web".to_owned(), "web-Inner-1X.Group".to_owned()]).is_ok());
        for odd in ["", "a b", "Web/x", ".Web", "web."] {
            assert!(check_logical(&[odd.to_owned()]).is_err(), "{odd}");
        }
    }
}
